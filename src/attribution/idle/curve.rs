//! Where power starts: curves of power over utilisation, fitted to the bins.
//!
//! Real curves bend, most of them down: the first busy core wakes what all share. So a family of curves is fitted,
//! `power = start + rise x busy^bend`, one for each bend, by robust least squares (Huber's weights, iterated). Each start
//! counts as much as its curve is likely: by how well it fits and by how usual its bend is. Where load stayed in a narrow
//! range all bends fit alike, their starts lie far apart, and so the answer is known to be unsure.

use super::{Bin, Guess};

/// Bends that are tried.
const BENDS: [f64; 10] = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4];
/// The usual bend, and how far most machines are from it. A straight line: what bends is heard as soon as load varies.
const USUAL_BEND: (f64, f64) = (1.0, 0.3);
/// A bin counts no more than this long, so that a week at one load does not drown the hours at another.
const MOST_SECONDS: f64 = 1800.0;
/// A bin counts at all from this long on.
const LEAST_SECONDS: f64 = 30.0;
/// Two readings nearer than this are one: power wanders slowly.
const INDEPENDENT_SECONDS: f64 = 60.0;
/// Bins this much busier than the lowest count half: they say less of no load.
const NEAR: f64 = 0.3;
/// No curve is followed more closely than this share of power.
const CLOSEST: f64 = 0.002;
/// Residuals above this many standard deviations count less.
const HUBER: f64 = 1.5;
const ROUNDS: usize = 6;
/// From a mean absolute deviation to a standard deviation.
const NORMAL: f64 = 1.25;
/// Load that varied by less than this (squared, times the bend) tells nothing.
const LEAST_SPREAD: f64 = 1e-6;

/// What a bin says: its load raised to the bend, its power, its weight, and its standard deviation.
#[derive(Debug, Clone, Copy)]
struct Point {
    load: f64,
    power: f64,
    weight: f64,
    deviation: f64,
}

/// A curve's start, with what tells how sure and how likely it is.
#[derive(Debug, Clone, Copy)]
struct Start {
    watts: f64,
    variance: f64,
    /// Minus twice the logarithm of its likelihood.
    misfit: f64,
}

/// Where power meets no load; none where load has not varied, or power does not rise with it.
pub(super) fn start(bins: &[Bin]) -> Option<Guess> {
    let used: Vec<&Bin> = bins.iter().filter(|b| b.seconds >= LEAST_SECONDS).collect();
    let lowest = used.iter().map(|b| b.busy).reduce(f64::min)?;
    let starts: Vec<Start> = BENDS.iter().filter_map(|bend| fitted(&used, lowest, *bend)).collect();
    let best = starts.iter().map(|s| s.misfit).reduce(f64::min)?;
    let likely = |s: &Start| ((best - s.misfit) / 2.0).exp();
    let all: f64 = starts.iter().map(likely).sum();
    let mean = starts.iter().map(|s| likely(s) * s.watts).sum::<f64>() / all;
    let variance =
        starts.iter().map(|s| likely(s) * (s.variance + (s.watts - mean).powi(2))).sum::<f64>() / all;
    Some(Guess { value: mean, deviation: variance.sqrt() })
}

/// The curve of one bend.
fn fitted(bins: &[&Bin], lowest: f64, bend: f64) -> Option<Start> {
    let points: Vec<Point> = bins.iter().map(|b| point(b, lowest, bend)).collect();
    let mut trust = vec![1.0; points.len()];
    let mut line = Line::fit(&points, &trust)?;
    for _ in 0..ROUNDS {
        for (trust, point) in trust.iter_mut().zip(&points) {
            *trust = (HUBER * point.deviation / line.off(point).abs().max(1e-9)).min(1.0);
        }
        line = Line::fit(&points, &trust)?;
    }
    if line.rise <= 0.0 {
        return None;
    }
    let squares: f64 = points.iter().zip(&trust).map(|(p, t)| t * p.weight * line.off(p).powi(2)).sum();
    let spare = points.iter().skip(2).fold(0.0, |n: f64, _| n + 1.0).max(1.0);
    let (usual, width) = USUAL_BEND;
    Some(Start {
        watts: line.start,
        variance: line.variance() * (squares / spare).max(1.0),
        misfit: squares + ((bend - usual) / width).powi(2),
    })
}

fn point(bin: &Bin, lowest: f64, bend: f64) -> Point {
    let readings = bin.seconds.min(MOST_SECONDS) / INDEPENDENT_SECONDS;
    let variance = (NORMAL * bin.deviation).powi(2) / readings + (CLOSEST * bin.power).powi(2);
    Point {
        load: bin.busy.powf(bend),
        power: bin.power,
        weight: 1.0 / variance.max(1e-6) / (1.0 + ((bin.busy - lowest) / NEAR).powi(2)),
        deviation: variance.sqrt(),
    }
}

/// A straight line over the bent load.
#[derive(Debug, Clone, Copy)]
struct Line {
    start: f64,
    rise: f64,
    weight: f64,
    load: f64,
    spread: f64,
}

impl Line {
    /// By least squares; none where all points stand at one load.
    fn fit(points: &[Point], trust: &[f64]) -> Option<Self> {
        let weighted = || points.iter().zip(trust).map(|(p, trust)| (p, p.weight * trust));
        let weight: f64 = weighted().map(|(_, w)| w).sum();
        let load = weighted().map(|(p, w)| w * p.load).sum::<f64>() / weight;
        let power = weighted().map(|(p, w)| w * p.power).sum::<f64>() / weight;
        let spread: f64 = weighted().map(|(p, w)| w * (p.load - load).powi(2)).sum();
        if spread.is_nan() || spread / weight < LEAST_SPREAD {
            return None;
        }
        let rise = weighted().map(|(p, w)| w * (p.load - load) * (p.power - power)).sum::<f64>() / spread;
        Some(Self { start: power - rise * load, rise, weight, load, spread })
    }

    fn off(&self, point: &Point) -> f64 {
        point.power - self.rise.mul_add(point.load, self.start)
    }

    /// Of its start, where each point's weight is one by its variance.
    fn variance(&self) -> f64 {
        1.0 / self.weight + self.load.powi(2) / self.spread
    }
}
