//! Time, injected. Nothing outside this file asks the operating system what time it is.

use std::ops::Add;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point on the monotonic clock, nanoseconds since an origin of the process. For intervals, never for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// `nanos` after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds after the origin.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// `time` before this; the origin where that is earlier.
    #[must_use]
    pub fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time from `earlier` to this, or none at all if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// What lies between a state that was kept and now: it places what happened before the start on this process's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Now.
    pub now: Moment,
    /// How long ago the state was kept, by the clock on the wall; nothing where that was set back meanwhile.
    pub away: Duration,
}

impl Past {
    /// No time that was kept can be longer: a thousand years.
    pub const LONGEST: Duration = Duration::from_secs(1000 * 365 * 86_400);

    /// The moment that was `age` before the state was kept.
    #[must_use]
    pub fn moment(&self, age: Duration) -> Moment {
        self.now.before(self.away.saturating_add(age))
    }
}

/// From the origin of the machine's clock to its making: what happened before the process started has a moment, too.
const HEAD_START: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Now, for intervals.
    fn now(&self) -> Moment;
    /// Now, seconds since the Unix epoch, for display and files.
    fn unix_seconds(&self) -> f64;
}

/// The machine's clock. Its monotonic part is tokio's, so that a paused runtime pauses it too.
#[derive(Debug)]
pub struct SystemClock {
    made: tokio::time::Instant,
}

impl SystemClock {
    /// A clock whose origin is ten years ago.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    pub fn new() -> Self {
        Self { made: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    fn now(&self) -> Moment {
        Moment::ZERO + HEAD_START + tokio::time::Instant::now().saturating_duration_since(self.made)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that may ask")]
    fn unix_seconds(&self) -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
    }
}

/// A clock that a test moves by hand.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: Mutex<Moment>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub const fn at(now: Moment) -> Self {
        Self { now: Mutex::new(now) }
    }

    /// Lets `time` pass.
    pub fn advance(&self, time: Duration) {
        let mut now = self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = *now + time;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn unix_seconds(&self) -> f64 {
        Duration::from_nanos(self.now().nanos()).as_secs_f64()
    }
}
