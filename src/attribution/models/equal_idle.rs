//! `equal-idle`: idle power in equal parts over those that are there, the rest by CPU time. Of a host whose power is a straight
//! line over load this is the Shapley value: any of them would keep it switched on.
//!
//! ```text
//! idle(i)    = I / n                      n: workloads that hold anything of the host
//! dynamic(i) = (E - I) c(i) / (sum c + H)
//! ```

use super::{Scene, shares};
use crate::attribution::split::{Split, by_cpu, in_equal_parts};

pub(super) fn divide(scene: &Scene<'_>) -> Split {
    let idle = scene.idle.min(scene.energy);
    let (equal, unallocated) = in_equal_parts(idle, scene.claims);
    let (used, hypervisor) = by_cpu(scene.energy.since(idle), scene.capacity, scene.claims);
    Split { shares: shares(equal, used), hypervisor, unallocated }
}
