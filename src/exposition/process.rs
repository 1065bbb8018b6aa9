//! What the exporter itself costs, from `/proc/self`: read when a page is made, since nothing else needs it.

use std::fs;
use std::time::Duration;

use super::catalog;
use super::encode::Encoder;

/// Clock ticks a second in `/proc`: fixed at 100 for user space on every Linux architecture that Rust's std runs on.
const TICKS_PER_SECOND: u64 = 100;

/// The process at one moment. What `/proc` does not tell (another system, a sandbox) is none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Process {
    /// When it started, seconds since the Unix epoch.
    pub start_time_seconds: Option<u64>,
    /// User and system CPU time so far.
    pub cpu: Option<Duration>,
    /// Resident memory, bytes.
    pub resident_memory_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
}

impl Process {
    /// Reads `/proc`. Takes some tens of microseconds and blocks.
    #[must_use]
    pub fn read() -> Self {
        let file = |path| fs::read_to_string(path).ok();
        let stat = file("/proc/self/stat").and_then(|text| stat(&text));
        let boot = file("/proc/stat").and_then(|text| field(&text, "btime"));
        let status = file("/proc/self/status");
        Self {
            start_time_seconds: stat
                .zip(boot)
                .map(|(stat, boot)| boot.saturating_add(stat.start_ticks / TICKS_PER_SECOND)),
            cpu: stat.map(|stat| ticks(stat.cpu_ticks)),
            resident_memory_bytes: status
                .and_then(|text| field(&text, "VmRSS:"))
                .map(|kibibytes| kibibytes.saturating_mul(1024)),
            open_fds: fs::read_dir("/proc/self/fd").ok().and_then(|dir| u64::try_from(dir.count()).ok()),
        }
    }

    /// Writes its families.
    pub fn render(&self, page: &mut Encoder) {
        if let Some(seconds) = self.start_time_seconds {
            page.family(&catalog::PROCESS_START_TIME_SECONDS).single(seconds);
        }
        if let Some(time) = self.cpu {
            page.family(&catalog::PROCESS_CPU_SECONDS_TOTAL).single(time);
        }
        if let Some(bytes) = self.resident_memory_bytes {
            page.family(&catalog::PROCESS_RESIDENT_MEMORY_BYTES).single(bytes);
        }
        if let Some(count) = self.open_fds {
            page.family(&catalog::PROCESS_OPEN_FDS).single(count);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
}

/// Reads `/proc/self/stat` (proc_pid_stat(5)): after the name in parentheses, which may hold blanks and parentheses
/// itself, utime and stime are fields 14 and 15, starttime is field 22, counted from 1.
fn stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    // The first one behind the name is field 3.
    let number = |field: usize| rest.split_ascii_whitespace().nth(field - 3)?.parse::<u64>().ok();
    Some(Stat { cpu_ticks: number(14)?.checked_add(number(15)?)?, start_ticks: number(22)? })
}

/// The first number behind `key` at the start of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

const fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_process_name_does_not_shift_the_fields() {
        let text = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 30 0 0 20 0 4 0 98765 1000 200";
        assert_eq!(stat(text), Some(Stat { cpu_ticks: 280, start_ticks: 98_765 }));
        assert_eq!(ticks(280), Duration::from_millis(2800));
    }

    #[test]
    fn what_proc_does_not_tell_is_absent() {
        assert_eq!(stat(""), None);
        assert_eq!(stat("1 (x) S 1 2"), None);
        assert_eq!(field("VmSize: 3 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(field("VmRSS:\n", "VmRSS:"), None);
        let mut page = Encoder::new(crate::exposition::Format::Text, Vec::new());
        Process::default().render(&mut page);
        assert!(page.finish().is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_and_open_files() {
        let process = Process::read();
        assert!(process.resident_memory_bytes > Some(100_000));
        assert!(process.open_fds > Some(2));
        assert!(process.cpu.is_some());
        // After 2020, and the boot time was read.
        assert!(process.start_time_seconds > Some(1_577_836_800));
    }
}
