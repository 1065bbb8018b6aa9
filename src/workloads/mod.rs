//! Workloads: what runs on a host and how much CPU it used. Sources (libvirt, control groups, processes) turn a hypervisor or this
//! machine into [`Usage`].
//!
//! Lives here: the words that sources and the ledger share, and the log in which usage waits to be settled. What a
//! source cannot tell is unknown, never 0.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{BoxFuture, Moment, PciAddress, PollError, ProjectId, WorkloadId};

pub mod cgroup;
pub mod kubernetes;
pub mod libvirt;
pub mod log;
mod merged;
pub mod process;
pub mod procfs;
mod thread;

pub use log::{SourceIndex, SourceSettings, UsageLog};
pub use merged::Merged;

/// Every kind of source: values of the `driver` label.
pub const NAMES: [&str; 3] = [cgroup::NAME, libvirt::NAME, process::NAME];

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// What changes rarely; empty or none where nobody said.
    pub facts: Arc<NodeFacts>,
    /// Bytes and packets over its physical links, where told.
    pub network: Option<Traffic>,
    /// Size and free space of its file systems for guests, bytes, where told.
    pub disk: Option<Space>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeFacts {
    /// Its own name.
    pub hostname: String,
    /// `x86_64`, `aarch64` ...
    pub architecture: String,
    /// Model of its processors.
    pub processor_model: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Hardware threads of a core; 0 where nobody said.
    pub threads_per_core: u32,
    /// Speed of its fastest physical link, bits a second.
    pub link_bits_per_second: Option<u64>,
}

/// Counters of a network link, as its owner sees them: received and sent since some start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Packets received.
    pub received_packets: u64,
    /// Packets sent.
    pub sent_packets: u64,
}

/// Room of disks, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// What there is: for a guest what its disks can hold.
    pub capacity: u64,
    /// What of it is taken: for a guest what its disks take of the host's.
    pub taken: u64,
}

/// Counters of disks since some start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskIo {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Requests to read.
    pub reads: u64,
    /// Requests to write.
    pub writes: u64,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WorkloadKind {
    /// A virtual machine.
    Vm,
    /// A systemd service or scope.
    Service,
    /// A container, of a pod or by itself.
    Container,
    /// A job of a batch scheduler.
    Job,
    /// Processes of one name or unit.
    Process,
    /// Any other control group.
    Cgroup,
}

impl WorkloadKind {
    /// The word in the `kind` label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Service => "service",
            Self::Container => "container",
            Self::Job => "job",
            Self::Process => "process",
            Self::Cgroup => "cgroup",
        }
    }
}

/// What does not change while a workload runs. Empty text means that nobody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadInfo {
    /// Its lasting identity: a VM's UUID, a unit's name, a container's or job's id.
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
    /// `x86_64`, `aarch64` ...
    pub architecture: String,
    /// Its addresses, as far as known without asking its inside.
    pub addresses: Vec<IpAddr>,
    /// What a rule of the configuration may match beside the name, `key` and `value`: tags of its metadata.
    pub tags: Vec<(String, String)>,
    /// Devices of the host that are its alone, such as GPUs.
    pub devices: Vec<PciAddress>,
}

impl WorkloadInfo {
    /// One of which nothing but this is known.
    #[must_use]
    pub fn new(id: WorkloadId, kind: WorkloadKind, name: &str) -> Self {
        Self {
            id,
            kind,
            domain: name.to_owned(),
            name: name.to_owned(),
            project_id: None,
            project_name: String::new(),
            user: String::new(),
            flavor: String::new(),
            architecture: String::new(),
            addresses: Vec::new(),
            tags: Vec::new(),
            devices: Vec::new(),
        }
    }
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
    /// CPU cycles so far in this run, where counted.
    pub cycles: Option<u64>,
    /// What else is known of it; each none where nobody said.
    pub details: Details,
}

/// What is known of a workload beyond what attribution needs. Counters are since the start of its run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Details {
    /// CPUs it may use by its shares and quotas.
    pub cpu_allocated: Option<f64>,
    /// Memory of the host that it really takes, bytes.
    pub resident_memory_bytes: Option<u64>,
    /// Memory that it uses as seen from its inside, bytes.
    pub used_memory_bytes: Option<u64>,
    /// All its links together.
    pub network: Option<Traffic>,
    /// All its disks together.
    pub disk: Option<Space>,
    /// All its disks together.
    pub io: Option<DiskIo>,
}
