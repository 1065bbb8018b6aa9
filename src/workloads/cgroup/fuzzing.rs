//! Fuzz target of control groups: any path has a class and an identity that may be a label, and any file is read to its end.
//!
//! An input is a path and, after the first zero byte, the text of a file.

#![allow(clippy::unwrap_used, reason = "that is how a run fails")]

use super::class::class;
use super::cut::Group;
use super::files::{Quota, keyed, memory_limit, usage};
use super::qemu::guest;
use super::who::who;

/// Runs one input.
pub fn cgroup(input: &[u8]) {
    let split = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let (path, file) = input.split_at(split);
    let (path, file) = (String::from_utf8_lossy(path), String::from_utf8_lossy(file));
    let path = format!("/{}", path.trim_start_matches('/'));
    let class = class(&path.split('/').skip(1).collect::<Vec<_>>());
    let guest = guest(&file);
    if path.len() > 1 {
        let found = who(&Group { path, class }, guest).unwrap();
        assert!(!found.name.chars().chain(found.domain.chars()).any(char::is_control), "{found:?}");
    }
    let _ = (usage(&file), keyed(&file, "inactive_file"), memory_limit(&file));
    if let Some(quota) = Quota::of_v2(&file).or_else(|| Quota::of_v1(&file, &file)) {
        assert!(quota.cpus() > 0.0 && quota.whole_cpus() > 0);
    }
}
