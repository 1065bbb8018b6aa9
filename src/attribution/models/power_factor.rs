//! `power-factor-vcores`: the method of MRPUSA: vCPUs times the power factor at their utilisation.
//!
//! ```text
//! E(i) = E v(i) pf(u(i)) / sum of v pf      u(i) = c(i) / v(i)
//! ```
//!
//! The power factor is the share of its rated power that a machine draws at some utilisation, not cos phi. What a workload
//! would weigh without load (0.30 of its vCPUs) is its idle part, the rest its dynamic part. The host itself takes no part;
//! what nobody can be given is unallocated.

use super::{Scene, shares};
use crate::attribution::split::{Claim, Split, with_rest};
use crate::model::Microjoules;

/// Utilisation up to and including the first, in percent, draws the second, in hundredths of rated power.
const BANDS: [(u128, u32); 11] = [
    (5, 30),
    (15, 42),
    (25, 46),
    (35, 51),
    (45, 56),
    (55, 61),
    (65, 68),
    (75, 74),
    (85, 82),
    (95, 91),
    (100, 100),
];

/// The power factor of what does nothing, in hundredths.
const AT_REST: u32 = 30;

/// The power factor in hundredths, 30 to 100, where `used` of `available` CPU time was used; more than all of it counts as
/// all.
///
/// Source: the power factor table of `hsbc/mrpusa`, `carbon_calculation.sql`, whose bands include their upper bound. There
/// a utilisation above 100 gives 0.
#[must_use]
pub fn hundredths(used: u128, available: u128) -> u32 {
    let within = |(percent, _): &&(u128, u32)| used.saturating_mul(100) <= available.saturating_mul(*percent);
    BANDS.iter().find(within).map_or(100, |(_, factor)| *factor)
}

pub(super) fn divide(scene: &Scene<'_>) -> Split {
    let weights = || scene.claims.iter().map(weights);
    let weights = weights().map(|(idle, _)| idle).chain(weights().map(|(_, dynamic)| dynamic));
    let (mut idle, unallocated) = with_rest(scene.energy, weights, 0);
    let dynamic = idle.split_off(scene.claims.len().min(idle.len()));
    Split { shares: shares(idle, dynamic), hypervisor: Microjoules::ZERO, unallocated }
}

/// What a workload weighs: the part that it would weigh without load, and the rest.
pub(in crate::attribution) fn weights(claim: &Claim) -> (u128, u128) {
    let weigh = |of: u32| claim.vcpu_nanos.saturating_mul(of.into());
    let factor = factor(claim);
    (weigh(factor.min(AT_REST)), weigh(factor.saturating_sub(AT_REST)))
}

fn factor(claim: &Claim) -> u32 {
    hundredths(claim.cpu_nanos.into(), claim.vcpu_nanos)
}
