//! What guests do: CPUs used in each second of a trace.

use super::random::Random;
use super::trace::SECONDS;

/// Levels between `low` and `high` (shares of `vcpus`), each held for 20 to 240 s, with a tremble of 5 %.
pub fn steps(random: &mut Random, vcpus: u32, low: f64, high: f64) -> Vec<f64> {
    let (mut level, mut until) = (0.0, 0);
    (0..SECONDS)
        .map(|s| {
            if s >= until {
                level = random.between(low, high);
                until = s + random.between(20.0, 240.0) as usize;
            }
            (level * random.between(0.95, 1.05)).min(1.0) * f64::from(vcpus)
        })
        .collect()
}

/// A saw tooth from `low` to `high` (shares of `vcpus`) and back, over `period` seconds.
pub fn waves(vcpus: u32, low: f64, high: f64, period: usize) -> Vec<f64> {
    let part = |s: usize| (s % period) as f64 / period as f64;
    let height = |p: f64| if p < 0.5 { 2.0 * p } else { 2.0 - 2.0 * p };
    (0..SECONDS).map(|s| (low + (high - low) * height(part(s))) * f64::from(vcpus)).collect()
}

/// The same share of `vcpus` all the time.
pub fn steady(vcpus: u32, share: f64) -> Vec<f64> {
    vec![share * f64::from(vcpus); SECONDS]
}

/// All vCPUs for 2 or 3 s, then next to nothing for 8 to 30 s.
pub fn bursts(random: &mut Random, vcpus: u32) -> Vec<f64> {
    let mut load = Vec::with_capacity(SECONDS + 40);
    while load.len() < SECONDS {
        let (busy, quiet) = (2 + random.below(2), 8 + random.below(23));
        load.extend(std::iter::repeat_n(f64::from(vcpus), busy));
        load.extend(std::iter::repeat_n(0.01 * f64::from(vcpus), quiet));
    }
    load.truncate(SECONDS);
    load
}
