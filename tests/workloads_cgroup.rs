//! This machine's control groups and processes as workloads: on trees written from the kernel's documentation, on the tree of the machine
//! that the tests run on, with a kubelet that a real web server plays, and with the real binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::cast_precision_loss, clippy::disallowed_methods, missing_docs)]

#[path = "cgroup/binary.rs"]
mod binary;
#[path = "cgroup/kubelet.rs"]
mod kubelet;
#[path = "cgroup/machine.rs"]
mod machine;
#[path = "cgroup/processes.rs"]
mod processes;
#[path = "cgroup/runs.rs"]
mod runs;
#[path = "cgroup/trees.rs"]
mod trees;

#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/page.rs"]
mod page;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/process.rs"]
mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use wattribute::model::{Clock, ManualClock, Moment, PollError};
use wattribute::workloads::cgroup::{self, Filter, Settings};
use wattribute::workloads::kubernetes;
use wattribute::workloads::procfs::Roots;
use wattribute::workloads::{Source, Usage, Workload};

pub const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub const POD: &str = "6d1d0b3c-52c6-4b5b-9f3c-0a1b2c3d4e5f";

/// A machine of which only its kernel's files exist, and a clock that stands unless it is moved.
pub struct Host {
    pub root: TempDir,
    pub clock: Arc<ManualClock>,
    source: Option<Box<dyn Source>>,
    pub filter: Filter,
    pub kubernetes: Option<kubernetes::Settings>,
}

impl Host {
    pub fn bare() -> Self {
        let host = Self {
            root: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(Moment::from_nanos(1_000_000_000))),
            source: None,
            filter: Filter::default(),
            kubernetes: None,
        };
        // Four CPUs; 100 + 20 + 30 + 5 + 5 ticks of 10 ms.
        let cpus: String = (0..4).map(|n| format!("cpu{n} 25 5 7 250 10 1 1 0 0 0\n")).collect();
        host.put("proc/stat", &format!("cpu  100 20 30 1000 40 5 5 7 0 0\n{cpus}"));
        host.put("proc/meminfo", "MemTotal:  16777216 kB\nMemFree:  8388608 kB\n");
        host.put("proc/cpuinfo", "processor\t: 0\nmodel name\t: Example CPU @ 2.60GHz\ncpu MHz\t: 1200.0\n");
        host.put("proc/sys/kernel/hostname", "node-1\n");
        host
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }

    /// Writes a file and the folders above it.
    pub fn put(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A group of a v2 tree at `cg/PREFIX`, with its CPU time.
    pub fn v2(&self, tree: &str, group: &str, micros: u64) {
        self.put(
            &format!("{tree}{group}/cpu.stat"),
            &format!("usage_usec {micros}\nuser_usec 1\nsystem_usec 1\n"),
        );
    }

    /// A group of a v1 tree, with its CPU time.
    pub fn v1(&self, group: &str, nanos: u64) {
        self.put(&format!("cg/cpu,cpuacct{group}/cpuacct.usage"), &format!("{nanos}\n"));
    }

    pub fn settings(&self) -> Settings {
        Settings {
            root: self.path("cg"),
            machine: Roots {
                proc: self.path("proc"),
                sys: self.path("sys"),
                disk: self.root.path().to_owned(),
            },
            filter: self.filter.clone(),
            kubernetes: self.kubernetes.clone(),
        }
    }

    /// As after a restart of the exporter.
    pub fn restart(&mut self) {
        self.source = None;
    }

    pub async fn try_sample(&mut self) -> Result<Usage, PollError> {
        let settings = self.settings();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        self.source.get_or_insert_with(|| cgroup::open(settings, clock).unwrap()).sample().await
    }

    pub async fn sample(&mut self) -> Usage {
        self.try_sample().await.unwrap()
    }

    /// Lets seconds pass, then samples.
    pub async fn after(&mut self, seconds: u64) -> Usage {
        self.clock.advance(Duration::from_secs(seconds));
        self.sample().await
    }
}

/// `kind id name cpu-ms vcpus memory`, sorted.
pub fn lines(usage: &Usage) -> Vec<String> {
    let line = |w: &Workload| {
        let millis = w.cpu.unwrap().0 / 1_000_000;
        let (kind, id, name) = (w.info.kind.name(), w.info.id.as_str(), &w.info.name);
        format!("{kind} {id} {name} {millis} {} {}", w.vcpus, w.memory_bytes)
    };
    let mut lines: Vec<_> = usage.workloads.iter().map(line).collect();
    lines.sort();
    lines
}

pub fn find<'u>(usage: &'u Usage, id: &str) -> &'u Workload {
    let found = usage.workloads.iter().find(|workload| workload.info.id.as_str() == id);
    found.unwrap_or_else(|| panic!("no {id} in {:?}", lines(usage)))
}

/// The root of this machine's tree.
pub fn real_root() -> &'static Path {
    Path::new(cgroup::ROOT)
}
