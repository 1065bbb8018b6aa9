//! Sessions of IPMI 1.5 against a BMC in memory, datagram by datagram and without time.
//! Long, since every claim is made against the same BMC.

use std::sync::Arc;

use proptest::prelude::*;

use super::leaving::CLOSE_SESSION;
use super::tests::{CONSOLE, Counting, bare, login, reply_to, request, terms};
use super::*;
use crate::drivers::ipmi::wire::packet::Coded;

const TEMPORARY: u32 = 0x0a0b_0c0d;
const SESSION: u32 = 0x5566_7788;
/// The number that our first packet in the session shall bear.
const INBOUND: u32 = 0xffff_fffe;

fn session(legacy: &[Authentication]) -> Session {
    let terms = Terms { legacy: legacy.to_vec(), ..terms() };
    Session::new(login(), terms, CONSOLE, Arc::new(Counting::default()))
}

/// The other side: a BMC that speaks IPMI 1.5.
struct Bmc {
    /// What it says of itself: types of authentication, status, versions.
    says: [u8; 3],
    how: Authentication,
    /// What it says is used after Activate Session.
    later: u8,
    sent: u32,
    /// The session that it opens next.
    session: u32,
}

impl Bmc {
    fn new(how: Authentication) -> Self {
        Self { says: [0x14, 0x04, 0], how, later: how.id(), sent: 0, session: SESSION }
    }

    fn packet(&self, session: u32, sequence: u32, message: &[u8]) -> Vec<u8> {
        let how = Some((self.how, b"secret".as_slice())).filter(|_| self.later != 0 || session == TEMPORARY);
        packet::coded(how, session, sequence, message)
    }

    fn answer(&mut self, datagram: &[u8]) -> Vec<u8> {
        match Datagram::parse(datagram).unwrap() {
            Datagram::Sessionless(message) if message[5] == 0x38 => {
                bare(message, 0, &[&[1], self.says.as_slice(), &[0; 4]].concat())
            }
            Datagram::Sessionless(message) if message[5] == 0x39 => {
                assert_eq!(message[6], self.how.id());
                assert_eq!(&message[7..23], b"monitor\0\0\0\0\0\0\0\0\0");
                bare(message, 0, &[TEMPORARY.to_le_bytes().as_slice(), &[0xcc; 16]].concat())
            }
            Datagram::Sessionless(message) => bare(message, 0xc1, &[]),
            Datagram::Coded(coded) if coded.session == TEMPORARY => {
                assert!(coded.is_by(self.how, b"secret"), "its code is wrong");
                assert_eq!(coded.sequence, 0);
                let data = &coded.message[6..];
                assert_eq!(
                    (&data[..2], &data[2..18]),
                    ([self.how.id(), 2].as_slice(), [0xcc; 16].as_slice())
                );
                self.sent = u32::from_le_bytes(data[18..22].try_into().unwrap());
                let mut activated = vec![self.later];
                activated.extend(self.session.to_le_bytes());
                activated.extend(INBOUND.to_le_bytes());
                activated.push(2);
                self.packet(TEMPORARY, self.sent, &reply_to(coded.message, 0, &activated))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Reads a request of the session: its number and message.
    fn open<'a>(&self, datagram: &'a [u8]) -> (u32, &'a [u8]) {
        let Some(Datagram::Coded(coded)) = Datagram::parse(datagram) else {
            panic!("no packet of a session")
        };
        assert_eq!(coded.session, SESSION);
        assert_eq!(coded.is_by(self.how, b"secret"), self.later != 0);
        (coded.sequence, coded.message)
    }

    /// A reply with the next number.
    fn reply(&mut self, request: &[u8], data: &[u8]) -> Vec<u8> {
        let reply = self.packet(SESSION, self.sent, &reply_to(request, 0, data));
        self.sent = self.sent.wrapping_add(1).max(1);
        reply
    }
}

/// Runs the setup until something else than progress comes of it.
fn run(session: &mut Session, bmc: &mut Bmc) -> Event {
    session.open();
    loop {
        let datagram = session.transmit().expect("nothing to send");
        match session.datagram(&bmc.answer(&datagram)) {
            Event::Progress => {}
            other => return other,
        }
    }
}

fn opened(how: Authentication) -> (Session, Bmc) {
    let (mut session, mut bmc) = (session(&[Authentication::Md5, Authentication::Password]), Bmc::new(how));
    bmc.says[0] = how.bit();
    assert_eq!(run(&mut session, &mut bmc), Event::Ready);
    (session, bmc)
}

const BOTH: [Authentication; 2] = [Authentication::Md5, Authentication::Password];

#[test]
fn a_session_is_opened_used_and_closed_with_every_packet_authenticated() {
    for how in BOTH {
        let (mut session, mut bmc) = opened(how);
        assert_eq!(session.protection(), Some(Protection::Legacy { how, per_message: true }));
        // The BMC's own number first; 0 is left out.
        for (number, sequence) in [(0, INBOUND), (1, u32::MAX), (2, 1), (3, 2)] {
            assert!(session.request(request()));
            let datagram = session.transmit().unwrap();
            let (sent, message) = bmc.open(&datagram);
            assert_eq!(sent, sequence);
            let reply = bmc.reply(message, &[0xdc, number]);
            assert!(matches!(session.datagram(&reply), Event::Reply(reply) if reply.data == [0xdc, number]));
            assert_eq!(session.datagram(&reply), Event::Ignored, "twice");
        }
        session.farewell();
        let datagram = session.transmit().unwrap();
        let (sequence, message) = bmc.open(&datagram);
        assert_eq!(
            (sequence, message[5], &message[6..10]),
            (3, CLOSE_SESSION, SESSION.to_le_bytes().as_slice())
        );
    }
}

#[test]
fn ipmi_20_comes_first_and_15_only_where_it_is_allowed_and_denied_or_without_a_suite() {
    let (md5, password) = (Authentication::Md5, Authentication::Password);
    // What the BMC says, what is allowed, and the first thing asked for after the greeting.
    for (says, allowed, asked) in [
        ([0x94, 0x04, 0x03], vec![md5, password], 0x54),
        ([0x14, 0x04, 0x00], vec![md5, password], 0x39),
        ([0x94, 0x04, 0x01], vec![password], 0x39),
        // Denied, but nothing that is allowed is offered: IPMI 2.0 is tried all the same.
        ([0x14, 0x04, 0x00], vec![], 0x10),
        ([0x10, 0x04, 0x00], vec![md5], 0x10),
    ] {
        let (mut session, mut bmc) = (session(&allowed), Bmc::new(md5));
        bmc.says = says;
        session.open();
        let greeting = session.transmit().unwrap();
        session.datagram(&bmc.answer(&greeting));
        let datagram = session.transmit().unwrap();
        let next = match Datagram::parse(&datagram).unwrap() {
            Datagram::Sessionless(message) => message[5],
            Datagram::Setup(..) => 0x10,
            other => panic!("{other:?}"),
        };
        assert_eq!(next, asked, "{says:x?} {allowed:?}");
    }
}

/// The BMC speaks both, and lists one suite: 2, which encrypts nothing.
#[test]
fn without_an_allowed_suite_ipmi_15_is_taken_only_where_it_is_allowed() {
    for (allowed, then) in [(vec![Authentication::Md5], None), (vec![], Some(Fault::NoSuite(vec![2])))] {
        let (mut session, mut bmc) = (session(&allowed), Bmc::new(Authentication::Md5));
        bmc.says = [0x94, 0x04, 0x03];
        session.open();
        let greeting = session.transmit().unwrap();
        session.datagram(&bmc.answer(&greeting));
        let datagram = session.transmit().unwrap();
        let Some(Datagram::Sessionless(list)) = Datagram::parse(&datagram) else { panic!() };
        let event = session.datagram(&bare(list, 0, &[1, 0xc0, 2, 1, 0x41, 0x80]));
        assert_eq!(event, then.map_or(Event::Progress, Event::Failed));
    }
}

#[test]
fn a_bmc_that_does_not_know_the_question_of_ipmi_20_is_asked_as_15_has_it() {
    let (mut session, mut bmc) = (session(&[Authentication::Md5]), Bmc::new(Authentication::Md5));
    session.open();
    let datagram = session.transmit().unwrap();
    let Some(Datagram::Sessionless(message)) = Datagram::parse(&datagram) else { panic!() };
    assert_eq!(message[6], 0x8e);
    assert_eq!(session.datagram(&bare(message, 0xcc, &[])), Event::Progress);
    let datagram = session.transmit().unwrap();
    let Some(Datagram::Sessionless(message)) = Datagram::parse(&datagram) else { panic!() };
    assert_eq!(message[6], 0x0e);
    session.datagram(&bmc.answer(&datagram));
    let challenge = session.transmit().unwrap();
    assert!(
        matches!(Datagram::parse(&challenge), Some(Datagram::Sessionless(message)) if message[5] == 0x39)
    );
}

#[test]
fn only_who_knows_the_password_opens_and_answers() {
    for how in BOTH {
        let (mut session, mut bmc) = (session(&BOTH), Bmc::new(how));
        bmc.says[0] = how.bit();
        session.open();
        for _ in 0..2 {
            let datagram = session.transmit().unwrap();
            session.datagram(&bmc.answer(&datagram));
        }
        let good = bmc.answer(&session.transmit().unwrap());
        let Some(Datagram::Coded(coded)) = Datagram::parse(&good) else { panic!() };
        for password in [b"secreT".as_slice(), b"", b"secret\0\0\0\0\0\0\0\0\0\x01"] {
            let forged = packet::coded(Some((how, password)), coded.session, coded.sequence, coded.message);
            assert_eq!(session.datagram(&forged), Event::Ignored);
        }
        let bare = packet::coded(None, coded.session, coded.sequence, coded.message);
        assert_eq!(session.datagram(&bare), Event::Ignored, "it said that it authenticates each packet");
        let other = packet::coded(Some((how, b"secret")), TEMPORARY ^ 1, coded.sequence, coded.message);
        assert_eq!(session.datagram(&other), Event::Ignored, "another session");
        assert_eq!(session.datagram(&good), Event::Ready);
    }
}

#[test]
fn a_bmc_that_authenticates_the_login_only_is_followed_and_says_so() {
    let (mut session, mut bmc) = (session(&BOTH), Bmc::new(Authentication::Md5));
    bmc.says[1] |= 0x10;
    bmc.later = 0;
    assert_eq!(run(&mut session, &mut bmc), Event::Ready);
    assert_eq!(session.protection().unwrap().to_string(), "IPMI 1.5 (MD5, login only)");
    session.request(request());
    let datagram = session.transmit().unwrap();
    let (_, message) = bmc.open(&datagram);
    // A code that nobody asked for must be right all the same.
    let forged =
        packet::coded(Some((Authentication::Md5, b"guess")), SESSION, bmc.sent, &reply_to(message, 0, &[1]));
    assert_eq!(session.datagram(&forged), Event::Ignored);
    let mut broken = reply_to(message, 0, &[1, 2]);
    broken[7] ^= 4;
    let broken = packet::coded(None, SESSION, bmc.sent + 1, &broken);
    assert_eq!(session.datagram(&broken), Event::Ignored, "its checksum is wrong");
    bmc.sent += 2;
    assert!(matches!(session.datagram(&bmc.reply(message, &[7])), Event::Reply(reply) if reply.data == [7]));
}

#[test]
fn another_authentication_than_asked_for_is_no_session() {
    for later in [1, 4, 5] {
        let (mut session, mut bmc) = (session(&[Authentication::Md5]), Bmc::new(Authentication::Md5));
        bmc.later = later;
        assert_eq!(run(&mut session, &mut bmc), Event::Failed(Fault::OtherTerms));
    }
}

/// A session ends and the next has the same id: what was said in the first must not count in the second.
#[test]
fn a_late_reply_of_an_earlier_session_with_the_same_id_does_not_count() {
    let (mut first, mut bmc) = opened(Authentication::Md5);
    first.request(request());
    let datagram = first.transmit().unwrap();
    let late = bmc.reply(bmc.open(&datagram).1, &[0xdc, 0xee]);
    let random = Arc::new(Counting::default());
    // Other random numbers: the system's never come again.
    assert!(random.fill(&mut [0; 77]));
    let terms = Terms { legacy: BOTH.to_vec(), ..terms() };
    let mut second = Session::new(login(), terms, CONSOLE, random);
    bmc.says[0] = Authentication::Md5.bit();
    assert_eq!(run(&mut second, &mut bmc), Event::Ready);
    second.request(request());
    let datagram = second.transmit().unwrap();
    let (_, message) = bmc.open(&datagram);
    assert_eq!(second.datagram(&late), Event::Ignored);
    let reply = bmc.reply(message, &[0xdc, 1]);
    assert!(matches!(second.datagram(&reply), Event::Reply(reply) if reply.data == [0xdc, 1]));
}

#[test]
fn a_number_far_from_the_newest_does_not_count() {
    let (mut session, mut bmc) = opened(Authentication::Md5);
    session.request(request());
    let datagram = session.transmit().unwrap();
    let (_, message) = bmc.open(&datagram);
    let first = bmc.sent;
    for far in [first.wrapping_sub(1), first.wrapping_add(8), first.wrapping_add(1 << 30), 0] {
        bmc.sent = far;
        assert_eq!(session.datagram(&bmc.reply(message, &[1])), Event::Ignored, "{far}");
    }
    bmc.sent = first.wrapping_add(7);
    assert!(matches!(session.datagram(&bmc.reply(message, &[2])), Event::Reply(_)));
}

#[test]
fn a_retransmission_is_a_new_packet_and_activation_is_sent_as_it_was() {
    let (mut session, mut bmc) = (session(&BOTH), Bmc::new(Authentication::Md5));
    session.open();
    for _ in 0..2 {
        let datagram = session.transmit().unwrap();
        session.datagram(&bmc.answer(&datagram));
    }
    let activation = session.transmit().unwrap();
    assert_eq!(session.timeout(2), Event::Progress);
    assert_eq!(session.transmit().unwrap(), activation);
    assert_eq!(session.datagram(&bmc.answer(&activation)), Event::Ready);
    session.request(request());
    let first = session.transmit().unwrap();
    session.timeout(1);
    let again = session.transmit().unwrap();
    assert_eq!((bmc.open(&first).0.wrapping_add(1), bmc.open(&first).1), bmc.open(&again));
    assert_eq!(session.timeout(1), Event::Failed(Fault::Silence(Step::Command)));
    let datagram = session.transmit().unwrap();
    assert_eq!(bmc.open(&datagram).1[5], CLOSE_SESSION);
}

/// Activate Session was slow, not lost, and the BMC opened a session for each: the one that is not used is closed, once.
#[test]
fn a_second_session_of_the_same_activation_is_closed() {
    let (mut session, mut bmc) = (session(&BOTH), Bmc::new(Authentication::Md5));
    session.open();
    for _ in 0..2 {
        let datagram = session.transmit().unwrap();
        session.datagram(&bmc.answer(&datagram));
    }
    let activation = session.transmit().unwrap();
    let first = bmc.answer(&activation);
    session.timeout(2);
    session.transmit().unwrap();
    bmc.session = SESSION + 1;
    let second = bmc.answer(&activation);
    assert_eq!(session.datagram(&first), Event::Ready);
    assert_eq!(session.datagram(&first), Event::Ignored);
    session.request(request());
    session.transmit().unwrap();
    let mut forged = second.clone();
    forged[20] ^= 1;
    assert_eq!(session.datagram(&forged), Event::Ignored);
    assert_eq!(session.datagram(&second), Event::Progress);
    let close = session.transmit().unwrap();
    let Some(Datagram::Coded(close)) = Datagram::parse(&close) else { panic!() };
    assert!(close.is_by(Authentication::Md5, b"secret"));
    assert_eq!((close.session, close.sequence), (SESSION + 1, INBOUND));
    assert_eq!(
        (close.message[5], &close.message[6..10]),
        (CLOSE_SESSION, (SESSION + 1).to_le_bytes().as_slice())
    );
    assert_eq!(session.datagram(&second), Event::Ignored, "twice");
    assert_eq!(session.transmit(), None);
}

#[test]
fn refusals_and_silence_say_where() {
    for (steps, step) in [(1, Step::Challenge), (2, Step::Activation)] {
        let (mut session, mut bmc) = (session(&BOTH), Bmc::new(Authentication::Md5));
        session.open();
        for _ in 0..steps {
            let datagram = session.transmit().unwrap();
            session.datagram(&bmc.answer(&datagram));
        }
        let datagram = session.transmit().unwrap();
        let message = match Datagram::parse(&datagram).unwrap() {
            Datagram::Sessionless(message) | Datagram::Coded(Coded { message, .. }) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(session.timeout(1), Event::Progress);
        // Nothing in a session is believed without a code but that there is none.
        if step == Step::Activation {
            assert_eq!(session.datagram(&bare(message, 0, &[2; 10])), Event::Ignored);
        }
        assert_eq!(session.datagram(&bare(message, 0x81, &[])), Event::Failed(Fault::Denied(step, 0x81)));

        let (mut session, mut bmc) = (self::session(&BOTH), Bmc::new(Authentication::Md5));
        session.open();
        for _ in 0..steps {
            let datagram = session.transmit().unwrap();
            session.datagram(&bmc.answer(&datagram));
        }
        assert_eq!(session.timeout(1), Event::Progress);
        assert_eq!(session.timeout(1), Event::Failed(Fault::Silence(step)));
    }
}

#[test]
fn a_bmc_of_ipmi_15_that_is_silent_to_20_says_what_it_speaks() {
    let (mut session, mut bmc) = (session(&[]), Bmc::new(Authentication::Md5));
    session.open();
    let greeting = session.transmit().unwrap();
    session.datagram(&bmc.answer(&greeting));
    assert_eq!(session.timeout(0), Event::Failed(Fault::LegacyOnly(BOTH.to_vec())));
}

proptest! {
    /// The straight password covers nothing of the message: its checksums, numbers and id have to.
    #[test]
    fn a_flipped_bit_never_changes_a_reading(
        data in proptest::collection::vec(any::<u8>(), 1..30), at: prop::sample::Index, bit in 0..8u8, password: bool,
    ) {
        let (mut session, mut bmc) = opened(if password { Authentication::Password } else { Authentication::Md5 });
        session.request(request());
        let datagram = session.transmit().unwrap();
        let mut reply = bmc.reply(bmc.open(&datagram).1, &data);
        let at = at.index(reply.len());
        reply[at] ^= 1 << bit;
        // A number that is still near the newest, or the RMCP header, may pass: what is read is right.
        match session.datagram(&reply) {
            Event::Reply(reply) => prop_assert_eq!(reply.data, data),
            Event::Ignored => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn no_datagram_at_any_step_does_harm(
        steps in 0..4usize, bytes in proptest::collection::vec(any::<u8>(), 0..80), head in 0..5u8, flip: prop::sample::Index,
    ) {
        let (mut session, mut bmc) = (session(&BOTH), Bmc::new(Authentication::Md5));
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
            1 => [&[6, 0, 0xff, 7, 2], bmc.sent.to_le_bytes().as_slice(), &SESSION.to_le_bytes()].concat(),
            2 => last.clone(),
            3 => [&[6, 0, 0xff, 7, 0], bmc.sent.to_le_bytes().as_slice(), &SESSION.to_le_bytes()].concat(),
            _ => vec![6, 0, 0xff, 7, 4],
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
