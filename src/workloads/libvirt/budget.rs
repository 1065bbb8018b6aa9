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
