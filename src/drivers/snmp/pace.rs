//! When a request is sent again: by the round trips measured of the device (RFC 6298), since a datagram that is lost on the way is
//! known to be lost long before a slow agent's time-out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The soonest that a request is sent again: agents have pauses of their own.
const SOONEST: Duration = Duration::from_millis(100);

/// Most times that one request is sent.
const MAX_SENT: usize = 8;

/// A device's round trips.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Option<Measured>>);

/// Smoothed, seconds.
#[derive(Debug, Clone, Copy)]
struct Measured {
    mean: f64,
    deviation: f64,
}

impl Pace {
    /// An answer came after so long.
    pub fn answered(&self, after: Duration) {
        let after = after.as_secs_f64();
        let mut measured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *measured = Some(match *measured {
            None => Measured { mean: after, deviation: after / 2.0 },
            Some(Measured { mean, deviation }) => Measured {
                mean: mean + (after - mean) / 8.0,
                deviation: deviation + ((after - mean).abs() - deviation) / 4.0,
            },
        });
    }

    /// How long to wait before a request is sent for the second time, the third time and so on, and in the end for the last. No longer
    /// on the whole than `retries` times `timeout` before the last, which waits for `timeout` itself: a device whose answers became
    /// slow is still heard.
    #[must_use]
    pub fn waits(&self, timeout: Duration, retries: u32) -> Vec<Duration> {
        let measured = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = measured.map(|Measured { mean, deviation }| 4.0f64.mul_add(deviation, mean));
        let first = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(timeout);
        let mut wait = first.max(SOONEST).min(timeout);
        let mut left = timeout.saturating_mul(retries);
        let mut waits = Vec::new();
        while !left.is_zero() && waits.len() < MAX_SENT.saturating_sub(1) {
            waits.push(wait.min(left));
            left = left.saturating_sub(wait);
            wait = wait.saturating_mul(2).min(timeout);
        }
        waits.push(timeout);
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(waits: Vec<Duration>) -> Vec<u128> {
        waits.iter().map(Duration::as_millis).collect()
    }

    #[test]
    fn a_lost_request_is_sent_again_at_the_devices_own_pace() {
        let pace = Pace::default();
        let timeout = Duration::from_secs(1);
        // Nothing is known yet: the time-out, as often as configured.
        assert_eq!(millis(pace.waits(timeout, 2)), [1000, 1000, 1000]);
        assert_eq!(millis(pace.waits(timeout, 0)), [1000]);
        // 300 ms and 150 ms of deviation: 900 ms. Steady answers bring it down to the round trip itself.
        pace.answered(Duration::from_millis(300));
        assert_eq!(millis(pace.waits(timeout, 2)), [900, 1000, 100, 1000]);
        (0..40).for_each(|_| pace.answered(Duration::from_millis(300)));
        assert_eq!(millis(pace.waits(timeout, 2)), [300, 600, 1000, 99, 1000]);
        // A device next door is not asked every millisecond, and a time-out shorter than the pace holds.
        (0..80).for_each(|_| pace.answered(Duration::from_millis(1)));
        assert_eq!(millis(pace.waits(timeout, 1)), [100, 200, 400, 300, 1000]);
        assert_eq!(millis(pace.waits(Duration::from_millis(50), 1)), [50, 50]);
        assert!(pace.waits(Duration::from_secs(9), 1000).len() <= MAX_SENT);
    }
}
