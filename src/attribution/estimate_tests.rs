//! Claims about energy that nobody measures: what it is by hand, that every second is counted once and by one method over any
//! outages, and that meters of one host are held against each other.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::ledger::{Ledger, Method};
use crate::inventory::{Feed, Host, Idle, Inventory};
use crate::model::{
    Batch, ChannelId, DatacenterId, HostId, Measure, MeterId, Moment, PowerModel, Quality, Reading, Watts,
    WorkloadId,
};
use crate::store::{MeterSettings, Store};
use crate::workloads::{
    CpuNanos, Details, Node, SourceIndex, SourceSettings, State, Usage, UsageLog, Workload, WorkloadInfo,
    WorkloadKind,
};

const METERS: [&str; 2] = ["pdu", "bmc"];
const STALE: u64 = 30;

fn at(seconds: f64) -> Moment {
    Moment::ZERO + Duration::from_secs_f64(seconds)
}

fn watts(value: f64) -> Watts {
    Watts::new(value).unwrap()
}

fn channel(meter: &str) -> Feed {
    Feed::Channels(vec![(MeterId::new(meter).unwrap(), ChannelId::new("input").unwrap())])
}

/// Host `h<n>`, in a data centre of its own from the third on.
fn host(n: usize, feeds: Vec<Feed>) -> Host {
    let place = DatacenterId::new(if n < 3 { "dc1" } else { "dc2" }).unwrap();
    Host { feeds, idle: Idle::None, ..Host::new(HostId::new(&format!("h{n}")).unwrap(), place) }
}

struct Room {
    store: Store,
    usage: UsageLog,
    ledger: Ledger,
}

impl Room {
    /// Hosts, of which the first `sources` have a source.
    fn new(hosts: Vec<Host>, sources: usize) -> Self {
        let meter = |name: &&str| MeterSettings {
            id: MeterId::new(name).unwrap(),
            datacenter: DatacenterId::new("dc1").unwrap(),
            driver: "snmp",
            address: String::new(),
            accuracy: None,
            stale_after: Duration::from_secs(STALE),
            max_gap: Duration::from_secs(STALE),
        };
        let source = |host: &Host| SourceSettings {
            host: host.id.clone(),
            datacenter: host.datacenter.clone(),
            driver: "libvirt",
            address: String::new(),
            stale_after: Duration::from_secs(STALE),
        };
        let usage = UsageLog::new(hosts.iter().take(sources).map(source).collect());
        let of_hosts: Vec<_> = (0..hosts.len()).map(|n| (n < sources).then_some(SourceIndex(n))).collect();
        let store = Store::new(METERS.iter().map(meter).collect());
        let inventory = Inventory { hosts, ..Inventory::default() };
        let ledger = Ledger::new(&inventory, &of_hosts, &store, Moment::ZERO);
        Self { store, usage, ledger }
    }

    fn power(&self, meter: &str, seconds: f64, watts_of: f64, quality: Quality) {
        let measure = Measure::Power(watts(watts_of));
        let reading = Reading { channel: ChannelId::new("input").unwrap(), measure, quality };
        let batch = Batch { readings: vec![reading], ..Batch::default() };
        self.store.apply(self.store.find(&MeterId::new(meter).unwrap()).unwrap(), &batch, at(seconds));
    }

    /// A sample of a host with `cpus` that have been busy for `busy` seconds so far.
    fn sample(&self, host: usize, seconds: f64, cpus: u32, busy: Option<f64>) {
        let busy = busy.map(|s| CpuNanos(at(s).nanos()));
        let node = Node { cpus, memory_bytes: 1 << 30, busy, ..Node::default() };
        self.usage.push(SourceIndex(host), Usage { at: at(seconds), node: Some(node), workloads: vec![] });
    }

    fn settle(&mut self, seconds: f64) {
        self.ledger.settle(&self.store, &self.usage, at(seconds));
    }

    fn joules(&self, host: usize, method: Method) -> f64 {
        self.ledger.hosts()[host].energy().get(method).joules()
    }
}

fn banded() -> Vec<Feed> {
    vec![Feed::Modelled(PowerModel::Banded(watts(500.0)))]
}

#[test]
fn an_interval_is_rated_by_the_utilisation_of_that_interval() {
    let mut r = Room::new(vec![host(0, banded())], 1);
    // 10 CPUs: 30 of 100 CPU seconds busy, then 90 of 100.
    for (s, busy) in [(0.0, 0.0), (10.0, 30.0), (20.0, 120.0)] {
        r.sample(0, s, 10, Some(busy));
        r.settle(s);
    }
    // 0.51 x 500 W x 10 s, then 0.91 x 500 W x 10 s.
    assert_eq!(r.joules(0, Method::Rated), 2550.0 + 4550.0);
    assert_eq!(r.joules(0, Method::Measured), 0.0);
}

#[test]
fn a_host_that_does_not_know_its_utilisation_has_the_mean_of_its_data_centre_by_cpus() {
    let mut r = Room::new((0..4).map(|n| host(n, banded())).collect(), 2);
    // h2 has no source, and h3 stands elsewhere, where nobody knows. 10 CPUs at 30 %, 30 at 70 %: 24 of 40 are busy, 60 %.
    for (s, busy) in [(0.0, [0.0, 0.0]), (10.0, [30.0, 210.0])] {
        r.sample(0, s, 10, Some(busy[0]));
        r.sample(1, s, 30, Some(busy[1]));
        r.settle(s);
    }
    let [before, elsewhere] = [2, 3].map(|n| r.joules(n, Method::Rated));
    r.settle(20.0);
    // 0.68 x 500 W, and by half a load 0.61 x 500 W.
    assert_eq!(r.joules(2, Method::Rated) - before, 3400.0);
    assert_eq!(r.joules(3, Method::Rated) - elsewhere, 3050.0);
}

#[test]
fn a_node_that_tells_no_busy_time_has_the_mean_too() {
    let mut r = Room::new(vec![host(0, banded()), host(1, banded())], 2);
    for (s, busy) in [(0.0, 0.0), (10.0, 5.0), (20.0, 10.0)] {
        r.sample(0, s, 10, Some(busy));
        r.sample(1, s, 10, None);
        r.settle(s);
    }
    // 5 % after the first interval, of which h1 did not know before: 0.61 x 500 x 10, then 0.30 x 500 x 10.
    assert_eq!(r.joules(1, Method::Rated), 3050.0 + 1500.0);
}

#[test]
fn where_nobody_knows_how_many_vcpus_there_are_the_next_feed_counts_or_the_time_is_unmeasured() {
    let per_vcpu = || Feed::Modelled(PowerModel::PerVcpu { min: watts(1.0), max: watts(3.0), vcpus: None });
    let mut r =
        Room::new(vec![host(0, vec![per_vcpu()]), host(1, vec![per_vcpu(), Feed::Rated(watts(7.0))])], 0);
    r.settle(0.0);
    r.settle(10.0);
    assert_eq!(r.ledger.hosts()[0].unmeasured(), Duration::from_secs(10));
    assert_eq!((r.joules(0, Method::Rated), r.joules(1, Method::Rated)), (0.0, 70.0));
    // 4 CPUs, 10 of 40 CPU seconds: 4 x (1 + 0.25 x 2) W.
    let mut r = Room::new(vec![host(0, vec![per_vcpu()])], 1);
    r.sample(0, 0.0, 4, Some(0.0));
    r.sample(0, 10.0, 4, Some(10.0));
    r.settle(10.0);
    assert_eq!(r.joules(0, Method::Rated), 60.0);
}

#[test]
fn what_a_meter_told_before_it_fell_silent_is_measured_and_the_rest_of_the_interval_rated() {
    let mut r = Room::new(vec![host(0, vec![channel("pdu"), Feed::Rated(watts(10.0))])], 1);
    for s in [0.0, 6.0, 12.0] {
        r.power("pdu", s, 100.0, Quality::Measured);
    }
    r.sample(0, 0.0, 4, None);
    r.sample(0, 20.0, 4, None);
    r.settle(42.0);
    assert_eq!((r.joules(0, Method::Measured), r.joules(0, Method::Rated)), (0.0, 0.0), "it may still tell");
    r.settle(43.0);
    assert_eq!((r.joules(0, Method::Measured), r.joules(0, Method::Rated)), (1200.0, 80.0));
    // Back again after longer than is bridged, in the middle of an interval.
    for s in [50.0, 56.0, 62.0] {
        r.power("pdu", s, 100.0, Quality::Measured);
    }
    r.sample(0, 60.0, 4, None);
    r.settle(62.0);
    assert_eq!((r.joules(0, Method::Measured), r.joules(0, Method::Rated)), (2200.0, 380.0));
}

#[test]
fn idle_power_of_a_host_without_meters_is_what_its_model_says_of_no_load() {
    let line = || Feed::Modelled(PowerModel::Linear { idle: watts(60.0), max: watts(300.0) });
    let learned = |n, feeds| Host { idle: Idle::Learned, ..host(n, feeds) };
    let r = Room::new(vec![learned(0, vec![line()]), learned(1, vec![channel("pdu"), line()])], 0);
    let idle = |n: usize| r.ledger.hosts()[n].idle_power().map(Watts::get);
    assert_eq!((idle(0), idle(1)), (Some(60.0), None), "a metered host learns");
}

/// The worked example of `docs/workloads/inside.md`.
#[test]
fn an_application_inside_has_its_share_of_what_its_machine_was_given_and_all_of_it_is_rated() {
    let mut r = Room::new(vec![host(0, vec![channel("pdu")])], 1);
    let service = |name: &str, busy: f64| Workload {
        info: Arc::new(WorkloadInfo::new(WorkloadId::new(name).unwrap(), WorkloadKind::Service, name)),
        run: 1,
        state: Some(State::Running),
        cpu: Some(CpuNanos(at(busy).nanos())),
        vcpus: 0,
        memory_bytes: 0,
        cycles: None,
        details: Details::default(),
    };
    for (s, shop, database, busy) in [(0.0, 100.0, 200.0, 1000.0), (10.0, 103.0, 201.0, 1005.0)] {
        r.power("pdu", s, 12.0, Quality::Estimated);
        let workloads = vec![service("shop", shop), service("database", database)];
        let node = Node { cpus: 2, busy: Some(CpuNanos(at(busy).nanos())), ..Node::default() };
        r.usage.push(SourceIndex(0), Usage { at: at(s), node: Some(node), workloads });
    }
    r.settle(10.0);
    let host = &r.ledger.hosts()[0];
    let given = |name: &str| {
        let account = host.workloads().find(|w| w.info().name == name).unwrap();
        account.energy().get(Method::Rated).dynamic.joules()
    };
    // 120 J over 3 + 1 CPU seconds of services and 1 of the rest.
    assert_eq!((given("shop"), given("database")), (72.0, 24.0));
    assert_eq!(host.overhead().get(Method::Rated).hypervisor.joules(), 24.0);
    assert_eq!(r.joules(0, Method::Measured), 0.0);
}

#[test]
fn a_host_says_how_long_it_waits_for_a_silent_meter() {
    let rated = || vec![channel("pdu"), Feed::Rated(watts(10.0))];
    let waits = |seconds| Host { fallback_after: Some(Duration::from_secs(seconds)), ..host(0, rated()) };
    for (host, patience) in [(waits(5), 5.0), (waits(60), 60.0), (host(0, rated()), 30.0)] {
        let mut r = Room::new(vec![host], 0);
        r.power("pdu", 0.0, 100.0, Quality::Measured);
        r.settle(0.0);
        r.power("pdu", 10.0, 100.0, Quality::Measured);
        r.settle(10.0 + patience);
        assert_eq!((r.joules(0, Method::Measured), r.joules(0, Method::Rated)), (1000.0, 0.0));
        r.settle(11.0 + patience);
        assert_eq!((r.joules(0, Method::Measured), r.joules(0, Method::Rated)), (1000.0, 10.0));
    }
}

#[test]
fn other_feeds_are_held_against_the_first_that_is_fresh() {
    let feeds = vec![channel("pdu"), channel("bmc"), Feed::Rated(watts(500.0))];
    let r = Room::new(vec![host(0, feeds), host(1, vec![Feed::Rated(watts(5.0))])], 0);
    let said = |now: f64| -> Vec<(String, f64)> {
        let of = |n: usize| r.ledger.hosts()[n].differences(&r.store, at(now));
        of(0).chain(of(1)).map(|(labels, watts)| (labels.as_str().to_owned(), watts)).collect()
    };
    r.power("bmc", 0.0, 180.0, Quality::Estimated);
    assert_eq!(said(0.0), [], "one alone differs from nobody");
    r.power("pdu", 1.0, 200.0, Quality::Measured);
    let labels = r#"datacenter="dc1",component="compute",host="h0",feed="bmc/input""#;
    assert_eq!(said(30.0), [(labels.to_owned(), -20.0)]);
    assert_eq!(said(30.5), [], "the BMC's is stale");
}

#[test]
fn a_sum_of_outlets_is_one_feed_with_one_name() {
    let outlet = |meter: &str| (MeterId::new(meter).unwrap(), ChannelId::new("outlet/1").unwrap());
    let feeds = vec![channel("bmc"), Feed::Channels(vec![outlet("pdu"), outlet("bmc")])];
    let r = Room::new(vec![host(0, feeds)], 0);
    for meter in METERS {
        let readings = [("input", 150.0), ("outlet/1", 80.0)].map(|(name, power)| {
            Reading::measured(ChannelId::new(name).unwrap(), Measure::Power(watts(power)))
        });
        let index = r.store.find(&MeterId::new(meter).unwrap()).unwrap();
        r.store.apply(index, &Batch { readings: readings.to_vec(), ..Batch::default() }, at(0.0));
    }
    let said: Vec<_> =
        r.ledger.hosts()[0].differences(&r.store, at(0.0)).map(|(l, w)| (l.as_str().to_owned(), w)).collect();
    let labels = r#"datacenter="dc1",component="compute",host="h0",feed="pdu/outlet/1+bmc/outlet/1""#;
    assert_eq!(said, [(labels.to_owned(), 10.0)]);
}

/// What both meters show, W.
const SHOWN: f64 = 300.0;
/// What is assumed, W.
const RATED: f64 = 37.0;

/// For each second, which meters speak: long stretches of either.
fn outages() -> impl Strategy<Value = Vec<[bool; 2]>> {
    let stretch = (any::<[bool; 2]>(), 1usize..90).prop_map(|(speaks, seconds)| vec![speaks; seconds]);
    prop::collection::vec(stretch, 2..14).prop_map(|stretches| stretches.concat())
}

/// How the hypervisor speaks: every so many seconds, but for samples that are lost; none without one.
fn samples() -> impl Strategy<Value = Option<(u32, Vec<bool>)>> {
    prop::option::of((1u32..25, prop::collection::vec(any::<bool>(), 1..9)))
}

/// Measured, rated and unmeasured seconds.
fn seconds(r: &Room) -> [f64; 3] {
    let unmeasured = r.ledger.hosts()[0].unmeasured().as_secs_f64();
    [r.joules(0, Method::Measured) / SHOWN, r.joules(0, Method::Rated) / RATED, unmeasured]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn over_any_outages_every_second_is_counted_once_and_as_measured_where_a_meter_told(
        outages in outages(),
        samples in samples(),
        limit in prop_oneof![Just(None), Just(Some(12)), Just(Some(75))],
        rated in any::<bool>(),
    ) {
        let feeds = METERS.iter().map(|m| channel(m)).chain(rated.then(|| Feed::Rated(watts(RATED))));
        let fallback_after = limit.map(Duration::from_secs);
        let host = Host { fallback_after, ..host(0, feeds.collect()) };
        let mut r = Room::new(vec![host], usize::from(samples.is_some()));
        let mut first = None;
        let mut last = [0.0; 3];
        for (second, speak) in (0u32..).zip(&outages) {
            let now = f64::from(second);
            for name in METERS.iter().zip(speak).filter(|(_, speaks)| **speaks).map(|(name, _)| name) {
                r.power(name, now, SHOWN, Quality::Measured);
            }
            if let Some((every, lost)) = &samples
                && second % every == 0
                && !lost[second as usize % lost.len()]
            {
                r.sample(0, now, 4, Some(now));
            }
            r.settle(now);
            let counted = seconds(&r);
            prop_assert!(counted.iter().zip(last).all(|(now, before)| *now >= before), "{last:?}, then {counted:?}");
            last = counted;
            first = first.or(r.ledger.hosts()[0].settled().map(|at| (at, counted)));
        }
        let Some(((first, before), until)) = first.zip(r.ledger.hosts()[0].settled()) else { return Ok(()) };
        let [measured, assumed, unmeasured] = std::array::from_fn(|i| last[i] - before[i]);
        let elapsed = until.since(first).as_secs_f64();
        let sum = measured + assumed + unmeasured;
        prop_assert!((sum - elapsed).abs() < 1e-6, "{measured} + {assumed} + {unmeasured} of {elapsed} s");
        let never = if rated { unmeasured } else { assumed };
        prop_assert_eq!(never, 0.0);
        // A second at both ends of which one meter spoke.
        let told = |at: &usize| (0..2).any(|meter| outages[*at][meter] && outages[at + 1][meter]);
        let whole = |at: &usize| *at as f64 >= first.nanos() as f64 / 1e9 && (at + 1) as f64 <= until.nanos() as f64 / 1e9;
        let told = (0..outages.len() - 1).filter(|at| whole(at) && told(at)).count() as f64;
        prop_assert!(measured + 1e-6 >= told, "{measured} s measured, {told} s told");
    }
}
