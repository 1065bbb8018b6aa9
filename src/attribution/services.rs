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

#[cfg(test)]
mod tests {
    use super::super::ledger::Method;
    use super::*;
    use crate::inventory::{Member, Service};
    use crate::model::WorkloadId;
    use crate::workloads::WorkloadKind;

    fn member(matches: &str, project: Option<&str>, weight: u32) -> Member {
        Member {
            matches: glob::Pattern::new(matches).unwrap(),
            project_id: project.map(|p| ProjectId::new(p).unwrap()),
            weight,
        }
    }

    fn book() -> ServiceBook {
        let service = |name: &str, members| Service { name: name.into(), members };
        ServiceBook::new(Services::new(vec![
            service("shop", vec![member("web-1", None, 3), member("web-*", None, 1)]),
            service("mail", vec![member("*", Some("p"), 2)]),
        ]))
    }

    fn of(book: &ServiceBook, id: &str, name: &str, project: &str) -> Vec<(usize, u32)> {
        let info = WorkloadInfo::new(WorkloadId::new(id).unwrap(), WorkloadKind::Vm, name);
        book.of(&info, &ProjectId::new(project).unwrap())
    }

    fn charge(book: &mut ServiceBook, project: &str, services: &[(usize, u32)], energy: u128) {
        let price = Price { method: Method::Measured, energy: Microjoules(energy) };
        let datacenter = DatacenterId::new("dc1").unwrap();
        book.charge(&datacenter, &ProjectId::new(project).unwrap(), services, price);
    }

    #[test]
    fn a_workload_is_found_by_name_or_id_and_project_and_its_first_entry_weighs() {
        let book = book();
        assert_eq!(of(&book, "uuid", "web-1", "q"), [(0, 3)]);
        assert_eq!(of(&book, "web-2", "other", "q"), [(0, 1)]);
        assert_eq!(of(&book, "uuid", "web-1", "p"), [(0, 3), (1, 2)]);
        assert_eq!(of(&book, "uuid", "db", "q"), []);
    }

    #[test]
    fn what_services_share_adds_up_to_the_microjoule() {
        let mut book = book();
        charge(&mut book, "p", &[(0, 1), (1, 2)], 100);
        let energies: Vec<u128> = book.accounts.values().map(|a| a.energy.measured.0).collect();
        assert_eq!(energies, [67, 33], "mail, shop");
    }

    #[test]
    fn other_rules_hold_from_then_on_and_what_was_counted_stays() {
        let mut book = book();
        charge(&mut book, "p", &[(1, 1)], 10);
        book.reconfigure(&Services::new(vec![Service {
            name: "new".into(),
            members: vec![member("*", None, 1)],
        }]));
        let services = of(&book, "uuid", "db", "q");
        charge(&mut book, "q", &services, 5);
        let held: Vec<_> = book
            .accounts
            .iter()
            .map(|((_, s, p), a)| (s.as_str(), p.as_str(), a.energy.measured.0))
            .collect();
        assert_eq!(held, [("mail", "p", 10), ("new", "q", 5)]);
    }

    #[test]
    fn invented_projects_fill_no_memory_and_lose_no_joule() {
        let mut book = book();
        for n in 0..MAX_SERVICES + 10 {
            charge(&mut book, &format!("p{n}"), &[(0, 1)], 1);
        }
        assert_eq!(book.accounts.len(), MAX_SERVICES + 1);
        assert_eq!(book.accounts.values().map(|a| a.energy.measured.0).sum::<u128>(), 100_010);
    }
}
