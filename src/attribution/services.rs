//! Services: the joules of the workloads that the configuration counts to one, wherever they run. A workload that is part of
//! several is shared by their weights, to the microjoule.

use std::collections::BTreeMap;

use super::ledger::ByMethod;
use super::pricing::Price;
use super::split::apportion;
use crate::inventory::Services;
use crate::model::{DatacenterId, LabelSet, Microjoules, ProjectId};
use crate::workloads::WorkloadInfo;

mod state;

pub use state::ServiceState;

/// The most accounts; what further projects draw is counted to `unassigned`.
const MAX_SERVICES: usize = 100_000;

/// What a service has drawn for one project in one data centre.
#[derive(Debug)]
pub struct ServiceAccount {
    /// `datacenter`, `service`, `project_id`, rendered.
    pub labels: LabelSet,
    /// Its energy.
    pub energy: ByMethod<Microjoules>,
}

/// Which account: data centre, service, project.
pub type ServiceKey = (DatacenterId, String, ProjectId);

/// The services' accounts, and what the configuration says of services.
#[derive(Debug)]
pub(super) struct ServiceBook {
    rules: Services,
    pub(super) accounts: BTreeMap<ServiceKey, ServiceAccount>,
}

impl ServiceBook {
    pub(super) const fn new(rules: Services) -> Self {
        Self { rules, accounts: BTreeMap::new() }
    }

    pub(super) const fn rules(&self) -> &Services {
        &self.rules
    }

    /// Takes the rules of a changed configuration. What was counted stays counted.
    pub(super) fn reconfigure(&mut self, rules: &Services) {
        self.rules = rules.clone();
    }

    /// The services that a workload of `project` is part of, and its weight in each.
    pub(super) fn of(&self, info: &WorkloadInfo, project: &ProjectId) -> Vec<(usize, u32)> {
        self.rules.of(info.id.as_str(), &info.name, project)
    }

    /// Shares what a workload was given among its services.
    pub(super) fn charge(
        &mut self,
        datacenter: &DatacenterId,
        project: &ProjectId,
        services: &[(usize, u32)],
        price: Price,
    ) {
        if services.is_empty() {
            return;
        }
        let weights: Vec<u128> = services.iter().map(|(_, weight)| u128::from(*weight)).collect();
        for ((service, _), energy) in services.iter().zip(apportion(price.energy, &weights)) {
            if let Some(name) = self.rules.name(*service) {
                let name = name.to_owned();
                self.add(datacenter, name, project, Price { method: price.method, energy });
            }
        }
    }

    fn add(&mut self, datacenter: &DatacenterId, service: String, project: &ProjectId, price: Price) {
        let mut key = (datacenter.clone(), service, project.clone());
        if self.accounts.len() >= MAX_SERVICES && !self.accounts.contains_key(&key) {
            key.2 = ProjectId::unassigned();
        }
        let account = self
            .accounts
            .entry(key)
            .or_insert_with_key(|key| ServiceAccount { labels: labels(key), energy: ByMethod::default() });
        *account.energy.get_mut(price.method) += price.energy;
    }
}

fn labels((datacenter, service, project): &ServiceKey) -> LabelSet {
    LabelSet::new(&[
        ("datacenter", datacenter.as_str()),
        ("service", service),
        ("project_id", project.as_str()),
    ])
}
