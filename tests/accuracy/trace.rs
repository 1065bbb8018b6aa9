//! A trace: hosts, guests, what each guest used in each second, and so what the hosts drew. What methods see of it
//! (meters, counters, RAPL) is asked here; what nobody sees is the truth (`truth.rs`).

use super::curve::Curve;
use super::random::Random;

/// Length of every trace: an hour.
pub const SECONDS: usize = 3600;

/// What the processors' own counters see, as shares of the host.
#[derive(Clone, Copy)]
pub struct Rapl {
    /// Of the power without load: packages, memory.
    pub idle: (f64, f64),
    /// Of the power that follows load: packages, memory.
    pub load: (f64, f64),
    /// Whether there is a counter for memory.
    pub has_memory: bool,
}

/// Two packages with memory, the rest (fans, disks, boards, supply losses) unseen.
pub const RAPL: Rapl = Rapl { idle: (0.35, 0.08), load: (0.70, 0.10), has_memory: true };

/// A meter at the wall.
#[derive(Clone, Copy)]
pub struct Meter {
    /// It shows a new value every so many seconds ...
    pub refresh: usize,
    /// ... the mean over so many ...
    pub window: usize,
    /// ... that ended so many seconds ago ...
    pub lag: usize,
    /// ... off by this share, standard deviation ...
    pub noise: f64,
    /// ... in steps of this many watts.
    pub step: f64,
}

impl Meter {
    /// For the page.
    pub fn words(&self) -> String {
        let mut words = match self.window {
            1 => String::new(),
            window => format!("mean of {window} s, "),
        };
        if self.lag > 0 {
            words += &format!("{} s late, ", self.lag);
        }
        if self.noise > 0.0 {
            words += &format!("noise {:.0} %, ", self.noise * 100.0);
        }
        words + &format!("each {} s, in {} W", self.refresh, self.step)
    }
}

/// Each second, the mean of that second, to a tenth of a watt.
pub const METER: Meter = Meter { refresh: 1, window: 1, lag: 0, noise: 0.0, step: 0.1 };

/// A physical host.
pub struct Machine {
    pub cpus: f64,
    pub memory_gib: f64,
    pub overcommit: f64,
    pub curve: Curve,
    pub rapl: Rapl,
    /// CPUs that the host itself uses, each second.
    pub own: Vec<f64>,
    /// Memory that the host itself uses, GiB.
    pub own_memory_gib: f64,
}

/// When a guest is on which host: from, until (seconds), host.
pub type Stay = (usize, usize, usize);

/// A virtual machine.
pub struct Guest {
    pub name: String,
    pub vcpus: u32,
    pub memory_gib: u32,
    /// Share of its memory that it has touched.
    pub resident: f64,
    /// How hot its CPU seconds are: 1 is as the curve says.
    pub heat: f64,
    /// Watts of memory traffic for each CPU it uses.
    pub traffic_watts: f64,
    pub stays: Vec<Stay>,
    /// CPUs it uses, each second.
    pub load: Vec<f64>,
}

impl Guest {
    /// Whether it is on `host` in the second that begins at `s`.
    pub fn runs(&self, host: usize, s: usize) -> bool {
        self.stays.iter().any(|(from, until, h)| *h == host && (*from..*until).contains(&s))
    }

    /// Whether a sample at `t` lists it on `host`, and which stay that is.
    pub fn listed(&self, host: usize, t: usize) -> Option<usize> {
        self.stays.iter().position(|(from, until, h)| {
            *h == host && *from <= t && (t < *until || (t == SECONDS && *until == SECONDS))
        })
    }

    /// CPU seconds used on `host` from `from` to `until`.
    pub fn cpu(&self, host: usize, from: usize, until: usize) -> f64 {
        (from..until).filter(|s| self.runs(host, *s)).map(|s| self.load[s]).sum()
    }
}

/// A trace.
pub struct Trace {
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    /// What decides it: which methods do well and why.
    pub why: &'static str,
    pub hosts: Vec<Machine>,
    pub guests: Vec<Guest>,
    pub meter: Meter,
    /// Seconds between two readings of the meter, and between two samples of the hypervisor.
    pub poll: usize,
    /// Watts at the wall, each host, each second.
    watts: Vec<Vec<f64>>,
    /// What the meters show, each host, at each second.
    shown: Vec<Vec<f64>>,
}

impl Trace {
    pub fn new(
        name: &'static str,
        about: &'static str,
        why: &'static str,
        hosts: Vec<Machine>,
        mut guests: Vec<Guest>,
        (meter, poll): (Meter, usize),
    ) -> Self {
        for (h, host) in hosts.iter().enumerate() {
            contend(h, host, &mut guests);
        }
        let power = |(h, m): (usize, &Machine)| (0..SECONDS).map(|s| watts(h, m, &guests, s)).collect();
        let watts: Vec<Vec<f64>> = hosts.iter().enumerate().map(power).collect();
        let shown = watts.iter().enumerate().map(|(h, w)| show(meter, w, h as u64)).collect();
        Self { name, about, why, hosts, guests, meter, poll, watts, shown }
    }

    /// What the host's meter shows at `t`, W.
    pub fn shown(&self, host: usize, t: usize) -> f64 {
        self.shown[host][t]
    }

    /// Joules at the wall of a host.
    pub fn wall(&self, host: usize) -> f64 {
        self.watts[host].iter().sum()
    }

    /// CPU seconds of the host itself.
    pub fn own_cpu(&self, host: usize, from: usize, until: usize) -> f64 {
        self.hosts[host].own[from..until].iter().sum()
    }

    /// CPU seconds of all that runs on the host.
    pub fn busy_cpu(&self, host: usize, from: usize, until: usize) -> f64 {
        let guests: f64 = self.guests.iter().map(|g| g.cpu(host, from, until)).sum();
        guests + self.own_cpu(host, from, until)
    }

    /// Joules of RAPL's packages and memory; 0 of the latter where there is no such counter.
    pub fn rapl(&self, host: usize, from: usize, until: usize) -> (f64, f64) {
        let machine = &self.hosts[host];
        let (rapl, idle) = (machine.rapl, machine.curve.idle());
        let mut sum = (0.0, 0.0);
        for s in from..until {
            let traffic: f64 = self.guests.iter().filter(|g| g.runs(host, s)).map(|g| traffic(g, s)).sum();
            let load = self.watts[host][s] - idle - traffic;
            sum.0 += rapl.idle.0 * idle + rapl.load.0 * load;
            if rapl.has_memory {
                sum.1 += rapl.idle.1 * idle + rapl.load.1 * load + traffic;
            }
        }
        sum
    }
}

/// Watts of a guest's memory traffic.
pub fn traffic(guest: &Guest, s: usize) -> f64 {
    guest.traffic_watts * guest.load[s]
}

/// Where more is asked than the host has, all get the same share of what they ask.
fn contend(h: usize, host: &Machine, guests: &mut [Guest]) {
    for s in 0..SECONDS {
        let asked: f64 = guests.iter().filter(|g| g.runs(h, s)).map(|g| g.load[s]).sum();
        let free = host.cpus - host.own[s];
        if asked > free {
            guests.iter_mut().filter(|g| g.runs(h, s)).for_each(|g| g.load[s] *= free / asked);
        }
    }
}

fn watts(h: usize, host: &Machine, guests: &[Guest], s: usize) -> f64 {
    let here = || guests.iter().filter(|g| g.runs(h, s));
    let load: f64 = here().map(|g| g.load[s] * g.heat).sum::<f64>() + host.own[s];
    host.curve.watts(load / host.cpus) + here().map(|g| traffic(g, s)).sum::<f64>()
}

/// What a meter shows at each second of a host that draws `watts`.
fn show(meter: Meter, watts: &[f64], seed: u64) -> Vec<f64> {
    let mut random = Random::new(0xacc0 + seed);
    let at = |s: isize| watts[s.clamp(0, SECONDS as isize - 1) as usize];
    let mut value = 0.0;
    (0..=SECONDS)
        .map(|t| {
            if t % meter.refresh == 0 {
                let end = t as isize - meter.lag as isize;
                let mean: f64 = (end - meter.window as isize..end).map(at).sum::<f64>() / meter.window as f64;
                let read = mean * (1.0 + meter.noise * random.normal());
                value = (read / meter.step).round() * meter.step;
            }
            value
        })
        .collect()
}
