//! This machine as its own kernel shows it under `/proc` and `/sys`: the [`Node`] below the workloads.
//!
//! `node` holds the pure readers of tables, `file` the bounded reading of files. What runs on the machine is told by `cgroup` and
//! `process`, which read their files by the same means.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::model::Moment;
use crate::workloads::{CpuNanos, Node, NodeFacts, Space};

pub(super) mod file;
pub(super) mod node;

/// What rarely changes is looked at anew after this time.
const RENEWAL: Duration = Duration::from_secs(60);
/// The longest name of a processor or machine that is kept.
const MAX_NAME: usize = 100;
/// More links than this no machine has.
const MAX_LINKS: usize = 4096;

/// Where the kernel shows this machine. In a container it is another place than usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// A folder on the file system whose room is told: that of guests' disks.
    pub disk: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: PathBuf::from("/proc"), sys: PathBuf::from("/sys"), disk: PathBuf::from("/") }
    }
}

/// Nanoseconds of one tick of the CPU times in `/proc`.
pub(super) fn tick_nanos() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

/// This machine.
#[derive(Debug)]
pub(super) struct Machine {
    roots: Roots,
    renewed: Option<Moment>,
    facts: Arc<NodeFacts>,
    mhz: Option<u32>,
    /// Names of its physical links.
    links: Vec<String>,
}

impl Machine {
    pub(super) fn new(roots: Roots) -> Self {
        Self { roots, renewed: None, facts: Arc::default(), mhz: None, links: Vec::new() }
    }

    /// CPU time of all logical CPUs so far, ticks, and how many they are; none where `/proc/stat` cannot be read.
    pub(super) fn stat(&self) -> Option<(u32, CpuNanos)> {
        let stat = node::stat(&file::text(&self.roots.proc.join("stat"))?)?;
        Some((stat.cpus, CpuNanos(stat.busy_ticks.saturating_mul(tick_nanos()))))
    }

    /// The node around CPU times that were read before, since those must be of one moment with the workloads'.
    pub(super) fn node(&mut self, (cpus, busy): (u32, CpuNanos), now: Moment) -> Option<Node> {
        if self.renewed.is_none_or(|at| now.since(at) >= RENEWAL) {
            self.renewed = Some(now);
            self.renew();
        }
        let memory = file::text(&self.roots.proc.join("meminfo"))?;
        let traffic = file::text(&self.net("dev"))
            .and_then(|text| node::traffic(&text, |link| self.links.iter().any(|own| own == link)));
        Some(Node {
            cpus,
            mhz: self.mhz,
            memory_bytes: node::memory(&memory, "MemTotal")?,
            free_memory_bytes: node::memory(&memory, "MemFree"),
            busy: Some(busy),
            facts: Arc::clone(&self.facts),
            network: traffic,
            disk: space(&self.roots.disk),
        })
    }

    /// A table of the network of the machine itself, which in a container is that of its first process.
    fn net(&self, table: &str) -> PathBuf {
        let first = self.roots.proc.join("1/net").join(table);
        let elsewhere = self.roots.proc != Path::new("/proc") && first.exists();
        if elsewhere { first } else { self.roots.proc.join("net").join(table) }
    }

    fn renew(&mut self) {
        let (proc, sys) = (&self.roots.proc, &self.roots.sys);
        let cpu = file::text(&proc.join("cpuinfo")).unwrap_or_default();
        let model = node::processor(&cpu, "model name").unwrap_or_default();
        let first = sys.join("devices/system/cpu/cpu0");
        let base = file::number(&first.join("cpufreq/base_frequency")).map(|khz| khz / 1000);
        let now = || node::processor(&cpu, "cpu MHz")?.split('.').next()?.parse::<u32>().ok();
        let mhz =
            base.and_then(|mhz| u32::try_from(mhz).ok()).or_else(|| node::nominal_mhz(model)).or_else(now);
        self.mhz = mhz.filter(|mhz| *mhz > 0);
        let links = physical_links(sys);
        let mut addresses =
            file::text(&self.net("fib_trie")).map(|text| node::ipv4(&text)).unwrap_or_default();
        addresses.extend(file::text(&self.net("if_inet6")).map(|text| node::ipv6(&text)).unwrap_or_default());
        let siblings = file::text(&first.join("topology/thread_siblings_list"));
        let facts = NodeFacts {
            hostname: hostname(proc),
            architecture: std::env::consts::ARCH.to_owned(),
            processor_model: file::plain(model, MAX_NAME),
            addresses,
            threads_per_core: siblings.and_then(|text| node::list(&text)).unwrap_or(0),
            link_bits_per_second: links.iter().filter_map(|link| link_speed(sys, link)).max(),
        };
        if *self.facts != facts {
            self.facts = Arc::new(facts);
        }
        self.links = links;
    }
}

/// The machine's own name; empty where it is not told.
pub(super) fn hostname(proc: &Path) -> String {
    file::text(&proc.join("sys/kernel/hostname")).map(|name| file::plain(&name, MAX_NAME)).unwrap_or_default()
}

/// Links with a device behind them: not bridges, tunnels, or the ends of guests' links.
fn physical_links(sys: &Path) -> Vec<String> {
    let Ok(links) = std::fs::read_dir(sys.join("class/net")) else { return Vec::new() };
    let mut links: Vec<String> = links
        .take(MAX_LINKS)
        .filter_map(|link| {
            let link = link.ok()?;
            link.path().join("device").exists().then(|| link.file_name().into_string().ok())?
        })
        .collect();
    links.sort();
    links
}

/// Bits a second of a link; none for one that is down, for which the kernel says -1 or nothing.
fn link_speed(sys: &Path, link: &str) -> Option<u64> {
    let megabits = file::number(&sys.join("class/net").join(link).join("speed"))?;
    // Some drivers say -1 as an unsigned number.
    megabits.checked_mul(1_000_000).filter(|_| megabits > 0 && megabits < u64::from(u32::MAX))
}

/// The room of the file system that holds `folder`.
fn space(folder: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let capacity = found.f_blocks.checked_mul(found.f_frsize)?;
    let taken = found.f_blocks.checked_sub(found.f_bfree)?.checked_mul(found.f_frsize)?;
    Some(Space { capacity, taken }).filter(|space| space.capacity > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_tells_of_itself() {
        let mut machine = Machine::new(Roots::default());
        let stat = machine.stat().unwrap();
        let node = machine.node(stat, Moment::ZERO).unwrap();
        assert!(node.cpus >= 1 && node.busy.unwrap() > CpuNanos(0), "{node:?}");
        assert!(node.memory_bytes > node.free_memory_bytes.unwrap(), "{node:?}");
        assert!(!node.facts.hostname.is_empty() && !node.facts.architecture.is_empty(), "{node:?}");
        let disk = node.disk.unwrap();
        assert!(disk.capacity >= disk.taken, "{disk:?}");
    }

    #[test]
    fn a_machine_that_shows_nothing_is_no_node() {
        let empty = tempfile::tempdir().unwrap();
        let at = |name: &str| empty.path().join(name);
        let mut machine = Machine::new(Roots { proc: at("proc"), sys: at("sys"), disk: at("disk") });
        assert_eq!(machine.stat(), None);
        assert_eq!(machine.node((1, CpuNanos(1)), Moment::ZERO), None);
    }
}
