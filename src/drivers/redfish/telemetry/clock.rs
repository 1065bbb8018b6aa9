//! From the BMC's clock to ours. BMCs' clocks are minutes or decades off, and messages are late by more or less.

use std::time::Duration;

use crate::model::Moment;

/// How much faster than ours the clock of a BMC may seem to become, parts in a million: clocks drift.
const DRIFT_PPM: u32 = 500;
/// How long nothing but older messages may come before the BMC's clock is taken to have been set back. Longer than a stream
/// takes to repeat what it sent before it broke off.
const SET_BACK_AFTER: Duration = Duration::from_secs(60);

/// What a message is, by its newest time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// It says something new.
    New,
    /// A copy, one that was overtaken, or a report that stands still. Some of its values may still be news.
    Old,
    /// The BMC's clock was set back: no time from before can be compared with those from now on.
    OfAnotherClock,
}

/// What is known of one BMC's clock.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// A moment of ours and the time of the BMC's that belongs to it, from the message that was least late.
    fixed: Option<(Moment, Duration)>,
    /// The newest time that the BMC has said.
    newest: Duration,
    old_since: Option<Moment>,
}

impl Clocks {
    /// Takes in that a message with `newest` as its newest time came at `now`.
    pub(super) fn saw(&mut self, now: Moment, newest: Duration) -> Message {
        let mut message = Message::New;
        if self.fixed.is_some() && newest <= self.newest {
            if newest == self.newest {
                return Message::Old;
            }
            if now.since(*self.old_since.get_or_insert(now)) < SET_BACK_AFTER {
                return Message::Old;
            }
            self.fixed = None;
            message = Message::OfAnotherClock;
        }
        self.old_since = None;
        self.newest = newest;
        // The least late message is the one whose time, brought to `now`, is the latest.
        let expected = self.fixed.map(|(moment, time)| {
            let passed = now.since(moment);
            time + passed.saturating_sub(passed * DRIFT_PPM / 1_000_000)
        });
        if expected.is_none_or(|expected| newest >= expected) {
            self.fixed = Some((now, newest));
        }
        message
    }

    /// When `time` was, by our clock, never later than `now`.
    pub(super) fn moment(&self, time: Duration, now: Moment) -> Option<Moment> {
        let (moment, known) = self.fixed?;
        let then = if time <= known { moment.before(known - time) } else { moment + (time - known) };
        Some(then.min(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    const fn bmc(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_newest_value_is_of_now_and_the_others_keep_their_distance() {
        let mut clocks = Clocks::default();
        assert_eq!(clocks.saw(at(50_000), bmc(1_000_000)), Message::New);
        assert_eq!(clocks.moment(bmc(1_000_000), at(50_000)), Some(at(50_000)));
        assert_eq!(clocks.moment(bmc(999_993), at(50_000)), Some(at(43_000)));
        // Never in the future, nor before the beginning.
        assert_eq!(clocks.moment(bmc(1_000_900), at(50_000)), Some(at(50_000)));
        assert_eq!(clocks.moment(bmc(0), at(50_000)), Some(Moment::ZERO));
    }

    #[test]
    fn the_least_late_message_sets_the_clock() {
        let mut clocks = Clocks::default();
        clocks.saw(at(50_000), bmc(100));
        // 10 s later by the BMC's clock, 12 s by ours: 2 s late.
        assert_eq!(clocks.saw(at(62_000), bmc(110)), Message::New);
        assert_eq!(clocks.moment(bmc(110), at(62_000)), Some(at(60_000)));
        // The first was 1 s late itself.
        assert_eq!(clocks.saw(at(69_000), bmc(120)), Message::New);
        assert_eq!(clocks.moment(bmc(120), at(69_000)), Some(at(69_000)));
    }

    #[test]
    fn copies_and_overtaken_messages_are_old() {
        let mut clocks = Clocks::default();
        clocks.saw(at(1_000), bmc(100));
        assert_eq!(clocks.saw(at(2_000), bmc(100)), Message::Old);
        assert_eq!(clocks.saw(at(3_000), bmc(99)), Message::Old);
        assert_eq!(clocks.saw(at(4_000), bmc(103)), Message::New);
    }

    #[test]
    fn a_clock_that_was_set_back_is_followed_after_a_minute() {
        let mut clocks = Clocks::default();
        clocks.saw(at(1_000), bmc(1_000_000));
        let seen = [5, 30, 64, 65, 66].map(|s| clocks.saw(at(s * 1_000), bmc(s)));
        use Message::{New, OfAnotherClock, Old};
        assert_eq!(seen, [Old, Old, Old, OfAnotherClock, New]);
        assert_eq!(clocks.moment(bmc(66), at(66_000)), Some(at(66_000)));
    }
}
