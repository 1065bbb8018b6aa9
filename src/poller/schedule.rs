//! When to poll next. Pure: outcomes and times in, times out.
//!
//! A healthy device is polled on a grid of its own, shifted by a hash of its name so that a thousand devices do not speak
//! at once. One that fails is left alone for longer and longer (the breaker), and one that refuses our credentials for
//! long, since BMCs lock accounts.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::Timing;
use crate::model::{ErrorKind, Moment};

/// Failures in a row after which the breaker opens.
const TOLERATED: u32 = 3;
/// The longest pause of a device that does not answer.
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// The first pause after refused credentials; each further refusal doubles it.
const AUTH_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause after refused credentials.
const MAX_AUTH_PAUSE: Duration = Duration::from_secs(3600);

/// Devices are polled at the start of slots of this length, or of this part of an interval if that is shorter.
const SLOT: Duration = Duration::from_millis(16);
const SLOTS: u32 = 64;

/// The schedule of one device.
#[derive(Debug, Clone)]
pub struct Schedule {
    timing: Timing,
    /// 0 to 1 of an interval.
    phase: f64,
    next: Moment,
    failures: u32,
    refusals: u32,
}

impl Schedule {
    /// A schedule whose first poll is within one interval of `now`.
    #[must_use]
    pub fn new(name: &str, timing: Timing, now: Moment) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let phase = f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        let first = slot_from(now + timing.interval.mul_f64(phase), timing.interval);
        Self { timing, phase, next: first, failures: 0, refusals: 0 }
    }

    /// When the next poll is due.
    #[must_use]
    pub const fn next(&self) -> Moment {
        self.next
    }

    /// Whether the device is being left alone.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.failures > TOLERATED || self.refusals > 0
    }

    /// Takes the outcome of the poll that was due and ended at `now`; gives when the next is due.
    pub fn after(&mut self, outcome: Result<(), ErrorKind>, now: Moment) -> Moment {
        match outcome {
            Ok(()) => (self.failures, self.refusals) = (0, 0),
            Err(ErrorKind::Auth) => self.refusals = self.refusals.saturating_add(1),
            Err(
                ErrorKind::Timeout
                | ErrorKind::Unreachable
                | ErrorKind::Tls
                | ErrorKind::Protocol
                | ErrorKind::NoReading
                | ErrorKind::Busy,
            ) => self.failures = self.failures.saturating_add(1),
        }
        let grid = self.next_on_grid(now);
        let rest = slot_from(now + self.pause(), self.timing.interval);
        self.next = if rest > grid { rest } else { grid };
        self.next
    }

    /// The first point of the grid after `now`: missed ones are skipped.
    fn next_on_grid(&self, now: Moment) -> Moment {
        let interval = self.timing.interval.as_nanos().max(1);
        let missed = now.since(self.next).as_nanos() / interval;
        let ahead = u64::try_from(interval.saturating_mul(missed + 1)).unwrap_or(u64::MAX);
        self.next + Duration::from_nanos(ahead)
    }

    /// How long the device is left alone. Behind a switch that restarts all devices fail at once and would come back at once:
    /// their pauses are spread evenly over half to one and a half of what they would be; refusals only upwards.
    fn pause(&self) -> Duration {
        let doubled =
            |base: Duration, times: u32| base.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX));
        if self.refusals > 0 {
            doubled(AUTH_PAUSE, self.refusals - 1).min(MAX_AUTH_PAUSE).mul_f64(1.0 + self.phase / 4.0)
        } else if self.failures > TOLERATED {
            let pause = doubled(self.timing.interval, self.failures - TOLERATED);
            pause.min(MAX_PAUSE.max(self.timing.interval)).mul_f64(0.5 + self.phase)
        } else {
            Duration::ZERO
        }
    }
}

/// The first slot from `at` on. Devices that share one are polled in one go: with ten thousand a second, waking up for each
/// costs more than asking.
fn slot_from(at: Moment, interval: Duration) -> Moment {
    let slot = u64::try_from((interval / SLOTS).min(SLOT).as_nanos()).unwrap_or(u64::MAX).max(1);
    Moment::from_nanos(at.nanos().checked_next_multiple_of(slot).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { interval: Duration::from_secs(10), deadline: Duration::from_secs(5) };

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn devices_do_not_speak_at_once() {
        let first: Vec<_> =
            (0..100).map(|n| Schedule::new(&format!("bmc-{n}"), TIMING, at(0)).next()).collect();
        let early = first.iter().filter(|m| **m < at(5)).count();
        assert!((25..=75).contains(&early), "{early} of 100 in the first half");
        assert!(first.iter().all(|m| *m <= at(10)));
    }

    #[test]
    fn devices_share_slots_whenever_each_began() {
        let second = Timing { interval: Duration::from_secs(1), deadline: Duration::from_secs(1) };
        let begun = |n: u64| Moment::from_nanos(5_000_000_000 + n * 12_345);
        let mut slots: Vec<_> =
            (0..1000).map(|n| Schedule::new(&format!("bmc-{n}"), second, begun(n)).next()).collect();
        slots.sort();
        slots.dedup();
        assert!((50..=65).contains(&slots.len()), "{}", slots.len());
    }

    #[test]
    fn missed_ticks_are_skipped_and_the_grid_is_kept() {
        let mut s = Schedule::new("a", TIMING, at(0));
        let start = s.next();
        let second = s.after(Ok(()), start + Duration::from_secs(1));
        assert_eq!(second, start + Duration::from_secs(10));
        let late = s.after(Ok(()), start + Duration::from_secs(47));
        assert_eq!(late, start + Duration::from_secs(50));
    }

    #[test]
    fn a_dead_device_is_left_alone_for_longer_and_longer_but_not_for_ever() {
        let mut s = Schedule::new("a", TIMING, at(0));
        let mut pauses = Vec::new();
        for _ in 0..20 {
            let now = s.next();
            pauses.push(s.after(Err(ErrorKind::Timeout), now).since(now));
        }
        assert!(pauses[..3].iter().all(|p| *p == TIMING.interval), "{pauses:?}");
        assert!(pauses.windows(2).all(|w| w[0] <= w[1]));
        assert!(pauses[19] <= MAX_PAUSE.mul_f64(1.5));
        assert!(s.is_open());
        let now = s.next();
        assert_eq!(s.after(Ok(()), now).since(now), TIMING.interval, "one good poll closes the breaker");
    }

    /// Ten thousand devices, once a second each, behind a switch that is away for a while: how many come back in the
    /// busiest second, and when all are back.
    fn after_an_outage(away: Duration) -> (usize, Duration) {
        let timing = Timing { interval: Duration::from_secs(1), deadline: Duration::from_secs(1) };
        let (out, back) = (at(100), at(100) + away);
        let mut seconds = std::collections::BTreeMap::<u64, usize>::new();
        for n in 0..10_000 {
            let mut s = Schedule::new(&format!("bmc-{n}"), timing, at(0));
            while s.next() < back {
                let now = s.next();
                // A device that does not answer costs its deadline.
                let (outcome, took) = if now < out {
                    (Ok(()), Duration::from_millis(5))
                } else {
                    (Err(ErrorKind::Timeout), timing.deadline)
                };
                s.after(outcome, now + took);
            }
            *seconds.entry(s.next().since(back).as_secs()).or_default() += 1;
        }
        let last = seconds.keys().max().copied().unwrap_or_default();
        (seconds.into_values().max().unwrap_or_default(), Duration::from_secs(last + 1))
    }

    #[test]
    fn devices_behind_a_switch_that_restarts_do_not_come_back_at_once() {
        // (away, at most in one second, all back within), seconds
        for (away, busiest, within) in [(20, 1_200, 15), (60, 400, 55), (180, 200, 175), (900, 60, 335)] {
            let (most, all) = after_an_outage(Duration::from_secs(away));
            assert!(most <= busiest, "{most} in one second after {away} s");
            assert!(all <= Duration::from_secs(within), "{all:?} after {away} s");
        }
    }

    #[test]
    fn refused_credentials_are_not_tried_again_soon() {
        let mut s = Schedule::new("a", TIMING, at(0));
        let now = s.next();
        assert!(s.after(Err(ErrorKind::Auth), now).since(now) >= AUTH_PAUSE);
        for _ in 0..10 {
            let now = s.next();
            s.after(Err(ErrorKind::Auth), now);
        }
        let now = s.next();
        let pause = s.after(Err(ErrorKind::Auth), now).since(now);
        assert!(pause >= MAX_AUTH_PAUSE && pause <= MAX_AUTH_PAUSE.mul_f64(1.25));
    }
}
