//! Fuzz target of what the kernel shows of processes and of the machine: whatever stands there, reading it ends.
//!
//! An input is the text of a file. That a process may call itself anything makes one of them hostile.

use super::stat;
use crate::workloads::procfs::node;

/// Runs one input.
pub fn process(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(stat) = stat::stat(&text) {
        assert!(!stat.comm.chars().any(char::is_control), "a name becomes a label");
    }
    let _ = stat::unit(&text);
    node::fuzz(&text);
}
