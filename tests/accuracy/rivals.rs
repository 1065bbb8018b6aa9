//! The published formulas of others, each fed with what it would see: its own interval, its own counters. Pure functions,
//! written from their sources; names, versions and formulas stand on the page.

use super::trace::{Guest, SECONDS, Trace};

/// What a method gives away.
pub struct Given {
    /// Joules of each guest, in the trace's order.
    pub guests: Vec<f64>,
    /// Of these, what the method itself calls dynamic; all of it where it makes no difference.
    pub dynamic: Vec<f64>,
    /// Joules that it books elsewhere by name: idle ...
    pub idle: f64,
    /// ... and the system's.
    pub system: f64,
}

impl Given {
    pub fn none(trace: &Trace) -> Self {
        let nothing = vec![0.0; trace.guests.len()];
        Self { guests: nothing.clone(), dynamic: nothing, idle: 0.0, system: 0.0 }
    }

    fn all_dynamic(mut self) -> Self {
        self.dynamic.clone_from(&self.guests);
        self
    }
}

/// A method of others.
pub struct Rival {
    pub name: &'static str,
    /// Whether it is published as it stands here; else it is what its formula would do with more than it is given.
    pub published: bool,
    pub run: fn(&Trace) -> Given,
}

const fn published(name: &'static str, run: fn(&Trace) -> Given) -> Rival {
    Rival { name, published: true, run }
}

const fn stretched(name: &'static str, run: fn(&Trace) -> Given) -> Rival {
    Rival { name, published: false, run }
}

/// All, in the page's order.
pub const ALL: [Rival; 8] = [
    published("CEEMS with RAPL", |t| ceems(t, true)),
    published("CEEMS without RAPL", |t| ceems(t, false)),
    published("Kepler 0.10 RAPL", kepler),
    published("Kepler 0.9 platform", kepler_ratio),
    published("Leaf", leaf),
    published("MRPUSA", mrpusa),
    stretched("Kepler 0.10 on the wall", kepler_on_the_wall),
    stretched("Leaf on the wall", leaf_on_the_wall),
];

/// CEEMS, `cpu-ipmi-redfish-hwmon.rules`:
/// `0.9 H K/(K+D) c/C + 0.9 H D/(K+D) m/M + 0.1 H/n`, at every scrape, with rates since the scrape before.
fn ceems(trace: &Trace, with_rapl: bool) -> Given {
    let mut given = Given::none(trace);
    for (h, machine) in trace.hosts.iter().enumerate() {
        for (from, until) in intervals(trace.poll) {
            // A rate needs the unit in both scrapes.
            let units = here(trace, h, from, until);
            let n = trace.guests.iter().filter(|g| g.listed(h, until).is_some()).count() as f64;
            let energy = trace.shown(h, until) * (until - from) as f64;
            let busy = trace.busy_cpu(h, from, until);
            let used: f64 =
                trace.guests.iter().filter(|g| g.listed(h, until).is_some()).map(resident_gib).sum();
            let (packages, memory) = if with_rapl { trace.rapl(h, from, until) } else { (1.0, 0.0) };
            let (k, d) = (packages / (packages + memory), memory / (packages + memory));
            for i in units {
                let guest = &trace.guests[i];
                let by_cpu = 0.9 * energy * k * ratio(guest.cpu(h, from, until), busy);
                let by_memory = 0.9 * energy * d * resident_gib(guest) / (used + machine.own_memory_gib);
                given.guests[i] += by_cpu + by_memory + 0.1 * energy / n;
                given.dynamic[i] += by_cpu;
            }
        }
    }
    given
}

fn resident_gib(guest: &Guest) -> f64 {
    f64::from(guest.memory_gib) * guest.resident
}

/// Kepler's own interval, s.
const KEPLER: usize = 5;

/// Kepler 0.10 and newer, `internal/monitor`: of every RAPL zone, `energy × busy ratio × CPU time / CPU time of all`; the
/// rest is the node's idle energy.
fn kepler(trace: &Trace) -> Given {
    let zones = |h, from, until| {
        let (packages, memory) = trace.rapl(h, from, until);
        packages + memory
    };
    by_busy_ratio(trace, KEPLER, zones)
}

/// The same with the power of the whole host, which Kepler reads but does not divide. Not published.
fn kepler_on_the_wall(trace: &Trace) -> Given {
    by_busy_ratio(trace, trace.poll, |h, from, until| trapezoid(trace, h, from, until))
}

fn by_busy_ratio(trace: &Trace, interval: usize, energy: impl Fn(usize, usize, usize) -> f64) -> Given {
    let mut given = Given::none(trace);
    for (h, machine) in trace.hosts.iter().enumerate() {
        for (from, until) in intervals(interval) {
            let energy = energy(h, from, until);
            let busy = trace.busy_cpu(h, from, until);
            let active = energy * busy / (machine.cpus * (until - from) as f64);
            given.idle += energy - active;
            given.system += active;
            for (i, guest) in trace.guests.iter().enumerate().filter(|(_, g)| g.listed(h, until).is_some()) {
                let share = active * ratio(guest.cpu(h, from, until), busy);
                given.guests[i] += share;
                given.system -= share;
            }
        }
    }
    given.all_dynamic()
}

/// The ratio model of Kepler up to 0.9 (`pkg/model/estimator/local/ratio.go`) on platform power: the least energy of an interval so
/// far is idle and goes in equal parts to the guests and the system, the rest goes by CPU time.
fn kepler_ratio(trace: &Trace) -> Given {
    let mut given = Given::none(trace);
    for h in 0..trace.hosts.len() {
        let mut least = f64::INFINITY;
        for (from, until) in intervals(trace.poll) {
            let energy = trace.shown(h, until) * (until - from) as f64;
            least = least.min(energy);
            let busy = trace.busy_cpu(h, from, until);
            let listed: Vec<usize> =
                (0..trace.guests.len()).filter(|i| trace.guests[*i].listed(h, until).is_some()).collect();
            given.system += energy;
            for i in &listed {
                let dynamic = (energy - least) * ratio(trace.guests[*i].cpu(h, from, until), busy);
                let idle = least / (listed.len() + 1) as f64;
                given.guests[*i] += dynamic + idle;
                given.dynamic[*i] += dynamic;
                given.system -= dynamic + idle;
            }
        }
    }
    given
}

/// Leaf, `internal/calculator/tenant.go`, once an hour: the idle energy of all hosts by `(v/V + m/M) / 2` of their sizes,
/// plus what Kepler gives. Guests that are gone at the end of the hour are not known.
fn leaf(trace: &Trace) -> Given {
    reserved_idle(trace, &kepler(trace))
}

/// The same with Kepler's formula on the power of the whole host. Not published.
fn leaf_on_the_wall(trace: &Trace) -> Given {
    reserved_idle(trace, &kepler_on_the_wall(trace))
}

fn reserved_idle(trace: &Trace, dynamic: &Given) -> Given {
    let mut given = Given::none(trace);
    let cpus: f64 = trace.hosts.iter().map(|m| m.cpus).sum();
    let memory: f64 = trace.hosts.iter().map(|m| m.memory_gib).sum();
    for (i, guest) in trace.guests.iter().enumerate() {
        if (0..trace.hosts.len()).all(|h| guest.listed(h, SECONDS).is_none()) {
            continue;
        }
        let share = (f64::from(guest.vcpus) / cpus + f64::from(guest.memory_gib) / memory) / 2.0;
        given.guests[i] = dynamic.idle * share + dynamic.guests[i];
        given.dynamic[i] = dynamic.guests[i];
    }
    given
}

/// MRPUSA's window, s: Redfish's history of 20 minutes. The published script takes a day and a month's utilisation.
const MRPUSA: usize = 1200;

/// MRPUSA, `carbon_calculation.sql`: the energy of all hosts of the cluster by `cores × power factor at utilisation`.
fn mrpusa(trace: &Trace) -> Given {
    let mut given = Given::none(trace);
    for (from, until) in intervals(MRPUSA) {
        let mean = |h| (from + 1..=until).map(|t| trace.shown(h, t)).sum::<f64>();
        let energy: f64 = (0..trace.hosts.len()).map(mean).sum();
        let weight = |g: &Guest| {
            let listed = (0..trace.hosts.len()).any(|h| (from..until).any(|s| g.runs(h, s)));
            let cpu: f64 = (0..trace.hosts.len()).map(|h| g.cpu(h, from, until)).sum();
            let used = 100.0 * cpu / (f64::from(g.vcpus) * (until - from) as f64);
            if listed { f64::from(g.vcpus) * power_factor(used) } else { 0.0 }
        };
        let weights: Vec<f64> = trace.guests.iter().map(weight).collect();
        let sum: f64 = weights.iter().sum();
        for (joules, weight) in given.guests.iter_mut().zip(&weights) {
            *joules += energy * ratio(*weight, sum);
        }
    }
    given.all_dynamic()
}

/// Share of the rated power at a utilisation, %.
fn power_factor(used: f64) -> f64 {
    const BANDS: [(f64, f64); 11] = [
        (5.0, 0.30),
        (15.0, 0.42),
        (25.0, 0.46),
        (35.0, 0.51),
        (45.0, 0.56),
        (55.0, 0.61),
        (65.0, 0.68),
        (75.0, 0.74),
        (85.0, 0.82),
        (95.0, 0.91),
        (100.0, 1.00),
    ];
    BANDS.iter().find(|(most, _)| used <= *most).map_or(1.0, |(_, factor)| *factor)
}

fn intervals(length: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..SECONDS).step_by(length).map(move |from| (from, from + length))
}

/// Guests that both samples list, in the same run.
fn here(trace: &Trace, host: usize, from: usize, until: usize) -> Vec<usize> {
    let stays = |g: &Guest| g.listed(host, until).filter(|stay| g.listed(host, from) == Some(*stay));
    (0..trace.guests.len()).filter(|i| stays(&trace.guests[*i]).is_some()).collect()
}

/// Joules between two readings of the meter.
pub fn trapezoid(trace: &Trace, host: usize, from: usize, until: usize) -> f64 {
    (trace.shown(host, from) + trace.shown(host, until)) / 2.0 * (until - from) as f64
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
