//! How writing fares, for the page.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Moment;

/// Counts of writes, and when the last good one was.
#[derive(Debug)]
pub struct Health {
    refused: u64,
    good: AtomicU64,
    failed: AtomicU64,
    /// Moment of the state on the disk, ns.
    kept: AtomicU64,
    bytes: AtomicU64,
}

impl Health {
    /// At a start that refused `refused` files and went on from a state of `kept` (of now, if from none).
    #[must_use]
    pub const fn new(refused: u64, kept: Moment) -> Self {
        Self {
            refused,
            good: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            kept: AtomicU64::new(kept.nanos()),
            bytes: AtomicU64::new(0),
        }
    }

    /// A state of `at` stands on the disk, `bytes` long.
    pub fn wrote(&self, at: Moment, bytes: u64) {
        self.kept.store(at.nanos(), Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        self.good.fetch_add(1, Ordering::Relaxed);
    }

    /// A state could not be written.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Files that could not be used at the start.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Writes by result: `ok`, `failed`.
    #[must_use]
    pub fn writes(&self) -> [(&'static str, u64); 2] {
        [("ok", self.good.load(Ordering::Relaxed)), ("failed", self.failed.load(Ordering::Relaxed))]
    }

    /// When the counters stood as they do on the disk; the start, if nothing was written since.
    #[must_use]
    pub fn kept(&self) -> Moment {
        Moment::from_nanos(self.kept.load(Ordering::Relaxed))
    }

    /// Length of the file, bytes; none before the first write.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        Some(self.bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}
