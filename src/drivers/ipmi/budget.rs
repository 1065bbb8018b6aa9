//! How much of a BMC's session table may be ours: one session in use, and never more than two places in all. Counted are
//! also those places that the BMC may hold without us: a handshake that was given up half-way, a session whose
//! farewell was not answered. Such a place is ours until the BMC's own time-out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::model::{Clock, ErrorKind, Moment, PollError};

/// Places in a BMC's table that may be ours at any time: the session in use, and one that the BMC has not let go of.
/// IPMI asks for a table of four at least (v1.5 section 6.11.14).
const PLACES: usize = 2;
/// After this a BMC has dropped what was silent: 60 s, give or take 3 (IPMI v2.0 section 6.12.15).
const DROPPED: Duration = Duration::from_secs(64);

/// What those who share a BMC tell each other.
#[derive(Default)]
struct News {
    /// Packets of the BMC in any of our sessions, handshakes included.
    heard: AtomicU64,
    /// A place is needed: who is closing a session is to hurry.
    needed: Notify,
    /// A place is free.
    freed: Notify,
}

/// Places at one BMC.
#[derive(Default)]
struct Peer {
    /// Whether a session is in use or being opened.
    used: bool,
    /// Sessions that are being closed.
    leaving: usize,
    /// When the BMC will have dropped what it holds without us.
    dangling: Vec<Moment>,
    news: Arc<News>,
}

impl Peer {
    fn taken(&mut self, now: Moment) -> usize {
        self.dangling.retain(|until| *until > now);
        self.leaving + self.dangling.len()
    }
}

/// All BMCs.
pub struct Budget {
    clock: Arc<dyn Clock>,
    peers: Arc<Mutex<HashMap<SocketAddr, Peer>>>,
}

fn lock(peers: &Mutex<HashMap<SocketAddr, Peer>>) -> MutexGuard<'_, HashMap<SocketAddr, Peer>> {
    peers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Budget {
    /// Nothing is taken yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, peers: Arc::default() }
    }

    /// The right to open a session with `peer`.
    ///
    /// # Errors
    /// `Busy` if another session with it is in use. Whether there is a place for it, [`Place::ask`] tells.
    pub fn enter(&self, peer: SocketAddr) -> Result<Place, PollError> {
        let mut peers = lock(&self.peers);
        let at = peers.entry(peer).or_default();
        if std::mem::replace(&mut at.used, true) {
            return Err(PollError::new(
                ErrorKind::Busy,
                format!("this program already holds a session with {peer}"),
                "read a BMC by one meter only; another name of it is the same BMC",
            ));
        }
        let news = Arc::clone(&at.news);
        let (clock, peers) = (Arc::clone(&self.clock), Arc::clone(&self.peers));
        Ok(Place { clock, peers, peer, news, used: true, owed: false })
    }
}

/// A place in a BMC's session table, ours until dropped, and then until the BMC has let go of it.
pub struct Place {
    clock: Arc<dyn Clock>,
    peers: Arc<Mutex<HashMap<SocketAddr, Peer>>>,
    peer: SocketAddr,
    news: Arc<News>,
    used: bool,
    /// Whether the BMC may hold a place for this.
    owed: bool,
}

impl Place {
    fn at<T>(&self, change: impl FnOnce(&mut Peer, Moment) -> T) -> T {
        let now = self.clock.now();
        change(lock(&self.peers).entry(self.peer).or_default(), now)
    }

    /// A session is about to be asked for. `lost`: the one asked for before was not answered to the end, so that the BMC may
    /// hold it still.
    ///
    /// # Errors
    /// `Busy` if the BMC may hold as many of ours as it is to hold; nothing may be sent then.
    pub fn ask(&mut self, lost: bool) -> Result<(), PollError> {
        let dangles = std::mem::replace(&mut self.owed, false) && lost;
        let wait = self.at(|peer, now| {
            if dangles {
                peer.dangling.push(now + DROPPED);
            }
            let free = peer.taken(now) < PLACES;
            let first = peer.dangling.iter().min().map_or(Duration::ZERO, |until| until.since(now));
            (!free).then_some(first)
        });
        if let Some(wait) = wait {
            return Err(PollError::new(
                ErrorKind::Busy,
                format!("the BMC may still hold {PLACES} sessions of ours that broke off"),
                format!(
                    "nothing to do: it drops them by itself, and a new one is asked for in {} s; if it stays, look for lost packets",
                    wait.as_secs() + 1
                ),
            ));
        }
        self.owed = true;
        Ok(())
    }

    /// The BMC refused to open a session, or has closed it, or is gone and with it all that it held.
    pub const fn given_back(&mut self) {
        self.owed = false;
    }

    /// The session is not used any more, only closed: another one may be opened.
    pub fn leave(&mut self) {
        if std::mem::replace(&mut self.used, false) {
            self.at(|peer, _| {
                peer.used = false;
                peer.leaving += 1;
            });
        }
    }

    /// As [`Place::ask`], but where there is no place, those who are closing sessions are told to hurry, and waited for.
    ///
    /// # Errors
    /// `Busy` if there is none after `patience`.
    pub async fn ask_in_time(&mut self, lost: bool, patience: Duration) -> Result<(), PollError> {
        let mut refused = match self.ask(lost) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let news = Arc::clone(&self.news);
        news.needed.notify_waiters();
        let wait = async {
            loop {
                news.freed.notified().await;
                match self.ask(false) {
                    Ok(()) => return,
                    Err(error) => refused = error,
                }
            }
        };
        timeout(patience, wait).await.map_err(|_| refused)
    }

    /// A packet of the BMC came.
    pub fn hear(&self) {
        self.news.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// How many packets came in any of our sessions with the BMC.
    pub fn heard(&self) -> u64 {
        self.news.heard.load(Ordering::Relaxed)
    }

    /// Waits until the place is needed for another session.
    pub fn needed(&self) -> impl Future<Output = ()> + use<> {
        let news = Arc::clone(&self.news);
        async move { news.needed.notified().await }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut peers = lock(&self.peers);
        let peer = peers.entry(self.peer).or_default();
        if self.used {
            peer.used = false;
        } else {
            peer.leaving = peer.leaving.saturating_sub(1);
        }
        if self.owed {
            peer.dangling.push(now + DROPPED);
        }
        self.news.freed.notify_one();
        if !peer.used && peer.taken(now) == 0 {
            peers.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;

    fn budget() -> (Budget, Arc<ManualClock>, SocketAddr) {
        let clock = Arc::new(ManualClock::at(Moment::ZERO));
        let as_clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        (Budget::new(as_clock), clock, "10.0.0.1:623".parse().unwrap())
    }

    #[test]
    fn one_session_is_in_use_at_a_time() {
        let (budget, _, bmc) = budget();
        let place = budget.enter(bmc).unwrap();
        assert_eq!(budget.enter(bmc).err().unwrap().kind, ErrorKind::Busy);
        assert!(budget.enter("10.0.0.2:623".parse().unwrap()).is_ok(), "another BMC");
        drop(place);
        assert!(budget.enter(bmc).is_ok());
    }

    #[test]
    fn what_the_bmc_may_hold_is_counted_until_it_drops_it() {
        let (budget, clock, bmc) = budget();
        let mut place = budget.enter(bmc).unwrap();
        assert!(place.ask(false).is_ok());
        assert!(place.ask(true).is_ok(), "one lost, one more");
        assert_eq!(place.ask(true).unwrap_err().kind, ErrorKind::Busy, "two lost");
        drop(place);
        let mut place = budget.enter(bmc).unwrap();
        assert!(place.ask(false).is_err(), "still");
        clock.advance(DROPPED);
        assert!(place.ask(false).is_ok());
    }

    #[test]
    fn a_session_that_is_being_closed_takes_a_place_beside_the_new_one() {
        let (budget, _, bmc) = budget();
        let mut old = budget.enter(bmc).unwrap();
        old.ask(false).unwrap();
        old.leave();
        let mut new = budget.enter(bmc).unwrap();
        assert!(new.ask(false).is_ok());
        assert!(new.ask(true).is_err(), "old, lost and another");
        old.given_back();
        drop(old);
        assert!(new.ask(false).is_ok());
    }

    #[test]
    fn a_refusal_takes_no_place_and_a_bmc_without_places_is_forgotten() {
        let (budget, _, bmc) = budget();
        let mut place = budget.enter(bmc).unwrap();
        for _ in 0..10 {
            place.ask(false).unwrap();
            place.given_back();
        }
        drop(place);
        assert!(lock(&budget.peers).is_empty());
    }
}
