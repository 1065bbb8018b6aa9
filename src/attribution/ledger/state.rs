//! What of the ledger outlives the process, by names: what the configuration does not have is put aside, and goes on when it
//! has it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facility::FacilityState;
use super::reconfigure::MAX_ASIDE;
use super::{FacilityAccount, Ledger};
use crate::attribution::host::{HostAccount, HostState};
use crate::attribution::services::ServiceState;
use crate::attribution::tenants::TenantState;
use crate::attribution::totals::ClosedState;
use crate::inventory::{FacilityPoint, Host};
use crate::model::{Moment, Past};
use crate::store::Store;

/// A [`Ledger`], kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LedgerState {
    /// Those that were put aside first, longest ago first.
    hosts: Vec<HostState>,
    facility: Vec<FacilityState>,
    tenants: Vec<TenantState>,
    services: Vec<ServiceState>,
    /// What closed accounts of VMs held.
    closed: ClosedState,
}

impl Ledger {
    /// What is to be kept at `now`. A copy that shares what is large: the ledger need not be held while it is written.
    #[must_use]
    pub fn kept(&self, now: Moment) -> LedgerState {
        LedgerState {
            hosts: self.aside.hosts.iter().chain(&self.hosts).map(|host| host.kept(now)).collect(),
            facility: self.aside.facility.iter().chain(&self.facility).map(|point| point.kept(now)).collect(),
            tenants: self.books.tenants.kept(now),
            services: self.books.services.kept(),
            closed: self.closed.kept(),
        }
    }

    /// Goes on from `state`, before anything is settled. What the configuration does not have is put aside, as
    /// [`Self::reconfigure`] does.
    pub fn resume(&mut self, state: LedgerState, store: &Store, past: &Past) {
        self.books.tenants.resume(state.tenants, past);
        self.books.services.resume(state.services);
        self.closed.resume(state.closed);
        self.resume_hosts(state.hosts, store, past);
        self.resume_facility(state.facility, store, past);
    }

    fn resume_hosts(&mut self, kept: Vec<HostState>, store: &Store, past: &Past) {
        let key = |host: &HostAccount| (host.host().datacenter.clone(), host.host().id.clone());
        let places: BTreeMap<_, usize> = self.hosts.iter().map(key).zip(0..).collect();
        for state in kept {
            let place = places.get(&(state.datacenter.clone(), state.host.clone()));
            match place.and_then(|place| self.hosts.get_mut(*place)) {
                Some(host) => host.resume(state, &self.books, past),
                None => {
                    let named = Host::new(state.host.clone(), state.datacenter.clone());
                    let mut host = HostAccount::new(named, None, store, past.now);
                    host.resume_aside(state, &self.books, past);
                    self.aside.hosts.push(host);
                }
            }
        }
        let excess = self.aside.hosts.len().saturating_sub(MAX_ASIDE);
        if excess > 0 {
            tracing::warn!(
                "the counters of {excess} hosts are let go: they are not configured, and neither are {MAX_ASIDE} more"
            );
        }
        self.aside.hosts.drain(..excess).for_each(|account| account.dissolve(&mut self.closed));
    }

    fn resume_facility(&mut self, kept: Vec<FacilityState>, store: &Store, past: &Past) {
        for state in kept {
            let same = |account: &&mut FacilityAccount| {
                let point = account.point();
                (&point.datacenter, point.point) == (&state.datacenter, state.point)
            };
            if let Some(account) = self.facility.iter_mut().find(same) {
                account.resume(&state, past);
                continue;
            }
            let (datacenter, point) = (state.datacenter.clone(), state.point);
            let mut account = FacilityAccount::new(
                &FacilityPoint { datacenter, point, channels: Vec::new() },
                store,
                past.now,
            );
            account.resume_aside(&state, past);
            self.aside.facility.push(account);
        }
        let excess = self.aside.facility.len().saturating_sub(MAX_ASIDE);
        self.aside.facility.drain(..excess);
    }
}
