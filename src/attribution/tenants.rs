//! The accounts of all tenants, over all VMs they ever had.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::ByMethod;
use super::pricing::Price;
use crate::inventory::Tenants;
use crate::model::{DatacenterId, LabelSet, Microjoules, Moment, ProjectId};
use crate::workloads::WorkloadInfo;

mod state;

pub use state::TenantState;

/// The most accounts; what further projects draw is charged to `unassigned`, so that projects that somebody invents do
/// not fill the memory.
const MAX_TENANTS: usize = 100_000;

/// A tenant's name stays while any of its VMs still tells it. Without that a renamed project, some of whose VMs keep the old
/// name for life, would have another name at every scrape.
const KEEP_NAME: Duration = Duration::from_secs(3600);

/// What a tenant has been charged in one data centre.
#[derive(Debug)]
pub struct TenantAccount {
    /// `datacenter`, `project_id`, rendered.
    pub labels: LabelSet,
    /// `project_id`, `project_name`, rendered.
    pub info: LabelSet,
    /// Its name.
    pub name: String,
    /// Its energy.
    pub energy: ByMethod<Microjoules>,
    /// When its name was last told.
    named: Moment,
}

/// The tenants' accounts, and what the configuration says of tenants.
#[derive(Debug)]
pub(super) struct TenantBook {
    pub(super) names: Tenants,
    pub(super) accounts: BTreeMap<(DatacenterId, ProjectId), TenantAccount>,
}

impl TenantBook {
    pub(super) const fn new(names: Tenants) -> Self {
        Self { names, accounts: BTreeMap::new() }
    }

    /// Whose a workload is: by its own word, or by the configuration's.
    pub(super) fn project_of(&self, info: &WorkloadInfo) -> ProjectId {
        let told = info.project_id.clone();
        told.or_else(|| self.names.owner(&info.domain, &info.tags)).unwrap_or_else(ProjectId::unassigned)
    }

    /// Takes what a changed configuration says of tenants; the names it gives hold at once.
    pub(super) fn reconfigure(&mut self, names: &Tenants) {
        self.names = names.clone();
        for ((_, project), account) in &mut self.accounts {
            if let Some(name) = names.name(project).filter(|name| *name != account.name) {
                name.clone_into(&mut account.name);
                account.info = tenant_info(project, name);
            }
        }
    }

    /// Charges a tenant whose VM calls it `told_name` at `at`, opening its account on the first charge.
    pub(super) fn charge(
        &mut self,
        datacenter: &DatacenterId,
        project: &ProjectId,
        told_name: &str,
        price: Price,
        at: Moment,
    ) {
        let mut key = (datacenter.clone(), project.clone());
        let mut name = self.names.name(project).unwrap_or(told_name);
        if self.accounts.len() >= MAX_TENANTS && !self.accounts.contains_key(&key) {
            (key.1, name) = (ProjectId::unassigned(), "");
        }
        let (_, project) = &key;
        let opened = |project: &ProjectId| TenantAccount {
            labels: LabelSet::new(&[("datacenter", datacenter.as_str()), ("project_id", project.as_str())]),
            info: tenant_info(project, name),
            name: name.to_owned(),
            energy: ByMethod::default(),
            named: at,
        };
        let project = project.clone();
        let account = self.accounts.entry(key).or_insert_with(|| opened(&project));
        if account.name == name {
            account.named = account.named.max(at);
        } else if !name.is_empty() && (account.name.is_empty() || at.since(account.named) > KEEP_NAME) {
            name.clone_into(&mut account.name);
            account.info = tenant_info(&project, name);
            account.named = at;
        }
        *account.energy.get_mut(price.method) += price.energy;
    }
}

fn tenant_info(project: &ProjectId, name: &str) -> LabelSet {
    LabelSet::new(&[("project_id", project.as_str()), ("project_name", name)])
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Method;
    use super::*;

    fn charge(book: &mut TenantBook, project: &str, name: &str, seconds: u64) {
        let price = Price { method: Method::Measured, energy: Microjoules(1) };
        let at = Moment::ZERO + Duration::from_secs(seconds);
        let datacenter = DatacenterId::new("dc1").unwrap();
        book.charge(&datacenter, &ProjectId::new(project).unwrap(), name, price, at);
    }

    fn name(book: &TenantBook) -> &str {
        &book.accounts.values().next().unwrap().name
    }

    #[test]
    fn a_renamed_project_keeps_one_name_until_nobody_tells_the_old_one() {
        let mut book = TenantBook::new(Tenants::default());
        charge(&mut book, "p", "", 0);
        for s in 1..5000 {
            charge(&mut book, "p", if s % 2 == 0 { "new" } else { "old" }, s);
            assert_eq!(name(&book), "old");
        }
        charge(&mut book, "p", "new", 5000 + 3600);
        assert_eq!(name(&book), "new");
    }

    #[test]
    fn invented_projects_fill_no_memory_and_lose_no_joule() {
        let mut book = TenantBook::new(Tenants::default());
        for n in 0..MAX_TENANTS + 10 {
            charge(&mut book, &format!("p{n}"), "", 0);
        }
        assert_eq!(book.accounts.len(), MAX_TENANTS + 1);
        let total: Microjoules = book.accounts.values().map(|t| t.energy.measured).sum();
        assert_eq!(total, Microjoules(100_010));
    }
}
