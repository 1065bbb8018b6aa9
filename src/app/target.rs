//! What the poller polls: a driver with its meter in the store, a source with its place in the usage log.

use std::sync::Arc;

use super::plan::{DriverPlan, MeterPlan, Reached, SourcePlan};
use crate::drivers::{
    Driver, Kind, Profiles, command, http, ipmi, modbus, prometheus, redfish, serial, snmp, sysfs,
};
use crate::model::{BoxFuture, Clock, OpenSessions, PollError};
use crate::poller::stats::DriverStats;
use crate::poller::{Device, Stats, Target};
use crate::store::{MeterIndex, Store};
use crate::workloads::{Merged, Source, SourceIndex, UsageLog, cgroup, libvirt, process};

struct MeterTarget {
    driver: Box<dyn Driver>,
    meter: MeterIndex,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

impl Target for MeterTarget {
    fn poll(&mut self) -> BoxFuture<'_, Result<(), PollError>> {
        Box::pin(async {
            let batch = self.driver.poll().await?;
            self.store.apply(self.meter, &batch, self.clock.now());
            Ok(())
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.driver.close()
    }
}

struct SourceTarget {
    source: Box<dyn Source>,
    index: SourceIndex,
    usage: Arc<UsageLog>,
}

impl Target for SourceTarget {
    fn poll(&mut self) -> BoxFuture<'_, Result<(), PollError>> {
        Box::pin(async {
            let usage = self.source.sample().await?;
            self.usage.push(self.index, usage);
            Ok(())
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        self.source.close()
    }
}

/// What the drivers of one kind share: sockets, profiles.
#[derive(Clone)]
pub struct Shared {
    ipmi: Arc<ipmi::Shared>,
    redfish: OpenSessions,
    snmp: Arc<snmp::Shared>,
    http: http::Shared,
    modbus: Arc<modbus::Shared>,
    clock: Arc<dyn Clock>,
}

impl Shared {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(profiles: Profiles, clock: &Arc<dyn Clock>) -> Self {
        Self::with(profiles, clock, |_| OpenSessions::default())
    }

    /// The same; sessions that are held on devices are counted in `stats`.
    pub fn counted(profiles: Profiles, clock: &Arc<dyn Clock>, stats: &Stats) -> Self {
        let count = |kind: &Kind| stats.driver(kind.name).map(DriverStats::count_sessions);
        Self::with(profiles, clock, |kind| count(kind).unwrap_or_default())
    }

    /// The same sockets, lines and counts, with other profiles: devices that are open keep those they were opened with.
    pub(super) fn with_profiles(&self, profiles: Profiles) -> Self {
        Self {
            ipmi: Arc::clone(&self.ipmi),
            redfish: self.redfish.clone(),
            snmp: Arc::new(self.snmp.with_profiles(profiles.snmp)),
            http: self.http.with_profiles(profiles.http),
            modbus: Arc::new(self.modbus.with_profiles(profiles.modbus)),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Where open Redfish sessions are counted.
    pub(super) fn redfish_sessions(&self) -> OpenSessions {
        self.redfish.clone()
    }

    /// What JSON meters share.
    pub(super) fn http(&self) -> http::Shared {
        self.http.clone()
    }

    fn with(profiles: Profiles, clock: &Arc<dyn Clock>, count: impl Fn(&Kind) -> OpenSessions) -> Self {
        Self {
            ipmi: Arc::new(ipmi::Shared::new(Arc::clone(clock)).count_in(count(&ipmi::KIND))),
            redfish: count(&redfish::KIND),
            snmp: Arc::new(snmp::Shared::new(profiles.snmp, Arc::clone(clock))),
            http: http::Shared::new(profiles.http, Arc::clone(clock)),
            modbus: Arc::new(modbus::Shared::new(profiles.modbus, Arc::clone(clock))),
            clock: Arc::clone(clock),
        }
    }
}

/// Opens a meter's driver.
///
/// # Errors
/// As the driver's `open`.
pub fn open(plan: &DriverPlan, shared: &Shared) -> Result<Box<dyn Driver>, PollError> {
    match plan {
        DriverPlan::Ipmi(settings) => ipmi::open(Arc::clone(settings), Arc::clone(&shared.ipmi)),
        DriverPlan::IpmiInBand(path, settings) => {
            Ok(ipmi::open_in_band(path.clone(), settings.clone(), Arc::clone(&shared.ipmi)))
        }
        DriverPlan::Redfish(settings) => {
            redfish::open_with(settings.clone(), Arc::clone(&shared.clock), shared.redfish.clone())
        }
        DriverPlan::Snmp(settings) => snmp::open(settings.clone(), Arc::clone(&shared.snmp)),
        DriverPlan::Modbus(settings) => modbus::open(settings, &shared.modbus),
        DriverPlan::Serial(settings) => serial::open(settings.clone(), Arc::clone(&shared.clock)),
        DriverPlan::Command(settings) => command::open(settings.clone(), Arc::clone(&shared.clock)),
        DriverPlan::Sysfs(settings) => sysfs::open(settings.clone(), Arc::clone(&shared.clock)),
        DriverPlan::Http(settings) => http::open(settings.clone(), shared.http.clone()),
        DriverPlan::Prometheus(settings) => prometheus::open(settings.clone(), Arc::clone(&shared.clock)),
    }
}

/// Opens a source of workloads.
///
/// # Errors
/// As the source's `open`.
pub(super) fn open_source(reached: &Reached, clock: &Arc<dyn Clock>) -> Result<Box<dyn Source>, PollError> {
    match reached {
        Reached::Libvirt(settings) => libvirt::open(settings.clone(), Arc::clone(clock)),
        Reached::Cgroups(settings) => cgroup::open(settings.clone(), Arc::clone(clock)),
        Reached::Both(machines, groups) => Ok(Box::new(Merged::new(
            libvirt::open(machines.clone(), Arc::clone(clock))?,
            cgroup::open(groups.clone(), Arc::clone(clock))?,
        ))),
        Reached::Processes(settings) => process::open(settings.clone(), Arc::clone(clock)),
    }
}

/// A meter as a device of the poller.
pub fn meter(
    plan: Arc<MeterPlan>,
    index: MeterIndex,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
    shared: &Shared,
) -> Device {
    let failed = (Arc::clone(store), Arc::clone(clock));
    let (store, clock, shared) = (Arc::clone(store), Arc::clone(clock), shared.clone());
    Device {
        name: plan.settings.id.as_str().to_owned(),
        defined: plan.defined.clone(),
        driver: plan.settings.driver,
        address: plan.settings.address.clone(),
        timing: plan.timing,
        open: Box::new(move || {
            Ok(Box::new(MeterTarget {
                driver: open(&plan.driver, &shared)?,
                meter: index,
                store: Arc::clone(&store),
                clock: Arc::clone(&clock),
            }))
        }),
        failed: Box::new(move |error| failed.0.fail(index, error, failed.1.now())),
    }
}

/// A hypervisor as a device of the poller.
pub fn source(
    plan: Arc<SourcePlan>,
    index: SourceIndex,
    usage: &Arc<UsageLog>,
    clock: &Arc<dyn Clock>,
) -> Device {
    let failed = Arc::clone(usage);
    let (usage, clock) = (Arc::clone(usage), Arc::clone(clock));
    Device {
        name: plan.settings.host.as_str().to_owned(),
        defined: plan.defined.clone(),
        driver: plan.settings.driver,
        address: plan.settings.address.clone(),
        timing: plan.timing,
        open: Box::new(move || {
            Ok(Box::new(SourceTarget {
                source: open_source(&plan.reached, &clock)?,
                index,
                usage: Arc::clone(&usage),
            }))
        }),
        failed: Box::new(move |error| failed.fail(index, error)),
    }
}
