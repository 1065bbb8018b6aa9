//! Files of the kernel's: small, of one value or a few lines, each read whole within a limit. What is gone or may not be read is
//! no text; whoever needs to know why asks [`read`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The most of a table: `/proc/cpuinfo` has some 1,500 bytes for each CPU.
const MAX_BYTES: u64 = 4 << 20;

/// The whole text of a file; one that is longer than `most` bytes is an error.
pub(in crate::workloads) fn read(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than such a file can be"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text"))
}

/// The text of a file; none if it is not there, not ours to read or too large.
pub(in crate::workloads) fn text(path: &Path) -> Option<String> {
    read(path, MAX_BYTES).ok()
}

/// A file that holds one number.
pub(in crate::workloads) fn number(path: &Path) -> Option<u64> {
    read(path, 4096).ok()?.trim().parse().ok()
}

/// Text from outside, for a label: no control characters, not too long.
pub(in crate::workloads) fn plain(text: &str, most: usize) -> String {
    text.trim().chars().map(|c| if c.is_control() { '?' } else { c }).take(most).collect()
}
