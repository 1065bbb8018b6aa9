//! Who really caused what, second by second, from the curve that no method sees. The definition is defended in
//! `docs/accuracy.md`.

use super::random::Random;
use super::trace::{Guest, Machine, SECONDS, Trace, traffic};

/// Up to this many players the Shapley value is exact; of more it is the mean over permutations.
const EXACT_PLAYERS: usize = 10;
/// ... this many, each of them also walked backwards.
const PERMUTATIONS: usize = 40;

/// A guest's joules.
#[derive(Clone, Copy, Default)]
pub struct True {
    /// Its Shapley share of the power that follows load, and its memory traffic.
    pub dynamic: f64,
    /// Its part of the idle power by what it reserves.
    pub reserved: f64,
    /// Its part of the idle power in equal parts over the guests that are there.
    pub equal: f64,
}

/// The truth of every guest, in the trace's order.
pub fn truth(trace: &Trace) -> Vec<True> {
    let mut all = vec![True::default(); trace.guests.len()];
    for (h, machine) in trace.hosts.iter().enumerate() {
        let mut known: Option<(Vec<f64>, Vec<f64>)> = None;
        for s in 0..SECONDS {
            let here: Vec<usize> = (0..all.len()).filter(|g| trace.guests[*g].runs(h, s)).collect();
            let mut loads: Vec<f64> =
                here.iter().map(|g| trace.guests[*g].load[s] * trace.guests[*g].heat).collect();
            loads.push(machine.own[s]);
            // A second like the one before has its shares.
            if known.as_ref().is_none_or(|(before, _)| *before != loads) {
                let shares = shapley(machine, &loads, s as u64);
                known = Some((loads, shares));
            }
            let Some((_, shares)) = &known else { continue };
            for ((g, dynamic), reserved) in
                here.iter().zip(shares).zip(reserved(machine, &trace.guests, &here))
            {
                all[*g].dynamic += dynamic + traffic(&trace.guests[*g], s);
                all[*g].reserved += reserved;
                all[*g].equal += machine.curve.idle() / here.len() as f64;
            }
        }
    }
    all
}

/// Watts of idle power of each guest `here`: half by vCPUs, half by memory, of what may be reserved.
fn reserved(machine: &Machine, guests: &[Guest], here: &[usize]) -> Vec<f64> {
    let vcpus: f64 = here.iter().map(|g| f64::from(guests[*g].vcpus)).sum();
    let memory: f64 = here.iter().map(|g| f64::from(guests[*g].memory_gib)).sum();
    let (v, m) = ((machine.cpus * machine.overcommit).max(vcpus), machine.memory_gib.max(memory));
    let share = |g: &Guest| f64::from(g.vcpus) / v / 2.0 + f64::from(g.memory_gib) / m / 2.0;
    here.iter().map(|g| machine.curve.idle() * share(&guests[*g])).collect()
}

/// The Shapley value of the game in which a coalition is worth what the host would draw, above idle, if only they ran.
pub fn shapley(machine: &Machine, loads: &[f64], seed: u64) -> Vec<f64> {
    if let Some(rise) = machine.curve.straight() {
        return loads.iter().map(|load| rise * load / machine.cpus).collect();
    }
    let idle = machine.curve.idle();
    let worth = |load: f64| machine.curve.watts(load / machine.cpus) - idle;
    if loads.len() <= EXACT_PLAYERS { exact(loads, worth) } else { sampled(loads, worth, seed) }
}

fn exact(loads: &[f64], worth: impl Fn(f64) -> f64) -> Vec<f64> {
    let n = loads.len();
    // |S|! (n - |S| - 1)! / n! is 1 / (n × the number of coalitions of that size among the others).
    let mut choose = 1.0;
    let weights: Vec<f64> = (0..n)
        .map(|size| {
            let weight = 1.0 / (n as f64 * choose);
            choose = choose * (n - 1 - size) as f64 / (size + 1) as f64;
            weight
        })
        .collect();
    let mut load = vec![0.0; 1 << n];
    let mut worths = vec![0.0; 1 << n];
    for set in 1..1usize << n {
        let last = set.trailing_zeros() as usize;
        load[set] = load[set & (set - 1)] + loads[last];
        worths[set] = worth(load[set]);
    }
    let mut shares = vec![0.0; n];
    for set in 0..1usize << n {
        for (i, share) in shares.iter_mut().enumerate().filter(|(i, _)| set & (1 << i) == 0) {
            *share += weights[set.count_ones() as usize] * (worths[set | (1 << i)] - worths[set]);
        }
    }
    shares
}

fn sampled(loads: &[f64], worth: impl Fn(f64) -> f64, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    let mut order: Vec<usize> = (0..loads.len()).collect();
    let mut shares = vec![0.0; loads.len()];
    for _ in 0..PERMUTATIONS {
        for i in (1..order.len()).rev() {
            order.swap(i, random.below(i + 1));
        }
        for _ in 0..2 {
            let (mut load, mut before) = (0.0, 0.0);
            for i in &order {
                load += loads[*i];
                let after = worth(load);
                shares[*i] += after - before;
                before = after;
            }
            order.reverse();
        }
    }
    shares.iter().map(|s| s / (2 * PERMUTATIONS) as f64).collect()
}
