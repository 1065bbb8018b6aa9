//! The driver: when to look for resources anew, and which to read in one poll.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::Value;

use super::Settings;
use super::client::{Client, Failure};
use super::discover::Discovery;
use super::energy::Counters;
use super::equipment::Equipment;
use super::origin::ResourcePath;
use super::plan::{ChassisPlan, Site};
use super::resources::{PowerState, System, read};
use super::select::{self, Collector, Seen};
use super::services::Services;
use super::telemetry::{Docs, Telemetry};
use crate::drivers::Driver;
use crate::model::{Batch, BoxFuture, Clock, ErrorKind, Moment, PollError, Reading};

/// How often a BMC is looked through again: supplies are added, firmware is updated.
const REFRESH: Duration = Duration::from_secs(2 * 3600);
/// How soon, if something answered badly the last time.
const REFRESH_INCOMPLETE: Duration = Duration::from_secs(300);
/// How many resources of a later look one poll asks for, so that no poll takes much longer than the others.
const REFRESH_STEPS: usize = 2;

/// One BMC.
pub(super) struct Redfish {
    client: Client,
    clock: Arc<dyn Clock>,
    site: Option<Site>,
    /// A look under way; a poll that is dropped leaves it where it stands.
    discovery: Option<Discovery>,
    next_look: Moment,
    counters: Counters,
    equipment: Equipment,
    telemetry: Telemetry,
    /// Why no chassis is read, where equipment may be what there is to read instead.
    no_chassis: Option<PollError>,
    has_systems: bool,
    /// The identity is known and was not handed over yet.
    identity_due: bool,
}

impl Redfish {
    /// One that has sent nothing yet.
    ///
    /// # Errors
    /// As [`super::open`].
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, PollError> {
        let telemetry = Telemetry::new(settings.telemetry, settings.stream, Arc::clone(&clock));
        Ok(Self {
            telemetry,
            client: Client::new(settings)?,
            equipment: Equipment::new(Arc::clone(&clock)),
            clock,
            site: None,
            discovery: None,
            next_look: Moment::ZERO,
            counters: Counters::default(),
            no_chassis: None,
            has_systems: false,
            identity_due: false,
        })
    }

    async fn poll_once(&mut self) -> Result<Batch, PollError> {
        self.look().await?;
        let Self { client, site: Some(site), counters, equipment, telemetry, .. } = self else {
            return Err(nothing());
        };
        let instead = telemetry.before(client).await?;
        let mut reader = Reader::new(client);
        reader.instead = Some(&instead);
        reader.recorded = telemetry.is_on().then(Docs::default);
        let mut found = Vec::new();
        for plan in &site.chassis {
            found.push((plan, reader.chassis(plan).await?));
        }
        let units = equipment.read(&mut reader).await?;
        let Reader { gone, changed, refused, recorded, .. } = reader;
        // No await from here on: a poll that is dropped has changed nothing below.
        let mut collector = Collector::default();
        for (plan, seen) in &found {
            let source = select::readings(plan, seen, counters, &mut collector);
            tracing::trace!(chassis = plan.prefix, ?source, "total");
        }
        let mut readings = collector.readings;
        readings.retain(|reading| !equipment.owns(&reading.channel));
        readings.extend(equipment.readings(&units));
        let earlier = recorded.map(|recorded| {
            let read = |docs: &Docs| replayed(site, equipment, counters, docs);
            telemetry.after(recorded, client, &read)
        });
        let identity = self.identity_due.then(|| match equipment.identity() {
            Some(unit) if site.chassis.is_empty() => unit.clone(),
            Some(_) | None => site.identity.clone(),
        });
        if gone {
            client.forget_inventory();
            self.site = None;
        }
        if changed {
            self.next_look = self.next_look.min(self.clock.now() + REFRESH_INCOMPLETE);
        }
        if readings.is_empty() {
            return Err(refused.or_else(|| self.no_chassis.clone()).unwrap_or_else(nothing));
        }
        self.identity_due = false;
        let earlier = earlier.unwrap_or_default();
        Ok(Batch { earlier, readings, identity, ..Batch::default() })
    }

    /// Finds out what to read, wholly at first, a little with each poll later on.
    async fn look(&mut self) -> Result<(), PollError> {
        let all = self.site.is_none();
        self.look_at_chassis().await?;
        let steps = if all || !self.equipment.is_known() { usize::MAX } else { REFRESH_STEPS };
        if self.equipment.look(&mut self.client, steps, self.has_systems).await? {
            self.telemetry.reset();
            self.identity_due |= self.equipment.is_known();
            if self.equipment.left_out().is_some() {
                self.next_look = self.next_look.min(self.clock.now() + REFRESH_INCOMPLETE);
            }
        }
        if !self.equipment.is_expected()
            && let Some(error) = self.no_chassis.take()
        {
            self.site = None;
            return Err(self.equipment.left_out().cloned().unwrap_or(error));
        }
        Ok(())
    }

    /// The service root, chassis and systems.
    async fn look_at_chassis(&mut self) -> Result<(), PollError> {
        let now = self.clock.now();
        if self.discovery.is_none() && (self.site.is_none() || now >= self.next_look) {
            self.discovery = Some(Discovery::new());
        }
        let mut steps = if self.site.is_some() { REFRESH_STEPS } else { usize::MAX };
        while let Some(discovery) = &mut self.discovery {
            let Some(path) = discovery.next().cloned() else {
                return self.finish(now);
            };
            if steps == 0 {
                return Ok(());
            }
            steps -= 1;
            let document = if discovery.next_is_inventory() {
                self.client.get_inventory(&path).await
            } else {
                self.client.get(&path).await
            };
            let failed = match document {
                Ok(document) => {
                    discovery.answer(&document, self.client.origin());
                    self.client.learn(discovery.root());
                    if path.same_resource(&ResourcePath::service_root()) {
                        let equipment = discovery.root().power_equipment.id.as_deref();
                        let equipment = equipment.and_then(|id| self.client.origin().resolve(id));
                        let services: Services = read(&document);
                        self.equipment.learn(equipment, &services.features);
                        self.telemetry.learn(&services, self.client.origin());
                    }
                    continue;
                }
                Err(Failure::Gone) => discovery.absent(),
                Err(Failure::Refused(error)) => discovery.failed(error),
                Err(Failure::Broken(error)) => return Err(error),
            };
            if failed.is_err() {
                self.discovery = None;
                self.next_look = now + REFRESH_INCOMPLETE;
            }
            failed?;
        }
        Ok(())
    }

    fn finish(&mut self, now: Moment) -> Result<(), PollError> {
        let Some(discovery) = self.discovery.take() else { return Ok(()) };
        self.has_systems = discovery.has_systems();
        self.telemetry.reset();
        self.no_chassis = None;
        match discovery.finish(self.client.origin()) {
            Ok(site) => {
                self.next_look = now + if site.incomplete { REFRESH_INCOMPLETE } else { REFRESH };
                self.counters.keep_only(&site.counter_channels());
                self.site = Some(site);
                self.identity_due = true;
                Ok(())
            }
            // A BMC that restarts may show empty collections for a while: what was known before stays known.
            Err(_) if self.site.as_ref().is_some_and(|site| !site.chassis.is_empty()) => {
                self.next_look = now + REFRESH_INCOMPLETE;
                Ok(())
            }
            // The service of a PDU: no chassis of it needs to have power.
            Err(error) if self.equipment.is_expected() => {
                self.next_look = now + REFRESH;
                self.no_chassis = Some(error);
                self.site = Some(Site::default());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Driver for Redfish {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(self.poll_once())
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.telemetry.close().await;
            self.client.close().await;
        })
    }
}

/// Reads the resources of one poll.
pub(super) struct Reader<'a> {
    /// None while the resources of a poll are read over with other values in them.
    pub(super) client: Option<&'a mut Client>,
    /// What stands in for resources, so that they are not asked for.
    instead: Option<&'a Docs>,
    /// What was read, where that is wanted.
    recorded: Option<Docs>,
    /// Something that was there is not any more.
    gone: bool,
    /// What there is is not quite what was known; another look is worth while soon.
    pub(super) changed: bool,
    /// The first resource that was answered with an error.
    refused: Option<PollError>,
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
    /// One that has read nothing yet.
    fn new(client: &'a mut Client) -> Self {
        Self::of(Some(client), None)
    }

    const fn of(client: Option<&'a mut Client>, instead: Option<&'a Docs>) -> Self {
        Self { client, instead, recorded: None, gone: false, changed: false, refused: None }
    }

    /// Takes note of a resource that was read.
    pub(super) fn record(&mut self, path: &ResourcePath, document: &Value) {
        if let Some(recorded) = &mut self.recorded {
            recorded.insert(path, document.clone());
        }
    }
}

impl Reader<'_> {
    async fn chassis(&mut self, plan: &ChassisPlan) -> Result<Seen, PollError> {
        let mut seen = Seen::default();
        if let Some(path) = &plan.environment {
            seen.environment = self.get(path).await?.map(|document| read(&document));
        }
        for supply in &plan.supplies {
            seen.supplies.push(self.get(&supply.metrics).await?.map(|document| read(&document)));
        }
        if let Some(path) = &plan.power
            && (plan.power_adds || select::lacks_total(&seen))
        {
            seen.power = self.get(path).await?.map(|document| read(&document));
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
        if let Some(document) = self.instead.and_then(|docs| docs.get(path)) {
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

/// What the readings would be if the resources were as in `docs`.
fn replayed(site: &Site, equipment: &Equipment, counters: &Counters, docs: &Docs) -> Vec<Reading> {
    let (mut collector, mut counters) = (Collector::default(), counters.clone());
    let mut reader = Reader::of(None, Some(docs));
    for plan in &site.chassis {
        // Without a client nothing is waited for.
        if let Some(Ok(seen)) = reader.chassis(plan).now_or_never() {
            select::readings(plan, &seen, &mut counters, &mut collector);
        }
    }
    let mut readings = collector.readings;
    readings.retain(|reading| !equipment.owns(&reading.channel));
    readings.extend(equipment.replay(docs));
    readings
}

fn nothing() -> PollError {
    PollError::new(
        ErrorKind::NoReading,
        "the BMC gives no reading at the moment",
        "check that the server has power and its BMC measures it; it is looked through again at the next poll",
    )
}

#[cfg(test)]
mod tests;
