//! What of a host's workloads outlives the process: their accounts, and what closed ones held.

use serde::{Deserialize, Serialize};

use super::Guests;
use crate::attribution::books::Books;
use crate::attribution::workload::{WorkloadAccount, WorkloadState};
use crate::inventory::Host;
use crate::model::{Microjoules, Moment, Past};

/// [`Guests`], kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GuestsState {
    workloads: Vec<WorkloadState>,
    /// With projects that no longer own them.
    handed_over: Vec<WorkloadState>,
    departed: Microjoules,
}

impl Guests {
    /// What is to be kept at `now`.
    pub(in crate::attribution) fn kept(&self, now: Moment) -> GuestsState {
        GuestsState {
            workloads: self.accounts.values().map(|account| account.kept(now)).collect(),
            handed_over: self.handed_over.values().map(|account| account.kept(now)).collect(),
            departed: self.departed,
        }
    }

    /// Goes on from `state`. Who of them is still there the next sample tells.
    pub(in crate::attribution) fn resume(
        &mut self,
        state: GuestsState,
        host: &Host,
        books: &Books,
        past: &Past,
    ) {
        let resumed = |state| Box::new(WorkloadAccount::resumed(state, host, books, past));
        let of_workload = |account: Box<WorkloadAccount>| (account.info().id.clone(), account);
        let of_owner =
            |account: Box<WorkloadAccount>| ((account.info().id.clone(), account.project().clone()), account);
        self.accounts = state.workloads.into_iter().map(resumed).map(of_workload).collect();
        self.handed_over = state.handed_over.into_iter().map(resumed).map(of_owner).collect();
        self.departed = state.departed;
    }
}
