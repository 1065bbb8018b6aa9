//! What was received between two polls, with its moments. Pure.
//!
//! A sample is what the program says of all its channels at once: lines that come together, until one of them says of a
//! channel what another has said before. A program that prints through a buffer sends many samples at once: they are spread
//! evenly over the time since the one before, when they were most likely taken.

use std::collections::VecDeque;
use std::time::Duration;

use super::Heard;
use super::lines::shown;
use crate::model::{Earlier, Moment, Reading};

/// The most samples that wait for a poll. Beyond, every other one is let go: the line between its neighbours stands for it.
const MAX_SAMPLES: usize = 4096;
/// The most readings of one sample.
const MAX_READINGS: usize = 1024;
/// The most readings that wait.
const MAX_WAITING: usize = 1 << 17;
/// The most lines of a second that are looked at: no meter has more to say.
const MAX_LINES: u32 = 2000;

/// The longest time between two samples that came together: a program that was silent for longer had nothing to say.
const LONGEST_SHARE: Duration = Duration::from_secs(10);

/// Samples on their way to the store.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// Those that are whole, oldest first.
    whole: VecDeque<Earlier>,
    /// Readings in `whole`.
    waiting: usize,
    /// Those that came together just now, not yet spread over their time.
    together: Vec<Vec<Reading>>,
    /// When the last one was received.
    last: Option<Moment>,
    unread: Option<Heard>,
    second: (u64, u32),
}

impl Samples {
    /// Whether another line may be looked at now.
    pub(super) fn admits(&mut self, now: Moment) -> bool {
        let second = Duration::from_nanos(now.nanos()).as_secs();
        if self.second.0 != second {
            self.second = (second, 0);
        }
        self.second.1 += 1;
        self.second.1 <= MAX_LINES
    }

    /// Takes the readings of one line that came together with others.
    pub(super) fn take(&mut self, line: &str, readings: Vec<Reading>) {
        if readings.is_empty() {
            self.miss(line);
            return;
        }
        let same =
            |a: &Reading, b: &Reading| a.channel == b.channel && a.measure.quantity() == b.measure.quantity();
        let said = |sample: &Vec<Reading>| sample.iter().any(|a| readings.iter().any(|b| same(a, b)));
        if self.together.last().is_none_or(said) {
            if self.together.len() >= MAX_SAMPLES {
                return;
            }
            self.together.push(Vec::new());
        }
        if let Some(sample) = self.together.last_mut() {
            sample.extend(readings.into_iter().take(MAX_READINGS.saturating_sub(sample.len())));
        }
    }

    /// Takes note of a line without a reading.
    pub(super) fn miss(&mut self, line: &str) {
        let heard = self.unread.get_or_insert_with(|| Heard { lines: 0, last: String::new() });
        heard.lines = heard.lines.saturating_add(1);
        heard.last = shown(line);
    }

    /// Ends what came together; the first of it was received at `at`. Gives whether there is a sample now.
    pub(super) fn end(&mut self, at: Moment) -> bool {
        let mut together = std::mem::take(&mut self.together);
        if together.is_empty() {
            return false;
        }
        let begun = self.last.unwrap_or(at);
        if begun >= at {
            // Nobody knows since when the others were taken.
            together.drain(..together.len() - 1);
        }
        let share = at.since(begun) / u32::try_from(together.len()).unwrap_or(u32::MAX);
        let share = share.min(LONGEST_SHARE);
        let count = together.len();
        for (before, readings) in together.into_iter().enumerate() {
            let after = u32::try_from(count - 1 - before).unwrap_or(u32::MAX);
            self.waiting += readings.len();
            self.whole.push_back(Earlier { at: at.before(share.saturating_mul(after)), readings });
        }
        self.last = Some(at);
        while self.whole.len() > MAX_SAMPLES || self.waiting > MAX_WAITING {
            self.thin();
        }
        true
    }

    /// Lets every other sample go.
    fn thin(&mut self) {
        let mut keep = false;
        self.whole.retain(|_| {
            keep = !keep;
            keep
        });
        self.waiting = self.whole.iter().map(|sample| sample.readings.len()).sum();
        if self.whole.len() <= 1 && self.waiting > MAX_WAITING {
            self.whole.clear();
            self.waiting = 0;
        }
    }

    /// Whether a sample waits.
    pub(super) fn some(&self) -> bool {
        !self.whole.is_empty()
    }

    /// All that wait, oldest first.
    pub(super) fn drain(&mut self) -> Vec<Earlier> {
        self.waiting = 0;
        std::mem::take(&mut self.whole).into()
    }

    /// The lines without a reading since the last time somebody asked.
    pub(super) fn unread(&mut self) -> Option<Heard> {
        self.unread.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChannelId, Measure, Watts};

    fn power(channel: &str, watts: u32) -> Reading {
        let watts = Watts::new(f64::from(watts)).unwrap();
        Reading::measured(ChannelId::new(channel).unwrap(), Measure::Power(watts))
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::from_nanos(milliseconds * 1_000_000)
    }

    /// `milliseconds: channel watts, ...` of all that waits.
    fn drained(samples: &mut Samples) -> Vec<String> {
        let readings = |one: &Earlier| {
            let each = one.readings.iter().map(|r| format!("{} {}", r.channel, r.measure.value()));
            each.collect::<Vec<_>>().join(", ")
        };
        samples
            .drain()
            .iter()
            .map(|one| format!("{}: {}", one.at.nanos() / 1_000_000, readings(one)))
            .collect()
    }

    #[test]
    fn lines_that_come_together_are_one_sample() {
        let mut s = Samples::default();
        s.take("", vec![power("gpu/0", 1)]);
        s.take("", vec![power("gpu/1", 2)]);
        assert!(s.end(at(1000)));
        assert_eq!(drained(&mut s), ["1000: gpu/0 1, gpu/1 2"]);
        assert!(!s.end(at(1001)));
    }

    #[test]
    fn samples_from_a_buffer_are_spread_over_the_time_since_the_last() {
        let mut s = Samples::default();
        for watts in 1..=3 {
            s.take("", vec![power("x", watts)]);
        }
        s.end(at(1000));
        // Nobody knows when the program began: only the last of the first is sure.
        assert_eq!(drained(&mut s), ["1000: x 3"]);
        for watts in 4..=7 {
            s.take("", vec![power("x", watts)]);
        }
        s.end(at(2000));
        assert_eq!(drained(&mut s), ["1250: x 4", "1500: x 5", "1750: x 6", "2000: x 7"]);
    }

    #[test]
    fn a_poll_that_never_comes_costs_bounded_memory_and_keeps_the_shape() {
        let mut s = Samples::default();
        for n in 1..=100_000u64 {
            s.take("", vec![power("x", 1)]);
            s.end(at(n * 20));
        }
        let all = s.drain();
        assert!((MAX_SAMPLES / 2..=MAX_SAMPLES).contains(&all.len()), "{}", all.len());
        assert_eq!(all[0].at, at(20));
        assert!(all.windows(2).all(|pair| pair[0].at < pair[1].at));
    }

    #[test]
    fn a_flood_of_lines_is_not_looked_at() {
        let mut s = Samples::default();
        assert_eq!((0..10_000).filter(|_| s.admits(at(100))).count(), 2000);
        assert!(s.admits(at(1100)));
    }

    #[test]
    fn lines_without_a_reading_are_told_once() {
        let mut s = Samples::default();
        s.take("head", vec![]);
        s.take("er\u{1b}[1m ", vec![]);
        assert_eq!(s.unread(), Some(Heard { lines: 2, last: "er[1m".into() }));
        assert_eq!(s.unread(), None);
    }
}
