//! Fuzz target of energy counters: whatever the kernel shows and whenever, what was counted never falls but to begin anew.
//!
//! An input is the counter's range (0: not known) and its first value, then pairs of a time in milliseconds and a value.

#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a run fails")]

use std::time::Duration;

use super::counter::Counter;
use crate::model::Moment;

/// Runs one input.
pub fn counter(input: &[u8]) {
    let mut numbers = input.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    let (Some(range), Some(first)) = (numbers.next(), numbers.next()) else { return };
    let mut at = Moment::from_nanos(0);
    let mut counter = Counter::new(first, (range > 0).then_some(range), at);
    let mut before = 0.0;
    while let (Some(time), Some(raw)) = (numbers.next(), numbers.next()) {
        at = at + Duration::from_millis(time % (1 << 32));
        counter.advance(raw, at);
        let shown = counter.shown().unwrap();
        assert!(shown.total.get() >= before || shown.total.get() == 0.0, "it falls");
        before = shown.total.get();
        assert!(counter.power().is_none_or(|power| power.get().is_finite()));
    }
}
