//! The accounts of all workloads of one host: who is there, who left, and what each claims of an interval.
//!
//! Bounded: a host keeps [`MAX_ACCOUNTS`]. Where more are needed those that left longest ago are closed first, and a
//! workload for which there is no room at all is not told from the hypervisor. What a closed account held stays with the
//! host (`departed`) and its tenant, so no joule is lost.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::split::Claim;
use super::workload::WorkloadAccount;
use crate::inventory::{Host, Tenants};
use crate::model::{Microjoules, Moment, ProjectId, WorkloadId};
use crate::workloads::{Usage, Workload};

mod state;

pub use state::GuestsState;

/// The most accounts of one host, those of workloads that left included: a hypervisor that invents guests must not fill
/// the memory.
const MAX_ACCOUNTS: usize = 10_000;

/// How long the account of a workload that left is kept, so that its counters go on if it comes back.
const KEEP_DEPARTED: Duration = Duration::from_secs(3600);

/// A stretch of a host's time that is being settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    pub(super) from: Moment,
    pub(super) until: Moment,
}

impl Interval {
    pub(super) const fn time(self) -> Duration {
        self.until.since(self.from)
    }
}

/// The workloads' accounts of one host.
#[derive(Debug, Default)]
pub(super) struct Guests {
    accounts: BTreeMap<WorkloadId, WorkloadAccount>,
    /// Accounts with projects that no longer own the workload.
    handed_over: BTreeMap<(WorkloadId, ProjectId), WorkloadAccount>,
    sampled: Option<Moment>,
    departed: Microjoules,
    crowded: bool,
}

impl Guests {
    /// Every account: by id, then those that were handed over.
    pub(super) fn iter(&self) -> impl Iterator<Item = &WorkloadAccount> {
        self.accounts.values().chain(self.handed_over.values())
    }

    /// The accounts that take part in an interval, in the order of the claims.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut WorkloadAccount> {
        self.accounts.values_mut()
    }

    /// What closed accounts held.
    pub(super) const fn departed(&self) -> Microjoules {
        self.departed
    }

    /// When the workloads were last listed.
    pub(super) const fn sampled(&self) -> Option<Moment> {
        self.sampled
    }

    /// Whether a workload was listed in the last sample.
    pub(super) fn is_present(&self, workload: &WorkloadAccount) -> bool {
        workload.seen().is_some() && workload.seen() == self.sampled
    }

    /// Every account's claim of the interval, in the order of [`Self::iter_mut`]. None claims more CPU time than `limit`,
    /// ns.
    pub(super) fn claims(
        &mut self,
        host: &Host,
        names: &Tenants,
        interval: Interval,
        sample: &Usage,
        limit: u64,
    ) -> Vec<Claim> {
        let Interval { from, until } = interval;
        self.make_room(host, sample);
        let mut claimed: BTreeMap<&WorkloadId, Claim> = BTreeMap::new();
        for workload in &sample.workloads {
            let id = &workload.info.id;
            let known = self.accounts.get(id);
            let is_new = self.sampled.is_some() && known.is_none_or(|a| !self.is_present(a));
            if known.is_none() && self.len() >= MAX_ACCOUNTS {
                continue;
            }
            let account = self.account(workload, host, names);
            claimed.insert(id, account.claim(workload, from, until, is_new));
        }
        self.sampled = Some(until);
        self.accounts
            .iter_mut()
            .map(|(id, account)| {
                let mut claim = claimed.get(id).copied().unwrap_or_else(|| account.leave(from, until));
                claim.cpu_nanos = claim.cpu_nanos.min(limit);
                claim
            })
            .collect()
    }

    /// Takes the names that the configuration gives to tenants.
    pub(super) fn rename(&mut self, host: &Host, names: &Tenants) {
        for account in self.accounts.values_mut().chain(self.handed_over.values_mut()) {
            let name = names.name(account.project()).unwrap_or(&account.info().project_name).to_owned();
            account.rename(&name, &host.datacenter, &host.id);
        }
    }

    /// Closes the accounts of workloads that left long ago. While the hypervisor is silent nobody leaves.
    pub(super) fn close_departed(&mut self) {
        let Some(sampled) = self.sampled else { return };
        let (departed, mut closed) = (&mut self.departed, Microjoules::ZERO);
        let mut stays = |account: &WorkloadAccount| {
            let stays = account.seen().is_none_or(|at| sampled.since(at) <= KEEP_DEPARTED);
            if !stays {
                closed += account.total();
            }
            stays
        };
        self.accounts.retain(|_, account| stays(account));
        self.handed_over.retain(|_, account| stays(account));
        *departed += closed;
    }

    fn len(&self) -> usize {
        self.accounts.len() + self.handed_over.len()
    }

    /// Makes room for the new ones of `sample` by closing accounts of those that it does not list, longest gone first.
    fn make_room(&mut self, host: &Host, sample: &Usage) {
        let new = sample.workloads.iter().filter(|w| !self.accounts.contains_key(&w.info.id)).count();
        let excess = (self.len() + new).saturating_sub(MAX_ACCOUNTS);
        if excess == 0 {
            return;
        }
        if !std::mem::replace(&mut self.crowded, true) {
            tracing::warn!(
                host = %host.id,
                "more than {MAX_ACCOUNTS} workloads came and went: the oldest accounts are closed early, and \
                 workloads beyond that count as the hypervisor's; see what creates them"
            );
        }
        let listed: HashSet<_> = sample.workloads.iter().map(|w| &w.info.id).collect();
        let mut gone: Vec<_> =
            (self.handed_over.values().map(|a| (a.seen(), a.info().id.clone(), Some(a.project().clone()))))
                .chain(
                    self.accounts
                        .values()
                        .filter(|a| !listed.contains(&a.info().id))
                        .map(|a| (a.seen(), a.info().id.clone(), None)),
                )
                .collect();
        gone.sort_unstable();
        for (_, id, project) in gone.into_iter().take(excess) {
            let closed = match project {
                Some(project) => self.handed_over.remove(&(id, project)),
                None => self.accounts.remove(&id),
            };
            self.departed += closed.map(|a| a.total()).unwrap_or_default();
        }
    }

    /// Finds or opens the account of a workload. One that has changed hands goes on with its new owner's account; the old
    /// owner's keeps what it has.
    fn account(&mut self, workload: &Workload, host: &Host, names: &Tenants) -> &mut WorkloadAccount {
        let info = &workload.info;
        let project = info
            .project_id
            .clone()
            .or_else(|| names.by_domain(&info.domain).cloned())
            .unwrap_or_else(ProjectId::unassigned);
        let name = names.name(&project).unwrap_or(&info.project_name).to_owned();
        let (datacenter, host) = (&host.datacenter, &host.id);
        let before = match self.accounts.get(&info.id) {
            Some(account) if *account.project() != project => self.accounts.remove(&info.id),
            Some(_) | None => None,
        };
        let Self { accounts, handed_over, .. } = self;
        let account = accounts.entry(info.id.clone()).or_insert_with(|| {
            handed_over
                .remove(&(info.id.clone(), project.clone()))
                .unwrap_or_else(|| WorkloadAccount::new(Arc::clone(info), project, &name, datacenter, host))
        });
        if let Some(mut before) = before {
            account.succeed(&mut before);
            handed_over.insert((info.id.clone(), before.project().clone()), before);
        }
        account.refresh(info, &name, datacenter, host);
        account
    }
}
