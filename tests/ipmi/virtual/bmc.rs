//! A BMC in memory: the server's side of RMCP+, a session table of four, DCMI power, one sensor. It counts what is opened and
//! closed, and how many places of its table were taken at once.

use std::collections::BTreeMap;
use std::time::Duration;

use wattribute::model::Moment;

use super::crypto::{code_len, decrypt, encrypt, hmac};

/// Places in the session table.
pub const TABLE: usize = 4;
/// What it drops: sessions and handshakes that were silent for this long.
const SILENCE: Duration = Duration::from_secs(60);

/// A place in the session table.
struct Held {
    console: u32,
    suite: u8,
    live: bool,
    rm: Vec<u8>,
    rc: [u8; 16],
    tail: Vec<u8>,
    k1: Vec<u8>,
    aes: Vec<u8>,
    seen: u32,
    sent: u32,
    last: Moment,
}

/// What it does out of the ordinary.
#[derive(Default)]
pub struct Knobs {
    /// RAKP 2 and RAKP 4 are answered with this status.
    pub rakp2: Option<u8>,
    pub rakp4: Option<u8>,
    /// So many next commands are answered with C0h.
    pub busy: u32,
    /// Completion code of DCMI.
    pub dcmi: u8,
    /// DCMI completes without data.
    pub empty: bool,
    /// Replies are sealed for another session of ours.
    pub other_session: bool,
    /// Replies are packets whose payload has no bytes, with a good integrity code.
    pub no_payload: bool,
    /// Places that others hold.
    pub others: usize,
    /// It is off until then.
    pub down: Option<Moment>,
    /// It never answers Close Session.
    pub mute_close: bool,
}

pub struct Bmc {
    pub password: Vec<u8>,
    pub knobs: Knobs,
    pub watts: u16,
    sessions: BTreeMap<u32, Held>,
    ids: u32,
    /// Sessions that were opened, closed by us, dropped for their silence, lost in a restart.
    pub opened: usize,
    pub closed: usize,
    pub dropped: usize,
    pub forgotten: usize,
    /// The most places taken at once, half-open ones included.
    pub most: usize,
    /// Open Session Requests, and sealed requests that were good.
    pub asked: usize,
    pub requests: usize,
}

const GUID: [u8; 16] = *b"a-virtual-bmc---";

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

/// The message that answers the message `request`.
fn reply(request: &[u8], code: u8, data: &[u8]) -> Vec<u8> {
    let mut head = vec![0x81, request[1] | 4];
    head.push(sum(&head));
    let mut body = vec![0x20, request[4], request[5], code];
    body.extend(data);
    body.push(sum(&body));
    [head, body].concat()
}

fn sessionless(message: &[u8]) -> Vec<u8> {
    [&[6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, u8::try_from(message.len()).unwrap()], message].concat()
}

fn header(kind: u8, session: u32, sequence: u32, payload: usize) -> Vec<u8> {
    let len = u16::try_from(payload).unwrap();
    let mut out = vec![6, kind];
    out.extend(session.to_le_bytes());
    out.extend(sequence.to_le_bytes());
    out.extend(len.to_le_bytes());
    out
}

fn setup(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[6, 0, 0xff, 7], header(kind, 0, 0, payload.len()).as_slice(), payload].concat()
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[..4].try_into().unwrap())
}

impl Bmc {
    pub fn new() -> Self {
        Self {
            password: b"password".to_vec(),
            knobs: Knobs::default(),
            watts: 0,
            sessions: BTreeMap::new(),
            ids: 0x4000,
            opened: 0,
            closed: 0,
            dropped: 0,
            forgotten: 0,
            most: 0,
            asked: 0,
            requests: 0,
        }
    }

    /// Loses all sessions, and is off until `until`.
    pub fn restart(&mut self, until: Moment) {
        self.forgotten += self.sessions.values().filter(|held| held.live).count();
        self.sessions.clear();
        self.knobs.down = Some(until);
    }

    /// Sessions that it holds.
    pub fn live(&self) -> usize {
        self.sessions.values().filter(|held| held.live).count()
    }

    /// Takes a datagram; what it answers.
    pub fn receive(&mut self, datagram: &[u8], now: Moment) -> Option<Vec<u8>> {
        if self.knobs.down.is_some_and(|until| now < until) {
            return None;
        }
        self.drop_silent(now);
        if datagram.len() < 16 || datagram[..2] != [6, 0] || datagram[3] != 7 {
            return None;
        }
        let answer = match (datagram[4], datagram[5]) {
            (0, _) => self.outside(&datagram[14..]),
            (6, 0x10) => self.open_session(&datagram[16..], now),
            (6, 0x12) => self.rakp1(&datagram[16..], now),
            (6, 0x14) => self.rakp3(&datagram[16..], now),
            (6, 0xc0) => self.sealed(datagram, now),
            _ => None,
        };
        self.most = self.most.max(self.sessions.len());
        answer
    }

    pub fn drop_silent(&mut self, now: Moment) {
        let before = self.live();
        self.sessions.retain(|_, held| now.since(held.last) < SILENCE);
        self.dropped += before - self.live();
    }

    fn outside(&self, request: &[u8]) -> Option<Vec<u8>> {
        let answer = match request[5] {
            0x38 => reply(request, 0, &[1, 0x80, 4, 2, 0, 0, 0, 0]),
            0x54 => reply(request, 0, &[1, 0xc0, 3, 1, 0x41, 0x81, 0xc0, 17, 3, 0x44, 0x81]),
            _ => return None,
        };
        Some(sessionless(&answer))
    }

    fn open_session(&mut self, p: &[u8], now: Moment) -> Option<Vec<u8>> {
        self.asked += 1;
        let (tag, console) = (p[0], &p[4..8]);
        if self.sessions.len() + self.knobs.others >= TABLE {
            return Some(setup(0x11, &[&[tag, 1, 0, 0], console].concat()));
        }
        let suite = match (p[12], p[20], p[28]) {
            (1, 1, 1) => 3,
            (3, 4, 1) => 17,
            _ => return Some(setup(0x11, &[&[tag, 0x11, 0, 0], console].concat())),
        };
        self.ids += 1;
        let held = Held {
            console: word(console),
            suite,
            live: false,
            rm: Vec::new(),
            rc: [0; 16],
            tail: Vec::new(),
            k1: Vec::new(),
            aes: Vec::new(),
            seen: 0,
            sent: 0,
            last: now,
        };
        self.sessions.insert(self.ids, held);
        Some(setup(0x11, &[&[tag, 0, 4, 0], console, &self.ids.to_le_bytes(), &p[8..32]].concat()))
    }

    fn rakp1(&mut self, p: &[u8], now: Moment) -> Option<Vec<u8>> {
        let (tag, id) = (p[0], word(&p[4..8]));
        let held = self.sessions.get_mut(&id)?;
        let console = held.console.to_le_bytes();
        if let Some(status) = self.knobs.rakp2 {
            return Some(setup(0x13, &[&[tag, status, 0, 0], console.as_slice()].concat()));
        }
        held.last = now;
        held.rm = p[8..24].to_vec();
        held.rc = std::array::from_fn(|at| u8::try_from(at).unwrap() ^ id.to_le_bytes()[0]);
        held.tail = [&[p[24], p[27]], &p[28..]].concat();
        let code =
            hmac(held.suite, &self.password, &[&console, &p[4..8], &held.rm, &held.rc, &GUID, &held.tail]);
        Some(setup(0x13, &[&[tag, 0, 0, 0], console.as_slice(), &held.rc, &GUID, &code].concat()))
    }

    fn rakp3(&mut self, p: &[u8], now: Moment) -> Option<Vec<u8>> {
        let (tag, id) = (p[0], word(&p[4..8]));
        let held = self.sessions.get_mut(&id)?;
        let console = held.console.to_le_bytes();
        let wanted = hmac(held.suite, &self.password, &[&held.rc, &console, &held.tail]);
        let refused = if p[1] == 0 && p[8..] == wanted { self.knobs.rakp4 } else { Some(0x0f) };
        if let Some(status) = refused {
            return Some(setup(0x15, &[&[tag, status, 0, 0], console.as_slice()].concat()));
        }
        let sik = hmac(held.suite, &self.password, &[&held.rm, &held.rc, &held.tail]);
        held.k1 = hmac(held.suite, &sik, &[&[1; 20]]);
        held.aes = hmac(held.suite, &sik, &[&[2; 20]])[..16].to_vec();
        held.last = now;
        if !std::mem::replace(&mut held.live, true) {
            self.opened += 1;
        }
        let code = hmac(held.suite, &sik, &[&held.rm, &p[4..8], &GUID]);
        Some(setup(0x15, &[&[tag, 0, 0, 0], console.as_slice(), &code[..code_len(held.suite)]].concat()))
    }

    fn sealed(&mut self, datagram: &[u8], now: Moment) -> Option<Vec<u8>> {
        let (id, sequence) = (word(&datagram[6..]), word(&datagram[10..]));
        let held = self.sessions.get_mut(&id).filter(|held| held.live)?;
        let (covered, code) = datagram[4..].split_at(datagram.len() - 4 - code_len(held.suite));
        if hmac(held.suite, &held.k1, &[covered])[..code.len()] != *code || sequence <= held.seen {
            return None;
        }
        (held.seen, held.last) = (sequence, now);
        self.requests += 1;
        let len = usize::from(u16::from_le_bytes([datagram[14], datagram[15]]));
        let request = decrypt(&held.aes, &datagram[16..16 + len]);
        let ends = request[5] == 0x3c;
        let (code, data) = self.answer(&request);
        let answer = self.seal(id, &reply(&request, code, &data));
        if !ends {
            return Some(answer);
        }
        self.sessions.remove(&id);
        self.closed += 1;
        (!self.knobs.mute_close).then_some(answer)
    }

    fn seal(&mut self, id: u32, message: &[u8]) -> Vec<u8> {
        let knobs = &self.knobs;
        let held = self.sessions.get_mut(&id).unwrap();
        held.sent += 1;
        let iv = std::array::from_fn(|at| held.sent.to_le_bytes()[at % 4]);
        let payload = if knobs.no_payload { Vec::new() } else { encrypt(&held.aes, iv, message) };
        let console = if knobs.other_session { held.console ^ 1 } else { held.console };
        let mut out = header(0xc0, console, held.sent, payload.len());
        out.extend(&payload);
        let pad = (4 - (out.len() + 2) % 4) % 4;
        out.extend(vec![0xff; pad]);
        out.extend([u8::try_from(pad).unwrap(), 7]);
        let code = hmac(held.suite, &held.k1, &[&out]);
        [&[6, 0, 0xff, 7], out.as_slice(), &code[..code_len(held.suite)]].concat()
    }

    fn answer(&mut self, request: &[u8]) -> (u8, Vec<u8>) {
        let data = &request[6..request.len() - 1];
        if self.knobs.busy > 0 && request[5] != 0x3c {
            self.knobs.busy -= 1;
            return (0xc0, Vec::new());
        }
        match (request[1] >> 2, request[5]) {
            (6, 0x01) => (0, vec![0x20, 1, 2, 0x17, 2, 0x9f, 0xa2, 2, 0, 0, 1]),
            (6, 0x3b) => (0, vec![data[0]]),
            (6, 0x3c) => (0, Vec::new()),
            (0, 0x01) => (0, vec![1, 0, 0]),
            (0x2c, 0x02) if self.knobs.dcmi != 0 => (self.knobs.dcmi, Vec::new()),
            (0x2c, 0x02) if self.knobs.empty => (0, Vec::new()),
            (0x2c, 0x02) => {
                let watts = self.watts.to_le_bytes();
                let mut out = vec![0xdc];
                out.extend(watts.repeat(4));
                out.extend([0; 4]);
                out.extend(1000u32.to_le_bytes());
                out.push(0x40);
                (0, out)
            }
            (0x0a, 0x20) => (0, vec![0x51, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2]),
            (0x0a, 0x22) => (0, vec![7, 0]),
            (0x0a, 0x23) => {
                let record = long_record();
                let (from, count) = (usize::from(data[4]), usize::from(data[5]));
                if count > 32 {
                    return (0xca, Vec::new());
                }
                let to = (from + count).min(record.len());
                (0, [&[0xff, 0xff], &record[from.min(to)..to]].concat())
            }
            // In steps of 4 W.
            (4, 0x2d) => (0, vec![u8::try_from(self.watts / 4 % 256).unwrap(), 0xc0, 0xc0]),
            _ => (0xc1, Vec::new()),
        }
    }
}

/// A full sensor record that says, and has, 255 bytes behind its head: far more than the 59 that one can need. Entity 7,
/// sensor type other units (0Bh), watts (6), M = 4, B = 0: watts are four times the raw byte.
fn long_record() -> Vec<u8> {
    let mut out = vec![1, 0, 0x51, 1, 255];
    out.extend([0x20, 0, 1, 7, 1, 0x7f, 0x68, 0x0b, 1, 0, 0, 0, 0, 0, 0]);
    out.extend([0, 6, 0, 0, 4, 0, 0, 0, 0, 0]);
    out.extend([0; 17]);
    out.push(0xc9);
    out.extend(b"Sys Power");
    out.resize(5 + 255, 0xee);
    out
}
