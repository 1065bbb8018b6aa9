//! Clusters whose hosts' energy is pooled, as MRPUSA does: all of it is divided over all workloads of the cluster by their
//! weights, wherever they run.
//!
//! Every host deposits the energy of each of its intervals with the weights of its workloads in it. A round ends when every
//! host has deposited, or when one has been waited for too long; only then is anything booked, on hosts and workloads at
//! once, so that the joules of a cluster's hosts are those of its workloads and of its hosts' overhead at any time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::books::Books;
use super::host::HostAccount;
use super::ledger::{ByMethod, Method};
use super::split::{Share, with_rest};
use crate::inventory::Host;
use crate::model::{DatacenterId, HostId, Microjoules, Moment, ProjectId, WorkloadId};

/// A round waits this long for a host that deposits nothing.
const PATIENCE: Duration = Duration::from_secs(300);

/// Which account of a host.
pub(super) type Holder = (WorkloadId, ProjectId);

/// What a host gives to a round and what its workloads weigh in it.
#[derive(Debug, Default)]
pub(super) struct Deposit {
    /// Up to when the host's energy is in it.
    pub(super) until: Moment,
    /// By method, and the time in which it was drawn.
    pub(super) energy: ByMethod<Microjoules>,
    pub(super) time: Duration,
    /// What each workload weighs: the part that it would weigh without load, and the rest.
    pub(super) weights: BTreeMap<Holder, (u128, u128)>,
}

impl Deposit {
    fn add(&mut self, other: Self) {
        self.until = self.until.max(other.until);
        self.time += other.time;
        for method in Method::ALL {
            *self.energy.get_mut(method) += *other.energy.get(method);
        }
        for (holder, (idle, dynamic)) in other.weights {
            let sum = self.weights.entry(holder).or_default();
            *sum = (sum.0.saturating_add(idle), sum.1.saturating_add(dynamic));
        }
    }
}

/// What a host gets booked at the end of a round.
#[derive(Debug)]
pub(super) struct Booking {
    pub(super) until: Moment,
    pub(super) time: Duration,
    pub(super) energy: ByMethod<Microjoules>,
    pub(super) unallocated: ByMethod<Microjoules>,
    pub(super) shares: Vec<(Holder, ByMethod<Share>)>,
}

#[derive(Debug)]
struct Round {
    since: Moment,
    deposits: BTreeMap<HostId, Deposit>,
}

/// The rounds that have begun, by data centre and cluster.
#[derive(Debug, Default)]
pub(super) struct Pool {
    rounds: BTreeMap<(DatacenterId, String), Round>,
}

impl Pool {
    /// Takes a host's deposit at `now`.
    pub(super) fn deposit(&mut self, host: &Host, deposit: Deposit, now: Moment) {
        let key = (host.datacenter.clone(), host.cluster.clone());
        let round = self.rounds.entry(key).or_insert_with(|| Round { since: now, deposits: BTreeMap::new() });
        round.deposits.entry(host.id.clone()).or_default().add(deposit);
    }

    /// Takes out the rounds that have ended at `now`: all of them if they are not to be waited for.
    fn ended(&mut self, hosts: &[HostAccount], at_once: bool, now: Moment) -> Vec<(DatacenterId, Round)> {
        let ends = |(datacenter, cluster): &(DatacenterId, String), round: &Round| {
            let waits_for = |account: &HostAccount| {
                let host = account.host();
                host.datacenter == *datacenter && host.cluster == *cluster && account.deposits()
            };
            at_once
                || now.since(round.since) > PATIENCE
                || hosts.iter().filter(|a| waits_for(a)).all(|a| round.deposits.contains_key(&a.host().id))
        };
        let ended: Vec<_> =
            self.rounds.iter().filter(|(key, round)| ends(key, round)).map(|(key, _)| key.clone()).collect();
        ended.into_iter().filter_map(|key| Some((key.0.clone(), self.rounds.remove(&key)?))).collect()
    }
}

impl Round {
    /// Divides all deposits over all workloads. With nobody to divide it over every host keeps its own, as unallocated.
    fn divide(self) -> BTreeMap<HostId, Booking> {
        let weights = || self.deposits.values().flat_map(|d| d.weights.values());
        let count = weights().count();
        let mut shares = vec![ByMethod::<Share>::default(); count];
        let nobody = weights().all(|(idle, dynamic)| *idle == 0 && *dynamic == 0);
        for method in Method::ALL.into_iter().filter(|_| !nobody) {
            let energy = self.deposits.values().map(|d| *d.energy.get(method)).sum();
            let (given, _) = with_rest(energy, weights().map(|w| w.0).chain(weights().map(|w| w.1)), 0);
            let (idle, dynamic) = given.split_at(count.min(given.len()));
            for ((share, idle), dynamic) in shares.iter_mut().zip(idle).zip(dynamic) {
                *share.get_mut(method) = Share { idle: *idle, dynamic: *dynamic, ..Share::default() };
            }
        }
        let mut shares = shares.into_iter();
        let booking = |(host, deposit): (HostId, Deposit)| {
            let Deposit { until, energy, time, weights } = deposit;
            let unallocated = if nobody { energy } else { ByMethod::default() };
            let shares = weights.into_keys().zip(shares.by_ref()).collect();
            (host, Booking { until, time, energy, unallocated, shares })
        };
        self.deposits.into_iter().map(booking).collect()
    }
}

/// Books the rounds that have ended on `hosts` and on those that were `removed` meanwhile.
pub(super) fn settle(
    hosts: &mut [HostAccount],
    removed: &mut [HostAccount],
    books: &mut Books,
    at_once: bool,
    now: Moment,
) {
    for (datacenter, round) in books.pool.ended(hosts, at_once, now) {
        let mut bookings = round.divide();
        for account in hosts.iter_mut().chain(&mut *removed) {
            if account.host().datacenter == datacenter
                && let Some(booking) = bookings.remove(&account.host().id)
            {
                account.book_round(booking, books);
            }
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
