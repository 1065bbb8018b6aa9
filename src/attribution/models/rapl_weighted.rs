//! `rapl-weighted`: the formula of CEEMS (`cpu-ipmi-redfish.rules`), each term's shares normalised so that they add up.
//!
//! ```text
//! dynamic(i) = 0.9 E K/(K+D) c(i) / (sum c + H)
//! idle(i)    = 0.9 E D/(K+D) r(i) / (sum r + R) + 0.1 E / n
//! ```
//!
//! `K` and `D` are what RAPL counted of packages and memory, `r` resident memory, `R` the host's own, `n` the workloads
//! that hold anything of the host. The original divides by the host's totals as other tools count them, so that its terms
//! do not add up. Memory is idle here, since it does not follow CPU time.

use super::{Scene, shares};
use crate::attribution::split::{Split, apportion, by_cpu, in_equal_parts, with_rest};
use crate::model::Microjoules;

pub(super) fn divide(scene: &Scene<'_>) -> Split {
    let metered = Microjoules(scene.energy.0 / 10 * 9 + scene.energy.0 % 10 * 9 / 10);
    let (equal, unallocated) = in_equal_parts(scene.energy.since(metered), scene.claims);
    let memory = of_memory(scene, metered);
    let (used, cpu_rest) = by_cpu(metered.since(memory), scene.capacity, scene.claims);
    let resident = scene.claims.iter().map(|c| c.resident_kib_nanos);
    let (held, memory_rest) = with_rest(memory, resident, scene.capacity.hypervisor_kib_nanos);
    let idle = held.into_iter().zip(equal).map(|(memory, equal)| memory + equal).collect();
    Split { shares: shares(idle, used), hypervisor: cpu_rest + memory_rest, unallocated }
}

/// The part that goes by memory; none without RAPL, or where nobody's memory is known.
fn of_memory(scene: &Scene<'_>, energy: Microjoules) -> Microjoules {
    let is_known = scene.claims.iter().any(|c| c.resident_kib_nanos > 0);
    let Some(rapl) = scene.rapl.filter(|_| is_known) else { return Microjoules::ZERO };
    apportion(energy, &[rapl.packages.0, rapl.memory.0]).get(1).copied().unwrap_or_default()
}
