//! `idle-dynamic`: a machine stands there for whoever reserved it, and works for whoever uses it.
//!
//! ```text
//! idle(i)    = I/2 v(i) / max(V, sum v) + I/2 m(i) / max(M, sum m)
//! dynamic(i) = (E - I) c(i) / (sum c + H)
//! ```

use super::{Scene, shares};
use crate::attribution::split::{Split, by_cpu, by_reservation};

pub(super) fn divide(scene: &Scene<'_>) -> Split {
    let idle = scene.idle.min(scene.energy);
    let (reserved, unallocated) = by_reservation(idle, scene.capacity, scene.claims);
    let (used, hypervisor) = by_cpu(scene.energy.since(idle), scene.capacity, scene.claims);
    Split { shares: shares(reserved, used), hypervisor, unallocated }
}
