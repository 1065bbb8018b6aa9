//! Keys of `cgroups` and `processes` of a hypervisor.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::bounds::{between, some};
use crate::config::field::{Field, List};
use crate::config::leaf::{FilePath, Fingerprint, Glob, Name, Span};
use crate::config::types::ProcessesBy;

/// This machine's control groups: services, containers, pods, jobs, virtual machines.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Cgroups {
    /// Where control groups are mounted. In a container the host's, such as `/host/sys/fs/cgroup`. Default `/sys/fs/cgroup`.
    pub(in crate::config) root: Field<FilePath>,
    /// Where the kernel's proc stands. Default `/proc`.
    pub(in crate::config) proc: Field<FilePath>,
    /// Where the kernel's sysfs stands. Default `/sys`.
    pub(in crate::config) sys: Field<FilePath>,
    /// A folder on the file system whose size and room are the node's. Default `/`.
    pub(in crate::config) disk: Field<FilePath>,
    /// Groups so many levels below the root are taken whole, whatever is in them, 1 to 32. Default 10.
    #[garde(range(min = 1, max = 32))]
    pub(in crate::config) depth: Field<u32>,
    /// Only groups that match one of these: by their path from the root, `/system.slice/*`, or without a slash by the last
    /// part of it, `*.service`. Default: all.
    #[garde(custom(some))]
    pub(in crate::config) include: List<Glob>,
    /// Groups that are the host's own, with all below them. As `include`. Default: none.
    #[garde(custom(some))]
    pub(in crate::config) exclude: List<Glob>,
    /// Who knows what pods are called. Default: nobody is asked, and a container is called by its id.
    #[garde(dive)]
    pub(in crate::config) kubernetes: Field<Kubernetes>,
    /// From the start of one sample to the start of the next, 50 ms to 1 h. Default `poll.interval`.
    #[garde(custom(between(50, 3_600_000)))]
    pub(in crate::config) interval: Field<Span>,
}

/// Who knows what pods are called: one of `kubelet` and `api`.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Kubernetes {
    /// The kubelet of this machine.
    #[schemars(extend("examples" = ["https://127.0.0.1:10250"]))]
    pub(in crate::config) kubelet: Field<String>,
    /// The API server, which is asked for the pods of this node.
    #[schemars(extend("examples" = ["https://10.96.0.1"]))]
    pub(in crate::config) api: Field<String>,
    /// This node's name at the API server. Default: the machine's own.
    pub(in crate::config) node: Field<Name>,
    /// File that holds the token of a service account; read for each question.
    pub(in crate::config) token_file: Field<FilePath>,
    /// PEM file with the authorities that may sign the certificate. Default: the public ones.
    pub(in crate::config) ca_file: Field<FilePath>,
    /// Instead of `ca_file`: SHA-256 digest of the certificate itself, `sha256:AB:CD:...`.
    pub(in crate::config) fingerprint: Field<Fingerprint>,
    /// Deadline of one question, at most `interval`. Default 2s, or `interval` where that is shorter.
    #[garde(custom(between(10, 600_000)))]
    pub(in crate::config) timeout: Field<Span>,
}

/// This machine's processes, for machines whose control groups do not tell who is who.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Processes {
    /// What makes processes one workload: the `name` of their command or their `unit` of systemd. Default `name`.
    pub(in crate::config) by: Field<ProcessesBy>,
    /// Only groups whose name matches one of these, such as `postgres`. Default: all.
    #[garde(custom(some))]
    pub(in crate::config) include: List<Glob>,
    /// Groups that are the host's own. Default: none.
    #[garde(custom(some))]
    pub(in crate::config) exclude: List<Glob>,
    /// Where the kernel's proc stands. Default `/proc`.
    pub(in crate::config) proc: Field<FilePath>,
    /// Where the kernel's sysfs stands. Default `/sys`.
    pub(in crate::config) sys: Field<FilePath>,
    /// A folder on the file system whose size and room are the node's. Default `/`.
    pub(in crate::config) disk: Field<FilePath>,
    /// From the start of one sample to the start of the next, 50 ms to 1 h. Default `poll.interval`.
    #[garde(custom(between(50, 3_600_000)))]
    pub(in crate::config) interval: Field<Span>,
}
