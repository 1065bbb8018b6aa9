//! The ledger over a restart: counters go on, sums hold, and every second is either settled or unmeasured.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::ledger::{Ledger, Method};
use crate::inventory::{FacilityPoint, Feed, Host, Inventory};
use crate::model::{
    Batch, ChannelId, DatacenterId, HostId, Measure, MeterId, Microjoules, Moment, Past, Point, ProjectId,
    Reading, Watts, WorkloadId,
};
use crate::store::{MeterSettings, Store};
use crate::workloads::{
    CpuNanos, Details, Node, SourceIndex, SourceSettings, State, Usage, UsageLog, Workload, WorkloadInfo,
    WorkloadKind,
};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn at(seconds: u64) -> Moment {
    Moment::ZERO + YEAR + Duration::from_secs(seconds)
}

fn datacenter() -> DatacenterId {
    DatacenterId::new("dc1").unwrap()
}

/// Hosts by name, each with a meter and a source of its own.
struct Site {
    store: Store,
    usage: UsageLog,
    ledger: Ledger,
    hosts: Vec<&'static str>,
}

impl Site {
    fn new(hosts: &[&'static str], now: u64) -> Self {
        let feed = |name: &str| (MeterId::new(name).unwrap(), ChannelId::new("input").unwrap());
        let inventory = Inventory {
            hosts: hosts
                .iter()
                .map(|name| Host {
                    feeds: vec![Feed::Channels(vec![feed(name)])],
                    ..Host::new(HostId::new(name).unwrap(), datacenter())
                })
                .collect(),
            facility: vec![FacilityPoint {
                datacenter: datacenter(),
                point: Point::It,
                channels: hosts.iter().map(|name| feed(name)).collect(),
            }],
            ..Inventory::default()
        };
        let meter = |name: &&str| MeterSettings {
            id: MeterId::new(name).unwrap(),
            datacenter: datacenter(),
            driver: "snmp",
            address: String::new(),
            accuracy: None,
            stale_after: Duration::from_secs(30),
            max_gap: Duration::from_secs(30),
        };
        let source = |name: &&str| SourceSettings {
            host: HostId::new(name).unwrap(),
            datacenter: datacenter(),
            driver: "libvirt",
            address: String::new(),
            stale_after: Duration::from_secs(30),
        };
        let store = Store::new(hosts.iter().map(meter).collect());
        let sources: Vec<_> = (0..hosts.len()).map(|n| Some(SourceIndex(n))).collect();
        Self {
            ledger: Ledger::new(&inventory, &sources, &store, at(now)),
            usage: UsageLog::new(hosts.iter().map(source).collect()),
            store,
            hosts: hosts.to_vec(),
        }
    }

    /// A second of a host: its meter, and its hypervisor with VMs of projects, each with its CPU seconds.
    fn second(&self, host: &str, second: u64, watts: f64, vms: &[(&str, &str, u64)]) {
        let reading =
            Reading::measured(ChannelId::new("input").unwrap(), Measure::Power(Watts::new(watts).unwrap()));
        let batch = Batch { readings: vec![reading], ..Batch::default() };
        self.store.apply(self.store.find(&MeterId::new(host).unwrap()).unwrap(), &batch, at(second));
        let vm = |(id, project, cpu): &(&str, &str, u64)| Workload {
            info: Arc::new(WorkloadInfo {
                project_id: ProjectId::new(project).ok(),
                project_name: format!("name of {project}"),
                ..WorkloadInfo::new(WorkloadId::new(id).unwrap(), WorkloadKind::Vm, id)
            }),
            run: 1,
            state: Some(State::Running),
            cpu: Some(CpuNanos(cpu * 1_000_000_000)),
            vcpus: 2,
            memory_bytes: 1 << 30,
            cycles: None,
            details: Details::default(),
        };
        let node = Node { cpus: 8, memory_bytes: 8 << 30, ..Node::default() };
        let usage = Usage { at: at(second), node: Some(node), workloads: vms.iter().map(vm).collect() };
        let source = self.hosts.iter().position(|name| *name == host).unwrap();
        self.usage.push(SourceIndex(source), usage);
    }

    fn settle(&mut self, second: u64) {
        self.ledger.settle(&self.store, &self.usage, at(second));
    }

    /// What a checkpoint at `kept` makes of it, `away` seconds later, at `now` of a new clock.
    fn restarted(&self, kept: u64, away: u64, now: u64, hosts: &[&'static str]) -> Self {
        let ledger = postcard::to_stdvec(&self.ledger.kept(at(kept))).unwrap();
        let store = postcard::to_stdvec(&self.store.kept(at(kept))).unwrap();
        let mut new = Self::new(hosts, now);
        let past = Past { now: at(now), away: Duration::from_secs(away) };
        new.store.resume(postcard::from_bytes(&store).unwrap(), &past);
        new.ledger.resume(postcard::from_bytes(&ledger).unwrap(), &new.store, &past);
        new
    }

    /// Host in = out, workloads = tenants, to the microjoule.
    fn check_sums(&self) {
        let mut charged = Microjoules::ZERO;
        for host in self.ledger.hosts() {
            let energy: Microjoules = Method::ALL.iter().map(|m| *host.energy().get(*m)).sum();
            let overhead: Microjoules = Method::ALL
                .iter()
                .map(|m| host.overhead().get(*m))
                .map(|o| o.hypervisor + o.unallocated)
                .sum();
            let workloads: Microjoules = host.workloads().map(|w| w.total()).sum();
            assert_eq!(energy, overhead + workloads + host.departed(), "{}", host.host().id);
            charged += workloads + host.departed();
        }
        let tenants =
            |m: &Method| self.ledger.tenants().values().map(|t| *t.energy.get(*m)).sum::<Microjoules>();
        assert_eq!(charged, Method::ALL.iter().map(tenants).sum());
    }

    /// Every counter with its name, but those of hosts that are not there.
    fn counters(&self) -> Vec<(String, u128)> {
        let mut all = Vec::new();
        for host in self.ledger.hosts() {
            let id = &host.host().id;
            all.push((format!("{id}"), Method::ALL.iter().map(|m| host.energy().get(*m).0).sum()));
            all.push((format!("{id} unmeasured"), host.unmeasured().as_nanos()));
            for w in host.workloads() {
                all.push((w.labels().as_str().to_owned(), w.total().0));
                all.push((
                    format!("{} cpu", w.labels().as_str()),
                    w.cpu_total().map_or(0, |c| u128::from(c.0)),
                ));
            }
        }
        for t in self.ledger.tenants().values() {
            all.push((t.info.as_str().to_owned(), t.energy.measured.0 + t.energy.rated.0));
        }
        for point in self.ledger.facility() {
            all.push((point.labels.as_str().to_owned(), point.energy().unwrap_or_default().0));
        }
        all
    }
}

fn joules(energy: Microjoules) -> f64 {
    energy.joules()
}

#[test]
fn hosts_workloads_tenants_and_facility_go_on_where_they_were_kept() {
    let mut old = Site::new(&["h"], 0);
    for second in 0..=10 {
        old.second("h", second, 100.0, &[("a", "p", second), ("b", "q", second)]);
        old.settle(second);
    }
    let before = old.counters();
    let mut new = old.restarted(12, 5, 1000, &["h"]);
    assert_eq!(new.counters(), before, "shown before anything is read");
    assert!(new.ledger.hosts()[0].settled().is_some());
    new.check_sums();
    for second in 1001..=1011 {
        new.second("h", second, 100.0, &[("a", "p", second), ("b", "q", second)]);
        new.settle(second);
    }
    new.check_sums();
    let host = &new.ledger.hosts()[0];
    assert_eq!(joules(host.energy().measured), 2000.0);
    // Settled up to 10, kept at 12, 5 s away, first interval 1 s after the start.
    assert_eq!(host.unmeasured(), Duration::from_secs(8));
    assert_eq!(new.ledger.facility()[0].unmeasured(), Some(Duration::from_secs(8)));
    assert_eq!(new.ledger.facility()[0].energy().map(joules), Some(2000.0));
    let a = host.workloads().next().unwrap();
    // Alike, but for the odd microjoule of each interval.
    let b = host.workloads().nth(1).unwrap();
    assert!((joules(a.total()) - joules(b.total())).abs() < 1e-4, "{:?} {:?}", a.total(), b.total());
    // It ran on: its own counter tells, from 0 at first sight to 1011.
    assert_eq!(a.cpu_total(), Some(CpuNanos(1_011_000_000_000)));
}

#[test]
fn a_workload_that_ran_on_is_charged_nothing_for_the_time_away() {
    let mut old = Site::new(&["h"], 0);
    for second in 0..=5 {
        old.second("h", second, 100.0, &[("a", "p", second), ("b", "q", 0)]);
        old.settle(second);
    }
    let total =
        |site: &Site, n: usize| site.ledger.hosts()[0].workloads().nth(n).unwrap().energy().measured.dynamic;
    let mut new = old.restarted(5, 100, 0, &["h"]);
    let (a, b) = (total(&new, 0), total(&new, 1));
    // `b` used 100 s of CPU time while nobody looked, and nothing since; `a` goes on as before.
    for second in 1..=3 {
        new.second("h", second, 100.0, &[("a", "p", 105 + second), ("b", "q", 100)]);
        new.settle(second);
    }
    assert_eq!(total(&new, 1), b);
    assert!(total(&new, 0) >= a);
    new.check_sums();
}

#[test]
fn a_host_that_is_not_configured_is_kept_until_it_is() {
    let mut old = Site::new(&["h", "i"], 0);
    for second in 0..=10 {
        for host in ["h", "i"] {
            old.second(host, second, 100.0, &[("a", "p", second)]);
        }
        old.settle(second);
    }
    let without = old.restarted(10, 1, 0, &["i"]);
    assert_eq!(without.ledger.hosts().len(), 1);
    let again = without.restarted(5000, 1, 0, &["i", "h"]);
    let sum = |host: usize| joules(again.ledger.hosts()[host].energy().measured);
    assert_eq!((sum(0), sum(1)), (1000.0, 1000.0));
    again.check_sums();
    // Nobody watched `h` for 5,000 s, and nobody was to.
    assert_eq!(again.ledger.hosts()[1].unmeasured(), Duration::ZERO);
}

#[test]
fn a_host_that_was_switched_off_misses_no_time() {
    let mut old = Site::new(&["h"], 0);
    for second in 0..=10 {
        old.second("h", second, 100.0, &[("a", "p", second)]);
        old.settle(second);
    }
    assert!(old.ledger.set_enabled(&HostId::new("h").unwrap(), false, at(10)));
    old.settle(11);
    let mut new = old.restarted(100, 1000, 0, &["h"]);
    for second in 1..=3 {
        new.second("h", second, 100.0, &[("a", "p", second)]);
        new.settle(second);
    }
    assert_eq!(new.ledger.hosts()[0].unmeasured(), Duration::ZERO);
    assert_eq!(joules(new.ledger.hosts()[0].energy().measured), 1200.0);
}

#[test]
fn workloads_that_left_long_ago_are_closed_after_a_restart_and_their_joules_stay() {
    let mut old = Site::new(&["h"], 0);
    for second in 0..=10 {
        old.second("h", second, 100.0, &[("a", "p", second)]);
        old.settle(second);
    }
    let mut new = old.restarted(10, 7200, 10_000, &["h"]);
    for second in 10_001..=10_003 {
        new.second("h", second, 100.0, &[("b", "p", second)]);
        new.settle(second);
    }
    let host = &new.ledger.hosts()[0];
    assert_eq!(host.workloads().map(|w| w.info().id.as_str().to_owned()).collect::<Vec<_>>(), ["b"]);
    assert!(host.departed() > Microjoules::ZERO);
    new.check_sums();
}

proptest! {
    /// Seconds with their watts and CPU time, and now and then a crash, by which the latest checkpoint is up to 4 s old.
    #[test]
    fn sums_hold_and_no_counter_falls_behind_its_checkpoint_over_any_crashes(
        steps in prop::collection::vec((0u32..500, 0u64..8, prop::option::weighted(0.1, 0u64..100)), 5..80),
    ) {
        let mut site = Site::new(&["h", "i"], 0);
        let (mut second, mut cpu) = (0, 0);
        let mut kept = (site.restarted(0, 0, 0, &["h", "i"]), 0);
        for (watts, load, crash) in steps {
            if let Some(away) = crash {
                let (checkpoint, at_second) = &kept;
                let lost = second - at_second;
                let before = checkpoint.counters();
                site = checkpoint.restarted(*at_second, away + lost, second + 50, &["h", "i"]);
                prop_assert_eq!(site.counters(), before);
                second += 50;
                kept = (site.restarted(second, 0, second, &["h", "i"]), second);
            }
            second += 1;
            cpu += load;
            for host in ["h", "i"] {
                site.second(host, second, f64::from(watts), &[("a", "p", cpu), ("b", "q", cpu / 2)]);
            }
            let before = site.counters();
            site.settle(second);
            site.check_sums();
            for (name, value) in site.counters() {
                let was = before.iter().find(|(n, _)| *n == name).map_or(0, |(_, v)| *v);
                prop_assert!(value >= was, "{name} fell from {was} to {value}");
            }
            if second % 4 == 0 {
                kept = (site.restarted(second, 0, second, &["h", "i"]), second);
            }
        }
    }
}
