//! Claims about the ledger: what goes in comes out, whatever the fleet does.
//! Long, since every claim is made in the same room: meters, hosts and samples by hand.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::attribution::room::{Room, SECOND, at, fixed, source, usage, vm};
use crate::inventory::Idle;
use crate::model::{
    Accuracy, Batch, ChannelId, ChannelInfo, Measure, MeterId, Microjoules, Ratio, Reading, Watts,
};
use crate::workloads::{SourceSettings, Workload, WorkloadInfo};

#[test]
fn an_interval_by_hand() {
    let mut r = Room::new(1, fixed(100.0), None);
    for s in [1.0, 11.0] {
        r.power("pdu0", s, 300.0);
    }
    r.sample(0, usage(1.0, Some(0.0), vec![vm("a-1", 1, Some(50.0), 2, 4), vm("b-1", 2, Some(7.0), 4, 8)]));
    r.sample(
        0,
        usage(11.0, Some(50.0), vec![vm("a-1", 1, Some(80.0), 2, 4), vm("b-1", 2, Some(17.0), 4, 8)]),
    );
    r.settle(11.0);
    // 300 W x 10 s = 3000 J: idle 1000, dynamic 2000.
    // idle by vCPU 500: a 2/10 = 100, b 200. By memory 500: a 4/40 = 50, b 100.
    // CPU: a 30 s, b 10 s, hypervisor 50 - 40 = 10 s: dynamic a 1200, b 400, hypervisor 400.
    assert_eq!(r.joules(0, "a-1"), (150.0, 1200.0));
    assert_eq!(r.joules(0, "b-1"), (300.0, 400.0));
    let overhead = r.ledger.hosts()[0].overhead().measured;
    assert_eq!((overhead.hypervisor.joules(), overhead.unallocated.joules()), (400.0, 550.0));
}

#[test]
fn energy_meets_the_cpu_time_of_its_own_interval() {
    let mut r = Room::new(1, Idle::None, None);
    // 100 W until 10 s, then a step to 500 W; a works first, b afterwards. Samples between the readings.
    for (s, w) in [(0.0, 100.0), (5.0, 100.0), (9.999, 100.0), (10.0, 500.0), (15.0, 500.0), (20.0, 500.0)] {
        r.power("pdu0", s, w);
    }
    r.sample(0, usage(0.5, None, vec![vm("a-1", 1, Some(0.0), 1, 1), vm("b-1", 2, Some(0.0), 1, 1)]));
    r.sample(0, usage(10.0, None, vec![vm("a-1", 1, Some(9.5), 1, 1), vm("b-1", 2, Some(0.0), 1, 1)]));
    r.sample(0, usage(19.0, None, vec![vm("a-1", 1, Some(9.5), 1, 1), vm("b-1", 2, Some(9.0), 1, 1)]));
    r.settle(20.0);
    let (a, b) = (r.joules(0, "a-1").1, r.joules(0, "b-1").1);
    assert!((a - 950.2).abs() < 0.01, "{a}");
    assert!((b - 4500.0).abs() < 0.01, "{b}");
}

#[test]
fn an_interval_waits_until_its_feed_is_known() {
    let mut r = Room::new(1, Idle::None, None);
    r.power("pdu0", 1.0, 100.0);
    r.power("bmc0", 1.0, 90.0);
    r.sample(0, usage(1.0, None, vec![]));
    r.sample(0, usage(6.0, None, vec![]));
    r.power("bmc0", 7.0, 90.0);
    r.settle(7.0);
    assert_eq!(r.host_joules(0, Method::Measured), 0.0, "the PDU may still tell");
    r.power("pdu0", 11.0, 100.0);
    r.settle(11.0);
    assert_eq!(r.host_joules(0, Method::Measured), 500.0);
}

#[test]
fn a_silent_outlet_gives_way_to_the_bmc_and_then_to_the_nameplate() {
    let mut r = Room::new(1, Idle::None, Some(400.0));
    for s in 0..=10 {
        r.power("pdu0", f64::from(s), 100.0);
        r.power("bmc0", f64::from(s), 80.0);
    }
    for s in 11..=60 {
        r.power("bmc0", f64::from(s), 80.0);
    }
    for s in (0..=120).step_by(10) {
        r.sample(0, usage(f64::from(s), None, vec![]));
    }
    r.settle(60.0);
    // PDU to 10 s: 1000 J. BMC from 10 to 60 s: 50 x 80 = 4000 J.
    assert_eq!(r.host_joules(0, Method::Measured), 5000.0);
    assert_eq!(r.host_joules(0, Method::Rated), 0.0);
    r.settle(120.0);
    // Then half of 400 W for 60 s.
    assert_eq!(r.host_joules(0, Method::Rated), 12_000.0);
    assert_eq!(r.host_joules(0, Method::Measured), 5000.0);
}

#[test]
fn a_gap_of_a_host_without_a_hypervisor_ends_where_its_readings_begin_again() {
    let mut r = Room::with_sources(1, Idle::None, None, 0);
    // The BMC is always read a little before the PDU.
    for s in (1..=10).chain(100..=110) {
        r.power("bmc0", f64::from(s) - 0.5, 80.0);
        r.power("pdu0", f64::from(s), 100.0);
        r.settle(f64::from(s));
    }
    // From 1 to 10 s and from 100 to 110 s, and by the BMC from 99.5 to 100 s.
    assert_eq!(r.host_joules(0, Method::Measured), 1940.0);
    assert_eq!(r.ledger.hosts()[0].unmeasured(), Duration::from_millis(89_500));
}

#[test]
fn what_a_device_only_estimates_is_never_called_measured() {
    let mut r = Room::new(1, Idle::None, None);
    for s in [0.0, 10.0] {
        let power = Measure::Power(Watts::new(100.0).unwrap());
        let reading = Reading {
            quality: crate::model::Quality::Estimated,
            ..Reading::measured(ChannelId::new("input").unwrap(), power)
        };
        let meter = r.store.find(&MeterId::new("pdu0").unwrap()).unwrap();
        r.store.apply(meter, &Batch { readings: vec![reading], ..Batch::default() }, at(s));
        r.sample(0, usage(s, None, vec![vm("a-1", 1, Some(s), 1, 1)]));
    }
    r.settle(10.0);
    assert_eq!((r.host_joules(0, Method::Measured), r.host_joules(0, Method::Rated)), (0.0, 1000.0));
    assert!(r.ledger.hosts()[0].methods().any(|m| m == Method::Rated));
    assert_eq!(r.ledger.hosts()[0].power(&r.store, at(10.0)), None);
}

#[test]
fn what_nobody_can_price_is_counted_and_not_guessed() {
    let mut r = Room::new(1, Idle::None, None);
    r.power("pdu0", 0.0, 100.0);
    r.power("pdu0", 10.0, 100.0);
    for s in [0.0, 10.0, 20.0, 100.0] {
        r.sample(0, usage(s, None, vec![vm("a-1", 1, Some(s / 2.0), 1, 1)]));
    }
    r.settle(100.0);
    assert_eq!(r.host_joules(0, Method::Measured), 1000.0);
    assert_eq!(r.ledger.hosts()[0].unmeasured(), Duration::from_secs(90));
    let power =
        r.ledger.hosts()[0].workloads().next().and_then(super::super::workload::WorkloadAccount::power);
    assert_eq!(power, None);
}

#[test]
fn a_vm_that_starts_inside_an_interval_pays_for_what_it_used() {
    let mut r = Room::new(1, fixed(100.0), None);
    for s in [0.0, 10.0] {
        r.power("pdu0", s, 200.0);
    }
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(0.0), 2, 4)]));
    r.sample(0, usage(10.0, None, vec![vm("a-1", 1, Some(6.0), 2, 4), vm("b-1", 2, Some(2.0), 4, 8)]));
    r.settle(10.0);
    // Idle 1000 J: by vCPU 500: a 2/10 = 100, b half of 4/10 = 100; by memory 500: a 4/40 = 50, b half of 8/40 = 50.
    assert_eq!(r.joules(0, "a-1"), (150.0, 750.0));
    assert_eq!(r.joules(0, "b-1"), (150.0, 250.0));
}

#[test]
fn a_vm_that_was_there_before_the_exporter_pays_for_nothing_earlier() {
    let mut r = Room::new(1, Idle::None, None);
    for s in [0.0, 10.0, 20.0] {
        r.power("pdu0", s, 100.0);
    }
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, None, 1, 1), vm("b-1", 2, Some(1e6), 1, 1)]));
    r.sample(0, usage(10.0, None, vec![vm("a-1", 1, Some(1e6), 1, 1), vm("b-1", 2, Some(1e6 + 5.0), 1, 1)]));
    r.settle(20.0);
    assert_eq!(r.joules(0, "a-1").1, 0.0, "it was there, its counter was not known: it starts now");
    assert_eq!(r.joules(0, "b-1").1, 1000.0);
}

#[test]
fn a_vm_that_stops_leaves_its_counters_and_its_tenants() {
    let mut r = Room::new(1, Idle::None, None);
    for s in 0..=20 {
        r.power("pdu0", f64::from(s) * 10.0, 100.0);
    }
    r.sample(0, usage(0.0, Some(0.0), vec![vm("a-1", 1, Some(0.0), 1, 1)]));
    r.sample(0, usage(10.0, Some(5.0), vec![vm("a-1", 1, Some(5.0), 1, 1)]));
    r.sample(0, usage(20.0, Some(10.0), vec![]));
    r.settle(20.0);
    assert_eq!(r.joules(0, "a-1").1, 1000.0);
    assert_eq!(
        r.ledger.hosts()[0].overhead().measured.hypervisor.joules(),
        1000.0,
        "its last CPU time is unknown"
    );
    assert!(!r.ledger.hosts()[0].is_present(r.ledger.hosts()[0].workloads().next().unwrap()));
    // It starts again as another run: its counter goes on.
    r.sample(0, usage(30.0, Some(20.0), vec![vm("a-1", 9, Some(10.0), 1, 1)]));
    r.settle(30.0);
    assert_eq!(r.joules(0, "a-1").1, 2000.0);
    assert_eq!(r.ledger.tenants().values().next().unwrap().energy.measured.joules(), 2000.0);
}

#[test]
fn a_vm_missing_from_one_sample_is_not_charged_for_its_whole_life() {
    let mut r = Room::new(1, Idle::None, None);
    for s in 0..=4 {
        r.power("pdu0", f64::from(s) * 10.0, 100.0);
    }
    let a = |cpu| vm("a-1", 1, Some(cpu), 1, 1);
    let b = |cpu| vm("b-1", 2, Some(cpu), 1, 1);
    r.sample(0, usage(0.0, None, vec![a(1e6), b(0.0)]));
    r.sample(0, usage(10.0, None, vec![a(1e6 + 5.0), b(5.0)]));
    r.sample(0, usage(20.0, None, vec![b(10.0)]));
    r.sample(0, usage(30.0, None, vec![a(1e6 + 15.0), b(15.0)]));
    r.settle(30.0);
    // First interval 500:500, second 0:1000, third 500:500 (10 s of CPU over 20 s are 5 s of this interval).
    assert_eq!(r.joules(0, "a-1").1, 1000.0);
    assert_eq!(r.joules(0, "b-1").1, 2000.0);
}

#[test]
fn a_vm_that_migrates_pays_on_both_hosts_for_its_time_on_each() {
    let mut r = Room::new(2, Idle::None, None);
    for s in 0..=2 {
        r.power("pdu0", f64::from(s) * 10.0, 100.0);
        r.power("pdu1", f64::from(s) * 10.0, 60.0);
    }
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(100.0), 1, 1)]));
    r.sample(0, usage(10.0, None, vec![vm("a-1", 1, Some(105.0), 1, 1)]));
    r.sample(0, usage(20.0, None, vec![]));
    r.sample(1, usage(0.0, None, vec![]));
    r.sample(1, usage(10.0, None, vec![]));
    r.sample(1, usage(20.0, None, vec![vm("a-1", 44, Some(5.0), 1, 1)]));
    r.settle(20.0);
    assert_eq!(r.joules(0, "a-1").1, 1000.0);
    assert_eq!(r.joules(1, "a-1").1, 600.0);
    assert_eq!(r.ledger.tenants().values().next().unwrap().energy.measured.joules(), 1600.0);
}

#[test]
fn a_hypervisor_that_was_silent_is_caught_up_from_its_counters() {
    let mut r = Room::new(1, Idle::None, None);
    for s in 0..=100 {
        r.power("pdu0", f64::from(s), 100.0);
    }
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(10.0), 1, 1), vm("b-1", 2, Some(10.0), 1, 1)]));
    r.settle(50.0);
    assert_eq!(r.host_joules(0, Method::Measured), 0.0);
    r.sample(0, usage(100.0, None, vec![vm("a-1", 1, Some(40.0), 1, 1), vm("b-1", 2, Some(20.0), 1, 1)]));
    r.settle(100.0);
    assert_eq!(r.joules(0, "a-1").1, 7500.0);
    assert_eq!(r.joules(0, "b-1").1, 2500.0);
}

#[test]
fn a_hypervisor_gone_for_good_does_not_hold_its_hosts_joules_back() {
    let mut r = Room::new(1, fixed(60.0), None);
    for s in 0..=400 {
        r.power("pdu0", f64::from(s), 100.0);
    }
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(10.0), 1, 1)]));
    r.settle(0.0);
    r.settle(400.0);
    assert_eq!(r.host_joules(0, Method::Measured), 40_000.0);
    let overhead = r.ledger.hosts()[0].overhead().measured;
    assert_eq!((overhead.unallocated.joules(), overhead.hypervisor.joules()), (24_000.0, 16_000.0));
}

#[test]
fn a_sample_that_comes_after_its_interval_was_settled_counts_nothing_twice() {
    let mut r = Room::new(1, Idle::None, None);
    for s in (0..=400).step_by(20) {
        r.power("pdu0", f64::from(s), 100.0);
    }
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(0.0), 1, 1)]));
    r.settle(0.0);
    r.settle(400.0);
    assert_eq!(r.host_joules(0, Method::Measured), 40_000.0, "the hypervisor was silent for long");
    r.sample(0, usage(390.0, None, vec![vm("a-1", 1, Some(0.0), 1, 1), vm("b-1", 2, Some(1e6), 1, 1)]));
    r.settle(401.0);
    r.power("pdu0", 420.0, 100.0);
    r.sample(0, usage(420.0, None, vec![vm("a-1", 1, Some(5.0), 1, 1), vm("b-1", 2, Some(1e6 + 5.0), 1, 1)]));
    r.settle(420.0);
    assert_eq!(r.host_joules(0, Method::Measured), 42_000.0);
    assert_eq!(r.ledger.hosts()[0].unmeasured(), Duration::ZERO);
    assert_eq!((r.joules(0, "a-1").1, r.joules(0, "b-1").1), (1000.0, 1000.0));
}

#[test]
fn a_hypervisor_that_was_silent_for_hours_finds_its_accounts_again() {
    let mut r = Room::new(1, Idle::None, None);
    let both = |a: f64, b: f64| vec![vm("a-1", 1, Some(a), 1, 1), vm("b-1", 2, Some(b), 1, 1)];
    for s in (0..=20_020).step_by(20) {
        let s = f64::from(s);
        r.power("pdu0", s, 100.0);
        match s {
            0.0 => r.sample(0, usage(s, None, both(0.0, 1e6))),
            20.0 => r.sample(0, usage(s, None, both(10.0, 1e6))),
            20_000.0 => r.sample(0, usage(s, None, both(1000.0, 1e6))),
            20_020.0 => r.sample(0, usage(s, None, both(1010.0, 1e6))),
            _ => {}
        }
        r.settle(s);
    }
    assert_eq!(r.ledger.hosts()[0].departed(), Microjoules::ZERO, "nobody was seen to leave");
    assert_eq!(r.joules(0, "b-1").1, 0.0, "a long life is not an interval's work");
    assert!(r.joules(0, "a-1").1 >= 4000.0, "{:?}", r.joules(0, "a-1"));
}

#[test]
fn a_vm_that_changes_hands_and_comes_back_goes_on_counting() {
    let mut r = Room::new(1, Idle::None, None);
    let owned = |project: &str, cpu: f64| {
        let mut v = vm("x", 1, Some(1e6 + cpu), 1, 1);
        v.info = Arc::new(WorkloadInfo { project_id: ProjectId::new(project).ok(), ..(*v.info).clone() });
        v
    };
    for (n, owner) in ["a", "a", "b", "a"].into_iter().enumerate() {
        let s = n as f64 * 10.0;
        r.power("pdu0", s, 100.0);
        r.sample(0, usage(s, None, vec![owned(owner, s), vm("y", 2, Some(s), 1, 1)]));
        r.settle(s);
    }
    let host = &r.ledger.hosts()[0];
    let of = |project: &str| {
        host.workloads()
            .find(|w| w.info().id.as_str() == "x" && w.project().as_str() == project)
            .map(|w| w.total().joules())
    };
    assert_eq!((of("a"), of("b")), (Some(1000.0), Some(500.0)));
    assert_eq!(host.departed(), Microjoules::ZERO);
}

#[test]
fn a_hypervisor_that_invents_guests_fills_no_memory_and_loses_no_joule() {
    let mut r = Room::new(1, fixed(50.0), None);
    for n in 0..8u32 {
        let s = f64::from(n) * 10.0;
        r.power("pdu0", s, 100.0);
        let invented = (0..3000).map(|i| vm(&format!("{i}-{n}"), 1, Some(s), 1, 1));
        r.sample(0, usage(s, None, invented.chain([vm("a-1", 1, Some(s), 1, 1)]).collect()));
        r.settle(s);
    }
    let host = &r.ledger.hosts()[0];
    assert_eq!(host.workloads().count(), 10_000);
    assert_eq!(r.host_joules(0, Method::Measured), 7000.0);
    assert!(host.departed() > Microjoules::ZERO);
    assert!(host.workloads().any(|w| w.info().id.as_str() == "a-1" && host.is_present(w)));
    // More at once than there is room for: those without an account are the hypervisor's.
    let crowd = (0..12_000).map(|i| vm(&format!("c-{i}"), 1, Some(1.0), 1, 1)).collect();
    r.power("pdu0", 80.0, 100.0);
    r.sample(0, usage(80.0, None, crowd));
    r.settle(80.0);
    assert_eq!(r.ledger.hosts()[0].workloads().count(), 10_000);
    assert_eq!(r.host_joules(0, Method::Measured), 8000.0);
}

#[test]
fn a_hypervisor_that_is_asked_every_ten_minutes_is_not_taken_for_silent() {
    let mut r = Room::new(1, Idle::None, None);
    r.usage = UsageLog::new(vec![SourceSettings { stale_after: Duration::from_secs(1800), ..source(0) }]);
    for s in (0..=1200).step_by(10) {
        let s = f64::from(s);
        r.power("pdu0", s, 100.0);
        if s % 600.0 == 0.0 {
            r.sample(0, usage(s, Some(s), vec![vm("a-1", 1, Some(s), 1, 1)]));
        }
        r.settle(s);
    }
    assert_eq!(r.joules(0, "a-1").1, 120_000.0);
    assert!(r.ledger.hosts()[0].is_heard(at(3000.0)) && !r.ledger.hosts()[0].is_heard(at(3001.0)));
}

#[test]
fn a_workload_that_could_not_be_asked_holds_what_it_held_and_is_caught_up() {
    let mut r = Room::new(1, fixed(100.0), None);
    for s in 0..=3 {
        r.power("pdu0", f64::from(s) * 10.0, 200.0);
    }
    let unknown = Workload { state: None, cpu: None, vcpus: 0, memory_bytes: 0, ..vm("a-1", 1, None, 0, 0) };
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(0.0), 10, 40), vm("b-1", 2, Some(0.0), 0, 0)]));
    r.sample(0, usage(10.0, None, vec![unknown, vm("b-1", 2, Some(5.0), 0, 0)]));
    r.settle(10.0);
    assert_eq!(r.joules(0, "a-1"), (1000.0, 0.0));
    r.sample(0, usage(20.0, None, vec![vm("a-1", 1, Some(10.0), 10, 40), vm("b-1", 2, Some(10.0), 0, 0)]));
    r.settle(20.0);
    assert_eq!(r.joules(0, "a-1"), (2000.0, 500.0), "10 s over 20 s are 5 s of this interval, as b's");
}

#[test]
fn a_vm_without_metadata_belongs_to_whom_the_rule_says_or_to_nobody() {
    let mut r = Room::new(1, Idle::None, None);
    r.power("pdu0", 0.0, 100.0);
    r.power("pdu0", 10.0, 100.0);
    let nameless = |id: &str, domain: &str, cpu: f64| {
        let mut v = vm(id, 1, Some(cpu), 1, 1);
        v.info = Arc::new(WorkloadInfo { project_id: None, domain: domain.into(), ..(*v.info).clone() });
        v
    };
    r.sample(0, usage(0.0, None, vec![nameless("x", "db-7", 0.0), nameless("y", "odd", 0.0)]));
    r.sample(0, usage(10.0, None, vec![nameless("x", "db-7", 3.0), nameless("y", "odd", 1.0)]));
    r.settle(10.0);
    let charged: Vec<_> = r
        .ledger
        .tenants()
        .iter()
        .map(|((_, p), t)| (p.as_str(), t.name.as_str(), t.energy.measured.joules()))
        .collect();
    assert_eq!(charged, [("atlas", "Atlas", 750.0), ("unassigned", "", 250.0)]);
}

#[test]
fn a_facility_point_counts_from_its_first_reading() {
    let mut r = Room::new(1, Idle::None, None);
    assert_eq!(r.ledger.facility()[0].energy(), None);
    for s in [0.0, 10.0, 20.0] {
        r.power("pdu0", s, 1000.0);
        r.settle(s);
    }
    assert_eq!(r.ledger.facility()[0].energy().map(Microjoules::joules), Some(20_000.0));
    assert_eq!(r.ledger.facility()[0].power(&r.store, at(20.0)).map(Watts::get), Some(1000.0));
}

#[test]
fn a_facility_point_says_how_long_it_did_not_know() {
    let mut r = Room::new(1, Idle::None, None);
    for s in [0.0, 10.0] {
        r.power("pdu0", s, 1000.0);
        r.settle(s);
    }
    let unmeasured = |r: &Room| r.ledger.facility()[0].unmeasured();
    assert_eq!(unmeasured(&r), Some(Duration::ZERO));
    r.settle(40.0);
    assert_eq!(unmeasured(&r), Some(Duration::ZERO), "it may still tell");
    r.settle(100.0);
    assert_eq!(unmeasured(&r), Some(Duration::from_secs(60)), "10 s to 70 s: as late as patience allows");
    for s in [110.0, 120.0] {
        r.power("pdu0", s, 1000.0);
        r.settle(s);
    }
    assert_eq!(unmeasured(&r), Some(Duration::from_secs(100)));
    assert_eq!(r.ledger.facility()[0].energy().map(Microjoules::joules), Some(20_000.0));
}

/// What may happen in a room in one second.
#[derive(Debug, Clone)]
enum Event {
    Power(usize, bool, f64),
    Sample(usize, Option<u32>, Vec<(u8, u32, u32, Option<u64>)>),
    Wait(u64),
    Settle,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let vms = prop::collection::vec((0u8..6, 0u32..3, 0u32..16, prop::option::of(0u64..100 * SECOND)), 0..6);
    let event = prop_oneof![
        3 => (0usize..2, any::<bool>(), 0.0f64..900.0).prop_map(|(h, pdu, w)| Event::Power(h, pdu, w)),
        3 => (0usize..2, prop::option::of(0u32..1000), vms).prop_map(|(h, b, v)| Event::Sample(h, b, v)),
        1 => (0u64..90).prop_map(Event::Wait),
        2 => Just(Event::Settle),
    ];
    prop::collection::vec(event, 1..120)
}

proptest! {
    #[test]
    fn whatever_happens_the_books_balance_and_nothing_falls(events in events(), learned in any::<bool>(), rated in any::<bool>()) {
        let idle = if learned { Idle::Learned } else { fixed(70.0) };
        let mut r = Room::new(2, idle, rated.then_some(500.0));
        let (mut now, mut last) = (1.0, vec![Microjoules::ZERO; 2]);
        for event in events {
            now += 1.0;
            match event {
                Event::Power(h, pdu, w) => r.power(&format!("{}{h}", if pdu { "pdu" } else { "bmc" }), now, w),
                Event::Wait(s) => now += s as f64,
                Event::Settle => r.settle(now),
                Event::Sample(h, busy, vms) => {
                    let mut list: Vec<Workload> = Vec::new();
                    for (id, run, vcpus, cpu) in vms {
                        let id = format!("{}-{id}", if id % 2 == 0 { "a" } else { "b" });
                        if list.iter().all(|w| w.info.id.as_str() != id) {
                            list.push(vm(&id, run, cpu.map(|c| c as f64 / 1e9), vcpus, u64::from(vcpus)));
                        }
                    }
                    r.sample(h, usage(now, busy.map(f64::from), list));
                }
            }
            for (h, before) in last.iter_mut().enumerate() {
                let energy = r.ledger.hosts()[h].energy();
                let total = energy.measured + energy.rated;
                prop_assert!(total >= *before);
                *before = total;
            }
        }
        r.settle(now + 1000.0);
    }

    #[test]
    fn the_order_of_a_sample_changes_nothing(cpus in prop::collection::vec(0u64..50, 2..9), turn in 1usize..8) {
        let run = |turned: bool| {
            let mut r = Room::new(1, fixed(50.0), None);
            for s in [0.0, 10.0] {
                r.power("pdu0", s, 333.333);
            }
            let list = |scale: f64| {
                let mut v: Vec<_> = cpus.iter().enumerate()
                    .map(|(i, c)| vm(&format!("a-{i}"), 1, Some(*c as f64 * scale), [1, 2, 3][i % 3], 2)).collect();
                if turned { let n = v.len(); v.rotate_left(turn % n); }
                v
            };
            r.sample(0, usage(0.0, None, list(0.0)));
            r.sample(0, usage(10.0, None, list(0.1)));
            r.settle(10.0);
            (0..cpus.len()).map(|i| r.joules(0, &format!("a-{i}"))).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(false), run(true));
    }
}

#[test]
fn a_hosts_error_is_that_of_its_feeds_added_up() {
    let room = Room::new(1, Idle::None, None);
    let say = |meter: &str, watts: f64, accuracy: Option<(f64, f64)>| {
        let channel = ChannelId::new("input").unwrap();
        let batch = Batch {
            channels: accuracy
                .map(|(share, step)| ChannelInfo {
                    channel: channel.clone(),
                    name: String::new(),
                    accuracy: Some(Accuracy {
                        share: Ratio::new(share).unwrap(),
                        step: Watts::new(step).unwrap(),
                    }),
                })
                .into_iter()
                .collect(),
            readings: vec![Reading::measured(channel, Measure::Power(Watts::new(watts).unwrap()))],
            ..Batch::default()
        };
        let index = room.store.find(&MeterId::new(meter).unwrap()).unwrap();
        room.store.apply(index, &batch, at(1.0));
    };
    let error = || room.ledger.hosts()[0].error_ratio(&room.store, at(1.0)).map(Ratio::get);
    assert_eq!(error(), None);
    say("pdu0", 400.0, None);
    assert_eq!(error(), None);
    // 1 % of 400 W and half of 8 W: 8 W of 400.
    say("pdu0", 400.0, Some((0.01, 8.0)));
    assert_eq!(error(), Some(0.02));
    say("pdu0", 0.0, None);
    assert_eq!(error(), None);
}
