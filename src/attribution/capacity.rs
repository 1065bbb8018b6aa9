//! What a host has to give in an interval.

use std::time::Duration;

use super::smt::thousandths;
use super::split::{Capacity, Claim};
use crate::inventory::Host;
use crate::model::Ratio;
use crate::workloads::Node;

/// What may be reserved over `time`, and what the host used itself: `hypervisor_nanos` of CPU time, and the memory that is
/// taken beyond what its workloads take. Of a node that nobody told of, nothing is known.
pub(super) fn capacity(
    node: Option<&Node>,
    host: &Host,
    time: Duration,
    hypervisor_nanos: u64,
    claims: &[Claim],
) -> Capacity {
    let Some(node) = node else { return Capacity { hypervisor_nanos, ..Capacity::default() } };
    let over = |amount: u128, ratio| over_committed(amount.saturating_mul(time.as_nanos()), ratio);
    let taken = node.free_memory_bytes.map_or(0, |free| node.memory_bytes.saturating_sub(free) / 1024);
    let resident = claims.iter().fold(0u128, |sum, c| sum.saturating_add(c.resident_kib_nanos));
    Capacity {
        hypervisor_nanos,
        vcpu_nanos: over(node.cpus.into(), host.cpu_overcommit),
        memory_kib_nanos: over((node.memory_bytes / 1024).into(), host.memory_overcommit),
        hypervisor_kib_nanos: u128::from(taken).saturating_mul(time.as_nanos()).saturating_sub(resident),
    }
}

/// `amount` times an overcommit ratio, in thousandths.
fn over_committed(amount: u128, ratio: Ratio) -> u128 {
    amount.saturating_mul(thousandths(ratio)) / 1000
}
