//! The driver: when to look for resources anew, and which to read in one poll.

use std::sync::Arc;
use std::time::Duration;

use super::Settings;
use super::client::{Client, Failure};
use super::discover::Discovery;
use super::energy::Counters;
use super::extras;
use super::plan::Site;
use super::reader::{Beside, Memory, Reader};
use super::select::{self, Collector};
use crate::drivers::Driver;
use crate::model::{Batch, BoxFuture, Clock, ErrorKind, Moment, PollError};

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
        Ok(Self {
            spare: settings.request_timeout * 3 / 4,
            client: Client::new(settings)?,
            clock,
            site: None,
            discovery: None,
            next_look: Moment::ZERO,
            counters: Counters::default(),
            identity_due: false,
            memory: Memory { turn: 0, day: None, next_day: Moment::ZERO },
        })
    }

    async fn poll_once(&mut self) -> Result<Batch, PollError> {
        let begun = self.clock.now();
        self.look().await?;
        let Self { client, clock, site: Some(site), counters, memory, spare, .. } = self else {
            return Err(nothing());
        };
        let mut reader = Reader { client, gone: false, refused: None };
        let mut found = Vec::new();
        for plan in site.core() {
            found.push((plan, reader.chassis(plan).await?));
        }
        let mut beside = Beside::default();
        let left = spare.saturating_sub(clock.now().since(begun));
        // Too little would only break off a request, and with it the connection.
        if left > *spare / 4 {
            beside.read(&mut reader, site, memory, clock.as_ref(), left).await;
        }
        let Reader { gone, refused, client } = reader;
        // No await from here on: a poll that is dropped has changed nothing below.
        let mut collector = Collector::default();
        for (plan, seen) in found.iter().chain(&beside.chassis) {
            let source = select::readings(plan, seen, client.origin(), counters, &mut collector);
            tracing::trace!(chassis = plan.prefix, ?source, "total");
        }
        for (_, extra, document) in &beside.extras {
            extras::readings(extra, document, counters, &mut collector);
        }
        collector.windows.extend(memory.day.clone());
        let identity = self.identity_due.then(|| site.identity.clone());
        let system = if self.identity_due { site.system.clone() } else { None };
        if beside.gone {
            self.next_look = clock.now();
        }
        if gone {
            self.site = None;
        }
        if collector.readings.is_empty() {
            return Err(refused.unwrap_or_else(nothing));
        }
        self.identity_due = false;
        let Collector { readings, windows, .. } = collector;
        Ok(Batch { readings, windows, identity, system, ..Batch::default() })
    }

    /// Finds out what to read, wholly at first, a little with each poll later on.
    async fn look(&mut self) -> Result<(), PollError> {
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
                self.adopt(site);
                steps = REFRESH_STEPS;
                continue;
            }
            if steps == 0 {
                return Ok(());
            }
            steps -= 1;
            let failed = match self.client.get(&path).await {
                Ok(document) => {
                    discovery.answer(&document, self.client.origin());
                    self.client.learn(discovery.root());
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
        match discovery.site(self.client.origin()) {
            Ok(site) => {
                self.next_look = now + if site.incomplete { REFRESH_INCOMPLETE } else { REFRESH };
                self.counters.keep_only(&site.counter_channels());
                self.adopt(site);
                Ok(())
            }
            // A BMC that restarts may show empty collections for a while: what was known before stays known.
            Err(_) if self.site.is_some() => {
                self.next_look = now + REFRESH_INCOMPLETE;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn adopt(&mut self, site: Site) {
        if site.day.is_none() {
            (self.memory.day, self.memory.next_day) = (None, Moment::ZERO);
        }
        self.site = Some(site);
        self.identity_due = true;
    }
}

impl Driver for Redfish {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(self.poll_once())
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.client.close())
    }
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
