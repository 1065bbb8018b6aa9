//! The time one sample may take, handed out step by step.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Clock, Moment};

/// Time left for one sample.
#[derive(Clone)]
pub struct Budget {
    clock: Arc<dyn Clock>,
    end: Moment,
    call: Duration,
}

impl Budget {
    /// A little less than three calls' time from now, as the contract of [`super::Settings::call_timeout`] says.
    pub fn start(clock: &Arc<dyn Clock>, call: Duration) -> Self {
        Self { clock: Arc::clone(clock), end: clock.now() + call * 11 / 4, call }
    }

    /// What is left, less a share of one call's time kept for what comes after: `reserve` eighths of it.
    fn left(&self, reserve: u32) -> Duration {
        self.end.since(self.clock.now()).saturating_sub(self.call * reserve / 8)
    }

    /// Time for one call.
    pub fn call(&self) -> Duration {
        self.call.min(self.left(0))
    }

    /// Time to come back after a hung call: half a call's.
    pub fn recovery(&self) -> Duration {
        (self.call / 2).min(self.left(0))
    }

    /// Time for one domain asked alone; none when what is left must be kept for the descriptions.
    pub fn alone(&self) -> Option<Duration> {
        Some((self.call / 8).min(self.left(2))).filter(|time| !time.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;

    #[test]
    fn what_was_spent_shortens_what_comes_after() {
        let hand = Arc::new(ManualClock::at(Moment::from_nanos(1)));
        let clock: Arc<dyn Clock> = hand.clone();
        let seconds = Duration::from_secs;
        let budget = Budget::start(&clock, seconds(8));
        assert_eq!(
            (budget.call(), budget.recovery(), budget.alone()),
            (seconds(8), seconds(4), Some(seconds(1)))
        );
        // 22 s in all: after 19 there are 3 left, of which 2 are kept for the descriptions.
        hand.advance(seconds(19));
        assert_eq!(
            (budget.call(), budget.recovery(), budget.alone()),
            (seconds(3), seconds(3), Some(seconds(1)))
        );
        hand.advance(seconds(1));
        assert_eq!((budget.call(), budget.alone()), (seconds(2), None));
        hand.advance(seconds(9));
        assert_eq!(budget.call(), Duration::ZERO);
    }
}
