//! How long a unit takes to answer, as far as it has shown it. Pure.

use std::time::Duration;

/// Answers take this much longer than the slowest of late before nobody waits for them any more.
const MARGIN: Duration = Duration::from_millis(50);

/// What an operator says of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long one try may take.
    pub request_timeout: Duration,
    /// How often a question is asked again.
    pub retries: u32,
    /// How long a whole poll may take: nobody waits longer for anything.
    pub poll_timeout: Duration,
    /// The least time between an answer and the next question.
    pub pause: Duration,
}

impl Terms {
    /// How long a unit that does not answer may hold up the line.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.request_timeout.saturating_mul(self.retries.saturating_add(1)).min(self.poll_timeout)
    }
}

/// One unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// The slowest answer of late; none before the first.
    slowest: Option<Duration>,
    /// An answer came after it had been given up: nobody knows how late, but the unit is there.
    too_late: bool,
    /// It does not give our bytes back, so it is asked for a few registers instead.
    no_echo: bool,
}

impl Pace {
    /// How long to wait for the first answer to a question. A line without numbers for its answers must not be asked again sooner.
    #[must_use]
    pub fn patience(&self, terms: &Terms) -> Duration {
        // Before the poll is cut off, so that it can be told who was silent.
        let longest = terms.poll_timeout - terms.poll_timeout / 10;
        let wait = match self.slowest {
            _ if self.too_late => longest,
            // Who never answered may be slow.
            None => terms.budget(),
            Some(slowest) => terms.request_timeout.max(slowest + slowest / 2 + MARGIN),
        };
        wait.min(longest)
    }

    /// It answered after `took`.
    pub fn answered(&mut self, took: Duration) {
        let before = self.slowest.unwrap_or_default();
        self.slowest = Some(took.max(before - before / 10));
        self.too_late = false;
    }

    /// An answer that had been given up was found on the line.
    pub const fn answered_too_late(&mut self) {
        self.too_late = true;
    }

    /// It was waited for and said nothing.
    pub const fn silent(&mut self) {
        self.too_late = false;
    }

    /// Whether it gives our bytes back, as far as known.
    #[must_use]
    pub const fn echoes(&self) -> bool {
        !self.no_echo
    }

    /// Whether it gave them back.
    pub const fn saw_echo(&mut self, seen: bool) {
        self.no_echo = !seen;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        request_timeout: Duration::from_millis(400),
        retries: 1,
        poll_timeout: Duration::from_secs(5),
        pause: Duration::ZERO,
    };

    #[test]
    fn patience_follows_the_slowest_answer_and_ends_before_the_polls_deadline() {
        let mut pace = Pace::default();
        assert_eq!(pace.patience(&TERMS), Duration::from_millis(800));
        pace.answered_too_late();
        assert_eq!(pace.patience(&TERMS), Duration::from_millis(4500));
        pace.answered(Duration::from_millis(1500));
        assert_eq!(pace.patience(&TERMS), Duration::from_millis(2300));
        for _ in 0..40 {
            pace.answered(Duration::from_millis(10));
        }
        assert_eq!(pace.patience(&TERMS), TERMS.request_timeout);
        pace.answered(Duration::from_secs(9));
        assert_eq!(pace.patience(&TERMS), Duration::from_millis(4500));
    }
}
