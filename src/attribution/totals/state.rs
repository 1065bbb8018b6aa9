//! What of the VMs' totals outlives the process: what closed accounts held. The rest is in the accounts.

use crate::attribution::ledger::ByMethod;
use crate::attribution::totals::ClosedBook;
use crate::model::{Microjoules, ProjectId, WorkloadId};

/// A [`ClosedBook`], kept.
pub(in crate::attribution) type ClosedState = Vec<((WorkloadId, ProjectId), ByMethod<Microjoules>)>;

impl ClosedBook {
    /// What is to be kept.
    pub(in crate::attribution) fn kept(&self) -> ClosedState {
        self.energies.iter().map(|(key, energy)| (key.clone(), *energy)).collect()
    }

    /// Goes on from `state`.
    pub(in crate::attribution) fn resume(&mut self, state: ClosedState) {
        self.energies = state.into_iter().collect();
    }
}
