//! What holds for every model, whatever the claims: the sum above all.

use proptest::prelude::*;

use super::*;

/// An interval of 10 s, ns.
const TIME: u128 = 10_000_000_000;

fn any_model() -> impl Strategy<Value = Model> {
    prop::sample::select(Model::ALL.to_vec())
}

/// Anything that fits in the types.
fn wild_claim() -> impl Strategy<Value = Claim> {
    (any::<u64>(), 0u128..1 << 120, any::<u128>(), any::<u128>()).prop_map(
        |(cpu, vcpus, memory, resident)| Claim {
            cpu_nanos: cpu,
            vcpu_nanos: vcpus,
            memory_kib_nanos: memory,
            resident_kib_nanos: resident,
            ..Claim::default()
        },
    )
}

fn wild_capacity() -> impl Strategy<Value = Capacity> {
    (any::<u64>(), any::<u128>(), any::<u128>(), any::<u128>()).prop_map(|(cpu, vcpus, memory, own)| {
        Capacity {
            hypervisor_nanos: cpu,
            vcpu_nanos: vcpus,
            memory_kib_nanos: memory,
            hypervisor_kib_nanos: own,
        }
    })
}

/// A VM as they are: an even number of vCPUs and KiB, so that it can be halved, and no more CPU time than its vCPUs have.
fn vm() -> impl Strategy<Value = Claim> {
    (1u128..33, 0u64..=10_000, 0u128..1 << 27, 0u128..=100).prop_map(|(pairs, used, memory, resident)| {
        let vcpus = 2 * pairs * TIME;
        let cpu = u64::try_from(vcpus).unwrap() / 10_000 * used;
        let memory_kib_nanos = 200 * memory * TIME;
        Claim {
            cpu_nanos: cpu - cpu % 2,
            vcpu_nanos: vcpus,
            memory_kib_nanos,
            resident_kib_nanos: memory_kib_nanos / 100 * resident,
            ..Claim::default()
        }
    })
}

fn host() -> impl Strategy<Value = Capacity> {
    (1u64..1 << 40, 0u128..512, 0u128..1 << 32, 0u128..1 << 30).prop_map(|(cpu, vcpus, memory, own)| {
        Capacity {
            hypervisor_nanos: cpu,
            vcpu_nanos: vcpus * TIME,
            memory_kib_nanos: memory * TIME,
            hypervisor_kib_nanos: own * TIME,
        }
    })
}

fn any_rapl() -> impl Strategy<Value = Option<Rapl>> {
    let counted = (0u128..1 << 40, 0u128..1 << 40);
    prop::option::of(
        counted.prop_map(|(packages, memory)| Rapl {
            packages: Microjoules(packages),
            memory: Microjoules(memory),
        }),
    )
}

/// A host's interval that owns its claims.
#[derive(Debug, Clone)]
struct Case {
    energy: u128,
    idle: u128,
    rapl: Option<Rapl>,
    capacity: Capacity,
    claims: Vec<Claim>,
}

impl Case {
    fn divide(&self, model: Model) -> Split {
        let scene = Scene {
            energy: Microjoules(self.energy),
            idle: Microjoules(self.idle),
            rapl: self.rapl,
            capacity: self.capacity,
            claims: &self.claims,
        };
        divide(model, &scene)
    }
}

fn case() -> impl Strategy<Value = Case> {
    (0u128..1 << 40, 0u128..1 << 40, any_rapl(), host(), prop::collection::vec(vm(), 1..12))
        .prop_map(|(energy, idle, rapl, capacity, claims)| Case { energy, idle, rapl, capacity, claims })
}

/// Within as many microjoules as there are terms that round.
fn near(a: Microjoules, b: Microjoules) -> bool {
    a.0.abs_diff(b.0) <= 3
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        model in any_model(), energy in any::<u64>(), scale in 0u32..40, idle in any::<u128>(),
        capacity in wild_capacity(), rapl in any_rapl(), claims in prop::collection::vec(wild_claim(), 0..40),
    ) {
        let energy = u128::from(energy) << scale;
        let case = Case { energy, idle, rapl, capacity, claims };
        let split = case.divide(model);
        prop_assert_eq!(total(&split), energy);
        prop_assert_eq!(split.shares.len(), case.claims.len());
    }

    #[test]
    fn equal_claims_get_equal_shares(model in any_model(), mut case in case()) {
        case.claims.insert(0, case.claims[case.claims.len() - 1]);
        let split = case.divide(model);
        let (first, last) = (split.shares[0], split.shares[case.claims.len() - 1]);
        prop_assert!(near(first.idle, last.idle) && near(first.dynamic, last.dynamic));
    }

    #[test]
    fn order_changes_nothing_but_the_rounding(model in any_model(), case in case(), turn in 0usize..12) {
        let turn = turn % case.claims.len();
        let mut turned = case.clone();
        turned.claims.rotate_left(turn);
        let (a, mut b) = (case.divide(model), turned.divide(model));
        b.shares.rotate_right(turn);
        for (x, y) in a.shares.iter().zip(&b.shares) {
            prop_assert!(near(x.idle, y.idle) && near(x.dynamic, y.dynamic));
        }
    }

    #[test]
    fn more_cpu_time_never_means_less_energy(model in any_model(), case in case(), more in 0u64..1 << 40) {
        let mut busier = case.clone();
        busier.claims[0].cpu_nanos += more;
        let (a, b) = (case.divide(model).shares[0], busier.divide(model).shares[0]);
        prop_assert!(b.total().0 + 3 >= a.total().0);
        prop_assert!(b.dynamic.0 + 3 >= a.dynamic.0);
    }

    #[test]
    fn a_thousand_times_the_energy_gives_a_thousand_times_the_shares(model in any_model(), case in case()) {
        let mut larger = case.clone();
        larger.energy *= 1000;
        larger.idle *= 1000;
        let (a, b) = (case.divide(model), larger.divide(model));
        for (x, y) in a.shares.iter().zip(&b.shares) {
            prop_assert!(y.idle.0.abs_diff(1000 * x.idle.0) <= 3003);
            prop_assert!(y.dynamic.0.abs_diff(1000 * x.dynamic.0) <= 3003);
        }
    }

    #[test]
    fn two_halves_use_what_the_whole_used(model in any_model(), case in case()) {
        let mut halved = case.clone();
        let whole = halved.claims[0];
        let half = Claim {
            cpu_nanos: whole.cpu_nanos / 2,
            vcpu_nanos: whole.vcpu_nanos / 2,
            memory_kib_nanos: whole.memory_kib_nanos / 2,
            resident_kib_nanos: whole.resident_kib_nanos / 2,
            cycles: None,
        };
        halved.claims[0] = half;
        halved.claims.insert(0, half);
        let (a, b) = (case.divide(model), halved.divide(model));
        let halves = b.shares[0].dynamic + b.shares[1].dynamic;
        prop_assert!(a.shares[0].dynamic.0.abs_diff(halves.0) <= 6);
    }

    /// But for power factors, by which a VM at rest weighs 0.30 of its vCPUs: there it takes from all others alike.
    #[test]
    fn a_vm_at_rest_changes_idle_parts_only(model in any_model(), case in case(), rest in vm()) {
        let mut joined = case.clone();
        joined.claims.push(Claim { cpu_nanos: 0, ..rest });
        let (a, mut b) = (case.divide(model), joined.divide(model));
        let newcomer = b.shares.pop().unwrap();
        prop_assert_eq!(newcomer.dynamic, Microjoules::ZERO);
        if model == Model::PowerFactorVcores {
            let kept = |of: Share| (of.idle.0.saturating_mul(case.energy), of.dynamic.0.saturating_mul(case.energy));
            let left = case.energy - newcomer.idle.0;
            for (x, y) in a.shares.iter().zip(&b.shares) {
                let (idle, dynamic) = kept(*y);
                prop_assert!(idle.abs_diff(x.idle.0 * left) <= 4 * case.energy);
                prop_assert!(dynamic.abs_diff(x.dynamic.0 * left) <= 4 * case.energy);
            }
        } else {
            let memory_was_known = case.rapl.is_none() || case.claims.iter().any(|c| c.resident_kib_nanos > 0);
            for (x, y) in a.shares.iter().zip(&b.shares).filter(|_| memory_was_known) {
                prop_assert!(near(x.dynamic, y.dynamic));
            }
        }
    }
}
