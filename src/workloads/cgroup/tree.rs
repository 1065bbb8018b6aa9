//! This machine's tree of control groups: what a look at it gives, and the book of who was there before.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::class::Class;
use super::cut::{Filter, Group, cut};
use super::layout::{Layout, Limits, Memory, Version};
use super::qemu::{Guest, guest};
use super::who::{Who, who};
use crate::model::{Clock, ErrorKind, Moment, PollError};
use crate::workloads::procfs::{Machine, Roots, file};
use crate::workloads::{CpuNanos, Node};

/// Limits of a group are read anew after this time.
const RENEWAL: Duration = Duration::from_secs(15);
/// A machine's process may begin a little after its group; so many looks it is waited for, before its name alone must do.
const PATIENCE: u8 = 3;
/// The longest command line that is read.
const MAX_COMMAND_LINE: u64 = 1 << 20;

/// A group at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) who: Arc<Who>,
    pub(super) run: u32,
    pub(super) cpu: CpuNanos,
    pub(super) memory: Option<Memory>,
    pub(super) limits: Limits,
}

/// All groups at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    pub(super) at: Moment,
    pub(super) node: Option<Node>,
    pub(super) groups: Vec<Seen>,
}

/// What is known of a group from one look to the next.
#[derive(Debug)]
struct Known {
    inode: u64,
    /// How often its counter fell though it stayed.
    falls: u32,
    cpu: u64,
    /// None while its process is waited for.
    who: Option<Arc<Who>>,
    waited: u8,
    limits: Limits,
    limited: Option<Moment>,
}

/// The tree.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    proc: PathBuf,
    filter: Filter,
    machine: Machine,
    /// Found once: another choice between v1 and v2 would take old counters for new ones.
    layout: Option<Layout>,
    known: HashMap<String, Known>,
    told: bool,
}

impl Tree {
    pub(super) fn new(root: PathBuf, roots: Roots, filter: Filter) -> Self {
        let proc = roots.proc.clone();
        let machine = Machine::new(roots);
        Self { root, proc, filter, machine, layout: None, known: HashMap::new(), told: false }
    }

    /// Looks at every group once. CPU times come first and close together, all else after them.
    ///
    /// # Errors
    /// If there is no tree, or none of its groups may be read.
    pub(super) fn look(&mut self, clock: &dyn Clock) -> Result<Look, PollError> {
        let layout = match self.layout.take() {
            Some(layout) if layout.cpu.folder.is_dir() => layout,
            Some(_) | None => Layout::find(&self.root, &self.filter)?,
        };
        let began = clock.now();
        let found = cut(&self.filter, layout.cpu.version == Version::V1, |path| layout.cpu.below(path));
        self.tell(found.too_many);
        let many = found.groups.len();
        let read = |group: Group| {
            // A group that is gone meanwhile is simply gone.
            let (inode, cpu) = (layout.cpu.inode(&group.path)?, layout.cpu.cpu(&group.path)?);
            Some((group, inode, cpu))
        };
        let read: Vec<_> = found.groups.into_iter().filter_map(read).collect();
        let stat = self.machine.stat();
        let ended = clock.now();
        if read.is_empty() && many > 0 {
            self.layout = None;
            return Err(unreadable(many, &layout));
        }
        let mut before = std::mem::take(&mut self.known);
        let groups = read
            .into_iter()
            .filter_map(|(group, inode, cpu)| {
                let known = before.remove(&group.path);
                self.seen(&layout, group, inode, cpu, known, began)
            })
            .collect();
        let node = stat.and_then(|stat| self.machine.node(stat, ended));
        self.layout = Some(layout);
        Ok(Look { at: began + ended.since(began) / 2, node, groups })
    }

    fn seen(
        &mut self,
        layout: &Layout,
        group: Group,
        inode: u64,
        cpu: u64,
        known: Option<Known>,
        now: Moment,
    ) -> Option<Seen> {
        let new =
            || Known { inode, falls: 0, cpu, who: None, waited: 0, limits: Limits::default(), limited: None };
        let mut known = known.filter(|known| known.inode == inode).unwrap_or_else(new);
        if cpu < known.cpu {
            known.falls = known.falls.wrapping_add(1);
        }
        known.cpu = cpu;
        if known.who.is_none() {
            known.who = self.identify(layout, &group, known.waited).map(Arc::new);
            known.waited = known.waited.saturating_add(1);
        }
        if known.limited.is_none_or(|at| now.since(at) >= RENEWAL) {
            known.limits = layout.limits(&group.path);
            known.limited = Some(now);
        }
        let seen = known.who.clone().map(|who| Seen {
            who,
            run: run(inode, known.falls),
            cpu: CpuNanos(cpu),
            memory: layout.memory(&group.path),
            limits: known.limits,
        });
        self.known.insert(group.path, known);
        seen
    }

    /// Who a new group is; none while a machine's process is waited for.
    fn identify(&self, layout: &Layout, group: &Group, waited: u8) -> Option<Who> {
        match group.class {
            Class::Vm { .. } => {
                let guest = self.guest(layout, &group.path);
                if guest.is_none() && waited < PATIENCE {
                    return None;
                }
                who(group, guest)
            }
            Class::Inner | Class::Overhead | Class::Unit | Class::User { .. } => who(group, None),
            Class::Container { .. } | Class::Pod(_) | Class::Job { .. } | Class::Other => who(group, None),
        }
    }

    fn guest(&self, layout: &Layout, path: &str) -> Option<Guest> {
        layout.processes(path).into_iter().find_map(|pid| {
            let line = self.proc.join(pid.to_string()).join("cmdline");
            guest(&file::read(&line, MAX_COMMAND_LINE).ok()?)
        })
    }

    fn tell(&mut self, too_many: bool) {
        if too_many && !std::mem::replace(&mut self.told, true) {
            tracing::warn!(
                root = %self.root.display(),
                "there are more control groups than are told apart: the rest counts as the host's own; leave some out with \
                 `exclude`, or take fewer with `depth`"
            );
        }
    }
}

/// Which run of a group this is. The kernel gives every folder another number, so that it is the same after a restart of the exporter.
fn run(inode: u64, falls: u32) -> u32 {
    let [a, b, c, d, e, f, g, h] = inode.to_le_bytes();
    let folded = u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h]);
    folded.wrapping_add(falls).max(1)
}

fn unreadable(groups: usize, layout: &Layout) -> PollError {
    PollError::new(
        ErrorKind::Auth,
        format!("none of the {groups} control groups under {} may be read", layout.cpu.folder.display()),
        "let this user read the folder: it is open to everyone unless it was mounted otherwise",
    )
}
