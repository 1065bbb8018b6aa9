//! What of a facility point's account outlives the process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::FacilityAccount;
use crate::model::{DatacenterId, Microjoules, Moment, Past, Point};

/// A [`FacilityAccount`], kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FacilityState {
    /// Which building.
    pub datacenter: DatacenterId,
    /// Which point.
    pub point: Point,
    energy: Microjoules,
    unmeasured: Duration,
    /// Whether it was ever read.
    read: bool,
    /// How long its time has been missed, or would be from now on; none if it was not configured, or never read.
    missed: Option<Duration>,
}

impl FacilityAccount {
    /// What is to be kept at `now`.
    pub(in crate::attribution) fn kept(&self, now: Moment) -> FacilityState {
        FacilityState {
            datacenter: self.point.datacenter.clone(),
            point: self.point.point,
            energy: self.energy,
            unmeasured: self.unmeasured,
            read: self.read,
            missed: self.settled.or(self.resumed).map(|at| now.since(at)),
        }
    }

    /// Goes on from `state`, before it is settled.
    pub(in crate::attribution) fn resume(&mut self, state: &FacilityState, past: &Past) {
        self.unmeasured = state.unmeasured.min(Past::LONGEST);
        (self.energy, self.read) = (state.energy, state.read);
        self.resumed = state.missed.map(|age| past.moment(age));
    }

    /// Goes on from `state`, put aside: its time is not missed.
    pub(in crate::attribution) fn resume_aside(&mut self, state: &FacilityState, past: &Past) {
        self.resume(state, past);
        self.resumed = None;
    }
}
