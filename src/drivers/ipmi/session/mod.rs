//! One session with one BMC, without I/O: datagrams, time-outs and requests go in; datagrams to send, replies and
//! faults come out. Who drives it is in `link`.
//!
//! Invariants, each under test: a reply counts only if its integrity code is right, its sequence number was never seen
//! and is newer than the request, and network function, command and request number match; a retransmission bears a
//! fresh session sequence number; nothing weaker than the allowed cipher suites is ever agreed to.

use std::collections::VecDeque;
use std::sync::Arc;

use super::crypto::{Exchange, Keys, Suite};
use super::wire::message::{Reply, Request};
use super::wire::packet::{self, Datagram, Sealed};
use super::wire::setup::Status;
use super::{Login, Random};

mod leaving;
mod opening;
mod suites;
#[cfg(test)]
mod tests;
mod window;

use leaving::Leaving;
use suites::Offer;
use window::Window;

/// Role byte of RAKP 1: look the user up by name only, as all tools do.
const NAME_ONLY: u8 = 0x10;
/// This channel.
const CHANNEL: u8 = 0x0e;
const APPLICATION: u8 = 0x06;

/// Where in the setup something happened, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Get Channel Authentication Capabilities: the first thing that is asked.
    Greeting,
    /// Open Session.
    Open,
    /// RAKP 1 and 2.
    Rakp1,
    /// RAKP 3 and 4.
    Rakp3,
    /// A command in the session.
    Command,
}

/// Why there is no session or no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing came, however often it was sent.
    Silence(Step),
    /// The BMC refused with a status.
    Refused(Step, Status),
    /// It offers none of the allowed cipher suites, but these.
    NoSuite(Vec<u8>),
    /// It answered with other algorithms than proposed.
    OtherSuite,
    /// Its RAKP 2 was not made with our password.
    Password,
    /// Its RAKP 4 was not made with our K_G.
    BmcKey,
    /// The system gives no random numbers.
    NoRandom,
    /// The kernel's IPMI device failed, and how.
    Interface(String),
}

/// What came of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing of ours; the timer goes on.
    Ignored,
    /// Something is to be sent; the timer starts anew.
    Progress,
    /// The session is up.
    Ready,
    /// The reply to the request.
    Reply(Reply),
    /// It is over.
    Failed(Fault),
}

/// A message outside of the session, sent again until it is answered.
struct Asked {
    request: Request,
    seq: u8,
}

/// A request in the session.
struct Pending {
    request: Request,
    seq: u8,
    /// The BMC's newest sequence number when it was first sent: the reply's is newer.
    after: u32,
    tries: u32,
}

/// A session that is up, or that the BMC may take for up.
struct Live {
    keys: Keys,
    managed: u32,
    sent: u32,
    window: Window,
}

enum State {
    Idle,
    Greeting(Asked),
    Suites(Asked, Offer),
    Opening { tag: u8, suite: Suite },
    Rakp1 { tag: u8, suite: Suite, exchange: Exchange },
    Rakp3 { tag: u8, exchange: Exchange, live: Live },
    Ready { live: Live, pending: Option<Pending> },
    Over,
}

/// The session.
pub struct Session {
    login: Arc<Login>,
    random: Arc<dyn Random>,
    console: u32,
    /// Suites to propose, best first; those before were refused.
    candidates: VecDeque<Suite>,
    /// Whether the BMC itself listed the candidates.
    listed: bool,
    state: State,
    /// What the BMC is to close, once there was a farewell.
    leaving: Option<Leaving>,
    tag: u8,
    seq: u8,
    tries: u32,
    outbox: VecDeque<Vec<u8>>,
}

impl Session {
    /// A session with our id `console`, not 0, that nobody else on this socket uses. `allowed` are the cipher suites
    /// that may be agreed to, best first.
    #[must_use]
    pub fn new(login: Arc<Login>, allowed: &[Suite], console: u32, random: Arc<dyn Random>) -> Self {
        Self {
            login,
            random,
            console,
            candidates: allowed.iter().copied().collect(),
            listed: false,
            state: State::Idle,
            leaving: None,
            tag: 0,
            seq: 0,
            tries: 0,
            outbox: VecDeque::new(),
        }
    }

    /// The next datagram to send.
    pub fn transmit(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    /// The suite of the session that is up.
    #[must_use]
    pub fn suite(&self) -> Option<Suite> {
        match &self.state {
            State::Ready { live, .. } => Some(live.keys.suite()),
            State::Idle
            | State::Greeting(_)
            | State::Suites(..)
            | State::Opening { .. }
            | State::Rakp1 { .. }
            | State::Rakp3 { .. }
            | State::Over => None,
        }
    }

    /// Begins the setup.
    pub fn open(&mut self) {
        let data = [0x80 | CHANNEL, self.login.privilege.level()];
        let asked = self.ask(Request::new(APPLICATION, 0x38, data));
        self.state = State::Greeting(asked);
    }

    /// Sends `request` in the session, and forgets the one before it. False if there is no session.
    pub fn request(&mut self, request: Request) -> bool {
        self.seq = self.seq.wrapping_add(1) & 0x3f;
        let seq = self.seq;
        let State::Ready { live, pending } = &mut self.state else { return false };
        let Some(datagram) = live.seal(&request.encode(seq), self.random.as_ref()) else { return false };
        self.outbox.clear();
        self.outbox.push_back(datagram);
        *pending = Some(Pending { request, seq, after: live.window.newest(), tries: 0 });
        true
    }

    /// A datagram from the BMC's address. What does not fit is ignored.
    pub fn datagram(&mut self, datagram: &[u8]) -> Event {
        let result = match Datagram::parse(datagram) {
            None => Ok(Event::Ignored),
            Some(Datagram::Sessionless(message)) => self.sessionless(message),
            Some(Datagram::Setup(kind, payload)) => self.setup(kind, payload),
            Some(Datagram::Sealed(sealed)) => Ok(self.sealed(&sealed)),
        };
        result.unwrap_or_else(|fault| self.fail(fault))
    }

    /// Nothing came within the time of one try. `retries`: how often it is sent again.
    pub fn timeout(&mut self, retries: u32) -> Event {
        self.tried_again(retries).unwrap_or_else(|fault| self.fail(fault))
    }

    fn tried_again(&mut self, retries: u32) -> Result<Event, Fault> {
        if let State::Ready { live, pending } = &mut self.state {
            let Some(pending) = pending else { return Ok(Event::Ignored) };
            if pending.tries >= retries {
                return Err(Fault::Silence(Step::Command));
            }
            pending.tries += 1;
            // The same request number, but a new packet: the BMC drops a sequence number that it has seen.
            let message = pending.request.encode(pending.seq);
            let datagram = live.seal(&message, self.random.as_ref()).ok_or(Fault::NoRandom)?;
            self.outbox.push_back(datagram);
            return Ok(Event::Progress);
        }
        let spent = self.tries >= retries;
        self.tries = self.tries.saturating_add(1);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Greeting(_) if spent => Err(Fault::Silence(Step::Greeting)),
            State::Greeting(asked) => {
                self.outbox.push_back(packet::sessionless(&asked.request.encode(asked.seq)));
                self.state = State::Greeting(asked);
                Ok(Event::Progress)
            }
            // Not every BMC lists its suites; what it does accept, Open Session tells.
            State::Suites(..) if spent => self.propose(),
            State::Suites(asked, offer) => {
                self.outbox.push_back(packet::sessionless(&asked.request.encode(asked.seq)));
                self.state = State::Suites(asked, offer);
                Ok(Event::Progress)
            }
            State::Opening { .. } if spent => Err(Fault::Silence(Step::Open)),
            State::Rakp1 { .. } if spent => Err(Fault::Silence(Step::Rakp1)),
            // The BMC's state has moved on: a lost answer cannot be asked for again, only the whole setup.
            State::Opening { .. } | State::Rakp1 { .. } => self.reopen(),
            State::Rakp3 { live, .. } => {
                self.leave(live);
                if spent { Err(Fault::Silence(Step::Rakp3)) } else { self.reopen() }
            }
            other @ (State::Idle | State::Ready { .. } | State::Over) => {
                self.state = other;
                Ok(Event::Ignored)
            }
        }
    }

    fn fail(&mut self, fault: Fault) -> Event {
        self.farewell();
        Event::Failed(fault)
    }

    fn sealed(&mut self, sealed: &Sealed<'_>) -> Event {
        let State::Ready { live, pending } = &mut self.state else { return Event::Ignored };
        if sealed.session != self.console {
            return Event::Ignored;
        }
        // First the integrity code: a forged sequence number must not move the window.
        let Some(message) = sealed.open(&live.keys) else { return Event::Ignored };
        if !live.window.accept(sealed.sequence) {
            return Event::Ignored;
        }
        let answer = pending
            .as_ref()
            .filter(|asked| Window::newer(sealed.sequence, asked.after))
            .and_then(|asked| asked.request.answer(&message, asked.seq));
        match answer {
            Some(reply) => {
                *pending = None;
                Event::Reply(reply)
            }
            None => Event::Ignored,
        }
    }
}

impl Live {
    fn seal(&mut self, message: &[u8], random: &dyn Random) -> Option<Vec<u8>> {
        let mut iv = [0; 16];
        if !random.fill(&mut iv) {
            return None;
        }
        // 0 stands for "outside of a session" and is skipped.
        self.sent = self.sent.checked_add(1).unwrap_or(1);
        Some(packet::seal(&self.keys, self.managed, self.sent, message, iv))
    }
}
