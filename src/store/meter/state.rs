//! What of meters outlives the process, by name. A channel goes on when its device shows it again, and a meter when the
//! configuration has it again; until then what was kept is kept on.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{MAX_CHANNELS, Meter};
use crate::model::{ChannelId, DatacenterId, MeterId, Moment, Past};
use crate::store::channel::ChannelState;

/// A [`Meter`], kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeterState {
    /// Where it stands.
    pub datacenter: DatacenterId,
    /// Its name.
    pub meter: MeterId,
    /// Age of its newest reading.
    taken: Option<Duration>,
    channels: Vec<ChannelState>,
}

/// Channels of before the start that the device has not shown since.
#[derive(Debug)]
pub(super) struct Waiting {
    past: Past,
    channels: HashMap<ChannelId, ChannelState>,
}

impl MeterState {
    /// The same, without the time since its last readings: nobody was to read it.
    pub(in crate::store) fn unmissed(mut self) -> Self {
        self.channels.iter_mut().for_each(ChannelState::unmiss);
        self
    }

    /// How many channels it has.
    pub(in crate::store) const fn len(&self) -> usize {
        self.channels.len()
    }
}

impl Meter {
    /// What is to be kept at `now`.
    pub(in crate::store) fn kept(&self, now: Moment) -> MeterState {
        let mut channels: Vec<_> = self.channels.iter().filter_map(|channel| channel.kept(now)).collect();
        if let Some(waiting) = &self.waiting {
            // Their ages are from before the start.
            let age = now.since(waiting.past.moment(Duration::ZERO));
            channels.extend(waiting.channels.values().map(|channel| channel.aged(age)));
        }
        MeterState {
            datacenter: self.settings.datacenter.clone(),
            meter: self.settings.id.clone(),
            taken: self.last_taken.map(|at| now.since(at)),
            channels,
        }
    }

    /// Goes on from `state`, before its first reading.
    pub(in crate::store) fn resume(&mut self, state: MeterState, past: &Past) {
        // What a device remembers of times that have been counted already must not count again.
        self.last_taken = state.taken.map(|age| past.moment(age));
        let channels =
            state.channels.into_iter().take(MAX_CHANNELS).map(|c| (c.channel.clone(), c)).collect();
        self.waiting = Some(Waiting { past: *past, channels });
    }

    /// Nobody is to read it for a while: what has not been seen since the start will not miss the time.
    pub(super) fn unmiss_waiting(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.channels.values_mut().for_each(ChannelState::unmiss);
        }
    }

    /// The state that a channel seen for the first time goes on from.
    pub(super) fn take_waiting(&mut self, channel: &ChannelId) -> Option<(ChannelState, Past)> {
        let waiting = self.waiting.as_mut()?;
        let (state, past) = (waiting.channels.remove(channel)?, waiting.past);
        if waiting.channels.is_empty() {
            self.waiting = None;
        }
        Some((state, past))
    }
}
