//! One BMC: its session table, and what it answers to a datagram. No I/O.

use std::time::Duration;

use super::commands::{Command, Effect};
use super::crypto::{Keys, Mac, Suite};
use super::packet::{self, Packet, Sealed};
use super::{Counts, Fleet};
use crate::model::Moment;
use crate::sim::endpoint::counted;

/// How long a session may be silent. IPMI v2.0 section 6.12.15: 60 s, give or take 3.
const SESSION_LIFE: Duration = Duration::from_secs(60);
/// How long the setup of one may take.
const SETUP_LIFE: Duration = Duration::from_secs(10);

/// Statuses of RMCP+, table 13-15.
const NO_RESOURCES: u8 = 0x01;
const INVALID_SESSION: u8 = 0x02;
const UNAUTHORISED_NAME: u8 = 0x0d;
const INVALID_CHECK_VALUE: u8 = 0x0f;
const NO_SUITE: u8 = 0x11;

/// A place in the session table.
struct Session {
    /// Our id.
    id: u32,
    /// The console's.
    console: u32,
    suite: Suite,
    used: Moment,
    stage: Stage,
}

enum Stage {
    /// Open Session was answered.
    Opened,
    /// RAKP 2 was sent.
    Named(Box<Named>),
    /// RAKP 4 was sent.
    Up(Box<Up>),
}

struct Named {
    console_random: [u8; 16],
    own_random: [u8; 16],
    /// Role, length of the name, name.
    tail: Vec<u8>,
}

struct Up {
    keys: Keys,
    /// Newest sequence number seen, and last one sent.
    seen: u32,
    sent: u32,
    /// Request number of the last reading: the same again is a repetition.
    told: Option<u8>,
}

/// One BMC.
#[derive(Default)]
pub(super) struct Bmc {
    number: u32,
    sessions: Vec<Session>,
    grid: Option<Grid>,
}

/// The grid of times at which a BMC is read, as far as it can be told from outside.
struct Grid {
    /// Where the grid begins: no reading came earlier than its place on it.
    origin: Moment,
    /// Intervals since then.
    intervals: u32,
}

/// What a datagram meets.
pub(super) struct Now<'a> {
    pub fleet: &'a Fleet,
    pub counts: &'a Counts,
    pub at: Moment,
    pub second: u64,
}

impl Bmc {
    pub fn new(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    /// Takes a datagram and writes the reply into `out`, if there is one.
    pub fn datagram(&mut self, datagram: &[u8], now: &Now<'_>, out: &mut Vec<u8>) {
        let answered = match Packet::parse(datagram) {
            Some(Packet::Outside(message)) => Command::parse(message).map(|command| {
                packet::outside(&command.outside(&now.fleet.suites), out);
            }),
            Some(Packet::Setup(0x10, payload)) => self.open(payload, now, out),
            Some(Packet::Setup(0x12, payload)) => self.rakp1(payload, now, out),
            Some(Packet::Setup(_, payload)) => self.rakp3(payload, now, out),
            Some(Packet::Sealed(sealed)) => self.sealed(&sealed, now, out),
            None => None,
        };
        if answered.is_none() {
            now.counts.bad.add(1);
        }
    }

    /// Drops sessions that were silent for too long.
    fn expire(&mut self, now: &Now<'_>) {
        self.sessions.retain(|session| {
            let up = matches!(session.stage, Stage::Up(_));
            let lives = now.at.since(session.used) < if up { SESSION_LIFE } else { SETUP_LIFE };
            if up && !lives {
                now.counts.expired.add(1);
            }
            lives
        });
    }

    fn session(&mut self, id: u32) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    fn open(&mut self, payload: &[u8], now: &Now<'_>, out: &mut Vec<u8>) -> Option<()> {
        self.expire(now);
        let (head, records) = payload.split_first_chunk::<8>()?;
        let [tag, level, _, _, a, b, c, d] = *head;
        let console = [a, b, c, d];
        let asked = [records.get(4)?, records.get(12)?, records.get(20)?].map(|algorithm| *algorithm & 0x3f);
        let mut refuse = |status| packet::setup(0x11, &[tag, status, 0, 0, a, b, c, d], out);
        let Some(suite) = now.fleet.suites.iter().copied().find(|suite| suite.algorithms() == asked) else {
            refuse(NO_SUITE);
            return Some(());
        };
        if self.sessions.len() >= now.fleet.max_sessions {
            now.counts.refused.add(1);
            refuse(NO_RESOURCES);
            return Some(());
        }
        // Different from BMC to BMC, so that a mix-up is noticed.
        let id = (self.number + 1) << 12 | u32::try_from(now.counts.setups.add(1) & 0xfff).ok()?;
        let level = if level & 0x0f == 0 { 4 } else { level & 0x0f };
        let mut answer = vec![tag, 0, level, 0];
        answer.extend(console);
        answer.extend(id.to_le_bytes());
        for (kind, algorithm) in (0u8..).zip(suite.algorithms()) {
            answer.extend([kind, 0, 0, 8, algorithm, 0, 0, 0]);
        }
        packet::setup(0x11, &answer, out);
        let console = u32::from_le_bytes(console);
        self.sessions.retain(|session| session.id != id);
        self.sessions.push(Session { id, console, suite, used: now.at, stage: Stage::Opened });
        Some(())
    }

    fn rakp1(&mut self, payload: &[u8], now: &Now<'_>, out: &mut Vec<u8>) -> Option<()> {
        let (head, rest) = payload.split_first_chunk::<8>()?;
        let [tag, _, _, _, a, b, c, d] = *head;
        let (console_random, rest) = rest.split_first_chunk::<16>()?;
        let (role, len, user) = (*rest.first()?, *rest.get(3)?, rest.get(4..)?);
        let user = user.get(..usize::from(len))?;
        let guid = self.guid();
        let Some(session) = self.session(u32::from_le_bytes([a, b, c, d])) else {
            packet::setup(0x13, &[tag, INVALID_SESSION, 0, 0, 0, 0, 0, 0], out);
            return Some(());
        };
        let console = session.console.to_le_bytes();
        if user != now.fleet.user.as_bytes() {
            packet::setup(0x13, &[&[tag, UNAUTHORISED_NAME, 0, 0], &console[..]].concat(), out);
            return Some(());
        }
        let mut own_random = [0; 16];
        getrandom::fill(&mut own_random).ok()?;
        let tail = [&[role, len], user].concat();
        let code = Mac::new(session.suite, now.fleet.password.as_bytes()).over(&[
            &console,
            &session.id.to_le_bytes(),
            console_random,
            &own_random,
            &guid,
            &tail,
        ]);
        packet::setup(0x13, &[&[tag, 0, 0, 0], &console[..], &own_random, &guid, &code].concat(), out);
        session.used = now.at;
        session.stage = Stage::Named(Box::new(Named { console_random: *console_random, own_random, tail }));
        Some(())
    }

    fn rakp3(&mut self, payload: &[u8], now: &Now<'_>, out: &mut Vec<u8>) -> Option<()> {
        let (head, code) = payload.split_first_chunk::<8>()?;
        let [tag, status, _, _, a, b, c, d] = *head;
        let guid = self.guid();
        let session = self.session(u32::from_le_bytes([a, b, c, d]))?;
        let Stage::Named(named) = &session.stage else { return None };
        let (suite, console) = (session.suite, session.console.to_le_bytes());
        let key = Mac::new(suite, now.fleet.password.as_bytes());
        if status != 0 || code != key.over(&[&named.own_random, &console, &named.tail]) {
            let id = session.id;
            self.sessions.retain(|session| session.id != id);
            let refusal = [&[tag, INVALID_CHECK_VALUE, 0, 0], &console[..]].concat();
            packet::setup(0x15, &refusal, out);
            return Some(());
        }
        let keys = Keys::new(suite, &key.over(&[&named.console_random, &named.own_random, &named.tail]));
        let mut answer = [&[tag, 0, 0, 0], &console[..]].concat();
        let covered = [&named.console_random[..], &session.id.to_le_bytes(), &guid];
        keys.sik.append(&covered, suite.code_bytes(), &mut answer);
        packet::setup(0x15, &answer, out);
        session.used = now.at;
        session.stage = Stage::Up(Box::new(Up { keys, seen: 0, sent: 0, told: None }));
        now.counts.opened.add(1);
        Some(())
    }

    fn sealed(&mut self, sealed: &Sealed<'_>, now: &Now<'_>, out: &mut Vec<u8>) -> Option<()> {
        let number = self.number;
        let session = self.session(sealed.session)?;
        if now.at.since(session.used) >= SESSION_LIFE {
            self.expire(now);
            return None;
        }
        let Stage::Up(up) = &mut session.stage else { return None };
        let message = sealed.open(&up.keys)?;
        // On loopback nothing overtakes: what is not newer was seen before.
        if sealed.sequence <= up.seen {
            return None;
        }
        let command = Command::parse(&message)?;
        (up.seen, up.sent, session.used) = (sealed.sequence, up.sent + 1, now.at);
        let watts = (now.fleet.watts)(number, now.second);
        let (reply, effect) = command.within(session.id, watts, now.second);
        let mut iv = [0; 16];
        getrandom::fill(&mut iv).ok()?;
        packet::seal(&up.keys, session.console, up.sent, iv, &reply, out);
        let id = session.id;
        match effect {
            Effect::None => {}
            Effect::Power if up.told.replace(command.seq) == Some(command.seq) => {
                now.counts.repeated.add(1);
            }
            Effect::Power => self.tell(now),
            Effect::Close => {
                self.sessions.retain(|session| session.id != id);
                now.counts.closed.add(1);
            }
        }
        Some(())
    }

    /// Counts a reading, and the places on the grid that were passed over before it. One that is late by less than nine
    /// tenths of an interval is none.
    fn tell(&mut self, now: &Now<'_>) {
        now.counts.readings.add(1);
        let Some(grid) = &mut self.grid else {
            now.counts.first_readings.add(1);
            self.grid = Some(Grid { origin: now.at, intervals: 0 });
            return;
        };
        grid.intervals += 1;
        let elapsed = now.fleet.interval * grid.intervals;
        let late = now.at.since(grid.origin).saturating_sub(elapsed);
        let skipped = late.div_duration_f64(now.fleet.interval) + 0.1;
        let skipped = u32::try_from(counted(skipped)).unwrap_or(u32::MAX);
        grid.intervals += skipped;
        grid.origin = grid.origin.min(now.at.before(elapsed + now.fleet.interval * skipped));
        now.counts.skipped.add(skipped.into());
    }

    fn guid(&self) -> [u8; 16] {
        let mut guid = *b"wattribute-sim\0\0";
        guid.iter_mut().rev().zip(self.number.to_le_bytes()).for_each(|(to, from)| *to = from);
        guid
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Readings skipped by a client that reads at these milliseconds of a grid of one second.
    fn skipped(milliseconds: &[u64]) -> u64 {
        let (mut bmc, counts) = (Bmc::new(0), Counts::default());
        let fleet = Fleet {
            count: 1,
            suites: Suite::ALL.to_vec(),
            user: String::new(),
            password: String::new(),
            max_sessions: 4,
            interval: Duration::from_secs(1),
            watts: Arc::new(|_, _| 0),
        };
        for ms in milliseconds {
            let at = Moment::from_nanos((10_000 + ms) * 1_000_000);
            bmc.tell(&Now { fleet: &fleet, counts: &counts, at, second: 0 });
        }
        counts.skipped.get()
    }

    #[test]
    fn a_reading_that_never_came_is_noticed_and_a_late_one_is_none() {
        assert_eq!(skipped(&[0, 1000, 2003, 2999, 4001]), 0);
        assert_eq!(skipped(&[0, 1000, 3000, 4000]), 1);
        assert_eq!(skipped(&[0, 1000, 5000, 6000, 8000]), 4);
        assert_eq!(skipped(&[0, 1000, 2700, 3000, 4000]), 0, "late");
        assert_eq!(skipped(&[600, 1010, 2000, 4000]), 1, "the first one was late");
    }
}
