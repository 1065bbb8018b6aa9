//! What of the ledger outlives the process, by names: what the configuration does not have is kept on, and goes on when it
//! has it again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FacilityAccount, Ledger};
use crate::attribution::host::HostState;
use crate::attribution::tenants::TenantState;
use crate::model::{DatacenterId, HostId, Microjoules, Moment, Past};

/// The most hosts, and the most facility points, kept that the configuration does not have.
const MAX_ABSENT: usize = 10_000;

/// What the configuration does not have, as it was when it last had it.
#[derive(Debug, Default)]
pub(super) struct Absent {
    hosts: BTreeMap<(DatacenterId, HostId), HostState>,
    facility: BTreeMap<(DatacenterId, String), FacilityState>,
}

/// A [`FacilityAccount`], kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FacilityState {
    datacenter: DatacenterId,
    point: String,
    energy: Microjoules,
    unmeasured: Duration,
    /// How long ago it was settled; none if it never was.
    settled: Option<Duration>,
}

/// A [`Ledger`], kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LedgerState {
    hosts: Vec<HostState>,
    absent_hosts: Vec<HostState>,
    facility: Vec<FacilityState>,
    absent_facility: Vec<FacilityState>,
    tenants: Vec<TenantState>,
}

impl FacilityAccount {
    fn kept(&self, now: Moment) -> FacilityState {
        let (datacenter, point) = &self.place;
        FacilityState {
            datacenter: datacenter.clone(),
            point: point.name().to_owned(),
            energy: self.energy,
            unmeasured: self.unmeasured,
            settled: self.settled.or(self.resumed).map(|at| now.since(at)),
        }
    }

    fn resume(&mut self, state: &FacilityState, past: &Past) {
        (self.energy, self.unmeasured) = (state.energy, state.unmeasured);
        self.resumed = state.settled.map(|age| past.moment(age));
    }
}

impl Ledger {
    /// What is to be kept at `now`. A copy that shares what is large: the ledger need not be held while it is written.
    #[must_use]
    pub fn kept(&self, now: Moment) -> LedgerState {
        LedgerState {
            hosts: self.hosts.iter().map(|host| host.kept(now)).collect(),
            absent_hosts: self.absent.hosts.values().cloned().collect(),
            facility: self.facility.iter().map(|point| point.kept(now)).collect(),
            absent_facility: self.absent.facility.values().cloned().collect(),
            tenants: self.tenants.kept(now),
        }
    }

    /// Goes on from `state`, before anything is settled. What the configuration does not have is kept on, up to 10,000 hosts
    /// and as many facility points.
    pub fn resume(&mut self, state: LedgerState, past: &Past) {
        self.tenants.resume(state.tenants, past);
        let (mut hosts, mut facility) = (BTreeMap::new(), BTreeMap::new());
        for kept in state.hosts.into_iter().chain(state.absent_hosts) {
            hosts.insert((kept.datacenter.clone(), kept.host.clone()), kept);
        }
        for host in &mut self.hosts {
            let name = (host.host().datacenter.clone(), host.host().id.clone());
            if let Some(kept) = hosts.remove(&name) {
                host.resume(kept, &self.tenants.names, past);
            }
        }
        for kept in state.facility.into_iter().chain(state.absent_facility) {
            facility.insert((kept.datacenter.clone(), kept.point.clone()), kept);
        }
        for point in &mut self.facility {
            let (datacenter, name) = &point.place;
            if let Some(kept) = facility.remove(&(datacenter.clone(), name.name().to_owned())) {
                point.resume(&kept, past);
            }
        }
        for (count, what) in [(hosts.len(), "hosts"), (facility.len(), "facility points")] {
            if count > MAX_ABSENT {
                tracing::warn!(
                    "{count} {what} of the checkpoint are not configured: only {MAX_ABSENT} are kept on"
                );
            }
        }
        self.absent = Absent {
            hosts: hosts.into_iter().take(MAX_ABSENT).collect(),
            facility: facility.into_iter().take(MAX_ABSENT).collect(),
        };
    }
}
