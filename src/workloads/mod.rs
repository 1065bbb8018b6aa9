//! Workloads: what runs on a host and how much CPU it used. Sources (libvirt) turn a hypervisor into [`Usage`].
//!
//! Lives here: the words that sources and the ledger share, and the log in which usage waits to be settled. What a
//! source cannot tell is unknown, never 0.

use std::sync::Arc;

use crate::model::{BoxFuture, Moment, PollError, ProjectId, WorkloadId};

pub mod libvirt;
pub mod log;

pub use log::{SourceIndex, SourceSettings, UsageLog};

/// A hypervisor or host that says what runs on it. One task owns it.
pub trait Source: Send {
    /// Asks once. May be dropped at any await, like a driver's poll.
    ///
    /// # Errors
    /// When nothing at all could be learned; a single silent workload is unknown inside a good [`Usage`].
    fn sample(&mut self) -> BoxFuture<'_, Result<Usage, PollError>>;

    /// Closes the connection, within the caller's deadline.
    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Nanoseconds of CPU time since some start that only the source knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct CpuNanos(pub u64);

/// All that one host said at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// When the counters were read (the middle of the call).
    pub at: Moment,
    /// The node itself, where it is known.
    pub node: Option<Node>,
    /// Every workload on it, in any order; an id stands at most once.
    pub workloads: Vec<Workload>,
}

/// The physical node under the workloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Logical CPUs.
    pub cpus: u32,
    /// Nominal clock, MHz; none if the hypervisor does not know.
    pub mhz: Option<u32>,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Free memory, bytes, where told.
    pub free_memory_bytes: Option<u64>,
    /// CPU time of all logical CPUs spent neither idle nor waiting for I/O, where told.
    pub busy: Option<CpuNanos>,
}

/// Whether a workload runs. As libvirt's domain states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// No state known.
    NoState,
    /// Running.
    Running,
    /// Blocked on a resource.
    Blocked,
    /// Paused.
    Paused,
    /// Being shut down.
    ShuttingDown,
    /// Shut off.
    ShutOff,
    /// Crashed.
    Crashed,
    /// Suspended by its guest's power management.
    Suspended,
}

impl State {
    /// Every state, in libvirt's numbering.
    pub const ALL: [Self; 8] = [
        Self::NoState,
        Self::Running,
        Self::Blocked,
        Self::Paused,
        Self::ShuttingDown,
        Self::ShutOff,
        Self::Crashed,
        Self::Suspended,
    ];

    /// Whether CPU time counts: only then is it the workload's own, not the hypervisor's stand-in.
    #[must_use]
    pub const fn counts_cpu(self) -> bool {
        matches!(self, Self::Running | Self::Blocked)
    }

    /// Whether it holds its reserved vCPUs and memory on the host.
    #[must_use]
    pub const fn holds_resources(self) -> bool {
        match self {
            Self::Running | Self::Blocked | Self::Paused | Self::ShuttingDown | Self::Suspended => true,
            Self::NoState | Self::ShutOff | Self::Crashed => false,
        }
    }
}

/// Which kind of workload; value of the `kind` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkloadKind {
    /// A virtual machine.
    Vm,
}

impl WorkloadKind {
    /// The word in the `kind` label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vm => "vm",
        }
    }
}

/// What does not change while a workload runs. Empty text means that nobody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadInfo {
    /// Its lasting identity: a VM's UUID.
    pub id: WorkloadId,
    /// VM, service, application.
    pub kind: WorkloadKind,
    /// The hypervisor's name for it: `instance-0000002a`.
    pub domain: String,
    /// The name its owner gave it; the hypervisor's where there is none.
    pub name: String,
    /// Its tenant's id, where the metadata says; the inventory may know better.
    pub project_id: Option<ProjectId>,
    /// Its tenant's name.
    pub project_name: String,
    /// Who created it.
    pub user: String,
    /// Flavor name.
    pub flavor: String,
}

/// One workload at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Who it is. Shared between samples: a source makes it once and again when it changes.
    pub info: Arc<WorkloadInfo>,
    /// Which run of it this is (libvirt's domain id): CPU counters restart with each. 0 where it does not run.
    pub run: u32,
    /// Its state; none when it could not be asked, although it is there.
    pub state: Option<State>,
    /// Its CPU time so far in this run; none when it could not be asked or does not count (see [`State`]).
    pub cpu: Option<CpuNanos>,
    /// vCPUs it holds; 0 when unknown.
    pub vcpus: u32,
    /// Memory it holds, bytes; 0 when unknown.
    pub memory_bytes: u64,
}
