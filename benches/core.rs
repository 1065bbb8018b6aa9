//! What a reading costs from poll to store, a tick of the ledger, and a checkpoint. Run: `cargo bench --bench core`.

#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use wattribute::attribution::Ledger;
use wattribute::attribution::ledger::LedgerState;
use wattribute::checkpoint::{Frame, Sections};
use wattribute::inventory::{Feed, Host, Inventory};
use wattribute::model::{
    Batch, ChannelId, DatacenterId, EnergyCounter, HostId, Joules, Measure, MeterId, Moment, Past, ProjectId,
    Reading, Watts, WorkloadId,
};
use wattribute::store::{MeterSettings, Store, StoreState};
use wattribute::workloads::{
    CpuNanos, Details, Node, SourceIndex, SourceSettings, State, Usage, UsageLog, Workload, WorkloadInfo,
    WorkloadKind,
};

fn main() {
    divan::main();
}

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

fn meter(n: usize) -> MeterSettings {
    MeterSettings {
        id: MeterId::new(&format!("meter-{n}")).unwrap(),
        datacenter: DatacenterId::new("dc1").unwrap(),
        driver: "snmp",
        address: String::new(),
        accuracy: None,
        stale_after: Duration::from_secs(30),
        max_gap: Duration::from_secs(30),
    }
}

/// A PDU of 48 outlets with power and energy each, applied to the store: the cost is per reading.
#[divan::bench]
fn poll_to_store_per_reading(bencher: Bencher<'_, '_>) {
    let store = Store::new(vec![meter(0)]);
    let index = store.find(&meter(0).id).unwrap();
    let channels: Vec<_> = (1..=48).map(|n| ChannelId::new(&format!("outlet/{n}")).unwrap()).collect();
    let mut second = 0;
    bencher
        .counter(ItemsCount::new(channels.len() * 2))
        .with_inputs(|| {
            second += 1;
            let energy = EnergyCounter {
                total: Joules::new(100.0 * second as f64).unwrap(),
                quantum: Joules::new(3600.0).unwrap(),
                modulus: None,
            };
            let readings = channels.iter().flat_map(|c| {
                [
                    Reading::measured(c.clone(), Measure::Power(Watts::new(100.0).unwrap())),
                    Reading::measured(c.clone(), Measure::Energy(energy)),
                ]
            });
            (Batch { readings: readings.collect(), ..Batch::default() }, at(second))
        })
        .bench_local_refs(|(batch, now)| store.apply(index, black_box(batch), *now));
}

fn source(n: usize) -> SourceSettings {
    SourceSettings {
        host: HostId::new(&format!("host-{n}")).unwrap(),
        datacenter: DatacenterId::new("dc1").unwrap(),
        driver: "libvirt",
        address: String::new(),
        stale_after: Duration::from_secs(30),
    }
}

struct Fleet {
    store: Store,
    usage: UsageLog,
    ledger: Ledger,
    infos: Vec<Vec<Arc<WorkloadInfo>>>,
    second: u64,
}

impl Fleet {
    fn new(hosts: usize, vms: usize) -> Self {
        let channel = ChannelId::new("input").unwrap();
        let host = |n: usize| Host {
            feeds: vec![Feed::Channels(vec![(meter(n).id, channel.clone())])],
            ..Host::new(HostId::new(&format!("host-{n}")).unwrap(), DatacenterId::new("dc1").unwrap())
        };
        let info = |h: usize, v: usize| {
            let id = WorkloadId::new(&format!("11111111-1111-4111-{h:04}-{v:012}")).unwrap();
            Arc::new(WorkloadInfo {
                domain: format!("instance-{v:08x}"),
                project_id: ProjectId::new(&format!("project-{}", v % 50)).ok(),
                ..WorkloadInfo::new(id, WorkloadKind::Vm, &format!("vm-{v}"))
            })
        };
        let inventory = Inventory { hosts: (0..hosts).map(host).collect(), ..Inventory::default() };
        let store = Store::new((0..hosts).map(meter).collect());
        let sources: Vec<_> = (0..hosts).map(|n| Some(SourceIndex(n))).collect();
        Self {
            ledger: Ledger::new(&inventory, &sources, &store, at(0)),
            usage: UsageLog::new((0..hosts).map(source).collect()),
            infos: (0..hosts).map(|h| (0..vms).map(|v| info(h, v)).collect()).collect(),
            store,
            second: 0,
        }
    }

    /// Five seconds pass: every meter is read and every hypervisor sampled.
    fn poll(&mut self) -> Moment {
        self.second += 5;
        let now = at(self.second);
        let power = Measure::Power(Watts::new(200.0 + (self.second % 50) as f64).unwrap());
        let batch = Batch {
            readings: vec![Reading::measured(ChannelId::new("input").unwrap(), power)],
            identity: None,
            ..Batch::default()
        };
        for (h, infos) in self.infos.iter().enumerate() {
            self.store.apply(self.store.find(&meter(h).id).unwrap(), &batch, now);
            let vm = |(v, info): (usize, &Arc<WorkloadInfo>)| Workload {
                info: Arc::clone(info),
                run: 1,
                state: Some(State::Running),
                cpu: Some(CpuNanos(self.second * (1 + v as u64 % 7) * 100_000_000)),
                vcpus: 2,
                memory_bytes: 4 << 30,
                cycles: None,
                details: Details::default(),
            };
            let node = Node {
                cpus: 256,
                memory_bytes: 1 << 40,
                busy: Some(CpuNanos(self.second * 200_000_000_000)),
                ..Node::default()
            };
            let workloads = infos.iter().enumerate().map(vm).collect();
            self.usage.push(SourceIndex(h), Usage { at: now, node: Some(node), workloads });
        }
        now
    }
}

/// One tick in which every host has a new interval to settle. Hosts, VMs on each.
#[divan::bench(args = [(1, 1000), (1000, 20)], sample_count = 20, sample_size = 1)]
fn ledger_tick(bencher: Bencher<'_, '_>, (hosts, vms): (usize, usize)) {
    let fleet = std::cell::RefCell::new(Fleet::new(hosts, vms));
    for _ in 0..2 {
        let mut f = fleet.borrow_mut();
        let now = f.poll();
        let Fleet { store, usage, ledger, .. } = &mut *f;
        ledger.settle(store, usage, now);
    }
    bencher
        .counter(ItemsCount::new(hosts * vms))
        .with_inputs(|| fleet.borrow_mut().poll())
        .bench_local_values(|now| {
            let mut f = fleet.borrow_mut();
            let Fleet { store, usage, ledger, .. } = &mut *f;
            ledger.settle(store, usage, now);
        });
}

/// 100,000 counters kept: a thousand hosts with twenty VMs each (idle and dynamic, CPU time, totals, tenants, meters), copied
/// under the ledger's lock, and the rest of what a checkpoint costs but the disk.
#[divan::bench(args = [(1000, 20)], sample_count = 20, sample_size = 1)]
fn checkpoint_copy(bencher: Bencher<'_, '_>, (hosts, vms): (usize, usize)) {
    let (fleet, now) = polled(hosts, vms);
    bencher.bench_local(|| (fleet.ledger.kept(now), fleet.store.kept(now)));
}

/// From the copy to the bytes of the file.
#[divan::bench(args = [(1000, 20)], sample_count = 20, sample_size = 1)]
fn checkpoint_encode(bencher: Bencher<'_, '_>, (hosts, vms): (usize, usize)) {
    let (fleet, now) = polled(hosts, vms);
    let (ledger, store) = (fleet.ledger.kept(now), fleet.store.kept(now));
    bencher.bench_local(|| encoded(&ledger, &store));
}

/// From the bytes of the file to a ledger that goes on.
#[divan::bench(args = [(1000, 20)], sample_count = 20, sample_size = 1)]
fn checkpoint_resume(bencher: Bencher<'_, '_>, (hosts, vms): (usize, usize)) {
    let (fleet, now) = polled(hosts, vms);
    let file = encoded(&fleet.ledger.kept(now), &fleet.store.kept(now));
    println!("checkpoint of {hosts} hosts x {vms} VMs: {} bytes", file.len());
    bencher.with_inputs(|| Fleet::new(hosts, vms)).bench_local_values(|mut new| {
        let mut sections = Frame::decode(&file).unwrap().sections;
        let past = Past { now, away: Duration::ZERO };
        new.store.resume(sections.take::<StoreState>().unwrap().unwrap(), &past);
        new.ledger.resume(sections.take::<LedgerState>().unwrap().unwrap(), &new.store, &past);
        new
    });
}

fn encoded(ledger: &LedgerState, store: &StoreState) -> Vec<u8> {
    let mut sections = Sections::default();
    sections.put(ledger).unwrap();
    sections.put(store).unwrap();
    Frame { written_unix_millis: 0, sections }.encode()
}

fn polled(hosts: usize, vms: usize) -> (Fleet, Moment) {
    let mut fleet = Fleet::new(hosts, vms);
    let mut now = at(0);
    for _ in 0..3 {
        now = fleet.poll();
        fleet.ledger.settle(&fleet.store, &fleet.usage, now);
    }
    (fleet, now)
}
