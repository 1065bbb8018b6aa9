//! `cpu-proportional`: all power follows CPU time. All of it is dynamic: a workload that does nothing pays nothing, and what a
//! busy one pays depends on how busy its neighbours are.
//!
//! ```text
//! dynamic(i) = E c(i) / (sum c + H)
//! ```

use super::{Scene, shares};
use crate::attribution::split::{Split, by_cpu};
use crate::model::Microjoules;

pub(super) fn divide(scene: &Scene<'_>) -> Split {
    let (used, hypervisor) = by_cpu(scene.energy, scene.capacity, scene.claims);
    let idle = vec![Microjoules::ZERO; used.len()];
    Split { shares: shares(idle, used), hypervisor, unallocated: Microjoules::ZERO }
}
