//! `reservation`: all of it by what is reserved, as a flat rate. All of it is idle: nothing follows what a workload does.
//!
//! ```text
//! idle(i) = E/2 v(i) / max(V, sum v) + E/2 m(i) / max(M, sum m)
//! ```

use super::{Scene, shares};
use crate::attribution::split::{Split, by_reservation};
use crate::model::Microjoules;

pub(super) fn divide(scene: &Scene<'_>) -> Split {
    let (reserved, unallocated) = by_reservation(scene.energy, scene.capacity, scene.claims);
    let dynamic = vec![Microjoules::ZERO; reserved.len()];
    Split { shares: shares(reserved, dynamic), hypervisor: Microjoules::ZERO, unallocated }
}
