//! What a changed configuration does to a host's account: its counters go on, its time is settled by the feeds that were as
//! far as they told.

use std::collections::VecDeque;

use super::differences::Compared;
use super::scene::PartMeters;
use super::{HostAccount, Labels};
use crate::attribution::books::Books;
use crate::attribution::pricing::{self, Supply};
use crate::attribution::totals::ClosedBook;
use crate::attribution::tracks::Tracks;
use crate::inventory::{Feed, Host};
use crate::model::Moment;
use crate::store::{FeedIndex, Store};
use crate::workloads::SourceIndex;

impl HostAccount {
    /// The tracks of its feeds.
    pub(in crate::attribution) fn tracks(&self, store: &Store) -> Tracks {
        let feeds = self.supplies.iter().flat_map(Supply::channels).copied();
        Tracks::of(feeds.chain(self.parts.feeds()), store)
    }

    /// Goes on as `host`, which is of the same name and place.
    pub(in crate::attribution) fn reconfigure(
        &mut self,
        host: &Host,
        source: Option<SourceIndex>,
        store: &Store,
        tracks: Tracks,
        books: &mut Books,
        now: Moment,
    ) {
        let same_feeds = self.host.feeds == host.feeds && self.reads(&tracks, store);
        if self.host == *host && same_feeds && self.source.is_some() == source.is_some() {
            self.source = source;
            return;
        }
        self.settle_known(store, books, now);
        if !same_feeds {
            self.settle_told(store, books);
        }
        let mut tracks = tracks;
        let supplies = found(host, &mut tracks, store);
        if !same_feeds {
            self.price_ahead(&supplies, store);
        }
        self.supplies = supplies;
        self.parts = PartMeters::find(host, &mut tracks, store);
        tracks.release(store);
        self.source = source;
        self.labels = Labels::of(host);
        self.compared = Compared::new(host, store, &self.supplies);
        self.host = host.clone();
    }

    /// Takes leave of the configuration: its counters stand, its feeds are let go.
    pub(in crate::attribution) fn put_aside(
        &mut self,
        store: &Store,
        tracks: Tracks,
        books: &mut Books,
        now: Moment,
    ) {
        self.settle_known(store, books, now);
        self.settle_told(store, books);
        self.close();
        self.pending = VecDeque::new();
        self.resumed = None;
        self.source = None;
        self.supplies = Vec::new();
        self.compared = Compared::default();
        self.parts = PartMeters::default();
        tracks.release(store);
    }

    /// Is in the configuration again: opens at the next sample.
    pub(in crate::attribution) fn come_back(
        &mut self,
        host: &Host,
        source: Option<SourceIndex>,
        store: &Store,
        now: Moment,
    ) {
        let mut tracks = Tracks::default();
        self.supplies = found(host, &mut tracks, store);
        self.parts = PartMeters::find(host, &mut tracks, store);
        self.compared = Compared::new(host, store, &self.supplies);
        self.source = source;
        self.opened = now;
        self.pause = self.pause.filter(|pause| pause.until.is_none());
        self.labels = Labels::of(host);
        self.host = host.clone();
    }

    /// Takes what the configuration says of tenants and services.
    pub(in crate::attribution) fn rename(&mut self, books: &Books) {
        self.guests.rename(&self.host, books);
    }

    /// Gives up its workloads' accounts for good; what they held goes to `closed`.
    pub(in crate::attribution) fn dissolve(mut self, closed: &mut ClosedBook) {
        self.guests.close_all();
        self.hand_closed(closed);
    }

    /// Hands over what was of workloads whose accounts have been closed.
    pub(in crate::attribution) fn hand_closed(&mut self, closed: &mut ClosedBook) {
        self.guests.take_closed().for_each(|one| closed.add(one));
    }

    /// Whether its supplies read what its feeds name, by tracks that are still there.
    fn reads(&self, tracks: &Tracks, store: &Store) -> bool {
        let read: Vec<FeedIndex> = self.supplies.iter().flat_map(Supply::channels).copied().collect();
        let named = self.host.feeds.iter().flat_map(|feed| match feed {
            Feed::Channels(channels) => channels.as_slice(),
            Feed::Rated(_) | Feed::Modelled(_) => &[],
        });
        let named: Option<Vec<FeedIndex>> = named.map(|(m, c)| tracks.get(m, c)).collect();
        named.is_some_and(|named| named == read)
            && self.parts.feeds().all(|feed| store.tracked(feed).is_some())
    }

    /// Settles the samples up to where any feed has told, without waiting for a better one.
    fn settle_told(&mut self, store: &Store, books: &mut Books) {
        let told = self.supplies.iter().filter_map(|s| pricing::frontier(s.channels(), store)).max();
        if self.pause.is_none() && self.settled.is_some() {
            let late = Moment::from_nanos(u64::MAX);
            self.settle_samples(store, books, Some(told.unwrap_or_default()), late);
        }
    }
}

fn found(host: &Host, tracks: &mut Tracks, store: &Store) -> Vec<Supply> {
    host.feeds.iter().filter_map(|feed| Supply::find_among(tracks, feed, store)).collect()
}
