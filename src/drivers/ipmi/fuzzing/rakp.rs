//! RAKP: the setup of a session against a BMC that may know the password or not, and answers truly, wrongly, late or
//! with anything at all. A session comes up only with a peer that knows the secrets, in an allowed suite, and with the
//! same keys on both sides; who does not know the password is not even sent RAKP 3, whose code could be guessed at.

use super::bmc::{self, Bmc, PASSWORD, payload, reply_to};
use super::{chunk, number, pick};
use crate::drivers::ipmi::crypto::Suite;
use crate::drivers::ipmi::session::{Event, Session};
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::Request;
use crate::drivers::ipmi::wire::packet::{self, Datagram, Setup};

const SUITES: [&[Suite]; 4] =
    [&[Suite::Sha256], &[Suite::Sha1], &[Suite::Sha256, Suite::Sha1], &[Suite::Sha1, Suite::Sha256]];
/// Ours, the BMC's. With K_G missing on one side only, the keys differ.
const KEYS: [(Option<&str>, Option<&str>); 4] =
    [(None, None), (Some("key"), Some("key")), (Some("key"), None), (None, Some("key"))];
/// The longest datagram of a setup: RAKP 3 with 32 bytes of code.
const LONGEST: usize = 64;

struct Setting {
    allowed: &'static [Suite],
    /// Whether the BMC knows the password.
    knows: bool,
    /// Whether both have the same K_G.
    same_key: bool,
}

/// Runs one script.
pub fn rakp(input: &[u8]) {
    let mut script = Bytes(input);
    let flags = number(&mut script);
    let (ours, theirs) = KEYS[flags >> 2 & 3];
    let setting = Setting { allowed: SUITES[flags & 3], knows: flags & 16 == 0, same_key: ours == theirs };
    let mut bmc = Bmc::new(if setting.knows { PASSWORD } else { "guess" }, theirs);
    let mut session = bmc::session(setting.allowed, ours);
    session.open();
    let mut asked = transmitted(&mut session, &setting).expect("nothing is sent at first");
    let mut answers: Vec<Vec<u8>> = Vec::new();
    while let Some(step) = script.u8() {
        let event = match answer(step, &asked, &mut bmc, &mut answers, &mut script) {
            Some(datagram) => session.datagram(&datagram),
            None => session.timeout(2),
        };
        match event {
            Event::Progress => {
                asked = transmitted(&mut session, &setting).expect("progress, but nothing is sent");
            }
            Event::Ignored => assert_eq!(session.transmit(), None),
            Event::Ready => return is_up(&mut session, &mut bmc, &setting),
            Event::Failed(_) => {
                // At most Close Session, for what the BMC may think is a session.
                transmitted(&mut session, &setting);
                assert_eq!(bmc::suite_of(&session), None);
                assert_eq!(session.datagram(answers.last().map_or(&[], Vec::as_slice)), Event::Ignored);
                return;
            }
            Event::Reply(reply) => panic!("{reply:?} before there is a session"),
        }
    }
}

/// The last of what is sent. None of it is long, and what proves our password goes only to who has proved theirs.
fn transmitted(session: &mut Session, setting: &Setting) -> Option<Vec<u8>> {
    let mut last = None;
    for sent in 0.. {
        let Some(datagram) = session.transmit() else { break };
        // After the end of a key exchange that was given up: Close Session, and Open Session anew.
        assert!(sent < 2, "more than two datagrams for one event");
        match Datagram::parse(&datagram).expect("what we send is no datagram") {
            Datagram::Setup(Setup::Rakp3, _) => assert!(setting.knows, "RAKP 3 to a stranger"),
            Datagram::Setup(Setup::OpenRequest | Setup::Rakp1, payload) => assert!(payload.len() <= LONGEST),
            Datagram::Sessionless(message) => assert!(message.len() <= LONGEST),
            Datagram::Sealed(_) => assert!(setting.knows, "a sealed packet to a stranger"),
            Datagram::Coded(_) => panic!("a packet of IPMI 1.5 that nobody allowed"),
            Datagram::Setup(kind, _) => panic!("{kind:?} is not ours to send"),
        }
        last = Some(datagram);
    }
    last
}

/// What comes from the network at this step; nothing is silence.
fn answer(
    step: u8,
    asked: &[u8],
    bmc: &mut Bmc,
    answers: &mut Vec<Vec<u8>>,
    script: &mut Bytes<'_>,
) -> Option<Vec<u8>> {
    let mut honest = |bmc: &mut Bmc| {
        let answer = bmc.answer(asked).unwrap_or_default();
        answers.push(answer.clone());
        answer
    };
    Some(match step & 15 {
        0..=5 => honest(bmc),
        6 | 7 => {
            let mut datagram = honest(bmc);
            for _ in 0..=number(script) & 3 {
                let (at, byte) = (number(script), script.u8().unwrap_or(0));
                if let Some(at) = at.checked_rem(datagram.len()) {
                    datagram[at] = byte;
                }
            }
            datagram
        }
        8 => {
            let mut datagram = honest(bmc);
            datagram.truncate(number(script));
            datagram.extend(chunk(script));
            datagram
        }
        9 => pick(answers, script).cloned().unwrap_or_default(),
        10 => {
            let kinds = [Setup::OpenResponse, Setup::Rakp2, Setup::Rakp4];
            let tag = asked.get(16).copied().unwrap_or(0);
            packet::setup(*pick(&kinds, script)?, &payload(tag, chunk(script)))
        }
        11 => {
            // A refusal, of any length.
            let kinds = [Setup::OpenResponse, Setup::Rakp2, Setup::Rakp4];
            let mut refusal = payload(asked.get(16).copied().unwrap_or(0), chunk(script));
            refusal[1] = script.u8().unwrap_or(1);
            refusal.truncate(2 + number(script));
            packet::setup(*pick(&kinds, script)?, &refusal)
        }
        12 => match Datagram::parse(asked) {
            // The list of suites, or the greeting, with anything in it.
            Some(Datagram::Sessionless(message)) => {
                let code = script.u8().unwrap_or(0);
                packet::sessionless(&reply_to(message, code, chunk(script)))
            }
            Some(Datagram::Setup(..) | Datagram::Sealed(_) | Datagram::Coded(_)) | None => {
                chunk(script).to_vec()
            }
        },
        13 => [&[6, 0, 0xff, 7], chunk(script)].concat(),
        14 => {
            bmc.offers = chunk(script).to_vec();
            return None;
        }
        _ => return None,
    })
}

/// Both sides mean the same session.
fn is_up(session: &mut Session, bmc: &mut Bmc, setting: &Setting) {
    assert!(setting.knows && setting.same_key, "a session with who does not know the secrets");
    let suite = bmc::suite_of(session).expect("ready without a suite");
    assert!(setting.allowed.contains(&suite), "{suite:?} is not allowed");
    let keys = bmc.keys().expect("ready without keys on the other side").clone();
    assert_eq!(keys.suite(), suite);
    assert_eq!(session.transmit(), None);
    assert!(session.request(Request::new(0x2c, 0x02, [0xdc, 1, 0, 0])));
    let (sequence, message) = bmc.open(&session.transmit().unwrap()).expect("not sealed for the BMC");
    assert_eq!(sequence, 1);
    let reply = packet::seal(&keys, bmc::CONSOLE, 1, &reply_to(&message, 0, &[0xdc]), [9; 16]);
    assert!(matches!(session.datagram(&reply), Event::Reply(_)));
}
