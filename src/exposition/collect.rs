//! The page's content: every family of the catalog, from the store, the ledger and the poller's figures as they stand in
//! memory. Reads only: no device is asked and nothing is computed beyond "is this still fresh". Long by
//! the families of meters and hosts; those of other things stand in `collect/`.

mod checkpoint;
mod differences;
mod model;
mod nodes;
mod reloads;
mod services;
mod told;
mod totals;
mod vms;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use super::catalog;
use super::encode::{Encoder, HistogramView};
use super::kept::Kept;
use super::process::Process;
use crate::attribution::host::HostAccount;
use crate::attribution::ledger::{Ledger, Method};
use crate::attribution::workload::WorkloadAccount;
use crate::checkpoint::Health;
use crate::model::{Clock, LabelSet, Moment, SystemSummary};
use crate::poller::{Stats, stats::BUCKETS};
use crate::store::{Channel, Meter, Store};
use crate::workloads::UsageLog;
use told::Told;

pub use reloads::Reloads;

/// A workload that left is still shown for this long, so that its last joules are scraped.
const SHOW_DEPARTED: Duration = Duration::from_secs(300);

/// Reads everything there is to show.
pub struct Collector {
    store: Arc<Store>,
    ledger: Arc<Mutex<Ledger>>,
    usage: Arc<UsageLog>,
    stats: Arc<Stats>,
    clock: Arc<dyn Clock>,
    /// Labels of figures per driver, in the order of [`Stats::drivers`]: plain, and by result.
    drivers: Vec<(LabelSet, Vec<LabelSet>)>,
    told: RwLock<Told>,
    reloads: Arc<Reloads>,
    build: LabelSet,
    checkpoint: OnceLock<Arc<Health>>,
    kept: RwLock<Option<Arc<Kept>>>,
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl Collector {
    /// A collector over these parts.
    #[must_use]
    pub fn new(
        reloads: Arc<Reloads>,
        store: Arc<Store>,
        ledger: Arc<Mutex<Ledger>>,
        usage: Arc<UsageLog>,
        stats: Arc<Stats>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let drivers = stats
            .drivers()
            .iter()
            .map(|d| {
                let by_result =
                    d.results().map(|(r, _)| LabelSet::new(&[("driver", d.driver), ("result", r)]));
                (LabelSet::new(&[("driver", d.driver)]), by_result.collect())
            })
            .collect();
        Self {
            told: RwLock::default(),
            reloads,
            build: LabelSet::new(&[
                ("version", crate::exposition::VERSION),
                ("revision", crate::exposition::REVISION),
            ]),
            store,
            ledger,
            usage,
            stats,
            clock,
            drivers,
            checkpoint: OnceLock::new(),
            kept: RwLock::default(),
        }
    }

    /// Writes the whole page.
    pub fn render(&self, page: &mut Encoder) {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kept) = kept {
            page.show(kept);
        }
        self.write(page);
    }

    /// The counters as they are now, for [`Self::show_kept`].
    #[must_use]
    pub fn counters(&self) -> Kept {
        Kept::of(|page| self.write(page))
    }

    /// Shows counters as they are in `kept`, from now on: all that is on disk.
    pub fn show_kept(&self, kept: Kept) {
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(kept));
    }

    fn write(&self, page: &mut Encoder) {
        let now = self.clock.now();
        self.meters(page, now);
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        self.hosts(page, &ledger, now);
        workloads(page, &ledger, now);
        totals::write(page, &ledger);
        tenants(page, &ledger);
        services::write(page, &ledger);
        self.buildings(page, &ledger, now);
        drop(ledger);
        self.itself(page, now);
    }

    fn meters(&self, page: &mut Encoder, now: Moment) {
        for (family, quantity) in catalog::METER_GAUGES {
            let mut family = page.family(family);
            self.each_channel(|meter, channel| {
                if let Some(value) = meter.fresh(channel, quantity, now) {
                    family.sample(channel.labels(), value);
                }
            });
        }
        let mut energy = page.family(&catalog::METER_ENERGY_JOULES_TOTAL);
        self.each_channel(|_, channel| {
            if let Some(counted) = channel.counted() {
                energy.sample_with(channel.labels(), "origin=\"device\"", counted);
            }
            if let Some(integrated) = channel.integrated() {
                energy.sample_with(channel.labels(), "origin=\"integrated\"", integrated);
            }
        });
        let mut unmeasured = page.family(&catalog::METER_UNMEASURED_SECONDS_TOTAL);
        self.each_channel(|meter, channel| {
            if let Some(time) = meter.unmeasured(channel, now) {
                unmeasured.sample(channel.labels(), time);
            }
        });
        let wall = self.clock.unix_seconds();
        let mut read = page.family(&catalog::METER_READING_TIMESTAMP_SECONDS);
        self.each_channel(|_, channel| {
            if let Some(at) = channel.last_read() {
                read.sample(channel.labels(), unix_milliseconds(wall, now, at));
            }
        });
        let mut accuracy = page.family(&catalog::METER_ACCURACY_RATIO);
        self.each_channel(|meter, channel| {
            if let Some(share) = meter.error_ratio(channel, now) {
                accuracy.sample(channel.labels(), share.get());
            }
        });
        let mut named = page.family(&catalog::METER_CHANNEL_INFO);
        self.each_channel(|_, channel| {
            if let Some(labels) = channel.info() {
                named.info(labels);
            }
        });
        let mut up = page.family(&catalog::METER_UP);
        self.store.each(|meter| {
            if meter.is_enabled() {
                up.sample(meter.labels(), meter.is_up(now));
            }
        });
        let mut info = page.family(&catalog::METER_INFO);
        self.store.each(|meter| info.info(meter.info()));
        self.switched(page);
        self.windows(page, now);
        self.systems(page);
    }

    fn windows(&self, page: &mut Encoder, now: Moment) {
        let mut power = page.family(&catalog::METER_WINDOW_POWER_WATTS);
        self.store.each(|meter| {
            for windowed in meter.windows(now) {
                let window = &windowed.window;
                for (watts, label) in [
                    (window.average, "statistic=\"average\""),
                    (window.minimum, "statistic=\"minimum\""),
                    (window.maximum, "statistic=\"maximum\""),
                ] {
                    if let Some(watts) = watts {
                        power.sample_with(&windowed.labels, label, watts.get());
                    }
                }
            }
        });
        let mut length = page.family(&catalog::METER_WINDOW_SECONDS);
        self.store.each(|meter| {
            meter.windows(now).for_each(|w| length.sample(&w.labels, w.window.length));
        });
    }

    fn systems(&self, page: &mut Encoder) {
        type Of = fn(&SystemSummary) -> Option<u64>;
        let counts: [(_, Of); 4] = [
            (&catalog::SYSTEM_PROCESSORS, |s| s.processors.map(u64::from)),
            (&catalog::SYSTEM_CORES, |s| s.cores.map(u64::from)),
            (&catalog::SYSTEM_THREADS, |s| s.threads.map(u64::from)),
            (&catalog::SYSTEM_MEMORY_BYTES, |s| s.memory_bytes),
        ];
        for (family, of) in counts {
            let mut family = page.family(family);
            self.store.each(|meter| {
                if let Some(system) = meter.system()
                    && let Some(count) = of(&system.summary)
                {
                    family.sample(&system.labels, count);
                }
            });
        }
        let mut info = page.family(&catalog::SYSTEM_INFO);
        self.store.each(|meter| {
            if let Some(system) = meter.system() {
                info.info(&system.info);
            }
        });
    }

    fn each_channel(&self, mut visit: impl FnMut(&Meter, &Channel)) {
        self.store.each(|meter| meter.channels().iter().for_each(|channel| visit(meter, channel)));
    }

    fn hosts(&self, page: &mut Encoder, ledger: &Ledger, now: Moment) {
        let mut power = page.family(&catalog::HOST_POWER_WATTS);
        for host in ledger.hosts() {
            if let Some(watts) = host.power(&self.store, now) {
                power.sample(host.labels(), watts.get());
            }
        }
        let mut accuracy = page.family(&catalog::HOST_ACCURACY_RATIO);
        for host in ledger.hosts() {
            if let Some(share) = host.error_ratio(&self.store, now) {
                accuracy.sample(host.labels(), share.get());
            }
        }
        self.differences(page, ledger, now);
        let open = || ledger.hosts().iter().filter(|h| h.settled().is_some());
        let mut energy = page.family(&catalog::HOST_ENERGY_JOULES_TOTAL);
        for host in open() {
            for method in host.methods() {
                energy.sample_with(host.labels(), method_label(method), *host.energy().get(method));
            }
        }
        let mut idle = page.family(&catalog::HOST_IDLE_POWER_WATTS);
        for host in open() {
            if let Some(watts) = host.idle_power() {
                idle.sample(host.labels(), watts.get());
            }
        }
        model::idle_limits(page, ledger);
        let wall = self.clock.unix_seconds();
        let mut settled = page.family(&catalog::HOST_SETTLED_TIMESTAMP_SECONDS);
        for (host, at) in ledger.hosts().iter().filter_map(|h| Some((h, h.settled()?))) {
            settled.sample(host.labels(), unix_milliseconds(wall, now, at));
        }
        let mut unmeasured = page.family(&catalog::HOST_UNMEASURED_SECONDS_TOTAL);
        open().for_each(|host| unmeasured.sample(host.labels(), host.unmeasured()));
        let mut overhead = page.family(&catalog::HOST_OVERHEAD_ENERGY_JOULES_TOTAL);
        for host in open() {
            for method in host.methods() {
                let parts = host.overhead().get(method);
                let [hypervisor, unallocated] = overhead_labels(method);
                overhead.sample_with(host.place(), hypervisor, parts.hypervisor);
                overhead.sample_with(host.place(), unallocated, parts.unallocated);
            }
        }
        let mut info = page.family(&catalog::HOST_INFO);
        ledger.hosts().iter().for_each(|host| info.info(host.info()));
        reloads::hosts(page, ledger);
        nodes::write(page, ledger, now);
    }

    fn buildings(&self, page: &mut Encoder, ledger: &Ledger, now: Moment) {
        let mut power = page.family(&catalog::FACILITY_POWER_WATTS);
        for point in ledger.facility() {
            if let Some(watts) = point.power(&self.store, now) {
                power.sample(&point.labels, watts.get());
            }
        }
        let mut energy = page.family(&catalog::FACILITY_ENERGY_JOULES_TOTAL);
        for point in ledger.facility() {
            if let Some(total) = point.energy() {
                energy.sample(&point.labels, total);
            }
        }
        let mut unmeasured = page.family(&catalog::FACILITY_UNMEASURED_SECONDS_TOTAL);
        for point in ledger.facility() {
            if let Some(time) = point.unmeasured() {
                unmeasured.sample(&point.labels, time);
            }
        }
        let mut factor = page.family(&catalog::EMISSION_FACTOR_GRAMS_PER_KILOWATT_HOUR);
        let told = self.told.read().unwrap_or_else(PoisonError::into_inner);
        told.factors.iter().for_each(|(labels, value)| factor.sample(labels, *value));
        let mut price = page.family(&catalog::ENERGY_PRICE_PER_KILOWATT_HOUR);
        told.prices.iter().for_each(|(labels, value)| price.sample(labels, *value));
    }

    fn itself(&self, page: &mut Encoder, now: Moment) {
        let drivers = || self.stats.drivers().iter().zip(&self.drivers);
        let mut duration = page.family(&catalog::POLL_DURATION_SECONDS);
        for (driver, (labels, _)) in drivers() {
            let (counts, sum) = driver.durations();
            duration.histogram(labels, &HistogramView { bounds: &BUCKETS, counts: &counts, sum });
        }
        let mut polls = page.family(&catalog::POLLS_TOTAL);
        for (driver, (_, by_result)) in drivers() {
            driver.results().zip(by_result).for_each(|((_, count), labels)| polls.sample(labels, count));
        }
        let mut restarts = page.family(&catalog::DRIVER_RESTARTS_TOTAL);
        drivers().for_each(|(driver, (labels, _))| restarts.sample(labels, driver.restarts()));
        let mut sessions = page.family(&catalog::SESSIONS);
        for (labels, open) in drivers().filter_map(|(driver, (labels, _))| Some((labels, driver.sessions()?)))
        {
            sessions.sample(labels, open);
        }
        let mut hypervisor = page.family(&catalog::HYPERVISOR_UP);
        self.usage.each(|source| {
            if source.is_enabled() {
                hypervisor.sample(source.labels(), source.is_up(now));
            }
        });
        self.reloads.render(page);
        page.family(&catalog::BUILD_INFO).info(&self.build);
        checkpoint::render(page, self.checkpoint.get(), now);
        Process::read().render(page);
    }
}

/// Every workload that is to be shown, with its host.
fn shown(ledger: &Ledger, now: Moment) -> impl Iterator<Item = (&HostAccount, &WorkloadAccount)> {
    ledger.hosts().iter().flat_map(move |host| {
        host.workloads()
            .filter(move |w| {
                host.is_present(w) || w.seen().is_some_and(|seen| now.since(seen) <= SHOW_DEPARTED)
            })
            .map(move |w| (host, w))
    })
}

/// Every workload that is there now, with its host.
fn present(ledger: &Ledger, now: Moment) -> impl Iterator<Item = (&HostAccount, &WorkloadAccount)> {
    shown(ledger, now).filter(move |(host, w)| host.is_present(w) && host.is_heard(now))
}

fn workloads(page: &mut Encoder, ledger: &Ledger, now: Moment) {
    let mut power = page.family(&catalog::WORKLOAD_POWER_WATTS);
    for (workload, watts) in present(ledger, now).filter_map(|(_, w)| Some((w, w.power()?))) {
        power.sample(workload.labels(), watts.get());
    }
    let mut energy = page.family(&catalog::WORKLOAD_ENERGY_JOULES_TOTAL);
    for (host, workload) in shown(ledger, now) {
        for method in host.methods() {
            for (labels, part) in model::parts(host, method, *workload.energy().get(method)) {
                energy.sample_with(workload.labels(), labels, part);
            }
        }
    }
    let mut info = page.family(&catalog::WORKLOAD_INFO);
    shown(ledger, now).for_each(|(_, workload)| info.info(workload.info_labels()));
    vms::write(page, ledger, now);
}

fn tenants(page: &mut Encoder, ledger: &Ledger) {
    let mut energy = page.family(&catalog::TENANT_ENERGY_JOULES_TOTAL);
    for tenant in ledger.tenants().values() {
        for method in Method::ALL.into_iter().filter(|m| tenant.energy.get(*m).0 > 0) {
            energy.sample_with(&tenant.labels, method_label(method), *tenant.energy.get(method));
        }
    }
    let mut info = page.family(&catalog::TENANT_INFO);
    let mut told: Vec<&LabelSet> = ledger.tenants().values().map(|t| &t.info).collect();
    told.sort_unstable();
    told.dedup();
    told.into_iter().for_each(|labels| info.info(labels));
}

/// Unix time of `at`, seconds to the millisecond, where the clock on the wall says `wall` at `now`.
fn unix_milliseconds(wall: f64, now: Moment, at: Moment) -> f64 {
    ((wall - now.since(at).as_secs_f64()) * 1000.0).round() / 1000.0
}

const fn method_label(method: Method) -> &'static str {
    match method {
        Method::Measured => "method=\"measured\"",
        Method::Rated => "method=\"rated\"",
    }
}

const fn overhead_labels(method: Method) -> [&'static str; 2] {
    match method {
        Method::Measured => {
            ["method=\"measured\",part=\"hypervisor\"", "method=\"measured\",part=\"unallocated\""]
        }
        Method::Rated => ["method=\"rated\",part=\"hypervisor\"", "method=\"rated\",part=\"unallocated\""],
    }
}
