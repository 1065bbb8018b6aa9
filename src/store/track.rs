//! A feed's recent past: how much energy it had drawn at each reading, so that any interval of the ledger can be
//! priced. Between two readings energy is taken as drawn evenly.

use std::collections::VecDeque;

use crate::model::{Microjoules, Moment};

/// The most points kept: 4,096 readings are over an hour at 1 Hz, and 192 KiB.
const MAX_POINTS: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Point {
    at: Moment,
    total: Microjoules,
    /// Whether the energy between the point before and this one is known.
    known: bool,
}

/// The track of one feed.
#[derive(Debug, Clone, Default)]
pub struct Track {
    points: VecDeque<Point>,
}

impl Track {
    /// Adds the account's total at `at`. A reading that is not later than the last changes nothing.
    pub fn push(&mut self, at: Moment, total: Microjoules, known: bool) {
        if self.points.back().is_some_and(|last| last.at >= at) {
            return;
        }
        if self.points.len() == MAX_POINTS {
            self.points.pop_front();
        }
        self.points.push_back(Point { at, total, known });
    }

    /// Up to when it is known at all; none before the first reading.
    #[must_use]
    pub fn frontier(&self) -> Option<Moment> {
        self.points.back().map(|p| p.at)
    }

    /// From when on it is known; none before the first reading.
    #[must_use]
    pub fn start(&self) -> Option<Moment> {
        self.points.front().map(|p| p.at)
    }

    /// The latest end of an interval from `from` on that is either known or unknown as a whole: where the next gap begins, or
    /// ends if `from` lies in it; none if no gap follows.
    #[must_use]
    pub fn next_break(&self, from: Moment) -> Option<Moment> {
        if let Some(first) = self.points.front().filter(|first| first.at > from) {
            return Some(first.at);
        }
        let later = self.points.partition_point(|p| p.at <= from);
        let gap = self.points.range(later..).position(|p| !p.known)? + later;
        let begin = gap.checked_sub(1).and_then(|before| self.points.get(before)).map(|p| p.at);
        begin.filter(|b| *b > from).or(self.points.get(gap).map(|p| p.at))
    }

    /// Energy drawn from `from` to `to`; none where any part of that is not known. The parts of an interval add up to the
    /// whole, to the microjoule.
    #[must_use]
    pub fn between(&self, from: Moment, to: Moment) -> Option<Microjoules> {
        if to < from {
            return None;
        }
        let first = self.points.partition_point(|p| p.at <= from);
        let last = self.points.partition_point(|p| p.at < to);
        // Every segment touched must be known: those that end at points first ..= last.
        if self
            .points
            .range(first.min(last)..=last.min(self.points.len().checked_sub(1)?))
            .any(|p| !p.known && p.at > from)
        {
            return None;
        }
        Some(self.total_at(to)?.since(self.total_at(from)?))
    }

    /// The account at `at`, by straight line between the points around it.
    fn total_at(&self, at: Moment) -> Option<Microjoules> {
        let after = self.points.partition_point(|p| p.at < at);
        let end = self.points.get(after)?;
        if end.at == at {
            return Some(end.total);
        }
        let begin = self.points.get(after.checked_sub(1)?)?;
        let gained = end.total.since(begin.total).0;
        let part = at.since(begin.at).as_nanos();
        let whole = end.at.since(begin.at).as_nanos().max(1);
        Some(begin.total + Microjoules(gained.saturating_mul(part) / whole))
    }

    /// Forgets what lies before `until`, but for the point that `until` still leans on.
    pub fn forget_before(&mut self, until: Moment) {
        while self.points.get(1).is_some_and(|second| second.at <= until) {
            self.points.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    fn track(points: &[(u64, u64, bool)]) -> Track {
        let mut t = Track::default();
        for (s, uj, known) in points {
            t.push(at(*s), Microjoules(u128::from(*uj)), *known);
        }
        t
    }

    #[test]
    fn a_part_of_a_segment_is_its_even_share() {
        let t = track(&[(0, 0, false), (10, 1000, true)]);
        assert_eq!(t.between(at(0), at(10)), Some(Microjoules(1000)));
        assert_eq!(t.between(at(2), at(5)), Some(Microjoules(300)));
    }

    #[test]
    fn what_lies_outside_or_in_a_gap_is_unknown() {
        let t = track(&[(10, 0, false), (20, 100, true), (90, 100, false), (100, 200, true)]);
        assert_eq!(t.between(at(5), at(15)), None, "before the first reading");
        assert_eq!(t.between(at(95), at(101)), None, "after the last");
        assert_eq!(t.between(at(15), at(95)), None, "across the gap");
        assert_eq!(t.between(at(30), at(40)), None, "inside the gap");
        assert_eq!(t.between(at(10), at(20)), Some(Microjoules(100)));
        assert_eq!(t.between(at(90), at(100)), Some(Microjoules(100)));
        assert_eq!(t.frontier(), Some(at(100)));
        assert_eq!(Track::default().between(at(0), at(1)), None);
    }

    #[test]
    fn an_interval_is_broken_where_a_gap_begins_and_where_it_ends() {
        let t =
            track(&[(10, 0, false), (20, 100, true), (30, 200, true), (90, 200, false), (100, 300, true)]);
        assert_eq!(t.next_break(at(5)), Some(at(10)), "before the first reading");
        assert_eq!(t.next_break(at(10)), Some(at(30)));
        assert_eq!(t.next_break(at(30)), Some(at(90)));
        assert_eq!(t.next_break(at(40)), Some(at(90)));
        assert_eq!(t.next_break(at(90)), None);
        assert_eq!(Track::default().next_break(at(0)), None);
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(
            steps in prop::collection::vec((1u64..1_000_000_000_000, 0u64..1_000_000_000_000), 2..40),
            cuts in prop::collection::vec(0u64..1000, 0..20),
        ) {
            let mut t = Track::default();
            let (mut when, mut total) = (0, 0);
            for (dt, de) in &steps {
                when += dt;
                total += de;
                t.push(Moment::from_nanos(when), Microjoules(u128::from(total)), true);
            }
            let start = t.start().unwrap().nanos();
            let mut bounds: Vec<u64> =
                cuts.iter().map(|c| start + (when - start) / 1000 * c).chain([start, when]).collect();
            bounds.sort_unstable();
            let sum: Microjoules = bounds
                .windows(2)
                .map(|w| t.between(Moment::from_nanos(w[0]), Moment::from_nanos(w[1])).unwrap())
                .sum();
            prop_assert_eq!(Some(sum), t.between(Moment::from_nanos(start), Moment::from_nanos(when)));
        }

        #[test]
        fn forgetting_changes_no_later_answer(cut in 0u64..1000) {
            let points: Vec<_> = (0..100).map(|i| (i * 10, i * i * 7, true)).collect();
            let whole = track(&points);
            let mut short = whole.clone();
            short.forget_before(at(cut));
            prop_assert_eq!(short.between(at(cut), at(990)), whole.between(at(cut), at(990)));
        }
    }
}
