//! Readings of an idle host, and their mean. Pure.

use std::time::Duration;

use crate::model::Watts;

/// Readings are averaged in so many groups: neighbours are alike, so that single readings would look surer than they are.
const GROUPS: usize = 10;
/// Fewer readings than this say nothing.
const LEAST: usize = 3;
/// A difference between the halves counts from this share of the power on.
const DRIFT: f64 = 0.01;

/// What has been read so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Means {
    powers: Vec<f64>,
    time: Duration,
    busy: Option<(f64, f64)>,
}

/// What a host was seen to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibrated {
    /// Mean power, W.
    pub power: f64,
    /// Its standard error, W.
    pub error: f64,
    /// How many readings it rests on.
    pub readings: usize,
    /// ... over how long, s.
    pub seconds: f64,
    /// Mean busy share of the CPUs; none where nobody told.
    pub busy: Option<f64>,
    /// How much more was drawn in the second half than in the first, W, where that is more than chance.
    pub drift: Option<f64>,
    /// How many workloads ran on it at last; none where nobody told.
    pub running: Option<usize>,
}

impl Means {
    /// Takes a reading at `time` since the start.
    pub(super) fn power(&mut self, power: Watts, time: Duration) {
        self.powers.push(power.get());
        self.time = time;
    }

    /// Takes the busy share of the CPUs over `time`.
    pub(super) fn busy(&mut self, share: f64, time: Duration) {
        let (sum, seconds) = self.busy.unwrap_or_default();
        self.busy = Some((sum + share * time.as_secs_f64(), seconds + time.as_secs_f64()));
    }

    /// Mean busy share so far; none where nobody told.
    pub(super) fn mean_busy(&self) -> Option<f64> {
        self.busy.filter(|(_, seconds)| *seconds > 0.0).map(|(sum, seconds)| sum / seconds)
    }

    /// Mean power so far, W.
    pub(super) fn mean_power(&self) -> Option<f64> {
        mean(&self.powers)
    }

    /// The result; none from too few readings.
    pub(super) fn result(&self) -> Option<Calibrated> {
        if self.powers.len() < LEAST {
            return None;
        }
        let power = mean(&self.powers)?;
        let of_group = self.powers.len().div_ceil(GROUPS);
        let groups: Vec<f64> = self.powers.chunks(of_group).filter_map(mean).collect();
        let error = standard_error(&groups)?;
        let (first, second) = self.powers.split_at(self.powers.len() / 2);
        let moved = mean(second)? - mean(first)?;
        let drift = (moved.abs() > (4.0 * error).max(DRIFT * power)).then_some(moved);
        Some(Calibrated {
            power,
            error,
            readings: self.powers.len(),
            seconds: self.time.as_secs_f64(),
            busy: self.mean_busy(),
            drift,
            running: None,
        })
    }
}

fn count(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |n, _| n + 1.0)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values))
}

fn standard_error(values: &[f64]) -> Option<f64> {
    let (mean, n) = (mean(values)?, count(values));
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (n > 1.0).then(|| (squares / (n - 1.0) / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(powers: impl IntoIterator<Item = f64>) -> Option<Calibrated> {
        let mut means = Means::default();
        for (n, power) in (1..).zip(powers) {
            means.power(Watts::new(power).unwrap(), Duration::from_secs(10 * n));
        }
        means.result()
    }

    #[test]
    fn the_mean_and_its_error_by_hand() {
        // 118, 119, 117, 118: mean 118, squares 0 + 1 + 1 + 0 = 2, 2 / 3 / 4 = 1/6, root 0.408.
        let result = read([118.0, 119.0, 117.0, 118.0]).unwrap();
        assert_eq!((result.power, result.readings, result.seconds), (118.0, 4, 40.0));
        assert!((result.error - 0.408).abs() < 1e-3);
        assert_eq!((result.busy, result.drift), (None, None));
    }

    #[test]
    fn two_readings_are_too_few() {
        assert_eq!(read([118.0, 119.0]), None);
        assert_eq!(read([]), None);
    }

    #[test]
    fn neighbours_that_are_alike_are_not_taken_for_proof() {
        // 20 readings in two plateaus: taken singly the error would be 0.11 x 2 W.
        let wandering = (0..40).map(|n| if (n / 4) % 2 == 0 { 118.0 } else { 120.0 });
        assert!(read(wandering).unwrap().error > 0.3);
    }

    #[test]
    fn power_that_still_falls_is_noticed() {
        let falling = read((0..30).map(|n| 140.0 - f64::from(n))).unwrap();
        assert!(falling.drift.is_some_and(|drift| (drift + 15.0).abs() < 0.1), "{falling:?}");
        assert_eq!(read((0..30).map(|n| 118.0 + f64::from(n % 2))).unwrap().drift, None);
    }

    #[test]
    fn the_busy_share_is_weighed_by_time() {
        let mut means = Means::default();
        assert_eq!(means.mean_busy(), None);
        means.busy(0.1, Duration::from_secs(10));
        means.busy(0.4, Duration::from_secs(20));
        assert!((means.mean_busy().unwrap() - 0.3).abs() < 1e-12);
    }
}
