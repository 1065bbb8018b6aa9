//! Metric reports of the `TelemetryService`, asked for with each poll or pushed as server-sent events.
//!
//! Reports say what was measured between polls: such values become readings of earlier moments. A report that has all readings
//! of a resource, and newer ones than the last poll, also stands in for the resource itself. `report` reads reports, `docs`
//! says what their values mean, `clock` when they were, `sse` and `stream` are the stream.
//!
//! Off unless asked for: reports are the BMC's choice of values and times, many need a licence, and a stream holds one of
//! the few connections that a BMC has.

mod clock;
mod docs;
mod report;
mod sse;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Failure};
use super::lenient::{lenient, resource, text};
use super::origin::{Origin, ResourcePath};
use super::resources::{Collection, read};
use super::services::Services;
use crate::model::{Clock, Earlier, Moment, PollError, Reading};
use clock::{Clocks, Message};
pub(super) use docs::Docs;
use docs::{Leaf, Map};
use report::{MetricValue, Service};
use stream::Stream;

/// The most reports that are read.
const MAX_REPORTS: usize = 8;
/// How many polls in a row a report may bring nothing new before it is left alone until the next look.
const MAX_IDLE: u8 = 30;
/// How often in a row the BMC may hang over it.
const TRIES: u8 = 3;
/// The most moments between two polls.
const MAX_MOMENTS: usize = 1000;
/// The most names of properties that are remembered.
const MAX_NAMES: usize = 4096;

resource!(/// `EventService`.
Events {
    enabled: Option<bool> = "ServiceEnabled" by "lenient",
    stream: Option<String> = "ServerSentEventUri" by "text",
    filters: Filters = "SSEFilterPropertiesSupported" by "lenient",
});

resource!(/// By what a stream can be filtered.
Filters {
    format: bool = "EventFormatType" by "lenient",
});

#[derive(Debug)]
struct Report {
    path: ResourcePath,
    idle: u8,
}

/// The reports and the stream of one BMC.
pub(super) struct Telemetry {
    with_reports: bool,
    clock: Arc<dyn Clock>,
    service: Option<ResourcePath>,
    events: Option<ResourcePath>,
    /// How often it is still tried to find out which reports there are, and where the stream is.
    look_tries: u8,
    reports: Vec<Report>,
    stream_at: Option<ResourcePath>,
    stream: Option<Stream>,
    /// The resources as they were last read in full.
    docs: Docs,
    map: Map,
    names: HashMap<String, Vec<Leaf>>,
    clocks: Clocks,
    /// The time of the newest value of each property that was taken, by the BMC's clock.
    taken: HashMap<Leaf, Duration>,
    /// What waits for the end of the poll, by the BMC's clock.
    pending: BTreeMap<Duration, BTreeMap<Leaf, f64>>,
    last_poll: Moment,
}

impl Telemetry {
    /// Nothing is known yet; both may be off.
    pub(super) fn new(with_reports: bool, with_stream: bool, clock: Arc<dyn Clock>) -> Self {
        Self {
            with_reports,
            stream: with_stream.then(|| Stream::new(Arc::clone(&clock))),
            clock,
            service: None,
            events: None,
            look_tries: 0,
            reports: Vec::new(),
            stream_at: None,
            docs: Docs::default(),
            map: Map::default(),
            names: HashMap::new(),
            clocks: Clocks::default(),
            taken: HashMap::new(),
            pending: BTreeMap::new(),
            last_poll: Moment::ZERO,
        }
    }

    /// Whether any of it is asked for.
    pub(super) const fn is_on(&self) -> bool {
        self.with_reports || self.stream.is_some()
    }

    /// Takes from the service root where the services are.
    pub(super) fn learn(&mut self, services: &Services, origin: &Origin) {
        let link = |id: &Option<String>| id.as_deref().and_then(|id| origin.resolve(id));
        self.service = link(&services.telemetry.id).filter(|_| self.with_reports);
        self.events = link(&services.events.id).filter(|_| self.stream.is_some());
    }

    /// What is read has changed: everything is found out anew.
    pub(super) fn reset(&mut self) {
        self.look_tries = if self.is_on() { TRIES } else { 0 };
        (self.docs, self.map) = (Docs::default(), Map::default());
        self.names.clear();
    }

    /// Before the readings of a poll: finds out what there is, and reads the reports. What it returns stands in for the
    /// resources that it has.
    ///
    /// # Errors
    /// What leaves nothing more to be expected of this poll.
    pub(super) async fn before(&mut self, client: &mut Client) -> Result<Docs, PollError> {
        // Counted before it is asked: a BMC that hangs over this, or a poll cut short by it, must not cost every poll.
        if self.look_tries > 0 {
            self.look_tries -= 1;
            self.look(client).await?;
            self.look_tries = 0;
        }
        self.reports.retain(|report| report.idle < MAX_IDLE);
        let mut fresh = BTreeMap::new();
        // A report says nothing before the resources that it is about have been read once.
        if !self.map.is_empty() {
            for at in 0..self.reports.len() {
                let Some(report) = self.reports.get_mut(at) else { break };
                let (path, idle) = (report.path.clone(), report.idle);
                report.idle = idle.saturating_add(MAX_IDLE / TRIES);
                let Some(document) = optional(client, &path).await? else {
                    self.set_idle(at, MAX_IDLE);
                    continue;
                };
                let values = report::values(&document);
                let known = |v: &MetricValue| !self.leaves(&v.property, client.origin()).is_empty();
                let may_say = values.is_empty() || values.iter().any(known);
                let news = self.take(values, self.clock.now(), client.origin());
                let idle = if !news.is_empty() { 0 } else { idle.saturating_add(1) };
                self.set_idle(at, if may_say { idle } else { MAX_IDLE });
                fresh.extend(news);
            }
        }
        let leaves: BTreeSet<Leaf> = fresh.keys().cloned().collect();
        Ok(self
            .docs
            .only(&self.map.covered_by(&leaves))
            .with(fresh.iter().map(|(leaf, value)| (leaf, *value))))
    }

    /// After the readings of a poll, of which `recorded` were read in full: the readings of earlier moments. `read` makes
    /// readings of resources.
    pub(super) fn after(
        &mut self,
        recorded: Docs,
        client: &Client,
        read: &dyn Fn(&Docs) -> Vec<Reading>,
    ) -> Vec<Earlier> {
        let origin = client.origin();
        self.docs.extend(recorded);
        if !self.map.fits(&self.docs, origin) {
            self.map = Map::of(&self.docs, origin, read);
            self.names.clear();
        }
        if let (Some(stream), Some(path)) = (&mut self.stream, &self.stream_at) {
            if let Some((wire, proof)) = client.ticket() {
                stream.tend(path, wire, proof);
            }
            for message in stream.take() {
                self.take(message.values, message.came, origin);
            }
        }
        self.last_poll = self.clock.now();
        self.earlier(read)
    }

    /// Ends the stream.
    pub(super) async fn close(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.stop().await;
        }
    }

    async fn look(&mut self, client: &mut Client) -> Result<(), PollError> {
        self.reports.clear();
        if let Some(path) = self.service.clone()
            && let Some(document) = optional(client, &path).await?
        {
            let service: Service = read(&document);
            let list = service.reports.id.as_deref().and_then(|id| client.origin().resolve(id));
            if service.enabled != Some(false)
                && let Some(list) = list
                && let Some(page) = optional(client, &list).await?
            {
                let page: Collection = read(&page);
                let paths =
                    page.members.iter().filter_map(|link| client.origin().resolve(link.id.as_deref()?));
                self.reports = paths.take(MAX_REPORTS).map(|path| Report { path, idle: 0 }).collect();
            }
        }
        if let Some(path) = self.events.clone()
            && let Some(document) = optional(client, &path).await?
        {
            let events: Events = read(&document);
            let at = events.stream.as_deref().and_then(|uri| client.origin().resolve(uri));
            let only = "$filter=EventFormatType%20eq%20MetricReport";
            let at = at.map(|at| if events.filters.format { at.with_query(only) } else { at });
            self.stream_at = at.filter(|_| events.enabled != Some(false));
        }
        Ok(())
    }

    fn set_idle(&mut self, at: usize, idle: u8) {
        if let Some(report) = self.reports.get_mut(at) {
            report.idle = idle;
        }
    }

    /// The properties that a report calls `property`.
    fn leaves(&mut self, property: &str, origin: &Origin) -> Vec<Leaf> {
        if let Some(known) = self.names.get(property) {
            return known.clone();
        }
        let leaves = self.map.leaves_of(property, origin);
        if self.names.len() < MAX_NAMES {
            self.names.insert(property.to_owned(), leaves.clone());
        }
        leaves
    }

    /// Takes in the values of a report that came at `now`. Returns the newest value of each property that has one newer than
    /// the last poll.
    fn take(&mut self, values: Vec<MetricValue>, now: Moment, origin: &Origin) -> BTreeMap<Leaf, f64> {
        let Some(newest) = values.iter().map(|value| value.at).max() else { return BTreeMap::new() };
        if self.clocks.saw(now, newest) == Message::OfAnotherClock {
            self.taken.clear();
            self.pending.clear();
        }
        let mut fresh: BTreeMap<Leaf, (Duration, f64)> = BTreeMap::new();
        for MetricValue { property, value, at } in values {
            for leaf in self.leaves(&property, origin) {
                if self.taken.get(&leaf).is_some_and(|taken| at <= *taken) {
                    continue;
                }
                if self.clocks.moment(at, now).is_some_and(|moment| moment > self.last_poll)
                    && fresh.get(&leaf).is_none_or(|(known, _)| at > *known)
                {
                    fresh.insert(leaf.clone(), (at, value));
                }
                // The first to come counts where two say different things of one moment.
                self.pending.entry(at).or_default().entry(leaf).or_insert(value);
            }
        }
        while self.pending.len() > MAX_MOMENTS {
            self.pending.pop_first();
        }
        fresh.into_iter().map(|(leaf, (_, value))| (leaf, value)).collect()
    }

    /// Makes readings of what is pending, oldest first.
    fn earlier(&mut self, read: &dyn Fn(&Docs) -> Vec<Reading>) -> Vec<Earlier> {
        let now = self.clock.now();
        let mut earlier: Vec<Earlier> = Vec::new();
        for (time, values) in std::mem::take(&mut self.pending) {
            let leaves: BTreeSet<Leaf> = values.keys().cloned().collect();
            let docs = self.docs.with(values.iter().map(|(leaf, value)| (leaf, *value)));
            let mut readings = read(&docs);
            readings.retain(|reading| {
                self.map.is_made_of(&(reading.channel.clone(), reading.measure.quantity()), &leaves)
            });
            self.taken.extend(leaves.into_iter().map(|leaf| (leaf, time)));
            let at = self.clocks.moment(time, now);
            if let Some(at) = at.filter(|at| *at < now && !readings.is_empty()) {
                earlier.push(Earlier { at, readings });
            }
        }
        earlier
    }
}

/// A resource that telemetry can do without.
async fn optional(client: &mut Client, path: &ResourcePath) -> Result<Option<Value>, PollError> {
    match client.get(path).await {
        Ok(document) => Ok(Some(document)),
        Err(Failure::Gone | Failure::Refused(_)) => Ok(None),
        Err(Failure::Broken(error)) => Err(error),
    }
}
