//! Idle power, learned: what a host draws with nothing to do, from its own power at varying load.
//!
//! Minutes of power fall into bins of utilisation, each with a robust mean that fades (`bins`). Robust curves through the
//! bins say where power starts (`curve`). Beside it stands what is known of machines in general; the two are
//! weighed by how sure they are, so that a host under constant load is neither called all idle nor guessed at for ever.

mod bins;
mod curve;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use bins::Bin;
use bins::Bins;

use crate::model::Watts;

/// Power and load are averaged over this long, since meters average too and answer late.
const WINDOW_SECONDS: f64 = 60.0;
/// What a machine draws at rest, as a share of its power under full load: usually, at least and at most.
///
/// Usually: the least power factor of MRPUSA's table. The limits are a convention: servers with much memory and few cores
/// came near the upper one, sleeping cores near the lower.
const AT_REST: [f64; 3] = [0.30, 0.10, 0.70];
/// Standard deviations on either side that count as sure.
const SURE: f64 = 2.0;

/// What is known of a host's idle power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The most likely value.
    pub power: Watts,
    /// It is hardly less than this.
    pub lower: Watts,
    /// It is hardly more than this.
    pub upper: Watts,
}

/// What a learner knows, as plain numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct IdleState {
    /// The bins that hold anything, in any order.
    pub bins: Vec<Bin>,
}

/// The learner of one host.
#[derive(Debug, Clone, Default)]
pub struct IdleLearner {
    bins: Bins,
    window: Window,
    known: Option<Estimate>,
}

/// What has come in since the last window closed: seconds, and busy share and power times seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    seconds: f64,
    busy: f64,
    joules: f64,
}

impl IdleLearner {
    /// Takes the mean power and the busy share (0 to 1) of one interval.
    pub fn learn(&mut self, power: Watts, busy: f64, time: Duration) {
        let seconds = time.as_secs_f64();
        if seconds <= 0.0 || !busy.is_finite() {
            return;
        }
        self.window.seconds += seconds;
        self.window.busy += busy.clamp(0.0, 1.0) * seconds;
        self.window.joules += power.get() * seconds;
        if self.window.seconds >= WINDOW_SECONDS {
            let Window { seconds, busy, joules } = std::mem::take(&mut self.window);
            self.bins.take(busy / seconds, joules / seconds, seconds);
            self.known = estimate(&self.bins);
        } else if self.bins.is_empty() {
            let Window { seconds, busy, joules } = self.window;
            let mut first = Bins::default();
            first.take(busy / seconds, joules / seconds, seconds);
            self.known = estimate(&first);
        }
    }

    /// What is known; none before the first interval.
    #[must_use]
    pub const fn estimate(&self) -> Option<Estimate> {
        self.known
    }

    /// What it knows, but for less than a minute that is not yet averaged.
    #[must_use]
    pub fn state(&self) -> IdleState {
        IdleState { bins: self.bins.iter().copied().collect() }
    }

    /// A learner that goes on from there. What cannot be true is left out.
    #[must_use]
    pub fn resume(state: &IdleState) -> Self {
        let bins = Bins::resume(&state.bins);
        Self { known: estimate(&bins), bins, window: Window::default() }
    }
}

/// A value and its standard deviation.
#[derive(Debug, Clone, Copy)]
struct Guess {
    value: f64,
    deviation: f64,
}

/// What machines in general and this one's own curve say, weighed by how sure they are. Never above the least mean power
/// that was seen at any load.
fn estimate(bins: &Bins) -> Option<Estimate> {
    let points: Vec<Bin> = bins.iter().copied().collect();
    let least = points.iter().map(|p| p.power).reduce(f64::min)?;
    let guesses = [usual(&points), curve::start(&points)];
    let (mut sum, mut weights) = (0.0, 0.0);
    for guess in guesses.into_iter().flatten() {
        let weight = guess.deviation.max(1e-3).powi(-2);
        sum += guess.value * weight;
        weights += weight;
    }
    if weights <= 0.0 {
        return None;
    }
    let (value, deviation) = (sum / weights, f64::sqrt(1.0 / weights));
    let watts = |value: f64| Watts::new(value.clamp(0.0, least)).ok();
    Some(Estimate {
        power: watts(value)?,
        lower: watts(value - SURE * deviation)?,
        upper: watts(value + SURE * deviation)?,
    })
}

/// What a machine that draws this much at its lowest load usually draws at rest.
fn usual(points: &[Bin]) -> Option<Guess> {
    let lowest = points.iter().min_by(|a, b| a.busy.total_cmp(&b.busy))?;
    let [value, lower, upper] =
        AT_REST.map(|rest| lowest.power * rest / (1.0 - rest).mul_add(lowest.busy, rest));
    Some(Guess { value, deviation: (upper - lower) / (2.0 * SURE) + lowest.deviation })
}

#[cfg(test)]
mod tests;
