//! The ledger: the exact account of joules. Host in; workloads, hypervisor and unallocated out.
//!
//! An interval of a host runs from one usage sample to the next, so that the energy of an interval meets the CPU time of
//! that same interval. It is settled once its best feed is known for all of it. Nothing here reads a clock or a device.

use std::collections::BTreeMap;

use super::host::HostAccount;
use super::pricing::Price;
use crate::inventory::{FacilityPoint, Inventory, Tenants};
use crate::model::{DatacenterId, LabelSet, Microjoules, Moment, ProjectId, Watts};
use crate::store::{FeedIndex, Store};
use crate::workloads::{SourceIndex, UsageLog};

/// How energy came to be known; value of the `method` label. The two never share a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// From meters.
    Measured,
    /// From the nameplate.
    Rated,
}

impl Method {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Measured, Self::Rated];

    /// The word in the `method` label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Rated => "rated",
        }
    }
}

/// A value for each method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// What a tenant has been charged in one data centre, over all VMs it ever had.
#[derive(Debug)]
pub struct TenantAccount {
    /// `datacenter`, `project_id`, rendered.
    pub labels: LabelSet,
    /// `project_id`, `project_name`, rendered.
    pub info: LabelSet,
    /// Its name, as last told.
    pub name: String,
    /// Its energy.
    pub energy: ByMethod<Microjoules>,
}

/// A facility meter point's account.
#[derive(Debug)]
pub struct FacilityAccount {
    /// `datacenter`, `point`, rendered.
    pub labels: LabelSet,
    feeds: Vec<FeedIndex>,
    settled: Option<Moment>,
    energy: Microjoules,
}

impl FacilityAccount {
    /// Its energy so far; none before its meters were first read.
    #[must_use]
    pub fn energy(&self) -> Option<Microjoules> {
        self.settled.map(|_| self.energy)
    }

    /// Its power, if every channel of it is fresh.
    #[must_use]
    pub fn power(&self, store: &Store, now: Moment) -> Option<Watts> {
        super::pricing::power(&self.feeds, store, now)
    }

    fn settle(&mut self, store: &Store) {
        let Some(until) = super::pricing::frontier(&self.feeds, store) else { return };
        if let Some(from) = self.settled
            && let Some(energy) = super::pricing::energy(&self.feeds, store, from, until)
        {
            self.energy += energy;
        }
        self.settled = Some(until);
        for feed in &self.feeds {
            store.forget_before(*feed, until);
        }
    }
}

/// The accounts of all hosts, tenants and facility points.
#[derive(Debug)]
pub struct Ledger {
    hosts: Vec<HostAccount>,
    facility: Vec<FacilityAccount>,
    tenants: BTreeMap<(DatacenterId, ProjectId), TenantAccount>,
    names: Tenants,
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
        Self { hosts, facility, tenants: BTreeMap::new(), names: inventory.tenants.clone() }
    }

    /// Settles every interval that has become known by `now`.
    pub fn settle(&mut self, store: &Store, usage: &UsageLog, now: Moment) {
        for host in &mut self.hosts {
            host.settle(store, usage, &self.names, &mut self.tenants, now);
        }
        for point in &mut self.facility {
            point.settle(store);
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
        &self.tenants
    }
}

fn facility_account(point: &FacilityPoint, store: &Store) -> FacilityAccount {
    FacilityAccount {
        labels: LabelSet::new(&[("datacenter", point.datacenter.as_str()), ("point", point.point.name())]),
        feeds: point.channels.iter().filter_map(|(m, c)| store.track(m, c)).collect(),
        settled: None,
        energy: Microjoules::ZERO,
    }
}

/// Charges a tenant, opening its account on the first charge.
pub(super) fn charge(
    tenants: &mut BTreeMap<(DatacenterId, ProjectId), TenantAccount>,
    names: &Tenants,
    datacenter: &DatacenterId,
    project: &ProjectId,
    told_name: &str,
    price: Price,
) {
    let key = (datacenter.clone(), project.clone());
    let name = names.name(project).unwrap_or(told_name);
    let account = tenants.entry(key).or_insert_with(|| TenantAccount {
        labels: LabelSet::new(&[("datacenter", datacenter.as_str()), ("project_id", project.as_str())]),
        info: tenant_info(project, name),
        name: name.to_owned(),
        energy: ByMethod::default(),
    });
    if account.name != name && !name.is_empty() {
        name.clone_into(&mut account.name);
        account.info = tenant_info(project, name);
    }
    *account.energy.get_mut(price.method) += price.energy;
}

fn tenant_info(project: &ProjectId, name: &str) -> LabelSet {
    LabelSet::new(&[("project_id", project.as_str()), ("project_name", name)])
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
