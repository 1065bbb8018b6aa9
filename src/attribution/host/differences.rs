//! Several meters on one host, held against each other: the preferred one counts, the others show how far off it may be.

use super::HostAccount;
use crate::attribution::pricing::{self, Supply};
use crate::inventory::Host;
use crate::model::{LabelSet, Moment, Watts};
use crate::store::{FeedIndex, Store};

/// The metered feeds of a host that has several, best first, each with its labels; else nothing.
#[derive(Debug, Default)]
pub(super) struct Compared(Vec<(LabelSet, Vec<FeedIndex>)>);

impl Compared {
    /// The feeds of `host` as found in the store: `datacenter`, `component`, `host`, and `feed`, its channels joined by `+`.
    pub(super) fn new(host: &Host, store: &Store, supplies: &[Supply]) -> Self {
        let metered = supplies.iter().map(Supply::channels).filter(|feeds| !feeds.is_empty());
        let labelled = metered.filter_map(|feeds| {
            let name =
                |feed: &FeedIndex| store.tracked(*feed).map(|(meter, channel)| format!("{meter}/{channel}"));
            let names: Vec<String> = feeds.iter().map(name).collect::<Option<_>>()?;
            let labels = LabelSet::new(&[
                ("datacenter", host.datacenter.as_str()),
                ("component", host.component.name()),
                ("host", host.id.as_str()),
                ("feed", &names.join("+")),
            ]);
            Some((labels, feeds.to_vec()))
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
