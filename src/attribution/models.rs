//! The models: each a pure function from a scene (a host, an interval, the claims on it) to a split that adds up to the
//! microjoule. Formulas, sources and figures stand in `docs/attribution.md` and `docs/accuracy.md`.

use super::split::{Capacity, Claim, Split, split};
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
        Model::IdleDynamic
        | Model::CpuProportional
        | Model::RaplWeighted
        | Model::PowerFactorVcores
        | Model::Reservation
        | Model::EqualIdle => split(scene.energy, scene.idle, scene.capacity, scene.claims),
    }
}
