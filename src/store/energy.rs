//! Energy of one channel: the integral of its power, the device's own counter, and one account made of both.
//! Pure: time comes in as arguments. What a settled interval is worth is asked of [`super::track::Track`].
//!
//! The account is the integral, held within one step of the device's counter where there is one. So a coarse counter
//! (0.1 kWh is an hour at 100 W) loses nothing of the integral's fine shape, a gap in the readings is filled by what the
//! device counted meanwhile, and nothing is counted twice.

use std::time::Duration;

use crate::model::{EnergyCounter, Joules, Microjoules, Moment, Watts};

mod state;

pub use state::{CounterState, IntegralState};

/// Integrates power over time by the trapezoid rule.
#[derive(Debug, Clone, Default)]
pub struct Integral {
    last: Option<(Moment, Watts)>,
    /// Since when nothing has been read: before a restart, or in a gap whose time before that is counted.
    resumed: Option<Moment>,
    total: Microjoules,
    /// What rounding left over, µJ, within half a microjoule of 0; carried so that sums do not drift.
    carry: f64,
    unmeasured: Duration,
}

impl Integral {
    /// Takes the power at `at`; gives the energy since the last reading, or none where there is nothing to bridge:
    /// the first reading, or one after more than `max_gap` or after a restart, whose seconds are counted as unmeasured.
    pub fn advance(&mut self, at: Moment, power: Watts, max_gap: Duration) -> Option<Microjoules> {
        if let Some(then) = self.resumed.take() {
            self.unmeasured += at.since(then);
        }
        let (then, before) = self.last.replace((at, power))?;
        let time = at.since(then);
        if time > max_gap {
            self.unmeasured += time;
            return None;
        }
        let exact = (before + power).over(time).get() / 2.0 + self.carry / 1e6;
        let step = Joules::new(exact.max(0.0)).map_or(Microjoules::ZERO, Microjoules::round);
        self.carry = (exact - step.joules()) * 1e6;
        self.total += step;
        Some(step)
    }

    /// What has been unmeasured up to `now` stays so; where nothing has, nothing changes.
    pub fn close_gap(&mut self, now: Moment, max_gap: Duration) {
        let unmeasured = self.unmeasured(now, max_gap);
        if unmeasured > self.unmeasured {
            self.unmeasured = unmeasured;
            self.last = None;
            self.resumed = Some(now);
        }
    }

    /// Nobody measures from `now` on, or somebody does again: the next reading is a first one. A gap that is open is closed.
    pub fn pause(&mut self, now: Moment, max_gap: Duration) {
        self.unmeasured = self.unmeasured(now, max_gap);
        if let Some(before) = self.resumed.take() {
            self.unmeasured += now.since(before);
        }
        self.last = None;
    }

    /// Energy integrated so far.
    #[must_use]
    pub const fn total(&self) -> Microjoules {
        self.total
    }

    /// How long ago the last reading was; none before the first.
    #[must_use]
    pub fn silence(&self, now: Moment) -> Option<Duration> {
        self.last.map(|(then, _)| now.since(then))
    }

    /// Time without power readings so far, a gap that is still open at `now` included. Never falls.
    #[must_use]
    pub fn unmeasured(&self, now: Moment, max_gap: Duration) -> Duration {
        let open = self.last.map_or(Duration::ZERO, |(then, _)| now.since(then));
        if open > max_gap { self.unmeasured + open } else { self.unmeasured }
    }
}

/// What a device's counter did between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// First sight of the counter.
    First,
    /// Counted on (by nothing, perhaps), a wrap included.
    Counted(Microjoules),
    /// Fell, or leapt beyond belief: a reset, another device, or a misread. What was drawn meanwhile is unknown.
    Broken,
}

/// A counter that leapt by more than this times the energy which the larger of the known powers explains is not believed.
const BEYOND_BELIEF: f64 = 100.0;
/// ... counted from at least this power, so that a device near 0 W may start up.
const BELIEVABLE_FLOOR_WATTS: f64 = 1000.0;
/// A counter that falls by no more steps than this trembles: it counts on from where it was highest.
const TREMBLING_STEPS: f64 = 2.0;

/// A device's own energy counter, unwrapped; it goes on from where it was when the device starts anew.
#[derive(Debug, Clone)]
pub struct DeviceCounter {
    last: EnergyCounter,
    at: Moment,
    total: Microjoules,
    quantum: Microjoules,
}

impl DeviceCounter {
    /// First sight: the total starts at what the device shows, so that it lasts over restarts of ours.
    #[must_use]
    pub fn new(counter: EnergyCounter, at: Moment) -> Self {
        Self {
            last: counter,
            at,
            total: Microjoules::round(counter.total),
            quantum: Microjoules::round(counter.quantum).max(Microjoules(1)),
        }
    }

    /// Takes the counter's value at `at`; `power` is the largest known at both ends, if any.
    pub fn advance(&mut self, counter: EnergyCounter, at: Moment, power: Option<Watts>) -> Step {
        let (before, after) = (self.last.total.get(), counter.total.get());
        let time = at.since(self.at);
        self.at = at;
        if after < before && before - after <= counter.quantum.get() * TREMBLING_STEPS {
            return Step::Counted(Microjoules::ZERO);
        }
        self.last = counter;
        let gained = if after >= before {
            Some(after - before)
        } else {
            counter
                .modulus
                .map(Joules::get)
                .filter(|m| before > 0.9 * m && before <= *m && after < 0.1 * m)
                .map(|m| m - before + after)
        };
        let believed = gained.filter(|gain| {
            power.is_none_or(|p| {
                let most = p.get().max(BELIEVABLE_FLOOR_WATTS) * time.as_secs_f64() * BEYOND_BELIEF;
                *gain <= most + counter.quantum.get()
            })
        });
        match believed.and_then(|gain| Joules::new(gain).ok()) {
            Some(gain) => {
                let gain = Microjoules::round(gain);
                self.total += gain;
                Step::Counted(gain)
            }
            None => Step::Broken,
        }
    }

    /// Goes on from where it was with another counter, or with one that counted what nobody asked for.
    pub fn renew(&mut self, counter: EnergyCounter, at: Moment) -> Step {
        (self.last, self.at) = (counter, at);
        self.quantum = Microjoules::round(counter.quantum).max(Microjoules(1));
        Step::Broken
    }

    /// What it has counted, J from the device's own zero at first sight. Never falls.
    #[must_use]
    pub const fn total(&self) -> Microjoules {
        self.total
    }

    /// Its step, at least a microjoule.
    #[must_use]
    pub const fn quantum(&self) -> Microjoules {
        self.quantum
    }
}

/// What the readings of power say of the time since the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// This much was drawn.
    Bridged(Microjoules),
    /// Nothing: this is the first reading, or the first after a gap.
    Gap,
    /// Nothing: power was read once and has been missing for longer than is bridged.
    Lost,
    /// Nothing: power was never read.
    Never,
}

/// The account of one channel: the integral, steered by the device's counter.
#[derive(Debug, Clone, Default)]
pub struct Account {
    total: Microjoules,
    /// The device's total and ours when the two were last set equal; none before a counter was seen.
    anchor: Option<Anchor>,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    device: Microjoules,
    account: Microjoules,
    quantum: Microjoules,
    /// Both as they were when the counter was last taken.
    seen_device: Microjoules,
    seen_account: Microjoules,
    /// The account when the counter last moved, and the integral since then: they tell a frozen counter.
    moved: Microjoules,
    drawn: Microjoules,
}

/// A counter that stands still while this many of its steps are drawn is frozen: it is not followed until it moves.
const FROZEN_STEPS: u128 = 3;
/// A gap is filled by a counter that made at least this many steps in it: with fewer it knows too little, and another feed
/// may know more.
const FILLING_STEPS: u128 = 10;

impl Account {
    /// Takes what power says and the counter's step (none: no counter in this poll), and gives whether the energy since
    /// the last advance is known; none if that is still to be told.
    pub fn advance(&mut self, drawn: Drawn, device: Option<(Step, &DeviceCounter)>) -> Option<bool> {
        let Drawn::Bridged(drawn) = drawn else { return self.fill(drawn, device) };
        let before = self.total;
        self.total += drawn;
        let Some((step, counter)) = device else { return Some(true) };
        let (Step::Counted(_), Some(mut anchor)) = (step, self.anchor) else {
            self.set_anchor(counter);
            return Some(true);
        };
        let moves = counter.total() > anchor.seen_device;
        if anchor.is_frozen() {
            if moves {
                self.set_anchor(counter);
            }
            return Some(true);
        }
        anchor.drawn += drawn;
        if !moves && anchor.is_frozen() {
            self.total = self.total.max(anchor.moved + anchor.drawn);
        } else {
            self.total = anchor.hold(self.total, counter).max(before);
            anchor.see(self.total, counter);
        }
        self.anchor = Some(anchor);
        Some(true)
    }

    /// Without the integral, by the counter alone.
    fn fill(&mut self, drawn: Drawn, device: Option<(Step, &DeviceCounter)>) -> Option<bool> {
        let Some((step, counter)) = device else {
            // What it counts meanwhile must not be booked later, when it is seen again.
            self.anchor = None;
            return Some(false);
        };
        let (Step::Counted(_), Some(mut anchor)) = (step, self.anchor) else {
            self.set_anchor(counter);
            return Some(false);
        };
        // What the integral has accounted since the counter was last seen is not missing.
        let missed = counter.total().since(anchor.seen_device).since(self.total.since(anchor.seen_account));
        let tells = missed.0 >= anchor.quantum.0.saturating_mul(FILLING_STEPS);
        match drawn {
            Drawn::Lost if !tells => return None,
            Drawn::Gap | Drawn::Bridged(_) if !tells => {
                self.set_anchor(counter);
                return Some(false);
            }
            Drawn::Lost | Drawn::Gap | Drawn::Bridged(_) | Drawn::Never => {}
        }
        self.total = anchor.hold(self.total + missed, counter).max(self.total);
        anchor.see(self.total, counter);
        self.anchor = Some(anchor);
        Some(true)
    }

    /// Takes note that the counter began anew in a poll whose energy is still to be told.
    pub const fn lose_counter(&mut self) {
        self.anchor = None;
    }

    const fn set_anchor(&mut self, counter: &DeviceCounter) {
        self.anchor = Some(Anchor {
            device: counter.total(),
            account: self.total,
            quantum: counter.quantum(),
            seen_device: counter.total(),
            seen_account: self.total,
            moved: self.total,
            drawn: Microjoules::ZERO,
        });
    }

    /// The energy accounted so far. Never falls.
    #[must_use]
    pub const fn total(&self) -> Microjoules {
        self.total
    }
}

impl Anchor {
    const fn is_frozen(&self) -> bool {
        self.drawn.0 > self.quantum.0.saturating_mul(FROZEN_STEPS)
    }

    /// `total`, held within one step of the counter.
    fn hold(&self, total: Microjoules, counter: &DeviceCounter) -> Microjoules {
        let counted = self.account + counter.total().since(self.device);
        total.clamp(counted.since(self.quantum), counted + self.quantum)
    }

    fn see(&mut self, account: Microjoules, counter: &DeviceCounter) {
        if counter.total() > self.seen_device {
            self.moved = account;
            self.drawn = Microjoules::ZERO;
        }
        (self.seen_device, self.seen_account) = (counter.total(), account);
    }
}

#[cfg(test)]
#[path = "energy_tests.rs"]
mod tests;
