//! The HTTP layer's pages, from the running parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::probe::Prober;
use crate::exposition::collect::Collector;
use crate::exposition::{Format, PageCache, REVISION, VERSION};
use crate::http::{DeviceStatus, Pages, Probes, Status};
use crate::model::{Clock, Moment, PollError};
use crate::store::Store;
use crate::workloads::UsageLog;

/// Counts the snapshots: it rises with each tick of the ledger, and pages of an older one are rendered anew.
#[derive(Debug, Default)]
pub struct Generation(AtomicU64);

impl Generation {
    /// A new snapshot is there.
    pub fn next(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

pub struct RunningPages {
    pub cache: PageCache,
    pub collector: Collector,
    pub generation: Arc<Generation>,
    pub store: Arc<Store>,
    pub usage: Arc<UsageLog>,
    pub clock: Arc<dyn Clock>,
    pub started: Moment,
    pub prober: Option<Arc<Prober>>,
}

impl Pages for RunningPages {
    fn metrics(&self, format: Format, gzip: bool) -> Bytes {
        self.cache.get(self.generation.get(), format, gzip, |page| self.collector.render(page))
    }

    fn status(&self) -> Status {
        let now = self.clock.now();
        let age = |at: Option<Moment>| at.map(|at| now.since(at).as_secs_f64());
        let mut devices = Vec::new();
        self.store.each(|meter| {
            let settings = meter.settings();
            devices.push(DeviceStatus {
                name: settings.id.as_str().to_owned(),
                driver: settings.driver.to_owned(),
                address: settings.address.clone(),
                up: meter.is_up(now),
                age_seconds: age(meter.last_good()),
                error: meter.error().map(PollError::to_string),
            });
        });
        let mut hypervisors = Vec::new();
        self.usage.each(|source| {
            let settings = source.settings();
            hypervisors.push(DeviceStatus {
                name: settings.host.as_str().to_owned(),
                driver: settings.driver.to_owned(),
                address: settings.address.clone(),
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
        self.generation.get() > 0
    }

    fn probes(&self) -> Option<Arc<dyn Probes>> {
        self.prober.clone().map(|prober| prober as Arc<dyn Probes>)
    }
}
