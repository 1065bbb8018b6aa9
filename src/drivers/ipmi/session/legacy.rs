//! Sessions of IPMI 1.5: how one is opened, and what counts as a packet of it. IPMI v1.5 sections 6.11 and 12.9.
//!
//! The session id is the BMC's choice, so an id may come again, and an MD5 code says only who made a packet, not for
//! which of two sessions with the same id. What tells them apart is the sequence number: it starts at a random number of
//! ours, and only a packet within 8 of the newest counts.

use super::leaving::CLOSE_SESSION;
use super::window::Window;
use super::{APPLICATION, Event, Fault, Live, Pending, Session, State, Step};
use crate::drivers::ipmi::Login;
use crate::drivers::ipmi::authcode::Authentication;
use crate::drivers::ipmi::wire::legacy::{self, Activated, Capabilities, Challenge};
use crate::drivers::ipmi::wire::message::{Integrity, Reply, Request};
use crate::drivers::ipmi::wire::packet::{self, Coded};

/// How far ahead of the newest number a packet may be, and how far behind. IPMI v1.5 section 6.11.11.
const WINDOW: u32 = 8;

/// Activate Session on its way.
pub struct Activation {
    request: Request,
    seq: u8,
    how: Authentication,
    temporary: u32,
    /// The number that the BMC shall begin with.
    outbound: u32,
    /// How often it was sent again. A BMC may open one session for each.
    again: u32,
}

impl Activation {
    fn datagram(&self, login: &Login) -> Vec<u8> {
        // Number 0: the session has not begun.
        let how = Some((self.how, login.password()));
        packet::coded(how, self.temporary, 0, &self.request.encode(self.seq))
    }

    /// The reply in `packet`, if it is the answer to this and from who knows the password.
    fn answer(&self, packet: &Coded<'_>, said: Option<Capabilities>, login: &Login) -> Option<Reply> {
        let cover = Cover { how: self.how, per_message: said.is_some_and(|said| said.per_message) };
        let reply = Reply::decode(packet.message, Integrity::Checksums)?;
        // It bears the temporary id or already the new one.
        let new = Activated::parse(&reply.data).map(|activated| activated.session);
        let ours = packet.session == self.temporary || Some(packet.session) == new;
        let answers = ours && self.request.is_answered_by(&reply, self.seq);
        (answers && cover.admits(packet, login.password())).then_some(reply)
    }
}

/// A session that is up.
pub struct Legacy {
    pub cover: Cover,
    pub session: u32,
    /// Number of our last packet.
    pub sent: u32,
    pub window: Window,
    /// How it was opened.
    activation: Activation,
}

impl Legacy {
    /// The reply in `packet`, if it is one of this session.
    pub fn reply(&mut self, packet: &Coded<'_>, login: &Login) -> Option<Reply> {
        let ours = packet.session == self.session && self.cover.admits(packet, login.password());
        (ours && self.window.accept(packet.sequence))
            .then(|| Reply::decode(packet.message, self.cover.integrity(packet)))?
    }
}

/// How the packets of a session that is up are covered.
#[derive(Debug, Clone, Copy)]
pub struct Cover {
    /// How the BMC let us in.
    pub how: Authentication,
    /// Whether each packet bears a code; where not, the BMC said so in a packet that did.
    pub per_message: bool,
}

impl Cover {
    /// Whether `packet` may be from the BMC.
    fn admits(self, packet: &Coded<'_>, password: &[u8]) -> bool {
        match packet.code {
            None => !self.per_message,
            // A code that nobody asked for must be right all the same.
            Some(_) => packet.is_by(self.how, password),
        }
    }

    /// Who vouches that a packet's message is whole.
    fn integrity(self, packet: &Coded<'_>) -> Integrity {
        if packet.code.is_some() && self.how.covers_message() {
            Integrity::Sealed
        } else {
            Integrity::Checksums
        }
    }

    /// A packet to the BMC.
    pub fn seal(self, login: &Login, session: u32, sequence: u32, message: &[u8]) -> Vec<u8> {
        let how = self.per_message.then(|| (self.how, login.password()));
        packet::coded(how, session, sequence, message)
    }
}

impl Session {
    /// The best authentication of IPMI 1.5 that is allowed and that the BMC says it accepts.
    fn legacy(&self) -> Option<Authentication> {
        let capabilities = self.capabilities?;
        self.terms.legacy.iter().copied().find(|how| capabilities.accepts(*how))
    }

    /// The BMC has nothing of IPMI 2.0 for us, for the reason `fault`: IPMI 1.5, where that is allowed.
    pub(super) fn without_plus(&mut self, fault: Fault) -> Result<Event, Fault> {
        let how = self.legacy().ok_or(fault)?;
        let asked = self.ask(legacy::get_challenge(how, self.login.user.as_bytes()));
        self.state = State::Challenge(asked, how);
        Ok(Event::Progress)
    }

    /// The first answer of the BMC. Its flags are wrong on many: that it speaks IPMI 2.0 is found out by trying,
    /// unless it denies it and something else is allowed.
    pub(super) fn greeted(&mut self, reply: &Reply, extended: bool) -> Result<Event, Fault> {
        self.capabilities = (reply.code == 0).then(|| Capabilities::parse(&reply.data)).flatten();
        match self.capabilities {
            // A BMC of IPMI 1.5 may not understand the question as v2.0 asks it.
            None if extended && !self.terms.legacy.is_empty() => {
                self.greet(false);
                Ok(Event::Progress)
            }
            Some(said) if !said.plus && self.legacy().is_some() => {
                self.without_plus(Fault::LegacyOnly(said.accepted()))
            }
            Some(said) if !said.plus => self.propose(),
            Some(_) | None => self.ask_suites(),
        }
    }

    pub(super) fn challenged(&mut self, reply: &Reply, how: Authentication) -> Result<Event, Fault> {
        if reply.code != 0 {
            return Err(Fault::Denied(Step::Challenge, reply.code));
        }
        let challenge = Challenge::parse(&reply.data).ok_or(Fault::OtherTerms)?;
        let mut random = [0; 4];
        if !self.random.fill(&mut random) {
            return Err(Fault::NoRandom);
        }
        let outbound = u32::from_le_bytes(random).max(1);
        let request = legacy::activate(how, self.terms.level.id(), &challenge, outbound);
        let seq = self.next_seq();
        let activation = Activation { request, seq, how, temporary: challenge.temporary, outbound, again: 0 };
        self.tries = 0;
        self.outbox.push_back(activation.datagram(&self.login));
        self.state = State::Activation(activation);
        Ok(Event::Progress)
    }

    /// The same once more: another challenge would surely make a second session of it.
    pub(super) fn activate_again(&mut self, mut activation: Activation) {
        activation.again = activation.again.saturating_add(1);
        self.outbox.push_back(activation.datagram(&self.login));
        self.state = State::Activation(activation);
    }

    /// A packet of a v1.5 session, or the answer to Activate Session.
    pub(super) fn coded(&mut self, packet: &Coded<'_>) -> Result<Event, Fault> {
        match &mut self.state {
            State::Activation(activation) => {
                let answer = activation.answer(packet, self.capabilities, &self.login);
                answer.map_or(Ok(Event::Ignored), |reply| self.activated(&reply))
            }
            State::Ready { live: Live::Legacy(live), pending } => {
                if packet.session != live.session {
                    return Ok(self.stray(packet));
                }
                if !live.cover.admits(packet, self.login.password()) || !live.window.accept(packet.sequence) {
                    return Ok(Event::Ignored);
                }
                let integrity = live.cover.integrity(packet);
                Ok(Pending::answer(pending, packet.message, integrity, packet.sequence))
            }
            State::Idle
            | State::Greeting(..)
            | State::Suites(..)
            | State::Challenge(..)
            | State::Opening { .. }
            | State::Rakp1 { .. }
            | State::Rakp3 { .. }
            | State::Ready { live: Live::Plus { .. }, .. }
            | State::Over => Ok(Event::Ignored),
        }
    }

    /// Another answer to Activate Session, which was sent again: the session that nobody uses is closed.
    fn stray(&mut self, packet: &Coded<'_>) -> Event {
        let State::Ready { live: Live::Legacy(live), .. } = &mut self.state else { return Event::Ignored };
        let activation = &mut live.activation;
        let answer = activation.answer(packet, self.capabilities, &self.login);
        let opened = answer.filter(|reply| reply.code == 0 && activation.again > 0);
        let opened = opened.and_then(|reply| Activated::parse(&reply.data));
        let Some(opened) = opened.filter(|opened| opened.session != live.session) else {
            return Event::Ignored;
        };
        activation.again -= 1;
        let close = Request::new(APPLICATION, CLOSE_SESSION, opened.session.to_le_bytes());
        let close = close.encode(activation.seq);
        self.outbox.push_back(live.cover.seal(&self.login, opened.session, opened.inbound, &close));
        Event::Progress
    }

    /// A BMC that cannot make a code yet may refuse Activate Session without one: only a refusal counts.
    pub(super) fn activation_refused(&mut self, message: &[u8]) -> Result<Event, Fault> {
        let State::Activation(activation) = &self.state else { return Ok(Event::Ignored) };
        match Reply::decode(message, Integrity::Checksums) {
            Some(reply) if reply.code != 0 && activation.request.is_answered_by(&reply, activation.seq) => {
                Err(Fault::Denied(Step::Activation, reply.code))
            }
            Some(_) | None => Ok(Event::Ignored),
        }
    }

    fn activated(&mut self, reply: &Reply) -> Result<Event, Fault> {
        if reply.code != 0 {
            return Err(Fault::Denied(Step::Activation, reply.code));
        }
        let activated = Activated::parse(&reply.data).ok_or(Fault::OtherTerms)?;
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Activation(activation) => {
                let per_message = match activated.authentication {
                    0 => false,
                    id if id == activation.how.id() => true,
                    _ => return Err(Fault::OtherTerms),
                };
                let live = Legacy {
                    cover: Cover { how: activation.how, per_message },
                    session: activated.session,
                    // Counted up before each packet.
                    sent: activated.inbound.wrapping_sub(1),
                    window: Window::starting_at(activation.outbound, WINDOW),
                    activation,
                };
                State::Ready { live: Live::Legacy(Box::new(live)), pending: None }
            }
            other => other,
        };
        Ok(Event::Ready)
    }
}
