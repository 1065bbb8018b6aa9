//! Splits: one host's energy over one interval, given away to the microjoule. Pure integers, so that the parts add up
//! exactly and do not depend on the order in which workloads come.
//!
//! The idle part goes by what is reserved (half by vCPU, half by memory), the dynamic part by CPU time of the same
//! interval; what nobody reserved is `unallocated`, what the host itself used is `hypervisor`.

use serde::{Deserialize, Serialize};

use crate::model::Microjoules;

/// Divides `total` in proportion to `weights` by the largest remainder: every share is within one microjoule of the exact
/// one and the shares add up to `total`. Equal remainders are served in order. All weights 0 gives all shares 0.
#[must_use]
pub fn apportion(total: Microjoules, weights: &[u128]) -> Vec<Microjoules> {
    let sum: u128 = weights.iter().fold(0, |a, b| a.saturating_add(*b));
    if sum == 0 {
        return vec![Microjoules::ZERO; weights.len()];
    }
    // Weights are scaled so far down that every product stays inside 128 bits.
    let shift = 129u32.saturating_sub(sum.leading_zeros()).saturating_sub(total.0.leading_zeros());
    let sum: u128 = weights.iter().map(|w| w >> shift).sum::<u128>().max(1);
    let mut left = total.0;
    let mut remainders: Vec<(u128, usize)> = Vec::with_capacity(weights.len());
    let mut shares: Vec<Microjoules> = weights
        .iter()
        .enumerate()
        .map(|(i, w)| {
            let product = total.0.saturating_mul(w >> shift);
            let share = product / sum;
            left = left.saturating_sub(share);
            remainders.push((product % sum, i));
            Microjoules(share)
        })
        .collect();
    // Fewer microjoules are left than there are weights with a remainder; they go to the largest remainders.
    let due = usize::try_from(left).unwrap_or(usize::MAX).min(remainders.len());
    let order = |a: &(u128, usize), b: &(u128, usize)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
    if due > 0 {
        if due < remainders.len() {
            remainders.select_nth_unstable_by(due, order);
        }
        for (_, i) in remainders.iter().take(due) {
            if let Some(share) = shares.get_mut(*i) {
                *share += Microjoules(1);
            }
        }
    }
    shares
}

/// What one workload asks of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claim {
    /// CPU time in the interval, ns.
    pub cpu_nanos: u64,
    /// vCPUs it held, times the ns it held them.
    pub vcpu_nanos: u128,
    /// Memory it held, KiB, times the ns it held it.
    pub memory_kib_nanos: u128,
    /// Memory of the host that it really took, KiB, times ns; what it held where that is not known.
    pub resident_kib_nanos: u128,
}

/// The host around the workloads, over the same interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capacity {
    /// CPU time that the host itself used, ns.
    pub hypervisor_nanos: u64,
    /// vCPUs that may be reserved, times ns; 0 if unknown.
    pub vcpu_nanos: u128,
    /// Memory that may be reserved, KiB, times ns; 0 if unknown.
    pub memory_kib_nanos: u128,
}

/// One workload's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// For what it reserved.
    pub idle: Microjoules,
    /// For what it used.
    pub dynamic: Microjoules,
}

/// A host's energy, given away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// One a claim, in the claims' order.
    pub shares: Vec<Share>,
    /// What the host used itself.
    pub hypervisor: Microjoules,
    /// What nobody reserved.
    pub unallocated: Microjoules,
}

/// Gives `energy` away, of which `idle` (at most all) is the idle part.
///
/// Overcommit: where more is reserved than there is, reservations are measured against each other and nothing is
/// unallocated. With no CPU time known at all the dynamic part is the hypervisor's.
#[must_use]
pub fn split(energy: Microjoules, idle: Microjoules, capacity: Capacity, claims: &[Claim]) -> Split {
    let idle = idle.min(energy);
    let dynamic = energy.since(idle);
    let by_cpu = Microjoules(idle.0 / 2);
    let by_memory = idle.since(by_cpu);
    let (cpu_shares, cpu_rest) = reserve(by_cpu, capacity.vcpu_nanos, claims, |c| c.vcpu_nanos);
    let (memory_shares, memory_rest) =
        reserve(by_memory, capacity.memory_kib_nanos, claims, |c| c.memory_kib_nanos);

    let mut weights: Vec<u128> = claims.iter().map(|c| u128::from(c.cpu_nanos)).collect();
    weights.push(u128::from(capacity.hypervisor_nanos));
    let mut dynamic_shares = apportion(dynamic, &weights);
    let given: Microjoules = dynamic_shares.iter().copied().sum();
    let hypervisor = dynamic_shares.pop().unwrap_or_default() + dynamic.since(given);

    let shares = cpu_shares
        .into_iter()
        .zip(memory_shares)
        .zip(dynamic_shares)
        .map(|((cpu, memory), dynamic)| Share { idle: cpu + memory, dynamic })
        .collect();
    Split { shares, hypervisor, unallocated: cpu_rest + memory_rest }
}

/// Divides `energy` by one kind of reservation; the second is what nobody reserved.
fn reserve(
    energy: Microjoules,
    capacity: u128,
    claims: &[Claim],
    of: impl Fn(&Claim) -> u128,
) -> (Vec<Microjoules>, Microjoules) {
    let mut weights: Vec<u128> = claims.iter().map(of).collect();
    let reserved = weights.iter().fold(0u128, |a, b| a.saturating_add(*b));
    weights.push(capacity.saturating_sub(reserved));
    let mut shares = apportion(energy, &weights);
    let given: Microjoules = shares.iter().copied().sum();
    let rest = shares.pop().unwrap_or_default() + energy.since(given);
    (shares, rest)
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
