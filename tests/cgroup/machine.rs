//! The machine that the tests run on: its own tree, held against `/proc/stat`, and groups that we make in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wattribute::model::{Clock, SystemClock};
use wattribute::workloads::cgroup::{self, Filter, Settings};
use wattribute::workloads::procfs::Roots;
use wattribute::workloads::{Source, Usage};

use super::real_root;

fn open(root: &Path) -> Box<dyn Source> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let settings = Settings {
        root: root.to_owned(),
        machine: Roots::default(),
        filter: Filter::default(),
        kubernetes: None,
    };
    cgroup::open(settings, clock).unwrap()
}

/// A group of our own; removed in the end.
struct Group(PathBuf);

impl Group {
    /// None where we may not make one.
    fn make(tree: &Path) -> Option<Self> {
        let folder = tree.join(format!("wattribute-test-{}.service", std::process::id()));
        fs::create_dir(&folder).ok()?;
        Some(Self(folder))
    }

    fn name(&self) -> String {
        self.0.file_name().unwrap().to_str().unwrap().to_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel frees a group a moment after its last process.
        let end = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A process that only counts, in a group; ended by its number.
struct Busy(Child);

impl Busy {
    fn start(group: &Path) -> Self {
        let script = r#"echo $$ > "$0/cgroup.procs" && while :; do :; done"#;
        let mut command = Command::new("sh");
        Self(command.args(["-c", script]).arg(group).stdin(Stdio::null()).spawn().unwrap())
    }

    /// Its CPU time by `/proc/PID/stat`, ticks of 10 ms.
    fn millis(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cpu_millis(usage: &Usage, id: &str) -> Option<u64> {
    let workload = usage.workloads.iter().find(|workload| workload.info.id.as_str() == id)?;
    Some(workload.cpu?.0 / 1_000_000)
}

fn busy_millis(usage: &Usage) -> u64 {
    usage.node.as_ref().unwrap().busy.unwrap().0 / 1_000_000
}

/// What a process of ours uses is counted to its group, and all groups together use no more than the machine.
async fn counted(tree: &Path, root: &Path) -> bool {
    let Some(group) = Group::make(tree) else { return false };
    let mut source = open(root);
    let first = source.sample().await.unwrap();
    assert_eq!(cpu_millis(&first, &group.name()), Some(0), "{root:?}");
    let busy = Busy::start(&group.0);
    let end = Instant::now() + Duration::from_secs(60);
    while busy.millis() < 300 {
        assert!(Instant::now() < end, "it gets no CPU");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = busy.millis();
    let second = source.sample().await.unwrap();
    let (after, counted) = (busy.millis(), cpu_millis(&second, &group.name()).unwrap());
    // Ticks are coarse, and what it used before it joined is not the group's.
    assert!(counted + 60 >= before && counted <= after + 60, "{before} {counted} {after}");
    let gained: u64 = second
        .workloads
        .iter()
        .map(|w| {
            let now = w.cpu.unwrap().0 / 1_000_000;
            now.saturating_sub(cpu_millis(&first, w.info.id.as_str()).unwrap_or(0))
        })
        .sum();
    // Of the machine's own time, by another clock of the kernel's, in whole ticks of every CPU.
    let used = busy_millis(&second) - busy_millis(&first);
    assert!(gained <= used + used / 5 + 200, "groups gained {gained} ms of {used} ms");
    drop(busy);
    true
}

#[tokio::test]
async fn what_a_process_uses_is_its_groups_on_the_real_kernel() {
    let root = real_root();
    if !cgroup::is_there(root) {
        eprintln!("there are no control groups at {}: the real tree is not shown", root.display());
        return;
    }
    let mut shown = Vec::new();
    if root.join("cgroup.controllers").exists() {
        shown.extend(counted(root, root).await.then_some("v2"));
    } else {
        let v1 =
            ["cpuacct", "cpu,cpuacct"].map(|name| root.join(name)).into_iter().find(|tree| tree.is_dir());
        let unified = root.join("unified");
        // Which tree tells of a hybrid machine depends on what else is in them; each by itself is certain.
        if let Some(v1) = v1 {
            shown.extend(counted(&v1, &v1).await.then_some("v1"));
        }
        if unified.join("cgroup.controllers").exists() {
            shown.extend(counted(&unified, &unified).await.then_some("v2 beside v1"));
        }
    }
    eprintln!("groups of our own were made under: {shown:?} (nothing: this user may not)");
}

#[tokio::test]
async fn the_real_tree_uses_no_more_than_the_machine() {
    let root = real_root();
    if !cgroup::is_there(root) {
        eprintln!("there are no control groups at {}: the real tree is not shown", root.display());
        return;
    }
    let usage = open(root).sample().await.unwrap();
    let groups: u64 = usage.workloads.iter().map(|w| w.cpu.unwrap().0 / 1_000_000).sum();
    // Since the start of the machine; tick and clock differ by a few percent at most.
    assert!(groups <= busy_millis(&usage) * 11 / 10 + 1_000, "{groups} {}", busy_millis(&usage));
    eprintln!("{} groups, {groups} ms of {} ms", usage.workloads.len(), busy_millis(&usage));
}
