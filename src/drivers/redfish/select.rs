//! From the resources of one poll to readings: what is the total of a chassis, and which values are not measurements.
//! Pure.

use std::collections::HashSet;

use super::energy::Counters;
use super::plan::{ChassisPlan, unique};
use super::resources::{
    Control, Environment, Excerpt, OldSupply, Power, PowerState, Presence, Scope, SupplyMetrics,
};
use crate::model::{Amperes, Celsius, ChannelId, Hertz, Measure, Ratio, Reading, VoltAmperes, Volts, Watts};

/// A supply that claims to take in this many tenths of its capacity shows its rating, not a measurement.
const SUPPLY_LIMIT_TENTHS: f64 = 11.0;
/// A domain of `PowerControl` cannot consume more than this many times its capacity.
const CONTROL_MARGIN: f64 = 1.5;

/// What one poll read of one chassis.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) environment: Option<Environment>,
    pub(super) power: Option<Power>,
    /// As many as the plan has supplies.
    pub(super) supplies: Vec<Option<SupplyMetrics>>,
    /// Whether the server is on; asked for only where a zero hangs on it.
    pub(super) state: PowerState,
}

/// Where the total of a chassis came from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// `EnvironmentMetrics.PowerWatts`.
    Environment,
    /// `PowerConsumedWatts` of the whole chassis.
    Control,
    /// Sum of what all power supplies take in.
    Supplies,
}

/// The readings of one batch; each channel and quantity once, the first one counts.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub(super) readings: Vec<Reading>,
    taken: HashSet<(ChannelId, crate::model::Quantity)>,
}

impl Collector {
    pub(super) fn add(&mut self, channel: Option<&ChannelId>, measure: Option<Measure>) {
        let (Some(channel), Some(measure)) = (channel, measure) else { return };
        if self.taken.insert((channel.clone(), measure.quantity())) {
            self.readings.push(Reading::measured(channel.clone(), measure));
        }
    }
}

/// A power supply, of whichever model.
struct Supply {
    channel: Option<ChannelId>,
    presence: Presence,
    capacity_watts: Option<f64>,
    watts: Option<f64>,
    volts: Option<f64>,
    amperes: Option<f64>,
    hertz: Option<f64>,
    energy_kwh: Excerpt,
}

impl Supply {
    /// No voltage at its input: then nothing flows, and 0 is a measurement.
    fn is_dead(&self) -> bool {
        self.volts == Some(0.0)
    }

    /// What it takes in, unless the number is its rating or a zero that only says that nothing is measured.
    fn input(&self) -> Option<Watts> {
        let watts = self.watts.filter(|w| *w > 0.0 || self.is_dead())?;
        let rated = self.capacity_watts.filter(|capacity| *capacity > 0.0);
        if rated.is_some_and(|capacity| watts * 10.0 >= capacity * SUPPLY_LIMIT_TENTHS) {
            tracing::debug!(
                channel = self.channel.as_ref().map(ChannelId::as_str),
                watts,
                "a rating, not a reading"
            );
            return None;
        }
        Watts::new(watts).ok()
    }
}

/// Whether the newer resources gave no total, so that `Power` must be asked.
pub(super) fn lacks_total(seen: &Seen) -> bool {
    seen.environment.as_ref().and_then(environment_watts).is_none_or(|watts| watts <= 0.0)
}

/// Whether a zero stands where a total or part should, and hangs on the server being off.
pub(super) fn state_matters(plan: &ChassisPlan, seen: &Seen) -> bool {
    let controls =
        seen.power.iter().flat_map(|power| &power.controls).filter_map(|control| control.consumed_watts);
    let mut watts = seen.environment.as_ref().and_then(environment_watts).into_iter().chain(controls);
    watts.any(|watts| watts == 0.0) && !any_is_on(&supplies(plan, seen))
}

/// Adds the readings of one chassis to `into`, and says where its total came from.
pub(super) fn readings(
    plan: &ChassisPlan,
    seen: &Seen,
    counters: &mut Counters,
    into: &mut Collector,
) -> Option<Source> {
    let supplies = supplies(plan, seen);
    // An idle BMC still draws something, so a zero needs a server that is off and no supply that is on.
    let zero_is_real =
        seen.state == PowerState::Off && supplies.iter().all(|s| s.presence != Presence::Enabled);
    let total = total(seen, &supplies, zero_is_real);
    let input = plan.input();
    into.add(input.as_ref(), total.map(|(watts, _)| Measure::Power(watts)));
    if let (Some(input), Some(environment)) = (&input, &seen.environment) {
        add_environment(input, environment, counters, into);
    }
    if let Some(power) = &seen.power {
        add_controls(plan, &power.controls, zero_is_real, into);
    }
    for supply in &supplies {
        add_supply(supply, counters, into);
    }
    total.map(|(_, source)| source)
}

fn any_is_on(supplies: &[Supply]) -> bool {
    supplies.iter().any(|supply| supply.presence == Presence::Enabled)
}

fn environment_watts(environment: &Environment) -> Option<f64> {
    environment.power_watts.as_ref()?.reading
}

/// What the chassis takes in, from the best source that has it. The sources are never added to each other.
fn total(seen: &Seen, supplies: &[Supply], zero_is_real: bool) -> Option<(Watts, Source)> {
    let real = |watts: f64| (watts > 0.0 || zero_is_real).then(|| Watts::new(watts).ok()).flatten();
    let environment = seen.environment.as_ref().and_then(environment_watts).and_then(real);
    if let Some(watts) = environment {
        return Some((watts, Source::Environment));
    }
    let controls = seen.power.as_ref().map(|power| power.controls.as_slice()).unwrap_or_default();
    let control = total_control(controls).and_then(|at| controls.get(at)).and_then(consumed).and_then(real);
    if let Some(watts) = control {
        return Some((watts, Source::Control));
    }
    let inputs: Option<Vec<Watts>> = supplies.iter().map(Supply::input).collect();
    let sum = inputs?.into_iter().reduce(|a, b| a + b)?;
    real(sum.get()).map(|watts| (watts, Source::Supplies))
}

/// Which entry of `PowerControl` is the whole chassis. Further entries are parts of it, so they are never added up.
fn total_control(controls: &[Control]) -> Option<usize> {
    let found = |test: &dyn Fn(&Control) -> bool| controls.iter().position(test);
    found(&|c| c.scope == Scope::Chassis && is_total_name(c))
        .or_else(|| found(&|c| c.scope == Scope::Chassis))
        .or_else(|| found(&|c| c.scope != Scope::Part && is_total_name(c)))
        .or_else(|| found(&|c| c.scope != Scope::Part && c.member.as_deref() == Some("0")))
        .or_else(|| controls.first().filter(|c| c.scope != Scope::Part).map(|_| 0))
}

/// "System Power Control", "Server Power Control" and the like; not "CPU Sub-system Power".
fn is_total_name(control: &Control) -> bool {
    let name = control.name.as_deref().unwrap_or_default().to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    name.contains("power control")
        && words.any(|word| matches!(word, "system" | "chassis" | "server" | "node"))
        && !name.contains("sub-system")
        && !name.contains("sub system")
}

fn consumed(control: &Control) -> Option<f64> {
    let rated = control.capacity_watts.filter(|capacity| *capacity > 0.0);
    control
        .consumed_watts
        .filter(|_| control.presence != Presence::Missing)
        .filter(|watts| rated.is_none_or(|capacity| *watts <= capacity * CONTROL_MARGIN))
}

fn add_environment(
    input: &ChannelId,
    environment: &Environment,
    counters: &mut Counters,
    into: &mut Collector,
) {
    let power = environment.power_watts.as_ref();
    let apparent = power.and_then(|p| p.apparent_va).filter(|va| *va > 0.0);
    let factor = power.and_then(|p| p.power_factor).filter(|factor| *factor > 0.0 && *factor <= 1.0);
    let celsius = environment.temperature_celsius.reading;
    let energy = counters.read(input, &environment.energy_kwh, &environment.energy_joules);
    into.add(Some(input), apparent.and_then(|v| VoltAmperes::new(v).ok()).map(Measure::ApparentPower));
    into.add(Some(input), factor.and_then(|v| Ratio::new(v).ok()).map(Measure::PowerFactor));
    into.add(Some(input), celsius.and_then(|v| Celsius::new(v).ok()).map(Measure::Temperature));
    into.add(Some(input), energy.map(Measure::Energy));
}

/// The parts of a chassis that `PowerControl` lists beside the whole.
fn add_controls(plan: &ChassisPlan, controls: &[Control], zero_is_real: bool, into: &mut Collector) {
    let total = total_control(controls);
    let parts: Vec<(usize, &Control)> =
        controls.iter().enumerate().filter(|(at, _)| Some(*at) != total).collect();
    let lower: Vec<_> = parts.iter().map(|(_, c)| c.name.as_ref().map(|n| n.to_ascii_lowercase())).collect();
    let places: Vec<_> =
        parts.iter().map(|(at, c)| c.member.clone().unwrap_or_else(|| at.to_string())).collect();
    let names = unique(lower.iter().zip(&places).map(|(name, place)| (name.as_deref(), place.as_str())));
    for ((_, control), name) in parts.iter().zip(names) {
        let watts = consumed(control).filter(|watts| *watts > 0.0 || zero_is_real);
        let power = watts.and_then(|watts| Watts::new(watts).ok()).map(Measure::Power);
        into.add(plan.channel("control", &name).as_ref(), power);
    }
}

fn add_supply(supply: &Supply, counters: &mut Counters, into: &mut Collector) {
    let channel = supply.channel.as_ref();
    let flowing = |value: f64| value > 0.0 || supply.is_dead();
    let amperes = supply.amperes.filter(|a| flowing(*a)).and_then(|a| Amperes::new(a).ok());
    let hertz = supply.hertz.filter(|hertz| *hertz > 0.0).and_then(|hertz| Hertz::new(hertz).ok());
    let energy = channel.and_then(|c| counters.read(c, &supply.energy_kwh, &Excerpt::default()));
    into.add(channel, supply.input().map(Measure::Power));
    into.add(channel, supply.volts.and_then(|volts| Volts::new(volts).ok()).map(Measure::Voltage));
    into.add(channel, amperes.map(Measure::Current));
    into.add(channel, hertz.map(Measure::Frequency));
    into.add(channel, energy.map(Measure::Energy));
}

/// The power supplies that are there: of the newer model if the plan has any, else those of `Power`.
fn supplies(plan: &ChassisPlan, seen: &Seen) -> Vec<Supply> {
    let all = if plan.supplies.is_empty() { old_supplies(plan, seen) } else { new_supplies(plan, seen) };
    all.into_iter().filter(|supply| supply.presence != Presence::Missing).collect()
}

fn new_supplies(plan: &ChassisPlan, seen: &Seen) -> Vec<Supply> {
    let metrics = seen.supplies.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    let supply = |(known, metrics): (&super::plan::SupplyPlan, Option<&SupplyMetrics>)| {
        let said = metrics.map_or(Presence::Unsaid, |metrics| metrics.presence);
        Supply {
            channel: plan.channel("psu", &known.name),
            presence: if said == Presence::Unsaid { known.presence } else { said },
            capacity_watts: known.capacity_watts,
            watts: metrics.and_then(|m| m.input_watts.reading),
            volts: metrics.and_then(|m| m.input_volts.reading),
            amperes: metrics.and_then(|m| m.input_amperes.reading),
            hertz: metrics.and_then(|m| m.frequency_hertz.reading),
            energy_kwh: metrics.map(|m| m.energy_kwh.clone()).unwrap_or_default(),
        }
    };
    plan.supplies.iter().zip(metrics).map(supply).collect()
}

fn old_supplies(plan: &ChassisPlan, seen: &Seen) -> Vec<Supply> {
    let found = seen.power.as_ref().map(|power| power.supplies.as_slice()).unwrap_or_default();
    let places: Vec<String> = (0..found.len()).map(|at| at.to_string()).collect();
    let names = unique(found.iter().zip(&places).map(|(s, place)| (s.member.as_deref(), place.as_str())));
    let supply = |(supply, name): (&OldSupply, String)| Supply {
        channel: plan.channel("psu", &name),
        presence: supply.presence,
        capacity_watts: supply.capacity_watts,
        watts: supply.input_watts,
        volts: supply.input_volts,
        amperes: None,
        hertz: None,
        energy_kwh: Excerpt::default(),
    };
    found.iter().zip(names).map(supply).collect()
}

#[cfg(test)]
mod tests;
