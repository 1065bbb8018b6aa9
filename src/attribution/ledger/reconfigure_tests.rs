//! Claims about a ledger whose configuration changes, or whose hosts are switched off, while it counts.

use std::time::Duration;

use crate::attribution::ledger::Method;
use crate::attribution::room::{Room, at, fixed, usage, vm};
use crate::inventory::{Feed, Idle, Inventory, Model, Tenant, Tenants};
use crate::model::{ChannelId, MeterId, ProjectId, Watts};

const ID: &str = "a-1";

/// One VM that uses half of a second a second, sampled every 10 s; the PDU says 200 W, the BMC 100 W, both half a second
/// before the sample, so that no reading falls on one.
fn ten_seconds(r: &mut Room, from: u32) {
    let begin = f64::from(from);
    for tenths in (5..=100).step_by(10) {
        let now = begin + f64::from(tenths) / 10.0;
        r.power("bmc0", now - 0.2, 100.0);
        r.power("pdu0", now, 200.0);
        r.settle(now);
    }
    r.sample(0, usage(begin + 10.0, None, vec![vm(ID, 1, Some((begin + 10.0) / 2.0), 5, 20)]));
    r.settle(begin + 10.0);
}

fn room() -> Room {
    let r = Room::new(1, fixed(50.0), None);
    r.power("bmc0", 0.0, 100.0);
    r.power("pdu0", 0.0, 200.0);
    r.sample(0, usage(0.0, None, vec![vm(ID, 1, Some(0.0), 5, 20)]));
    r
}

fn feed(name: &str) -> Feed {
    Feed::Channels(vec![(MeterId::new(name).unwrap(), ChannelId::new("input").unwrap())])
}

fn unmeasured(r: &Room) -> Duration {
    r.ledger.hosts()[0].unmeasured()
}

/// The reading after the last sample: only then is the last interval known.
fn finish(r: &mut Room, seconds: f64) {
    for meter in ["bmc0", "pdu0"] {
        r.power(meter, seconds, if meter == "bmc0" { 100.0 } else { 200.0 });
    }
    r.settle(seconds);
}

#[test]
fn a_reload_that_changes_nothing_changes_nothing() {
    let run = |reload: bool| {
        let mut r = room();
        for n in 0..4 {
            ten_seconds(&mut r, n * 10);
            if reload {
                r.reload(f64::from(n) * 10.0 + 10.2, |_| {});
            }
        }
        finish(&mut r, 41.0);
        (r.joules(0, ID), r.host_joules(0, Method::Measured), unmeasured(&r))
    };
    assert_eq!(run(true), run(false));
    assert_eq!(run(true).1, 8000.0);
}

#[test]
fn feeds_that_change_places_lose_no_second() {
    let mut r = room();
    ten_seconds(&mut r, 0);
    // The sample at 10 s still waits for the PDU, which told last at 9.5 s; so did the BMC, at 9.3 s.
    r.reload(10.2, |i| i.hosts[0].feeds.swap(0, 1));
    ten_seconds(&mut r, 10);
    finish(&mut r, 21.0);
    assert_eq!(unmeasured(&r), Duration::ZERO);
    // 9.5 s of the PDU, the rest of the BMC.
    assert_eq!(r.host_joules(0, Method::Measured), 9.5 * 200.0 + 10.5 * 100.0);
}

#[test]
fn a_feed_that_is_new_to_a_host_counts_from_its_last_reading() {
    let mut r = room();
    r.reload(0.1, |i| i.hosts[0].feeds = vec![feed("pdu0")]);
    ten_seconds(&mut r, 0);
    r.power("bmc0", 9.9, 100.0);
    r.reload(9.95, |i| i.hosts[0].feeds = vec![feed("bmc0")]);
    ten_seconds(&mut r, 10);
    finish(&mut r, 21.0);
    // The PDU told up to 9.5 s; the BMC tells since 9.9 s.
    assert_eq!(unmeasured(&r), Duration::from_millis(400));
    assert!((r.host_joules(0, Method::Measured) - (9.5 * 200.0 + 10.1 * 100.0)).abs() < 1e-3);
}

#[test]
fn a_host_left_with_its_nameplate_keeps_what_its_meters_told() {
    let mut r = room();
    ten_seconds(&mut r, 0);
    r.reload(10.2, |i| i.hosts[0].feeds = vec![Feed::Rated(Watts::new(300.0).unwrap())]);
    ten_seconds(&mut r, 10);
    r.settle(21.0);
    assert_eq!(r.host_joules(0, Method::Measured), 9.5 * 200.0);
    assert_eq!(r.host_joules(0, Method::Rated), 10.5 * 300.0);
    assert_eq!(unmeasured(&r), Duration::ZERO);
}

#[test]
fn a_feed_that_nothing_reads_any_more_is_let_go() {
    let r = room();
    let feeds: Vec<_> = ["pdu0", "bmc0"]
        .map(|m| r.store.track(&MeterId::new(m).unwrap(), &ChannelId::new("input").unwrap()).unwrap())
        .into();
    let mut r = r;
    for n in 0..10 {
        r.reload(f64::from(n), |i| i.hosts[0].feeds = vec![feed(if n % 2 == 0 { "pdu0" } else { "bmc0" })]);
    }
    // Each track that was let go gave its place to the next.
    for (feed, meter) in feeds.iter().zip(["pdu0", "bmc0"]) {
        let next = r.store.track(&MeterId::new(meter).unwrap(), &ChannelId::new("input").unwrap()).unwrap();
        assert_ne!(*feed, next);
        r.store.untrack(next);
        assert_eq!(r.store.tracked(next), None);
        assert!(r.store.tracked(*feed).is_some());
    }
}

#[test]
fn a_removed_host_comes_back_with_its_counters_and_owes_nothing_for_its_absence() {
    let mut r = room();
    ten_seconds(&mut r, 0);
    finish(&mut r, 10.4);
    let mut gone = Vec::new();
    r.reload(10.45, |i| gone = std::mem::take(&mut i.hosts));
    assert!(r.ledger.hosts().is_empty());
    ten_seconds(&mut r, 10);
    ten_seconds(&mut r, 20);
    r.reload(30.2, |i| i.hosts = gone);
    assert_eq!(r.host_joules(0, Method::Measured), 2000.0);
    assert!(r.ledger.hosts()[0].settled().is_some(), "its counters are shown at once");
    ten_seconds(&mut r, 30);
    ten_seconds(&mut r, 40);
    finish(&mut r, 51.0);
    // Samples at 0, 10 | 40, 50.
    assert_eq!(r.host_joules(0, Method::Measured), 4000.0);
    assert_eq!(unmeasured(&r), Duration::ZERO);
    assert_eq!(r.joules(0, ID).1, 2.0 * 10.0 * 150.0, "all dynamic energy of both times");
}

#[test]
fn hosts_that_come_and_go_fill_no_memory() {
    let mut r = room();
    for n in 0..1500 {
        r.reload(1.0, |i| {
            i.hosts[0].id = crate::model::HostId::new(&format!("h{n}")).unwrap();
            i.facility[0].datacenter = crate::model::DatacenterId::new(&format!("dc{n}")).unwrap();
        });
    }
    assert_eq!(r.ledger.aside.hosts.len(), 1000);
    assert_eq!(r.ledger.aside.facility.len(), 1000);
}

#[test]
fn another_model_and_another_idle_power_hold_from_the_next_interval() {
    let mut r = room();
    ten_seconds(&mut r, 0);
    finish(&mut r, 10.4);
    r.reload(10.45, |i| {
        i.hosts[0].idle = Idle::None;
        i.hosts[0].model = Model::CpuProportional;
        i.hosts[0].rack = "r7".into();
    });
    ten_seconds(&mut r, 10);
    finish(&mut r, 21.0);
    // 50 W x 10 s, half of it reserved; then nothing.
    assert_eq!(r.joules(0, ID).0, 250.0);
    assert_eq!(r.host_joules(0, Method::Measured), 4000.0);
    assert!(r.ledger.hosts()[0].info().as_str().contains("rack=\"r7\""));
}

#[test]
fn changed_rules_of_tenants_hold_from_then_on() {
    let mut r = room();
    ten_seconds(&mut r, 0);
    finish(&mut r, 10.4);
    let named = |name: &str| {
        Tenants::new(vec![Tenant {
            project_id: ProjectId::new("a").unwrap(),
            name: name.into(),
            domains: Vec::new(),
        }])
    };
    r.reload(10.45, |i: &mut Inventory| i.tenants = named("Apollo"));
    let tenant = r.ledger.tenants().values().next().unwrap();
    assert_eq!((tenant.name.as_str(), tenant.info.as_str().contains("Apollo")), ("Apollo", true));
    let workload = r.ledger.hosts()[0].workloads().next().unwrap();
    assert!(workload.info_labels().as_str().contains("project_name=\"Apollo\""));
}

#[test]
fn a_host_that_is_switched_off_counts_nothing_and_misses_nothing() {
    let mut r = room();
    ten_seconds(&mut r, 0);
    // The sample at 10 s waits for the PDU: it is of the time before.
    r.switch(0, false, 10.2);
    r.settle(10.3);
    assert_eq!(r.host_joules(0, Method::Measured), 0.0);
    ten_seconds(&mut r, 10);
    assert_eq!(r.host_joules(0, Method::Measured), 2000.0);
    ten_seconds(&mut r, 20);
    assert!(r.ledger.hosts()[0].power(&r.store, at(30.0)).is_none());
    r.switch(0, true, 34.0);
    ten_seconds(&mut r, 30);
    ten_seconds(&mut r, 40);
    finish(&mut r, 51.0);
    // To 10 s, and from the first sample after 34 s, at 40 s.
    assert_eq!(r.host_joules(0, Method::Measured), 4000.0);
    assert_eq!(r.joules(0, ID).1, 2.0 * 10.0 * 150.0);
    assert_eq!(unmeasured(&r), Duration::ZERO);
}

#[test]
fn a_host_without_a_hypervisor_is_switched_off_to_the_moment() {
    let mut r = Room::with_sources(1, Idle::None, None, 0);
    let run = |r: &mut Room, seconds: std::ops::RangeInclusive<u32>| {
        for s in seconds {
            r.power("pdu0", f64::from(s), 200.0);
            r.settle(f64::from(s));
        }
    };
    run(&mut r, 0..=10);
    r.switch(0, false, 10.5);
    run(&mut r, 11..=20);
    assert_eq!(r.host_joules(0, Method::Measured), 2100.0);
    r.switch(0, true, 20.5);
    run(&mut r, 21..=30);
    // From the first reading after 20.5 s.
    assert_eq!(r.host_joules(0, Method::Measured), 2100.0 + 1800.0);
    assert_eq!(unmeasured(&r), Duration::ZERO);
}

#[test]
fn a_host_that_is_switched_off_and_on_before_its_feed_told_loses_only_the_time_between() {
    let mut r = Room::with_sources(1, Idle::None, None, 0);
    r.power("pdu0", 0.0, 200.0);
    r.settle(0.0);
    r.switch(0, false, 4.0);
    r.settle(4.5);
    r.switch(0, true, 6.0);
    r.settle(6.5);
    for s in [10.0, 20.0] {
        r.power("pdu0", s, 200.0);
        r.settle(s);
    }
    assert_eq!(r.host_joules(0, Method::Measured), 4.0 * 200.0 + 10.0 * 200.0);
    assert_eq!(unmeasured(&r), Duration::ZERO);
}

#[test]
fn a_facility_point_goes_on_over_a_change_of_its_channels_and_over_its_absence() {
    let mut r = room();
    ten_seconds(&mut r, 0);
    let joules = |r: &Room| r.ledger.facility()[0].energy().unwrap().joules();
    assert_eq!(joules(&r), 1800.0, "first asked at 0.5 s");
    r.reload(10.0, |i| {
        let bmc = (MeterId::new("bmc0").unwrap(), ChannelId::new("input").unwrap());
        i.facility[0].channels.push(bmc);
    });
    ten_seconds(&mut r, 10);
    // Both from 9.5 s on; the BMC told last at 19.3 s.
    assert_eq!(joules(&r), 1800.0 + 9.8 * 300.0);
    let mut gone = Vec::new();
    r.reload(20.0, |i| gone = std::mem::take(&mut i.facility));
    ten_seconds(&mut r, 20);
    r.reload(30.0, |i| i.facility = gone);
    assert_eq!(joules(&r), 1800.0 + 9.8 * 300.0);
    ten_seconds(&mut r, 30);
    let unmeasured = r.ledger.facility()[0].unmeasured().unwrap();
    assert_eq!(unmeasured, Duration::ZERO);
    assert!((joules(&r) - (1800.0 + (9.8 + 9.0) * 300.0)).abs() < 1e-3, "{}", joules(&r));
}
