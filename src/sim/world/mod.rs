//! The simulated data centre as mathematics: who draws how much at any second, and what every counter then shows.
//!
//! Pure and deterministic: the same seed and second give the same world. Time comes in as seconds since the start.
//! Every energy and CPU counter is the exact integral of the power or load at that time, in closed form, so the truth
//! can be asked for at any moment without stepping. No I/O and no protocol here.

mod building;
mod curve;
mod fleet;
mod truth;

pub use building::{Draw, Point};
use fleet::Dice;
pub use fleet::{Host, Role, Tenant, Vm};
pub use truth::{HostTruth, Truth, VmTruth};

/// The PDU side a power supply hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The A feed.
    A,
    /// The B feed.
    B,
}

impl Side {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::A, Self::B];
}

/// One run of a VM on one host, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// libvirt's domain id: another for each run.
    pub id: i32,
    /// CPU seconds used in this run so far.
    pub cpu_seconds: f64,
}

/// Draw of a PDU's own electronics, W; wiring loses [`PDU_LOSS`] of what passes through on top.
const PDU_OWN_WATTS: f64 = 12.0;
/// Share of the passing power that a PDU's wiring loses.
const PDU_LOSS: f64 = 0.01;
/// The data centre.
#[derive(Debug)]
pub struct World {
    hosts: Vec<Host>,
    vms: Vec<Vm>,
    tenants: Vec<Tenant>,
}

impl World {
    /// Draws a data centre: the same for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let tenants = fleet::tenants(&mut dice);
        let hosts = fleet::hosts(&mut dice);
        let vms = fleet::vms(&mut dice);
        Self { hosts, vms, tenants }
    }

    /// Every server, in order of its outlet.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Every VM.
    #[must_use]
    pub fn vms(&self) -> &[Vm] {
        &self.vms
    }

    /// Every tenant.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// The owner of `vm`.
    #[must_use]
    pub fn tenant_of(&self, vm: &Vm) -> Option<&Tenant> {
        self.tenants.get(vm.tenant)
    }

    /// Logical CPUs in use on `host` at `t` seconds, by VMs and by itself.
    #[must_use]
    pub fn host_cpus(&self, host: usize, t: f64) -> f64 {
        let own = self.hosts.get(host).map_or(0.0, |h| h.own.cpus(t));
        own + self.vms.iter().map(|vm| vm.cpus(host, t)).sum::<f64>()
    }

    /// CPU seconds used on `host` from 0 to `t` seconds, by VMs and by itself.
    #[must_use]
    pub fn host_cpu_seconds(&self, host: usize, t: f64) -> f64 {
        let own = self.hosts.get(host).map_or(0.0, |h| h.own.cpu_seconds(t));
        own + self.vms.iter().map(|vm| vm.cpu_seconds(host, t)).sum::<f64>()
    }

    /// What `host` draws from its two outlets together at `t` seconds, W.
    #[must_use]
    pub fn host_watts(&self, host: usize, t: f64) -> f64 {
        self.hosts.get(host).map_or(0.0, |h| h.idle_watts + h.watts_per_cpu * self.host_cpus(host, t))
    }

    /// Energy `host` drew from 0 to `t` seconds, J.
    #[must_use]
    pub fn host_joules(&self, host: usize, t: f64) -> f64 {
        self.hosts
            .get(host)
            .map_or(0.0, |h| h.idle_watts * t + h.watts_per_cpu * self.host_cpu_seconds(host, t))
    }

    /// Draw of the servers on one side's outlets, W.
    fn side_watts(&self, side: Side, t: f64) -> f64 {
        (0..).zip(&self.hosts).map(|(i, h)| h.share(side) * self.host_watts(i, t)).sum()
    }

    fn side_joules(&self, side: Side, t: f64) -> f64 {
        (0..).zip(&self.hosts).map(|(i, h)| h.share(side) * self.host_joules(i, t)).sum()
    }

    /// What the PDU of `side` takes in: its outlets, its wiring's loss and itself, W.
    #[must_use]
    pub fn pdu_watts(&self, side: Side, t: f64) -> f64 {
        self.side_watts(side, t) * (1.0 + PDU_LOSS) + PDU_OWN_WATTS
    }

    /// Energy the PDU of `side` took in from 0 to `t` seconds, J.
    #[must_use]
    pub fn pdu_joules(&self, side: Side, t: f64) -> f64 {
        self.side_joules(side, t) * (1.0 + PDU_LOSS) + PDU_OWN_WATTS * t
    }

    /// What all servers draw, W: the IT power.
    #[must_use]
    pub fn it_watts(&self, t: f64) -> f64 {
        (0..self.hosts.len()).map(|h| self.host_watts(h, t)).sum()
    }

    /// Energy of all servers from 0 to `t` seconds, J.
    #[must_use]
    pub fn it_joules(&self, t: f64) -> f64 {
        (0..self.hosts.len()).map(|h| self.host_joules(h, t)).sum()
    }

    /// Whether the hypervisor of `host` knows `vm` at `t` seconds: while it runs there, and at its home while it runs
    /// nowhere.
    #[must_use]
    pub fn knows(&self, host: usize, vm: &Vm, t: f64) -> bool {
        vm.stay_at(t).map_or(vm.home, |stay| stay.host) == host
    }
}

impl Host {
    /// Share of the draw that the power supply on `side` carries.
    #[must_use]
    pub fn share(&self, side: Side) -> f64 {
        match side {
            Side::A => self.a_share,
            Side::B => 1.0 - self.a_share,
        }
    }

    /// Share of this host that `vm` reserves while it is here: half by vCPUs, half by memory.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "mebibytes of one server are far below 2^53")]
    pub fn reserved(&self, vm: &Vm) -> f64 {
        0.5 * f64::from(vm.vcpus) / f64::from(self.cpus) + 0.5 * vm.memory_mib as f64 / self.memory_mib as f64
    }
}

impl Vm {
    /// Where it is at `t` seconds; nothing while it is shut off.
    fn stay_at(&self, t: f64) -> Option<&fleet::Stay> {
        let within = self.within(t);
        self.stays.iter().find(|s| s.from <= within && within < s.to)
    }

    /// Seconds into the running cycle.
    fn within(&self, t: f64) -> f64 {
        if self.cycle_seconds.is_finite() { t.rem_euclid(self.cycle_seconds) } else { t }
    }

    /// Whole cycles before `t`.
    fn cycles(&self, t: f64) -> f64 {
        if self.cycle_seconds.is_finite() { (t / self.cycle_seconds).floor() } else { 0.0 }
    }

    /// CPUs in use on `host` at `t` seconds; 0 where it does not run there.
    #[must_use]
    pub fn cpus(&self, host: usize, t: f64) -> f64 {
        self.stay_at(t).filter(|s| s.host == host).map_or(0.0, |_| self.load.cpus(self.within(t)))
    }

    /// CPU seconds used on `host` from 0 to `t` seconds, over all runs there.
    #[must_use]
    pub fn cpu_seconds(&self, host: usize, t: f64) -> f64 {
        self.over_stays(host, t, |from, to| self.load.cpu_seconds(to) - self.load.cpu_seconds(from))
    }

    /// Seconds spent running on `host` from 0 to `t` seconds.
    #[must_use]
    pub fn resident_seconds(&self, host: usize, t: f64) -> f64 {
        self.over_stays(host, t, |from, to| to - from)
    }

    /// Sums `amount(from, to)` over the stays on `host` until `t`: whole cycles at once, then the running one.
    fn over_stays(&self, host: usize, t: f64, amount: impl Fn(f64, f64) -> f64) -> f64 {
        let (cycles, within) = (self.cycles(t), self.within(t));
        let stays = || self.stays.iter().filter(|s| s.host == host);
        let running: f64 =
            stays().filter(|s| s.from < within).map(|s| amount(s.from, s.to.min(within))).sum();
        let past: f64 =
            if cycles > 0.0 { cycles * stays().map(|s| amount(s.from, s.to)).sum::<f64>() } else { 0.0 };
        past + running
    }

    /// Its run on `host` at `t` seconds; nothing while it does not run there. As with a real hypervisor, each start
    /// and each arrival by migration begins a new run, whose counter begins at 0.
    #[must_use]
    pub fn run(&self, host: usize, t: f64) -> Option<Run> {
        let stay = self.stay_at(t).filter(|s| s.host == host)?;
        let cpu_seconds = self.load.cpu_seconds(self.within(t)) - self.load.cpu_seconds(stay.from);
        Some(Run { id: self.run_id(t), cpu_seconds })
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "cycles of a minute or more: 2^31 of them never pass"
    )]
    fn run_id(&self, t: f64) -> i32 {
        // Domains share the host's ids: the VM's number keeps them apart, a thousand runs each.
        let number =
            self.domain.strip_prefix("instance-").and_then(|n| i32::from_str_radix(n, 16).ok()).unwrap_or(0);
        number * 1000 + 1 + (self.cycles(t) as i32).rem_euclid(1000)
    }
}

#[cfg(test)]
mod tests;
