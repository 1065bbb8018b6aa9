//! How a load moves: a mean, waves and steps, each with its integral in closed form. Nothing here knows hosts or watts.

use std::f64::consts::TAU;

/// A sine of a load, CPUs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wave {
    /// Half the distance from trough to crest, CPUs.
    pub amplitude_cpus: f64,
    /// Length of one turn, seconds.
    pub period_seconds: f64,
    /// Where in its turn it starts, radians.
    pub phase: f64,
}

/// A load that is added during a part of each period, CPUs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    /// How much, CPUs.
    pub cpus: f64,
    /// From one rise to the next, seconds.
    pub period_seconds: f64,
    /// How long it stays up in each period, seconds.
    pub up_seconds: f64,
}

/// CPUs in use over time. Never negative as long as the waves together stay below the mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    /// What is always there, CPUs.
    pub mean_cpus: f64,
    /// What swings around it.
    pub waves: Vec<Wave>,
    /// What comes and goes.
    pub step: Option<Step>,
}

impl Curve {
    /// A load that never moves, CPUs.
    pub const fn flat(mean_cpus: f64) -> Self {
        Self { mean_cpus, waves: Vec::new(), step: None }
    }

    /// CPUs in use at `t` seconds.
    pub fn cpus(&self, t: f64) -> f64 {
        let waves: f64 =
            self.waves.iter().map(|w| w.amplitude_cpus * (TAU * t / w.period_seconds + w.phase).sin()).sum();
        let step = self
            .step
            .map_or(0.0, |s| if t.rem_euclid(s.period_seconds) < s.up_seconds { s.cpus } else { 0.0 });
        self.mean_cpus + waves + step
    }

    /// CPU seconds used from 0 to `t` seconds: the exact integral of [`Curve::cpus`].
    pub fn cpu_seconds(&self, t: f64) -> f64 {
        let waves: f64 = self
            .waves
            .iter()
            .map(|w| {
                let turn = TAU / w.period_seconds;
                w.amplitude_cpus / turn * (w.phase.cos() - (turn * t + w.phase).cos())
            })
            .sum();
        let step = self.step.map_or(0.0, |s| {
            let whole = (t / s.period_seconds).floor();
            s.cpus * (whole * s.up_seconds + t.rem_euclid(s.period_seconds).min(s.up_seconds))
        });
        self.mean_cpus * t + waves + step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_is_the_integral() {
        let curve = Curve {
            mean_cpus: 2.0,
            waves: vec![
                Wave { amplitude_cpus: 1.0, period_seconds: 37.0, phase: 0.4 },
                Wave { amplitude_cpus: 0.5, period_seconds: 11.0, phase: 2.0 },
            ],
            step: Some(Step { cpus: 1.5, period_seconds: 20.0, up_seconds: 7.0 }),
        };
        // Midpoint sums over 1 ms: the steps fall on whole milliseconds, so only the waves' curvature is left.
        let summed: f64 = (0..100_000).map(|i| curve.cpus((f64::from(i) + 0.5) / 1000.0) / 1000.0).sum();
        assert!((summed - curve.cpu_seconds(100.0)).abs() < 1e-6, "{summed}");
    }
}
