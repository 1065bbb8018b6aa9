//! This machine's control groups as workloads: services and scopes of systemd, virtual machines, containers with and without pods,
//! jobs of Slurm, and any other group.
//!
//! ```text
//! layout (which tree counts what) -> cut (who is taken) -> tree (one look, on a thread) -> source (one sample)
//! ```
//!
//! `class`, `cut`, `files`, `qemu` and `who` are pure. What pods are called is asked of `kubernetes`; the node itself is told by
//! `procfs`. Nothing is ever written.

use std::path::PathBuf;
use std::sync::Arc;

use super::Source;
use super::kubernetes;
use super::procfs::Roots;
use crate::model::{Clock, PollError};

mod class;
mod cut;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod layout;
mod qemu;
mod source;
mod tree;
mod who;

pub use cut::Filter;

/// Value of the `driver` label.
pub const NAME: &str = "cgroup";

/// Where every Linux has its control groups.
pub const ROOT: &str = "/sys/fs/cgroup";

/// All that the source needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where control groups are mounted: [`ROOT`], or elsewhere in a container.
    pub root: PathBuf,
    /// Where the kernel shows the machine.
    pub machine: Roots,
    /// Which groups are workloads.
    pub filter: Filter,
    /// Who knows the names of pods; none where nobody is asked.
    pub kubernetes: Option<kubernetes::Settings>,
}

/// Builds the source; reads nothing yet.
///
/// # Errors
/// `Tls` when a CA file cannot be read, `Unreachable` for an address that is none.
pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Box<dyn Source>, PollError> {
    Ok(Box::new(source::Cgroups::new(settings, clock)?))
}

/// Whether there is a tree of control groups at `root` that counts CPU time. Reads some folders of the kernel's.
#[must_use]
pub fn is_there(root: &std::path::Path) -> bool {
    layout::Layout::find(root, &Filter::default()).is_ok()
}
