//! What a discovery has found of a BMC so far, before `plan` makes anything of it.

use std::collections::HashSet;

use super::origin::{Origin, ResourcePath};
use super::resources::{Chassis, Environment, Excerpt, Manager, Power, Root, Supply, SupplyMetrics, System};
use super::sensors::Sensor;
use crate::model::PollError;

/// A chassis and what was found at it.
#[derive(Debug)]
pub(super) struct ChassisDraft {
    pub(super) path: ResourcePath,
    pub(super) chassis: Chassis,
    pub(super) environment: Option<(ResourcePath, Environment)>,
    pub(super) power: Option<(ResourcePath, Power)>,
    /// Of `PowerSubsystem`.
    pub(super) capacity_watts: Option<f64>,
    pub(super) supplies: Vec<SupplyDraft>,
    /// Where the temperature of the air that comes in is.
    pub(super) inlet: Option<(ResourcePath, Inlet)>,
    pub(super) sensors: Vec<(ResourcePath, Sensor)>,
}

/// The resource that has the temperature of the air that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inlet {
    /// `ThermalMetrics`.
    Metrics,
    /// `Thermal`.
    Thermal,
}

/// A power supply of the newer model.
#[derive(Debug)]
pub(super) struct SupplyDraft {
    pub(super) path: ResourcePath,
    pub(super) supply: Supply,
    /// Its `Metrics`, if there is anything to read in them.
    pub(super) metrics: Option<ResourcePath>,
}

/// A processor or memory module with power or energy of its own.
#[derive(Debug)]
pub(super) struct PartDraft {
    /// The system it is in, by its place.
    pub(super) system: usize,
    pub(super) kind: PartKind,
    pub(super) id: Option<String>,
    pub(super) path: ResourcePath,
    /// Its `EnvironmentMetrics`, if they have power or energy.
    pub(super) environment: Option<ResourcePath>,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PartKind {
    /// A GPU.
    Gpu,
    /// A CPU.
    Cpu,
    /// Any other processor.
    Accelerator,
    /// A memory module.
    Memory,
}

/// All that was found, before anything is made of it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) root: Root,
    pub(super) chassis: Vec<ChassisDraft>,
    pub(super) systems: Vec<(ResourcePath, System)>,
    pub(super) parts: Vec<PartDraft>,
    pub(super) manager: Manager,
    /// Sensors whose reading stands in a resource that is polled anyway.
    pub(super) covered: HashSet<ResourcePath>,
    /// Why the first of the resources that were left out was.
    pub(super) left_out: Option<PollError>,
}

impl ChassisDraft {
    /// A chassis of which nothing more is known yet.
    pub(super) fn new(path: ResourcePath, chassis: Chassis) -> Self {
        let (environment, power, capacity_watts, inlet) = (None, None, None, None);
        let (supplies, sensors) = (Vec::new(), Vec::new());
        Self { path, chassis, environment, power, capacity_watts, supplies, inlet, sensors }
    }
}

impl Draft {
    /// Remembers the sensors whose excerpts `environment` shows.
    pub(super) fn cover_environment(&mut self, environment: &Environment, origin: &Origin) {
        let Environment { power_watts, energy_kwh, energy_joules, .. } = environment;
        self.cover(power_watts.iter().chain([energy_kwh, energy_joules]), origin);
    }

    /// Remembers the sensors whose excerpts `metrics` show.
    pub(super) fn cover_supply(&mut self, metrics: &SupplyMetrics, origin: &Origin) {
        let SupplyMetrics { input_watts, energy_kwh, input_volts, input_amperes, .. } = metrics;
        self.cover([input_watts, energy_kwh, input_volts, input_amperes].into_iter(), origin);
    }

    fn cover<'a>(&mut self, excerpts: impl Iterator<Item = &'a Excerpt>, origin: &Origin) {
        let source = |excerpt: &Excerpt| origin.resolve(excerpt.source.as_deref()?);
        self.covered.extend(excerpts.filter_map(source));
    }
}
