//! The accounts of all workloads of one host: who is there, who left, and what each claims of an interval.
//!
//! Bounded: a host keeps [`MAX_ACCOUNTS`]. Where more are needed those that left longest ago are closed first, and a
//! workload for which there is no room at all is not told from the hypervisor. What a closed account held stays with the
//! host (`departed`) and its tenant, so no joule is lost.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::books::Books;
use super::split::Claim;
use super::totals::Closed;
use super::workload::WorkloadAccount;
use crate::inventory::Host;
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
    /// Boxed: a map keeps room for a third more than it has.
    accounts: BTreeMap<WorkloadId, Box<WorkloadAccount>>,
    /// Accounts with projects that no longer own the workload.
    handed_over: BTreeMap<(WorkloadId, ProjectId), Box<WorkloadAccount>>,
    sampled: Option<Moment>,
    departed: Microjoules,
    /// Accounts closed since the ledger last asked.
    closed: Vec<Closed>,
    crowded: bool,
}

impl Guests {
    /// Every account: by id, then those that were handed over.
    pub(super) fn iter(&self) -> impl Iterator<Item = &WorkloadAccount> {
        self.accounts.values().chain(self.handed_over.values()).map(Box::as_ref)
    }

    /// The accounts that take part in an interval, in the order of the claims.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut WorkloadAccount> {
        self.accounts.values_mut().map(Box::as_mut)
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
        books: &Books,
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
            let account = self.account(workload, host, books);
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

    /// Takes what the configuration says of tenants and services.
    pub(super) fn rename(&mut self, host: &Host, books: &Books) {
        for account in self.accounts.values_mut().chain(self.handed_over.values_mut()) {
            let name = books.tenants.names.name(account.project()).unwrap_or(&account.info().project_name);
            let name = name.to_owned();
            account.rename(&name, &host.datacenter, &host.id);
            account.serve(books.services.of(account.info(), account.project()));
        }
    }

    /// Closes the accounts of workloads that left long ago. While the hypervisor is silent nobody leaves.
    pub(super) fn close_departed(&mut self) {
        let Some(sampled) = self.sampled else { return };
        self.close_unless(|account| account.seen().is_none_or(|at| sampled.since(at) <= KEEP_DEPARTED));
    }

    /// An account, present or handed over.
    pub(super) fn find_mut(&mut self, id: &WorkloadId, project: &ProjectId) -> Option<&mut WorkloadAccount> {
        match self.accounts.get_mut(id).filter(|account| account.project() == project) {
            Some(account) => Some(account),
            None => self.handed_over.get_mut(&(id.clone(), project.clone())).map(Box::as_mut),
        }
    }

    /// Adds to what closed accounts held.
    pub(super) fn depart(&mut self, energy: Microjoules) {
        self.departed += energy;
    }

    /// Closes all accounts.
    pub(super) fn close_all(&mut self) {
        self.close_unless(|_| false);
    }

    /// The accounts that were closed since this was last asked.
    pub(super) fn take_closed(&mut self) -> impl Iterator<Item = Closed> {
        self.closed.drain(..)
    }

    fn close_unless(&mut self, stays: impl Fn(&WorkloadAccount) -> bool) {
        let ids: Vec<WorkloadId> =
            self.accounts.iter().filter(|(_, account)| !stays(account)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let account = self.accounts.remove(&id);
            self.close(account);
        }
        let keys: Vec<_> = self
            .handed_over
            .iter()
            .filter(|(_, account)| !stays(account))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            let account = self.handed_over.remove(&key);
            self.close(account);
        }
    }

    fn close(&mut self, account: Option<Box<WorkloadAccount>>) {
        let Some(account) = account else { return };
        self.departed += account.total();
        self.closed.extend(Closed::of(&account));
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
            self.close(closed);
        }
    }

    /// Finds or opens the account of a workload. One that has changed hands goes on with its new owner's account; the old
    /// owner's keeps what it has.
    fn account(&mut self, workload: &Workload, host: &Host, books: &Books) -> &mut WorkloadAccount {
        let info = &workload.info;
        let project = books.tenants.project_of(info);
        let name = books.tenants.names.name(&project).unwrap_or(&info.project_name).to_owned();
        let (datacenter, host) = (&host.datacenter, &host.id);
        let before = match self.accounts.get(&info.id) {
            Some(account) if *account.project() != project => self.accounts.remove(&info.id),
            Some(_) | None => None,
        };
        let Self { accounts, handed_over, .. } = self;
        let account = accounts.entry(info.id.clone()).or_insert_with(|| {
            let new = |project| WorkloadAccount::new(Arc::clone(info), project, &name, datacenter, host);
            let kept = handed_over.remove(&(info.id.clone(), project.clone()));
            kept.unwrap_or_else(|| Box::new(new(project)))
        });
        if let Some(mut before) = before {
            account.succeed(&mut before);
            handed_over.insert((info.id.clone(), before.project().clone()), before);
        }
        if account.refresh(info, &name, datacenter, host) {
            account.serve(books.services.of(info, account.project()));
        }
        account
    }
}
