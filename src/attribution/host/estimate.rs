//! What one host knows for a price by a power model: its utilisation, and its data centre's where it does not know its own.

use std::time::Duration;

use super::HostAccount;
use crate::attribution::estimate::{self, Load};
use crate::attribution::guests::Interval;
use crate::attribution::pricing::{self, Asked, Rating, Supply};
use crate::model::{Moment, PowerModel, Ratio, Watts};
use crate::store::{FeedIndex, Store};
use crate::workloads::Usage;

/// What is known beside the meters.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The host's utilisation in its latest interval of which it is known, and when that ended.
    own: Option<(Moment, Ratio)>,
    /// Mean utilisation of the data centre's hosts.
    estate: Option<Ratio>,
}

impl HostAccount {
    /// Whether a power model may price it.
    pub(in crate::attribution) fn is_modelled(&self) -> bool {
        self.models().next().is_some()
    }

    /// Its utilisation lately and its logical CPUs, for hosts that do not know theirs.
    pub(in crate::attribution) fn utilisation(&self, now: Moment) -> Option<(Ratio, u32)> {
        let (_, utilisation) = self.known.own.filter(|(at, _)| now.since(*at) <= self.patience)?;
        Some((utilisation, self.node.as_ref()?.cpus))
    }

    /// Takes the mean utilisation of the data centre.
    pub(in crate::attribution) const fn assume(&mut self, estate: Option<Ratio>) {
        self.known.estate = estate;
    }

    /// What the price of an interval is asked of; `sample` is taken at its end.
    pub(super) fn asked<'s>(
        &mut self,
        store: &'s Store,
        interval: Option<(Interval, &Usage)>,
        now: Moment,
    ) -> Asked<'s> {
        let own = interval.and_then(|(interval, sample)| self.busy_share(interval, sample));
        if let (Some(share), Some((interval, _))) = (own, interval) {
            self.known.own = Some((interval.until, share));
        }
        let node = interval.and_then(|(_, sample)| sample.node.as_ref()).or(self.node.as_ref());
        let load = Load::new(own, self.known.estate, node.map(|n| n.cpus).filter(|cpus| *cpus > 0));
        Asked { store, opened: self.opened, limit: self.host.fallback_after, load, now }
    }

    /// How long the most patient of `feeds` may be silent before the next feed counts.
    pub(super) fn silence(&self, feeds: &[FeedIndex], store: &Store) -> Duration {
        self.host.fallback_after.unwrap_or_else(|| pricing::patience(feeds, store))
    }

    /// Idle power of a host that no meter feeds: what its model says of no load.
    pub(super) fn modelled_idle(&self) -> Option<Watts> {
        if self.supplies.iter().any(|supply| matches!(supply, Supply::Channels(_))) {
            return None;
        }
        let cpus = self.node.as_ref().map(|node| node.cpus);
        estimate::power(self.models().next()?, Load { utilisation: Ratio::ZERO, cpus })
    }

    fn models(&self) -> impl Iterator<Item = &PowerModel> {
        self.supplies.iter().filter_map(|supply| match supply {
            Supply::Rated(Rating::By(model)) => Some(model),
            Supply::Rated(Rating::Flat(_)) | Supply::Channels(_) => None,
        })
    }

    /// Busy share of the CPUs since the node last told its busy time, 0 to 1; none where it did not tell, or began anew.
    fn busy_share(&self, interval: Interval, sample: &Usage) -> Option<Ratio> {
        let node = sample.node.as_ref()?;
        let (at, before) = self.busy?;
        let gained = node.busy?.0.checked_sub(before.0)?;
        let most = u128::from(node.cpus) * u128::from(interval.until.nanos().checked_sub(at.nanos())?);
        let share = |part: u64, whole: u128| part as f64 / whole as f64;
        (most > 0).then(|| Ratio::new(share(gained, most).min(1.0)).ok()).flatten()
    }
}
