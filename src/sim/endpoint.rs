//! What the simulated devices share: the world at its present second, how they count, how they stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::world::World;
use crate::model::{Clock, Moment};

/// The world and the second it stands at.
#[derive(Clone)]
pub struct Live {
    /// The world.
    pub world: Arc<World>,
    clock: Arc<dyn Clock>,
    origin: Moment,
    origin_unix_seconds: f64,
}

impl Live {
    /// Starts the world's time at `clock`'s now.
    #[must_use]
    pub fn new(world: Arc<World>, clock: Arc<dyn Clock>) -> Self {
        let (origin, origin_unix_seconds) = (clock.now(), clock.unix_seconds());
        Self { world, clock, origin, origin_unix_seconds }
    }

    /// Seconds since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.clock.now().since(self.origin).as_secs_f64()
    }

    /// Seconds since the start at a time given as seconds since the Unix epoch.
    #[must_use]
    pub fn seconds_at(&self, unix_seconds: f64) -> f64 {
        unix_seconds - self.origin_unix_seconds
    }
}

/// What a device has seen of its clients.
#[derive(Debug, Default)]
pub struct Counters {
    opened: AtomicU64,
    closed: AtomicU64,
    requests: AtomicU64,
}

impl Counters {
    pub(super) fn open(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Sessions (Redfish) or connections (libvirt) opened since the start.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Of those, how many were given back.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// Of those, how many are still held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.opened().saturating_sub(self.closed())
    }

    /// Requests answered or refused since the start.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Rounds to what an SNMP INTEGER or a JSON number can show; out of range it stays at the end of the range.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and that is what is asked for")]
pub(super) fn rounded(value: f64) -> i32 {
    value.round() as i32
}

/// Cuts down to a whole count, as a counter with a step does.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and counters here are never negative"
)]
pub(super) fn counted(value: f64) -> u64 {
    value.floor() as u64
}
