//! How far a method is from the truth.

use super::rivals::Given;
use super::trace::{SECONDS, Trace};
use super::truth::True;

/// What the truth of a guest is held to be; the page says for whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Idle power by what is reserved.
    Reserved,
    /// Idle power in equal parts.
    Equal,
    /// No idle power: what a guest added.
    Dynamic,
}

impl Reading {
    pub const ALL: [Self; 3] = [Self::Reserved, Self::Equal, Self::Dynamic];

    fn joules(self, truth: &True) -> f64 {
        match self {
            Self::Reserved => truth.dynamic + truth.reserved,
            Self::Equal => truth.dynamic + truth.equal,
            Self::Dynamic => truth.dynamic,
        }
    }

    const fn given(self, given: &Given) -> &Vec<f64> {
        match self {
            Self::Reserved | Self::Equal => &given.guests,
            Self::Dynamic => &given.dynamic,
        }
    }
}

/// One method on one trace.
#[derive(Clone)]
pub struct Score {
    /// Joules given wrongly, as a share of all guests' true joules; by reading.
    pub error: [f64; 3],
    /// The guest that is furthest off, as a share of its truth (reading `Reserved`).
    pub worst: (String, f64),
    /// Share of the wall's energy that no guest gets.
    pub unassigned: f64,
    /// All that the method books, guests and others, beside the wall's energy: 1 is all.
    pub sum: f64,
}

/// Scores one method on one trace.
pub fn score(trace: &Trace, truth: &[True], given: &Given) -> Score {
    let error = Reading::ALL.map(|reading| {
        let wrong: f64 =
            truth.iter().zip(reading.given(given)).map(|(t, g)| (g - reading.joules(t)).abs()).sum();
        wrong / truth.iter().map(|t| reading.joules(t)).sum::<f64>()
    });
    let off = |(i, t): (usize, &True)| {
        let right = Reading::Reserved.joules(t);
        (trace.guests[i].name.clone(), given.guests[i] / right - 1.0)
    };
    let worst = truth.iter().enumerate().map(off).max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    let wall: f64 = (0..trace.hosts.len()).map(|h| trace.wall(h)).sum();
    let guests: f64 = given.guests.iter().sum();
    assert!(guests.is_finite() && trace.guests.iter().all(|g| g.load.len() == SECONDS));
    Score {
        error,
        worst: worst.unwrap(),
        unassigned: 1.0 - guests / wall,
        sum: (guests + given.idle + given.system) / wall,
    }
}
