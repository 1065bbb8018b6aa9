//! What of a host's account outlives the process, by name. Intervals that were not settled are not kept: they count as
//! unmeasured, with the time until the first interval after the start.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{HostAccount, Overhead};
use crate::attribution::books::Books;
use crate::attribution::guests::GuestsState;
use crate::attribution::idle::{IdleLearner, IdleState};
use crate::attribution::ledger::ByMethod;
use crate::model::{DatacenterId, HostId, Microjoules, Moment, Past};

/// A [`HostAccount`], kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostState {
    /// Where it stands.
    pub datacenter: DatacenterId,
    /// Its name.
    pub host: HostId,
    energy: ByMethod<Microjoules>,
    overhead: ByMethod<Overhead>,
    unmeasured: Duration,
    learner: IdleState,
    /// How long ago its last settled interval ended; none before the first.
    settled: Option<Duration>,
    /// Whether its time was missed from then on: not that of one that was switched off, or not configured.
    missed: bool,
    guests: GuestsState,
}

impl HostAccount {
    /// What is to be kept at `now`.
    pub(in crate::attribution) fn kept(&self, now: Moment) -> HostState {
        HostState {
            datacenter: self.host.datacenter.clone(),
            host: self.host.id.clone(),
            energy: self.energy,
            overhead: self.overhead,
            unmeasured: self.unmeasured,
            learner: self.learner.state(),
            settled: self.settled().map(|at| now.since(at)),
            missed: self.is_enabled() && (self.settled.is_some() || self.resumed.is_some()),
            guests: self.guests.kept(now),
        }
    }

    /// Goes on from `state`, before its first interval.
    pub(in crate::attribution) fn resume(&mut self, state: HostState, books: &Books, past: &Past) {
        self.energy = state.energy;
        self.overhead = state.overhead;
        self.unmeasured = state.unmeasured.min(Past::LONGEST);
        self.learner = IdleLearner::resume(&state.learner);
        self.stood = state.settled.map(|age| past.moment(age));
        self.resumed = self.stood.filter(|_| state.missed);
        self.guests.resume(state.guests, &self.host, books, past);
    }

    /// Goes on from `state`, put aside: its time is not missed.
    pub(in crate::attribution) fn resume_aside(&mut self, state: HostState, books: &Books, past: &Past) {
        self.resume(state, books, past);
        self.resumed = None;
    }
}
