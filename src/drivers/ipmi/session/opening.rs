//! How a session is opened: greeting, list of cipher suites, Open Session, RAKP 1 to 4. IPMI v2.0 section 13.14.

use super::suites::Offer;
use super::{APPLICATION, Asked, CHANNEL, Event, Fault, Live, Plus, Session, State, Step};
use crate::drivers::ipmi::crypto::{Exchange, Suite};
use crate::drivers::ipmi::wire::message::{Integrity, Reply, Request};
use crate::drivers::ipmi::wire::packet::{self, Setup};
use crate::drivers::ipmi::wire::setup::{self, Answer, OpenResponse, Rakp2, Status};

impl Session {
    pub(super) fn ask(&mut self, request: Request) -> Asked {
        let seq = self.next_seq();
        self.tries = 0;
        self.outbox.push_back(packet::sessionless(&request.encode(seq)));
        Asked { request, seq }
    }

    pub(super) fn sessionless(&mut self, message: &[u8]) -> Result<Event, Fault> {
        let (State::Greeting(asked, _) | State::Suites(asked, _) | State::Challenge(asked, _)) = &self.state
        else {
            return self.activation_refused(message);
        };
        let Some(reply) = Reply::decode(message, Integrity::Checksums) else { return Ok(Event::Ignored) };
        if !asked.request.is_answered_by(&reply, asked.seq) {
            return Ok(Event::Ignored);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Greeting(_, extended) => self.greeted(&reply, extended),
            State::Challenge(_, how) => self.challenged(&reply, how),
            State::Suites(_, mut offer) => {
                if reply.code == 0 && offer.append(&reply.data) {
                    return self.ask_more_suites(offer);
                }
                self.listed = reply.code == 0 && !offer.ids().is_empty();
                if self.listed {
                    let offered = offer.ids();
                    self.candidates.retain(|suite| offered.contains(&suite.id()));
                    if self.candidates.is_empty() {
                        return self.without_plus(Fault::NoSuite(offered));
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

    pub(super) fn ask_suites(&mut self) -> Result<Event, Fault> {
        self.ask_more_suites(Offer::default())
    }

    fn ask_more_suites(&mut self, offer: Offer) -> Result<Event, Fault> {
        let asked = self.ask(Request::new(APPLICATION, 0x54, [CHANNEL, 0x00, 0x80 | offer.next_index()]));
        self.state = State::Suites(asked, offer);
        Ok(Event::Progress)
    }

    /// Open Session with the best suite that was not refused yet.
    pub(super) fn propose(&mut self) -> Result<Event, Fault> {
        self.tries = 0;
        self.reopen()
    }

    pub(super) fn reopen(&mut self) -> Result<Event, Fault> {
        let suite = *self.candidates.front().ok_or(Fault::NoSuite(Vec::new()))?;
        self.leaving = None;
        let tag = self.next_tag();
        let request = setup::open_request(tag, self.terms.level.id(), self.console, suite);
        self.outbox.push_back(packet::setup(Setup::OpenRequest, &request));
        self.state = State::Opening { tag, suite };
        Ok(Event::Progress)
    }

    fn next_tag(&mut self) -> u8 {
        self.tag = self.tag.wrapping_add(1);
        self.tag
    }

    pub(super) fn setup(&mut self, kind: Setup, payload: &[u8]) -> Result<Event, Fault> {
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
            (State::Rakp3 { tag, exchange, plus }, Setup::Rakp4) => {
                match setup::rakp4(payload, *tag, self.console, plus.keys.suite()) {
                    None => Ok(Event::Ignored),
                    Some(Answer::Refused(status)) => {
                        self.state = State::Over;
                        Err(Fault::Refused(Step::Rakp3, status))
                    }
                    Some(Answer::Good(code)) => {
                        let suite = plus.keys.suite();
                        if !exchange.rakp4(&plus.keys).is(&code, suite.code_len()) {
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
                | State::Greeting(..)
                | State::Suites(..)
                | State::Challenge(..)
                | State::Activation(_)
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
            State::Rakp3 { plus, .. } => State::Ready { live: Live::from(plus), pending: None },
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
                let fault = Fault::Refused(Step::Open, status);
                return if status.refuses_suite() { self.without_plus(fault) } else { Err(fault) };
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
            role: self.login.lookup.role(self.terms.level),
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
        let plus = Box::new(Plus { keys, managed: exchange.managed });
        self.state = State::Rakp3 { tag, exchange, plus };
        Ok(Event::Progress)
    }
}
