//! The driver: when to look for resources anew, and which to read in one poll.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::Settings;
use super::client::{Client, Failure};
use super::discover::Discovery;
use super::energy::Counters;
use super::equipment::Equipment;
use super::expand::Features;
use super::extras;
use super::origin::{Origin, ResourcePath};
use super::plan::Site;
use super::quirks::Maker;
use super::reader::{Beside, Memory, Reader};
use super::resources::read;
use super::select::{self, Collector};
use super::services::Services;
use super::telemetry::{Docs, Telemetry};
use crate::drivers::Driver;
use crate::model::{Batch, BoxFuture, Clock, ErrorKind, Identity, Moment, OpenSessions, PollError, Reading};

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
    memory: Memory,
    /// Since the start of a poll, until when what stands beside the total is read. A request may take as long as a poll at
    /// most, so this ends before the poll's deadline, and the total is not lost to it.
    spare: Duration,
}

impl Redfish {
    /// One that has sent nothing yet.
    ///
    /// # Errors
    /// As [`super::open`].
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, PollError> {
        let telemetry = Telemetry::new(settings.telemetry, settings.stream, Arc::clone(&clock));
        Ok(Self {
            spare: settings.request_timeout * 3 / 4,
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
            memory: Memory { turn: 0, day: None, next_day: Moment::ZERO },
        })
    }

    /// Counts open sessions in `sessions`.
    pub(super) fn count_in(mut self, sessions: OpenSessions) -> Self {
        self.client.count_in(sessions);
        self
    }

    /// As [`Client::pin`].
    ///
    /// # Errors
    /// As [`Client::pin`].
    pub(super) fn pinned(mut self, at: IpAddr) -> Result<Self, PollError> {
        self.client.pin(at)?;
        Ok(self)
    }

    async fn poll_once(&mut self) -> Result<Batch, PollError> {
        let begun = self.clock.now();
        self.look().await?;
        let Self { client, clock, site: Some(site), counters, equipment, telemetry, memory, spare, .. } =
            self
        else {
            return Err(nothing());
        };
        let instead = telemetry.before(client).await?;
        let origin = client.origin().clone();
        let mut reader = Reader::new(client, &origin, &instead);
        reader.recorded = telemetry.is_on().then(Docs::default);
        let mut found = Vec::new();
        for plan in site.core() {
            found.push((plan, reader.chassis(plan).await?));
        }
        let units = equipment.read(&mut reader).await?;
        let mut beside = Beside::default();
        let left = spare.saturating_sub(clock.now().since(begun));
        // Too little would only break off a request, and with it the connection.
        if left > *spare / 4 {
            beside.read(&mut reader, site, memory, clock.as_ref(), left).await;
        }
        let Reader { gone, changed, refused, recorded, .. } = reader;
        // No await from here on: a poll that is dropped has changed nothing below.
        let mut collector = Collector::default();
        for (plan, seen) in found.iter().chain(&beside.chassis) {
            let source = select::readings(plan, seen, &origin, counters, &mut collector);
            tracing::trace!(chassis = plan.prefix, ?source, "total");
        }
        for (_, extra, document) in &beside.extras {
            extras::readings(extra, document, counters, &mut collector);
        }
        collector.windows.extend(memory.day.clone());
        let Collector { mut readings, mut windows, .. } = collector;
        readings.retain(|reading| !equipment.owns(&reading.channel));
        windows.retain(|window| !equipment.owns(&window.channel));
        readings.extend(equipment.readings(&units));
        let earlier = recorded.map(|recorded| {
            let read = |docs: &Docs| replayed(site, equipment, counters, &origin, docs);
            telemetry.after(recorded, client, &read)
        });
        let identity = self.identity_due.then(|| match equipment.identity() {
            Some(unit) if site.is_empty() => {
                Identity { profile: site.identity.profile.clone(), ..unit.clone() }
            }
            Some(_) | None => site.identity.clone(),
        });
        let system = if self.identity_due { site.system.clone() } else { None };
        if beside.gone {
            client.forget_inventory();
            self.next_look = self.clock.now();
        }
        if gone {
            client.forget_inventory();
            // A look under way may have seen what is gone.
            (self.site, self.discovery) = (None, None);
        }
        if changed {
            self.next_look = self.next_look.min(self.clock.now() + REFRESH_INCOMPLETE);
        }
        if readings.is_empty() {
            return Err(refused.or_else(|| self.no_chassis.clone()).unwrap_or_else(nothing));
        }
        self.identity_due = false;
        let earlier = earlier.unwrap_or_default();
        Ok(Batch { earlier, readings, windows, identity, system, ..Batch::default() })
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
            if self.site.is_none()
                && discovery.is_enough()
                && let Ok(site) = discovery.site(self.client.origin())
            {
                // The details follow, a little with each poll.
                let has_systems = discovery.has_systems();
                self.adopt(site, has_systems);
                steps = REFRESH_STEPS;
                continue;
            }
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
                    if path.same_resource(&ResourcePath::service_root()) {
                        let root = discovery.root();
                        self.client.learn(root);
                        let equipment = root.power_equipment.id.as_deref();
                        let equipment = equipment.and_then(|id| self.client.origin().resolve(id));
                        let services: Services = read(&document);
                        let none = Features::default();
                        let drops = Maker::of_root(root).expand_drops_properties();
                        self.equipment.learn(equipment, if drops { &none } else { &services.features });
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
        let has_systems = discovery.has_systems();
        match discovery.site(self.client.origin()) {
            Ok(site) => {
                self.next_look = now + if site.incomplete { REFRESH_INCOMPLETE } else { REFRESH };
                self.counters.keep_only(&site.counter_channels());
                self.adopt(site, has_systems);
                Ok(())
            }
            // A BMC that restarts may show empty collections for a while: what was known before stays known.
            Err(_) if self.site.as_ref().is_some_and(|site| !site.is_empty()) => {
                self.next_look = now + REFRESH_INCOMPLETE;
                Ok(())
            }
            // The service of a PDU: no chassis of it needs to have power.
            Err(error) if self.equipment.is_expected() => {
                self.next_look = now + REFRESH;
                self.adopt(Site::without_chassis(Maker::of_root(discovery.root())), has_systems);
                self.no_chassis = Some(error);
                Ok(())
            }
            Err(error) => {
                self.site = None;
                Err(error)
            }
        }
    }

    fn adopt(&mut self, site: Site, has_systems: bool) {
        if site.day.is_none() {
            (self.memory.day, self.memory.next_day) = (None, Moment::ZERO);
        }
        self.has_systems = has_systems;
        self.no_chassis = None;
        self.telemetry.reset();
        self.site = Some(site);
        self.identity_due = true;
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

/// What the readings would be if the resources were as in `docs`.
fn replayed(
    site: &Site,
    equipment: &Equipment,
    counters: &Counters,
    origin: &Origin,
    docs: &Docs,
) -> Vec<Reading> {
    let (mut collector, mut counters) = (Collector::default(), counters.clone());
    let mut reader = Reader::over(docs, origin);
    for plan in site.core().chain(site.others()) {
        // Without a client nothing is waited for.
        if let Some(Ok(seen)) = reader.chassis(plan).now_or_never() {
            select::readings(plan, &seen, origin, &mut counters, &mut collector);
        }
    }
    for extra in &site.extras {
        if let Some(document) = docs.get(&extra.path) {
            extras::readings(extra, document, &mut counters, &mut collector);
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
