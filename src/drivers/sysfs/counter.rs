//! Energy counters that wrap every few minutes, made into ones that do not. Pure.

use crate::model::{EnergyCounter, Joules, Moment, Watts};

/// RAPL's registers count in 32 bits; the range that the kernel shows is what all bits set are worth.
const REGISTER_MOST: f64 = 4_294_967_295.0;
/// A counter that might have gone round more than once since it was last seen knows nothing: judged by this many times the
/// power it last showed ...
const FOLD: f64 = 3.0;
/// ... of at least this, and by this where it has shown none.
const LEAST_WATTS: f64 = 100.0;
const UNKNOWN_WATTS: f64 = 500.0;
/// A counter that falls has wrapped, or was set to 0, as by a machine's sleep: it has wrapped if that took no more power than
/// this, or [`FOLD`] times the last.
const MOST_WATTS: f64 = 2000.0;
/// The kernel's counters move about once a millisecond: over less than this, power would be noise.
const SHORTEST_SECONDS: f64 = 0.001;

/// One counter, from its first sight on. What it shows begins at 0: the kernel's own number is worth nothing, since it begins
/// anew every few minutes.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    range: Option<u64>,
    raw: u64,
    at: Moment,
    total: u128,
    power: Option<Watts>,
}

impl Counter {
    /// First sight of a counter that goes up to `range` microjoules, where that is known.
    pub(super) const fn new(raw: u64, range: Option<u64>, at: Moment) -> Self {
        Self { range, raw, at, total: 0, power: None }
    }

    /// Takes what the kernel shows at `at`. Where it cannot be told what was counted since, it begins anew.
    pub(super) fn advance(&mut self, raw: u64, at: Moment) {
        let seconds = at.since(self.at).as_secs_f64();
        if seconds < SHORTEST_SECONDS && raw >= self.raw {
            // Not yet worth a step: the next one tells of this time too.
            return;
        }
        let gained = self
            .gained(raw)
            .filter(|gained| !self.went_round(seconds) && !self.was_reset(raw, *gained, seconds));
        match gained {
            Some(gained) => {
                self.total = self.total.saturating_add(u128::from(gained));
                self.power = Watts::new(joules(u128::from(gained)) / seconds).ok();
            }
            None => (self.total, self.power) = (0, None),
        }
        (self.raw, self.at) = (raw, at);
    }

    /// Microjoules since the last sight, if it wrapped once at most.
    fn gained(&self, raw: u64) -> Option<u64> {
        if raw >= self.raw {
            return Some(raw - self.raw);
        }
        let range = self.range?;
        // From the last value of all to 0 is one step more.
        range.checked_sub(self.raw)?.checked_add(raw)?.checked_add(step(range))
    }

    /// Whether it might have wrapped more than once in this time.
    fn went_round(&self, seconds: f64) -> bool {
        let Some(range) = self.range else { return false };
        let most = self.power.map_or(UNKNOWN_WATTS, |power| (power.get() * FOLD).max(LEAST_WATTS));
        most * seconds >= joules(u128::from(range))
    }

    /// Whether it fell by so much that it did not wrap.
    fn was_reset(&self, raw: u64, gained: u64, seconds: f64) -> bool {
        let most = self.power.map_or(MOST_WATTS, |power| (power.get() * FOLD).max(MOST_WATTS));
        raw < self.raw && joules(u128::from(gained)) > most * seconds
    }

    /// Mean power between the last two sights; none before there are two.
    pub(super) const fn power(&self) -> Option<Watts> {
        self.power
    }

    /// What it has counted since its first sight.
    pub(super) fn shown(&self) -> Option<EnergyCounter> {
        let quantum = self.range.map_or(1, step).max(1);
        Some(EnergyCounter {
            total: Joules::new(joules(self.total)).ok()?,
            quantum: Joules::new(joules(u128::from(quantum))).ok()?,
            modulus: None,
        })
    }
}

/// What one step of the register is worth, microjoules: 61 or 15 on most processors.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a range is below 2^64 by its type, and the quotient far below"
)]
fn step(range: u64) -> u64 {
    (range as f64 / REGISTER_MOST).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "53 bits hold 9 GJ to the microjoule")]
fn joules(microjoules: u128) -> f64 {
    microjoules as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    fn shown(counter: &Counter) -> (f64, Option<f64>) {
        (counter.shown().unwrap().total.get(), counter.power().map(Watts::get))
    }

    /// 2^32 - 1 steps of 61.035 µJ, as the kernel reckons them: 262,143,328,850 µJ.
    const RANGE: Option<u64> = Some(262_143_328_850);

    #[test]
    fn energy_begins_at_nothing_and_power_is_what_was_counted_over_the_time() {
        let mut c = Counter::new(5_000_000, RANGE, at(1));
        assert_eq!(shown(&c), (0.0, None));
        c.advance(405_000_000, at(3)); // 400 J in 2 s
        assert_eq!(shown(&c), (400.0, Some(200.0)));
        c.advance(405_000_000, at(4)); // it may stand still
        assert_eq!(shown(&c), (400.0, Some(0.0)));
        assert_eq!(c.shown().unwrap().quantum.get(), 61e-6);
    }

    #[test]
    fn a_wrap_is_one_step_more_than_the_range() {
        let mut c = Counter::new(262_143_000_000, RANGE, at(1));
        // 328,850 µJ to the top, 61 µJ to 0, 100,000 µJ from there.
        c.advance(100_000, at(2));
        assert_eq!(shown(&c), (0.428_911, Some(0.428_911)));
    }

    #[test]
    fn a_wrap_anywhere_in_the_range_is_understood() {
        // A kilowatt for two minutes: from 0.7 of the range to 0.16 of it.
        let mut c = Counter::new(183_500_000_000, RANGE, at(0));
        c.advance(184_500_000_000, at(1));
        assert_eq!(shown(&c).1, Some(1000.0));
        c.advance(42_356_671_089, at(81)); // 77,643,328,850 + 61 + 42,356,671,089 = 120,000,000,000 µJ over 80 s
        assert_eq!(shown(&c), (1000.0 + 120_000.0, Some(1500.0)));
    }

    #[test]
    fn a_counter_that_may_have_gone_round_twice_begins_anew() {
        let mut c = Counter::new(0, RANGE, at(0));
        c.advance(200_000_000, at(1)); // 200 W: 600 W would go round in 437 s
        c.advance(300_000_000, at(500));
        assert_eq!(shown(&c), (0.0, None));
        c.advance(500_000_000, at(502));
        assert_eq!(shown(&c), (200.0, Some(100.0)));
    }

    #[test]
    fn a_counter_of_unknown_range_that_falls_begins_anew() {
        let mut c = Counter::new(900, None, at(0));
        c.advance(1_000_900, at(1));
        assert_eq!(shown(&c), (1.0, Some(1.0)));
        c.advance(10, at(2));
        assert_eq!(shown(&c), (0.0, None));
    }

    #[test]
    fn a_counter_that_sleep_has_set_to_nothing_has_not_wrapped() {
        let mut c = Counter::new(100_000_000_000, RANGE, at(0));
        c.advance(100_030_000_000, at(1)); // 30 W
        // As a wrap this would be 162 kJ in 10 s.
        c.advance(300_000_000, at(11));
        assert_eq!(shown(&c), (0.0, None));
        c.advance(330_000_000, at(12));
        assert_eq!(shown(&c), (30.0, Some(30.0)));
    }
}
