//! The cut through the tree: which groups are workloads, so that no CPU second counts twice. Pure but for the listing of folders,
//! which is handed in.
//!
//! From the root on: what an exclusion names is left out with all below it. A group that is somebody (a unit, container, job, VM) is
//! taken whole, a group that only holds others is looked into, and so is any other one until it has no groups below. At the
//! greatest depth a group is taken whole whatever it is. What is not taken counts as the host's own.

use glob::Pattern;

use super::class::{Class, class};

/// The most folders that are listed in one look: past them what is left counts as the host's own.
const MAX_FOLDERS: usize = 20_000;
/// The most groups that are taken.
const MAX_GROUPS: usize = 8_000;
/// The longest path that is looked at, bytes.
const MAX_PATH: usize = 2_000;

/// What of the tree is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Groups this many levels below the root are taken whole; at least 1.
    pub depth: usize,
    /// Only groups of which one of these says so are taken; all where there is none. A pattern with a slash speaks of the path from
    /// the root, `/system.slice/nginx.service`, one without of the last part of it.
    pub include: Vec<Pattern>,
    /// These are left out, with all below them. As `include`.
    pub exclude: Vec<Pattern>,
    /// Leave virtual machines out, since somebody else tells of them.
    pub without_machines: bool,
}

impl Default for Filter {
    fn default() -> Self {
        Self { depth: 10, include: Vec::new(), exclude: Vec::new(), without_machines: false }
    }
}

/// A group that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// From the root on: `/system.slice/nginx.service`.
    pub(super) path: String,
    pub(super) class: Class,
}

/// What came of a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) groups: Vec<Group>,
    /// Whether there were more than are looked at.
    pub(super) too_many: bool,
}

/// Cuts the tree whose folders `below` lists: given a path, the names of the groups right below. `slices` says whether slices
/// without groups below may hold processes themselves, as under v1.
pub(super) fn cut(filter: &Filter, slices: bool, mut below: impl FnMut(&str) -> Vec<String>) -> Cut {
    let mut cut = Cut::default();
    let mut listed = 0;
    let mut open = vec![String::new()];
    while let Some(path) = open.pop() {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let is_root = parts.is_empty();
        if !is_root && matches(&filter.exclude, &path) {
            continue;
        }
        let class = class(&parts);
        let taken = match &class {
            Class::Overhead => continue,
            Class::Vm { .. } if filter.without_machines => continue,
            Class::Unit
            | Class::User { .. }
            | Class::Vm { .. }
            | Class::Container { .. }
            | Class::Job { .. } => true,
            Class::Inner | Class::Pod(_) | Class::Other => !is_root && parts.len() >= filter.depth,
        };
        let mut leaf = taken;
        if !taken {
            if listed >= MAX_FOLDERS {
                cut.too_many = true;
                break;
            }
            listed += 1;
            let names = below(&path);
            leaf = names.is_empty()
                && match class {
                    Class::Other => true,
                    Class::Inner => slices && !is_root,
                    Class::Overhead | Class::Unit | Class::User { .. } | Class::Vm { .. } => false,
                    Class::Container { .. } | Class::Job { .. } | Class::Pod(_) => false,
                };
            let child = |name: String| format!("{path}/{name}");
            open.extend(names.into_iter().rev().map(child).filter(|path| path.len() <= MAX_PATH));
        }
        if leaf && (filter.include.is_empty() || matches(&filter.include, &path)) {
            if cut.groups.len() >= MAX_GROUPS {
                cut.too_many = true;
                break;
            }
            cut.groups.push(Group { path, class });
        }
    }
    cut
}

/// Whether one of the patterns speaks of the path.
fn matches(patterns: &[Pattern], path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    patterns.iter().any(|pattern| pattern.matches(if pattern.as_str().contains('/') { path } else { name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &[&str] = &[
        "/init.scope",
        "/system.slice/nginx.service/worker",
        "/system.slice/cron.service",
        "/system.slice/boot.mount",
        "/system.slice/system-getty.slice/getty@tty1.service",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/shell.service",
        r"/machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/emulator",
        "/build/a",
        "/build/b/c",
        "/empty.slice",
    ];

    /// The names right below a path in [`TREE`].
    fn below(path: &str) -> Vec<String> {
        let start = format!("{path}/");
        let names = TREE.iter().filter_map(|one| one.strip_prefix(&start)?.split('/').next());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    fn paths(filter: &Filter) -> Vec<String> {
        cut(filter, false, below).groups.into_iter().map(|group| group.path).collect()
    }

    fn globs(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
    }

    #[test]
    fn everybody_is_taken_whole_and_nobody_twice() {
        let all = paths(&Filter::default());
        assert_eq!(
            all,
            [
                "/build/a",
                "/build/b/c",
                "/init.scope",
                r"/machine.slice/machine-qemu\x2d1\x2dweb.scope",
                "/system.slice/cron.service",
                "/system.slice/nginx.service",
                "/system.slice/system-getty.slice/getty@tty1.service",
                "/user.slice/user-1000.slice",
            ]
        );
    }

    #[test]
    fn no_group_is_taken_below_another_at_any_depth_and_filter() {
        for depth in 1..6 {
            for include in [vec![], globs(&["*.service"]), globs(&["/build/*", "/user.slice"])] {
                for exclude in [vec![], globs(&["/system.slice"]), globs(&["c"])] {
                    let filter = Filter { depth, include: include.clone(), exclude, without_machines: false };
                    let taken = paths(&filter);
                    for (one, other) in
                        taken.iter().flat_map(|one| taken.iter().map(move |other| (one, other)))
                    {
                        assert!(!other.starts_with(&format!("{one}/")), "{one} holds {other}: {filter:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn depth_takes_groups_whole() {
        let filter = Filter { depth: 1, ..Filter::default() };
        let names =
            ["/build", "/empty.slice", "/init.scope", "/machine.slice", "/system.slice", "/user.slice"];
        assert_eq!(paths(&filter), names);
        let filter = Filter { depth: 2, ..Filter::default() };
        assert!(paths(&filter).contains(&"/system.slice/system-getty.slice".to_owned()));
    }

    #[test]
    fn patterns_speak_of_paths_or_of_last_parts() {
        let filter = Filter { include: globs(&["*.service"]), ..Filter::default() };
        assert_eq!(paths(&filter).len(), 3);
        let filter = Filter { include: globs(&["/build/*"]), exclude: globs(&["b"]), ..Filter::default() };
        assert_eq!(paths(&filter), ["/build/a"]);
        let filter =
            Filter { exclude: globs(&["/system.slice", "user.slice", "/build*"]), ..Filter::default() };
        assert_eq!(paths(&filter), ["/init.scope", r"/machine.slice/machine-qemu\x2d1\x2dweb.scope"]);
        let filter = Filter { without_machines: true, ..Filter::default() };
        assert!(!paths(&filter).iter().any(|path| path.contains("qemu")));
    }

    #[test]
    fn an_endless_tree_ends() {
        let filter = Filter { depth: 64, ..Filter::default() };
        let deep = cut(&filter, false, |_| vec!["x".repeat(200)]);
        assert!(deep.groups.is_empty());
        let wide = cut(&filter, false, |path| {
            if path.is_empty() { (0..20_000).map(|n| n.to_string()).collect() } else { Vec::new() }
        });
        assert!(wide.too_many && wide.groups.len() <= MAX_GROUPS);
    }
}
