//! What of the store outlives the process: every meter's, those included that the configuration does not have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MeterState, Store};
use crate::model::{DatacenterId, MeterId, Moment, Past};

/// The most channels kept of meters that the configuration does not have.
const MAX_ABSENT_CHANNELS: usize = 100_000;

/// Meters that the configuration does not have, as they were when it last had them.
pub(super) type Absent = BTreeMap<(DatacenterId, MeterId), MeterState>;

/// A [`Store`], kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StoreState {
    /// Those that were read.
    meters: Vec<MeterState>,
    /// Those that the configuration did not have.
    absent: Vec<MeterState>,
}

impl Store {
    /// What is to be kept at `now`. Each meter's lock is held in turn, for the copy only.
    #[must_use]
    pub fn kept(&self, now: Moment) -> StoreState {
        let mut meters = Vec::with_capacity(self.meters.len());
        self.each(|meter| meters.push(meter.kept(now)));
        meters.retain(|meter| meter.len() > 0);
        StoreState { meters, absent: self.lock_absent().values().cloned().collect() }
    }

    /// Goes on from `state`, before the first reading. What the configuration does not have is kept on, up to 100,000 channels.
    pub fn resume(&self, state: StoreState, past: &Past) {
        let mut absent = Absent::new();
        let mut room = MAX_ABSENT_CHANNELS;
        for kept in state.meters.into_iter().chain(state.absent) {
            let meter = self.find(&kept.meter).and_then(|index| self.lock(index));
            match meter.filter(|meter| meter.settings().datacenter == kept.datacenter) {
                Some(mut meter) => meter.resume(kept, past),
                None if kept.len() <= room => {
                    room -= kept.len();
                    absent.insert((kept.datacenter.clone(), kept.meter.clone()), kept);
                }
                None => tracing::warn!(
                    meter = %kept.meter,
                    "what was counted of this meter is let go: it is not configured, and neither are too many others"
                ),
            }
        }
        *self.lock_absent() = absent;
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
