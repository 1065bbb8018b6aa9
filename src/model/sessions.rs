//! How many sessions are held open on devices of a kind: a count that each open session carries a share of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sessions open now. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct OpenSessions(Arc<AtomicU64>);

impl OpenSessions {
    /// One more, for as long as the answer lives.
    #[must_use]
    pub fn hold(&self) -> OpenSession {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenSession(Arc::clone(&self.0))
    }

    /// Sessions open now.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A session that is counted as open until this is dropped.
#[derive(Debug)]
pub struct OpenSession(Arc<AtomicU64>);

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_counts_as_long_as_it_is_held() {
        let sessions = OpenSessions::default();
        let (first, second) = (sessions.hold(), sessions.clone().hold());
        assert_eq!(sessions.count(), 2);
        drop(first);
        assert_eq!(sessions.count(), 1);
        drop(second);
        assert_eq!(sessions.count(), 0);
    }
}
