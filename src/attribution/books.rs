//! The books that outlive every host: what tenants and services are charged, and what clusters have pooled.

use super::pool::Pool;
use super::pricing::Price;
use super::services::ServiceBook;
use super::tenants::TenantBook;
use super::workload::WorkloadAccount;
use crate::inventory::{Host, Inventory};
use crate::model::{Microjoules, Moment};

/// All of them.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) tenants: TenantBook,
    pub(super) services: ServiceBook,
    pub(super) pool: Pool,
}

impl Books {
    pub(super) fn new(inventory: &Inventory) -> Self {
        Self {
            tenants: TenantBook::new(inventory.tenants.clone()),
            services: ServiceBook::new(inventory.services.clone()),
            pool: Pool::default(),
        }
    }

    /// Takes what a changed configuration says; true if that is anything new.
    pub(super) fn reconfigure(&mut self, inventory: &Inventory) -> bool {
        let same = self.tenants.names == inventory.tenants && *self.services.rules() == inventory.services;
        if !same {
            self.tenants.reconfigure(&inventory.tenants);
            self.services.reconfigure(&inventory.services);
        }
        !same
    }

    /// Charges what a workload on `host` was given of an interval that ended `at`.
    pub(super) fn charge(&mut self, host: &Host, account: &WorkloadAccount, price: Price, at: Moment) {
        if price.energy == Microjoules::ZERO {
            return;
        }
        let told = &account.info().project_name;
        self.tenants.charge(&host.datacenter, account.project(), told, price, at);
        self.services.charge(&host.datacenter, account.project(), account.services(), price);
    }
}
