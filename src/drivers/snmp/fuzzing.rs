//! Fuzz target of a whole device: discovery, plan and readings by the profiles that are built in, over a recording of whatever
//! variables the input has.

#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a run fails")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::device::Device;
use super::oid::Oid;
use super::profile::{Limits, Profiles};
use super::recording::Recording;
use super::session::{Following, Session, Value};
use super::trace::trace;
use crate::drivers;
use crate::model::{BoxFuture, ManualClock, Moment, PollError};

/// The most requests of one poll: a probe for each profile, and a walk of each that answers.
const MOST_REQUESTS: usize = 20_000;
/// The most readings of one poll.
const MOST_READINGS: usize = 4000;

thread_local! {
    /// Read once for all runs.
    static PROFILES: Arc<Profiles> = Arc::new(drivers::Profiles::built_in().snmp);
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
}

/// Runs one input.
pub fn recording(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let recording = Counting { recording: Recording::parse(&text), requests: AtomicUsize::new(0) };
    let profiles = PROFILES.with(Arc::clone);
    RUNTIME.with(|runtime| runtime.block_on(polls(&recording, profiles)));
}

async fn polls(recording: &Counting, profiles: Arc<Profiles>) {
    let clock = Arc::new(ManualClock::at(Moment::from_nanos(1_000_000_000)));
    if let Ok(trace) = trace(recording, &profiles, None, Arc::clone(&clock) as _).await {
        for traced in &trace.readings {
            assert!(!traced.source.is_empty(), "a reading from nowhere");
        }
    }
    recording.count();
    let mut device = Device::new(profiles, Arc::clone(&clock) as _, None);
    for _ in 0..3 {
        match device.poll(recording).await {
            Ok(batch) => {
                assert!(!batch.readings.is_empty() && batch.readings.len() <= MOST_READINGS);
                let mut seen = HashSet::new();
                for reading in &batch.readings {
                    assert!(reading.measure.value().is_finite());
                    assert!(seen.insert((&reading.channel, reading.measure.quantity())), "twice");
                }
            }
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
        recording.count();
        clock.advance(Duration::from_secs(601));
    }
}

struct Counting {
    recording: Recording,
    requests: AtomicUsize,
}

impl Counting {
    fn count(&self) {
        assert!(self.requests.swap(0, Ordering::Relaxed) <= MOST_REQUESTS, "a poll without end");
    }
}

impl Session for Counting {
    fn limit(&self, limits: Limits) {
        self.recording.limit(limits);
    }

    fn width(&self) -> usize {
        self.recording.width()
    }

    fn get<'a>(&'a self, oids: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Value>, PollError>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.recording.get(oids)
    }

    fn next<'a>(&'a self, after: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Following>, PollError>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.recording.next(after)
    }
}
