//! Claims about the split: exact conservation above all.

use super::*;
use proptest::prelude::*;

fn claim(cpu: u64, vcpus: u128, memory: u128) -> Claim {
    Claim { cpu_nanos: cpu, vcpu_nanos: vcpus, memory_kib_nanos: memory, resident_kib_nanos: memory }
}

fn total(s: &Split) -> u128 {
    s.shares.iter().map(|s| s.idle.0 + s.dynamic.0).sum::<u128>() + s.hypervisor.0 + s.unallocated.0
}

#[test]
fn the_last_microjoule_goes_to_the_largest_remainder() {
    // 10 over 1:1:1 is 3 1/3 each; equal remainders are served in order.
    assert_eq!(apportion(Microjoules(10), &[1, 1, 1]), [Microjoules(4), Microjoules(3), Microjoules(3)]);
    // 10 over 5:3:1 is 5.56, 3.33, 1.11: one is left, for .56.
    assert_eq!(apportion(Microjoules(10), &[5, 3, 1]), [Microjoules(6), Microjoules(3), Microjoules(1)]);
    assert_eq!(apportion(Microjoules(10), &[0, 0]), [Microjoules(0), Microjoules(0)]);
    assert_eq!(apportion(Microjoules(10), &[]), []);
}

#[test]
fn a_host_by_hand() {
    // 1000 J, 400 J idle; 8 vCPUs and 16 KiB over 1 ns. A holds 2 and 4, B holds 2 and 8.
    // by vCPU: 200 J: A 2/8 = 50, B 50, rest 100. By memory: 200 J: A 4/16 = 50, B 100, rest 50.
    // dynamic 600 J by CPU 3:1, hypervisor 2: A 300, B 100, hypervisor 200.
    let s = split(
        Microjoules(1000),
        Microjoules(400),
        Capacity { hypervisor_nanos: 2, vcpu_nanos: 8, memory_kib_nanos: 16 },
        &[claim(3, 2, 4), claim(1, 2, 8)],
    );
    assert_eq!(s.shares[0], Share { idle: Microjoules(100), dynamic: Microjoules(300) });
    assert_eq!(s.shares[1], Share { idle: Microjoules(150), dynamic: Microjoules(100) });
    assert_eq!((s.hypervisor, s.unallocated), (Microjoules(200), Microjoules(150)));
}

#[test]
fn overcommit_leaves_nothing_unallocated_and_no_share_above_the_whole() {
    let s = split(
        Microjoules(900),
        Microjoules(900),
        Capacity { hypervisor_nanos: 0, vcpu_nanos: 4, memory_kib_nanos: 4 },
        &[claim(0, 8, 8), claim(0, 4, 4)],
    );
    assert_eq!(s.shares[0].idle, Microjoules(600));
    assert_eq!(s.shares[1].idle, Microjoules(300));
    assert_eq!(s.unallocated, Microjoules::ZERO);
}

#[test]
fn without_any_cpu_time_the_dynamic_part_is_the_hypervisors() {
    let s = split(Microjoules(100), Microjoules(40), Capacity::default(), &[claim(0, 1, 1)]);
    assert_eq!(s.hypervisor, Microjoules(60));
    assert_eq!(s.shares[0].idle, Microjoules(40));
}

#[test]
fn an_empty_host_is_all_rest() {
    let s = split(Microjoules(100), Microjoules(40), Capacity::default(), &[]);
    assert_eq!((s.hypervisor, s.unallocated), (Microjoules(60), Microjoules(40)));
}

fn any_claim() -> impl Strategy<Value = Claim> {
    (any::<u64>(), 0u128..1 << 70, 0u128..1 << 100).prop_map(|(c, v, m)| claim(c, v, m))
}

fn any_capacity() -> impl Strategy<Value = Capacity> {
    (any::<u64>(), 0u128..1 << 72, 0u128..1 << 102).prop_map(|(h, v, m)| Capacity {
        hypervisor_nanos: h,
        vcpu_nanos: v,
        memory_kib_nanos: m,
    })
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        energy in 0u128..1 << 80, idle in 0u128..1 << 80, capacity in any_capacity(),
        claims in prop::collection::vec(any_claim(), 0..40),
    ) {
        let s = split(Microjoules(energy), Microjoules(idle), capacity, &claims);
        prop_assert_eq!(total(&s), energy);
        prop_assert_eq!(s.shares.len(), claims.len());
    }

    #[test]
    fn apportioning_is_exact_and_within_one(total in 0u128..1 << 64, weights in prop::collection::vec(0u128..1 << 62, 1..60)) {
        let shares = apportion(Microjoules(total), &weights);
        let sum: u128 = weights.iter().sum();
        if sum > 0 {
            prop_assert_eq!(shares.iter().map(|s| s.0).sum::<u128>(), total);
        }
        if sum > 0 && sum < 1 << 63 {
            for (s, w) in shares.iter().zip(&weights) {
                let floor = total * w / sum;
                prop_assert!(s.0 == floor || s.0 == floor + 1);
            }
        }
    }

    #[test]
    fn order_changes_a_share_by_a_microjoule_at_most(
        energy in 0u128..1 << 64, capacity in any_capacity(), claims in prop::collection::vec(any_claim(), 1..20), turn in 0usize..20,
    ) {
        let mut turned = claims.clone();
        turned.rotate_left(turn % claims.len());
        let a = split(Microjoules(energy), Microjoules(energy / 3), capacity, &claims);
        let b = split(Microjoules(energy), Microjoules(energy / 3), capacity, &turned);
        let n = claims.len();
        for i in 0..n {
            let (x, y) = (a.shares[(i + turn % n) % n], b.shares[i]);
            prop_assert!(x.dynamic.0.abs_diff(y.dynamic.0) <= 1);
            prop_assert!(x.idle.0.abs_diff(y.idle.0) <= 2);
        }
    }

    #[test]
    fn more_cpu_never_means_less_energy(
        energy in 0u128..1 << 64, claims in prop::collection::vec(any_claim(), 1..10), more in 1u64..1 << 40,
    ) {
        let mut busier = claims.clone();
        busier[0].cpu_nanos = busier[0].cpu_nanos.saturating_add(more);
        let capacity = Capacity { hypervisor_nanos: 7, ..Capacity::default() };
        let a = split(Microjoules(energy), Microjoules::ZERO, capacity, &claims);
        let b = split(Microjoules(energy), Microjoules::ZERO, capacity, &busier);
        prop_assert!(b.shares[0].dynamic.0 + 1 >= a.shares[0].dynamic.0);
    }

    #[test]
    fn two_halves_get_what_the_whole_got(energy in 0u128..1 << 64, half in 0u64..1 << 55, others in prop::collection::vec(0u64..1 << 55, 0..10)) {
        let others: Vec<Claim> = others.into_iter().map(|cpu| claim(cpu, 0, 0)).collect();
        let with = |parts: &[Claim]| {
            let claims: Vec<Claim> = parts.iter().chain(&others).copied().collect();
            split(Microjoules(energy), Microjoules::ZERO, Capacity { hypervisor_nanos: 1, ..Capacity::default() }, &claims)
        };
        let whole = with(&[claim(half * 2, 0, 0)]).shares[0].dynamic.0;
        let halves = with(&[claim(half, 0, 0), claim(half, 0, 0)]);
        let sum = halves.shares[0].dynamic.0 + halves.shares[1].dynamic.0;
        prop_assert!(sum.abs_diff(whole) <= 2);
    }
}
