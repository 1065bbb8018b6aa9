//! A room for claims about the ledger: hosts, each with two meters and a hypervisor, all moved by hand.

use std::sync::Arc;
use std::time::Duration;

use super::ledger::{Ledger, Method};
use super::workload::WorkloadAccount;
use crate::inventory::{FacilityPoint, Feed, Host, Idle, Inventory, Tenant, Tenants};
use crate::model::{
    Batch, ChannelId, DatacenterId, HostId, Measure, MeterId, Microjoules, Moment, Past, Point, ProjectId,
    Reading, Watts, WorkloadId,
};
use crate::store::{MeterSettings, Store};
use crate::workloads::{
    CpuNanos, Details, Node, SourceIndex, SourceSettings, State, Usage, UsageLog, Workload, WorkloadInfo,
    WorkloadKind,
};

pub(super) const SECOND: u64 = 1_000_000_000;

pub(super) fn at(seconds: f64) -> Moment {
    Moment::ZERO + Duration::from_secs_f64(seconds)
}

pub(super) fn cpu_nanos(seconds: f64) -> CpuNanos {
    CpuNanos(at(seconds).nanos())
}

pub(super) fn datacenter() -> DatacenterId {
    DatacenterId::new("dc1").unwrap()
}

pub(super) fn vm(id: &str, run: u32, cpu_seconds: Option<f64>, vcpus: u32, gib: u64) -> Workload {
    Workload {
        info: Arc::new(WorkloadInfo {
            domain: format!("instance-{id}"),
            project_id: id.split('-').next().map(|p| ProjectId::new(p).unwrap()),
            ..WorkloadInfo::new(WorkloadId::new(id).unwrap(), WorkloadKind::Vm, id)
        }),
        run,
        state: Some(State::Running),
        cpu: cpu_seconds.map(cpu_nanos),
        vcpus,
        memory_bytes: gib << 30,
        cycles: None,
        details: Details::default(),
    }
}

/// 10 CPUs, 40 GiB.
pub(super) fn usage(seconds: f64, busy_seconds: Option<f64>, workloads: Vec<Workload>) -> Usage {
    let busy = busy_seconds.map(cpu_nanos);
    let node = Node { cpus: 10, memory_bytes: 40 << 30, busy, ..Node::default() };
    Usage { at: at(seconds), node: Some(node), workloads }
}

pub(super) fn source(n: usize) -> SourceSettings {
    SourceSettings {
        host: HostId::new(&format!("h{n}")).unwrap(),
        datacenter: datacenter(),
        driver: "libvirt",
        address: String::new(),
        stale_after: Duration::from_secs(30),
    }
}

/// Hosts `h0`, `h1` ..., each with meters `pdu<n>` (preferred) and `bmc<n>` of one channel `input`, and a source.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) store: Store,
    pub(super) usage: UsageLog,
    pub(super) ledger: Ledger,
    pub(super) inventory: Inventory,
    pub(super) sources: Vec<Option<SourceIndex>>,
    /// Whether hosts have been pooled: then only all of them together balance.
    pub(super) pooled: bool,
}

impl Room {
    pub(super) fn new(hosts: usize, idle: Idle, rated: Option<f64>) -> Self {
        Self::with_sources(hosts, idle, rated, hosts)
    }

    /// One in which only the first `sources` hosts have a source.
    pub(super) fn with_sources(hosts: usize, idle: Idle, rated: Option<f64>, sources: usize) -> Self {
        let meter = |name: String| MeterSettings {
            id: MeterId::new(&name).unwrap(),
            datacenter: datacenter(),
            driver: "snmp",
            address: String::new(),
            accuracy: None,
            stale_after: Duration::from_secs(30),
            max_gap: Duration::from_secs(30),
        };
        let channel = |name: &str| {
            Feed::Channels(vec![(MeterId::new(name).unwrap(), ChannelId::new("input").unwrap())])
        };
        let host = |n: usize| {
            let mut feeds = vec![channel(&format!("pdu{n}")), channel(&format!("bmc{n}"))];
            feeds.extend(rated.map(|w| Feed::Rated(Watts::new(w / 2.0).unwrap())));
            Host { feeds, idle, ..Host::new(HostId::new(&format!("h{n}")).unwrap(), datacenter()) }
        };
        let inventory = Inventory {
            hosts: (0..hosts).map(host).collect(),
            facility: vec![FacilityPoint {
                datacenter: datacenter(),
                point: Point::Utility,
                channels: vec![(MeterId::new("pdu0").unwrap(), ChannelId::new("input").unwrap())],
            }],
            tenants: Tenants::new(vec![Tenant {
                project_id: ProjectId::new("atlas").unwrap(),
                name: "Atlas".into(),
                domains: vec![glob::Pattern::new("db-*").unwrap()],
            }]),
            ..Inventory::default()
        };
        let meters = (0..hosts).flat_map(|n| [meter(format!("pdu{n}")), meter(format!("bmc{n}"))]).collect();
        let store = Store::new(meters);
        let of_hosts: Vec<_> = (0..hosts).map(|n| (n < sources).then_some(SourceIndex(n))).collect();
        let ledger = Ledger::new(&inventory, &of_hosts, &store, at(0.0));
        Self {
            store,
            usage: UsageLog::new((0..sources).map(source).collect()),
            ledger,
            inventory,
            sources: of_hosts,
            pooled: false,
        }
    }

    pub(super) fn power(&self, meter: &str, seconds: f64, watts: f64) {
        let reading =
            Reading::measured(ChannelId::new("input").unwrap(), Measure::Power(Watts::new(watts).unwrap()));
        let batch = Batch { readings: vec![reading], ..Batch::default() };
        self.store.apply(self.store.find(&MeterId::new(meter).unwrap()).unwrap(), &batch, at(seconds));
    }

    pub(super) fn sample(&self, host: usize, usage: Usage) {
        self.usage.push(SourceIndex(host), usage);
    }

    /// Loads a changed configuration.
    pub(super) fn reload(&mut self, seconds: f64, change: impl FnOnce(&mut Inventory)) {
        change(&mut self.inventory);
        self.ledger.settle(&self.store, &self.usage, at(seconds));
        let sources: Vec<_> = self
            .inventory
            .hosts
            .iter()
            .map(|host| self.sources.get(number(host)).copied().flatten())
            .collect();
        self.ledger.reconfigure(&self.inventory, &sources, &self.store, at(seconds));
        self.must_balance();
    }

    pub(super) fn switch(&mut self, host: usize, enabled: bool, seconds: f64) {
        let id = HostId::new(&format!("h{host}")).unwrap();
        assert!(self.ledger.set_enabled(&id, enabled, at(seconds)));
    }

    pub(super) fn settle(&mut self, seconds: f64) {
        self.ledger.settle(&self.store, &self.usage, at(seconds));
        self.must_balance();
    }

    /// Host = workloads + departed + hypervisor + unallocated, and workloads = tenants: to the microjoule.
    pub(super) fn must_balance(&self) {
        let (mut charged, mut drawn, mut given) = (Microjoules::ZERO, Microjoules::ZERO, Microjoules::ZERO);
        for h in self.ledger.hosts().iter().chain(self.ledger.removed()) {
            let input: Microjoules = Method::ALL.iter().map(|m| *h.energy().get(*m)).sum();
            let overhead: Microjoules =
                Method::ALL.iter().map(|m| h.overhead().get(*m)).map(|o| o.hypervisor + o.unallocated).sum();
            let workloads: Microjoules = h.workloads().map(WorkloadAccount::total).sum();
            if !self.pooled {
                assert_eq!(input, workloads + h.departed() + overhead);
            }
            drawn += input;
            given += workloads + h.departed() + overhead;
            charged += workloads + h.departed();
        }
        assert_eq!(drawn, given);
        let tenants: Microjoules =
            self.ledger.tenants().values().flat_map(|t| Method::ALL.map(|m| *t.energy.get(m))).sum();
        assert_eq!(charged, tenants);
    }

    /// What a checkpoint holds.
    pub(super) fn kept(&self, seconds: f64) -> (Vec<u8>, Vec<u8>) {
        let (store, ledger) = (self.store.kept(at(seconds)), self.ledger.kept(at(seconds)));
        (postcard::to_stdvec(&store).unwrap(), postcard::to_stdvec(&ledger).unwrap())
    }

    /// Starts anew with the configuration as it is now, from what was kept at `then`.
    pub(super) fn restart(&mut self, kept: &(Vec<u8>, Vec<u8>), then: f64, seconds: f64) {
        let new = Self::new(self.sources.len(), Idle::Learned, None);
        let sources: Vec<_> = (self.inventory.hosts.iter())
            .map(|host| self.sources.get(number(host)).copied().flatten())
            .collect();
        (self.store, self.usage) = (new.store, new.usage);
        self.ledger = Ledger::new(&self.inventory, &sources, &self.store, at(seconds));
        let past = Past { now: at(seconds), away: at(seconds).since(at(then)) };
        self.store.resume(postcard::from_bytes(&kept.0).unwrap(), &past);
        self.ledger.resume(postcard::from_bytes(&kept.1).unwrap(), &self.store, &past);
        self.must_balance();
    }

    pub(super) fn joules(&self, host: usize, vm: &str) -> (f64, f64) {
        let share = self.ledger.hosts()[host]
            .workloads()
            .find(|w| w.info().id.as_str() == vm)
            .map(|w| *w.energy().get(Method::Measured))
            .unwrap_or_default();
        (share.idle.joules(), share.dynamic.joules())
    }

    pub(super) fn host_joules(&self, host: usize, method: Method) -> f64 {
        self.ledger.hosts()[host].energy().get(method).joules()
    }
}

pub(super) fn fixed(watts: f64) -> Idle {
    Idle::Fixed(Watts::new(watts).unwrap())
}

/// The number in the name of a host.
fn number(host: &Host) -> usize {
    host.id.as_str().trim_start_matches('h').parse().unwrap()
}
