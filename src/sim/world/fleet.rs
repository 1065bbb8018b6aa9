//! What stands in the simulated data centre: hosts, VMs and tenants, drawn from a seed. Only plain data and how it is
//! drawn; how it behaves over time is in `mod.rs`.

use super::curve::{Curve, Step, Wave};

/// An owner of VMs, as Nova's metadata names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// OpenStack project id: 32 hexadecimal digits.
    pub project_id: String,
    /// Project name.
    pub name: &'static str,
    /// The user who creates its VMs.
    pub user: &'static str,
}

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs VMs.
    Compute,
    /// Holds disks.
    Storage,
    /// Runs the control plane.
    Management,
}

impl Role {
    /// The word in the configuration's `component`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Storage => "storage",
            Self::Management => "management",
        }
    }
}

/// A physical server. Its draw is `idle_watts` plus `watts_per_cpu` for each logical CPU in use.
#[derive(Debug, Clone)]
pub struct Host {
    /// Name, unique.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// `r1` or `r2`.
    pub rack: &'static str,
    /// The outlet it hangs on, the same number on both PDUs, from 1.
    pub outlet: u32,
    /// Logical CPUs.
    pub cpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Draw without any load, W.
    pub idle_watts: f64,
    /// Further draw of one logical CPU in use, W.
    pub watts_per_cpu: f64,
    /// Share of the draw that the A side's power supply carries; the B side carries the rest.
    pub a_share: f64,
    /// What the host itself uses, apart from VMs.
    pub(super) own: Curve,
}

/// Where a VM stays during a part of its cycle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stay {
    /// Index of the host.
    pub host: usize,
    /// Start within the cycle, seconds.
    pub from: f64,
    /// End within the cycle, seconds.
    pub to: f64,
}

/// A virtual machine.
#[derive(Debug, Clone)]
pub struct Vm {
    /// UUID, lower case with dashes.
    pub uuid: String,
    /// The hypervisor's name: `instance-0000002a`.
    pub domain: String,
    /// The owner's name.
    pub name: String,
    /// Index of its tenant.
    pub tenant: usize,
    /// Flavor name.
    pub flavor: &'static str,
    /// vCPUs.
    pub vcpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Index of the host whose hypervisor knows it while it runs nowhere.
    pub home: usize,
    pub(super) load: Curve,
    /// Length of the cycle of `stays`, seconds; infinite for a VM that never stops.
    pub(super) cycle_seconds: f64,
    pub(super) stays: Vec<Stay>,
}

/// A small deterministic generator (SplitMix64): the world needs repeatable variety, not secrets.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Even between `low` and `high`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept, which an f64 holds exactly")]
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.bits() >> 11) as f64 / (1u64 << 53) as f64)
    }

    fn uuid(&mut self) -> String {
        let (a, b) = (self.bits(), self.bits());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    }
}

/// The four tenants.
pub(super) fn tenants(dice: &mut Dice) -> Vec<Tenant> {
    [("atlas", "ada"), ("borealis", "bo"), ("cassini", "cleo"), ("delta", "dev")]
        .into_iter()
        .map(|(name, user)| Tenant { project_id: dice.uuid().replace('-', ""), name, user })
        .collect()
}

/// Six hypervisors, a storage server and a controller, four to a rack.
pub(super) fn hosts(dice: &mut Dice) -> Vec<Host> {
    let mut hosts: Vec<Host> = (1..=6)
        .map(|n| Host {
            name: format!("compute-{n}"),
            role: Role::Compute,
            rack: if n <= 4 { "r1" } else { "r2" },
            outlet: n,
            cpus: 32,
            memory_mib: 256 * 1024,
            idle_watts: dice.between(110.0, 160.0).round(),
            watts_per_cpu: dice.between(4.5, 6.5),
            a_share: dice.between(0.46, 0.54),
            own: Curve { mean_cpus: dice.between(0.3, 0.6), waves: vec![wave(dice, 0.2)], step: None },
        })
        .collect();
    hosts.push(Host {
        name: "storage-1".into(),
        role: Role::Storage,
        rack: "r2",
        outlet: 7,
        cpus: 16,
        memory_mib: 128 * 1024,
        idle_watts: 210.0,
        watts_per_cpu: 5.0,
        a_share: dice.between(0.46, 0.54),
        own: Curve { mean_cpus: 4.0, waves: vec![wave(dice, 2.0)], step: None },
    });
    hosts.push(Host {
        name: "controller-1".into(),
        role: Role::Management,
        rack: "r2",
        outlet: 8,
        cpus: 16,
        memory_mib: 64 * 1024,
        idle_watts: 90.0,
        watts_per_cpu: 4.0,
        a_share: dice.between(0.46, 0.54),
        own: Curve { mean_cpus: 3.0, waves: vec![wave(dice, 1.0)], step: None },
    });
    hosts
}

fn wave(dice: &mut Dice, amplitude_cpus: f64) -> Wave {
    Wave {
        amplitude_cpus,
        period_seconds: dice.between(40.0, 240.0),
        phase: dice.between(0.0, std::f64::consts::TAU),
    }
}

/// Flavors: name, vCPUs, memory in MiB.
const FLAVORS: [(&str, u32, u64); 4] =
    [("m1.small", 2, 4096), ("m1.medium", 4, 8192), ("m1.large", 8, 32768), ("c1.xlarge", 12, 16384)];

/// Which flavors each hypervisor carries: 24 or fewer of 32 vCPUs, so that VMs which come and go still find room.
const LAYOUT: [&[usize]; 6] =
    [&[2, 1, 0, 0], &[3, 1, 1, 0], &[2, 2, 1], &[1, 1, 0, 0, 0], &[2, 1, 1, 0], &[3, 2, 1]];

/// The VMs: those of the layout and the five special ones.
pub(super) fn vms(dice: &mut Dice) -> Vec<Vm> {
    let mut vms = Vec::new();
    for (host, flavors) in LAYOUT.iter().enumerate() {
        for &flavor in *flavors {
            let load = moving_load(dice, flavor);
            vms.push(vm(dice, vms.len(), flavor, host, load));
        }
    }
    let n = vms.len();
    vms.push(Vm { name: "sleeper".into(), ..vm(dice, n, 1, 0, Curve::flat(0.004)) });
    // Defined, shut off, and never started.
    vms.push(Vm { name: "archive".into(), stays: Vec::new(), ..vm(dice, n + 1, 2, 1, Curve::flat(0.0)) });
    let nightly = moving_load(dice, 1);
    vms.push(Vm {
        name: "batch".into(),
        cycle_seconds: 60.0,
        stays: vec![Stay { host: 2, from: 5.0, to: 45.0 }],
        ..vm(dice, n + 2, 1, 2, nightly)
    });
    let nomad = moving_load(dice, 1);
    vms.push(Vm {
        name: "nomad".into(),
        cycle_seconds: 120.0,
        stays: vec![Stay { host: 3, from: 0.0, to: 70.0 }, Stay { host: 4, from: 70.0, to: 120.0 }],
        ..vm(dice, n + 3, 1, 3, nomad)
    });
    let burst = Curve {
        mean_cpus: 0.5,
        waves: Vec::new(),
        step: Some(Step { cpus: 3.0, period_seconds: 30.0, up_seconds: 12.0 }),
    };
    vms.push(Vm { name: "burst".into(), ..vm(dice, n + 4, 1, 3, burst) });
    vms
}

/// A VM that stays on one host for ever.
fn vm(dice: &mut Dice, number: usize, flavor: usize, host: usize, load: Curve) -> Vm {
    let (flavor, vcpus, memory_mib) = FLAVORS.get(flavor).copied().unwrap_or(("m1.tiny", 1, 1024));
    let kind = ["web", "db", "api", "cache", "worker"].get(number % 5).copied().unwrap_or("vm");
    Vm {
        uuid: dice.uuid(),
        domain: format!("instance-{:08x}", number + 1),
        name: format!("{kind}-{}", number + 1),
        tenant: number % 4,
        flavor,
        vcpus,
        memory_mib,
        home: host,
        load,
        cycle_seconds: f64::INFINITY,
        stays: vec![Stay { host, from: 0.0, to: f64::INFINITY }],
    }
}

/// A load that fits the flavor's vCPUs: a mean of 20 to 60 %, two waves inside it, now and then a step.
fn moving_load(dice: &mut Dice, flavor: usize) -> Curve {
    let vcpus = FLAVORS.get(flavor).map_or(1.0, |f| f64::from(f.1));
    let mean_cpus = vcpus * dice.between(0.2, 0.6);
    let waves = vec![wave(dice, mean_cpus * 0.4), wave(dice, mean_cpus * 0.2)];
    let step = (dice.between(0.0, 1.0) < 0.3).then(|| Step {
        cpus: vcpus * 0.1,
        period_seconds: dice.between(40.0, 90.0),
        up_seconds: dice.between(10.0, 30.0),
    });
    Curve { mean_cpus, waves, step }
}
