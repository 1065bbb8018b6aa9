//! What of the tenants' accounts outlives the process: all of them, since a tenant's joules outlive its VMs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{TenantAccount, TenantBook, tenant_info};
use crate::attribution::ledger::ByMethod;
use crate::model::{DatacenterId, LabelSet, Microjoules, Moment, Past, ProjectId};

/// A [`TenantAccount`], kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TenantState {
    datacenter: DatacenterId,
    project: ProjectId,
    name: String,
    energy: ByMethod<Microjoules>,
    /// How long ago its name was told.
    named: Duration,
}

impl TenantBook {
    /// What is to be kept at `now`.
    pub(in crate::attribution) fn kept(&self, now: Moment) -> Vec<TenantState> {
        let state =
            |((datacenter, project), account): (&(DatacenterId, ProjectId), &TenantAccount)| TenantState {
                datacenter: datacenter.clone(),
                project: project.clone(),
                name: account.name.clone(),
                energy: account.energy,
                named: now.since(account.named),
            };
        self.accounts.iter().map(state).collect()
    }

    /// Goes on from `state`. A name that the configuration has since been given holds.
    pub(in crate::attribution) fn resume(&mut self, state: Vec<TenantState>, past: &Past) {
        for TenantState { datacenter, project, name, energy, named } in state {
            let name = self.names.name(&project).map_or(name, str::to_owned);
            let labels =
                LabelSet::new(&[("datacenter", datacenter.as_str()), ("project_id", project.as_str())]);
            let info = tenant_info(&project, &name);
            let account = TenantAccount { labels, info, name, energy, named: past.moment(named) };
            self.accounts.insert((datacenter, project), account);
        }
    }
}
