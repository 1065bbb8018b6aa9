//! The ledger under a changed configuration. What did not change goes on untouched; what changed keeps its counters; what was
//! removed is put aside with them, and goes on when it comes back.

use std::collections::BTreeMap;

use super::{FacilityAccount, Ledger};
use crate::attribution::host::HostAccount;
use crate::attribution::pool;
use crate::attribution::tracks::Tracks;
use crate::inventory::{FacilityPoint, Host, Inventory};
use crate::model::{DatacenterId, HostId, Moment, Point};
use crate::store::Store;
use crate::workloads::SourceIndex;

/// The most removed hosts, and points, whose accounts are kept; the ones removed longest ago go first. Tenants keep what they
/// were charged.
pub(super) const MAX_ASIDE: usize = 1000;

/// The accounts of what the configuration no longer names, in the order in which it was removed.
#[derive(Debug, Default)]
pub(super) struct Aside {
    pub(super) hosts: Vec<HostAccount>,
    pub(super) facility: Vec<FacilityAccount>,
}

type HostKey = (DatacenterId, HostId);

fn host_key(host: &Host) -> HostKey {
    (host.datacenter.clone(), host.id.clone())
}

fn point_key(point: &FacilityPoint) -> (DatacenterId, Point) {
    (point.datacenter.clone(), point.point)
}

impl Ledger {
    /// Goes on under a changed configuration: as [`Self::new`], with the accounts there are. To be called after
    /// [`Self::settle`] with the sources as they were, and while the meters that are to be removed are still there.
    ///
    /// A host that another data centre now has is another host, since its series have other labels.
    pub fn reconfigure(
        &mut self,
        inventory: &Inventory,
        sources: &[Option<SourceIndex>],
        store: &Store,
        now: Moment,
    ) {
        self.reconfigure_hosts(inventory, sources, store, now);
        self.reconfigure_facility(inventory, store, now);
        if self.books.reconfigure(inventory) {
            let hosts = self.hosts.iter_mut().chain(&mut self.aside.hosts);
            hosts.for_each(|host| host.rename(&self.books));
        }
    }

    /// Switches the monitoring of a host off or on at `now`: see [`HostAccount::is_enabled`]. True if there is such a host.
    pub fn set_enabled(&mut self, host: &HostId, enabled: bool, now: Moment) -> bool {
        let mut found = false;
        for account in self.hosts.iter_mut().filter(|account| account.host().id == *host) {
            account.set_enabled(enabled, now);
            found = true;
        }
        found
    }

    /// The hosts that the configuration no longer names, with the counters they had.
    #[must_use]
    pub fn removed(&self) -> &[HostAccount] {
        &self.aside.hosts
    }

    fn reconfigure_hosts(
        &mut self,
        inventory: &Inventory,
        sources: &[Option<SourceIndex>],
        store: &Store,
        now: Moment,
    ) {
        // All tracks are found before one is begun: a meter that was replaced may give an old track's place to a new one.
        let mut known: BTreeMap<HostKey, (HostAccount, Tracks)> = std::mem::take(&mut self.hosts)
            .into_iter()
            .map(|account| (host_key(account.host()), (account, Tracks::default())))
            .collect();
        known.values_mut().for_each(|(account, tracks)| *tracks = account.tracks(store));
        for (i, host) in inventory.hosts.iter().enumerate() {
            let source = sources.get(i).copied().flatten();
            let key = host_key(host);
            let account = if let Some((mut account, tracks)) = known.remove(&key) {
                account.reconfigure(host, source, store, tracks, &mut self.books, now);
                account.hand_closed(&mut self.closed);
                account
            } else if let Some(at) = self.aside.hosts.iter().position(|a| host_key(a.host()) == key) {
                let mut account = self.aside.hosts.remove(at);
                account.come_back(host, source, store, now);
                account
            } else {
                HostAccount::new(host.clone(), source, store, now)
            };
            self.hosts.push(account);
        }
        for (mut account, tracks) in known.into_values() {
            account.put_aside(store, tracks, &mut self.books, now);
            account.hand_closed(&mut self.closed);
            self.aside.hosts.push(account);
        }
        pool::settle(&mut self.hosts, &mut self.aside.hosts, &mut self.books, true, now);
        let excess = self.aside.hosts.len().saturating_sub(MAX_ASIDE);
        self.aside.hosts.drain(..excess).for_each(|account| account.dissolve(&mut self.closed));
    }

    fn reconfigure_facility(&mut self, inventory: &Inventory, store: &Store, now: Moment) {
        let known = std::mem::take(&mut self.facility);
        let mut known: Vec<(FacilityAccount, Tracks)> = known
            .into_iter()
            .map(|account| {
                let tracks = account.tracks(store);
                (account, tracks)
            })
            .collect();
        for point in &inventory.facility {
            let key = point_key(point);
            let account = if let Some(at) = known.iter().position(|(a, _)| point_key(a.point()) == key) {
                let (mut account, tracks) = known.swap_remove(at);
                account.reconfigure(point, store, tracks, now);
                account
            } else if let Some(at) = self.aside.facility.iter().position(|a| point_key(a.point()) == key) {
                let mut account = self.aside.facility.swap_remove(at);
                account.come_back(point, store, now);
                account
            } else {
                FacilityAccount::new(point, store, now)
            };
            self.facility.push(account);
        }
        for (mut account, tracks) in known {
            account.put_aside(store, tracks, now);
            self.aside.facility.push(account);
        }
        let excess = self.aside.facility.len().saturating_sub(MAX_ASIDE);
        self.aside.facility.drain(..excess);
    }
}

#[cfg(test)]
#[path = "reconfigure_tests.rs"]
mod tests;
