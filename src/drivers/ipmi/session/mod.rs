//! One session with one BMC, without I/O: datagrams, time-outs and requests go in; datagrams to send, replies and
//! faults come out. Who drives it is in `link`.
//!
//! Invariants, each under test: a reply counts only if its integrity code is right, its sequence number was never seen
//! and is newer than the request, and network function, command and request number match; a retransmission bears a
//! fresh session sequence number; nothing weaker than what is allowed is ever agreed to.

use std::collections::VecDeque;
use std::sync::Arc;

use super::authcode::Authentication;
use super::crypto::{Exchange, Suite};
use super::privilege::Need;
use super::wire::legacy::{self as v15, Capabilities};
use super::wire::message::{Integrity, Reply, Request};
use super::wire::packet::{self, Datagram, Sealed};
use super::wire::setup::Status;
use super::{Level, Login, Random};

mod leaving;
mod legacy;
#[cfg(test)]
mod legacy_tests;
mod live;
mod opening;
mod suites;
mod terms;
#[cfg(test)]
mod tests;
mod window;

use leaving::Leaving;
use legacy::Activation;
use live::{Live, Pending, Plus};
use suites::Offer;
pub use terms::{Protection, Terms};

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
    /// Get Session Challenge of IPMI 1.5.
    Challenge,
    /// Activate Session of IPMI 1.5.
    Activation,
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
    /// It says that it speaks IPMI 1.5 only, with these, of which none is allowed.
    LegacyOnly(Vec<Authentication>),
    /// It refused to open a session of IPMI 1.5 with a completion code.
    Denied(Step, u8),
    /// It opened a session of IPMI 1.5 with something else than asked for.
    OtherTerms,
    /// It does not raise the session to this level, with a completion code.
    NotRaised(Level, u8),
    /// It lets a higher level only do this, which may be had.
    Privilege(Need),
    /// Its RAKP 2 was not made with our password.
    Password,
    /// Its RAKP 4 was not made with our K_G.
    BmcKey,
    /// The system gives no random numbers.
    NoRandom,
    /// The kernel's IPMI device failed, and how.
    Interface(String),
}

impl Fault {
    /// Whether the BMC says that the user does not have the level that was asked for. With a lookup by level the user
    /// is then unknown to it.
    #[must_use]
    pub fn refuses_level(&self) -> bool {
        match self {
            Self::Refused(_, status) => {
                [Status::UNAUTHORISED_ROLE, Status::INVALID_ROLE, Status::UNAUTHORISED_NAME].contains(status)
            }
            Self::Denied(Step::Activation, code) => *code == 0x86,
            Self::NotRaised(..) => true,
            Self::Denied(..)
            | Self::Silence(_)
            | Self::NoSuite(_)
            | Self::OtherSuite
            | Self::LegacyOnly(_)
            | Self::OtherTerms
            | Self::Privilege(_)
            | Self::Password
            | Self::BmcKey
            | Self::NoRandom
            | Self::Interface(_) => false,
        }
    }
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

enum State {
    Idle,
    /// Whether it was asked for what IPMI 2.0 has to say.
    Greeting(Asked, bool),
    Suites(Asked, Offer),
    Challenge(Asked, Authentication),
    Activation(Activation),
    Opening {
        tag: u8,
        suite: Suite,
    },
    Rakp1 {
        tag: u8,
        suite: Suite,
        exchange: Exchange,
    },
    Rakp3 {
        tag: u8,
        exchange: Exchange,
        plus: Box<Plus>,
    },
    Ready {
        live: Live,
        pending: Option<Pending>,
    },
    Over,
}

/// The session.
pub struct Session {
    login: Arc<Login>,
    terms: Terms,
    random: Arc<dyn Random>,
    console: u32,
    /// What the BMC said of itself.
    capabilities: Option<Capabilities>,
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
    /// Where the BMC was silent last, so that the setup began anew.
    silent: Option<Step>,
    outbox: VecDeque<Vec<u8>>,
}

impl Session {
    /// A session with our id `console`, not 0, that nobody else on this socket uses. `terms` are what may be agreed to.
    #[must_use]
    pub fn new(login: Arc<Login>, terms: Terms, console: u32, random: Arc<dyn Random>) -> Self {
        Self {
            login,
            random,
            console,
            capabilities: None,
            candidates: terms.suites.iter().copied().collect(),
            terms,
            listed: false,
            state: State::Idle,
            leaving: None,
            tag: 0,
            seq: 0,
            tries: 0,
            silent: None,
            outbox: VecDeque::new(),
        }
    }

    /// The next datagram to send.
    pub fn transmit(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    /// How the session that is up is protected.
    #[must_use]
    pub fn protection(&self) -> Option<Protection> {
        match &self.state {
            State::Ready { live: Live::Plus { plus, .. }, .. } => Some(Protection::Suite(plus.keys.suite())),
            State::Ready { live: Live::Legacy(live), .. } => {
                let (how, per_message) = (live.cover.how, live.cover.per_message);
                Some(Protection::Legacy { how, per_message })
            }
            State::Idle
            | State::Greeting(..)
            | State::Suites(..)
            | State::Challenge(..)
            | State::Activation(_)
            | State::Opening { .. }
            | State::Rakp1 { .. }
            | State::Rakp3 { .. }
            | State::Over => None,
        }
    }

    /// Begins the setup.
    pub fn open(&mut self) {
        self.greet(true);
    }

    /// Asks what the BMC speaks. `extended`: as IPMI 2.0 asks it.
    fn greet(&mut self, extended: bool) {
        let asked = self.ask(v15::get_capabilities(extended, self.terms.level.id()));
        self.state = State::Greeting(asked, extended);
    }

    fn next_seq(&mut self) -> u8 {
        self.seq = self.seq.wrapping_add(1) & 0x3f;
        self.seq
    }

    /// Sends `request` in the session, and forgets the one before it. False if there is no session.
    pub fn request(&mut self, request: Request) -> bool {
        let seq = self.next_seq();
        let State::Ready { live, pending } = &mut self.state else { return false };
        let Some(datagram) = live.seal(&request.encode(seq), &self.login, self.random.as_ref()) else {
            return false;
        };
        self.outbox.clear();
        self.outbox.push_back(datagram);
        *pending = Some(Pending { request, seq, after: live.newest(), tries: 0 });
        true
    }

    /// A datagram from the BMC's address. What does not fit is ignored.
    pub fn datagram(&mut self, datagram: &[u8]) -> Event {
        let result = match Datagram::parse(datagram) {
            None => Ok(Event::Ignored),
            Some(Datagram::Sessionless(message)) => self.sessionless(message),
            Some(Datagram::Setup(kind, payload)) => self.setup(kind, payload),
            Some(Datagram::Sealed(sealed)) => Ok(self.sealed(&sealed)),
            Some(Datagram::Coded(coded)) => self.coded(&coded),
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
            let datagram = live.seal(&message, &self.login, self.random.as_ref()).ok_or(Fault::NoRandom)?;
            self.outbox.push_back(datagram);
            return Ok(Event::Progress);
        }
        let spent = self.tries >= retries;
        self.tries = self.tries.saturating_add(1);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Greeting(..) if spent => Err(Fault::Silence(Step::Greeting)),
            State::Greeting(asked, extended) => {
                self.outbox.push_back(packet::sessionless(&asked.request.encode(asked.seq)));
                self.state = State::Greeting(asked, extended);
                Ok(Event::Progress)
            }
            // Not every BMC lists its suites; what it does accept, Open Session tells.
            State::Suites(..) if spent => self.propose(),
            State::Suites(asked, offer) => {
                self.outbox.push_back(packet::sessionless(&asked.request.encode(asked.seq)));
                self.state = State::Suites(asked, offer);
                Ok(Event::Progress)
            }
            State::Challenge(..) if spent => Err(Fault::Silence(Step::Challenge)),
            State::Challenge(asked, how) => {
                self.outbox.push_back(packet::sessionless(&asked.request.encode(asked.seq)));
                self.state = State::Challenge(asked, how);
                Ok(Event::Progress)
            }
            State::Activation(_) if spent => Err(Fault::Silence(Step::Activation)),
            State::Activation(activation) => {
                self.activate_again(activation);
                Ok(Event::Progress)
            }
            // The BMC's state has moved on: a lost answer cannot be asked for again, only the whole setup.
            State::Opening { .. } => self.again(Step::Open, spent),
            State::Rakp1 { .. } => self.again(Step::Rakp1, spent),
            State::Rakp3 { plus, .. } => {
                self.leave(Live::from(plus));
                self.again(Step::Rakp3, spent)
            }
            other @ (State::Idle | State::Ready { .. } | State::Over) => {
                self.state = other;
                Ok(Event::Ignored)
            }
        }
    }

    /// The setup once more, after silence at `step`, or its end.
    fn again(&mut self, step: Step, spent: bool) -> Result<Event, Fault> {
        self.silent = Some(step);
        match self.silence() {
            Some(fault) if spent => Err(fault),
            Some(_) | None => self.reopen(),
        }
    }

    /// What the BMC was silent about, where the setup began anew for it.
    #[must_use]
    pub fn silence(&self) -> Option<Fault> {
        match (self.silent?, self.capabilities) {
            (Step::Open, Some(said)) if !said.plus => Some(Fault::LegacyOnly(said.accepted())),
            (step, _) => Some(Fault::Silence(step)),
        }
    }

    /// Whether the BMC said that it has nothing of IPMI 2.0.
    #[must_use]
    pub fn denies_plus(&self) -> bool {
        self.capabilities.is_some_and(|said| !said.plus)
    }

    fn fail(&mut self, fault: Fault) -> Event {
        self.farewell();
        Event::Failed(fault)
    }

    fn sealed(&mut self, sealed: &Sealed<'_>) -> Event {
        let State::Ready { live: Live::Plus { plus, window, .. }, pending } = &mut self.state else {
            return Event::Ignored;
        };
        if sealed.session != self.console {
            return Event::Ignored;
        }
        // First the integrity code: a forged sequence number must not move the window.
        let Some(message) = sealed.open(&plus.keys) else { return Event::Ignored };
        if !window.accept(sealed.sequence) {
            return Event::Ignored;
        }
        Pending::answer(pending, &message, Integrity::Sealed, sealed.sequence)
    }
}
