//! Processes of the machine that the tests run on, by name; and of one of which only its files exist, by unit.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wattribute::model::{Clock, ErrorKind, SystemClock};
use wattribute::workloads::process::{self, By, Settings};
use wattribute::workloads::procfs::Roots;
use wattribute::workloads::{Source, Usage};

use super::Host;

fn open(machine: Roots, by: By, include: &[&str]) -> Box<dyn Source> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let include = include.iter().map(|text| glob::Pattern::new(text).unwrap()).collect();
    process::open(Settings { machine, by, include, exclude: Vec::new() }, clock).unwrap()
}

fn millis(usage: &Usage, id: &str) -> Option<u64> {
    let workload = usage.workloads.iter().find(|workload| workload.info.id.as_str() == id)?;
    assert_eq!(workload.info.kind.name(), "process");
    Some(workload.cpu?.0 / 1_000_000)
}

/// A shell of a name of its own runs short-lived children; none of them is there when anyone looks.
#[tokio::test]
async fn what_short_lived_children_used_is_their_parents_on_the_real_kernel() {
    let folder = tempfile::tempdir().unwrap();
    // The kernel keeps 15 bytes of it.
    let name = format!("wtest-{}", std::process::id() % 1_000_000);
    let program = folder.path().join(&name);
    std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
    let mut source = open(Roots::default(), By::Name, &[&name]);
    assert_eq!(source.sample().await.unwrap().workloads.len(), 0);
    let script = "read go; for n in 1 2 3; do (i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done); done; echo done; read end";
    let mut child = Command::new(&program)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let output = child.stdout.take().unwrap();
    let seen = async |source: &mut Box<dyn Source>| millis(&source.sample().await.unwrap(), &name);
    let end = Instant::now() + Duration::from_secs(60);
    while seen(&mut source).await.is_none() {
        assert!(Instant::now() < end, "it does not start");
    }
    let before = seen(&mut source).await.unwrap();
    std::io::Write::write_all(&mut input, b"go\n").unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
    let after = seen(&mut source).await.unwrap();
    let text = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let all: u64 = (11..15).map(|at| 10 * fields[at].parse::<u64>().unwrap()).sum();
    assert!(all >= 30, "three loops take {all} ms");
    assert!(after - before <= all && after - before + 30 >= all, "{before} {after}, of {all} ms");
    drop(input);
    child.wait().unwrap();
}

/// `PID (COMM) ...` with own and children's ticks.
fn stat(pid: u32, comm: &str, parent: u32, own: u64, flags: u64) -> String {
    format!(
        "{pid} ({comm}) S {parent} 1 1 0 -1 {flags} 0 0 0 0 {own} 0 0 0 20 0 1 0 77 4096 10 18446744073709551615"
    )
}

#[tokio::test]
async fn processes_are_grouped_by_their_unit() {
    let host = Host::bare();
    for (pid, comm, unit, own) in
        [(10, "nginx", "nginx.service", 100), (11, "nginx", "nginx.service", 50), (12, "sh", "", 7)]
    {
        host.put(&format!("proc/{pid}/stat"), &stat(pid, comm, 1, own, 0));
        let path = if unit.is_empty() { "/".to_owned() } else { format!("/system.slice/{unit}") };
        host.put(&format!("proc/{pid}/cgroup"), &format!("0::{path}\n"));
    }
    host.put("proc/2/stat", &stat(2, "kthreadd", 0, 9_999, 0x0020_0000));
    host.put("proc/13/stat", "garbage");
    let mut source = open(host.settings().machine, By::Unit, &[]);
    let first = source.sample().await.unwrap();
    assert_eq!(millis(&first, "nginx.service"), Some(0), "it counts from the first look on");
    assert_eq!(first.workloads.len(), 1, "outside of units, and of the kernel's, is the host's own");
    let page = u64::try_from(rustix::param::page_size()).unwrap();
    assert_eq!(first.workloads[0].memory_bytes, 20 * page);
    host.put("proc/10/stat", &stat(10, "nginx", 1, 130, 0));
    std::fs::remove_dir_all(host.path("proc/11")).unwrap();
    let second = source.sample().await.unwrap();
    assert_eq!(millis(&second, "nginx.service"), Some(300));
    assert_eq!(second.workloads[0].run, first.workloads[0].run);
}

#[tokio::test]
async fn without_processes_there_is_an_error() {
    let host = Host::bare();
    let error = open(host.settings().machine, By::Name, &[]).sample().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading);
    assert!(error.fix.contains("`proc`"), "{error}");
}
