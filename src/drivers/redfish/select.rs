//! From the resources of one poll to readings: what is the total of a chassis, and which values are not measurements.
//! Pure.

use std::collections::HashSet;

use super::energy::{Counters, Keeper};
use super::names::unique;
use super::origin::Origin;
use super::plan::ChassisPlan;
use super::resources::{
    Control, Environment, Excerpt, OldSupply, Power, PowerState, Presence, Scope, SupplyMetrics,
};
use super::sensors::Sensor;
use super::windows;
use crate::model::{
    Amperes, Celsius, ChannelId, Hertz, Measure, PowerWindow, Ratio, Reading, VoltAmperes, Volts, Watts,
};

/// A supply that claims to take in this many tenths of its capacity shows its rating, not a measurement.
const SUPPLY_LIMIT_TENTHS: f64 = 11.0;
/// Nothing consumes more than this many times what its supplies can give.
const CAPACITY_MARGIN: f64 = 1.5;

/// What one poll read of one chassis.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) environment: Option<Environment>,
    pub(super) power: Option<Power>,
    /// As many as the plan has supplies.
    pub(super) supplies: Vec<Option<SupplyMetrics>>,
    /// Asked for only where nothing else gives a total.
    pub(super) total_sensor: Option<Sensor>,
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
    /// A sensor of the total.
    Sensor,
    /// A maker's own property.
    Elsewhere,
}

/// The readings of one batch; each channel and quantity once, the first one counts.
#[derive(Debug, Default)]
pub(super) struct Collector {
    pub(super) readings: Vec<Reading>,
    pub(super) windows: Vec<PowerWindow>,
    taken: HashSet<(ChannelId, crate::model::Quantity)>,
}

impl Collector {
    /// Adds a reading, if there is one and the channel has none of its quantity yet.
    pub(super) fn add(&mut self, channel: Option<&ChannelId>, measure: Option<Measure>) {
        let (Some(channel), Some(measure)) = (channel, measure) else { return };
        if self.taken.insert((channel.clone(), measure.quantity())) {
            self.readings.push(Reading::measured(channel.clone(), measure));
        }
    }

    fn add_window(&mut self, control: &Control, channel: &ChannelId) {
        let there = control.presence != Presence::Missing;
        let window = there.then(|| windows::reporting(channel, control)).flatten();
        self.windows
            .extend(window.filter(|new| self.windows.iter().all(|known| known.channel != new.channel)));
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
pub(super) fn lacks_total(plan: &ChassisPlan, seen: &Seen) -> bool {
    let watts = seen.environment.as_ref().and_then(environment_watts);
    watts.is_none_or(|watts| watts <= 0.0 || !is_possible(plan, watts))
}

/// Whether the chassis' supplies can give as much.
fn is_possible(plan: &ChassisPlan, watts: f64) -> bool {
    plan.capacity_watts.is_none_or(|most| watts <= most * CAPACITY_MARGIN)
}

/// Whether nothing that was read so far gives a total, so that a sensor of it must be asked.
pub(super) fn needs_sensor(plan: &ChassisPlan, seen: &Seen, origin: &Origin) -> bool {
    let total = total(plan, seen, &supplies(plan, seen), origin, false);
    plan.total_sensor.is_some() && total.is_none_or(|(_, source)| source == Source::Elsewhere)
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
    origin: &Origin,
    counters: &mut Counters,
    into: &mut Collector,
) -> Option<Source> {
    let supplies = supplies(plan, seen);
    // An idle BMC still draws something, so a zero needs a server that is off and no supply that is on.
    let zero_is_real =
        seen.state == PowerState::Off && supplies.iter().all(|s| s.presence != Presence::Enabled);
    let total = total(plan, seen, &supplies, origin, zero_is_real);
    let input = plan.input();
    into.add(input.as_ref(), total.map(|(watts, _)| Measure::Power(watts)));
    if let (Some(input), Some(environment)) = (&input, &seen.environment) {
        add_environment(input, environment, counters, into);
        let ambient = environment.ambient_celsius.reading.and_then(|v| Celsius::new(v).ok());
        into.add(plan.ambient.as_ref(), ambient.map(Measure::Temperature));
    }
    if let Some(power) = &seen.power {
        add_nodes(plan, &power.controls, origin, zero_is_real, into);
        add_controls(plan, &power.controls, origin, zero_is_real, into);
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
fn total(
    plan: &ChassisPlan,
    seen: &Seen,
    supplies: &[Supply],
    origin: &Origin,
    zero_is_real: bool,
) -> Option<(Watts, Source)> {
    let possible = |watts: &f64| is_possible(plan, *watts);
    let real = |watts: f64| (watts > 0.0 || zero_is_real).then(|| Watts::new(watts).ok()).flatten();
    let environment = seen.environment.as_ref().and_then(environment_watts).filter(possible).and_then(real);
    if let Some(watts) = environment {
        return Some((watts, Source::Environment));
    }
    let controls = seen.power.as_ref().map(|power| power.controls.as_slice()).unwrap_or_default();
    let control = total_control(plan, controls, origin).and_then(|at| controls.get(at));
    if let Some(watts) = control.and_then(consumed).filter(possible).and_then(real) {
        return Some((watts, Source::Control));
    }
    if let Some(watts) = supply_sum(plan, supplies).and_then(real) {
        return Some((watts, Source::Supplies));
    }
    let factor = plan.total_sensor.as_ref().map(|(_, factor)| *factor);
    let sensed = factor.zip(seen.total_sensor.as_ref().and_then(Sensor::now)).map(|(f, watts)| f * watts);
    if let Some(watts) = sensed.filter(possible).and_then(real) {
        return Some((watts, Source::Sensor));
    }
    let elsewhere = seen.power.as_ref().and_then(|power| plan.maker.total_elsewhere(power));
    elsewhere.filter(possible).and_then(real).map(|watts| (watts, Source::Elsewhere))
}

/// What all supplies take in, if every one of them says so and none feeds another machine.
fn supply_sum(plan: &ChassisPlan, supplies: &[Supply]) -> Option<f64> {
    if plan.supplies_are_shared {
        return None;
    }
    let inputs: Option<Vec<Watts>> = supplies.iter().map(Supply::input).collect();
    inputs?.into_iter().reduce(|a, b| a + b).map(Watts::get)
}

/// The computer system that an entry of `PowerControl` is about, where there are several in the chassis.
fn node(plan: &ChassisPlan, control: &Control, origin: &Origin) -> Option<ChannelId> {
    let items = control.related.iter().filter_map(|link| origin.resolve(link.id.as_deref()?));
    let mut nodes = items.filter_map(|item| plan.node(&item));
    let first = nodes.next()?;
    // One that is about several of them is about none.
    nodes.all(|node| node == first).then_some(first)
}

/// What each of several computer systems in the chassis takes in.
fn add_nodes(
    plan: &ChassisPlan,
    controls: &[Control],
    origin: &Origin,
    zero_is_real: bool,
    into: &mut Collector,
) {
    for control in controls {
        // A node's processors are not the node.
        if let Some(channel) = node(plan, control, origin).filter(|_| control.scope != Scope::Part) {
            add_control(&channel, control, zero_is_real, into);
        }
    }
}

fn add_control(channel: &ChannelId, control: &Control, zero_is_real: bool, into: &mut Collector) {
    let watts = consumed(control).filter(|watts| *watts > 0.0 || zero_is_real);
    into.add(Some(channel), watts.and_then(|watts| Watts::new(watts).ok()).map(Measure::Power));
    into.add_window(control, channel);
}

/// Which entry of `PowerControl` is the whole chassis. Further entries are parts of it, so they are never added up.
fn total_control(plan: &ChassisPlan, controls: &[Control], origin: &Origin) -> Option<usize> {
    let whole = |control: &Control| plan.nodes.is_empty() || node(plan, control, origin).is_none();
    let found = |test: &dyn Fn(&Control) -> bool| controls.iter().position(|c| whole(c) && test(c));
    found(&|c| c.scope == Scope::Chassis && is_total_name(c))
        .or_else(|| found(&|c| c.scope == Scope::Chassis))
        .or_else(|| found(&|c| c.scope != Scope::Part && is_total_name(c)))
        .or_else(|| found(&|c| c.scope != Scope::Part && c.member.as_deref() == Some("0")))
        .or_else(|| controls.first().filter(|c| whole(c) && c.scope != Scope::Part).map(|_| 0))
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
        .filter(|watts| rated.is_none_or(|capacity| *watts <= capacity * CAPACITY_MARGIN))
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
    let energy = counters.read(input, Keeper::Resource, &environment.energy_kwh, &environment.energy_joules);
    let humidity = environment.humidity_percent.reading.filter(|percent| *percent > 0.0 && *percent <= 100.0);
    let volts = environment.volts.reading.filter(|volts| *volts > 0.0);
    let amperes = environment.amperes.reading.filter(|amperes| *amperes > 0.0);
    into.add(Some(input), apparent.and_then(|v| VoltAmperes::new(v).ok()).map(Measure::ApparentPower));
    into.add(Some(input), factor.and_then(|v| Ratio::new(v).ok()).map(Measure::PowerFactor));
    into.add(Some(input), volts.and_then(|v| Volts::new(v).ok()).map(Measure::Voltage));
    into.add(Some(input), amperes.and_then(|v| Amperes::new(v).ok()).map(Measure::Current));
    into.add(Some(input), celsius.and_then(|v| Celsius::new(v).ok()).map(Measure::Temperature));
    into.add(Some(input), humidity.and_then(|v| Ratio::new(v / 100.0).ok()).map(Measure::Humidity));
    into.add(Some(input), energy.map(Measure::Energy));
}

/// The window of the whole, and the parts of a chassis that `PowerControl` lists beside it.
fn add_controls(
    plan: &ChassisPlan,
    controls: &[Control],
    origin: &Origin,
    zero_is_real: bool,
    into: &mut Collector,
) {
    let total = total_control(plan, controls, origin);
    if let (Some(control), Some(input)) = (total.and_then(|at| controls.get(at)), plan.input()) {
        into.add_window(control, &input);
    }
    let parts: Vec<(usize, &Control)> = controls
        .iter()
        .enumerate()
        .filter(|(at, control)| {
            let is_node = control.scope != Scope::Part && node(plan, control, origin).is_some();
            Some(*at) != total && !is_node
        })
        .collect();
    let lower: Vec<_> = parts.iter().map(|(_, c)| c.name.as_ref().map(|n| n.to_ascii_lowercase())).collect();
    let places: Vec<_> =
        parts.iter().map(|(at, c)| c.member.clone().unwrap_or_else(|| at.to_string())).collect();
    let names = unique(lower.iter().zip(&places).map(|(name, place)| (name.as_deref(), place.as_str())));
    for ((_, control), name) in parts.iter().zip(names) {
        if let Some(channel) = plan.channel("control", &name) {
            add_control(&channel, control, zero_is_real, into);
        }
    }
}

fn add_supply(supply: &Supply, counters: &mut Counters, into: &mut Collector) {
    let channel = supply.channel.as_ref();
    let flowing = |value: f64| value > 0.0 || supply.is_dead();
    let amperes = supply.amperes.filter(|a| flowing(*a)).and_then(|a| Amperes::new(a).ok());
    let hertz = supply.hertz.filter(|hertz| *hertz > 0.0).and_then(|hertz| Hertz::new(hertz).ok());
    let energy =
        channel.and_then(|c| counters.read(c, Keeper::Resource, &supply.energy_kwh, &Excerpt::default()));
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
    let Some(power) = &seen.power else { return Vec::new() };
    let found = power.supplies.as_slice();
    let places: Vec<String> = (0..found.len()).map(|at| at.to_string()).collect();
    let names = unique(found.iter().zip(&places).map(|(s, place)| (s.member.as_deref(), place.as_str())));
    let supply = |(supply, name): (&OldSupply, String)| Supply {
        channel: plan.channel("psu", &name),
        presence: if plan.maker.is_phantom(supply) { Presence::Missing } else { supply.presence },
        capacity_watts: supply.capacity_watts,
        watts: supply
            .input_watts
            .filter(|watts| *watts > 0.0)
            .or_else(|| plan.maker.supply_elsewhere(supply, power))
            .or(supply.input_watts),
        volts: supply.input_volts,
        amperes: None,
        hertz: None,
        energy_kwh: Excerpt::default(),
    };
    found.iter().zip(names).map(supply).collect()
}

#[cfg(test)]
mod tests;
