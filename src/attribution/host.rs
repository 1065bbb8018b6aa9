//! The account of one host: its intervals, its energy, and what of it is the hypervisor's and nobody's. Long, since it
//! holds all that the page reads of a host beside its settling; each concern of it has a file in `host/`.

mod differences;
mod estimate;
mod pause;
mod pooled;
mod quote;
mod reconfigure;
mod scene;
mod state;

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::books::Books;
use super::guests::{Guests, Interval};
use super::idle::IdleLearner;
use super::ledger::{ByMethod, Method};
use super::pricing::{self, Opening, Price, Supply};
use super::split::Claim;
use super::tracks::Tracks;
use super::workload::{WorkloadAccount, scale};
use crate::inventory::{Host, Idle};
use crate::model::{Joules, LabelSet, Microjoules, Moment, Ratio, Watts};
use crate::store::{FeedIndex, Store};
use crate::workloads::{CpuNanos, Node, SourceIndex, Usage, UsageLog};
use differences::Compared;
use estimate::Known;
use pause::Pause;
use quote::{Part, Quote, Stretch};
use scene::{Account, PartMeters};

pub use state::HostState;

/// A hypervisor may be silent this long, or as long as its own settings say, before its host's energy is settled without
/// it. Until then the interval grows, and CPU counters, which go on counting, still tell whose it was.
const SOURCE_PATIENCE: Duration = Duration::from_secs(300);

/// Part of a host's energy that is no workload's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Overhead {
    /// What the host itself used.
    pub hypervisor: Microjoules,
    /// What nobody reserved.
    pub unallocated: Microjoules,
}

/// A host's labels, rendered.
#[derive(Debug)]
struct Labels {
    labels: LabelSet,
    place: LabelSet,
    info: LabelSet,
}

impl Labels {
    fn of(host: &Host) -> Self {
        let (datacenter, id) = (("datacenter", host.datacenter.as_str()), ("host", host.id.as_str()));
        let component = ("component", host.component.name());
        Self {
            labels: LabelSet::new(&[datacenter, component, id]),
            place: LabelSet::new(&[datacenter, id]),
            info: LabelSet::new(&[
                datacenter,
                component,
                id,
                ("cluster", &host.cluster),
                ("rack", &host.rack),
                ("model", host.model.name()),
            ]),
        }
    }
}

/// One host's account.
#[derive(Debug)]
pub struct HostAccount {
    host: Host,
    labels: Labels,
    supplies: Vec<Supply>,
    parts: PartMeters,
    source: Option<SourceIndex>,
    patience: Duration,
    opened: Moment,
    settled: Option<Moment>,
    /// Up to when it was settled before it was closed, or before a restart.
    stood: Option<Moment>,
    /// Up to when its cluster's rounds have been booked, where it is pooled.
    booked: Option<Moment>,
    /// From when on, before a restart, its time is missed, until it is settled again.
    resumed: Option<Moment>,
    /// Time that is priced already, from `settled` on.
    ahead: VecDeque<Stretch>,
    pause: Option<Pause>,
    pending: VecDeque<Usage>,
    busy: Option<(Moment, CpuNanos)>,
    node: Option<Node>,
    learner: IdleLearner,
    energy: ByMethod<Microjoules>,
    overhead: ByMethod<Overhead>,
    unmeasured: Duration,
    guests: Guests,
    known: Known,
    compared: Compared,
}

impl HostAccount {
    pub(super) fn new(host: Host, source: Option<SourceIndex>, store: &Store, now: Moment) -> Self {
        let supplies: Vec<_> = host.feeds.iter().filter_map(|f| Supply::find(f, store)).collect();
        Self {
            parts: PartMeters::find(&host, &mut Tracks::default(), store),
            compared: Compared::new(&host, store, &supplies),
            known: Known::default(),
            supplies,
            labels: Labels::of(&host),
            source,
            patience: SOURCE_PATIENCE,
            opened: now,
            settled: None,
            resumed: None,
            stood: None,
            booked: None,
            ahead: VecDeque::new(),
            pause: None,
            pending: VecDeque::new(),
            busy: None,
            node: None,
            learner: IdleLearner::default(),
            energy: ByMethod::default(),
            overhead: ByMethod::default(),
            unmeasured: Duration::ZERO,
            guests: Guests::default(),
            host,
        }
    }

    /// What the inventory says of it.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// `datacenter`, `component`, `host`, rendered.
    #[must_use]
    pub const fn labels(&self) -> &LabelSet {
        &self.labels.labels
    }

    /// `datacenter`, `host`, rendered.
    #[must_use]
    pub const fn place(&self) -> &LabelSet {
        &self.labels.place
    }

    /// The info series' labels, rendered.
    #[must_use]
    pub const fn info(&self) -> &LabelSet {
        &self.labels.info
    }

    /// Its energy so far.
    #[must_use]
    pub const fn energy(&self) -> &ByMethod<Microjoules> {
        &self.energy
    }

    /// What of it is no workload's.
    #[must_use]
    pub const fn overhead(&self) -> &ByMethod<Overhead> {
        &self.overhead
    }

    /// What of it was of workloads whose accounts are closed.
    #[must_use]
    pub const fn departed(&self) -> Microjoules {
        self.guests.departed()
    }

    /// Time for which no feed could tell.
    #[must_use]
    pub const fn unmeasured(&self) -> Duration {
        self.unmeasured
    }

    /// Up to when its energy is settled; none before it is known at all.
    #[must_use]
    pub fn settled(&self) -> Option<Moment> {
        if self.host.is_pooled() { self.booked.or(self.stood) } else { self.settled.or(self.stood) }
    }

    /// The methods by which it may be known: their series start at 0, so that the first joules of each are an increase.
    pub fn methods(&self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(|method| {
            // Only a device that has spoken says that it merely estimates.
            *self.energy.get(*method) > Microjoules::ZERO
                || self.supplies.iter().any(|supply| match supply {
                    Supply::Channels(_) => *method == Method::Measured,
                    Supply::Rated(_) => *method == Method::Rated,
                })
        })
    }

    /// Its workloads' accounts, by id; last those with projects that no longer own the workload.
    pub fn workloads(&self) -> impl Iterator<Item = &WorkloadAccount> {
        self.guests.iter()
    }

    /// Whether a workload was listed in the last sample.
    #[must_use]
    pub fn is_present(&self, workload: &WorkloadAccount) -> bool {
        self.guests.is_present(workload)
    }

    /// Whether the hypervisor's last sample is recent enough to say how things are now.
    #[must_use]
    pub fn is_heard(&self, now: Moment) -> bool {
        self.guests.sampled().is_some_and(|at| now.since(at) <= self.patience)
    }

    /// The node as last told.
    #[must_use]
    pub const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Its measured power: the best feed whose channels are all fresh; none if there is none, if its device only estimates, or
    /// if the host is switched off.
    #[must_use]
    pub fn power(&self, store: &Store, now: Moment) -> Option<Watts> {
        self.measured(store, now).map(|(power, _)| power)
    }

    /// The largest error of that power as a share of it: the errors of its feeds add up, since meters of one make are off the
    /// same way. None where a feed does not say how accurate it is, or nothing is drawn.
    #[must_use]
    pub fn error_ratio(&self, store: &Store, now: Moment) -> Option<Ratio> {
        let (power, feeds) = self.measured(store, now).filter(|(power, _)| *power > Watts::ZERO)?;
        let error = pricing::error(feeds, store, now)?;
        Ratio::new(error.get() / power.get()).ok()
    }

    fn measured(&self, store: &Store, now: Moment) -> Option<(Watts, &[FeedIndex])> {
        let supplies = if self.is_enabled() { self.supplies.as_slice() } else { &[] };
        supplies.iter().find_map(|s| match s {
            Supply::Channels(feeds) => match pricing::method(feeds, store) {
                Method::Measured => Some((pricing::power(feeds, store, now)?, feeds.as_slice())),
                Method::Rated => None,
            },
            Supply::Rated(_) => None,
        })
    }

    /// Its idle power, configured or learned; none where it is neither.
    #[must_use]
    pub fn idle_power(&self) -> Option<Watts> {
        match self.host.idle {
            Idle::Fixed(power) => Some(power),
            Idle::Learned => {
                self.learner.estimate().map(|known| known.power).or_else(|| self.modelled_idle())
            }
            Idle::None => None,
        }
    }

    /// Between which limits its idle power hardly fails to lie; none where it is not learned.
    #[must_use]
    pub fn idle_limits(&self) -> Option<(Watts, Watts)> {
        match self.host.idle {
            Idle::Learned => self.learner.estimate().map(|known| (known.lower, known.upper)),
            Idle::Fixed(_) | Idle::None => None,
        }
    }

    /// Settles all intervals that have become known.
    pub(super) fn settle(&mut self, store: &Store, usage: &UsageLog, books: &mut Books, now: Moment) {
        if let Some(source) = self.source {
            usage.take(source, &mut self.pending);
            self.patience = SOURCE_PATIENCE.max(usage.stale_after(source));
        }
        self.settle_known(store, books, now);
        self.guests.close_departed();
    }

    /// Settles what is known of the samples taken so far, and of the time that no sample bounds.
    fn settle_known(&mut self, store: &Store, books: &mut Books, now: Moment) {
        if let Some(pause) = self.pause
            && !self.settle_paused(pause, store, books, now)
        {
            return;
        }
        self.settle_samples(store, books, None, now);
        self.settle_without_usage(store, books, None, now);
    }

    /// Settles the samples up to `last`, as far as they are known.
    fn settle_samples(&mut self, store: &Store, books: &mut Books, last: Option<Moment>, now: Moment) {
        let is_due = |sample: &Usage| last.is_none_or(|last| sample.at <= last);
        while self.pending.front().is_some_and(is_due)
            && let Some(sample) = self.pending.pop_front()
        {
            let Some(from) = self.settled else {
                if !self.open(sample, store, books, now) {
                    break;
                }
                continue;
            };
            if sample.at <= from {
                // Its time was settled without it; its counters start the next interval.
                self.claims(Interval { from: sample.at, until: sample.at }, &sample, books);
                continue;
            }
            let interval = Interval { from, until: sample.at };
            if self.parts.wait(store, self.opened, sample.at, now) {
                self.pending.push_front(sample);
                break;
            }
            let Some(quote) = self.quote(interval, Some(&sample), store, now) else {
                self.pending.push_front(sample);
                break;
            };
            self.share(interval, Some(&sample), quote, store, books, now);
            self.advance(sample.at, store);
        }
    }

    /// Settles what no usage sample bounds, up to `last`: a host without workloads, or one whose hypervisor has been silent
    /// for long.
    fn settle_without_usage(&mut self, store: &Store, books: &mut Books, last: Option<Moment>, now: Moment) {
        let waits = |since: Moment| now.since(since) <= self.patience;
        if !self.pending.is_empty() || (self.source.is_some() && waits(self.settled.unwrap_or(self.opened))) {
            return;
        }
        let Some(until) = self.boundary(store, now).map(|b| last.map_or(b, |last| b.min(last))) else {
            return;
        };
        let Some(from) = self.settled else {
            if until >= self.opened {
                self.advance(until, store);
            }
            return;
        };
        if until <= from {
            return;
        }
        let interval = Interval { from, until };
        if let Some(quote) = self.quote(interval, None, store, now) {
            self.share(interval, None, quote, store, books, now);
            self.advance(until, store);
        }
    }

    /// The end of an interval that no sample bounds: up to where the best speaking feed is known, but not over the edge of
    /// a gap in it, so that what is known after a gap is not lost with it; or as late as patience with the silent ones
    /// allows.
    fn boundary(&self, store: &Store, now: Moment) -> Option<Moment> {
        let mut patience = Duration::ZERO;
        for supply in &self.supplies {
            match supply {
                Supply::Rated(_) => break,
                Supply::Channels(feeds) => {
                    let silence = self.silence(feeds, store);
                    match pricing::frontier(feeds, store) {
                        Some(known) if now.since(known) <= silence => {
                            let next = |from| feeds.iter().filter_map(|f| store.next_break(*f, from)).min();
                            return Some(self.settled.and_then(next).map_or(known, |edge| edge.min(known)));
                        }
                        _ => patience = patience.max(silence),
                    }
                }
            }
        }
        Some(now.before(patience)).filter(|overdue| *overdue >= self.opened)
    }

    /// The first sample that a feed can price opens the account. False: ask again later.
    fn open(&mut self, sample: Usage, store: &Store, books: &Books, now: Moment) -> bool {
        if sample.at < self.opened {
            return true;
        }
        let asked = self.asked(store, None, now);
        match pricing::opening(&self.supplies, &asked, sample.at) {
            Opening::Wait => {
                self.pending.push_front(sample);
                return false;
            }
            Opening::TooEarly => {}
            Opening::Yes => {
                self.claims(Interval { from: sample.at, until: sample.at }, &sample, books);
                self.advance(sample.at, store);
            }
        }
        true
    }

    fn advance(&mut self, until: Moment, store: &Store) {
        if let Some(before) = self.resumed.take() {
            self.unmeasured += until.since(before);
        }
        // What a pool has not given back yet is deposited only.
        if self.settled.is_none() || !self.host.is_pooled() {
            self.booked = self.booked.max(Some(until));
        }
        self.settled = Some(until);
        self.forget_before(until, store);
    }

    fn forget_before(&self, until: Moment, store: &Store) {
        for feed in self.supplies.iter().flat_map(Supply::channels).copied().chain(self.parts.feeds()) {
            store.forget_before(feed, until);
        }
    }

    /// Gives an interval's energy away. Time that nobody can price is counted, and the counters read at its end start the
    /// next interval.
    fn share(
        &mut self,
        interval: Interval,
        sample: Option<&Usage>,
        quote: Quote,
        store: &Store,
        books: &mut Books,
        now: Moment,
    ) {
        self.unmeasured += quote.unknown;
        let told = sample.map(|sample| self.claims(interval, sample, books));
        if self.host.is_pooled() {
            let claims = told.map(|(claims, _)| claims).unwrap_or_default();
            self.deposit(interval, &claims, quote, books, now);
            return;
        }
        let Some((claims, busy)) = told else {
            self.share_without_usage(quote);
            return;
        };
        if quote.known == ByMethod::default() {
            self.guests.iter_mut().for_each(WorkloadAccount::unknown_power);
            return;
        }
        for (method, Part { energy, time }) in quote.parts() {
            let is_measured = method == Method::Measured && time == interval.time();
            let account = Account { interval, time, energy, claims: &claims, busy, is_measured };
            let parts = self.divide(&account, store);
            *self.energy.get_mut(method) += energy;
            let overhead = self.overhead.get_mut(method);
            overhead.hypervisor += parts.hypervisor;
            overhead.unallocated += parts.unallocated;
            for (account, share) in self.guests.iter_mut().zip(parts.shares) {
                account.book(method, share, time);
                books.charge(&self.host, account, Price { method, energy: share.total() }, interval.until);
            }
        }
    }

    /// Books energy of a time in which nobody told of workloads.
    fn share_without_usage(&mut self, quote: Quote) {
        for (method, Part { energy, time }) in quote.parts() {
            *self.energy.get_mut(method) += energy;
            // Without workloads nobody could reserve anything; with unknown ones, only the idle part is certain.
            let idle = if self.source.is_some() { energy.min(self.idle_energy(time)) } else { energy };
            let overhead = self.overhead.get_mut(method);
            overhead.unallocated += idle;
            overhead.hypervisor += energy.since(idle);
        }
        self.guests.iter_mut().for_each(WorkloadAccount::unknown_power);
    }

    /// Every account's claim of the interval, in the accounts' order, and the node's busy time in it, ns.
    fn claims(&mut self, interval: Interval, sample: &Usage, books: &Books) -> (Vec<Claim>, Option<u64>) {
        let limit = self.cpu_limit(sample, interval.time());
        let claims = self.guests.claims(&self.host, books, interval, sample, limit);
        (claims, self.busy_nanos(sample, interval))
    }

    /// No workload can use more CPU time than the host has.
    fn cpu_limit(&self, sample: &Usage, time: Duration) -> u64 {
        let cpus = sample.node.as_ref().or(self.node.as_ref()).map(|n| n.cpus);
        cpus.map_or(u64::MAX, |c| u64::try_from(u128::from(c) * time.as_nanos()).unwrap_or(u64::MAX))
    }

    fn busy_nanos(&mut self, sample: &Usage, interval: Interval) -> Option<u64> {
        if let Some(node) = &sample.node {
            self.node = Some(node.clone());
        }
        let busy = sample.node.as_ref()?.busy?;
        let (at, before) = self.busy.replace((interval.until, busy))?;
        let gained = busy.0.checked_sub(before.0)?;
        Some(scale(gained, interval.time(), interval.until.since(at)))
    }

    fn idle_energy(&self, time: Duration) -> Microjoules {
        self.idle_power().map_or(Microjoules::ZERO, |p| Microjoules::round(p.over(time)))
    }

    fn learn(&mut self, energy: Microjoules, utilisation: f64, time: Duration) {
        if let Some(power) = Joules::new(energy.joules()).ok().and_then(|j| j.per(time)) {
            self.learner.learn(power, utilisation, time);
        }
    }
}
