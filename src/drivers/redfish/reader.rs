//! The requests of one poll: the server's total always, what stands beside it as time allows.

use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Failure};
use super::extras::Extra;
use super::origin::{Origin, ResourcePath};
use super::plan::{ChassisPlan, Site};
use super::resources::{PowerState, System, read};
use super::select::{self, Seen};
use super::telemetry::Docs;
use super::windows;
use crate::model::{Clock, Moment, PollError, PowerWindow};

/// How often HPE's summary of a day is read: it gets a sample every five minutes.
const DAY_REFRESH: Duration = Duration::from_secs(300);

/// Reads the resources of one poll.
pub(super) struct Reader<'a> {
    /// None while the resources of a poll are read over with other values in them.
    pub(super) client: Option<&'a mut Client>,
    /// Where the BMC lives, to resolve its links.
    origin: &'a Origin,
    /// What stands in for resources, so that they are not asked for.
    instead: &'a Docs,
    /// What was read, where that is wanted.
    pub(super) recorded: Option<Docs>,
    /// Something that was there is not any more.
    pub(super) gone: bool,
    /// What there is is not quite what was known; another look is worth while soon.
    pub(super) changed: bool,
    /// The first resource that was answered with an error.
    pub(super) refused: Option<PollError>,
}

/// What came of asking for one resource.
pub(super) enum Got {
    /// What it says.
    Document(Value),
    /// The BMC does not have it.
    Gone,
    /// The BMC answered for it alone with an error.
    Refused,
}

impl<'a> Reader<'a> {
    /// One that asks `client`, but for the resources in `instead`.
    pub(super) const fn new(client: &'a mut Client, origin: &'a Origin, instead: &'a Docs) -> Self {
        Self::of(Some(client), origin, instead)
    }

    /// One that knows only the resources in `docs`, and waits for nothing.
    pub(super) const fn over(docs: &'a Docs, origin: &'a Origin) -> Self {
        Self::of(None, origin, docs)
    }

    const fn of(client: Option<&'a mut Client>, origin: &'a Origin, instead: &'a Docs) -> Self {
        let (recorded, refused) = (None, None);
        Self { client, origin, instead, recorded, gone: false, changed: false, refused }
    }
}

impl Reader<'_> {
    /// Takes note of a resource that was read.
    pub(super) fn record(&mut self, path: &ResourcePath, document: &Value) {
        if let Some(recorded) = &mut self.recorded {
            recorded.insert(path, document.clone());
        }
    }

    /// What one chassis shows. Nothing but resources is waited for here.
    ///
    /// # Errors
    /// When nothing more is to be expected of this poll.
    pub(super) async fn chassis(&mut self, plan: &ChassisPlan) -> Result<Seen, PollError> {
        let mut seen = Seen::default();
        if let Some(path) = &plan.environment {
            seen.environment = self.get(path).await?.map(|document| read(&document));
        }
        for supply in &plan.supplies {
            seen.supplies.push(self.get(&supply.metrics).await?.map(|document| read(&document)));
        }
        if let Some(path) = &plan.power
            && (plan.power_adds || select::lacks_total(plan, &seen))
        {
            seen.power = self.get(path).await?.map(|document| read(&document));
        }
        if let Some((path, _)) = &plan.total_sensor
            && select::needs_sensor(plan, &seen, self.origin)
        {
            seen.total_sensor = self.get(path).await?.map(|document| read(&document));
        }
        if select::state_matters(plan, &seen) {
            // Chassis and systems say this in the same property.
            let state = self.get(&plan.state).await?.map(|document| read::<System>(&document).power_state);
            seen.state = state.unwrap_or(PowerState::Unsaid);
        }
        Ok(seen)
    }

    /// One resource; none if the BMC has it no more or answers with an error for it alone.
    async fn get(&mut self, path: &ResourcePath) -> Result<Option<Value>, PollError> {
        match self.try_get(path).await? {
            Got::Document(document) => Ok(Some(document)),
            Got::Gone => {
                self.gone = true;
                Ok(None)
            }
            Got::Refused => Ok(None),
        }
    }

    /// One resource, for a caller that knows what to do if it is not there.
    ///
    /// # Errors
    /// What leaves nothing more to be expected of this poll.
    pub(super) async fn try_get(&mut self, path: &ResourcePath) -> Result<Got, PollError> {
        if let Some(document) = self.instead.get(path) {
            return Ok(Got::Document(document.clone()));
        }
        let Some(client) = self.client.as_deref_mut() else { return Ok(Got::Refused) };
        match client.get(path).await {
            Ok(document) => {
                self.record(path, &document);
                Ok(Got::Document(document))
            }
            Err(Failure::Gone) => {
                self.changed = true;
                Ok(Got::Gone)
            }
            Err(Failure::Refused(error)) => {
                tracing::debug!(%error, "resource not read");
                self.refused.get_or_insert(error);
                Ok(Got::Refused)
            }
            Err(Failure::Broken(error)) => Err(error),
        }
    }
}

/// What stands beside the total.
#[derive(Default)]
pub(super) struct Beside<'a> {
    pub(super) chassis: Vec<(&'a ChassisPlan, Seen)>,
    /// Each with its place in the plan, in that order.
    pub(super) extras: Vec<(usize, &'a Extra, Value)>,
    /// Something of it that was there is not any more.
    pub(super) gone: bool,
}

/// What a driver remembers of it from poll to poll.
pub(super) struct Memory {
    /// Which is read next, so that a slow BMC shows all of it in turn.
    pub(super) turn: usize,
    /// The last summary of a day.
    pub(super) day: Option<PowerWindow>,
    /// When to ask for the next.
    pub(super) next_day: Moment,
}

impl<'a> Beside<'a> {
    /// Reads it for as long as there is time, and begins with the one whose turn it is. Nothing here fails a poll.
    ///
    /// No request is begun in the second half of `spare`, and none is waited for after its end.
    pub(super) async fn read(
        &mut self,
        reader: &mut Reader<'_>,
        site: &'a Site,
        memory: &mut Memory,
        clock: &dyn Clock,
        spare: Duration,
    ) {
        let gone = std::mem::take(&mut reader.gone);
        match tokio::time::timeout(spare, self.read_all(reader, site, memory, clock, spare / 2)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "not all was read that stands beside the total"),
            Err(_too_late) => tracing::debug!("no time for all that stands beside the total"),
        }
        self.extras.sort_by_key(|(at, ..)| *at);
        self.gone = std::mem::replace(&mut reader.gone, gone);
    }

    async fn read_all(
        &mut self,
        reader: &mut Reader<'_>,
        site: &'a Site,
        memory: &mut Memory,
        clock: &dyn Clock,
        time: Duration,
    ) -> Result<(), PollError> {
        let begun = clock.now();
        if let Some((channel, path)) = &site.day
            && begun >= memory.next_day
        {
            (memory.day, memory.next_day) = (None, begun + DAY_REFRESH);
            let answer = reader.get(path).await?;
            memory.day = answer.and_then(|document| windows::day(channel, &read(&document)));
        }
        let others: Vec<&'a ChassisPlan> = site.others().collect();
        let count = others.len() + site.extras.len();
        for _ in 0..count {
            if clock.now().since(begun) > time {
                break;
            }
            let at = memory.turn % count;
            // Before the request: one that hangs must not be the next poll's first.
            memory.turn = at + 1;
            if let Some(extra) = site.extras.get(at) {
                let answer = reader.get(&extra.path).await?;
                self.extras.extend(answer.map(|document| (at, extra, document)));
            } else if let Some(plan) = others.get(at.saturating_sub(site.extras.len())) {
                let seen = reader.chassis(plan).await?;
                self.chassis.push((plan, seen));
            }
        }
        Ok(())
    }
}
