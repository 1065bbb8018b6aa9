//! The session against a BMC in memory, datagram by datagram and without time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use proptest::prelude::*;

use super::leaving::CLOSE_SESSION;
use super::*;
use crate::drivers::ipmi::crypto::Keys;
use crate::drivers::ipmi::wire::packet::Setup;
use crate::drivers::ipmi::{Lookup, Privilege, Readings, Settings};

/// Numbers that count up: the same in every run.
#[derive(Default)]
pub struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        bytes.iter_mut().for_each(|byte| *byte = self.0.fetch_add(1, Ordering::Relaxed));
        true
    }
}

pub const CONSOLE: u32 = 0x1122_3344;
const MANAGED: u32 = 0x5566_7788;

pub fn login() -> Arc<Login> {
    login_with(Lookup::Name)
}

fn login_with(lookup: Lookup) -> Arc<Login> {
    let settings = Settings {
        address: "10.0.0.1:623".into(),
        user: "monitor".into(),
        password: "secret".to_owned().into(),
        bmc_key: None,
        privilege: Privilege::User,
        lookup,
        suites: vec![Suite::Sha256, Suite::Sha1],
        legacy: Vec::new(),
        readings: Readings::Auto,
        quirks: Vec::new(),
        request_timeout: std::time::Duration::from_secs(1),
        retries: 2,
        learning: std::time::Duration::ZERO,
        keep_session: crate::drivers::ipmi::KeepSession::ByPolls,
    };
    Arc::new(Login::new(&settings).unwrap())
}

/// Both suites and no IPMI 1.5, as a user.
pub fn terms() -> Terms {
    Terms { suites: vec![Suite::Sha256, Suite::Sha1], legacy: Vec::new(), level: Level::User }
}

fn session() -> Session {
    Session::new(login(), terms(), CONSOLE, Arc::new(Counting::default()))
}

/// The other side: answers setup as a BMC does, and keeps what it needs to seal replies.
#[derive(Default)]
struct Bmc {
    suite: Option<Suite>,
    exchange: Option<Exchange>,
    keys: Option<Keys>,
    sent: u32,
}

fn setup_payload(tag: u8, rest: &[u8]) -> Vec<u8> {
    [&[tag, 0, 0, 0], CONSOLE.to_le_bytes().as_slice(), rest].concat()
}

/// A reply without a session.
pub fn bare(request: &[u8], code: u8, data: &[u8]) -> Vec<u8> {
    packet::sessionless(&reply_to(request, code, data))
}

/// The message that answers the message `request`.
pub fn reply_to(request: &[u8], code: u8, data: &[u8]) -> Vec<u8> {
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
    let mut head = vec![0x81, request[1] | 4];
    head.push(sum(&head));
    let mut body = vec![0x20, request[4], request[5], code];
    body.extend(data);
    body.push(sum(&body));
    [head, body].concat()
}

impl Bmc {
    /// What it answers to a datagram of the setup; none where it takes it as the end.
    fn answer(&mut self, datagram: &[u8]) -> Vec<u8> {
        match Datagram::parse(datagram).unwrap() {
            Datagram::Sessionless(message) if message[5] == 0x38 => {
                bare(message, 0, &[1, 0x80, 4, 2, 0, 0, 0, 0])
            }
            Datagram::Sessionless(message) => {
                bare(message, 0, &[1, 0xc0, 3, 1, 0x41, 0x81, 0xc0, 17, 3, 0x44, 0x81])
            }
            Datagram::Setup(Setup::OpenRequest, request) => {
                let algorithms = [request[12], request[20], request[28]];
                let suite = [Suite::Sha1, Suite::Sha256].into_iter().find(|s| s.algorithms() == algorithms);
                self.suite = suite;
                let mut rest = MANAGED.to_le_bytes().to_vec();
                rest.extend(&request[8..32]);
                packet::setup(Setup::OpenResponse, &setup_payload(request[0], &rest))
            }
            Datagram::Setup(Setup::Rakp1, request) => {
                let exchange = Exchange {
                    console: CONSOLE,
                    managed: MANAGED,
                    console_random: request[8..24].try_into().unwrap(),
                    managed_random: [0xbb; 16],
                    guid: [0xcc; 16],
                    role: request[24],
                    user: request[28..].to_vec(),
                };
                let code = exchange.rakp2(self.suite.unwrap(), b"secret");
                let rest = [&exchange.managed_random, exchange.guid.as_slice(), code.as_slice()].concat();
                self.keys = Some(exchange.keys(self.suite.unwrap(), b"secret"));
                self.exchange = Some(exchange);
                packet::setup(Setup::Rakp2, &setup_payload(request[0], &rest))
            }
            Datagram::Setup(Setup::Rakp3, request) => {
                let (exchange, suite) = (self.exchange.as_ref().unwrap(), self.suite.unwrap());
                assert_eq!(&request[8..], exchange.rakp3(suite, b"secret").as_slice());
                let value = exchange.rakp4(self.keys.as_ref().unwrap());
                packet::setup(Setup::Rakp4, &setup_payload(request[0], value.first(suite.code_len())))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Opens a sealed request: its sequence number and message.
    fn open(&self, datagram: &[u8]) -> (u32, Vec<u8>) {
        let Some(Datagram::Sealed(sealed)) = Datagram::parse(datagram) else { panic!("not sealed") };
        assert_eq!(sealed.session, MANAGED);
        (sealed.sequence, sealed.open(self.keys.as_ref().unwrap()).expect("its code is wrong"))
    }

    /// A sealed reply with the next sequence number.
    fn reply(&mut self, request: &[u8], data: &[u8]) -> Vec<u8> {
        self.sent += 1;
        let message = reply_to(request, 0, data);
        packet::seal(self.keys.as_ref().unwrap(), CONSOLE, self.sent, &message, [9; 16])
    }
}

/// Runs the setup to its end.
fn opened() -> (Session, Bmc) {
    let (mut session, mut bmc) = (session(), Bmc::default());
    session.open();
    loop {
        let datagram = session.transmit().expect("nothing to send");
        match session.datagram(&bmc.answer(&datagram)) {
            Event::Progress => {}
            Event::Ready => return (session, bmc),
            other => panic!("{other:?}"),
        }
    }
}

pub fn request() -> Request {
    Request::new(0x2c, 0x02, [0xdc, 1, 0, 0])
}

#[test]
fn the_better_of_two_offered_suites_is_agreed_on() {
    let (session, _) = opened();
    assert_eq!(session.protection(), Some(Protection::Suite(Suite::Sha256)));
}

/// IPMI v2.0 section 13.20: bit 4 of the role byte asks for the name only, bits 0 to 3 are the level.
#[test]
fn the_role_says_how_the_user_is_looked_up_and_at_which_level() {
    for (lookup, level, role) in [
        (Lookup::Name, Level::User, 0x12),
        (Lookup::Name, Level::Administrator, 0x14),
        (Lookup::NameAndPrivilege, Level::User, 0x02),
        (Lookup::NameAndPrivilege, Level::Operator, 0x03),
    ] {
        let terms = Terms { level, ..terms() };
        let mut session = Session::new(login_with(lookup), terms, CONSOLE, Arc::new(Counting::default()));
        let mut bmc = Bmc::default();
        session.open();
        loop {
            let datagram = session.transmit().unwrap();
            // The BMC makes every key with the role byte as it came: only then does the setup come to its end.
            if session.datagram(&bmc.answer(&datagram)) == Event::Ready {
                break;
            }
        }
        assert_eq!(bmc.exchange.unwrap().role, role);
    }
}

#[test]
fn a_request_is_answered_once() {
    let (mut session, mut bmc) = opened();
    assert!(session.request(request()));
    let (_, message) = bmc.open(&session.transmit().unwrap());
    let reply = bmc.reply(&message, &[0xdc, 1]);
    assert!(matches!(session.datagram(&reply), Event::Reply(reply) if reply.data == [0xdc, 1]));
    assert_eq!(session.datagram(&reply), Event::Ignored);
    assert_eq!(session.datagram(&bmc.reply(&message, &[0xdc, 2])), Event::Ignored, "nothing is awaited");
}

#[test]
fn a_retransmission_is_a_new_packet_with_the_same_number() {
    let (mut session, bmc) = opened();
    session.request(request());
    let (first, message) = bmc.open(&session.transmit().unwrap());
    assert_eq!(session.timeout(1), Event::Progress);
    let again = session.transmit().unwrap();
    assert_eq!(bmc.open(&again), (first + 1, message));
    assert_eq!(session.timeout(1), Event::Failed(Fault::Silence(Step::Command)));
    let (number, farewell) = bmc.open(&session.transmit().unwrap());
    assert_eq!((number, farewell[5]), (first + 2, CLOSE_SESSION));
    assert_eq!(session.transmit(), None);
    assert!(!session.request(request()), "it is over");
}

#[test]
fn a_reply_from_before_the_request_is_not_its_reply_even_with_its_number() {
    let (mut session, mut bmc) = opened();
    session.request(request());
    let (_, first) = bmc.open(&session.transmit().unwrap());
    let late = bmc.reply(&first, &[0xdc, 0xee]);
    // 64 requests later the same number is used again; the late reply has been on its way since.
    for n in 0..64 {
        session.request(request());
        let (_, message) = bmc.open(&session.transmit().unwrap());
        if n == 63 {
            assert_eq!(message[4], first[4], "the same number");
            assert_eq!(session.datagram(&late), Event::Ignored);
        }
        let reply = bmc.reply(&message, &[0xdc, n]);
        assert!(matches!(session.datagram(&reply), Event::Reply(reply) if reply.data == [0xdc, n]));
    }
}

#[test]
fn a_reply_to_another_command_or_number_or_session_is_ignored() {
    let (mut session, mut bmc) = opened();
    session.request(request());
    let (_, message) = bmc.open(&session.transmit().unwrap());
    for (at, what) in [(1, "network function"), (4, "number"), (5, "command")] {
        let mut other = message.clone();
        other[at] ^= 4;
        if at == 1 {
            other[1] ^= 8;
        }
        assert_eq!(session.datagram(&bmc.reply(&other, &[])), Event::Ignored, "{what}");
    }
    let sealed =
        packet::seal(bmc.keys.as_ref().unwrap(), CONSOLE ^ 1, 50, &reply_to(&message, 0, &[]), [0; 16]);
    assert_eq!(session.datagram(&sealed), Event::Ignored, "another session");
    assert!(matches!(session.datagram(&bmc.reply(&message, &[1])), Event::Reply(_)));
}

#[test]
fn a_refusal_ends_the_setup_and_a_late_one_does_not() {
    let (mut session, mut bmc) = (session(), Bmc::default());
    session.open();
    for _ in 0..2 {
        let datagram = session.transmit().unwrap();
        session.datagram(&bmc.answer(&datagram));
    }
    let open = session.transmit().unwrap();
    assert_eq!(session.timeout(2), Event::Progress, "lost: the setup starts anew");
    let refusal = |tag| packet::setup(Setup::OpenResponse, &[tag, 1, 0, 0]);
    assert_eq!(session.datagram(&refusal(open[16])), Event::Ignored, "of the one before");
    let again = session.transmit().unwrap();
    let refused = Event::Failed(Fault::Refused(Step::Open, Status::NO_RESOURCES));
    assert_eq!(session.datagram(&refusal(again[16])), refused);
}

#[test]
fn other_algorithms_than_proposed_are_refused() {
    let (mut session, mut bmc) = (session(), Bmc::default());
    session.open();
    for _ in 0..2 {
        let datagram = session.transmit().unwrap();
        session.datagram(&bmc.answer(&datagram));
    }
    let mut answer = bmc.answer(&session.transmit().unwrap());
    // The response's authentication algorithm: none at all.
    answer[16 + 16] = 0;
    assert_eq!(session.datagram(&answer), Event::Failed(Fault::OtherSuite));
}

#[test]
fn a_silent_bmc_is_left_after_the_retries_of_each_step() {
    for answered in 0..5 {
        let (mut session, mut bmc) = (session(), Bmc::default());
        session.open();
        for _ in 0..answered {
            let datagram = session.transmit().unwrap();
            session.datagram(&bmc.answer(&datagram));
        }
        let mut timeouts = 0;
        let fault = loop {
            timeouts += 1;
            match session.timeout(2) {
                Event::Progress => assert!(timeouts < 10),
                Event::Failed(fault) => break fault,
                other => panic!("{other:?}"),
            }
        };
        let wanted = match answered {
            0 => (Step::Greeting, 3),
            // The list of suites may be missing; Open Session may not.
            1 => (Step::Open, 6),
            2 => (Step::Open, 3),
            // From here on every time-out starts again with Open Session.
            _ => (Step::Open, 3),
        };
        assert_eq!((fault, timeouts), (Fault::Silence(wanted.0), wanted.1), "{answered} answered");
    }
}

proptest! {
    #[test]
    fn no_datagram_at_any_step_does_harm(
        steps in 0..6usize, bytes in proptest::collection::vec(any::<u8>(), 0..80), head in 0..4u8, flip: prop::sample::Index,
    ) {
        let (mut session, mut bmc) = (session(), Bmc::default());
        session.open();
        let mut last = Vec::new();
        for _ in 0..steps {
            if let Some(datagram) = session.transmit() {
                last = bmc.answer(&datagram);
                session.datagram(&last);
            }
        }
        session.request(request());
        let mut garbage = match head {
            0 => Vec::new(),
            1 => vec![6, 0, 0xff, 7, 6, 0xc0],
            2 => last.clone(),
            _ => vec![6, 0, 0xff, 7, 6, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 60, 0],
        };
        garbage.extend(&bytes);
        if head == 2 && !garbage.is_empty() {
            let at = flip.index(garbage.len());
            garbage[at] ^= 0x20;
        }
        let event = session.datagram(&garbage);
        prop_assert!(!matches!(event, Event::Reply(_)), "{event:?}");
    }
}
