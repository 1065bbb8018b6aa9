//! Who says what runs on a host, checked; the sections `cgroups` and `processes` of a hypervisor.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Libvirt, Trust};

/// Who says what runs on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hypervisor {
    /// A libvirt daemon.
    Libvirt(Libvirt),
    /// This machine's control groups.
    Cgroups(Cgroups),
    /// Virtual machines by the libvirt daemon of this machine, all else by its control groups.
    Both(Libvirt, Cgroups),
    /// This machine's processes.
    Processes(Processes),
}

/// Where the kernel shows this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// A folder on the file system whose room is the node's.
    pub disk: PathBuf,
}

impl Default for Kernel {
    fn default() -> Self {
        Self { proc: PathBuf::from("/proc"), sys: PathBuf::from("/sys"), disk: PathBuf::from("/") }
    }
}

/// Control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    /// Where they are mounted.
    pub root: PathBuf,
    /// Where the kernel shows the machine.
    pub kernel: Kernel,
    /// Groups so many levels below the root are taken whole.
    pub depth: usize,
    /// Only these; all where there are none.
    pub include: Vec<glob::Pattern>,
    /// These are the host's own.
    pub exclude: Vec<glob::Pattern>,
    /// Who knows what pods are called.
    pub kubernetes: Option<Kubernetes>,
    /// From the start of one sample to the start of the next.
    pub interval: Duration,
}

/// Who knows what pods are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubernetes {
    /// The address, without a slash at the end.
    pub url: String,
    /// What answers there.
    pub whom: KubernetesWhom,
    /// File with a token.
    pub token_file: Option<PathBuf>,
    /// How the certificate is trusted, for https.
    pub trust: Trust,
    /// Deadline of one question; at most the interval.
    pub timeout: Duration,
}

/// What answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubernetesWhom {
    /// The kubelet.
    Kubelet,
    /// The API server, asked for the pods of the node of this name; none for the machine's own name.
    Api(Option<String>),
}

/// What makes processes one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProcessesBy {
    /// The name of their command.
    #[default]
    Name,
    /// Their unit of systemd.
    Unit,
}

/// Processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processes {
    /// Where the kernel shows the machine.
    pub kernel: Kernel,
    /// What makes them one workload.
    pub by: ProcessesBy,
    /// Only these; all where there are none.
    pub include: Vec<glob::Pattern>,
    /// These are the host's own.
    pub exclude: Vec<glob::Pattern>,
    /// From the start of one sample to the start of the next.
    pub interval: Duration,
}
