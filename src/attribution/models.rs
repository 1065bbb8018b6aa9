//! The models: each a pure function from a scene (a host, an interval, the claims on it) to a split that adds up to the
//! microjoule. Formulas, sources and figures stand in `docs/attribution.md` and `docs/accuracy.md`.
//!
//! A share's `idle` part is what does not follow the workload's own CPU time, its `dynamic` part what does. GPUs are not
//! the models' matter: what they drew is taken out of the scene before.

mod cpu_proportional;
mod equal_idle;
mod idle_dynamic;
pub mod power_factor;
mod rapl_weighted;
mod reservation;

use super::split::{Capacity, Claim, Share, Split};
use crate::inventory::Model;
use crate::model::Microjoules;

/// All that a model may look at.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// What is to be given away. GPUs are not in it where they are metered by themselves.
    pub energy: Microjoules,
    /// How much of it the host would have drawn without load.
    pub idle: Microjoules,
    /// Energy of the processors and of the memory by their own meters, where they have them.
    pub rapl: Option<Rapl>,
    /// The host.
    pub capacity: Capacity,
    /// The workloads.
    pub claims: &'a [Claim],
}

/// What RAPL counted over the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rapl {
    /// All packages.
    pub packages: Microjoules,
    /// All memory; 0 where there is no such domain.
    pub memory: Microjoules,
}

/// Divides a scene's energy.
#[must_use]
pub fn divide(model: Model, scene: &Scene<'_>) -> Split {
    match model {
        Model::IdleDynamic => idle_dynamic::divide(scene),
        Model::CpuProportional => cpu_proportional::divide(scene),
        Model::RaplWeighted => rapl_weighted::divide(scene),
        Model::PowerFactorVcores => power_factor::divide(scene),
        Model::Reservation => reservation::divide(scene),
        Model::EqualIdle => equal_idle::divide(scene),
    }
}

/// Shares from their idle and dynamic parts, in the same order.
fn shares(idle: Vec<Microjoules>, dynamic: Vec<Microjoules>) -> Vec<Share> {
    idle.into_iter().zip(dynamic).map(|(idle, dynamic)| Share { idle, dynamic, ..Share::default() }).collect()
}

#[cfg(test)]
mod tests;
