//! The world against itself: power against energy, parts against the whole.

use super::*;

/// What the grid feeds.
const PARTS: [Point; 3] = [Point::UpsIn, Point::Cooling, Point::Lighting];
const MOMENTS: [f64; 5] = [0.5, 17.25, 61.0, 119.9, 3600.0];

#[test]
fn the_parts_of_a_host_are_its_joules() {
    for seed in [1, 7, 42] {
        let world = World::new(seed);
        for t in MOMENTS {
            for (name, host) in world.truth(t).hosts {
                let parts = host.vm_joules + host.hypervisor_joules + host.unallocated_joules;
                assert!(
                    (parts - host.joules).abs() <= 1e-9 * host.joules,
                    "{name} at {t}: {parts} != {}",
                    host.joules
                );
                assert!(host.unallocated_joules >= 0.0, "{name} is overbooked");
            }
        }
    }
}

#[test]
fn tenants_and_vms_add_up() {
    let truth = World::new(3).truth(500.0);
    let vms: f64 = truth.vms.values().map(VmTruth::joules).sum();
    let tenants: f64 = truth.tenants.values().sum();
    let hosts: f64 = truth.hosts.values().map(|h| h.vm_joules).sum();
    assert!((vms - tenants).abs() < 1e-6 && (vms - hosts).abs() < 1e-6);
    assert_eq!(truth.tenants.len(), 4);
}

#[test]
fn energy_is_the_integral_of_power() {
    let world = World::new(11);
    // Midpoints of 10 ms over 200 s. A step that falls inside one costs at most its height times 5 ms.
    let mut sums = [0.0f64; 6];
    for i in 0..20_000 {
        let t = (f64::from(i) + 0.5) / 100.0;
        sums[0] += world.host_watts(3, t) / 100.0;
        sums[1] += world.pdu_watts(Side::B, t) / 100.0;
        sums[2] += world.building(Point::Utility, t).watts / 100.0;
        for (sum, point) in sums[3..].iter_mut().zip(PARTS) {
            *sum += world.building(point, t).watts / 100.0;
        }
    }
    let mut exact = vec![world.host_joules(3, 200.0), world.pdu_joules(Side::B, 200.0)];
    exact.extend([Point::Utility, PARTS[0], PARTS[1], PARTS[2]].map(|p| world.building(p, 200.0).joules));
    for (sum, exact) in sums.iter().zip(exact) {
        assert!((sum - exact).abs() < 1e-5 * exact, "{sum} != {exact}");
    }
}

#[test]
fn counters_never_fall_within_a_run_and_hosts_are_never_overloaded() {
    let world = World::new(5);
    let mut joules = vec![0.0; world.hosts().len()];
    let mut runs = std::collections::HashMap::new();
    for i in 0..3000 {
        let t = f64::from(i) * 0.1;
        for (h, host) in world.hosts().iter().enumerate() {
            assert!(world.host_joules(h, t) >= joules[h]);
            joules[h] = world.host_joules(h, t);
            assert!(world.host_cpus(h, t) < f64::from(host.cpus) && world.host_cpus(h, t) > 0.0);
            for vm in world.vms() {
                if let Some(run) = vm.run(h, t) {
                    let last = runs.insert((vm.domain.clone(), run.id, h), run.cpu_seconds).unwrap_or(0.0);
                    assert!(run.cpu_seconds >= last, "{} fell", vm.name);
                }
            }
        }
    }
}

#[test]
fn every_vm_runs_in_one_place_at_most_and_the_special_ones_do_what_they_should() {
    let world = World::new(2);
    let vm = |name: &str| world.vms().iter().find(|v| v.name == name).unwrap();
    let runs_on = |name: &str, t: f64| (0..6).filter(|&h| vm(name).run(h, t).is_some()).collect::<Vec<_>>();
    assert!(runs_on("archive", 100.0).is_empty());
    assert!(world.knows(1, vm("archive"), 100.0));
    assert_eq!(
        (runs_on("batch", 2.0), runs_on("batch", 20.0), runs_on("batch", 50.0)),
        (vec![], vec![2], vec![])
    );
    assert_eq!(
        (runs_on("nomad", 10.0), runs_on("nomad", 80.0), runs_on("nomad", 130.0)),
        (vec![3], vec![4], vec![3])
    );
    assert!(!world.knows(3, vm("nomad"), 80.0) && world.knows(4, vm("nomad"), 80.0));
    assert!(vm("batch").run(2, 20.0).unwrap().id != vm("batch").run(2, 80.0).unwrap().id);
    for i in 0..600 {
        let t = f64::from(i) * 0.5;
        for v in world.vms() {
            assert!((0..8).filter(|&h| v.run(h, t).is_some()).count() <= 1);
        }
    }
}

#[test]
fn a_seed_is_a_world_and_its_pue_is_a_good_one() {
    assert_eq!(World::new(9).truth(77.0), World::new(9).truth(77.0));
    assert_ne!(World::new(9).truth(77.0), World::new(10).truth(77.0));
    let mut seen = Vec::new();
    for i in 0..300 {
        let world = World::new(9);
        let pue = world.building(Point::Utility, f64::from(i)).watts / world.it_watts(f64::from(i));
        assert!((1.3..1.5).contains(&pue), "{pue}");
        seen.push(pue);
    }
    assert!(seen.iter().copied().fold(0.0, f64::max) - seen.iter().copied().fold(9.0, f64::min) > 0.02);
}

#[test]
fn the_building_is_the_sum_of_its_parts_and_the_ups_loses_some_percent() {
    let world = World::new(1);
    for t in MOMENTS {
        let at = |point| world.building(point, t);
        let parts = PARTS.into_iter().map(at);
        let (watts, joules) = parts.fold((0.0, 0.0), |sum, part| (sum.0 + part.watts, sum.1 + part.joules));
        let utility = at(Point::Utility);
        assert!((utility.watts - watts).abs() < 1e-9 && (utility.joules - joules).abs() < 1e-9 * joules);
        let out = at(Point::UpsOut).watts;
        assert!((out - world.pdu_watts(Side::A, t) - world.pdu_watts(Side::B, t)).abs() < 1e-9);
        // 1.5 % of what passes, and 40 W.
        assert!((at(Point::UpsIn).watts - out - (0.015 * out + 40.0)).abs() < 1e-9);
        assert!((0.94..0.98).contains(&(out / at(Point::UpsIn).watts)));
        assert!(at(Point::Cooling).watts > 0.15 * world.it_watts(t));
    }
}
