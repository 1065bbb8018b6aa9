//! The attribution models through the ledger: meters of a machine's parts, GPUs, cycles, and what the page says of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use wattribute::attribution::Ledger;
use wattribute::attribution::ledger::Method;
use wattribute::attribution::split::Share;
use wattribute::exposition::collect::{Collector, Reloads};
use wattribute::exposition::{Encoder, Format};
use wattribute::inventory::{Feed, Gpu, Host, Idle, Inventory, Model, Parts, Weighting, Work};
use wattribute::model::{
    Batch, ChannelId, DatacenterId, HostId, ManualClock, Measure, MeterId, Microjoules, Moment, Ratio,
    Reading, Watts, WorkloadId,
};
use wattribute::poller::Stats;
use wattribute::store::{MeterSettings, Store};
use wattribute::workloads::{
    CpuNanos, Details, Node, SourceIndex, SourceSettings, State, Usage, UsageLog, Workload, WorkloadInfo,
    WorkloadKind,
};

const GPU: &str = "0000:3b:00.0";

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

fn channel(name: &str) -> (MeterId, ChannelId) {
    (MeterId::new("bmc").unwrap(), ChannelId::new(name).unwrap())
}

fn named(id: &str, devices: &[&str]) -> WorkloadInfo {
    let devices = devices.iter().map(|d| d.parse().unwrap()).collect();
    WorkloadInfo { devices, ..WorkloadInfo::new(WorkloadId::new(id).unwrap(), WorkloadKind::Vm, id) }
}

/// A VM of 2 vCPUs and 4 GiB that has used so much CPU time, s, and perhaps so many cycles.
fn vm(info: &Arc<WorkloadInfo>, cpu: u64, cycles: Option<u64>) -> Workload {
    Workload {
        info: Arc::clone(info),
        run: 1,
        state: Some(State::Running),
        cpu: Some(CpuNanos(cpu * 1_000_000_000)),
        vcpus: 2,
        memory_bytes: 4 << 30,
        cycles,
        details: Details { resident_memory_bytes: Some(2 << 30), ..Details::default() },
    }
}

/// One host of 8 CPUs and 16 GiB, fed by `bmc/input`.
struct Room {
    store: Store,
    usage: UsageLog,
    ledger: Ledger,
}

impl Room {
    fn new(change: impl FnOnce(Host) -> Host) -> Self {
        let datacenter = DatacenterId::new("dc1").unwrap();
        let store = Store::new(vec![MeterSettings {
            id: MeterId::new("bmc").unwrap(),
            datacenter: datacenter.clone(),
            driver: "redfish",
            address: String::new(),
            accuracy: None,
            stale_after: Duration::from_secs(30),
            max_gap: Duration::from_secs(30),
        }]);
        let host = Host::new(HostId::new("h").unwrap(), datacenter.clone());
        let host =
            change(Host { feeds: vec![Feed::Channels(vec![channel("input")])], idle: Idle::None, ..host });
        let inventory = Inventory { hosts: vec![host.clone()], ..Inventory::default() };
        let ledger = Ledger::new(&inventory, &[Some(SourceIndex(0))], &store, at(0));
        let source = SourceSettings {
            host: host.id,
            datacenter,
            driver: "libvirt",
            address: String::new(),
            stale_after: Duration::from_secs(30),
        };
        Self { store, usage: UsageLog::new(vec![source]), ledger }
    }

    fn powers(&self, seconds: u64, powers: &[(&str, f64)]) {
        let reading = |(name, watts): &(&str, f64)| {
            Reading::measured(ChannelId::new(name).unwrap(), Measure::Power(Watts::new(*watts).unwrap()))
        };
        let batch = Batch { readings: powers.iter().map(reading).collect(), ..Batch::default() };
        self.store.apply(self.store.find(&MeterId::new("bmc").unwrap()).unwrap(), &batch, at(seconds));
    }

    fn sample(&self, seconds: u64, busy: u64, workloads: Vec<Workload>) {
        let node = Node {
            cpus: 8,
            memory_bytes: 16 << 30,
            free_memory_bytes: Some(10 << 30),
            busy: Some(CpuNanos(busy * 1_000_000_000)),
            ..Node::default()
        };
        self.usage.push(SourceIndex(0), Usage { at: at(seconds), node: Some(node), workloads });
    }

    fn settle(&mut self, seconds: u64) {
        self.ledger.settle(&self.store, &self.usage, at(seconds));
        let host = &self.ledger.hosts()[0];
        let given: Microjoules = host.workloads().map(|w| w.total()).sum();
        let overhead = host.overhead().get(Method::Measured);
        assert_eq!(
            *host.energy().get(Method::Measured),
            given + overhead.hypervisor + overhead.unallocated,
            "what goes in comes out"
        );
    }

    /// Idle, dynamic and GPU part in joules.
    fn share(&self, id: &str) -> (f64, f64, f64) {
        let host = &self.ledger.hosts()[0];
        let account = host.workloads().find(|w| w.info().id.as_str() == id).expect("it has an account");
        let Share { idle, dynamic, gpu } = *account.energy().get(Method::Measured);
        (idle.joules(), dynamic.joules(), gpu.joules())
    }

    fn unallocated(&self) -> f64 {
        self.ledger.hosts()[0].overhead().get(Method::Measured).unallocated.joules()
    }

    fn hypervisor(&self) -> f64 {
        self.ledger.hosts()[0].overhead().get(Method::Measured).hypervisor.joules()
    }
}

fn with_gpu(host: Host) -> Host {
    let gpu = |name, pci: &str| Gpu { channel: channel(name), pci: pci.parse().unwrap() };
    let gpus = vec![gpu("gpu/1", GPU), gpu("gpu/2", "0000:5e:00.0")];
    Host { parts: Parts { gpus, ..Parts::default() }, ..host }
}

#[test]
fn a_gpu_is_its_owners_alone_and_nobodys_is_unallocated() {
    let mut room = Room::new(with_gpu);
    let (a, b) = (Arc::new(named("a", &[GPU])), Arc::new(named("b", &[])));
    for (second, cpu) in [(0, 0), (10, 1)] {
        room.powers(second, &[("input", 500.0), ("gpu/1", 200.0), ("gpu/2", 50.0)]);
        room.sample(second, 4 * cpu, vec![vm(&a, cpu, None), vm(&b, 3 * cpu, None)]);
    }
    room.settle(11);
    // 5000 J: 2000 to a for its GPU, 500 of nobody's, 2500 by CPU time 1:3.
    assert_eq!(room.share("a"), (0.0, 625.0, 2000.0));
    assert_eq!(room.share("b"), (0.0, 1875.0, 0.0));
    assert_eq!((room.hypervisor(), room.unallocated()), (0.0, 500.0));
}

#[test]
fn a_gpu_that_changes_hands_is_shared_and_then_the_new_owners() {
    let mut room = Room::new(with_gpu);
    let (a, b) = (Arc::new(named("a", &[GPU])), Arc::new(named("b", &[GPU])));
    for second in [0, 10, 20, 30] {
        room.powers(second, &[("input", 300.0), ("gpu/1", 100.0), ("gpu/2", 0.0)]);
    }
    room.sample(0, 0, vec![vm(&a, 0, None)]);
    room.sample(10, 1, vec![vm(&a, 1, None)]);
    room.sample(20, 2, vec![vm(&b, 1, None)]);
    room.sample(30, 3, vec![vm(&b, 2, None)]);
    room.settle(31);
    assert_eq!(room.share("a").2, 1000.0 + 500.0);
    assert_eq!(room.share("b").2, 500.0 + 1000.0);
}

#[test]
fn gpus_never_get_more_than_the_host_drew() {
    let mut room = Room::new(with_gpu);
    let a = Arc::new(named("a", &[GPU]));
    for second in [0, 10] {
        room.powers(second, &[("input", 100.0), ("gpu/1", 300.0), ("gpu/2", 100.0)]);
        room.sample(second, second, vec![vm(&a, second, None)]);
    }
    room.settle(11);
    // 1000 J in the ratio of 3:1.
    assert_eq!((room.share("a"), room.unallocated()), ((0.0, 0.0, 750.0), 250.0));
}

#[test]
fn a_gpu_that_lags_is_waited_for_and_one_that_is_silent_is_not() {
    let mut room = Room::new(with_gpu);
    let a = Arc::new(named("a", &[GPU]));
    room.powers(0, &[("input", 300.0), ("gpu/1", 100.0), ("gpu/2", 0.0)]);
    room.sample(0, 0, vec![vm(&a, 0, None)]);
    room.settle(1);
    room.powers(10, &[("input", 300.0)]);
    room.sample(10, 1, vec![vm(&a, 1, None)]);
    room.settle(11);
    assert_eq!(room.share("a"), (0.0, 0.0, 0.0), "the GPU may still tell");
    room.powers(12, &[("input", 300.0), ("gpu/1", 100.0), ("gpu/2", 0.0)]);
    room.settle(13);
    assert_eq!(room.share("a"), (0.0, 2000.0, 1000.0));

    for second in [20, 30, 40, 50, 60] {
        room.powers(second, &[("input", 300.0)]);
    }
    room.sample(20, 2, vec![vm(&a, 2, None)]);
    room.settle(40);
    assert_eq!(room.share("a"), (0.0, 2000.0, 1000.0));
    room.settle(60);
    assert_eq!(room.share("a"), (0.0, 5000.0, 1000.0), "its energy stays with the host");
}

fn with_rapl(host: Host) -> Host {
    let parts = Parts {
        packages: vec![channel("package-0"), channel("package-1")],
        memory: vec![channel("dram")],
        ..Parts::default()
    };
    Host { model: Model::RaplWeighted, parts, ..host }
}

#[test]
fn rapl_weighs_the_interval_that_it_knows() {
    let mut room = Room::new(with_rapl);
    let (a, b) = (Arc::new(named("a", &[])), Arc::new(named("b", &[])));
    for (second, cpu) in [(0, 0), (10, 1)] {
        room.powers(second, &[("input", 100.0), ("package-0", 20.0), ("package-1", 10.0), ("dram", 15.0)]);
        room.sample(second, 5 * cpu, vec![vm(&a, cpu, None), vm(&b, 3 * cpu, None)]);
    }
    room.settle(11);
    // 900 J, packages to memory 2:1. 600 J by CPU time 1:3:1. 300 J by memory: 2, 2 and 6 - 4 = 2 GiB. 100 J in two.
    let (a, b) = (room.share("a"), room.share("b"));
    assert_eq!((a.1, b.1), (120.0, 360.0));
    assert_eq!(a.0, b.0);
    assert!((a.0 - 150.0).abs() < 1e-9, "{a:?}");
    assert!((room.hypervisor() - 220.0).abs() < 1e-9, "{}", room.hypervisor());
}

#[test]
fn without_rapl_in_the_interval_nine_tenths_go_by_cpu_time() {
    let mut room = Room::new(with_rapl);
    let a = Arc::new(named("a", &[]));
    for second in [0, 10, 20, 30, 40, 50] {
        room.powers(second, &[("input", 100.0)]);
    }
    room.sample(0, 0, vec![vm(&a, 0, None)]);
    room.sample(10, 4, vec![vm(&a, 1, None)]);
    room.settle(50);
    assert_eq!(room.share("a"), (100.0, 225.0, 0.0));
    assert_eq!(room.hypervisor(), 675.0);
}

fn by_cycles(host: Host) -> Host {
    Host { work: Work { weighting: Weighting::Cycles, ..Work::default() }, ..host }
}

#[test]
fn cycles_weigh_work_once_they_are_known_on_both_ends() {
    let mut room = Room::new(by_cycles);
    let (a, b) = (Arc::new(named("a", &[])), Arc::new(named("b", &[])));
    for second in [0, 10, 20, 30] {
        room.powers(second, &[("input", 100.0)]);
    }
    room.sample(0, 0, vec![vm(&a, 0, Some(1000)), vm(&b, 0, Some(0))]);
    room.sample(10, 10, vec![vm(&a, 4, Some(7000)), vm(&b, 4, Some(2000))]);
    room.settle(11);
    // 1000 J; the host's own 2 of 10 s: 200. The rest in cycles 3:1.
    assert_eq!((room.share("a").1, room.share("b").1, room.hypervisor()), (600.0, 200.0, 200.0));
    // b's counter stops being told, then begins again: those intervals go by CPU time.
    room.sample(20, 20, vec![vm(&a, 8, Some(13_000)), vm(&b, 8, None)]);
    room.sample(30, 30, vec![vm(&a, 12, Some(19_000)), vm(&b, 12, Some(9000))]);
    room.settle(31);
    assert_eq!((room.share("a").1, room.share("b").1, room.hypervisor()), (1400.0, 1000.0, 600.0));
}

#[test]
fn the_hosts_own_time_beside_busy_siblings_counts_what_it_adds() {
    let smt = |host| Host { work: Work { smt_factor: Ratio::new(0.6).unwrap(), ..Work::default() }, ..host };
    let mut room = Room::new(smt);
    let a = Arc::new(named("a", &[]));
    for second in [0, 10] {
        room.powers(second, &[("input", 100.0)]);
    }
    room.sample(0, 0, vec![vm(&a, 0, None)]);
    room.sample(10, 50, vec![vm(&a, 40, None)]);
    room.settle(11);
    // 4 cores for 10 s are a's; the host's 10 s more add 2: 1000 J in 40:2.
    assert!((room.share("a").1 - 952.380_952).abs() < 1e-5, "{:?}", room.share("a"));
    assert!((room.hypervisor() - 47.619_048).abs() < 1e-5);
}

/// The page of a room at a moment.
fn page(room: Room, seconds: u64) -> String {
    let collector = Collector::new(
        Arc::new(Reloads::new(0.0)),
        Arc::new(room.store),
        Arc::new(Mutex::new(room.ledger)),
        Arc::new(room.usage),
        Arc::new(Stats::new(&[])),
        Arc::new(ManualClock::at(at(seconds))),
    );
    let mut encoder = Encoder::new(Format::Text, Vec::new());
    collector.render(&mut encoder);
    String::from_utf8(encoder.finish()).unwrap()
}

#[test]
fn the_page_shows_gpus_where_there_are_any_and_how_sure_idle_power_is() {
    for has_gpus in [false, true] {
        let mut room = Room::new(|host| {
            let host = if has_gpus { with_gpu(host) } else { host };
            Host { idle: Idle::Learned, model: Model::EqualIdle, ..host }
        });
        let a = Arc::new(named("a", &[GPU]));
        for second in [0, 10] {
            room.powers(second, &[("input", 300.0), ("gpu/1", 100.0), ("gpu/2", 0.0)]);
            room.sample(second, 4 * second, vec![vm(&a, second, None)]);
        }
        room.settle(11);
        let page = page(room, 11);
        let shown = |wanted: &[&str]| page.lines().any(|line| wanted.iter().all(|part| line.contains(part)));
        assert!(shown(&["wattribute_host_info{", "model=\"equal-idle\""]), "{page}");
        assert!(shown(&["wattribute_host_idle_power_limit_watts{", "limit=\"lower\""]), "{page}");
        assert!(shown(&["wattribute_host_idle_power_limit_watts{", "limit=\"upper\""]), "{page}");
        assert!(shown(&["wattribute_workload_energy_joules_total{", "part=\"dynamic\""]), "{page}");
        assert_eq!(
            shown(&["wattribute_workload_energy_joules_total{", "part=\"gpu\"", "} 1000"]),
            has_gpus,
            "{page}"
        );
        assert_eq!(shown(&["part=\"gpu\""]), has_gpus, "{page}");
    }
}

#[test]
fn what_the_configuration_says_is_what_divides() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wattribute.yaml");
    let text = r#"
datacenters: [{name: dc1, model: equal-idle}]
meters: [{name: node, sysfs: {}}]
hosts:
  - {name: as-the-others, feeds: [node/psys]}
  - name: of-its-own
    feeds: [node/rapl/other]
    model: rapl-weighted
    rapl: {packages: [node/rapl/package-0, node/rapl/package-1], memory: [node/rapl/dram]}
    gpus: [{channel: node/gpu/1, pci: "3b:00.0"}]
    weighting: cycles
    smt_factor: 0.62
"#;
    std::fs::write(&file, text).unwrap();
    let config = wattribute::config::load(&file, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    let plan = wattribute::app::plan(&config);
    let [usual, own] = plan.inventory.hosts.as_slice() else { panic!("two hosts") };
    assert_eq!(
        (usual.model, &usual.parts, usual.work),
        (Model::EqualIdle, &Parts::default(), Work::default())
    );
    assert_eq!(own.model, Model::RaplWeighted);
    let shown = plan.to_string();
    for line in [
        "    model: equal-idle\n",
        "    model: rapl-weighted\n    packages: node/rapl/package-0 + node/rapl/package-1\n    memory: node/rapl/dram\n",
        "    GPU at 0000:3b:00.0: node/gpu/1\n    work: by cycles, where all are counted\n",
        "    a hardware thread beside a busy one: 0.62 of one alone\n",
    ] {
        assert!(shown.contains(line), "{line}{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_model_and_the_meters_say_the_books_balance(
        model in prop::sample::select(Model::ALL.to_vec()),
        history in prop::collection::vec(
            (0.0f64..1000.0, prop::option::of(0.0f64..800.0), prop::option::of(0.0f64..300.0), 0u64..80, 0u8..8), 2..12,
        ),
    ) {
        let mut room = Room::new(|host| {
            let gpus = with_gpu(host.clone()).parts.gpus;
            let mut host = by_cycles(with_rapl(host));
            host.parts.gpus = gpus;
            Host { model, idle: Idle::Learned, ..host }
        });
        let who = [Arc::new(named("a", &[GPU])), Arc::new(named("b", &[])), Arc::new(named("c", &[GPU]))];
        let (mut second, mut cpu) = (0, 0);
        for (power, gpu, rapl, used, present) in history {
            let mut powers = vec![("input", power)];
            powers.extend(gpu.map(|w| ("gpu/1", w)));
            for part in ["package-0", "package-1", "dram"] {
                powers.extend(rapl.map(|w| (part, w)));
            }
            room.powers(second, &powers);
            cpu += used;
            let there = who.iter().enumerate().filter(|(n, _)| present & (1 << n) != 0);
            let workloads = there.map(|(n, info)| vm(info, cpu / 3, (n != 1).then_some(cpu))).collect();
            room.sample(second, cpu, workloads);
            room.settle(second + 1);
            second += 10;
        }
        room.powers(second + 100, &[("input", 100.0)]);
        room.settle(second + 101);
    }
}
