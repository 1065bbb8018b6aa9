//! A robust line of power over utilisation, and where it starts.
//!
//! Weighted least squares with Huber's weights (iterated). Bins near the lowest load count most, since power bends: what a
//! host draws at half load says more of no load than what it draws at full load.

use super::{Bin, Guess};

/// A bin counts no more than this long, so that a week at one load does not drown the hours at another.
const MOST_SECONDS: f64 = 1800.0;
/// A bin counts at all from this long on.
const LEAST_SECONDS: f64 = 30.0;
/// Two readings nearer than this are one: power wanders slowly.
const INDEPENDENT_SECONDS: f64 = 60.0;
/// Bins this much busier than the lowest count half.
const NEAR: f64 = 0.15;
/// Residuals above this many standard deviations count less.
const HUBER: f64 = 1.5;
const ROUNDS: usize = 8;
/// How much of what the line drops between the lowest load seen and none may be due to a bend that nobody has seen.
const BEND: f64 = 0.35;
/// From a mean absolute deviation to a standard deviation.
const NORMAL: f64 = 1.25;

/// A point to fit: load, power, how many readings it is worth, and their standard deviation.
struct Point {
    busy: f64,
    power: f64,
    readings: f64,
    deviation: f64,
}

/// A line, and what its start's variance takes.
struct Line {
    start: f64,
    slope: f64,
    weight: f64,
    busy: f64,
    spread: f64,
}

/// Where the line meets no load; none where load has not varied, or power does not rise with it.
pub(super) fn start(bins: &[Bin]) -> Option<Guess> {
    let used = || bins.iter().filter(|b| b.seconds >= LEAST_SECONDS);
    let lowest = used().map(|b| b.busy).reduce(f64::min)?;
    let points: Vec<Point> = used()
        .map(|b| Point {
            busy: b.busy,
            power: b.power,
            readings: b.seconds.min(MOST_SECONDS)
                / INDEPENDENT_SECONDS
                / (1.0 + ((b.busy - lowest) / NEAR).powi(2)),
            deviation: NORMAL * b.deviation,
        })
        .collect();
    let mut trust = vec![1.0; points.len()];
    let mut line = fit(&points, &trust)?;
    for _ in 0..ROUNDS {
        let scale = scale(&points, &line);
        for (trust, point) in trust.iter_mut().zip(&points) {
            *trust = (HUBER * scale / line.off(point).abs().max(1e-9)).min(1.0);
        }
        line = fit(&points, &trust)?;
    }
    if line.slope <= 0.0 {
        return None;
    }
    let noise =
        points.iter().zip(&trust).fold(0.0, |sum, (p, trust)| {
            sum + trust * p.readings * (p.deviation.powi(2) + line.off(p).powi(2))
        }) / line.weight;
    let sampling = noise * (1.0 / line.weight + line.busy.powi(2) / line.spread);
    let bend = BEND * line.slope * lowest;
    Some(Guess { value: line.start, deviation: (sampling + bend.powi(2)).sqrt() })
}

impl Line {
    fn off(&self, point: &Point) -> f64 {
        point.power - self.slope.mul_add(point.busy, self.start)
    }
}

/// The line of least squares; none where all points stand at one load.
fn fit(points: &[Point], trust: &[f64]) -> Option<Line> {
    let weighted = || points.iter().zip(trust).map(|(p, trust)| (p, p.readings * trust));
    let weight: f64 = weighted().map(|(_, w)| w).sum();
    let busy = weighted().map(|(p, w)| w * p.busy).sum::<f64>() / weight;
    let power = weighted().map(|(p, w)| w * p.power).sum::<f64>() / weight;
    let spread: f64 = weighted().map(|(p, w)| w * (p.busy - busy).powi(2)).sum();
    if !(spread > 1e-6) {
        return None;
    }
    let slope = weighted().map(|(p, w)| w * (p.busy - busy) * (p.power - power)).sum::<f64>() / spread;
    Some(Line { start: power - slope * busy, slope, weight, busy, spread })
}

/// The usual size of a residual: the median, at least what a point's own readings scatter by.
fn scale(points: &[Point], line: &Line) -> f64 {
    let mut sizes: Vec<f64> = points.iter().map(|p| line.off(p).abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or_default();
    let own = points.iter().map(|p| p.deviation).reduce(f64::min).unwrap_or_default();
    (1.4826 * median).max(own)
}
