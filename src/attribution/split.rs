//! Splits: one host's energy over one interval, given away to the microjoule. Pure integers, so that the parts add up
//! exactly and do not depend on the order in which workloads come.
//!
//! Lives here: what is divided, among whom, and the two ways to divide that the models are made of: by CPU time and by
//! what is reserved. Does not live here: the models themselves (`models`).

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
    // Weights are scaled so far down that their sum, and every product, stays inside 128 bits.
    let room = if sum == u128::MAX { usize::BITS - weights.len().leading_zeros() } else { 0 };
    let sum = weights.iter().map(|w| w >> room).sum::<u128>();
    let shift = 129u32.saturating_sub(sum.leading_zeros()).saturating_sub(total.0.leading_zeros());
    let shift = room.saturating_add(shift).min(127);
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
    /// CPU cycles in the interval; none where they were not counted.
    pub cycles: Option<u64>,
    /// vCPUs it held, times the ns it held them.
    pub vcpu_nanos: u128,
    /// Memory it held, KiB, times the ns it held it.
    pub memory_kib_nanos: u128,
    /// Memory of the host that it really took, KiB, times ns; what it held where that is not known.
    pub resident_kib_nanos: u128,
}

impl Claim {
    /// Whether it held or used anything of the host in the interval.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.cpu_nanos > 0 || self.vcpu_nanos > 0 || self.memory_kib_nanos > 0
    }
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
    /// Memory that the host itself took, KiB, times ns; 0 if unknown.
    pub hypervisor_kib_nanos: u128,
}

/// One workload's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// For what it reserved.
    pub idle: Microjoules,
    /// For what it used.
    pub dynamic: Microjoules,
    /// Of GPUs that are its alone and metered by themselves.
    pub gpu: Microjoules,
}

impl Share {
    /// All parts together.
    #[must_use]
    pub fn total(self) -> Microjoules {
        self.idle + self.dynamic + self.gpu
    }
}

impl std::ops::AddAssign for Share {
    fn add_assign(&mut self, other: Self) {
        self.idle += other.idle;
        self.dynamic += other.dynamic;
        self.gpu += other.gpu;
    }
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

/// Divides `energy` by CPU time; the second is the host's own part. With no CPU time known at all everything is the
/// host's.
pub(super) fn by_cpu(
    energy: Microjoules,
    capacity: Capacity,
    claims: &[Claim],
) -> (Vec<Microjoules>, Microjoules) {
    let weights = claims.iter().map(|c| u128::from(c.cpu_nanos));
    with_rest(energy, weights, u128::from(capacity.hypervisor_nanos))
}

/// Divides `energy` by what is reserved, half by vCPUs and half by memory; the second is what nobody reserved.
///
/// Overcommit: where more is reserved than there is, reservations are measured against each other and nothing is
/// unallocated.
pub(super) fn by_reservation(
    energy: Microjoules,
    capacity: Capacity,
    claims: &[Claim],
) -> (Vec<Microjoules>, Microjoules) {
    let half = Microjoules(energy.0 / 2);
    let (cpu, cpu_rest) = reserve(half, capacity.vcpu_nanos, claims, |c| c.vcpu_nanos);
    let (memory, memory_rest) =
        reserve(energy.since(half), capacity.memory_kib_nanos, claims, |c| c.memory_kib_nanos);
    (cpu.into_iter().zip(memory).map(|(c, m)| c + m).collect(), cpu_rest + memory_rest)
}

/// Divides `energy` in equal parts over those that hold anything of the host; the second is all of it where nobody does.
pub(super) fn in_equal_parts(energy: Microjoules, claims: &[Claim]) -> (Vec<Microjoules>, Microjoules) {
    with_rest(energy, claims.iter().map(|c| u128::from(c.is_there())), 0)
}

/// Divides `energy` by one kind of reservation; the second is what nobody reserved.
fn reserve(
    energy: Microjoules,
    capacity: u128,
    claims: &[Claim],
    of: impl Fn(&Claim) -> u128,
) -> (Vec<Microjoules>, Microjoules) {
    let reserved = claims.iter().map(&of).fold(0u128, u128::saturating_add);
    with_rest(energy, claims.iter().map(of), capacity.saturating_sub(reserved))
}

/// Divides `energy` by weights, of which the last is the rest's; all 0 gives everything to the rest.
pub(super) fn with_rest(
    energy: Microjoules,
    weights: impl Iterator<Item = u128>,
    rest: u128,
) -> (Vec<Microjoules>, Microjoules) {
    let weights: Vec<u128> = weights.chain([rest]).collect();
    let mut shares = apportion(energy, &weights);
    let given: Microjoules = shares.iter().copied().sum();
    let rest = shares.pop().unwrap_or_default() + energy.since(given);
    (shares, rest)
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
