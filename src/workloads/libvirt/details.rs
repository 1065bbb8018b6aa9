//! From statistics and XML to what is known of a domain beyond what attribution needs. Pure.

use super::stats::{Memory, Told};
use super::xml::Described;
use crate::workloads::Details;

/// A guest that has not told the use of its memory for this long, or for three of its periods, has stopped to: seconds.
const MEMORY_STALE: u64 = 600;

/// What is known of a domain at `unix_seconds`; `cpu_allocated` is for who knows all domains to say.
pub fn details(told: &Told, described: &Described, unix_seconds: f64) -> Details {
    Details {
        cpu_allocated: None,
        resident_memory_bytes: told.memory.resident.and_then(bytes),
        used_memory_bytes: used(&told.memory, described.memory_period, unix_seconds).and_then(bytes),
        network: told.network,
        disk: told.disk,
        io: told.io,
    }
}

fn bytes(kib: u64) -> Option<u64> {
    kib.checked_mul(1024)
}

/// Memory that the guest uses by its own account, KiB. Values of a guest that never tells anew are as old as its boot.
fn used(memory: &Memory, period: Option<u64>, unix_seconds: f64) -> Option<u64> {
    let limit = period?.saturating_mul(3).max(MEMORY_STALE);
    let told = memory.last_update.filter(|at| *at > 0)?;
    #[allow(clippy::cast_precision_loss, reason = "Unix time")]
    if unix_seconds - told as f64 > limit as f64 {
        return None;
    }
    memory.available?.checked_sub(memory.usable.or(memory.unused)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_as_the_guest_tells_it_while_it_does() {
        let told = Memory {
            resident: Some(1),
            available: Some(1000),
            usable: Some(700),
            unused: Some(600),
            last_update: Some(5000),
        };
        for (memory, period, now, wanted) in [
            (told, Some(10), 5010.0, Some(300)),
            (Memory { usable: None, ..told }, Some(10), 5010.0, Some(400)),
            (Memory { usable: None, unused: None, ..told }, Some(10), 5010.0, None),
            (Memory { available: None, ..told }, Some(10), 5010.0, None),
            // More usable than there is: not told at one moment.
            (Memory { usable: Some(1001), ..told }, Some(10), 5010.0, None),
            (told, None, 5010.0, None),
            (told, Some(10), 5601.0, None),
            (told, Some(300), 5601.0, Some(300)),
            // Its clock is ahead of ours.
            (told, Some(10), 4000.0, Some(300)),
            (Memory { last_update: Some(0), ..told }, Some(10), 10.0, None),
            (Memory { last_update: None, ..told }, Some(10), 10.0, None),
        ] {
            assert_eq!(used(&memory, period, now), wanted, "{memory:?} {period:?} {now}");
        }
    }
}
