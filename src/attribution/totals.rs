//! The total of each VM over all hosts, so that its counter goes on when it migrates: the sum of its accounts on the hosts
//! there are, and of what its closed accounts held. Only VMs have one: other workloads' ids mean something on their own host
//! only.
//!
//! A total lives as long as any host keeps an account of the VM, which is an hour beyond the last time one had it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::host::HostAccount;
use super::ledger::{ByMethod, Method};
use super::workload::WorkloadAccount;
use crate::model::{LabelSet, Microjoules, Moment, ProjectId, WorkloadId};

mod state;

pub(super) use state::ClosedState;

/// How often what no living VM needs any more is looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// The most VMs with closed accounts. Beyond that only those are kept whose total is shown.
const MAX_CLOSED: usize = 100_000;

/// What a closed account held.
#[derive(Debug)]
pub(super) struct Closed {
    id: WorkloadId,
    project: ProjectId,
    energy: ByMethod<Microjoules>,
}

impl Closed {
    /// Of an account that counts for a total and holds anything.
    pub(super) fn of(account: &WorkloadAccount) -> Option<Self> {
        account.total_labels()?;
        let energy = held(account);
        (energy != ByMethod::default()).then(|| Self {
            id: account.info().id.clone(),
            project: account.project().clone(),
            energy,
        })
    }
}

/// One VM's total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmTotal<'a> {
    /// `kind`, `workload`, `project_id`, rendered.
    pub labels: &'a LabelSet,
    /// Its energy, as its project's.
    pub energy: ByMethod<Microjoules>,
    /// By which methods its hosts may be known.
    pub methods: ByMethod<bool>,
}

/// What closed accounts held of VMs that may be elsewhere, or come back.
#[derive(Debug, Default)]
pub(super) struct ClosedBook {
    pub(super) energies: BTreeMap<(WorkloadId, ProjectId), ByMethod<Microjoules>>,
    swept: Moment,
}

impl ClosedBook {
    pub(super) fn add(&mut self, closed: Closed) {
        let book = self.energies.entry((closed.id, closed.project)).or_default();
        for method in Method::ALL {
            *book.get_mut(method) += *closed.energy.get(method);
        }
    }

    /// Forgets VMs that no host has an account of.
    pub(super) fn sweep<'a>(&mut self, hosts: impl Iterator<Item = &'a HostAccount> + Clone, now: Moment) {
        let crowded = self.energies.len() > MAX_CLOSED;
        if self.energies.is_empty() || (!crowded && now.since(self.swept) < SWEEP_INTERVAL) {
            return;
        }
        self.swept = now;
        let ids: HashSet<&WorkloadId> =
            hosts.clone().flat_map(HostAccount::workloads).map(|w| &w.info().id).collect();
        self.energies.retain(|(id, _), _| ids.contains(id));
        if self.energies.len() > MAX_CLOSED {
            let shown: HashSet<(&WorkloadId, &ProjectId)> =
                hosts.flat_map(HostAccount::workloads).map(|w| (&w.info().id, w.project())).collect();
            self.energies.retain(|(id, project), _| shown.contains(&(id, project)));
        }
    }

    /// The totals of all VMs that `hosts` have accounts of, in order of first sight; what `removed` hosts held counts too.
    pub(super) fn totals<'a>(
        &self,
        hosts: &'a [HostAccount],
        removed: &'a [HostAccount],
    ) -> Vec<VmTotal<'a>> {
        let mut places: HashMap<(&WorkloadId, &ProjectId), usize> = HashMap::new();
        let mut totals: Vec<VmTotal<'a>> = Vec::new();
        for (host, is_here) in hosts.iter().map(|h| (h, true)).chain(removed.iter().map(|h| (h, false))) {
            for account in host.workloads() {
                let Some(labels) = account.total_labels() else { continue };
                let key = (&account.info().id, account.project());
                let place = match places.get(&key) {
                    Some(place) => *place,
                    None if is_here => {
                        let energy = self.energies.get(&(key.0.clone(), key.1.clone())).copied();
                        totals.push(VmTotal {
                            labels,
                            energy: energy.unwrap_or_default(),
                            methods: ByMethod::default(),
                        });
                        places.insert(key, totals.len() - 1);
                        totals.len() - 1
                    }
                    None => continue,
                };
                if let Some(total) = totals.get_mut(place) {
                    total.add(host, account);
                }
            }
        }
        totals
    }
}

impl VmTotal<'_> {
    fn add(&mut self, host: &HostAccount, account: &WorkloadAccount) {
        let held = held(account);
        for method in Method::ALL {
            *self.energy.get_mut(method) += *held.get(method);
        }
        host.methods().for_each(|method| *self.methods.get_mut(method) = true);
        for method in Method::ALL {
            *self.methods.get_mut(method) |= *self.energy.get(method) > Microjoules::ZERO;
        }
    }
}

fn held(account: &WorkloadAccount) -> ByMethod<Microjoules> {
    let mut held = ByMethod::default();
    for method in Method::ALL {
        *held.get_mut(method) = account.energy().get(method).total();
    }
    held
}
