//! Which hierarchy counts what: v2 alone, v1 alone, or both (hybrid), by the folders under the root.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::cut::{Filter, cut};
use super::files::{self, Quota};
use crate::model::{ErrorKind, PollError};
use crate::workloads::procfs::{file, node};

/// The largest file of a group: `memory.stat` with a line for each of a few hundred counters.
const MAX_FILE: u64 = 64 << 10;
/// The most groups that are listed right below one.
const MAX_BELOW: usize = 20_000;

/// Which interface a hierarchy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// One tree of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) folder: PathBuf,
    pub(super) version: Version,
}

/// Where each controller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// Counts CPU time; the tree that is cut.
    pub(super) cpu: Hierarchy,
    memory: Option<Hierarchy>,
    quota: Option<Hierarchy>,
    cpus: Option<Hierarchy>,
}

/// Limits of a group, which change rarely.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Limits {
    pub(super) quota: Option<Quota>,
    pub(super) memory: Option<u64>,
    /// How many CPUs it may run on.
    pub(super) cpus: Option<u32>,
}

/// Memory of a group, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// All that is charged to it, cached files included.
    pub(super) all: u64,
    /// Without those cached files that the kernel would drop first.
    pub(super) working_set: u64,
}

impl Hierarchy {
    fn new(folder: PathBuf, version: Version) -> Self {
        Self { folder, version }
    }

    fn group(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    fn text(&self, path: &str, name: &str) -> Option<String> {
        file::read(&self.group(path).join(name), MAX_FILE).ok()
    }

    /// The names of the groups right below one, sorted; none where it is gone.
    pub(super) fn below(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.group(path)) else { return Vec::new() };
        let folder = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry.ok()?;
            entry.file_type().ok().filter(std::fs::FileType::is_dir)?;
            entry.file_name().into_string().ok()
        };
        let mut names: Vec<String> = entries.filter_map(folder).take(MAX_BELOW).collect();
        names.sort();
        names
    }

    /// Which folder a group's is: another number is another group of the same name. None where it is gone.
    pub(super) fn inode(&self, path: &str) -> Option<u64> {
        std::fs::metadata(self.group(path)).ok().map(|folder| folder.ino())
    }

    /// CPU time of a group, ns; none where it is gone.
    pub(super) fn cpu(&self, path: &str) -> Option<u64> {
        match self.version {
            Version::V1 => self.text(path, "cpuacct.usage")?.trim().parse().ok(),
            Version::V2 => files::usage(&self.text(path, "cpu.stat")?),
        }
    }
}

impl Layout {
    /// Looks at what is mounted below `root`.
    ///
    /// # Errors
    /// `NoReading` if nothing there counts CPU time.
    pub(super) fn find(root: &Path, filter: &Filter) -> Result<Self, PollError> {
        if root.join("cgroup.controllers").is_file() {
            let whole = Hierarchy::new(root.to_owned(), Version::V2);
            let all = || Some(whole.clone());
            return Ok(Self { memory: all(), quota: all(), cpus: all(), cpu: whole });
        }
        if root.join("cpuacct.usage").is_file() {
            // One v1 hierarchy by itself.
            let whole = Hierarchy::new(root.to_owned(), Version::V1);
            return Ok(Self { memory: None, quota: Some(whole.clone()), cpus: None, cpu: whole });
        }
        let mounts = Hierarchy::new(root.to_owned(), Version::V1).below("");
        let v1 = |controller: &str| {
            let name = mounts.iter().find(|name| name.split(',').any(|part| part == controller))?;
            Some(Hierarchy::new(root.join(name), Version::V1))
        };
        let unified = Some(root.join("unified")).filter(|folder| folder.join("cgroup.controllers").is_file());
        let unified = unified.map(|folder| Hierarchy::new(folder, Version::V2));
        let counts = |hierarchy: &Hierarchy| {
            let found = cut(filter, hierarchy.version == Version::V1, |path| hierarchy.below(path));
            found.groups.iter().filter(|group| hierarchy.cpu(&group.path).is_some()).count()
        };
        // systemd tracks its units in the unified tree, older runtimes put containers into the others only.
        let cpu = match (unified.clone(), v1("cpuacct")) {
            (Some(unified), Some(v1)) => {
                let more = counts(&unified) > 0 && counts(&unified) >= counts(&v1);
                Some(if more { unified } else { v1 })
            }
            (one, other) => one.or(other),
        };
        let cpu = cpu.ok_or_else(|| nothing(root))?;
        let or_unified = |found: Option<Hierarchy>| found.or_else(|| unified.clone());
        Ok(Self {
            memory: or_unified(v1("memory")),
            quota: or_unified(v1("cpu")),
            cpus: or_unified(v1("cpuset")),
            cpu,
        })
    }

    pub(super) fn memory(&self, path: &str) -> Option<Memory> {
        let hierarchy = self.memory.as_ref()?;
        let (now, dropped_first) = match hierarchy.version {
            Version::V1 => ("memory.usage_in_bytes", "total_inactive_file"),
            Version::V2 => ("memory.current", "inactive_file"),
        };
        let all = hierarchy.text(path, now)?.trim().parse().ok()?;
        let stat = hierarchy.text(path, "memory.stat");
        let cached = stat.and_then(|text| files::keyed(&text, dropped_first)).unwrap_or(0);
        Some(Memory { all, working_set: all.saturating_sub(cached) })
    }

    pub(super) fn limits(&self, path: &str) -> Limits {
        let quota = self.quota.as_ref().and_then(|hierarchy| match hierarchy.version {
            Version::V1 => {
                let quota = hierarchy.text(path, "cpu.cfs_quota_us")?;
                Quota::of_v1(&quota, &hierarchy.text(path, "cpu.cfs_period_us")?)
            }
            Version::V2 => Quota::of_v2(&hierarchy.text(path, "cpu.max")?),
        });
        let memory = self.memory.as_ref().and_then(|hierarchy| {
            let name = match hierarchy.version {
                Version::V1 => "memory.limit_in_bytes",
                Version::V2 => "memory.max",
            };
            files::memory_limit(&hierarchy.text(path, name)?)
        });
        let cpus = self.cpus.as_ref().and_then(|hierarchy| hierarchy.text(path, "cpuset.cpus"));
        Limits { quota, memory, cpus: cpus.and_then(|text| node::list(&text)).filter(|cpus| *cpus > 0) }
    }

    /// Processes of a group and of those in which libvirt puts QEMU below it.
    pub(super) fn processes(&self, path: &str) -> Vec<u32> {
        let below = ["", "/libvirt", "/libvirt/emulator", "/emulator"];
        let texts = below.iter().filter_map(|below| self.cpu.text(&format!("{path}{below}"), "cgroup.procs"));
        let mut pids = Vec::new();
        for text in texts {
            pids.extend(
                text.lines()
                    .filter_map(|line| line.trim().parse::<u32>().ok())
                    .filter(|pid| *pid > 0)
                    .take(8),
            );
        }
        pids
    }
}

fn nothing(root: &Path) -> PollError {
    let root = root.display();
    PollError::new(
        ErrorKind::NoReading,
        format!("no control groups that count CPU time are under {root}"),
        "in a container mount the host's /sys/fs/cgroup and name the place as `root`; elsewhere see that cgroup2, or cgroup \
         with cpuacct, is mounted",
    )
}
