//! What of the services' accounts outlives the process: all of them.

use serde::{Deserialize, Serialize};

use super::{ServiceAccount, ServiceBook, ServiceKey, labels};
use crate::attribution::ledger::ByMethod;
use crate::model::Microjoules;

/// A [`ServiceAccount`], kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceState {
    key: ServiceKey,
    energy: ByMethod<Microjoules>,
}

impl ServiceBook {
    /// What is to be kept.
    pub(in crate::attribution) fn kept(&self) -> Vec<ServiceState> {
        self.accounts.iter().map(|(key, a)| ServiceState { key: key.clone(), energy: a.energy }).collect()
    }

    /// Goes on from `state`.
    pub(in crate::attribution) fn resume(&mut self, state: Vec<ServiceState>) {
        let account = |ServiceState { key, energy }| {
            let labels = labels(&key);
            (key, ServiceAccount { labels, energy })
        };
        self.accounts = state.into_iter().map(account).collect();
    }
}
