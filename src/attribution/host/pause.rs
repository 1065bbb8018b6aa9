//! A host whose monitoring is switched off: its energy is not settled and its time is not missed, its counters stand. What
//! was drawn before is still settled as soon as it is known: to the last sample of its hypervisor, or, on a host without one,
//! to the moment.

use super::HostAccount;
use crate::attribution::books::Books;
use crate::attribution::workload::WorkloadAccount;
use crate::model::Moment;
use crate::store::Store;

/// From when on a host is switched off, and until when, once it is switched on again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) from: Moment,
    pub(super) until: Option<Moment>,
}

impl HostAccount {
    /// Whether it is watched.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.pause.is_none_or(|pause| pause.until.is_some())
    }

    /// Switches it off or on at `now`. One that is switched off again before its last pause was settled is taken to have
    /// been off all the time.
    pub(in crate::attribution) const fn set_enabled(&mut self, enabled: bool, now: Moment) {
        match (&mut self.pause, enabled) {
            (None, false) => self.pause = Some(Pause { from: now, until: None }),
            (Some(pause), false) => pause.until = None,
            (Some(pause), true) if pause.until.is_none() => pause.until = Some(now),
            (Some(_) | None, true) => {}
        }
    }

    /// Settles what was drawn before the pause; true once it is over.
    pub(super) fn settle_paused(
        &mut self,
        pause: Pause,
        store: &Store,
        books: &mut Books,
        now: Moment,
    ) -> bool {
        let Pause { from, until } = pause;
        if let Some(before) = self.resumed.take() {
            self.unmeasured += from.since(before);
        }
        self.pending.retain(|s| s.at <= from || until.is_some_and(|until| s.at >= until));
        if let Some(settled) = self.settled {
            self.settle_samples(store, books, Some(from), now);
            let mut waits = self.pending.front().is_some_and(|s| s.at <= from);
            if self.source.is_none() {
                self.settle_without_usage(store, books, Some(from), now);
                let patience = self.supplies.iter().map(|s| self.silence(s.channels(), store)).max();
                waits =
                    self.settled.unwrap_or(settled) < from && now.since(from) <= patience.unwrap_or_default();
            }
            if waits {
                return false;
            }
            self.close();
        }
        self.pending.retain(|s| s.at > from);
        let Some(until) = until else {
            self.forget_before(now, store);
            return false;
        };
        self.pause = None;
        self.opened = until;
        true
    }

    /// Ends the account's time; it opens again at the next sample.
    pub(super) fn close(&mut self) {
        self.stood = self.settled.take().or(self.stood);
        self.ahead.clear();
        self.guests.iter_mut().for_each(WorkloadAccount::unknown_power);
    }
}
