//! What was learned of an agent's manners: how much it takes at once, and whether it knows GETBULK. Kept for the device's life, over
//! its sessions; a request that was answered once is not doubted again because the network lost the next.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use super::pace::Pace;
use super::profile::Limits;

/// More variables than this do not fit into one datagram without fragments.
const MAX_OIDS: usize = 48;
/// Rows asked for by one GETBULK; agents in PDUs die of more.
const MAX_REPETITIONS: usize = 25;
/// Variables in one answer to a walk, whose names and texts are longer than polled numbers.
const MAX_WALKED: usize = 32;
/// A request of so few variables is not too big for any agent.
const SMALL: usize = 2;

/// One agent's.
#[derive(Debug)]
pub struct Manners {
    /// Most variables in one request.
    max_oids: AtomicUsize,
    /// Most variables in one request and rows in one GETBULK by the profile that reads it now: another may be tried later.
    profile: [AtomicUsize; 2],
    /// Whether walks go by GETNEXT.
    stepwise: AtomicBool,
    /// Most variables in a request that was answered.
    proven: AtomicUsize,
    /// Whether a GETBULK was answered well.
    bulk_proven: AtomicBool,
    /// Its round trips.
    pub pace: Pace,
}

impl Manners {
    /// Nothing learned yet. `max_oids` is the operator's limit. GETBULK saves round trips; where one variable a request is all that
    /// the agent takes, so is one row.
    #[must_use]
    pub fn new(max_oids: usize, knows_bulk: bool) -> Self {
        let max_oids = max_oids.clamp(1, MAX_OIDS);
        Self {
            max_oids: max_oids.into(),
            profile: [MAX_OIDS.into(), MAX_REPETITIONS.into()],
            stepwise: (max_oids == 1 || !knows_bulk).into(),
            proven: 0.into(),
            bulk_proven: false.into(),
            pace: Pace::default(),
        }
    }

    /// Asks for no more than a profile says, from now on and in place of what another said before.
    pub fn limit(&self, limits: Limits) {
        let [oids, rows] = &self.profile;
        oids.store(limits.max_oids.unwrap_or(MAX_OIDS).max(1), Relaxed);
        rows.store(limits.max_repetitions.unwrap_or(MAX_REPETITIONS).max(1), Relaxed);
    }

    /// Most variables in one request.
    #[must_use]
    pub fn max_oids(&self) -> usize {
        let [oids, _] = &self.profile;
        self.max_oids.load(Relaxed).min(oids.load(Relaxed))
    }

    /// Most columns in one request of a walk.
    #[must_use]
    pub fn width(&self) -> usize {
        self.max_oids().min(MAX_WALKED)
    }

    /// Rows to ask for with one GETBULK for `columns` at once; none where walks go by GETNEXT.
    #[must_use]
    pub fn repetitions(&self, columns: usize) -> Option<usize> {
        let [_, most] = &self.profile;
        let most = most.load(Relaxed);
        let rows = self.width().checked_div(columns).unwrap_or(1);
        (most > 1 && !self.stepwise.load(Relaxed)).then(|| rows.clamp(1, most))
    }

    /// A request of so many variables was answered.
    pub fn answered(&self, oids: usize) {
        self.proven.fetch_max(oids, Relaxed);
    }

    /// A request of so many variables was silently dropped: whether its size may be why.
    #[must_use]
    pub fn doubts(&self, oids: usize) -> bool {
        oids > SMALL && oids > self.proven.load(Relaxed)
    }

    /// The agent takes no more than so many variables.
    pub fn at_most(&self, oids: usize) {
        self.max_oids.fetch_min(oids.max(1), Relaxed);
    }

    /// A GETBULK was answered well.
    pub fn bulk_answered(&self) {
        self.bulk_proven.store(true, Relaxed);
    }

    /// Whether silence to a GETBULK may mean that the agent does not know it.
    #[must_use]
    pub fn doubts_bulk(&self) -> bool {
        !self.bulk_proven.load(Relaxed)
    }

    /// The agent does not know GETBULK.
    pub fn step_from_now_on(&self) {
        self.stepwise.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_once_is_not_doubted_because_a_datagram_is_lost() {
        let manners = Manners::new(20, true);
        assert!(manners.doubts(20) && manners.doubts(3) && !manners.doubts(2));
        manners.answered(10);
        assert!(manners.doubts(20) && !manners.doubts(10));
        manners.at_most(10);
        assert_eq!(manners.max_oids(), 10);
    }

    #[test]
    fn a_profile_may_lower_limits_but_not_raise_them() {
        let manners = Manners::new(20, true);
        assert_eq!(
            [1, 4, 20, 40].map(|columns| manners.repetitions(columns)),
            [Some(20), Some(5), Some(1), Some(1)]
        );
        manners.limit(Limits { max_oids: Some(40), max_repetitions: Some(3) });
        assert_eq!((manners.max_oids(), manners.repetitions(1)), (20, Some(3)));
        manners.limit(Limits { max_oids: Some(5), max_repetitions: Some(1) });
        assert_eq!((manners.max_oids(), manners.repetitions(1)), (5, None));
        // It was the wrong one: the next has its own.
        manners.limit(Limits::default());
        assert_eq!((manners.max_oids(), manners.repetitions(1)), (20, Some(20)));
        assert_eq!(
            (Manners::new(1, true).repetitions(1), Manners::new(20, false).repetitions(1)),
            (None, None)
        );
    }
}
