//! The book of processes: what each group of them has used since the first look, though processes come and go. Pure.
//!
//! A process that ended between two looks has used CPU time that nobody saw, but its parent, once it has waited for it, shows that time
//! among its children's. So what a parent's children gained beyond what was seen of them is the parent's group's. Missed is what ends
//! without being waited for (a parent that ignores its children, an orphan whose new parent is elsewhere): the host's own.

use std::collections::{BTreeMap, HashMap};

use super::stat::Stat;

/// The most groups: past them all others are one.
pub(super) const MAX_GROUPS: usize = 2_000;
/// The group of those for which there is no room.
pub(super) const OTHERS: &str = "others";

/// A process of a look, with the name of its group; none where it is in none that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) group: Option<String>,
    pub(super) stat: Stat,
}

/// A group at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Group {
    /// CPU time since the first look, ticks. Never falls.
    pub(super) ticks: u64,
    /// Resident memory now, pages; pages that are shared count for each process.
    pub(super) pages: u64,
    /// Processes now.
    pub(super) processes: usize,
}

/// What is kept of a process from one look to the next.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    started: u64,
    parent: u32,
    own: u64,
    children: u64,
    /// What was seen of children that ended, but the parent did not show yet.
    late: u64,
}

/// All groups and processes.
#[derive(Debug, Default)]
pub(super) struct Book {
    groups: BTreeMap<String, Group>,
    kept: HashMap<u32, Kept>,
    begun: bool,
}

impl Book {
    /// Takes a look: every process there is. Gives all groups that ever were.
    pub(super) fn look(&mut self, processes: Vec<Process>) -> &BTreeMap<String, Group> {
        for group in self.groups.values_mut() {
            (group.pages, group.processes) = (0, 0);
        }
        let mut before = std::mem::take(&mut self.kept);
        let going_on: Vec<_> = processes
            .into_iter()
            .map(|process| {
                let kept = before.remove(&process.pid);
                // Another process with the same number has ended the first one.
                let same = kept.filter(|kept| kept.started == process.stat.started);
                if let (Some(kept), None) = (kept, same) {
                    before.insert(process.pid, kept);
                }
                (process, same)
            })
            .collect();
        let mut ended: HashMap<u32, u64> = HashMap::new();
        for kept in before.values() {
            let seen = ended.entry(kept.parent).or_default();
            *seen = seen.saturating_add(kept.own).saturating_add(kept.children);
        }
        for (process, kept) in going_on {
            self.enter(process, kept.unwrap_or_default(), &ended);
        }
        self.begun = true;
        &self.groups
    }

    fn enter(&mut self, process: Process, mut kept: Kept, ended: &HashMap<u32, u64>) {
        let Process { pid, group, stat } = process;
        let own = stat.own.saturating_sub(kept.own);
        let of_children = stat.children.saturating_sub(kept.children);
        let ended = ended.get(&pid).copied().unwrap_or(0);
        let seen = ended.saturating_add(kept.late);
        let unseen = of_children.saturating_sub(seen);
        // What was never shown until the look after the next was never waited for.
        kept.late = seen.saturating_sub(of_children).min(ended);
        kept.own = kept.own.max(stat.own);
        kept.children = kept.children.max(stat.children);
        (kept.started, kept.parent) = (stat.started, stat.parent);
        self.kept.insert(pid, kept);
        let Some(name) = group else { return };
        let room = self.groups.len() < MAX_GROUPS || self.groups.contains_key(&name);
        let group = self.groups.entry(if room { name } else { OTHERS.to_owned() }).or_default();
        if self.begun {
            group.ticks = group.ticks.saturating_add(own).saturating_add(unseen);
        }
        group.pages = group.pages.saturating_add(stat.resident_pages);
        group.processes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number, group, parent, own ticks, children's ticks.
    fn process((pid, group, parent, own, children): (u32, &str, u32, u64, u64)) -> Process {
        let stat = Stat {
            comm: group.to_owned(),
            parent,
            own,
            children,
            started: u64::from(pid / 100),
            resident_pages: 10,
            is_kernels: false,
        };
        Process { pid: pid % 100, group: (!group.is_empty()).then(|| group.to_owned()), stat }
    }

    fn ticks(book: &mut Book, look: &[(u32, &str, u32, u64, u64)]) -> Vec<(String, u64)> {
        let groups = book.look(look.iter().copied().map(process).collect());
        groups.iter().map(|(name, group)| (name.clone(), group.ticks)).collect()
    }

    fn want(groups: &[(&str, u64)]) -> Vec<(String, u64)> {
        groups.iter().map(|(name, ticks)| ((*name).to_owned(), *ticks)).collect()
    }

    #[test]
    fn a_group_counts_from_the_first_look_and_never_falls() {
        let mut book = Book::default();
        assert_eq!(ticks(&mut book, &[(1, "web", 0, 500, 70), (2, "web", 0, 100, 0)]), want(&[("web", 0)]));
        assert_eq!(ticks(&mut book, &[(1, "web", 0, 530, 70), (2, "web", 0, 105, 0)]), want(&[("web", 35)]));
        assert_eq!(ticks(&mut book, &[(2, "web", 0, 110, 0)]), want(&[("web", 40)]), "one ended");
        assert_eq!(ticks(&mut book, &[]), want(&[("web", 40)]));
        // A new process counts with all that it used: it began after the first look.
        assert_eq!(ticks(&mut book, &[(3, "web", 0, 7, 0)]), want(&[("web", 47)]));
    }

    #[test]
    fn what_short_lived_children_used_is_their_parents_once() {
        let mut book = Book::default();
        ticks(&mut book, &[(1, "make", 0, 10, 0)]);
        // cc was seen with 20 ticks, ended with 50; another that nobody saw had 30: make shows 80 of children.
        ticks(&mut book, &[(1, "make", 0, 10, 0), (2, "cc", 1, 20, 0)]);
        assert_eq!(ticks(&mut book, &[(1, "make", 0, 10, 80)]), want(&[("cc", 20), ("make", 60)]));
        assert_eq!(ticks(&mut book, &[(1, "make", 0, 10, 80)]), want(&[("cc", 20), ("make", 60)]));
    }

    #[test]
    fn a_parent_that_shows_its_children_late_is_not_given_them_twice() {
        let mut book = Book::default();
        ticks(&mut book, &[(1, "sh", 0, 0, 0), (2, "dd", 1, 40, 0)]);
        assert_eq!(ticks(&mut book, &[(1, "sh", 0, 0, 0)]), want(&[("dd", 0), ("sh", 0)]));
        assert_eq!(ticks(&mut book, &[(1, "sh", 0, 0, 40)]), want(&[("dd", 0), ("sh", 0)]));
        // A parent that ignores its children does not pay with what others of them use later.
        ticks(&mut book, &[(1, "sh", 0, 0, 40), (3, "dd", 1, 9, 0)]);
        ticks(&mut book, &[(1, "sh", 0, 0, 40)]);
        ticks(&mut book, &[(1, "sh", 0, 0, 40)]);
        assert_eq!(ticks(&mut book, &[(1, "sh", 0, 0, 45)]), want(&[("dd", 9), ("sh", 5)]));
    }

    #[test]
    fn another_process_with_the_same_number_is_another() {
        let mut book = Book::default();
        ticks(&mut book, &[(1, "a", 0, 100, 0)]);
        // 101: started later.
        assert_eq!(ticks(&mut book, &[(101, "a", 0, 5, 0)]), want(&[("a", 5)]));
    }

    #[test]
    fn names_without_end_fill_no_memory() {
        let mut book = Book::default();
        for n in 0..3 {
            let all = (0..1_500u32).map(|pid| {
                let mut one = process((1, "", 0, 0, 0));
                (one.pid, one.group, one.stat.started) = (pid, Some(format!("{n}-{pid}")), n);
                one
            });
            let groups = book.look(all.collect());
            assert!(groups.len() <= MAX_GROUPS + 1, "{}", groups.len());
        }
        assert!(book.groups.contains_key(OTHERS));
    }
}
