//! The ledger: the exact account of joules. Host in; workloads, hypervisor and unallocated out.
//!
//! An interval of a host runs from one usage sample to the next, so that the energy of an interval meets the CPU time of
//! that same interval. It is settled once its best feed is known for all of it. Nothing here reads a clock or a device.

mod facility;
mod reconfigure;
mod state;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::books::Books;
use super::estimate::Estate;
use super::host::HostAccount;
use super::pool;
use super::services::{ServiceAccount, ServiceKey};
use super::tenants::TenantAccount;
use super::totals::{ClosedBook, VmTotal};
use crate::inventory::Inventory;
use crate::model::{DatacenterId, Moment, ProjectId};
use crate::store::Store;
use crate::workloads::{SourceIndex, UsageLog};
pub use facility::FacilityAccount;
use reconfigure::Aside;
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

/// The accounts of all hosts, tenants and facility points.
#[derive(Debug)]
pub struct Ledger {
    hosts: Vec<HostAccount>,
    facility: Vec<FacilityAccount>,
    books: Books,
    closed: ClosedBook,
    aside: Aside,
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
        let facility =
            inventory.facility.iter().map(|point| FacilityAccount::new(point, store, now)).collect();
        Self {
            hosts,
            facility,
            books: Books::new(inventory),
            closed: ClosedBook::default(),
            aside: Aside::default(),
        }
    }

    /// Settles every interval that has become known by `now`.
    pub fn settle(&mut self, store: &Store, usage: &UsageLog, now: Moment) {
        let estate = Estate::of(&self.hosts, now);
        for host in &mut self.hosts {
            host.assume(estate.mean(&host.host().datacenter));
            host.settle(store, usage, &mut self.books, now);
            host.hand_closed(&mut self.closed);
        }
        pool::settle(&mut self.hosts, &mut self.aside.hosts, &mut self.books, false, now);
        self.closed.sweep(self.hosts.iter().chain(&self.aside.hosts), now);
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
        &self.books.tenants.accounts
    }

    /// The services that have drawn anything, by data centre, name and project.
    #[must_use]
    pub const fn services(&self) -> &BTreeMap<ServiceKey, ServiceAccount> {
        &self.books.services.accounts
    }

    /// Every VM's total over all hosts.
    #[must_use]
    pub fn vm_totals(&self) -> Vec<VmTotal<'_>> {
        self.closed.totals(&self.hosts, &self.aside.hosts)
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
