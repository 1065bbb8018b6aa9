//! Idle power, learned: what a host draws with nothing to do, from its own power at varying load.
//!
//! Power is taken to be a straight line over the busy share of the CPUs. Where load has varied enough, the line's start
//! is the estimate; before that it is the least power seen. Old intervals fade with a half-life, so that a changed
//! machine is learned anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Watts;

/// How fast the past fades.
const HALF_LIFE_SECONDS: f64 = 6.0 * 3600.0;
/// Load must have varied by this much (standard deviation of the busy share) before the line is believed.
const MIN_DEVIATION: f64 = 0.02;
/// ... over at least this long.
const MIN_SECONDS: f64 = 60.0;

/// The learner of one host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct IdleLearner {
    weight: f64,
    busy: f64,
    power: f64,
    busy_squared: f64,
    busy_power: f64,
    lowest: Option<f64>,
}

impl IdleLearner {
    /// Takes the mean power and the busy share (0 to 1) of one interval.
    pub fn learn(&mut self, power: Watts, busy: f64, time: Duration) {
        let seconds = time.as_secs_f64();
        if seconds <= 0.0 || !busy.is_finite() {
            return;
        }
        let fade = (-seconds / HALF_LIFE_SECONDS).exp2();
        let (b, p) = (busy.clamp(0.0, 1.0), power.get());
        for (sum, value) in [
            (&mut self.weight, 1.0),
            (&mut self.busy, b),
            (&mut self.power, p),
            (&mut self.busy_squared, b * b),
            (&mut self.busy_power, b * p),
        ] {
            *sum = *sum * fade + value * seconds;
        }
        // The least power drifts up slowly towards the mean, so that one odd reading does not last for ever.
        let mean = self.power / self.weight;
        self.lowest = Some(self.lowest.map_or(p, |low| p.min(low + (mean - low).max(0.0) * (1.0 - fade))));
    }

    /// The estimate, never above the least power seen; none before the first interval.
    #[must_use]
    pub fn estimate(&self) -> Option<Watts> {
        let lowest = self.lowest?;
        let start = self.line_start().unwrap_or(lowest);
        Watts::new(start.min(lowest).max(0.0)).ok()
    }

    /// Where the fitted line meets zero load; none while it cannot be believed.
    fn line_start(&self) -> Option<f64> {
        if self.weight < MIN_SECONDS {
            return None;
        }
        let (b, p) = (self.busy / self.weight, self.power / self.weight);
        let variance = self.busy_squared / self.weight - b * b;
        if variance < MIN_DEVIATION * MIN_DEVIATION {
            return None;
        }
        let slope = (self.busy_power / self.weight - b * p) / variance;
        (slope > 0.0).then_some(p - slope * b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(points: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
        let mut learner = IdleLearner::default();
        for (power, busy) in points {
            learner.learn(Watts::new(power).unwrap(), busy, Duration::from_secs(10));
        }
        learner.estimate().map(Watts::get)
    }

    #[test]
    fn nothing_is_known_before_the_first_interval() {
        assert_eq!(fed([]), None);
    }

    #[test]
    fn a_host_that_never_idles_is_extrapolated() {
        // 100 W + 200 W x busy, busy between 0.5 and 0.9: the line starts at 100 W, 100 W below the least seen.
        let idle = fed((0..100).map(|n| 0.5 + 0.4 * f64::from(n % 10) / 9.0).map(|b| (100.0 + 200.0 * b, b)));
        assert!((idle.unwrap() - 100.0).abs() < 1.0, "{idle:?}");
    }

    #[test]
    fn steady_load_teaches_the_least_power_only() {
        let idle = fed((0..100).map(|_| (180.0, 0.4)));
        assert!((idle.unwrap() - 180.0).abs() < 0.5, "{idle:?}");
    }

    #[test]
    fn the_estimate_never_exceeds_what_was_seen_and_is_never_negative() {
        let falling = fed((0..100).map(|n| f64::from(n % 10) / 10.0).map(|b| (200.0 - 50.0 * b, b)));
        assert!(falling.unwrap() <= 156.0, "{falling:?}");
        let steep = fed((0..100).map(|n| 0.5 + f64::from(n % 10) / 40.0).map(|b| (2000.0 * b - 900.0, b)));
        assert_eq!(steep, Some(0.0));
    }
}
