//! The poller's own figures: how many polls ended how, how long they took, how often a driver was restarted.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{ErrorKind, OpenSessions};

/// Upper bounds of the duration histogram, seconds.
pub const BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Figures of one kind of driver.
#[derive(Debug)]
pub struct DriverStats {
    /// Value of the `driver` label.
    pub driver: &'static str,
    good: AtomicU64,
    failed: [AtomicU64; ErrorKind::ALL.len()],
    restarts: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len() + 1],
    nanos: AtomicU64,
    /// Only of drivers that hold any.
    sessions: OnceLock<OpenSessions>,
}

impl DriverStats {
    fn new(driver: &'static str) -> Self {
        Self {
            driver,
            good: AtomicU64::default(),
            failed: Default::default(),
            restarts: AtomicU64::default(),
            buckets: Default::default(),
            nanos: AtomicU64::default(),
            sessions: OnceLock::new(),
        }
    }

    /// Counts a poll.
    pub fn polled(&self, outcome: Result<(), ErrorKind>, took: Duration) {
        match outcome {
            Ok(()) => &self.good,
            Err(kind) => self.failures(kind),
        }
        .fetch_add(1, Ordering::Relaxed);
        let seconds = took.as_secs_f64();
        let bounds = BUCKETS.iter().copied().chain([f64::INFINITY]);
        if let Some((_, bucket)) = bounds.zip(&self.buckets).find(|(bound, _)| seconds <= *bound) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts a restart of a driver that died.
    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// Polls by result, `ok` first, every known result included.
    pub fn results(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let good = std::iter::once(("ok", self.good.load(Ordering::Relaxed)));
        good.chain(ErrorKind::ALL.into_iter().map(|k| (k.label(), self.failures(k).load(Ordering::Relaxed))))
    }

    /// Restarts so far.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Where a driver that holds sessions on devices counts them.
    pub fn count_sessions(&self) -> OpenSessions {
        self.sessions.get_or_init(OpenSessions::default).clone()
    }

    /// Sessions that are open on devices now; none for a driver that never holds any.
    #[must_use]
    pub fn sessions(&self) -> Option<u64> {
        self.sessions.get().map(OpenSessions::count)
    }

    /// The histogram: polls in each bucket, not cumulated, the last beyond every bound; then their seconds.
    #[must_use]
    pub fn durations(&self) -> ([u64; BUCKETS.len() + 1], f64) {
        let counts = std::array::from_fn(|i| self.buckets.get(i).map_or(0, |b| b.load(Ordering::Relaxed)));
        (counts, Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64())
    }

    const fn failures(&self, kind: ErrorKind) -> &AtomicU64 {
        let [timeout, unreachable, auth, tls, protocol, no_reading, busy] = &self.failed;
        match kind {
            ErrorKind::Timeout => timeout,
            ErrorKind::Unreachable => unreachable,
            ErrorKind::Auth => auth,
            ErrorKind::Tls => tls,
            ErrorKind::Protocol => protocol,
            ErrorKind::NoReading => no_reading,
            ErrorKind::Busy => busy,
        }
    }
}

/// Figures of all kinds of drivers.
#[derive(Debug)]
pub struct Stats {
    drivers: Vec<DriverStats>,
}

impl Stats {
    /// Figures for these kinds, all 0.
    #[must_use]
    pub fn new(drivers: &[&'static str]) -> Self {
        Self { drivers: drivers.iter().map(|d| DriverStats::new(d)).collect() }
    }

    /// The figures of one kind.
    #[must_use]
    pub fn driver(&self, name: &str) -> Option<&DriverStats> {
        self.drivers.iter().find(|d| d.driver == name)
    }

    /// All kinds in order.
    #[must_use]
    pub fn drivers(&self) -> &[DriverStats] {
        &self.drivers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_is_counted_once_and_starts_at_0() {
        let stats = Stats::new(&["snmp"]);
        let snmp = stats.driver("snmp").unwrap();
        assert!(snmp.results().all(|(_, n)| n == 0));
        snmp.polled(Ok(()), Duration::from_millis(3));
        for kind in ErrorKind::ALL {
            snmp.polled(Err(kind), Duration::from_secs(20));
        }
        assert!(snmp.results().all(|(_, n)| n == 1));
        let (buckets, seconds) = snmp.durations();
        assert_eq!((buckets[0], buckets[1], buckets[11], buckets.iter().sum::<u64>()), (0, 1, 7, 8));
        assert!((seconds - 140.003).abs() < 1e-9);
    }

    #[test]
    fn a_driver_without_sessions_has_no_count_of_them() {
        let stats = Stats::new(&["ipmi", "snmp"]);
        let open = stats.driver("ipmi").unwrap().count_sessions().hold();
        let sessions = || ["ipmi", "snmp"].map(|driver| stats.driver(driver).unwrap().sessions());
        assert_eq!(sessions(), [Some(1), None]);
        drop(open);
        assert_eq!(sessions(), [Some(0), None]);
    }
}
