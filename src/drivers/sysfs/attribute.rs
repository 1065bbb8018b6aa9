//! Single files of sysfs: one value each, read whole within a limit.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// No attribute is longer than a page.
const MAX_BYTES: u64 = 4096;
/// The most entries of one folder that are looked at: a machine with 256 cores has a thousand attributes.
const MAX_ENTRIES: usize = 4096;

/// Why a file gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It may not be opened by our user.
    Denied,
    /// It is gone, and perhaps its device with it.
    Gone,
    /// There is no value now (`ENODATA`, `EAGAIN`, a sleeping device), or none that can be understood.
    NoValue,
}

/// The text of an attribute, without the space around it.
pub(super) fn text(path: &Path) -> Result<String, Trouble> {
    let trouble = |error: std::io::Error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ACCESS) => Trouble::Denied,
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Trouble::Gone,
        Some(_) | None => Trouble::NoValue,
    };
    let mut bytes = Vec::new();
    File::open(path).map_err(trouble)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(trouble)?;
    let text = String::from_utf8(bytes).map_err(|_| Trouble::NoValue)?;
    Ok(text.trim().to_owned())
}

/// A whole number, as the kernel writes all of its measurements.
pub(super) fn number(path: &Path) -> Result<i64, Trouble> {
    text(path)?.parse().map_err(|_| Trouble::NoValue)
}

/// A counter.
pub(super) fn count(path: &Path) -> Result<u64, Trouble> {
    text(path)?.parse().map_err(|_| Trouble::NoValue)
}

/// A name for people; empty if there is none.
pub(super) fn name(path: &Path) -> String {
    let text = text(path).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// The entries of a folder by name, sorted as people count (`hwmon2` before `hwmon10`); none if there is no such folder.
pub(super) fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(folder) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut entries: Vec<_> = folder
        .take(MAX_ENTRIES)
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().into_string().ok()?, entry.path()))
        })
        .collect();
    entries.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    entries
}
