//! The usage log: where samples wait between the task that took them and the tick that settles them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Usage;

/// Samples kept for one source: a ledger that is not served forgets the oldest.
const MAX_SAMPLES: usize = 600;

/// Which source, as an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceIndex(pub usize);

/// The samples of all sources that are not settled yet.
#[derive(Debug)]
pub struct UsageLog {
    sources: Vec<Mutex<VecDeque<Usage>>>,
}

impl UsageLog {
    /// A log for `sources` sources.
    #[must_use]
    pub fn new(sources: usize) -> Self {
        Self { sources: (0..sources).map(|_| Mutex::default()).collect() }
    }

    /// Adds a sample. One that is not later than the last is dropped.
    pub fn push(&self, source: SourceIndex, usage: Usage) {
        let Some(queue) = self.sources.get(source.0) else { return };
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.back().is_some_and(|last| last.at >= usage.at) {
            return;
        }
        if queue.len() == MAX_SAMPLES {
            queue.pop_front();
        }
        queue.push_back(usage);
    }

    /// Takes all samples of a source, oldest first.
    pub fn take(&self, source: SourceIndex, into: &mut VecDeque<Usage>) {
        if let Some(queue) = self.sources.get(source.0) {
            into.append(&mut queue.lock().unwrap_or_else(PoisonError::into_inner));
        }
        while into.len() > MAX_SAMPLES {
            into.pop_front();
        }
    }
}
