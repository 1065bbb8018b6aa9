//! The store: the latest value of every channel, with its age and quality, and its energy.
//!
//! One lock a meter, held for microseconds: a poll writes its meter, a scrape and the ledger read. Which meters there are
//! changes with the configuration only: that table has a lock of its own, which all but a reload merely read. Nothing here
//! computes on a scrape beyond "is this value still fresh".

use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use crate::model::{
    Batch, ChannelId, DatacenterId, MeterId, Microjoules, Moment, PollError, Quality, Ratio, Watts,
};

mod channel;
pub mod energy;
mod meter;
mod state;
mod table;
pub mod track;

pub use channel::{Channel, Latest};
pub use meter::{Meter, MeterState};
pub use state::StoreState;
use table::Table;

/// What the store needs to know of a meter before its first reading.
#[derive(Debug, Clone, PartialEq)]
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

/// Which meter, as an index: found once, used at every poll. It stays the same as long as a meter of that name is
/// configured, and leads nowhere once there is none, whoever comes to stand in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MeterIndex {
    slot: u32,
    /// How many meters had the slot before.
    generation: u32,
}

/// A channel whose energy the ledger prices: meter and track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeedIndex {
    meter: MeterIndex,
    track: usize,
}

/// All meters.
#[derive(Debug)]
pub struct Store {
    table: RwLock<Table>,
}

impl Store {
    /// A store of these meters, none read yet.
    #[must_use]
    pub fn new(meters: Vec<MeterSettings>) -> Self {
        let mut table = Table::default();
        table.reconfigure(meters, |_| true, Moment::ZERO);
        Self { table: RwLock::new(table) }
    }

    /// Makes these the meters from `now` on, in this order. One whose name was there before goes on with its channels and their energy; where
    /// `is_another` says so it is another device now, whose counter is not a continuation of the one before. One that is
    /// not named any more is not found and not shown, but its feeds still tell until [`Store::release_removed`].
    pub fn reconfigure(
        &self,
        meters: Vec<MeterSettings>,
        is_another: impl Fn(&MeterId) -> bool,
        now: Moment,
    ) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).reconfigure(meters, is_another, now);
    }

    /// Puts aside, at `now`, what [`Store::reconfigure`] removed: its energy goes on if it comes back.
    pub fn release_removed(&self, now: Moment) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).release_removed(now);
    }

    /// Stops or starts a meter at `now`: one that is off shows no value, is not down, and the time until it is on again is
    /// neither integrated nor unmeasured.
    pub fn set_enabled(&self, meter: MeterIndex, enabled: bool, now: Moment) {
        self.with(meter, |m| m.set_enabled(enabled, now));
    }

    /// Finds a meter by name.
    #[must_use]
    pub fn find(&self, id: &MeterId) -> Option<MeterIndex> {
        self.table().find(id)
    }

    /// Looks at one meter.
    pub fn look<T>(&self, meter: MeterIndex, visit: impl FnOnce(&Meter) -> T) -> Option<T> {
        self.with(meter, |m| visit(m))
    }

    /// Declares a reader of a channel's energy: its past is kept until that reader forgets it. None if there is no such meter.
    #[must_use]
    pub fn track(&self, meter: &MeterId, channel: &ChannelId) -> Option<FeedIndex> {
        let index = self.find(meter)?;
        let track = self.with(index, |m| m.track(channel))?;
        Some(FeedIndex { meter: index, track })
    }

    /// Ends what [`Self::track`] began: the feed's past is no longer kept.
    pub fn untrack(&self, feed: FeedIndex) {
        self.with(feed.meter, |m| m.untrack(feed.track));
    }

    /// Which channel a feed is of; none once its meter is gone, or was replaced by one that nobody tracks yet.
    #[must_use]
    pub fn tracked(&self, feed: FeedIndex) -> Option<(MeterId, ChannelId)> {
        self.with(feed.meter, |m| Some((m.settings().id.clone(), m.tracked(feed.track)?.clone())))?
    }

    /// Takes what a poll brought at `now`.
    pub fn apply(&self, meter: MeterIndex, batch: &Batch, now: Moment) {
        self.with(meter, |m| m.apply(batch, now));
    }

    /// Takes note that a poll failed at `now`.
    pub fn fail(&self, meter: MeterIndex, error: &PollError, now: Moment) {
        self.with(meter, |m| m.fail(error, now));
    }

    /// Every meter in turn, in configuration order. `visit` must not come back to the store: a reload that waits meanwhile
    /// would never end.
    pub fn each(&self, mut visit: impl FnMut(&Meter)) {
        for meter in self.table().each() {
            visit(&meter.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Up to when a feed's energy is known; none before its first power reading.
    #[must_use]
    pub fn frontier(&self, feed: FeedIndex) -> Option<Moment> {
        self.with(feed.meter, |m| m.track_at(feed.track)?.frontier())?
    }

    /// From when on a feed's energy is known; none before its first power reading.
    #[must_use]
    pub fn start(&self, feed: FeedIndex) -> Option<Moment> {
        self.with(feed.meter, |m| m.track_at(feed.track)?.start())?
    }

    /// The latest end of an interval from `from` on in which a feed is either known or unknown as a whole; none if it has no
    /// gap from there on.
    #[must_use]
    pub fn next_break(&self, feed: FeedIndex, from: Moment) -> Option<Moment> {
        self.with(feed.meter, |m| m.track_at(feed.track)?.next_break(from))?
    }

    /// Energy of a feed from `from` to `to`; none where any part of it is not known.
    #[must_use]
    pub fn energy(&self, feed: FeedIndex, from: Moment, to: Moment) -> Option<Microjoules> {
        self.with(feed.meter, |m| m.track_at(feed.track)?.between(from, to))?
    }

    /// Lets go of a feed's past before `until`.
    pub fn forget_before(&self, feed: FeedIndex, until: Moment) {
        self.with(feed.meter, |m| m.forget_before(feed.track, until));
    }

    /// A feed's power, if its latest reading is fresh at `now`.
    #[must_use]
    pub fn power(&self, feed: FeedIndex, now: Moment) -> Option<Watts> {
        self.with(feed.meter, |m| m.feed_power(feed.track, now))?
    }

    /// The largest error of a feed's power, if that is known and its latest reading fresh at `now`.
    #[must_use]
    pub fn error(&self, feed: FeedIndex, now: Moment) -> Option<Watts> {
        self.with(feed.meter, |m| m.feed_error(feed.track, now))?
    }

    /// How a feed's readings come to be; none before the first.
    #[must_use]
    pub fn quality(&self, feed: FeedIndex) -> Option<Quality> {
        self.with(feed.meter, |m| m.feed_quality(feed.track))?
    }

    /// How long a feed may be silent before others stand in for it.
    #[must_use]
    pub fn patience(&self, feed: FeedIndex) -> Duration {
        self.with(feed.meter, |m| m.settings().stale_after).unwrap_or_default()
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, meter: MeterIndex, act: impl FnOnce(&mut Meter) -> T) -> Option<T> {
        let table = self.table();
        let mut meter = table.get(meter)?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(&mut meter))
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
