//! Where the task that listens to a meter leaves what it heard, until a poll fetches it. Limited in size.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::telegram::Telegram;
use crate::model::{Batch, Clock, Earlier, Identity, Moment, PollError};

/// Twenty a second for five minutes; beyond, the oldest go.
const MAX_TELEGRAMS: usize = 6000;
/// What arrives while a poll hands over is dated behind it, since the store takes nothing from before it.
const HAND_OVER: Duration = Duration::from_millis(2);
/// Two telegrams never have one moment.
const APART: Duration = Duration::from_micros(1);

/// The place between the task and the polls.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Notify,
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    telegrams: VecDeque<(Moment, Telegram)>,
    /// Not yet handed over.
    identity: Option<Identity>,
    /// Why the task gave up, and whether no poll has been told yet.
    error: Option<(PollError, bool)>,
    /// Bytes since the last good telegram.
    bytes: usize,
    last: Option<Moment>,
    handed_over: Option<Moment>,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that bytes came, whatever they mean.
    pub(super) fn heard(&self, count: usize) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_add(count);
    }

    /// Bytes since the last good telegram.
    pub(super) fn bytes_since(&self) -> usize {
        self.state().bytes
    }

    /// Leaves telegrams that came together, the last one just now. `spacing` is how far apart the meter sends them, where that
    /// is known: an adapter hands several over at once.
    pub(super) fn give(&self, telegrams: Vec<Telegram>, clock: &dyn Clock, spacing: Option<Duration>) {
        if telegrams.is_empty() {
            return;
        }
        let now = clock.now();
        let mut state = self.state();
        let count = u32::try_from(telegrams.len()).unwrap_or(u32::MAX);
        for (behind, mut telegram) in (0..count).rev().zip(telegrams) {
            let sent = now.before(spacing.unwrap_or(APART).saturating_mul(behind));
            let sent = match (spacing, state.last) {
                (Some(spacing), Some(last)) => in_step(last + spacing, sent, spacing),
                (None, _) | (_, None) => sent,
            };
            let after = |earlier: Option<Moment>, by: Duration| earlier.map_or(sent, |earlier| earlier + by);
            let at = sent.max(after(state.last, APART)).max(after(state.handed_over, HAND_OVER));
            state.last = Some(at);
            if let Some(identity) = telegram.identity.take() {
                state.identity = Some(identity);
            }
            state.telegrams.push_back((at, telegram));
        }
        let surplus = state.telegrams.len().saturating_sub(MAX_TELEGRAMS);
        state.telegrams.drain(..surplus);
        state.bytes = 0;
        state.error = None;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Tells why there is nothing to leave.
    pub(super) fn fail(&self, error: PollError) {
        self.state().error = Some((error, true));
        self.changed.notify_waiters();
    }

    /// For the task: waits until a poll wants something.
    pub(super) async fn wait_for_poll(&self) {
        self.asked.notified().await;
    }

    /// For a poll: says that it wants something, and since when; what failed before is told only if nothing better comes.
    pub(super) fn ask(&self) {
        if let Some((_, fresh)) = &mut self.state().error {
            *fresh = false;
        }
        self.asked.notify_one();
    }

    /// Whether telegrams wait.
    pub(super) fn has_telegrams(&self) -> bool {
        !self.state().telegrams.is_empty()
    }

    /// Waits until a telegram comes after `begun`, or the task gives up.
    pub(super) async fn news(&self, begun: Moment) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state();
                let fresh = state.telegrams.back().is_some_and(|(at, _)| *at > begun);
                if fresh || state.error.as_ref().is_some_and(|(_, fresh)| *fresh) {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Hands over what has come: the last telegram as this poll's if it came after `begun`, all others with their own moments.
    /// None if nothing came.
    pub(super) fn take(&self, begun: Moment, clock: &dyn Clock) -> Option<Batch> {
        let mut state = self.state();
        let mut telegrams = std::mem::take(&mut state.telegrams);
        let readings = match telegrams.back() {
            Some((at, _)) if *at > begun => telegrams.pop_back().map(|(_, t)| t.readings).unwrap_or_default(),
            Some(_) => Vec::new(),
            None => return None,
        };
        let earlier = telegrams.into_iter().map(|(at, t)| Earlier { at, readings: t.readings }).collect();
        let identity = state.identity.take();
        state.handed_over = Some(clock.now());
        Some(Batch { earlier, readings, identity, ..Batch::default() })
    }

    /// What the task last gave up for.
    pub(super) fn error(&self) -> Option<PollError> {
        self.state().error.take().map(|(error, _)| error)
    }
}

/// When a meter that keeps a step sent what is `due` now and has `arrived`: adapters and schedulers only delay, by some time more
/// or less, so a little of the delay is believed, and more than one and a half steps are a gap.
fn in_step(due: Moment, arrived: Moment, step: Duration) -> Moment {
    let late = arrived.since(due);
    if late > step * 3 / 2 { arrived } else { arrived.min(due + late / 32) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::serial::telegram::{Readings, channel};
    use crate::model::{ManualClock, Quantity};

    fn telegram(watts: f64) -> Telegram {
        let mut readings = Readings::default();
        readings.measured(&channel("input").unwrap(), Quantity::Power, watts);
        Telegram { readings: readings.finish(), identity: None }
    }

    #[test]
    fn what_an_adapter_hands_over_at_once_is_dated_apart() {
        let clock = ManualClock::at(Moment::from_nanos(10_000_000_000));
        let inbox = Inbox::default();
        let spacing = Some(Duration::from_millis(50));
        inbox.give(vec![telegram(1.0), telegram(2.0), telegram(3.0)], &clock, spacing);
        let batch = inbox.take(Moment::from_nanos(9_990_000_000), &clock).unwrap();
        let moments: Vec<u64> = batch.earlier.iter().map(|e| e.at.nanos() / 1_000_000).collect();
        assert_eq!(moments, [9900, 9950]);
        assert_eq!(batch.readings.first().unwrap().measure.value(), 3.0);
        assert!(inbox.take(Moment::ZERO, &clock).is_none(), "nothing is handed over twice");
        // Right behind the hand-over: not lost, but dated behind it.
        inbox.give(vec![telegram(4.0)], &clock, spacing);
        let batch = inbox.take(clock.now() + Duration::from_secs(1), &clock).unwrap();
        assert_eq!(batch.earlier.first().unwrap().at, clock.now() + HAND_OVER);
        assert_eq!(batch.readings, []);
    }

    #[test]
    fn a_step_is_kept_through_delays_and_left_at_a_gap() {
        let (due, step) = (Moment::from_nanos(1_000_000_000), Duration::from_millis(50));
        let at =
            |arrived: u64| in_step(due, Moment::from_nanos(arrived * 1_000_000), step).nanos() / 1_000_000;
        assert_eq!((at(990), at(1000), at(1032), at(1064), at(1200)), (990, 1000, 1001, 1002, 1200));
    }

    #[test]
    fn nobody_fetches_and_memory_does_not_grow() {
        let clock = ManualClock::default();
        let inbox = Inbox::default();
        for _ in 0..MAX_TELEGRAMS + 10 {
            clock.advance(Duration::from_millis(50));
            inbox.give(vec![telegram(1.0)], &clock, None);
        }
        assert_eq!(inbox.state().telegrams.len(), MAX_TELEGRAMS);
    }
}
