//! One session with one BMC, without I/O: datagrams, time-outs and requests go in; datagrams to send, replies and
//! faults come out. Who drives it is in `link`.
//!
//! Invariants, each under test: a reply counts only if its integrity code is right, its sequence number was never seen
//! and is newer than the request, and network function, command and request number match; a retransmission bears a
//! fresh session sequence number; nothing weaker than the allowed cipher suites is ever agreed to.

use std::collections::VecDeque;
use std::sync::Arc;

use super::crypto::{Exchange, Keys, Suite};
use super::wire::message::{Integrity, Reply, Request};
use super::wire::packet::{self, Datagram, Sealed, Setup};
use super::wire::setup::{self, Answer, OpenResponse, Rakp2, Status};
use super::{Login, Random};

mod suites;
#[cfg(test)]
mod tests;
mod window;

use suites::Offer;
use window::Window;

/// Role byte of RAKP 1: look the user up by name only, as all tools do.
const NAME_ONLY: u8 = 0x10;
/// This channel.
const CHANNEL: u8 = 0x0e;
const APPLICATION: u8 = 0x06;
const CLOSE_SESSION: u8 = 0x3c;

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

    /// Ends the session from our side: Close Session, to be sent without waiting for a reply. Also where the BMC may
    /// think that there is one, since RAKP 3 was sent.
    pub fn farewell(&mut self) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Ready { mut live, .. } | State::Rakp3 { mut live, .. } => self.say_farewell(&mut live),
            State::Idle
            | State::Greeting(_)
            | State::Suites(..)
            | State::Opening { .. }
            | State::Rakp1 { .. }
            | State::Over => {}
        }
    }

    fn say_farewell(&mut self, live: &mut Live) {
        let request = Request::new(APPLICATION, CLOSE_SESSION, live.managed.to_le_bytes());
        self.seq = self.seq.wrapping_add(1) & 0x3f;
        if let Some(datagram) = live.seal(&request.encode(self.seq), self.random.as_ref()) {
            self.outbox.push_back(datagram);
        }
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
            State::Rakp3 { mut live, .. } => {
                self.say_farewell(&mut live);
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

    fn ask(&mut self, request: Request) -> Asked {
        self.seq = self.seq.wrapping_add(1) & 0x3f;
        self.tries = 0;
        self.outbox.push_back(packet::sessionless(&request.encode(self.seq)));
        Asked { request, seq: self.seq }
    }

    fn sessionless(&mut self, message: &[u8]) -> Result<Event, Fault> {
        let (State::Greeting(asked) | State::Suites(asked, _)) = &self.state else {
            return Ok(Event::Ignored);
        };
        let Some(reply) = Reply::decode(message, Integrity::Checksums) else { return Ok(Event::Ignored) };
        if !asked.request.is_answered_by(&reply, asked.seq) {
            return Ok(Event::Ignored);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            // What the flags say is wrong on many BMCs: only that it answers counts.
            State::Greeting(_) => self.ask_suites(Offer::default()),
            State::Suites(_, mut offer) => {
                if reply.code == 0 && offer.append(&reply.data) {
                    return self.ask_suites(offer);
                }
                self.listed = reply.code == 0 && !offer.ids().is_empty();
                if self.listed {
                    let offered = offer.ids();
                    self.candidates.retain(|suite| offered.contains(&suite.id()));
                    if self.candidates.is_empty() {
                        return Err(Fault::NoSuite(offered));
                    }
                }
                self.propose()
            }
            other => {
                self.state = other;
                Ok(Event::Ignored)
            }
        }
    }

    fn ask_suites(&mut self, offer: Offer) -> Result<Event, Fault> {
        let asked = self.ask(Request::new(APPLICATION, 0x54, [CHANNEL, 0x00, 0x80 | offer.next_index()]));
        self.state = State::Suites(asked, offer);
        Ok(Event::Progress)
    }

    /// Open Session with the best suite that was not refused yet.
    fn propose(&mut self) -> Result<Event, Fault> {
        self.tries = 0;
        self.reopen()
    }

    fn reopen(&mut self) -> Result<Event, Fault> {
        let suite = *self.candidates.front().ok_or(Fault::NoSuite(Vec::new()))?;
        let tag = self.next_tag();
        let request = setup::open_request(tag, self.login.privilege.level(), self.console, suite);
        self.outbox.push_back(packet::setup(Setup::OpenRequest, &request));
        self.state = State::Opening { tag, suite };
        Ok(Event::Progress)
    }

    fn next_tag(&mut self) -> u8 {
        self.tag = self.tag.wrapping_add(1);
        self.tag
    }

    fn setup(&mut self, kind: Setup, payload: &[u8]) -> Result<Event, Fault> {
        match (&self.state, kind) {
            (State::Opening { tag, suite }, Setup::OpenResponse) => {
                let (tag, suite) = (*tag, *suite);
                OpenResponse::parse(payload, tag, self.console)
                    .map_or(Ok(Event::Ignored), |answer| self.opened(suite, answer))
            }
            (State::Rakp1 { tag, suite, exchange }, Setup::Rakp2) => {
                let (suite, exchange) = (*suite, exchange.clone());
                Rakp2::parse(payload, *tag, self.console, suite)
                    .map_or(Ok(Event::Ignored), |answer| self.exchanged(suite, exchange, answer))
            }
            (State::Rakp3 { tag, exchange, live }, Setup::Rakp4) => {
                match setup::rakp4(payload, *tag, self.console, live.keys.suite()) {
                    None => Ok(Event::Ignored),
                    Some(Answer::Refused(status)) => {
                        self.state = State::Over;
                        Err(Fault::Refused(Step::Rakp3, status))
                    }
                    Some(Answer::Good(code)) => {
                        let suite = live.keys.suite();
                        if !exchange.rakp4(&live.keys).is(&code, suite.code_len()) {
                            return Err(Fault::BmcKey);
                        }
                        self.ready();
                        Ok(Event::Ready)
                    }
                }
            }
            // Late, twice, or meant for someone else.
            (
                State::Idle
                | State::Greeting(_)
                | State::Suites(..)
                | State::Opening { .. }
                | State::Rakp1 { .. }
                | State::Rakp3 { .. }
                | State::Ready { .. }
                | State::Over,
                _,
            ) => Ok(Event::Ignored),
        }
    }

    fn ready(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Rakp3 { live, .. } => State::Ready { live, pending: None },
            other => other,
        };
    }

    fn opened(&mut self, suite: Suite, answer: Answer<OpenResponse>) -> Result<Event, Fault> {
        let response = match answer {
            Answer::Good(response) => response,
            Answer::Refused(status) => {
                // Without a list, some BMCs say that they have no room when they mean that they do not know the suite.
                let unknown = status == Status::NO_RESOURCES || status == Status::UNAUTHORISED_ROLE;
                if self.candidates.len() > 1 && (status.refuses_suite() || unknown && !self.listed) {
                    self.candidates.pop_front();
                    return self.propose();
                }
                return Err(Fault::Refused(Step::Open, status));
            }
        };
        if response.algorithms != suite.algorithms() {
            return Err(Fault::OtherSuite);
        }
        let mut console_random = [0; 16];
        if !self.random.fill(&mut console_random) {
            return Err(Fault::NoRandom);
        }
        let exchange = Exchange {
            console: self.console,
            managed: response.managed,
            console_random,
            managed_random: [0; 16],
            guid: [0; 16],
            role: NAME_ONLY | self.login.privilege.level(),
            user: self.login.user.as_bytes().to_vec(),
        };
        let tag = self.next_tag();
        let request = setup::rakp1(tag, exchange.managed, console_random, exchange.role, &exchange.user);
        self.outbox.push_back(packet::setup(Setup::Rakp1, &request));
        self.state = State::Rakp1 { tag, suite, exchange };
        Ok(Event::Progress)
    }

    fn exchanged(&mut self, suite: Suite, exchange: Exchange, answer: Answer<Rakp2>) -> Result<Event, Fault> {
        let rakp2 = match answer {
            Answer::Good(rakp2) => rakp2,
            Answer::Refused(status) => return Err(Fault::Refused(Step::Rakp1, status)),
        };
        let exchange = Exchange { managed_random: rakp2.random, guid: rakp2.guid, ..exchange };
        let password = self.login.password();
        if !exchange.rakp2(suite, password).is(&rakp2.code, suite.digest_len()) {
            return Err(Fault::Password);
        }
        let code = exchange.rakp3(suite, password);
        let keys = exchange.keys(suite, self.login.bmc_key().unwrap_or(password));
        let tag = self.next_tag();
        self.outbox.push_back(packet::setup(Setup::Rakp3, &setup::rakp3(tag, exchange.managed, &code)));
        let live = Live { keys, managed: exchange.managed, sent: 0, window: Window::default() };
        self.state = State::Rakp3 { tag, exchange, live };
        Ok(Event::Progress)
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
        let Some(reply) = Reply::decode(&message, Integrity::Sealed) else { return Event::Ignored };
        match pending {
            Some(asked)
                if asked.request.is_answered_by(&reply, asked.seq)
                    && Window::newer(sealed.sequence, asked.after) =>
            {
                *pending = None;
                Event::Reply(reply)
            }
            Some(_) | None => Event::Ignored,
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
