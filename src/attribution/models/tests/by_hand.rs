//! Each model on one host, worked by hand.

use super::*;

fn share(idle: u128, dynamic: u128) -> Share {
    Share { idle: Microjoules(idle), dynamic: Microjoules(dynamic), ..Share::default() }
}

/// 1000 J, 400 of them idle; 8 vCPUs and 16 KiB over a time that makes a vCPU 100 ns. A holds 2 vCPUs and 4 KiB and used
/// half of its vCPUs, B holds 2 and 8 and used 1/8 of its, the host used 75 ns and 4 KiB.
fn divided(model: Model, rapl: Option<Rapl>) -> (Vec<Share>, u128, u128) {
    let capacity =
        Capacity { hypervisor_nanos: 75, vcpu_nanos: 800, memory_kib_nanos: 1600, hypervisor_kib_nanos: 400 };
    let claims = [claim(100, 200, 400), claim(25, 200, 800)];
    let scene = Scene { energy: Microjoules(1000), idle: Microjoules(400), rapl, capacity, claims: &claims };
    let split = divide(model, &scene);
    assert_eq!(total(&split), 1000, "{}", model.name());
    (split.shares, split.hypervisor.0, split.unallocated.0)
}

#[test]
fn idle_goes_by_reservation_and_the_rest_by_cpu_time() {
    // by vCPU: 200 J: A 2/8 = 50, B 50, rest 100. By memory: 200 J: A 4/16 = 50, B 100, rest 50.
    // dynamic 600 J by CPU 100:25, hypervisor 75: A 300, B 75, hypervisor 225.
    let wanted = (vec![share(100, 300), share(150, 75)], 225, 150);
    assert_eq!(divided(Model::IdleDynamic, None), wanted);
}

#[test]
fn cpu_time_alone_can_carry_it_all() {
    assert_eq!(divided(Model::CpuProportional, None), (vec![share(0, 500), share(0, 125)], 375, 0));
}

#[test]
fn rapl_weighs_cpu_time_against_memory() {
    // 900 J, K:D = 2:1: 600 J by CPU time 100:25:75 = 300, 75, 225; 300 J by memory 4:8:4 = 75, 150, 75; 100 J in two.
    let rapl = Some(Rapl { packages: Microjoules(40), memory: Microjoules(20) });
    let wanted = (vec![share(75 + 50, 300), share(150 + 50, 75)], 225 + 75, 0);
    assert_eq!(divided(Model::RaplWeighted, rapl), wanted);
}

#[test]
fn without_rapl_nine_tenths_go_by_cpu_time() {
    // 900 J by 100:25:75 = 450, 112.5, 337.5: the last microjoule goes to the first of equal remainders.
    let wanted = (vec![share(50, 450), share(50, 113)], 337, 0);
    assert_eq!(divided(Model::RaplWeighted, None), wanted);
    let no_memory = Some(Rapl { packages: Microjoules(40), memory: Microjoules::ZERO });
    assert_eq!(divided(Model::RaplWeighted, no_memory), wanted);
    let all_zero = Some(Rapl { packages: Microjoules::ZERO, memory: Microjoules::ZERO });
    assert_eq!(divided(Model::RaplWeighted, all_zero), wanted);
}

#[test]
fn vcpus_weigh_by_the_power_factor_at_their_utilisation() {
    // A at 50 %: 0.61 x 2 = 1.22; B at 12.5 %: 0.42 x 2 = 0.84. Of 2.06: A 0.60 at rest, 0.62 more; B 0.60 and 0.24.
    // 1000 J: 291.26, 300.97, 291.26, 116.50: one is left, for .97.
    let wanted = (vec![share(291, 301), share(291, 117)], 0, 0);
    assert_eq!(divided(Model::PowerFactorVcores, None), wanted);
}

#[test]
fn a_flat_rate_goes_by_reservation_alone() {
    // by vCPU 500 J: 125, 125, rest 250; by memory 500 J: 125, 250, rest 125.
    assert_eq!(divided(Model::Reservation, None), (vec![share(250, 0), share(375, 0)], 0, 375));
}

#[test]
fn idle_may_go_in_equal_parts() {
    assert_eq!(divided(Model::EqualIdle, None), (vec![share(200, 300), share(200, 75)], 225, 0));
}

#[test]
fn a_stopped_vm_takes_no_equal_part() {
    let claims = [claim(0, 0, 0), claim(5, 1, 1)];
    for model in [Model::EqualIdle, Model::RaplWeighted, Model::PowerFactorVcores] {
        let scene = Scene {
            energy: Microjoules(1000),
            idle: Microjoules(400),
            rapl: None,
            capacity: Capacity::default(),
            claims: &claims,
        };
        let split = divide(model, &scene);
        assert_eq!(split.shares[0], Share::default(), "{}", model.name());
        assert_eq!(split.shares[1].total(), Microjoules(1000), "{}", model.name());
    }
}

#[test]
fn bands_include_their_upper_bound_and_clamp_above_the_last() {
    for (used, factor) in
        [(0, 30), (500, 30), (501, 42), (1500, 42), (1501, 46), (5500, 61), (9500, 91), (9501, 100)]
    {
        assert_eq!(power_factor::hundredths(used, 10_000), factor, "{used}");
    }
    assert_eq!(power_factor::hundredths(20_000, 10_000), 100);
}

fn idle_dynamic(energy: u128, idle: u128, capacity: Capacity, claims: &[Claim]) -> Split {
    let scene = Scene { energy: Microjoules(energy), idle: Microjoules(idle), rapl: None, capacity, claims };
    divide(Model::IdleDynamic, &scene)
}

#[test]
fn overcommit_leaves_nothing_unallocated_and_no_share_above_the_whole() {
    let capacity = Capacity { vcpu_nanos: 4, memory_kib_nanos: 4, ..Capacity::default() };
    let s = idle_dynamic(900, 900, capacity, &[claim(0, 8, 8), claim(0, 4, 4)]);
    assert_eq!(s.shares[0].idle, Microjoules(600));
    assert_eq!(s.shares[1].idle, Microjoules(300));
    assert_eq!(s.unallocated, Microjoules::ZERO);
}

#[test]
fn without_any_cpu_time_the_dynamic_part_is_the_hypervisors() {
    let s = idle_dynamic(100, 40, Capacity::default(), &[claim(0, 1, 1)]);
    assert_eq!(s.hypervisor, Microjoules(60));
    assert_eq!(s.shares[0].idle, Microjoules(40));
}

#[test]
fn an_empty_host_is_all_rest() {
    let s = idle_dynamic(100, 40, Capacity::default(), &[]);
    assert_eq!((s.hypervisor, s.unallocated), (Microjoules(60), Microjoules(40)));
    for model in Model::ALL {
        let scene = Scene {
            energy: Microjoules(100),
            idle: Microjoules(40),
            rapl: None,
            capacity: Capacity::default(),
            claims: &[],
        };
        assert_eq!(total(&divide(model, &scene)), 100, "{}", model.name());
    }
}
