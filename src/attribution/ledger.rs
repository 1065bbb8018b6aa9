//! The ledger: the exact account of joules. Host in; workloads, hypervisor and unallocated out.
//!
//! An interval of a host runs from one usage sample to the next, so that the energy of an interval meets the CPU time of
//! that same interval. It is settled once its best feed is known for all of it. Nothing here reads a clock or a device.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::host::HostAccount;
use super::pricing;
use super::tenants::{TenantAccount, TenantBook};
use crate::inventory::{FacilityPoint, Inventory};
use crate::model::{DatacenterId, LabelSet, Microjoules, Moment, Point, ProjectId, Watts};
use crate::store::{FeedIndex, Store};
use crate::workloads::{SourceIndex, UsageLog};

mod state;

pub use state::LedgerState;

/// How energy came to be known; value of the `method` label. The two never share a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// From meters.
    Measured,
    /// From the nameplate, or a device's own estimate.
    Rated,
}

impl Method {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Measured, Self::Rated];
}

/// A value for each method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ByMethod<T> {
    /// From meters.
    pub measured: T,
    /// From the nameplate.
    pub rated: T,
}

impl<T> ByMethod<T> {
    /// The value of one method.
    pub const fn get(&self, method: Method) -> &T {
        match method {
            Method::Measured => &self.measured,
            Method::Rated => &self.rated,
        }
    }

    /// The value of one method, to add to.
    pub const fn get_mut(&mut self, method: Method) -> &mut T {
        match method {
            Method::Measured => &mut self.measured,
            Method::Rated => &mut self.rated,
        }
    }
}

/// A facility meter point's account.
#[derive(Debug)]
pub struct FacilityAccount {
    /// `datacenter`, `point`, rendered.
    pub labels: LabelSet,
    place: (DatacenterId, Point),
    feeds: Vec<FeedIndex>,
    settled: Option<Moment>,
    /// Up to when it was settled before a restart, until it is again.
    resumed: Option<Moment>,
    energy: Microjoules,
    unmeasured: Duration,
}

impl FacilityAccount {
    /// Its energy so far; none before its meters were first read.
    #[must_use]
    pub fn energy(&self) -> Option<Microjoules> {
        self.settled.or(self.resumed).map(|_| self.energy)
    }

    /// Time for which not all of its meters could tell; none before they were first read.
    #[must_use]
    pub fn unmeasured(&self) -> Option<Duration> {
        self.settled.or(self.resumed).map(|_| self.unmeasured)
    }

    /// Its power, if every channel of it is fresh.
    #[must_use]
    pub fn power(&self, store: &Store, now: Moment) -> Option<Watts> {
        pricing::power(&self.feeds, store, now)
    }

    fn settle(&mut self, store: &Store, now: Moment) {
        let Some(known) = pricing::frontier(&self.feeds, store) else { return };
        let mut settled = self.settled.unwrap_or(known);
        if let Some(before) = self.resumed.take() {
            self.unmeasured += settled.since(before);
        }
        // What has not been told within patience is not waited for.
        let overdue = now.before(pricing::patience(&self.feeds, store));
        for until in [known, overdue] {
            let from = settled;
            if until <= from {
                continue;
            }
            match pricing::energy(&self.feeds, store, from, until) {
                Some(energy) => self.energy += energy,
                None => self.unmeasured += until.since(from),
            }
            settled = until;
        }
        self.settled = Some(settled);
        for feed in &self.feeds {
            store.forget_before(*feed, settled);
        }
    }
}

/// The accounts of all hosts, tenants and facility points.
#[derive(Debug)]
pub struct Ledger {
    hosts: Vec<HostAccount>,
    facility: Vec<FacilityAccount>,
    tenants: TenantBook,
    absent: state::Absent,
}

impl Ledger {
    /// Opens accounts for the inventory. `sources` names the usage source of each host, in the inventory's order. Feeds
    /// whose meter the store does not know are left out: configuration checking refuses them before.
    #[must_use]
    pub fn new(inventory: &Inventory, sources: &[Option<SourceIndex>], store: &Store, now: Moment) -> Self {
        let hosts = inventory
            .hosts
            .iter()
            .enumerate()
            .map(|(i, host)| HostAccount::new(host.clone(), sources.get(i).copied().flatten(), store, now))
            .collect();
        let facility = inventory.facility.iter().map(|p| facility_account(p, store)).collect();
        let tenants = TenantBook::new(inventory.tenants.clone());
        Self { hosts, facility, tenants, absent: state::Absent::default() }
    }

    /// Settles every interval that has become known by `now`.
    pub fn settle(&mut self, store: &Store, usage: &UsageLog, now: Moment) {
        for host in &mut self.hosts {
            host.settle(store, usage, &mut self.tenants, now);
        }
        for point in &mut self.facility {
            point.settle(store, now);
        }
    }

    /// The hosts, in configuration order.
    #[must_use]
    pub fn hosts(&self) -> &[HostAccount] {
        &self.hosts
    }

    /// The facility points, in configuration order.
    #[must_use]
    pub fn facility(&self) -> &[FacilityAccount] {
        &self.facility
    }

    /// The tenants that have been charged, by data centre and project id.
    #[must_use]
    pub const fn tenants(&self) -> &BTreeMap<(DatacenterId, ProjectId), TenantAccount> {
        &self.tenants.accounts
    }
}

fn facility_account(point: &FacilityPoint, store: &Store) -> FacilityAccount {
    FacilityAccount {
        labels: LabelSet::new(&[("datacenter", point.datacenter.as_str()), ("point", point.point.name())]),
        feeds: point.channels.iter().filter_map(|(m, c)| store.track(m, c)).collect(),
        place: (point.datacenter.clone(), point.point),
        settled: None,
        resumed: None,
        energy: Microjoules::ZERO,
        unmeasured: Duration::ZERO,
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
