//! The tasks that poll: one a meter, one a hypervisor. Started and stopped one by one, so that what a reload does not change
//! notices nothing of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plan::{DriverPlan, MeterPlan, SourcePlan};
use super::switches::Switches;
use super::target::{self, Shared};
use crate::drivers::profiles::Profile as _;
use crate::drivers::{Profiles, http, modbus, snmp};
use crate::model::{Clock, HostId, MeterId};
use crate::poller::{Device, Stats, supervise};
use crate::store::{MeterIndex, Store};
use crate::workloads::{SourceIndex, UsageLog};

/// Where the tasks live, and where their answers go.
#[derive(Clone)]
pub(super) struct World {
    pub(super) store: Arc<Store>,
    pub(super) usage: Arc<UsageLog>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stats: Arc<Stats>,
    pub(super) tasks: TaskTracker,
    pub(super) shutdown: CancellationToken,
}

struct Task {
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

/// What is configured, and its task unless it is off.
struct Unit<P> {
    plan: Arc<P>,
    task: Option<Task>,
}

/// All of them.
pub(super) struct Fleet {
    world: World,
    shared: Shared,
    profiles: Profiles,
    meters: HashMap<MeterId, Unit<MeterPlan>>,
    sources: HashMap<HostId, (Unit<SourcePlan>, SourceIndex)>,
}

/// Tasks that end.
#[derive(Default)]
pub(super) struct Ending(Vec<JoinHandle<()>>);

impl Ending {
    /// Waits until each has given its session back; they have deadlines of their own.
    pub(super) async fn wait(self) {
        for ended in self.0 {
            // A task that died has nothing to give back any more.
            let _ = ended.await;
        }
    }

    fn stop(&mut self, task: Option<Task>) {
        if let Some(Task { stop, ended }) = task {
            stop.cancel();
            self.0.push(ended);
        }
    }
}

/// What a new plan changes.
pub(super) struct Changes {
    /// Tasks that end because of it.
    pub(super) ending: Ending,
    /// Meters that are read in another way from now on, and so may be other devices.
    pub(super) others: HashSet<MeterId>,
}

impl Fleet {
    /// Nothing runs yet.
    pub(super) fn new(world: World, shared: Shared, profiles: Profiles) -> Self {
        Self { world, shared, profiles, meters: HashMap::new(), sources: HashMap::new() }
    }

    /// What the drivers share.
    pub(super) const fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Stops what `meters` and `sources` have not, or have otherwise; what is new stands still until [`Fleet::start`].
    pub(super) fn change(
        &mut self,
        meters: Vec<MeterPlan>,
        sources: Vec<SourcePlan>,
        profiles: Profiles,
    ) -> Changes {
        let (mut ending, mut others) = (Ending::default(), HashSet::new());
        let mut same = Same { before: &self.profiles, after: &profiles, known: HashMap::new() };
        let mut before = std::mem::take(&mut self.meters);
        for plan in meters {
            let id = plan.settings.id.clone();
            let unit = match before.remove(&id) {
                Some(old) if old.plan.runs_as(&plan) && same.reads(&plan.driver) => old,
                Some(old) => {
                    if old.plan.driver != plan.driver {
                        others.insert(id.clone());
                    }
                    ending.stop(old.task);
                    Unit { plan: Arc::new(plan), task: None }
                }
                None => Unit { plan: Arc::new(plan), task: None },
            };
            self.meters.insert(id, unit);
        }
        before.into_values().for_each(|gone| ending.stop(gone.task));
        let mut before = std::mem::take(&mut self.sources);
        for plan in sources {
            let host = plan.settings.host.clone();
            let entry = match before.remove(&host) {
                Some((old, index)) if old.plan.runs_as(&plan) => (old, index),
                Some((old, index)) => {
                    ending.stop(old.task);
                    (Unit { plan: Arc::new(plan), task: None }, index)
                }
                None => (Unit { plan: Arc::new(plan), task: None }, SourceIndex(usize::MAX)),
            };
            self.sources.insert(host, entry);
        }
        before.into_values().for_each(|(gone, _)| ending.stop(gone.task));
        self.shared = self.shared.with_profiles(profiles.clone());
        self.profiles = profiles;
        Changes { ending, others }
    }

    /// Tells where the sources' samples go.
    pub(super) fn place(&mut self, places: impl IntoIterator<Item = (HostId, SourceIndex)>) {
        for (host, place) in places {
            if let Some((_, index)) = self.sources.get_mut(&host) {
                *index = place;
            }
        }
    }

    /// Starts all that is on and does not run, and stops all that is off and does.
    pub(super) fn follow(&mut self, switches: &Switches) -> Ending {
        let mut ending = Ending::default();
        let Self { world, shared, meters, sources, .. } = self;
        for (id, unit) in meters {
            let Some(index) = world.store.find(id) else { continue };
            let on = switches.is_meter_on(id, &unit.plan.settings.datacenter);
            if on {
                world.store.set_enabled(index, true, world.clock.now());
                if unit.task.is_none() {
                    let device = meter(unit, index, world, shared);
                    unit.task = Some(start(world, device));
                }
            } else {
                ending.stop(unit.task.take());
                world.store.set_enabled(index, false, world.clock.now());
            }
        }
        for (host, (unit, index)) in sources {
            let on = switches.is_host_on(host, &unit.plan.settings.datacenter);
            world.usage.set_enabled(*index, on);
            if !on {
                ending.stop(unit.task.take());
            } else if unit.task.is_none() {
                let device = target::source(Arc::clone(&unit.plan), *index, &world.usage, &world.clock);
                unit.task = Some(start(world, device));
            }
        }
        ending
    }
}

fn meter(unit: &Unit<MeterPlan>, index: MeterIndex, world: &World, shared: &Shared) -> Device {
    target::meter(Arc::clone(&unit.plan), index, &world.store, &world.clock, shared)
}

fn start(world: &World, device: Device) -> Task {
    let stop = world.shutdown.child_token();
    let (clock, stats) = (Arc::clone(&world.clock), Arc::clone(&world.stats));
    let ended = world.tasks.spawn(supervise(Arc::new(device), clock, stats, stop.clone()));
    Task { stop, ended }
}

/// Whether profiles read devices as others did: asked once for each profile, since thousands of devices share it.
struct Same<'a> {
    before: &'a Profiles,
    after: &'a Profiles,
    known: HashMap<(&'static str, Option<String>), bool>,
}

impl Same<'_> {
    /// Whether the profiles that may read this device are the same in both.
    fn reads(&mut self, driver: &DriverPlan) -> bool {
        let (protocol, name) = match driver {
            DriverPlan::Snmp(settings) => (snmp::Profile::PROTOCOL, settings.profile.as_deref()),
            DriverPlan::Modbus(settings) => (modbus::Profile::PROTOCOL, Some(settings.profile.as_str())),
            DriverPlan::Http(settings) => (http::Profile::PROTOCOL, settings.profile.as_deref()),
            DriverPlan::Ipmi(_)
            | DriverPlan::IpmiInBand(..)
            | DriverPlan::Redfish(_)
            | DriverPlan::Serial(_)
            | DriverPlan::Command(_)
            | DriverPlan::Sysfs(_)
            | DriverPlan::Prometheus(_) => return true,
        };
        let Self { before, after, known } = self;
        *known.entry((protocol, name.map(str::to_owned))).or_insert_with(|| {
            (protocol != snmp::Profile::PROTOCOL || before.snmp.reads_as(&after.snmp, name))
                && (protocol != modbus::Profile::PROTOCOL || before.modbus.reads_as(&after.modbus, name))
                && (protocol != http::Profile::PROTOCOL || before.http.reads_as(&after.http, name))
        })
    }
}
