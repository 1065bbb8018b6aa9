//! The store: the latest value of every channel, with its age and quality, and its energy.
//!
//! One lock a meter, held for microseconds: a poll writes its meter, a scrape and the ledger read. Nothing here
//! computes on a scrape beyond "is this value still fresh".

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{
    Batch, ChannelId, DatacenterId, MeterId, Microjoules, Moment, PollError, Quality, Ratio, Watts,
};

mod channel;
pub mod energy;
mod meter;
mod state;
pub mod track;

pub use channel::{Channel, Latest};
pub use meter::{Meter, MeterState};
pub use state::StoreState;

/// What the store needs to know of a meter before its first reading.
#[derive(Debug, Clone)]
pub struct MeterSettings {
    /// Name.
    pub id: MeterId,
    /// Where it stands.
    pub datacenter: DatacenterId,
    /// Which driver reads it.
    pub driver: &'static str,
    /// Where it is reached, for people.
    pub address: String,
    /// How far off its power may be, where the operator says.
    pub accuracy: Option<Ratio>,
    /// A value older than this is no longer shown.
    pub stale_after: Duration,
    /// A longer time between two readings is not bridged.
    pub max_gap: Duration,
}

/// Which meter, as an index: found once, used at every poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MeterIndex(usize);

/// A channel whose energy the ledger prices: meter and track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeedIndex {
    meter: MeterIndex,
    track: usize,
}

/// All meters.
#[derive(Debug)]
pub struct Store {
    meters: Vec<Mutex<Meter>>,
    by_id: HashMap<MeterId, MeterIndex>,
    /// What was kept of meters that are not there.
    absent: Mutex<state::Absent>,
}

impl Store {
    /// A store of these meters, none read yet.
    #[must_use]
    pub fn new(meters: Vec<MeterSettings>) -> Self {
        let by_id = meters.iter().enumerate().map(|(i, m)| (m.id.clone(), MeterIndex(i))).collect();
        let meters = meters.into_iter().map(|m| Mutex::new(Meter::new(m))).collect();
        Self { meters, by_id, absent: Mutex::default() }
    }

    /// Finds a meter by name.
    #[must_use]
    pub fn find(&self, id: &MeterId) -> Option<MeterIndex> {
        self.by_id.get(id).copied()
    }

    /// Declares a reader of a channel's energy: its past is kept until that reader forgets it. None if there is no such meter.
    #[must_use]
    pub fn track(&self, meter: &MeterId, channel: &ChannelId) -> Option<FeedIndex> {
        let index = self.find(meter)?;
        let track = self.lock(index)?.track(channel);
        Some(FeedIndex { meter: index, track })
    }

    /// Ends what [`Self::track`] began: the feed's past is no longer kept.
    pub fn untrack(&self, feed: FeedIndex) {
        if let Some(mut m) = self.lock(feed.meter) {
            m.untrack(feed.track);
        }
    }

    /// Which channel a feed is of; none once its meter is gone, or was replaced by one that nobody tracks yet.
    #[must_use]
    pub fn tracked(&self, feed: FeedIndex) -> Option<(MeterId, ChannelId)> {
        let m = self.lock(feed.meter)?;
        Some((m.settings().id.clone(), m.tracked(feed.track)?.clone()))
    }

    /// Takes what a poll brought at `now`.
    pub fn apply(&self, meter: MeterIndex, batch: &Batch, now: Moment) {
        if let Some(mut m) = self.lock(meter) {
            m.apply(batch, now);
        }
    }

    /// Takes note that a poll failed at `now`.
    pub fn fail(&self, meter: MeterIndex, error: &PollError, now: Moment) {
        if let Some(mut m) = self.lock(meter) {
            m.fail(error, now);
        }
    }

    /// Every meter in turn, in configuration order.
    pub fn each(&self, mut visit: impl FnMut(&Meter)) {
        for m in &self.meters {
            visit(&m.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Up to when a feed's energy is known; none before its first power reading.
    #[must_use]
    pub fn frontier(&self, feed: FeedIndex) -> Option<Moment> {
        self.lock(feed.meter)?.track_at(feed.track)?.frontier()
    }

    /// From when on a feed's energy is known; none before its first power reading.
    #[must_use]
    pub fn start(&self, feed: FeedIndex) -> Option<Moment> {
        self.lock(feed.meter)?.track_at(feed.track)?.start()
    }

    /// The latest end of an interval from `from` on in which a feed is either known or unknown as a whole; none if it has no
    /// gap from there on.
    #[must_use]
    pub fn next_break(&self, feed: FeedIndex, from: Moment) -> Option<Moment> {
        self.lock(feed.meter)?.track_at(feed.track)?.next_break(from)
    }

    /// Energy of a feed from `from` to `to`; none where any part of it is not known.
    #[must_use]
    pub fn energy(&self, feed: FeedIndex, from: Moment, to: Moment) -> Option<Microjoules> {
        self.lock(feed.meter)?.track_at(feed.track)?.between(from, to)
    }

    /// Lets go of a feed's past before `until`.
    pub fn forget_before(&self, feed: FeedIndex, until: Moment) {
        if let Some(mut m) = self.lock(feed.meter) {
            m.forget_before(feed.track, until);
        }
    }

    /// A feed's power, if its latest reading is fresh at `now`.
    #[must_use]
    pub fn power(&self, feed: FeedIndex, now: Moment) -> Option<Watts> {
        self.lock(feed.meter)?.feed_power(feed.track, now)
    }

    /// The largest error of a feed's power, if that is known and its latest reading fresh at `now`.
    #[must_use]
    pub fn error(&self, feed: FeedIndex, now: Moment) -> Option<Watts> {
        self.lock(feed.meter)?.feed_error(feed.track, now)
    }

    /// How a feed's readings come to be; none before the first.
    #[must_use]
    pub fn quality(&self, feed: FeedIndex) -> Option<Quality> {
        self.lock(feed.meter)?.feed_quality(feed.track)
    }

    /// How long a feed may be silent before others stand in for it.
    #[must_use]
    pub fn patience(&self, feed: FeedIndex) -> Duration {
        self.lock(feed.meter).map_or(Duration::ZERO, |m| m.settings().stale_after)
    }

    fn lock_absent(&self) -> MutexGuard<'_, state::Absent> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self, meter: MeterIndex) -> Option<MutexGuard<'_, Meter>> {
        Some(self.meters.get(meter.0)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
