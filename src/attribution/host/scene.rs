//! What a model is shown of a host's interval: the meters of the machine's parts, the GPUs taken out, CPU time weighed as
//! the host's settings say.

use std::time::Duration;

use super::{HostAccount, Interval};
use crate::attribution::capacity::capacity;
use crate::attribution::models::{self, Rapl, Scene};
use crate::attribution::pricing;
use crate::attribution::smt::Cores;
use crate::attribution::split::{Claim, Split, apportion, with_rest};
use crate::attribution::tracks::Tracks;
use crate::inventory::{Gpu, Host, Model, Weighting};
use crate::model::{ChannelId, MeterId, Microjoules, Moment, PciAddress};
use crate::store::{FeedIndex, Store};
use crate::workloads::Node;

/// The meters of a host's parts, found in the store.
#[derive(Debug, Default)]
pub(in crate::attribution) struct PartMeters {
    packages: Vec<FeedIndex>,
    memory: Vec<FeedIndex>,
    gpus: Vec<(FeedIndex, PciAddress)>,
}

/// What GPUs drew in an interval, and where they sit.
#[derive(Debug)]
struct GpuEnergy {
    of_each: Vec<(Microjoules, PciAddress)>,
    is_whole: bool,
}

impl PartMeters {
    /// Finds what the host's model looks at and has its past kept. RAPL whose meters do not all exist is no RAPL.
    pub(in crate::attribution) fn find(host: &Host, tracks: &mut Tracks, store: &Store) -> Self {
        let mut find = |(meter, channel): &(MeterId, ChannelId)| tracks.find(meter, channel, store);
        let mut all = |list: &[_]| list.iter().map(&mut find).collect::<Option<Vec<_>>>().unwrap_or_default();
        let (packages, memory) = match host.model {
            Model::RaplWeighted => (all(&host.parts.packages), all(&host.parts.memory)),
            Model::IdleDynamic
            | Model::CpuProportional
            | Model::PowerFactorVcores
            | Model::Reservation
            | Model::EqualIdle => Default::default(),
        };
        let mut gpu = |gpu: &Gpu| Some((find(&gpu.channel)?, gpu.pci));
        Self { packages, memory, gpus: host.parts.gpus.iter().filter_map(&mut gpu).collect() }
    }

    /// Every meter of a part.
    pub(in crate::attribution) fn feeds(&self) -> impl Iterator<Item = FeedIndex> {
        let rapl = self.packages.iter().chain(&self.memory).copied();
        rapl.chain(self.gpus.iter().map(|(feed, _)| *feed))
    }

    /// Whether a part's energy up to `until` may still become known. One that has been silent for its patience (since
    /// `opened`, if it never spoke) is not waited for.
    pub(super) fn wait(&self, store: &Store, opened: Moment, until: Moment, now: Moment) -> bool {
        self.feeds().any(|feed| {
            let known = store.frontier(feed);
            known.is_none_or(|k| k < until) && now.since(known.unwrap_or(opened)) <= store.patience(feed)
        })
    }

    /// What RAPL counted; none where there is none, or any part of it is not known.
    fn rapl(&self, store: &Store, interval: Interval) -> Option<Rapl> {
        let Interval { from, until } = interval;
        if self.packages.is_empty() {
            return None;
        }
        Some(Rapl {
            packages: pricing::energy(&self.packages, store, from, until)?,
            memory: pricing::energy(&self.memory, store, from, until)?,
        })
    }

    /// What the GPUs drew in `time` of an interval, evenly taken, never more than the host's `energy` of it; those of which
    /// that is not known stay with the host.
    fn gpus(&self, store: &Store, interval: Interval, energy: Microjoules, time: Duration) -> GpuEnergy {
        let known = |(feed, pci): &(FeedIndex, PciAddress)| {
            let Microjoules(whole) = store.energy(*feed, interval.from, interval.until)?;
            let part = whole.saturating_mul(time.as_nanos()) / interval.time().as_nanos().max(1);
            Some((Microjoules(part), *pci))
        };
        let mut of_each: Vec<_> = self.gpus.iter().filter_map(known).collect();
        let is_whole = of_each.len() == self.gpus.len();
        let weights: Vec<u128> = of_each.iter().map(|(drawn, _)| drawn.0).collect();
        if of_each.iter().map(|(drawn, _)| *drawn).sum::<Microjoules>() > energy {
            for ((drawn, _), most) in of_each.iter_mut().zip(apportion(energy, &weights)) {
                *drawn = most;
            }
        }
        GpuEnergy { of_each, is_whole }
    }
}

/// An interval of a host that has workloads.
pub(super) struct Account<'a> {
    pub(super) interval: Interval,
    /// The part of it in which `energy` was drawn.
    pub(super) time: Duration,
    pub(super) energy: Microjoules,
    pub(super) claims: &'a [Claim],
    /// The node's busy time, ns, where told.
    pub(super) busy: Option<u64>,
    /// Whether its power teaches what the host draws at rest.
    pub(super) is_measured: bool,
}

impl HostAccount {
    /// Divides an interval's energy as the host's model and settings say, and learns from it.
    pub(super) fn divide(&mut self, of: &Account<'_>, store: &Store) -> Split {
        let Account { interval, time, energy, claims, busy, is_measured } = *of;
        let gpus = self.parts.gpus(store, interval, energy, time);
        let rest = energy.since(gpus.of_each.iter().map(|(drawn, _)| *drawn).sum());
        let cores = cores(self.node.as_ref(), &self.host, interval);
        let used: u64 = claims.iter().fold(0, |sum, c| sum.saturating_add(c.cpu_nanos));
        if let Some(cores) = cores.filter(|_| is_measured && gpus.is_whole) {
            self.learn(rest, cores.utilisation(busy.unwrap_or(used)), time);
        }
        let own = busy.map_or(0, |b| b.saturating_sub(used));
        let own = cores.map_or(own, |cores| cores.own(used, own));
        let by_cycles = match self.host.work.weighting {
            Weighting::CpuTime => None,
            Weighting::Cycles => by_cycles(claims),
        };
        let scene = Scene {
            energy: rest,
            idle: self.idle_energy(time),
            rapl: self.parts.rapl(store, interval),
            capacity: capacity(self.node.as_ref(), &self.host, interval.time(), own, claims),
            claims: by_cycles.as_deref().unwrap_or(claims),
        };
        let mut split = models::divide(self.host.model, &scene);
        for (drawn, pci) in gpus.of_each {
            self.give_gpu(drawn, pci, claims, &mut split);
        }
        split
    }

    /// A GPU is its owner's alone; where several had it in one interval they share it equally, and nobody's is unallocated.
    fn give_gpu(&self, drawn: Microjoules, pci: PciAddress, claims: &[Claim], split: &mut Split) {
        let owners =
            self.guests.iter().zip(claims).map(|(account, claim)| {
                u128::from(claim.is_there() && account.info().devices.contains(&pci))
            });
        let (given, rest) = with_rest(drawn, owners, 0);
        for (share, given) in split.shares.iter_mut().zip(given) {
            share.gpu += given;
        }
        split.unallocated += rest;
    }
}

fn cores(node: Option<&Node>, host: &Host, interval: Interval) -> Option<Cores> {
    let node = node.filter(|node| node.cpus > 0)?;
    Some(Cores::new(node.cpus, node.facts.threads_per_core, host.work.smt_factor, interval.time()))
}

/// The claims with the CPU time that their cycles take at the mean clock of all of them, so that the sum stays; none where
/// somebody used CPU time whose cycles nobody counted.
fn by_cycles(claims: &[Claim]) -> Option<Vec<Claim>> {
    let cycles = claims.iter().map(|c| match c.cycles {
        Some(cycles) => Some(u128::from(cycles)),
        None if c.cpu_nanos == 0 => Some(0),
        None => None,
    });
    let cycles: Vec<u128> = cycles.collect::<Option<_>>()?;
    let used: u128 = claims.iter().map(|c| u128::from(c.cpu_nanos)).sum();
    // Microjoules stand for nanoseconds here: only the exact sum matters.
    let weighed = apportion(Microjoules(used), &cycles);
    let given: Microjoules = weighed.iter().copied().sum();
    (given.0 == used).then(|| {
        let with = |(claim, nanos): (&Claim, Microjoules)| Claim {
            cpu_nanos: u64::try_from(nanos.0).unwrap_or(u64::MAX),
            ..*claim
        };
        claims.iter().zip(weighed).map(with).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(cpu_nanos: u64, cycles: Option<u64>) -> Claim {
        Claim { cpu_nanos, cycles, ..Claim::default() }
    }

    fn nanos(claims: &[Claim]) -> Option<Vec<u64>> {
        by_cycles(claims).map(|weighed| weighed.iter().map(|c| c.cpu_nanos).collect())
    }

    #[test]
    fn cycles_move_cpu_time_to_who_ran_fast_and_keep_the_sum() {
        // 40 ns in all; 3 of 4 cycles are the first one's.
        assert_eq!(nanos(&[claim(20, Some(300)), claim(20, Some(100))]), Some(vec![30, 10]));
        assert_eq!(
            nanos(&[claim(20, Some(300)), claim(0, None)]),
            Some(vec![20, 0]),
            "at rest nobody counts"
        );
    }

    #[test]
    fn one_workload_without_cycles_leaves_cpu_time_to_all() {
        assert_eq!(nanos(&[claim(20, Some(300)), claim(20, None)]), None);
        assert_eq!(
            nanos(&[claim(20, Some(0)), claim(20, Some(0))]),
            None,
            "counters that stand still count nothing"
        );
        assert_eq!(nanos(&[]), Some(vec![]));
    }
}
