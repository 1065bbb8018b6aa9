//! The account of one facility meter point.

use std::time::Duration;

use crate::attribution::pricing;
use crate::attribution::tracks::Tracks;
use crate::inventory::FacilityPoint;
use crate::model::{LabelSet, Microjoules, Moment, Watts};
use crate::store::{FeedIndex, Store};

mod state;

pub use state::FacilityState;

/// A facility meter point's account.
#[derive(Debug)]
pub struct FacilityAccount {
    /// `datacenter`, `point`, rendered.
    pub labels: LabelSet,
    point: FacilityPoint,
    feeds: Vec<FeedIndex>,
    opened: Moment,
    /// Whether it was ever read.
    read: bool,
    /// Up to when; none before it was read since the start.
    settled: Option<Moment>,
    /// From when on, before a restart, its time is missed, until it is settled again.
    resumed: Option<Moment>,
    energy: Microjoules,
    unmeasured: Duration,
}

impl FacilityAccount {
    pub(super) fn new(point: &FacilityPoint, store: &Store, now: Moment) -> Self {
        Self {
            labels: LabelSet::new(&[
                ("datacenter", point.datacenter.as_str()),
                ("point", point.point.name()),
            ]),
            feeds: found(point, &mut Tracks::default(), store),
            point: point.clone(),
            opened: now,
            read: false,
            settled: None,
            resumed: None,
            energy: Microjoules::ZERO,
            unmeasured: Duration::ZERO,
        }
    }

    /// What the inventory says of it.
    #[must_use]
    pub const fn point(&self) -> &FacilityPoint {
        &self.point
    }

    /// Its energy so far; none before its meters were first read.
    #[must_use]
    pub fn energy(&self) -> Option<Microjoules> {
        self.read.then_some(self.energy)
    }

    /// Time for which not all of its meters could tell; none before they were first read.
    #[must_use]
    pub fn unmeasured(&self) -> Option<Duration> {
        self.read.then_some(self.unmeasured)
    }

    /// Its power, if every channel of it is fresh.
    #[must_use]
    pub fn power(&self, store: &Store, now: Moment) -> Option<Watts> {
        pricing::power(&self.feeds, store, now)
    }

    pub(super) fn settle(&mut self, store: &Store, now: Moment) {
        let Some(known) = pricing::frontier(&self.feeds, store) else { return };
        let Some(mut settled) = self.settled.or(Some(known).filter(|known| *known >= self.opened)) else {
            return;
        };
        if let Some(before) = self.resumed.take() {
            self.unmeasured += settled.since(before);
        }
        // What has not been told within patience is not waited for.
        let overdue = now.before(pricing::patience(&self.feeds, store));
        for until in [known, overdue] {
            let from = settled;
            if until <= from {
                continue;
            }
            match pricing::energy(&self.feeds, store, from, until) {
                Some(energy) => self.energy += energy,
                None => self.unmeasured += until.since(from),
            }
            settled = until;
        }
        self.read = true;
        self.settled = Some(settled);
        for feed in &self.feeds {
            store.forget_before(*feed, settled);
        }
    }

    /// The tracks of its channels.
    pub(super) fn tracks(&self, store: &Store) -> Tracks {
        Tracks::of(self.feeds.iter().copied(), store)
    }

    /// Goes on as `point`, which is of the same name and place.
    pub(super) fn reconfigure(
        &mut self,
        point: &FacilityPoint,
        store: &Store,
        mut tracks: Tracks,
        now: Moment,
    ) {
        let named: Option<Vec<FeedIndex>> = point.channels.iter().map(|(m, c)| tracks.get(m, c)).collect();
        if self.point == *point && named.is_some_and(|named| named == self.feeds) {
            return;
        }
        self.settle(store, now);
        self.feeds = found(point, &mut tracks, store);
        tracks.release(store);
        self.point = point.clone();
        let begin = self.feeds.iter().filter_map(|feed| store.start(*feed)).max();
        if let (Some(settled), Some(begin)) = (self.settled, begin) {
            self.unmeasured += begin.since(settled);
            self.settled = Some(settled.max(begin));
        }
    }

    /// Takes leave of the configuration: its counters stand, its channels are let go.
    pub(super) fn put_aside(&mut self, store: &Store, tracks: Tracks, now: Moment) {
        self.settle(store, now);
        (self.settled, self.resumed) = (None, None);
        self.feeds = Vec::new();
        tracks.release(store);
    }

    /// Is in the configuration again: counts on from its next reading.
    pub(super) fn come_back(&mut self, point: &FacilityPoint, store: &Store, now: Moment) {
        self.opened = now;
        self.feeds = found(point, &mut Tracks::default(), store);
        self.point = point.clone();
    }
}

fn found(point: &FacilityPoint, tracks: &mut Tracks, store: &Store) -> Vec<FeedIndex> {
    point.channels.iter().filter_map(|(m, c)| tracks.find(m, c, store)).collect()
}
