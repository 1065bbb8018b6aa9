//! Pricing: how much energy a host drew over an interval, by the best of its feeds that knows.

use std::time::Duration;

use super::ledger::Method;
use super::tracks::Tracks;
use crate::inventory::Feed;
use crate::model::{Microjoules, Moment, Quality, Watts};
use crate::store::{FeedIndex, Store};

/// A feed with its channels found in the store.
#[derive(Debug, Clone)]
pub enum Supply {
    /// Channels that add up.
    Channels(Vec<FeedIndex>),
    /// What the nameplate lets assume.
    Rated(Watts),
}

impl Supply {
    /// Finds the feed's channels in the store and has their past kept; none if a meter does not exist.
    #[must_use]
    pub fn find(feed: &Feed, store: &Store) -> Option<Self> {
        Self::find_among(&mut Tracks::default(), feed, store)
    }

    /// As [`Self::find`], with those tracks that are there already.
    pub(super) fn find_among(tracks: &mut Tracks, feed: &Feed, store: &Store) -> Option<Self> {
        match feed {
            Feed::Channels(channels) => channels
                .iter()
                .map(|(m, c)| tracks.find(m, c, store))
                .collect::<Option<Vec<_>>>()
                .map(Self::Channels),
            Feed::Rated(power) => Some(Self::Rated(*power)),
        }
    }

    /// Its channels; none of the nameplate.
    #[must_use]
    pub fn channels(&self) -> &[FeedIndex] {
        match self {
            Self::Channels(feeds) => feeds,
            Self::Rated(_) => &[],
        }
    }
}

/// An interval's energy and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// How it is known.
    pub method: Method,
    /// The energy.
    pub energy: Microjoules,
}

/// What can be said of an interval now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pricing {
    /// A better feed may still tell: ask again later.
    Wait,
    /// This much.
    Known(Price),
    /// No feed knows, and none will.
    Unknown,
}

/// Prices `from` to `until` at `now`. A feed that has been silent for its patience (since `opened`, if it never spoke) is
/// passed over; one that may still speak is waited for.
#[must_use]
pub fn price(
    supplies: &[Supply],
    store: &Store,
    opened: Moment,
    from: Moment,
    until: Moment,
    now: Moment,
) -> Pricing {
    for supply in supplies {
        match supply {
            Supply::Rated(power) => {
                let energy = Microjoules::round(power.over(until.since(from)));
                return Pricing::Known(Price { method: Method::Rated, energy });
            }
            Supply::Channels(feeds) => {
                let known = frontier(feeds, store);
                if known.is_some_and(|k| k >= until) {
                    if let Some(energy) = energy(feeds, store, from, until) {
                        return Pricing::Known(Price { method: method(feeds, store), energy });
                    }
                } else if now.since(known.unwrap_or(opened)) <= patience(feeds, store) {
                    return Pricing::Wait;
                }
            }
        }
    }
    Pricing::Unknown
}

/// A sum is measured only if all of it is: a device's own estimate counts with the nameplate.
#[must_use]
pub fn method(feeds: &[FeedIndex], store: &Store) -> Method {
    let estimated = feeds.iter().any(|f| store.quality(*f) == Some(Quality::Estimated));
    if estimated { Method::Rated } else { Method::Measured }
}

/// Whether an account may open at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// A feed is known from then on, or none ever will be.
    Yes,
    /// The best feed that speaks began to do so later: try a later time.
    TooEarly,
    /// A feed may still begin to speak: ask again.
    Wait,
}

/// Whether an account may open at `at`, so that its first interval is not priced by a worse feed than the rest.
#[must_use]
pub fn opening(supplies: &[Supply], store: &Store, opened: Moment, at: Moment, now: Moment) -> Opening {
    for supply in supplies {
        let Supply::Channels(feeds) = supply else { return Opening::Yes };
        match feeds.iter().map(|f| store.start(*f)).collect::<Option<Vec<_>>>().map(|s| s.into_iter().max()) {
            Some(start) if start.is_none_or(|s| s <= at) => return Opening::Yes,
            Some(_) => return Opening::TooEarly,
            None if now.since(opened) <= patience(feeds, store) => return Opening::Wait,
            None => {}
        }
    }
    Opening::Yes
}

/// Up to when all of `feeds` are known; none if one has never been read, or there is none.
#[must_use]
pub fn frontier(feeds: &[FeedIndex], store: &Store) -> Option<Moment> {
    feeds.iter().map(|f| store.frontier(*f)).collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// The sum of `feeds` from `from` to `until`; none if any part of any is not known.
#[must_use]
pub fn energy(feeds: &[FeedIndex], store: &Store, from: Moment, until: Moment) -> Option<Microjoules> {
    feeds.iter().map(|f| store.energy(*f, from, until)).sum()
}

/// The sum of `feeds`' power; none if any is not fresh, or there is none.
#[must_use]
pub fn power(feeds: &[FeedIndex], store: &Store, now: Moment) -> Option<Watts> {
    feeds.iter().map(|f| store.power(*f, now)).collect::<Option<Vec<_>>>()?.into_iter().reduce(|a, b| a + b)
}

/// The sum of `feeds`' largest errors; none if one is not known, or there is none.
#[must_use]
pub fn error(feeds: &[FeedIndex], store: &Store, now: Moment) -> Option<Watts> {
    feeds.iter().map(|f| store.error(*f, now)).collect::<Option<Vec<_>>>()?.into_iter().reduce(|a, b| a + b)
}

/// How long the most patient of `feeds` may be silent.
#[must_use]
pub fn patience(feeds: &[FeedIndex], store: &Store) -> Duration {
    feeds.iter().map(|f| store.patience(*f)).max().unwrap_or_default()
}
