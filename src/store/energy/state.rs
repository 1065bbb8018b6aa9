//! What of a channel's energy outlives the process: the sums, and where each was when it was kept. What was drawn between the
//! last reading before a restart and the first one after it is not known, and is never bridged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Account, DeviceCounter, Integral};
use crate::model::{EnergyCounter, Joules, Microjoules, Moment, Past};

/// An [`Integral`], kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IntegralState {
    total: Microjoules,
    carry: f64,
    unmeasured: Duration,
    /// Age of its last reading, from when on its time is missed; none if nobody was to read it.
    age: Option<Duration>,
}

impl Integral {
    /// What is to be kept at `now`; none if it never had two readings, nor one that something may follow.
    pub(in crate::store) fn kept(&self, now: Moment) -> Option<IntegralState> {
        let last = self.last.map(|(then, _)| then).or(self.resumed);
        let Self { total, carry, unmeasured, .. } = *self;
        let counts = last.is_some() || total > Microjoules::ZERO || !unmeasured.is_zero();
        counts.then(|| IntegralState { total, carry, unmeasured, age: last.map(|at| now.since(at)) })
    }

    /// Goes on from `state`; the time since its last reading will count as unmeasured.
    pub(in crate::store) fn resume(state: IntegralState, past: &Past) -> Self {
        // Half a microjoule at most: more is no carry.
        let carry = if state.carry.abs() <= 1.0 { state.carry } else { 0.0 };
        let IntegralState { total, unmeasured, age, .. } = state;
        let resumed = age.map(|age| past.moment(age));
        Self { last: None, resumed, total, carry, unmeasured: unmeasured.min(Past::LONGEST) }
    }
}

/// A [`DeviceCounter`], kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CounterState {
    /// What the device showed last, J.
    shown: f64,
    quantum: f64,
    modulus: Option<f64>,
    total: Microjoules,
    /// Age of what it showed.
    age: Duration,
}

impl DeviceCounter {
    /// What is to be kept at `now`.
    pub(in crate::store) fn kept(&self, now: Moment) -> CounterState {
        CounterState {
            shown: self.last.total.get(),
            quantum: self.last.quantum.get(),
            modulus: self.last.modulus.map(Joules::get),
            total: self.total,
            age: now.since(self.at),
        }
    }

    /// Goes on from `state`: what the device counts meanwhile is its own word, and counts. None if what it showed cannot be.
    pub(in crate::store) fn resume(state: &CounterState, past: &Past) -> Option<Self> {
        let joules = |value| Joules::new(value).ok();
        let modulus = match state.modulus {
            Some(modulus) => Some(joules(modulus)?),
            None => None,
        };
        let last = EnergyCounter { total: joules(state.shown)?, quantum: joules(state.quantum)?, modulus };
        Some(Self { total: state.total, ..Self::new(last, past.moment(state.age)) })
    }
}

impl Account {
    /// An account that goes on from `total`. Its device's counter begins anew: what that counted meanwhile belongs to no
    /// interval of the ledger.
    pub(in crate::store) const fn resume(total: Microjoules) -> Self {
        Self { total, anchor: None }
    }
}

impl IntegralState {
    /// The same, kept `by` later.
    pub(in crate::store) fn aged(self, by: Duration) -> Self {
        Self { age: self.age.map(|age| age.saturating_add(by)), ..self }
    }

    /// The same, without the time since the last reading.
    pub(in crate::store) fn unmissed(self) -> Self {
        Self { age: None, ..self }
    }
}

impl CounterState {
    /// The same, kept `by` later.
    pub(in crate::store) const fn aged(self, by: Duration) -> Self {
        Self { age: self.age.saturating_add(by), ..self }
    }
}
