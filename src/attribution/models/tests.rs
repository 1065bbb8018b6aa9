//! Claims about the models: by hand, one at a time, and by properties that hold for all of them.

mod by_hand;
mod properties;

use super::*;

/// A VM of so much CPU time, ns, vCPU time, and memory, all of it resident.
fn claim(cpu: u64, vcpus: u128, memory: u128) -> Claim {
    Claim {
        cpu_nanos: cpu,
        vcpu_nanos: vcpus,
        memory_kib_nanos: memory,
        resident_kib_nanos: memory,
        ..Claim::default()
    }
}

fn total(s: &Split) -> u128 {
    s.shares.iter().map(|s| s.total().0).sum::<u128>() + s.hypervisor.0 + s.unallocated.0
}
