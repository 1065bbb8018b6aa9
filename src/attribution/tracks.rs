//! Tracks that a reader of energy has already: when its configuration changes those it still needs go on, so that no second
//! around the change is lost, and the others are let go.

use std::collections::BTreeMap;

use crate::model::{ChannelId, MeterId};
use crate::store::{FeedIndex, Store};

/// The tracks of one reader, by channel.
#[derive(Debug, Default)]
pub struct Tracks {
    known: BTreeMap<(MeterId, ChannelId), FeedIndex>,
    /// Beside another of the same channel.
    spare: Vec<FeedIndex>,
    used: Vec<FeedIndex>,
}

impl Tracks {
    /// Those of `feeds` whose meters are still there.
    #[must_use]
    pub fn of(feeds: impl IntoIterator<Item = FeedIndex>, store: &Store) -> Self {
        let mut tracks = Self::default();
        for feed in feeds {
            let Some(key) = store.tracked(feed) else { continue };
            if let Some(other) = tracks.known.insert(key, feed)
                && other != feed
            {
                tracks.spare.push(other);
            }
        }
        tracks
    }

    /// The track of a channel.
    #[must_use]
    pub fn get(&self, meter: &MeterId, channel: &ChannelId) -> Option<FeedIndex> {
        self.known.get(&(meter.clone(), channel.clone())).copied()
    }

    /// The track of a channel, begun if there is none yet; none if there is no such meter.
    pub fn find(&mut self, meter: &MeterId, channel: &ChannelId, store: &Store) -> Option<FeedIndex> {
        let feed = match self.get(meter, channel) {
            Some(feed) => feed,
            None => store.track(meter, channel)?,
        };
        self.used.push(feed);
        Some(feed)
    }

    /// Lets go of those that nobody found.
    pub fn release(self, store: &Store) {
        for feed in self.known.into_values().chain(self.spare) {
            if !self.used.contains(&feed) {
                store.untrack(feed);
            }
        }
    }
}
