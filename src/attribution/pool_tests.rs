//! Claims about clusters whose hosts' energy is pooled.

use std::time::Duration;

use crate::attribution::ledger::Method;
use crate::attribution::room::{Room, at, usage, vm};
use crate::inventory::{Idle, Model, Pool};
use crate::model::Microjoules;

/// Two hosts of one cluster.
fn room() -> Room {
    let mut r = Room::new(2, Idle::Learned, None);
    r.pooled = true;
    r.reload(0.0, |inventory| {
        for host in &mut inventory.hosts {
            (host.pool, host.model) = (Pool::Cluster, Model::PowerFactorVcores);
            host.cluster = "c1".into();
        }
    });
    r
}

/// What a VM was given, J, on whichever host.
fn joules(r: &Room, id: &str) -> f64 {
    let accounts = r.ledger.hosts().iter().flat_map(|h| h.workloads());
    accounts.filter(|w| w.info().id.as_str() == id).map(|w| w.total()).sum::<Microjoules>().joules()
}

#[test]
fn a_clusters_joules_are_divided_over_all_its_vms_by_vcpus_and_power_factor() {
    let mut r = room();
    for s in [0.0, 10.0] {
        r.power("pdu0", s, 100.0);
        r.power("pdu1", s, 300.0);
        // On h0 one idle VM of 4 vCPUs; on h1 one of 4 vCPUs at half load, and one of 2 at full.
        r.sample(0, usage(s, None, vec![vm("a-1", 1, Some(0.0), 4, 4)]));
        let busy = vec![vm("b-1", 1, Some(s * 2.0), 4, 4), vm("c-1", 1, Some(s * 2.0), 2, 4)];
        r.sample(1, usage(s, None, busy));
    }
    r.settle(10.0);
    // 4000 J over 4 x 0.30 + 4 x 0.61 + 2 x 1.00 = 5.64.
    for (id, weight) in [("a-1", 1.2), ("b-1", 2.44), ("c-1", 2.0)] {
        assert!((joules(&r, id) - 4000.0 * weight / 5.64).abs() < 1e-5, "{id}");
    }
    assert_eq!((r.host_joules(0, Method::Measured), r.host_joules(1, Method::Measured)), (1000.0, 3000.0));
}

#[test]
fn a_round_waits_for_every_host_and_not_for_ever() {
    let mut r = room();
    for s in 0..=400 {
        r.power("pdu0", f64::from(s), 100.0);
        r.power("pdu1", f64::from(s), 100.0);
        if s % 10 == 0 {
            r.sample(0, usage(f64::from(s), None, vec![vm("a-1", 1, Some(0.0), 4, 4)]));
        }
        if s == 0 {
            r.sample(1, usage(0.0, None, vec![vm("b-1", 1, Some(0.0), 4, 4)]));
        }
        r.settle(f64::from(s));
        if s == 200 {
            assert_eq!(r.host_joules(0, Method::Measured), 0.0, "h1 may still tell");
            assert_eq!(r.ledger.hosts()[0].settled(), Some(at(0.0)), "no further than where it began");
        }
    }
    assert!(r.host_joules(0, Method::Measured) >= 29_000.0);
    assert!(joules(&r, "a-1") >= 29_000.0);
}

#[test]
fn a_host_that_is_switched_off_or_removed_holds_no_round_up() {
    for removed in [false, true] {
        let mut r = room();
        for s in [0.0, 10.0, 20.0, 30.0] {
            if s == 20.0 {
                r.settle(15.0);
                if removed {
                    r.reload(15.0, |inventory| inventory.hosts.truncate(1));
                } else {
                    r.switch(1, false, 15.0);
                }
            }
            for host in [0, 1] {
                r.power(&format!("pdu{host}"), s, 100.0);
                r.sample(host, usage(s, None, vec![vm(&format!("a-{host}"), 1, Some(0.0), 4, 4)]));
            }
            r.settle(s);
        }
        assert_eq!(r.host_joules(0, Method::Measured), 3000.0);
        assert_eq!(joules(&r, "a-0"), 500.0 * 2.0 + 2000.0);
    }
}

#[test]
fn energy_of_a_cluster_without_vms_stays_with_its_hosts() {
    let mut r = room();
    for s in [0.0, 10.0] {
        r.power("pdu0", s, 100.0);
        r.power("pdu1", s, 300.0);
        r.sample(0, usage(s, None, vec![]));
        r.sample(1, usage(s, None, vec![]));
    }
    r.settle(10.0);
    let unallocated = |host: usize| r.ledger.hosts()[host].overhead().measured.unallocated.joules();
    assert_eq!((unallocated(0), unallocated(1)), (1000.0, 3000.0));
}

#[test]
fn a_vm_whose_hosts_energy_nobody_knows_takes_nothing_from_the_others() {
    let mut r = room();
    for s in 0..=100 {
        r.power("pdu0", f64::from(s), 100.0);
        if s == 0 {
            r.power("pdu1", 0.0, 100.0);
        }
        if s % 10 == 0 {
            r.sample(0, usage(f64::from(s), None, vec![vm("a-0", 1, Some(0.0), 4, 4)]));
            r.sample(1, usage(f64::from(s), None, vec![vm("a-1", 1, Some(0.0), 4, 4)]));
        }
        r.settle(f64::from(s));
    }
    assert_eq!(joules(&r, "a-1"), 0.0);
    assert!(joules(&r, "a-0") > 5000.0);
    assert!(r.ledger.hosts()[1].unmeasured() >= Duration::from_secs(60));
}
