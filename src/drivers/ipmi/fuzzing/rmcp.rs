//! RMCP+: a session that is up, and datagrams of all kinds in any order. Only what the BMC sealed with the session's
//! keys, for the request that waits, and once, is a reply; nothing that is not sealed even ends the session.

use super::bmc;
use super::bmc::{Bmc, CONSOLE, MANAGED, opened, reply_to};
use super::{chunk, number, pick};
use crate::drivers::ipmi::crypto::{Exchange, Keys, Suite};
use crate::drivers::ipmi::session::{Event, Session};
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::Request;
use crate::drivers::ipmi::wire::packet::{self, Datagram, Setup};

/// Network functions that are asked.
const FUNCTIONS: [u8; 4] = [0x04, 0x06, 0x0a, 0x2c];
/// Request numbers have six bits.
const NUMBERS: u32 = 64;

/// A request as the BMC received it.
struct Received {
    serial: u32,
    message: Vec<u8>,
}

/// A reply that the BMC sealed.
struct Sent {
    serial: u32,
    sequence: u32,
    datagram: Vec<u8>,
    taken: bool,
}

struct Talk {
    session: Session,
    bmc: Bmc,
    received: Vec<Received>,
    sent: Vec<Sent>,
    /// The request that waits for its reply.
    waiting: Option<u32>,
    serial: u32,
    /// Of our own packets.
    sequence: u32,
    /// The BMC's next.
    next: u32,
    /// How many numbers it may still skip.
    room: u32,
    /// The newest of the BMC's that was let in.
    newest: Option<u32>,
    /// What it was when the request was sent.
    newest_then: Option<u32>,
}

/// Runs one script.
pub fn rmcp(input: &[u8]) {
    let _ = Datagram::parse(input);
    let mut script = Bytes(input);
    let suite = if number(&mut script) & 1 == 0 { Suite::Sha1 } else { Suite::Sha256 };
    let (session, bmc) = opened(suite);
    let mut talk = Talk {
        session,
        bmc,
        received: Vec::new(),
        sent: Vec::new(),
        waiting: None,
        serial: 0,
        sequence: 0,
        next: 1,
        room: 1 << 31,
        newest: None,
        newest_then: None,
    };
    while let Some(step) = script.u8() {
        if !talk.step(step, &mut script) {
            return;
        }
    }
    talk.session.farewell();
    talk.receive();
}

impl Talk {
    fn keys(&self) -> &Keys {
        self.bmc.keys().unwrap()
    }

    /// One step; false if it was the last.
    fn step(&mut self, step: u8, script: &mut Bytes<'_>) -> bool {
        match step & 15 {
            0 | 1 => self.ask(script),
            2 | 3 => self.seal_reply(script),
            4 | 5 => {
                if let Some(at) = number(script).checked_rem(self.sent.len()) {
                    self.deliver(at);
                }
            }
            6 => self.foreign(&[&[6, 0, 0xff, 7], chunk(script)].concat()),
            7 => self.foreign(chunk(script)),
            8 => self.flipped(script),
            9 => self.cut_or_longer(script),
            10 => self.forged(script),
            11 => self.of_another_session(script),
            12 => return self.timeout(),
            13 => self.strange(script),
            14 => self.skip(script.u32().unwrap_or(u32::MAX)),
            _ => self.of_the_setup(script),
        }
        true
    }

    /// The BMC counts on from another number. It may begin anywhere, but it never counts once around: 32 bits cannot tell an old
    /// packet from a new one then.
    fn skip(&mut self, to: u32) {
        let by = to % (1 << 28);
        if self.sent.is_empty() {
            self.next = to;
        } else if let Some(room) = self.room.checked_sub(by) {
            self.room = room;
            self.next = self.next.wrapping_add(by);
        }
    }

    /// What is transmitted opens with the session's keys, with a sequence number that was never used.
    fn receive(&mut self) {
        let mut datagrams = 0;
        while let Some(datagram) = self.session.transmit() {
            let (sequence, message) = self.bmc.open(&datagram).expect("not sealed for the BMC");
            assert!(sequence > self.sequence, "a sequence number twice");
            self.sequence = sequence;
            self.received.push(Received { serial: self.serial, message });
            datagrams += 1;
        }
        assert!(datagrams <= 1, "more than one datagram for one event");
    }

    fn ask(&mut self, script: &mut Bytes<'_>) {
        self.serial += 1;
        let net_fn = *pick(&FUNCTIONS, script).unwrap();
        let command = script.u8().unwrap_or(1) & 3;
        assert!(self.session.request(Request::new(net_fn, command, self.serial.to_le_bytes())));
        (self.waiting, self.newest_then) = (Some(self.serial), self.newest);
        self.receive();
    }

    /// The BMC answers one of the requests that it got, whichever, and the network holds the answer.
    fn seal_reply(&mut self, script: &mut Bytes<'_>) {
        let from_last = number(script);
        let Some(at) = self.received.len().checked_sub(1 + from_last % self.received.len().max(1)) else {
            return;
        };
        let Received { serial, message } = &self.received[at];
        let data = [&serial.to_le_bytes(), chunk(script)].concat();
        let message = reply_to(message, script.u8().unwrap_or(0), &data);
        let (serial, sequence) = (*serial, self.next);
        let datagram = packet::seal(self.keys(), CONSOLE, sequence, &message, [9; 16]);
        self.sent.push(Sent { serial, sequence, datagram, taken: false });
        self.next = self.next.wrapping_add(1);
    }

    /// One of the BMC's replies arrives: for the first time, once more, or late.
    fn deliver(&mut self, at: usize) {
        let Sent { serial, sequence, datagram, taken } = &self.sent[at];
        let (serial, sequence, taken) = (*serial, *sequence, *taken);
        let event = self.session.datagram(datagram);
        let newer = |than: u32| sequence.wrapping_sub(than).wrapping_sub(1) < (1 << 31) - 1;
        let fresh = sequence != 0 && self.newest.is_none_or(newer);
        match event {
            Event::Reply(reply) => {
                let waiting = self.waiting.take().expect("a reply that nobody waits for");
                assert!(!taken, "a reply twice");
                assert_eq!(reply.data.get(..4), Some(serial.to_le_bytes().as_slice()));
                // Six bits of number cannot tell a reply from one that is 64 requests late: `link` never gets there.
                assert_eq!((waiting - serial) % NUMBERS, 0, "another request's reply");
                self.sent[at].taken = true;
            }
            Event::Ignored => {
                // Unless the BMC skipped half of all numbers since it was asked.
                let after = self.newest_then.is_none_or(newer);
                assert!(!fresh || !after || self.waiting != Some(serial), "a good reply refused");
            }
            other => panic!("{other:?}"),
        }
        if fresh {
            self.newest = Some(sequence);
        }
        self.receive();
    }

    /// Anything that was not sealed with the session's keys changes nothing.
    fn foreign(&mut self, datagram: &[u8]) {
        let (suite, sealed) = (bmc::suite_of(&self.session), self.bmc.keys().unwrap().suite());
        assert_eq!(self.session.datagram(datagram), Event::Ignored);
        assert_eq!((bmc::suite_of(&self.session), self.session.transmit()), (suite, None));
        assert_eq!(suite, Some(sealed));
    }

    fn flipped(&mut self, script: &mut Bytes<'_>) {
        let Some(sent) = pick(&self.sent, script) else { return };
        let mut datagram = sent.datagram.clone();
        // The RMCP header in front is not authenticated, and nothing is read from it.
        let at = 4 + usize::from(script.u16().unwrap_or(0)) % (datagram.len() - 4);
        datagram[at] ^= 1 << (number(script) & 7);
        self.foreign(&datagram);
    }

    fn cut_or_longer(&mut self, script: &mut Bytes<'_>) {
        let Some(sent) = pick(&self.sent, script) else { return };
        let (cut, more) = (number(script) % sent.datagram.len(), chunk(script));
        let datagram = match more {
            [] => sent.datagram[..cut].to_vec(),
            more => [&sent.datagram, more].concat(),
        };
        self.foreign(&datagram);
    }

    /// Well formed and for our session, by someone without the keys; with the keys of another session at times.
    fn forged(&mut self, script: &mut Bytes<'_>) {
        let sequence = script.u32().unwrap_or(1);
        let message = reply_to(self.received.last().map_or(&[], |r| &r.message), 0, chunk(script));
        let suite = self.keys().suite();
        let exchange = Exchange {
            console: CONSOLE,
            managed: MANAGED,
            console_random: [1; 16],
            managed_random: [0xbb; 16],
            guid: [0xcc; 16],
            role: 0x12,
            user: b"monitor".to_vec(),
        };
        let other = exchange.keys(suite, b"secret");
        self.foreign(&packet::seal(&other, CONSOLE, sequence, &message, [9; 16]));
        let payload = chunk(script);
        let mut bare = vec![6, 0, 0xff, 7, 6, number(script).to_le_bytes()[0]];
        bare.extend(CONSOLE.to_le_bytes());
        bare.extend(sequence.to_le_bytes());
        bare.extend(u16::try_from(payload.len()).unwrap().to_le_bytes());
        bare.extend(payload);
        bare.extend(chunk(script));
        self.foreign(&bare);
    }

    /// Sealed with our keys, but addressed to another session's id.
    fn of_another_session(&mut self, script: &mut Bytes<'_>) {
        let session = script.u32().unwrap_or(0);
        if session != CONSOLE {
            let message = reply_to(self.received.last().map_or(&[], |r| &r.message), 0, chunk(script));
            let datagram = packet::seal(self.keys(), session, self.next, &message, [9; 16]);
            self.foreign(&datagram);
        }
    }

    fn timeout(&mut self) -> bool {
        let event = self.session.timeout(2);
        match (event, self.waiting) {
            (Event::Progress, Some(_)) | (Event::Ignored, None) => {
                self.receive();
                true
            }
            // Given up on: the session is closed, and closed for good.
            (Event::Failed(_), Some(_)) => {
                self.receive();
                assert_eq!(bmc::suite_of(&self.session), None);
                assert!(!self.session.request(Request::new(6, 1, [])));
                false
            }
            (other, waiting) => panic!("{other:?} while {waiting:?} waits"),
        }
    }

    /// The BMC seals what it likes: it may be nonsense, but counts only as an answer to what was asked.
    fn strange(&mut self, script: &mut Bytes<'_>) {
        let datagram = packet::seal(self.keys(), CONSOLE, self.next, chunk(script), [9; 16]);
        let (sequence, newest) = (self.next, self.newest);
        self.next = self.next.wrapping_add(1);
        let asked = self.received.last().map(|r| (r.message[1] >> 2, r.message[4] >> 2, r.message[5]));
        match self.session.datagram(&datagram) {
            Event::Reply(reply) => {
                self.waiting.take().expect("a reply that nobody waits for");
                assert_eq!(Some((reply.net_fn & !1, reply.seq, reply.command)), asked);
            }
            Event::Ignored => {}
            other => panic!("{other:?}"),
        }
        if sequence != 0 && newest.is_none_or(|n| sequence.wrapping_sub(n).wrapping_sub(1) < (1 << 31) - 1) {
            self.newest = Some(sequence);
        }
        self.receive();
    }

    fn of_the_setup(&mut self, script: &mut Bytes<'_>) {
        let kinds = [Setup::OpenResponse, Setup::Rakp2, Setup::Rakp4, Setup::OpenRequest];
        match pick(&kinds, script) {
            Some(Setup::OpenRequest) | None => self.foreign(&packet::sessionless(chunk(script))),
            Some(kind) => self.foreign(&packet::setup(*kind, chunk(script))),
        }
    }
}
