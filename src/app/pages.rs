//! The HTTP layer's pages, from the running parts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use super::control::Controller;
use crate::exposition::{Format, PageCache, REVISION, VERSION};
use crate::http::{Control, DeviceStatus, Pages, Probes, Status};
use crate::model::{Moment, PollError};

/// Counts the snapshots: it rises with each tick of the ledger, and pages of an older one are rendered anew.
#[derive(Debug, Default)]
pub struct Generation {
    count: AtomicU64,
    has_settled: AtomicBool,
}

impl Generation {
    /// A new snapshot is there.
    pub fn next(&self) {
        self.count.fetch_add(1, Ordering::Release);
    }

    /// A new snapshot is there, made by a tick of the ledger.
    pub fn settled(&self) {
        self.next();
        self.has_settled.store(true, Ordering::Release);
    }

    fn get(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    fn has_settled(&self) -> bool {
        self.has_settled.load(Ordering::Acquire)
    }
}

pub(super) struct RunningPages {
    pub(super) cache: PageCache,
    pub(super) control: Arc<Controller>,
    pub(super) started: Moment,
}

impl Pages for RunningPages {
    fn metrics(&self, format: Format, gzip: bool) -> Bytes {
        let parts = &self.control.parts;
        self.cache.get(parts.generation.get(), format, gzip, |page| parts.collector.render(page))
    }

    fn status(&self) -> Status {
        let world = &self.control.parts.world;
        let now = world.clock.now();
        let age = |at: Option<Moment>| at.map(|at| now.since(at).as_secs_f64());
        let mut devices = Vec::new();
        world.store.each(|meter| {
            let settings = meter.settings();
            devices.push(DeviceStatus {
                name: settings.id.as_str().to_owned(),
                driver: settings.driver.to_owned(),
                address: settings.address.clone(),
                enabled: meter.is_enabled(),
                up: meter.is_up(now),
                age_seconds: age(meter.last_good()),
                error: meter.error().map(PollError::to_string),
            });
        });
        let mut hypervisors = Vec::new();
        world.usage.each(|source| {
            let settings = source.settings();
            hypervisors.push(DeviceStatus {
                name: settings.host.as_str().to_owned(),
                driver: settings.driver.to_owned(),
                address: settings.address.clone(),
                enabled: source.is_enabled(),
                up: source.is_up(now),
                age_seconds: age(source.last_good()),
                error: source.error().map(PollError::to_string),
            });
        });
        Status {
            version: VERSION.to_owned(),
            revision: REVISION.to_owned(),
            uptime_seconds: now.since(self.started).as_secs_f64(),
            devices,
            hypervisors,
        }
    }

    fn ready(&self) -> bool {
        self.control.parts.generation.has_settled()
    }

    fn probes(&self) -> Option<Arc<dyn Probes>> {
        let prober = self.control.parts.prober.read().unwrap_or_else(PoisonError::into_inner);
        prober.clone().map(|prober| prober as Arc<dyn Probes>)
    }

    fn control(&self) -> Option<Arc<dyn Control>> {
        Some(Arc::clone(&self.control) as Arc<dyn Control>)
    }
}
