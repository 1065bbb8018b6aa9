//! Several meters on one host, held against each other: the preferred one counts, the others show how far off it may be.

use super::HostAccount;
use crate::attribution::pricing::{self, Supply};
use crate::inventory::{Feed, Host};
use crate::model::{LabelSet, Moment, Watts};
use crate::store::{FeedIndex, Store};

/// The metered feeds of a host that has several, best first, each with its labels; else nothing.
#[derive(Debug, Default)]
pub(super) struct Compared(Vec<(LabelSet, Vec<FeedIndex>)>);

impl Compared {
    /// The feeds of `host` as found in the store: `datacenter`, `component`, `host`, and `feed`, its channels joined by `+`.
    pub(super) fn new(host: &Host, store: &Store, supplies: &[Supply]) -> Self {
        let known = host.feeds.iter().filter(|feed| pricing::is_known(feed, store));
        let metered = known.zip(supplies).filter_map(|(feed, supply)| match (feed, supply) {
            (Feed::Channels(channels), Supply::Channels(feeds)) => Some((channels, feeds)),
            (Feed::Channels(_) | Feed::Rated(_) | Feed::Modelled(_), _) => None,
        });
        let labelled = metered.map(|(channels, feeds)| {
            let names: Vec<String> = channels.iter().map(|(m, c)| format!("{m}/{c}")).collect();
            let labels = LabelSet::new(&[
                ("datacenter", host.datacenter.as_str()),
                ("component", host.component.name()),
                ("host", host.id.as_str()),
                ("feed", &names.join("+")),
            ]);
            (labels, feeds.clone())
        });
        let compared: Vec<_> = labelled.collect();
        Self(if compared.len() > 1 { compared } else { Vec::new() })
    }
}

impl HostAccount {
    /// How much more each other metered feed shows than the preferred one, watts: of those all of whose channels are fresh. The
    /// preferred one is the first of them, and has no difference.
    pub fn differences(&self, store: &Store, now: Moment) -> impl Iterator<Item = (&LabelSet, f64)> {
        let mut fresh = self
            .compared
            .0
            .iter()
            .filter_map(move |(labels, feeds)| Some((labels, pricing::power(feeds, store, now)?)));
        let preferred = fresh.next().map_or(Watts::ZERO, |(_, power)| power);
        fresh.map(move |(labels, power)| (labels, power.get() - preferred.get()))
    }
}
