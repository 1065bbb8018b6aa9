//! This machine's processes as workloads, grouped by the name of their command or by their unit: for machines whose control groups do not
//! tell who is who. On request only, since processes are many and end between looks.
//!
//! `stat` reads what the kernel shows of one, `book` counts what a group used though its processes come and go. Threads of the kernel's
//! are the host's own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use glob::Pattern;

use super::procfs::{Machine, Roots, file, tick_nanos};
use super::thread::Looker;
use super::{CpuNanos, Details, Node, Source, State, Usage, Workload, WorkloadInfo, WorkloadKind};
use crate::model::{BoxFuture, Clock, ErrorKind, Moment, PollError, WorkloadId};

mod book;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod stat;

use book::{Book, Group, Process};

/// Value of the `driver` label.
pub const NAME: &str = "process";

/// More processes than this are not looked at.
const MAX_PROCESSES: usize = 200_000;
/// The largest of a process's files that are read.
const MAX_FILE: u64 = 64 << 10;

/// What makes processes one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The name of their command: the first 15 bytes of it, which is what the kernel keeps.
    Name,
    /// The unit of systemd that started them; those outside of units are the host's own.
    Unit,
}

/// All that the source needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the kernel shows the machine.
    pub machine: Roots,
    /// What makes processes one workload.
    pub by: By,
    /// Only groups of which one of these says so; all where there is none.
    pub include: Vec<Pattern>,
    /// These are the host's own.
    pub exclude: Vec<Pattern>,
}

/// Builds the source; reads nothing yet.
///
/// # Errors
/// None so far.
pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Box<dyn Source>, PollError> {
    // Counters begin with us: so does their run.
    let run = u32::try_from(Duration::try_from_secs_f64(clock.unix_seconds()).unwrap_or_default().as_secs());
    let table = Table { machine: Machine::new(settings.machine.clone()), book: Book::default(), settings };
    let run = run.unwrap_or(1).max(1);
    Ok(Box::new(Processes { looker: Looker::new(table), clock, run, infos: HashMap::new() }))
}

struct Processes {
    looker: Looker<Table, Result<Look, PollError>>,
    clock: Arc<dyn Clock>,
    run: u32,
    infos: HashMap<String, Arc<WorkloadInfo>>,
}

/// The table of processes, as far as it was looked at.
struct Table {
    settings: Settings,
    machine: Machine,
    book: Book,
}

struct Look {
    at: Moment,
    node: Option<Node>,
    groups: Vec<(String, Group)>,
}

impl Table {
    fn look(&mut self, clock: &dyn Clock) -> Result<Look, PollError> {
        let began = clock.now();
        let processes = self.processes()?;
        let stat = self.machine.stat();
        let ended = clock.now();
        let groups = self.book.look(processes).iter().filter(|(_, group)| group.processes > 0);
        let groups = groups.map(|(name, group)| (name.clone(), *group)).collect();
        let node = stat.and_then(|stat| self.machine.node(stat, ended));
        Ok(Look { at: began + ended.since(began) / 2, node, groups })
    }

    /// Parents mostly have lower numbers than their children: read in order, one that ends meanwhile is seen to have ended.
    fn processes(&self) -> Result<Vec<Process>, PollError> {
        let proc = &self.settings.machine.proc;
        let nothing = |why: String| {
            let cause = format!("no processes can be seen under {}: {why}", proc.display());
            PollError::new(
                ErrorKind::NoReading,
                cause,
                "in a container mount the host's /proc and name the place as `proc`",
            )
        };
        let entries = std::fs::read_dir(proc).map_err(|error| nothing(error.to_string()))?;
        let number =
            |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<u32>().ok();
        let mut pids: Vec<u32> = entries.filter_map(number).take(MAX_PROCESSES).collect();
        pids.sort_unstable();
        let processes: Vec<Process> = pids.into_iter().filter_map(|pid| self.process(pid)).collect();
        if processes.is_empty() { Err(nothing("there are none".to_owned())) } else { Ok(processes) }
    }

    fn process(&self, pid: u32) -> Option<Process> {
        let folder = self.settings.machine.proc.join(pid.to_string());
        let stat = stat::stat(&file::read(&folder.join("stat"), MAX_FILE).ok()?)?;
        let group = match self.settings.by {
            _ if stat.is_kernels => None,
            By::Name => Some(stat.comm.clone()),
            By::Unit => file::read(&folder.join("cgroup"), MAX_FILE).ok().and_then(|text| stat::unit(&text)),
        };
        let group = group.filter(|group| !group.is_empty() && self.wanted(group));
        Some(Process { pid, group, stat })
    }

    fn wanted(&self, group: &str) -> bool {
        let Settings { include, exclude, .. } = &self.settings;
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(group));
        (include.is_empty() || any(include)) && !any(exclude)
    }
}

impl Processes {
    async fn once(&mut self) -> Result<Usage, PollError> {
        let clock = Arc::clone(&self.clock);
        let Look { at, node, groups } = self.looker.look(move |table| table.look(clock.as_ref())).await??;
        let mut before = std::mem::take(&mut self.infos);
        let mut workloads = Vec::with_capacity(groups.len());
        for (name, group) in groups {
            let info = before.remove(&name).or_else(|| {
                let id = WorkloadId::new(&name).ok()?;
                Some(Arc::new(WorkloadInfo::new(id, WorkloadKind::Process, &name)))
            });
            let Some(info) = info else { continue };
            workloads.push(self.workload(&info, group));
            self.infos.insert(name, info);
        }
        Ok(Usage { at, node, workloads })
    }

    fn workload(&self, info: &Arc<WorkloadInfo>, group: Group) -> Workload {
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let memory = group.pages.saturating_mul(page);
        Workload {
            info: Arc::clone(info),
            run: self.run,
            state: Some(State::Running),
            cpu: Some(CpuNanos(group.ticks.saturating_mul(tick_nanos()))),
            vcpus: 0,
            memory_bytes: memory,
            cycles: None,
            details: Details { resident_memory_bytes: Some(memory), ..Details::default() },
        }
    }
}

impl Source for Processes {
    fn sample(&mut self) -> BoxFuture<'_, Result<Usage, PollError>> {
        Box::pin(self.once())
    }
}
