//! What a BMC says of the machine it sits in. Pure.

use super::names::clean;
use super::resources::System;
use crate::model::SystemSummary;

const BYTES_PER_GIB: f64 = 1_073_741_824.0;
/// More memory than this is a mistake: 1 PiB.
const MAX_GIB: f64 = 1_048_576.0;

/// The summary that `ComputerSystem` gives, as far as it says anything.
pub(super) fn summary(system: &System) -> Option<SystemSummary> {
    let text = |text: Option<&String>| text.map_or_else(String::new, |t| clean(t));
    // 0 is what BMCs show before the machine was first switched on.
    let some = |count: Option<u32>| count.filter(|count| *count > 0);
    let summary = SystemSummary {
        hostname: text(system.hostname.as_ref()),
        processor_model: text(system.processor_summary.model.as_ref()),
        processors: some(system.processor_summary.processors),
        cores: some(system.processor_summary.cores),
        threads: some(system.processor_summary.threads),
        memory_bytes: system.memory_summary.total_gib.and_then(bytes),
    };
    (summary != SystemSummary::default()).then_some(summary)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2^50")]
fn bytes(gib: f64) -> Option<u64> {
    (gib > 0.0 && gib <= MAX_GIB).then(|| (gib * BYTES_PER_GIB).round() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::resources::read;
    use super::*;

    #[test]
    fn memory_is_bytes_and_nonsense_is_not_there() {
        for (gib, want) in [
            (json!(96), Some(103_079_215_104)), // 96 x 2^30
            (json!("0.5"), Some(536_870_912)),
            (json!(0), None),
            (json!(-4), None),
            (json!(1e300), None),
            (json!(null), None),
        ] {
            let system: System =
                read(&json!({ "HostName": "a", "MemorySummary": { "TotalSystemMemoryGiB": gib } }));
            assert_eq!(summary(&system).unwrap().memory_bytes, want, "{gib}");
        }
    }

    #[test]
    fn counts_are_whole_and_more_than_none() {
        for (count, want) in [
            (json!(2), Some(2)),
            (json!("2"), Some(2)),
            (json!(2.0), Some(2)),
            (json!(2.5), None),
            (json!(0), None),
            (json!(-1), None),
            (json!(5e9), None),
            (Value::Null, None),
        ] {
            let system: System = read(&json!({ "HostName": "a", "ProcessorSummary": { "Count": count } }));
            assert_eq!(summary(&system).unwrap().processors, want, "{count}");
        }
        assert_eq!(summary(&System::default()), None);
    }
}
