//! From the resources of power equipment to readings: what is the total of a circuit, and of a unit. Pure.
//!
//! A 0 of a PDU is a measurement: an outlet without load, a feed that is not chosen. What is not metered has no number.

use super::plan::{Group, GroupKind, Unit};
use super::resources::{Lines, Metrics, Row, Wiring};
use crate::drivers::redfish::energy::{Counters, Keeper};
use crate::drivers::redfish::resources::{Excerpt, Presence};
use crate::drivers::redfish::select::Collector;
use crate::model::{Amperes, Celsius, ChannelId, Hertz, Measure, Ratio, VoltAmperes, Volts, Watts};

/// How far the power between lines and the power against neutral may be apart, as a share, to be two views of one load.
const SAME_LOAD: f64 = 0.1;
/// Lines, and pairs of lines, as their channels name them.
const LINES: [&str; 3] = ["L1", "L2", "L3"];
const PAIRS: [&str; 3] = ["L1-L2", "L2-L3", "L3-L1"];

/// What one poll read of one unit.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) metrics: Option<Metrics>,
    /// By group, then by member, as in the plan; none for a member that was not read.
    pub(super) rows: Vec<Vec<Option<Row>>>,
}

/// Adds the readings of one unit to `into`.
pub(super) fn readings(unit: &Unit, seen: &Seen, counters: &mut Counters, into: &mut Collector) {
    if let Some(input) = unit.input() {
        add_input(&input, unit, seen, counters, into);
    }
    for (group, rows) in unit.groups.iter().zip(&seen.rows) {
        for (member, row) in group.members.iter().zip(rows) {
            if let Some(row) = row.as_ref().filter(|row| row.presence != Presence::Missing) {
                add_row(&member.channel, row, counters, into);
            }
        }
    }
}

/// What the unit takes in as a whole: as it says itself, else the sum of its mains. Mains are separate inlets, so they may
/// be added, if every one of them has a value.
fn add_input(input: &ChannelId, unit: &Unit, seen: &Seen, counters: &mut Counters, into: &mut Collector) {
    let own = seen.metrics.as_ref();
    if let Some(metrics) = own {
        add_power(input, metrics.watts.as_ref(), into);
        let celsius = metrics.celsius.reading.and_then(|celsius| Celsius::new(celsius).ok());
        let humidity = metrics.humidity_percent.reading.filter(|percent| *percent <= 100.0);
        let humidity = humidity.and_then(|percent| Ratio::new(percent / 100.0).ok());
        let energy = counters.read(input, Keeper::Resource, &metrics.energy_kwh, &Excerpt::default());
        into.add(Some(input), celsius.map(Measure::Temperature));
        into.add(Some(input), humidity.map(Measure::Humidity));
        into.add(Some(input), energy.map(Measure::Energy));
    }
    if own.and_then(|metrics| metrics.watts.as_ref()?.reading).and_then(|w| Watts::new(w).ok()).is_none() {
        let mains = unit.groups.iter().zip(&seen.rows).find(|(group, _)| group.kind == GroupKind::Mains);
        let total = mains.and_then(|(group, rows)| sum(group, rows));
        into.add(Some(input), total.map(Measure::Power));
    }
}

fn sum(group: &Group, rows: &[Option<Row>]) -> Option<Watts> {
    let here = rows.iter().take(group.members.len());
    let watts: Option<Vec<Watts>> = here
        .filter(|row| row.as_ref().is_none_or(|row| row.presence != Presence::Missing))
        .map(|row| row.as_ref().and_then(total))
        .collect();
    watts?.into_iter().reduce(|a, b| a + b)
}

fn add_row(channel: &ChannelId, row: &Row, counters: &mut Counters, into: &mut Collector) {
    let reading = |excerpt: &Option<Excerpt>| excerpt.as_ref().and_then(|excerpt| excerpt.reading);
    let volts = reading(&row.volts).or_else(|| only_voltage(row)).and_then(|volts| Volts::new(volts).ok());
    let amperes = reading(&row.amperes).or_else(|| only_current(row));
    let amperes = amperes.and_then(|amperes| Amperes::new(amperes).ok());
    let hertz = reading(&row.hertz).filter(|hertz| *hertz > 0.0).and_then(|hertz| Hertz::new(hertz).ok());
    add_power(channel, row.watts.as_ref().or_else(|| only_power(row)), into);
    into.add(Some(channel), total(row).map(Measure::Power));
    into.add(Some(channel), volts.map(Measure::Voltage));
    into.add(Some(channel), amperes.map(Measure::Current));
    into.add(Some(channel), hertz.map(Measure::Frequency));
    if let Some(kwh) = &row.energy_kwh {
        into.add(
            Some(channel),
            counters.read(channel, Keeper::Resource, kwh, &Excerpt::default()).map(Measure::Energy),
        );
    }
    match row.wiring {
        // One line is the circuit itself.
        Wiring::OnePhase | Wiring::TwoLines => {}
        Wiring::TwoLinesNeutral | Wiring::Wye | Wiring::Unsaid => add_lines(channel, row, counters, into),
        Wiring::Delta => {
            add_lines(channel, row, counters, into);
            add_pairs(channel, row, into);
        }
    }
}

/// The lines of a circuit with more than one of them.
fn add_lines(channel: &ChannelId, row: &Row, counters: &mut Counters, into: &mut Collector) {
    let amperes = row.line_amperes.as_ref();
    let amperes = amperes.map_or([None; 3], |a| [a.l1.reading, a.l2.reading, a.l3.reading]);
    if row.wiring == Wiring::Unsaid && amperes.iter().flatten().count() < 2 {
        return;
    }
    let neutral = |lines: &Option<Lines>, at: usize| {
        lines.as_ref().and_then(|lines| lines.to_neutral().get(at).map(|excerpt| (*excerpt).clone()))
    };
    let whole = row.wiring != Wiring::Delta && is_unambiguous(row);
    for (at, (name, amperes)) in LINES.into_iter().zip(amperes).enumerate() {
        let Ok(line) = ChannelId::new(&format!("{channel}/{name}")) else { continue };
        if whole {
            add_power(&line, neutral(&row.line_watts, at).as_ref(), into);
        }
        let volts = neutral(&row.line_volts, at).and_then(|volts| volts.reading);
        into.add(Some(&line), volts.and_then(|volts| Volts::new(volts).ok()).map(Measure::Voltage));
        into.add(Some(&line), amperes.and_then(|amperes| Amperes::new(amperes).ok()).map(Measure::Current));
        if whole && let Some(kwh) = neutral(&row.line_energy_kwh, at) {
            into.add(
                Some(&line),
                counters.read(&line, Keeper::Resource, &kwh, &Excerpt::default()).map(Measure::Energy),
            );
        }
    }
}

/// The pairs of lines of a circuit without neutral.
fn add_pairs(channel: &ChannelId, row: &Row, into: &mut Collector) {
    let pair = |lines: &Option<Lines>, at: usize| {
        lines.as_ref().and_then(|lines| lines.between().get(at).map(|excerpt| (*excerpt).clone()))
    };
    let whole = is_unambiguous(row);
    for (at, name) in PAIRS.into_iter().enumerate() {
        let Ok(between) = ChannelId::new(&format!("{channel}/{name}")) else { continue };
        if whole {
            add_power(&between, pair(&row.line_watts, at).as_ref(), into);
        }
        let volts = pair(&row.line_volts, at).and_then(|volts| volts.reading);
        into.add(Some(&between), volts.and_then(|volts| Volts::new(volts).ok()).map(Measure::Voltage));
    }
}

/// Real and apparent power and the factor between them, as one excerpt holds them.
fn add_power(channel: &ChannelId, power: Option<&Excerpt>, into: &mut Collector) {
    let Some(power) = power else { return };
    let watts = power.reading.and_then(|watts| Watts::new(watts).ok());
    let idle = watts == Some(Watts::ZERO);
    let apparent = power.apparent_va.filter(|va| *va > 0.0 || idle).and_then(|va| VoltAmperes::new(va).ok());
    let factor = power.power_factor.filter(|factor| *factor > 0.0 && *factor <= 1.0 && !idle);
    into.add(Some(channel), watts.map(Measure::Power));
    into.add(Some(channel), apparent.map(Measure::ApparentPower));
    into.add(Some(channel), factor.and_then(|factor| Ratio::new(factor).ok()).map(Measure::PowerFactor));
}

/// What flows through a circuit: as it says itself, else the sum over its lines.
fn total(row: &Row) -> Option<Watts> {
    let own = row.watts.as_ref().and_then(|watts| watts.reading).and_then(|watts| Watts::new(watts).ok());
    own.or_else(|| of_lines(row, row.line_watts.as_ref()?))
}

/// The sum over the lines of a circuit, by its wiring: against neutral where there is one, else between lines, never
/// both, and only of all lines that the wiring has.
fn of_lines(row: &Row, watts: &Lines) -> Option<Watts> {
    let (neutral, between) = (values(watts.to_neutral()), values(watts.between()));
    let chosen = match row.wiring {
        Wiring::OnePhase | Wiring::TwoLines => only_power(row).and_then(|line| line.reading),
        Wiring::TwoLinesNeutral => all(&neutral, 2),
        Wiring::Wye => all(&neutral, 3),
        Wiring::Delta => all(&between, 3),
        // Without a word on the wiring, one complete set is the whole if there is nothing of the other.
        Wiring::Unsaid => match (neutral.len(), between.len()) {
            (1 | 3, 0) => Some(neutral.iter().sum()),
            (0, 1 | 3) => Some(between.iter().sum()),
            _partial_or_both => None,
        },
    };
    chosen.filter(|_| is_unambiguous(row)).and_then(|watts| Watts::new(watts).ok())
}

/// Whether the lines' power can be read in one way only. A device that shows it both against neutral and between lines
/// either shows one load twice, and the sums agree, or the loads of either kind apart, and they do not: then neither sum is
/// the whole, nor is any line's power that of the line.
fn is_unambiguous(row: &Row) -> bool {
    let Some(watts) = &row.line_watts else { return true };
    let (neutral, between) = (values(watts.to_neutral()), values(watts.between()));
    if neutral.is_empty() || between.is_empty() {
        return true;
    }
    let (neutral, between): (f64, f64) = (neutral.iter().sum(), between.iter().sum());
    (neutral - between).abs() <= SAME_LOAD * neutral.max(between)
}

/// The voltage of a circuit that has only one.
fn only_voltage(row: &Row) -> Option<f64> {
    let volts = row.line_volts.as_ref()?;
    match row.wiring {
        Wiring::OnePhase => only(&values(volts.to_neutral())),
        Wiring::TwoLines => only(&values(volts.between())),
        Wiring::TwoLinesNeutral | Wiring::Wye | Wiring::Delta | Wiring::Unsaid => None,
    }
}

/// The current of a circuit that has only one: what flows out by one of two lines comes back by the other.
fn only_current(row: &Row) -> Option<f64> {
    let amperes = row.line_amperes.as_ref()?;
    match row.wiring {
        Wiring::OnePhase | Wiring::TwoLines => {
            [&amperes.l1, &amperes.l2, &amperes.l3].into_iter().find_map(|line| line.reading)
        }
        Wiring::TwoLinesNeutral | Wiring::Wye | Wiring::Delta | Wiring::Unsaid => None,
    }
}

/// The power of a circuit that has only one.
fn only_power(row: &Row) -> Option<&Excerpt> {
    let watts = row.line_watts.as_ref()?;
    let lines = match row.wiring {
        Wiring::OnePhase => watts.to_neutral(),
        Wiring::TwoLines => watts.between(),
        Wiring::TwoLinesNeutral | Wiring::Wye | Wiring::Delta | Wiring::Unsaid => return None,
    };
    let mut lines = lines.into_iter().filter(|line| line.reading.is_some());
    lines.next().filter(|_| lines.next().is_none() && is_unambiguous(row))
}

fn values(excerpts: [&Excerpt; 3]) -> Vec<f64> {
    excerpts.into_iter().filter_map(|excerpt| excerpt.reading).collect()
}

fn only(values: &[f64]) -> Option<f64> {
    match values {
        [value] => Some(*value),
        [] | [..] => None,
    }
}

fn all(values: &[f64], lines: usize) -> Option<f64> {
    (values.len() == lines && values.iter().all(|value| *value >= 0.0)).then(|| values.iter().sum())
}
