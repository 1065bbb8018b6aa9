//! `/proc/PID/stat`: pure. Source: `proc_pid_stat(5)`.

use crate::workloads::procfs::file::plain;

/// The longest name of a process that is kept; the kernel's own limit is 15 bytes, but for its own threads.
const MAX_COMM: usize = 64;
/// The flag of the kernel's own threads (`include/linux/sched.h`).
const PF_KTHREAD: u64 = 0x0020_0000;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    /// Name of its command.
    pub(super) comm: String,
    /// Its parent.
    pub(super) parent: u32,
    /// Its own CPU time, all its threads', ticks.
    pub(super) own: u64,
    /// CPU time of its children that ended and were waited for, and of theirs, ticks.
    pub(super) children: u64,
    /// When it started, ticks after boot: tells it from another with the same number.
    pub(super) started: u64,
    /// Resident memory, pages.
    pub(super) resident_pages: u64,
    /// Whether it is a thread of the kernel's.
    pub(super) is_kernels: bool,
}

/// Reads the line; none if it is none.
pub(super) fn stat(line: &str) -> Option<Stat> {
    // The name stands in brackets and may hold brackets and spaces itself.
    let (head, rest) = line.rsplit_once(')')?;
    let (_, comm) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().take(22).collect();
    // Field 3 of the manual, the state, is the first here.
    let field = |number: usize| fields.get(number.checked_sub(3)?).copied();
    let count = |number: usize| field(number)?.parse::<u64>().ok();
    let signed = |number: usize| field(number)?.parse::<i64>().ok().map(|ticks| ticks.max(0).unsigned_abs());
    Some(Stat {
        comm: plain(comm, MAX_COMM),
        parent: field(4)?.parse().ok()?,
        own: count(14)?.checked_add(count(15)?)?,
        children: signed(16)?.checked_add(signed(17)?)?,
        started: count(22)?,
        resident_pages: signed(24).unwrap_or(0),
        is_kernels: count(9)? & PF_KTHREAD != 0,
    })
}

/// The unit of systemd that a process belongs to, by its `/proc/PID/cgroup`; none outside of units.
pub(super) fn unit(cgroup: &str) -> Option<String> {
    let path = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        (controllers.is_empty() || controllers == "name=systemd").then(|| path.to_owned())
    };
    let is_unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
    cgroup
        .lines()
        .filter_map(path)
        .find_map(|path| path.split('/').find(is_unit).map(|unit| plain(unit, 255)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_calls_itself() {
        // pid (comm) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime priority
        // nice threads itreal starttime vsize rss
        let line =
            "42 (a) R (b) S 7 42 42 0 -1 4194304 1 2 3 4 100 50 20 10 20 0 1 0 9999 1000000 250 184467\n";
        let want = Stat {
            comm: "a) R (b".into(),
            parent: 7,
            own: 150,
            children: 30,
            started: 9999,
            resident_pages: 250,
            is_kernels: false,
        };
        assert_eq!(stat(line), Some(want));
        for bad in [
            "",
            "42",
            "42 (a",
            "42 (a) S",
            "42 (a) S x 1 1",
            "1 (a) S 7 42 42 0 -1 4194304 1 2 3 4 x 50 20 10 20 0 1 0 9",
        ] {
            assert_eq!(stat(bad), None, "{bad}");
        }
    }

    #[test]
    fn threads_of_the_kernel_are_told() {
        let line =
            "9 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 0 3 0 0 20 0 1 0 29 0 0 18446744073709551615";
        // 69238880 = 0x4208060: PF_KTHREAD (0x200000) is set.
        assert!(stat(line).unwrap().is_kernels);
    }

    #[test]
    fn units_are_found_in_any_layout() {
        assert_eq!(unit("0::/system.slice/nginx.service\n").as_deref(), Some("nginx.service"));
        let hybrid = "4:memory:/x\n1:name=systemd:/system.slice/a.service/b\n0::/\n";
        assert_eq!(unit(hybrid).as_deref(), Some("a.service"));
        assert_eq!(
            unit("0::/user.slice/user-1000.slice/session-3.scope\n").as_deref(),
            Some("session-3.scope")
        );
        assert_eq!(unit("0::/\n"), None);
        assert_eq!(unit("garbage"), None);
    }
}
