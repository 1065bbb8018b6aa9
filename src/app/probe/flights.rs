//! Who waits for which flight. The last who leaves ends it; one that has landed is off the list.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::exposition::probe::Probed;
use crate::http::Refusal;
use crate::model::Host;

/// What came of a flight, for all who wait.
pub(super) type Outcome = Result<Arc<Probed>, Refusal>;
/// Module, host and port.
pub(super) type Key = (String, Host, u16);

/// A flight as those see it who want to join.
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) waiting: usize,
    pub(super) outcome: watch::Receiver<Option<Outcome>>,
    pub(super) cancel: CancellationToken,
}

/// The flights under way.
pub(super) type Flights = Arc<Mutex<HashMap<Key, Flight>>>;

/// What a panic left behind is whole: each change is a single step.
pub(super) fn lock(flights: &Flights) -> MutexGuard<'_, HashMap<Key, Flight>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place on a flight. The last to give it back cancels the flight.
pub(super) struct Ticket {
    pub(super) flights: Flights,
    pub(super) key: Key,
    pub(super) number: u64,
    pub(super) outcome: watch::Receiver<Option<Outcome>>,
}

impl Ticket {
    /// Waits for what comes of the flight.
    pub(super) async fn outcome(&mut self) -> Outcome {
        let told = self.outcome.wait_for(Option::is_some).await;
        told.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(Refusal::Broken))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        let Some(flight) = flights.get_mut(&self.key).filter(|flight| flight.number == self.number) else {
            return;
        };
        flight.waiting = flight.waiting.saturating_sub(1);
        if flight.waiting == 0 {
            flight.cancel.cancel();
            // Who asks now gets a flight of its own, not the end of this one.
            flights.remove(&self.key);
        }
    }
}

/// Takes a flight off the list when it lands, however it does.
pub(super) struct Landing {
    pub(super) flights: Flights,
    pub(super) key: Key,
    pub(super) number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        if flights.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            flights.remove(&self.key);
        }
    }
}
