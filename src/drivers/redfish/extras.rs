//! What a poll reads beside the server's total, as its time allows: the inlet's temperature, processors, memory, sensors.
//! Which there are, and what one answer of theirs says. Pure.
//!
//! None of it is ever part of a total: what a GPU draws is in the server's total already.

use std::collections::HashMap;

use serde_json::Value;

use super::draft::{ChassisDraft, Inlet, PartDraft, PartKind};
use super::energy::{Counters, Keeper};
use super::names::{safe, unique};
use super::origin::ResourcePath;
use super::resources::{Environment, Excerpt, read};
use super::select::Collector;
use super::sensors::{Quantity, Role, Sensor};
use super::thermal::{Thermal, ThermalMetrics};
use super::topology::Topology;
use crate::model::{Amperes, Celsius, ChannelId, Measure, Volts, Watts};

/// The most processors and memory modules of one BMC.
const MAX_PARTS: usize = 32;
/// The most sensors of one BMC.
const MAX_SENSORS: usize = 32;

/// One resource, one channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extra {
    pub(super) channel: ChannelId,
    pub(super) path: ResourcePath,
    pub(super) what: What,
}

/// What is read from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    /// The temperature of the air that comes in.
    Inlet(Inlet),
    /// `EnvironmentMetrics` of a processor or memory module.
    Part,
    /// A sensor.
    Sensor(Quantity),
}

impl Extra {
    /// Whether it is the inlet of the chassis whose channels begin with `prefix`.
    pub(super) fn is_inlet_of(&self, prefix: &str) -> bool {
        self.channel.as_str().strip_prefix(prefix) == Some("inlet")
    }
}

/// Every extra of a BMC. `chassis` are those that are polled, each with what stands before its channels.
pub(super) fn extras(topology: &Topology<'_>, chassis: &[(&ChassisDraft, String)]) -> Vec<Extra> {
    let mut extras: Vec<Extra> = chassis.iter().filter_map(|(draft, prefix)| inlet(draft, prefix)).collect();
    let mut sensors = Vec::new();
    for (draft, prefix) in chassis {
        extras.extend(total_energy(topology, draft, prefix));
        sensors.extend(others(topology, draft, prefix));
    }
    extras.extend(parts(topology).into_iter().take(MAX_PARTS));
    extras.extend(sensors.into_iter().take(MAX_SENSORS));
    extras
}

/// Adds what `document`, the answer for `extra`, says.
pub(super) fn readings(extra: &Extra, document: &Value, counters: &mut Counters, into: &mut Collector) {
    let channel = &extra.channel;
    let celsius = |value: Option<f64>| value.and_then(|v| Celsius::new(v).ok()).map(Measure::Temperature);
    match extra.what {
        What::Inlet(Inlet::Metrics) => {
            into.add(Some(channel), celsius(read::<ThermalMetrics>(document).inlet_celsius()));
        }
        What::Inlet(Inlet::Thermal) => {
            into.add(Some(channel), celsius(read::<Thermal>(document).inlet_celsius()));
        }
        What::Part => {
            let part: Environment = read(document);
            let power = part.power_watts.as_ref().and_then(|power| watts(power.reading, 1.0));
            let energy = counters.read(channel, Keeper::Resource, &part.energy_kwh, &part.energy_joules);
            into.add(Some(channel), power);
            into.add(Some(channel), celsius(part.temperature_celsius.reading));
            into.add(Some(channel), energy.map(Measure::Energy));
        }
        What::Sensor(quantity) => {
            let sensor: Sensor = read(document);
            // It may have become another one since it was looked at.
            if sensor.quantity() == Some(quantity) {
                into.add(Some(channel), sensed(channel, &sensor, quantity, counters));
            }
        }
    }
}

/// A part in use never draws 0 W: then it is not measured.
fn watts(value: Option<f64>, factor: f64) -> Option<Measure> {
    value.filter(|watts| *watts > 0.0).and_then(|v| Watts::new(v * factor).ok()).map(Measure::Power)
}

fn sensed(
    channel: &ChannelId,
    sensor: &Sensor,
    quantity: Quantity,
    counters: &mut Counters,
) -> Option<Measure> {
    let none = Excerpt::default();
    match quantity {
        Quantity::Power(factor) => watts(sensor.now(), factor),
        Quantity::KilowattHours(factor) => {
            counters.read(channel, Keeper::Sensor, &sensor.energy(factor), &none).map(Measure::Energy)
        }
        Quantity::Joules(factor) => {
            counters.read(channel, Keeper::Sensor, &none, &sensor.energy(factor)).map(Measure::Energy)
        }
        Quantity::Volts => sensor.now().and_then(|v| Volts::new(v).ok()).map(Measure::Voltage),
        Quantity::Amperes => {
            sensor.now().filter(|a| *a > 0.0).and_then(|a| Amperes::new(a).ok()).map(Measure::Current)
        }
        Quantity::Celsius => sensor.now().and_then(|c| Celsius::new(c).ok()).map(Measure::Temperature),
    }
}

fn inlet(draft: &ChassisDraft, prefix: &str) -> Option<Extra> {
    let channel = ChannelId::new(&format!("{prefix}inlet")).ok()?;
    if let Some((path, from)) = &draft.inlet {
        return Some(Extra { channel, path: path.clone(), what: What::Inlet(*from) });
    }
    let found = draft.sensors.iter().find(|(_, sensor)| sensor.role(false) == Some(Role::Inlet));
    found.map(|(path, _)| Extra { channel, path: path.clone(), what: What::Sensor(Quantity::Celsius) })
}

/// The energy sensor of a chassis whose own resource counts none.
fn total_energy(topology: &Topology<'_>, draft: &ChassisDraft, prefix: &str) -> Option<Extra> {
    if draft.environment.as_ref().is_some_and(|(_, environment)| environment.counts_energy()) {
        return None;
    }
    draft.sensors.iter().filter(|(path, _)| !topology.draft.covered.contains(path)).find_map(
        |(path, sensor)| {
            let Some(Role::TotalEnergy(quantity)) = sensor.role(false) else { return None };
            let channel = ChannelId::new(&format!("{prefix}input")).ok()?;
            Some(Extra { channel, path: path.clone(), what: What::Sensor(quantity) })
        },
    )
}

/// Sensors of parts, and of supplies that say nothing themselves, unless their reading stands elsewhere too.
fn others(topology: &Topology<'_>, draft: &ChassisDraft, prefix: &str) -> Vec<Extra> {
    let old_supplies = draft.power.as_ref().is_some_and(|(_, power)| !power.supplies.is_empty());
    let supplies_speak = old_supplies || draft.supplies.iter().any(|supply| supply.metrics.is_some());
    let found: Vec<_> = draft
        .sensors
        .iter()
        .filter(|(path, _)| !topology.draft.covered.contains(path))
        .filter_map(|(path, sensor)| {
            let named_total = topology.maker.is_total_sensor(path.last_segment());
            match sensor.role(named_total)? {
                Role::OfPart(quantity) => Some((path, sensor, quantity)),
                Role::OfSupply(quantity) if !supplies_speak => Some((path, sensor, quantity)),
                Role::OfSupply(_) | Role::Total(_) | Role::TotalEnergy(_) | Role::Inlet => None,
            }
        })
        .collect();
    let names = unique(found.iter().map(|(path, sensor, _)| (sensor.id.as_deref(), path.last_segment())));
    let extra = |((path, _, quantity), name): ((&ResourcePath, &Sensor, Quantity), String)| {
        let channel = ChannelId::new(&format!("{prefix}sensor/{name}")).ok()?;
        Some(Extra { channel, path: path.clone(), what: What::Sensor(quantity) })
    };
    found.into_iter().zip(names).filter_map(extra).collect()
}

/// Processors and memory modules with power or energy of their own, GPUs first: `gpu/<Id>`, and `system/<Id>/gpu/<Id>`
/// where there are several systems. A baseboard's are those of the server it is built into.
fn parts(topology: &Topology<'_>) -> Vec<Extra> {
    let nodes = topology.nodes();
    let node_names =
        unique(nodes.iter().map(|(_, path, system)| (system.id.as_deref(), path.last_segment())));
    let prefix = |system: usize| {
        let at = nodes.iter().position(|(at, ..)| *at == system);
        match at.and_then(|at| node_names.get(at)) {
            Some(name) if nodes.len() > 1 => format!("system/{name}/"),
            Some(_) | None => String::new(),
        }
    };
    let mut kinds: HashMap<(PartKind, String), Vec<&PartDraft>> = HashMap::new();
    for part in topology.draft.parts.iter().filter(|part| part.environment.is_some()) {
        kinds.entry((part.kind, prefix(part.system))).or_default().push(part);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|(a, _), (b, _)| a.cmp(b));
    kinds.iter().flat_map(|((kind, prefix), parts)| of_kind(topology, *kind, prefix, parts)).collect()
}

fn of_kind(topology: &Topology<'_>, kind: PartKind, prefix: &str, parts: &[&PartDraft]) -> Vec<Extra> {
    let word = match kind {
        PartKind::Gpu => "gpu",
        PartKind::Cpu => "cpu",
        PartKind::Accelerator => "accelerator",
        PartKind::Memory => "memory",
    };
    // A server and its baseboard may both have a `CPU_0`.
    let systems = &topology.draft.systems;
    let with_system = |part: &PartDraft| {
        let system = systems.get(part.system).map_or("", |(path, _)| path.last_segment());
        format!("{}-{}", safe(system), safe(part.path.last_segment()))
    };
    let fallbacks: Vec<String> = parts.iter().map(|part| with_system(part)).collect();
    let names = unique(parts.iter().zip(&fallbacks).map(|(part, f)| (part.id.as_deref(), f.as_str())));
    let extra = |(part, name): (&&PartDraft, String)| {
        let channel = ChannelId::new(&format!("{prefix}{word}/{name}")).ok()?;
        Some(Extra { channel, path: part.environment.clone()?, what: What::Part })
    };
    parts.iter().zip(names).filter_map(extra).collect()
}
