//! What an interval of a host is worth: by its feeds as they are, and over a change of the configuration by the feeds that
//! were as far as those told. Part of it may be nobody's to know.

use std::time::Duration;

use super::HostAccount;
use crate::attribution::guests::Interval;
use crate::attribution::ledger::{ByMethod, Method};
use crate::attribution::pricing::{self, Price, Pricing, Supply};
use crate::model::{Microjoules, Moment};
use crate::store::Store;
use crate::workloads::Usage;

/// Time that was priced before its interval ends, because the feeds that knew it have gone. It begins where the one before
/// ends, the first where the account is settled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) until: Moment,
    /// None where nobody knows.
    pub(super) price: Option<Price>,
}

/// Energy, and the time in which it was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Part {
    pub(super) energy: Microjoules,
    pub(super) time: Duration,
}

/// The worth of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Quote {
    pub(super) known: ByMethod<Part>,
    pub(super) unknown: Duration,
}

impl Quote {
    fn add(&mut self, price: Option<Price>, time: Duration) {
        let Some(price) = price else {
            self.unknown += time;
            return;
        };
        let part = self.known.get_mut(price.method);
        part.energy += price.energy;
        part.time += time;
    }

    /// The parts that are known.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Method, Part)> {
        Method::ALL.into_iter().map(|m| (m, *self.known.get(m))).filter(|(_, part)| !part.time.is_zero())
    }
}

impl HostAccount {
    /// What `interval` is worth, which begins where the account is settled and at whose end `sample` was taken; none while a
    /// feed may still tell. To be booked
    /// at once: time that was priced ahead is told once.
    pub(super) fn quote(
        &mut self,
        interval: Interval,
        sample: Option<&Usage>,
        store: &Store,
        now: Moment,
    ) -> Option<Quote> {
        let Interval { from, until } = interval;
        let mut begin = self.ahead.back().map_or(from, |last| last.until);
        let mut quote = Quote::default();
        let asked = self.asked(store, sample.map(|sample| (interval, sample)), now);
        // What a meter told of the interval is measured, even where it fell silent inside.
        while begin < until {
            let end = pricing::edge(&self.supplies, store, begin).map_or(until, |edge| edge.min(until));
            match pricing::price(&self.supplies, &asked, begin, end) {
                Pricing::Wait => return None,
                Pricing::Known(price) => quote.add(Some(price), end.since(begin)),
                Pricing::Unknown => quote.add(None, end.since(begin)),
            }
            begin = end;
        }
        let mut from = from;
        while let Some(stretch) = self.ahead.front().copied().filter(|s| s.until <= until) {
            self.ahead.pop_front();
            quote.add(stretch.price, stretch.until.since(from));
            from = stretch.until;
        }
        if let Some(stretch) = self.ahead.front_mut()
            && from < until
        {
            let (part, whole) = (until.since(from), stretch.until.since(from));
            let taken = stretch.price.as_mut().map(|price| {
                let energy = price.energy.0.saturating_mul(part.as_nanos()) / whole.as_nanos().max(1);
                price.energy = price.energy.since(Microjoules(energy));
                Price { method: price.method, energy: Microjoules(energy) }
            });
            quote.add(taken, part);
        }
        Some(quote)
    }

    /// Prices what the feeds know beyond where the account is settled, since they are about to be replaced by `next`.
    pub(super) fn price_ahead(&mut self, next: &[Supply], store: &Store) {
        let Some(settled) = self.settled else { return };
        let mut from = self.ahead.back().map_or(settled, |last| last.until);
        let told = self.supplies.iter().find_map(|supply| {
            let feeds = supply.channels();
            let until = pricing::frontier(feeds, store).filter(|until| *until > from)?;
            let energy = pricing::energy(feeds, store, from, until)?;
            Some((until, Price { method: pricing::method(feeds, store), energy }))
        });
        if let Some((until, price)) = told {
            self.ahead.push_back(Stretch { until, price: Some(price) });
            from = until;
        }
        // Where the next feed has been read already, but not before the last of these told, nobody knows the time between.
        let begin = next.iter().map(Supply::channels).find_map(|feeds| {
            feeds.iter().map(|f| store.start(*f)).collect::<Option<Vec<_>>>()?.into_iter().max()
        });
        if let Some(until) = begin.filter(|begin| *begin > from) {
            self.ahead.push_back(Stretch { until, price: None });
        }
    }
}
