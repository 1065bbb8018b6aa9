//! Pricing: how much energy a host drew over an interval, by the best of its feeds that knows.

use std::time::Duration;

use super::estimate::{self, Load};
use super::ledger::Method;
use super::tracks::Tracks;
use crate::inventory::Feed;
use crate::model::{Microjoules, Moment, PowerModel, Quality, Watts};
use crate::store::{FeedIndex, Store};

/// A feed with its channels found in the store.
#[derive(Debug, Clone)]
pub enum Supply {
    /// Channels that add up.
    Channels(Vec<FeedIndex>),
    /// What is assumed.
    Rated(Rating),
}

/// What is assumed where nobody measures.
#[derive(Debug, Clone)]
pub enum Rating {
    /// The same at all times.
    Flat(Watts),
    /// By utilisation.
    By(PowerModel),
}

impl Rating {
    /// What is assumed under `load`; none where the model lacks something.
    fn power(&self, load: Load) -> Option<Watts> {
        match self {
            Self::Flat(power) => Some(*power),
            Self::By(model) => estimate::power(model, load),
        }
    }
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
            Feed::Rated(power) => Some(Self::Rated(Rating::Flat(*power))),
            Feed::Modelled(model) => Some(Self::Rated(Rating::By(model.clone()))),
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

/// What a price is asked of.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'s> {
    /// Where readings are.
    pub store: &'s Store,
    /// Since when there is an account.
    pub opened: Moment,
    /// How long a feed may be silent before the next one counts; none for as long as its meters' readings are shown.
    pub limit: Option<Duration>,
    /// The host's load in the interval.
    pub load: Load,
    /// When it is asked.
    pub now: Moment,
}

impl Asked<'_> {
    fn patience(&self, feeds: &[FeedIndex]) -> Duration {
        self.limit.unwrap_or_else(|| patience(feeds, self.store))
    }
}

/// Prices `from` to `until`. A feed that has been silent for its patience (since the account was opened, if it never spoke) is
/// passed over; one that may still speak is waited for. All of it is of one feed, and so of one method: see [`edge`].
#[must_use]
pub fn price(supplies: &[Supply], asked: &Asked<'_>, from: Moment, until: Moment) -> Pricing {
    let Asked { store, opened, now, .. } = *asked;
    for supply in supplies {
        match supply {
            Supply::Rated(rating) => {
                if let Some(power) = rating.power(asked.load) {
                    let energy = Microjoules::round(power.over(until.since(from)));
                    return Pricing::Known(Price { method: Method::Rated, energy });
                }
            }
            Supply::Channels(feeds) => {
                let known = frontier(feeds, store);
                if known.is_some_and(|k| k >= until) {
                    if let Some(energy) = energy(feeds, store, from, until) {
                        return Pricing::Known(Price { method: method(feeds, store), energy });
                    }
                } else if now.since(known.unwrap_or(opened)) <= asked.patience(feeds) {
                    return Pricing::Wait;
                }
            }
        }
    }
    Pricing::Unknown
}

/// The next moment after `from` at which any feed begins or ceases to tell; none where nothing changes any more.
#[must_use]
pub fn edge(supplies: &[Supply], store: &Store, from: Moment) -> Option<Moment> {
    let feeds = supplies.iter().flat_map(Supply::channels);
    let edges = feeds.flat_map(|f| [store.next_break(*f, from), store.frontier(*f)]);
    edges.flatten().filter(|edge| *edge > from).min()
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
pub fn opening(supplies: &[Supply], asked: &Asked<'_>, at: Moment) -> Opening {
    let Asked { store, opened, now, .. } = *asked;
    for supply in supplies {
        let Supply::Channels(feeds) = supply else { return Opening::Yes };
        match feeds.iter().map(|f| store.start(*f)).collect::<Option<Vec<_>>>().map(|s| s.into_iter().max()) {
            Some(start) if start.is_none_or(|s| s <= at) => return Opening::Yes,
            Some(_) => return Opening::TooEarly,
            None if now.since(opened) <= asked.patience(feeds) => return Opening::Wait,
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
