//! What of the store outlives the process: every meter's, those included that the configuration does not have.

use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::{MeterState, Store};
use crate::model::{Moment, Past};

/// The most channels kept of meters that the configuration does not have.
pub(super) const MAX_ABSENT_CHANNELS: usize = 100_000;

/// A [`Store`], kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StoreState {
    /// Those that were read.
    meters: Vec<MeterState>,
    /// Those that the configuration did not have: their time is not missed.
    absent: Vec<MeterState>,
}

impl Store {
    /// What is to be kept at `now`. Each meter's lock is held in turn, for the copy only.
    #[must_use]
    pub fn kept(&self, now: Moment) -> StoreState {
        let table = self.table();
        let lock = |meter: &std::sync::Mutex<super::Meter>| {
            meter.lock().unwrap_or_else(PoisonError::into_inner).kept(now)
        };
        let mut meters: Vec<_> = table.each().map(lock).collect();
        meters.retain(|meter| meter.len() > 0);
        StoreState { meters, absent: table.absent(now) }
    }

    /// Goes on from `state`: each meter at once, or as soon as [`Self::reconfigure`] names it.
    pub fn resume(&self, state: StoreState, past: &Past) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let absent = state.absent.into_iter().map(MeterState::unmissed);
        absent.chain(state.meters).for_each(|kept| table.resume(kept, past));
    }

    /// All meters are configured that are to be: what was kept of others, up to 100,000 channels, waits until they are
    /// configured again, and the time until then is not missed.
    pub fn begun(&self) {
        let dropped = self.table.write().unwrap_or_else(PoisonError::into_inner).begun(MAX_ABSENT_CHANNELS);
        if dropped > 0 {
            tracing::warn!(
                "what {dropped} meters counted is let go: they are not configured, and too many others are not"
            );
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
