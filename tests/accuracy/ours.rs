//! Our own models over a trace, through the real thing: meters' readings into the `Store`, hypervisors' samples into the
//! `UsageLog`, and the `Ledger` settling them, second by second of a clock that is not a clock.

use std::sync::Arc;
use std::time::Duration;

use wattribute::attribution::Ledger;
use wattribute::attribution::ledger::Method;
use wattribute::inventory::{Feed, Host, Idle, Inventory, Model, Parts};
use wattribute::model::{
    Batch, ChannelId, DatacenterId, EnergyCounter, HostId, Joules, Measure, MeterId, Microjoules, Moment,
    Ratio, Reading, Watts, WorkloadId,
};
use wattribute::store::{MeterSettings, Store};
use wattribute::workloads::{
    CpuNanos, Details, Node, SourceIndex, SourceSettings, State, Usage, UsageLog, Workload, WorkloadInfo,
    WorkloadKind,
};

use super::rivals::{Given, trapezoid};
use super::trace::{SECONDS, Trace};

/// Busy share at which idle power is measured where it is configured: the host's services are up.
const CALIBRATED_AT: f64 = 0.01;
/// How long a meter or a hypervisor may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to set up the exporter.
#[derive(Clone, Copy)]
pub struct Setup {
    pub name: &'static str,
    pub model: Model,
    /// Whether idle power is learned; else it is configured.
    pub learns: bool,
}

const fn setup(name: &'static str, model: Model, learns: bool) -> Setup {
    Setup { name, model, learns }
}

/// All, the default first.
pub const ALL: [Setup; 8] = [
    setup("idle-dynamic, learned", Model::IdleDynamic, true),
    setup("idle-dynamic, configured", Model::IdleDynamic, false),
    setup("equal-idle, learned", Model::EqualIdle, true),
    setup("equal-idle, configured", Model::EqualIdle, false),
    setup("cpu-proportional", Model::CpuProportional, true),
    setup("rapl-weighted", Model::RaplWeighted, true),
    setup("power-factor-vcores", Model::PowerFactorVcores, true),
    setup("reservation", Model::Reservation, true),
];

/// Every set-up over the trace, in the order of [`ALL`].
///
/// # Panics
/// If any account of any host is off by a microjoule.
pub fn run(trace: &Trace) -> Vec<Given> {
    let mut room = Room::new(trace);
    for t in (0..=SECONDS).step_by(trace.poll) {
        room.read_meters(trace, t);
        room.read_rapl(trace, t);
        room.sample_hosts(trace, t);
        room.ledger.settle(&room.store, &room.usage, at(t));
    }
    (0..ALL.len()).map(|n| room.given(trace, n)).collect()
}

fn at(seconds: usize) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds as u64)
}

fn datacenter() -> DatacenterId {
    DatacenterId::new("dc").unwrap()
}

fn meter(h: usize) -> MeterId {
    MeterId::new(&format!("meter-{h}")).unwrap()
}

fn rapl(h: usize) -> MeterId {
    MeterId::new(&format!("rapl-{h}")).unwrap()
}

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn input() -> ChannelId {
    channel("input")
}

struct Room {
    store: Store,
    usage: UsageLog,
    ledger: Ledger,
    infos: Vec<Arc<WorkloadInfo>>,
    /// CPU seconds of each stay of each guest so far.
    used: Vec<Vec<f64>>,
    /// CPU seconds of each host so far.
    busy: Vec<f64>,
    /// Joules of each host's packages and memory so far.
    counted: Vec<(f64, f64)>,
}

impl Room {
    /// Every host stands here once for each set-up, all fed by the same meter.
    fn new(trace: &Trace) -> Self {
        let settings = |id| MeterSettings {
            id,
            datacenter: datacenter(),
            driver: "snmp",
            address: String::new(),
            accuracy: None,
            stale_after: PATIENCE,
            max_gap: PATIENCE,
        };
        let meters = (0..trace.hosts.len()).flat_map(|h| [meter(h), rapl(h)]);
        let store = Store::new(meters.map(settings).collect());
        let host = |h: usize, setup: &Setup| {
            let idle = Watts::new(trace.hosts[h].curve.watts(CALIBRATED_AT)).unwrap();
            Host {
                feeds: vec![Feed::Channels(vec![(meter(h), input())])],
                model: setup.model,
                parts: Parts {
                    packages: vec![(rapl(h), channel("package"))],
                    memory: Vec::from_iter(
                        trace.hosts[h].rapl.has_memory.then(|| (rapl(h), channel("memory"))),
                    ),
                    gpus: Vec::new(),
                },
                idle: if setup.learns { Idle::Learned } else { Idle::Fixed(idle) },
                cpu_overcommit: Ratio::new(trace.hosts[h].overcommit).unwrap(),
                ..Host::new(HostId::new(&format!("host-{h}-{}", setup.name)).unwrap(), datacenter())
            }
        };
        let hosts: Vec<Host> =
            (0..trace.hosts.len()).flat_map(|h| ALL.iter().map(move |s| host(h, s))).collect();
        let sources: Vec<_> = (0..hosts.len()).map(|n| Some(SourceIndex(n))).collect();
        let source = |host: &Host| SourceSettings {
            host: host.id.clone(),
            datacenter: datacenter(),
            driver: "libvirt",
            address: String::new(),
            stale_after: PATIENCE,
        };
        let usage = UsageLog::new(hosts.iter().map(source).collect());
        let inventory = Inventory { hosts, ..Inventory::default() };
        let info = |name: &str| WorkloadInfo::new(WorkloadId::new(name).unwrap(), WorkloadKind::Vm, name);
        Self {
            ledger: Ledger::new(&inventory, &sources, &store, at(0)),
            store,
            usage,
            infos: trace.guests.iter().map(|g| Arc::new(info(&g.name))).collect(),
            used: trace.guests.iter().map(|g| vec![0.0; g.stays.len()]).collect(),
            busy: vec![0.0; trace.hosts.len()],
            counted: vec![(0.0, 0.0); trace.hosts.len()],
        }
    }

    fn read_meters(&self, trace: &Trace, t: usize) {
        for h in 0..trace.hosts.len() {
            let power = Measure::Power(Watts::new(trace.shown(h, t)).unwrap());
            let batch = Batch { readings: vec![Reading::measured(input(), power)], ..Batch::default() };
            self.store.apply(self.store.find(&meter(h)).unwrap(), &batch, at(t));
        }
    }

    /// RAPL's counters, as they are read from sysfs: microjoules.
    fn read_rapl(&mut self, trace: &Trace, t: usize) {
        for (h, counted) in self.counted.iter_mut().enumerate() {
            let (packages, memory) = trace.rapl(h, t.saturating_sub(trace.poll), t);
            counted.0 += packages;
            counted.1 += memory;
            let counter = |name: &str, joules: f64| {
                let total = Joules::new((joules * 1e6).floor() / 1e6).unwrap();
                let counter = EnergyCounter { total, quantum: Joules::new(1e-6).unwrap(), modulus: None };
                Reading::measured(channel(name), Measure::Energy(counter))
            };
            let mut readings = vec![counter("package", counted.0)];
            if trace.hosts[h].rapl.has_memory {
                readings.push(counter("memory", counted.1));
            }
            let batch = Batch { readings, ..Batch::default() };
            self.store.apply(self.store.find(&rapl(h)).unwrap(), &batch, at(t));
        }
    }

    fn sample_hosts(&mut self, trace: &Trace, t: usize) {
        let before = t.saturating_sub(trace.poll);
        for (guest, used) in trace.guests.iter().zip(&mut self.used) {
            for ((from, until, _), used) in guest.stays.iter().zip(used) {
                *used += guest.load[before.clamp(*from, *until)..t.clamp(*from, *until)].iter().sum::<f64>();
            }
        }
        for h in 0..trace.hosts.len() {
            self.busy[h] += trace.busy_cpu(h, before, t);
            let usage = self.sample(trace, h, t);
            for n in 0..ALL.len() {
                self.usage.push(SourceIndex(h * ALL.len() + n), usage.clone());
            }
        }
    }

    fn sample(&self, trace: &Trace, h: usize, t: usize) -> Usage {
        let machine = &trace.hosts[h];
        let mut resident = machine.own_memory_gib;
        let mut workloads = Vec::new();
        for (i, guest) in trace.guests.iter().enumerate() {
            let Some(stay) = guest.listed(h, t) else { continue };
            let memory = f64::from(guest.memory_gib) * guest.resident;
            resident += memory;
            workloads.push(Workload {
                info: Arc::clone(&self.infos[i]),
                run: stay as u32 + 1,
                state: Some(State::Running),
                cpu: Some(nanos(self.used[i][stay])),
                vcpus: guest.vcpus,
                memory_bytes: u64::from(guest.memory_gib) << 30,
                cycles: None,
                details: Details { resident_memory_bytes: Some(bytes(memory)), ..Details::default() },
            });
        }
        let node = Node {
            cpus: machine.cpus as u32,
            memory_bytes: bytes(machine.memory_gib),
            free_memory_bytes: Some(bytes(machine.memory_gib - resident)),
            busy: Some(nanos(self.busy[h])),
            ..Node::default()
        };
        Usage { at: at(t), node: Some(node), workloads }
    }

    /// What the `n`th set-up gave to whom.
    fn given(&self, trace: &Trace, n: usize) -> Given {
        let joules = |m: Microjoules| m.joules();
        let mut given = Given::none(trace);
        for h in 0..trace.hosts.len() {
            let account = &self.ledger.hosts()[h * ALL.len() + n];
            let overhead = account.overhead().get(Method::Measured);
            let mut booked = overhead.hypervisor + overhead.unallocated;
            given.system += joules(overhead.hypervisor);
            given.idle += joules(overhead.unallocated);
            for workload in account.workloads() {
                let share = workload.energy().get(Method::Measured);
                let i = self.infos.iter().position(|info| info.id == workload.info().id).unwrap();
                given.guests[i] += joules(share.idle + share.dynamic);
                given.dynamic[i] += joules(share.dynamic);
                booked += workload.total();
            }
            let setup = ALL[n].name;
            let energy = *account.energy().get(Method::Measured);
            assert_eq!(booked, energy, "{}, {setup}: the parts are not the whole", trace.name);
            let metered: f64 = (0..SECONDS)
                .step_by(trace.poll)
                .map(|from| trapezoid(trace, h, from, from + trace.poll))
                .sum();
            // A microjoule of rounding, and what floating point adds up to over 3,600 readings.
            let off = (energy.joules() - metered).abs();
            assert!(off < 2e-6, "{}, {setup}: {off} J off what the meter told", trace.name);
        }
        given
    }
}

fn nanos(seconds: f64) -> CpuNanos {
    CpuNanos((seconds * 1e9).round() as u64)
}

fn bytes(gib: f64) -> u64 {
    (gib * f64::from(1 << 30)) as u64
}
