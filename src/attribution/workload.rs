//! The account of one workload on one host.

mod observed;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use observed::Observed;

use super::ledger::{ByMethod, Method};
use super::split::{Claim, Share};
use crate::model::{DatacenterId, HostId, Joules, LabelSet, Microjoules, Moment, ProjectId, Watts};
use crate::workloads::{CpuNanos, State, Workload, WorkloadInfo, WorkloadKind};

mod state;

pub use state::WorkloadState;

/// What a workload holds of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// vCPUs.
    pub vcpus: u32,
    /// Memory, KiB.
    pub memory_kib: u64,
    /// Memory of the host that it really takes, KiB.
    pub resident_kib: u64,
}

/// A CPU counter as last read.
#[derive(Debug, Clone, Copy)]
struct CpuMark {
    at: Moment,
    run: u32,
    cpu: CpuNanos,
}

/// One workload's account.
#[derive(Debug)]
pub struct WorkloadAccount {
    info: Arc<WorkloadInfo>,
    project: ProjectId,
    labels: LabelSet,
    info_labels: LabelSet,
    /// Of its total over all hosts; none where its id means something on this host only.
    total_labels: Option<LabelSet>,
    /// The services it is part of, by place in the configuration, and its weight in each.
    services: Vec<(usize, u32)>,
    fresh: bool,
    address_labels: Vec<LabelSet>,
    energy: ByMethod<Share>,
    power: Option<Watts>,
    state: Option<State>,
    held: Held,
    cpu: Option<CpuMark>,
    cpu_total: CpuNanos,
    /// Its cycle counter as read with the CPU counter.
    cycles: Option<u64>,
    seen: Option<Moment>,
    observed: Observed,
}

impl WorkloadAccount {
    /// An account without energy, for a workload of `project` on `host`.
    #[must_use]
    pub fn new(
        info: Arc<WorkloadInfo>,
        project: ProjectId,
        project_name: &str,
        datacenter: &DatacenterId,
        host: &HostId,
    ) -> Self {
        let labels = LabelSet::new(&[
            ("datacenter", datacenter.as_str()),
            ("host", host.as_str()),
            ("kind", info.kind.name()),
            ("workload", info.id.as_str()),
            ("project_id", project.as_str()),
        ]);
        let info_labels = info_labels(&info, &project, project_name, datacenter, host);
        let is_everywhere = info.id.as_str() != info.domain || info.id.is_uuid();
        let total_labels = (info.kind == WorkloadKind::Vm && is_everywhere).then(|| {
            LabelSet::new(&[
                ("kind", info.kind.name()),
                ("workload", info.id.as_str()),
                ("project_id", project.as_str()),
            ])
        });
        let address_labels = address_labels(&info, &project, datacenter, host);
        Self {
            info,
            project,
            labels,
            info_labels,
            total_labels,
            services: Vec::new(),
            fresh: true,
            address_labels,
            energy: ByMethod::default(),
            power: None,
            state: None,
            held: Held::default(),
            cpu: None,
            cpu_total: CpuNanos::default(),
            cycles: None,
            seen: None,
            observed: Observed::default(),
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn project(&self) -> &ProjectId {
        &self.project
    }

    /// Who it is.
    #[must_use]
    pub const fn info(&self) -> &Arc<WorkloadInfo> {
        &self.info
    }

    /// `datacenter`, `host`, `kind`, `workload`, `project_id`, rendered.
    #[must_use]
    pub const fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// The info series' labels, rendered.
    #[must_use]
    pub const fn info_labels(&self) -> &LabelSet {
        &self.info_labels
    }

    /// The labels of its total over all hosts; none where its id means something on this host only.
    #[must_use]
    pub const fn total_labels(&self) -> Option<&LabelSet> {
        self.total_labels.as_ref()
    }

    /// The services it is part of, by place in the configuration, and its weight in each.
    #[must_use]
    pub fn services(&self) -> &[(usize, u32)] {
        &self.services
    }

    /// The labels of its addresses' series, rendered.
    #[must_use]
    pub fn address_labels(&self) -> &[LabelSet] {
        &self.address_labels
    }

    /// What else is known of it.
    #[must_use]
    pub const fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Its energy so far.
    #[must_use]
    pub const fn energy(&self) -> &ByMethod<Share> {
        &self.energy
    }

    /// All of its energy, by whatever method.
    #[must_use]
    pub fn total(&self) -> Microjoules {
        Method::ALL.iter().map(|m| self.energy.get(*m).total()).sum()
    }

    /// Its mean power over the last settled interval; none where that is not known.
    #[must_use]
    pub const fn power(&self) -> Option<Watts> {
        self.power
    }

    /// Its state; none when it could not be asked.
    #[must_use]
    pub const fn state(&self) -> Option<State> {
        self.state
    }

    /// What it holds.
    #[must_use]
    pub const fn held(&self) -> Held {
        self.held
    }

    /// CPU time it was seen to use; none before its counter was first read.
    #[must_use]
    pub fn cpu_total(&self) -> Option<CpuNanos> {
        self.cpu.map(|_| self.cpu_total)
    }

    /// When it was last seen on the host; none before the first time.
    #[must_use]
    pub const fn seen(&self) -> Option<Moment> {
        self.seen
    }

    /// Takes the services it is part of.
    pub(super) fn serve(&mut self, services: Vec<(usize, u32)>) {
        self.services = services;
    }

    /// Takes the info of the latest sample; true if it is another, or the first.
    pub(super) fn refresh(
        &mut self,
        info: &Arc<WorkloadInfo>,
        project_name: &str,
        datacenter: &DatacenterId,
        host: &HostId,
    ) -> bool {
        if Arc::ptr_eq(&self.info, info) {
            return std::mem::take(&mut self.fresh);
        }
        self.info = Arc::clone(info);
        self.rename(project_name, datacenter, host);
        true
    }

    /// Takes its project's name.
    pub(super) fn rename(&mut self, project_name: &str, datacenter: &DatacenterId, host: &HostId) {
        self.info_labels = info_labels(&self.info, &self.project, project_name, datacenter, host);
        self.address_labels = address_labels(&self.info, &self.project, datacenter, host);
    }

    /// Takes a sample at `until` and gives what the workload claims of the interval since `from`.
    ///
    /// A counter last read before `from` is scaled to the interval. What started inside the interval (`is_new`: the host
    /// was sampled at `from` and this was not there) claims all its CPU time and half of what it now holds.
    pub(super) fn claim(&mut self, sample: &Workload, from: Moment, until: Moment, is_new: bool) -> Claim {
        let before = self.held;
        self.state = sample.state;
        self.seen = Some(until);
        self.observed.take(sample.run, &sample.details);
        self.held = match sample.state {
            Some(state) if state.holds_resources() => {
                let resident = sample.details.resident_memory_bytes.unwrap_or(sample.memory_bytes);
                Held {
                    vcpus: sample.vcpus,
                    memory_kib: sample.memory_bytes / 1024,
                    resident_kib: resident / 1024,
                }
            }
            Some(_) => Held::default(),
            // It could not be asked, but it is there: it holds what it held.
            None => before,
        };
        let mark = self.cpu;
        let cpu_nanos = sample.cpu.map_or(0, |cpu| self.used(sample.run, cpu, from, until, is_new));
        let cycles = sample.cpu.and_then(|_| self.cycled(sample, mark, from, until, is_new));
        Claim { cycles, ..held_over(before, self.held, until.since(from), cpu_nanos) }
    }

    /// Goes on where the account of the owner before left off: the same run of the same workload.
    pub(super) fn succeed(&mut self, before: &mut Self) {
        self.cpu = before.cpu.take();
        self.cycles = before.cycles.take();
        self.held = std::mem::take(&mut before.held);
        self.seen = before.seen;
        self.observed.succeed(&mut before.observed);
        before.state = None;
        before.power = None;
    }

    /// Takes note that a sample no longer lists it; gives its claim of the interval in which it left.
    pub(super) fn leave(&mut self, from: Moment, until: Moment) -> Claim {
        let before = std::mem::take(&mut self.held);
        self.state = None;
        self.observed.leave();
        held_over(before, self.held, until.since(from), 0)
    }

    /// CPU time used in the interval, ns.
    fn used(&mut self, run: u32, cpu: CpuNanos, from: Moment, until: Moment, is_new: bool) -> u64 {
        let mark = self.cpu.replace(CpuMark { at: until, run, cpu });
        let Some(mark) = mark else {
            self.cpu_total = cpu;
            return if is_new { cpu.0 } else { 0 };
        };
        let same_run = mark.run == run;
        let gained = if same_run { cpu.0.saturating_sub(mark.cpu.0) } else { cpu.0 };
        self.cpu_total = CpuNanos(self.cpu_total.0.saturating_add(gained));
        if is_new && !same_run {
            return gained;
        }
        scale(gained, until.since(from), until.since(mark.at))
    }

    /// CPU cycles in the interval, as [`Self::used`] takes CPU time; `mark` is where the CPU counter stood before. None where
    /// they are not counted, or were not before.
    fn cycled(
        &mut self,
        sample: &Workload,
        mark: Option<CpuMark>,
        from: Moment,
        until: Moment,
        is_new: bool,
    ) -> Option<u64> {
        let before = std::mem::replace(&mut self.cycles, sample.cycles);
        let now = sample.cycles?;
        let Some(mark) = mark else { return Some(if is_new { now } else { 0 }) };
        let same_run = mark.run == sample.run;
        let gained = if same_run { now.checked_sub(before?)? } else { now };
        if is_new && !same_run {
            return Some(gained);
        }
        Some(scale(gained, until.since(from), until.since(mark.at)))
    }

    /// Books a share of an interval of `time`.
    pub(super) fn book(&mut self, method: Method, share: Share, time: Duration) {
        *self.energy.get_mut(method) += share;
        // To the milliwatt: more digits of a quotient say nothing, but cost bytes on every page.
        let power = Joules::new(share.total().joules()).ok().and_then(|j| j.per(time));
        self.power = power.and_then(|p| Watts::new((p.get() * 1000.0).round() / 1000.0).ok());
    }

    /// Forgets the power of an interval that nobody can price.
    pub(super) const fn unknown_power(&mut self) {
        self.power = None;
    }
}

/// `gained` over `span`, as it falls on `part` of it.
pub(super) fn scale(gained: u64, part: Duration, span: Duration) -> u64 {
    if span <= part {
        return gained;
    }
    let share = u128::from(gained) * part.as_nanos() / span.as_nanos().max(1);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// A reservation that changed inside an interval counts half with its old and half with its new size.
fn held_over(before: Held, after: Held, time: Duration, cpu_nanos: u64) -> Claim {
    let mean = |before: u64, after: u64| (u128::from(before) + u128::from(after)) * time.as_nanos() / 2;
    Claim {
        cpu_nanos,
        cycles: None,
        vcpu_nanos: mean(before.vcpus.into(), after.vcpus.into()),
        memory_kib_nanos: mean(before.memory_kib, after.memory_kib),
        resident_kib_nanos: mean(before.resident_kib, after.resident_kib),
    }
}

fn info_labels(
    info: &WorkloadInfo,
    project: &ProjectId,
    project_name: &str,
    datacenter: &DatacenterId,
    host: &HostId,
) -> LabelSet {
    LabelSet::new(&[
        ("datacenter", datacenter.as_str()),
        ("host", host.as_str()),
        ("kind", info.kind.name()),
        ("workload", info.id.as_str()),
        ("name", &info.name),
        ("domain", &info.domain),
        ("architecture", &info.architecture),
        ("project_id", project.as_str()),
        ("project_name", project_name),
        ("user", &info.user),
        ("flavor", &info.flavor),
    ])
}

fn address_labels(
    info: &WorkloadInfo,
    project: &ProjectId,
    datacenter: &DatacenterId,
    host: &HostId,
) -> Vec<LabelSet> {
    let labels = |address: &IpAddr| {
        LabelSet::new(&[
            ("datacenter", datacenter.as_str()),
            ("host", host.as_str()),
            ("kind", info.kind.name()),
            ("workload", info.id.as_str()),
            ("project_id", project.as_str()),
            ("address", &address.to_string()),
        ])
    };
    // Two ports may have the same address; a series stands once.
    let mut all: Vec<_> = info.addresses.iter().map(labels).collect();
    all.sort_unstable();
    all.dedup();
    all
}
