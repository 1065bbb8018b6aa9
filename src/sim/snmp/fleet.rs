//! Thousands of SNMP v2c agents that show the same variables, on one thread, for load. Some of what they are asked gets lost, and all
//! answers may be late; the watts that an agent shows follow from its number and the second, so that a reading that went to the
//! wrong meter is noticed. One `epoll` watches all sockets, so that they cost little beside the exporter under test.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{Timespec, epoll};

use super::ber::{self, Backwards, tag};
use crate::model::{Clock, Moment};
use crate::sim::endpoint::counted;
use crate::sim::ipmi::checkable_watts;

/// Name of the simulator's thread, by which its CPU time can be found.
pub const THREAD: &str = "simulated-pdus";
/// How many sockets may be ready at a time.
const EVENTS: usize = 256;
/// Ports taken on one address before the next of 127.0.0.0/8 is used.
const PORTS: u32 = 12_000;
/// The most variables of one answer.
const MAX_ROWS: usize = 100;
/// How long nothing may happen before the thread looks whether it should end.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a variable shows.
#[derive(Debug, Clone)]
pub enum Shown {
    /// INTEGER.
    Integer(i32),
    /// Gauge32.
    Gauge(u32),
    /// OCTET STRING.
    Text(String),
    /// OBJECT IDENTIFIER.
    Oid(Vec<u32>),
    /// TimeTicks since the start.
    UpTime,
    /// INTEGER: [`checkable_watts`] of the agent's number and the second.
    Watts,
}

/// A variable's object identifier as it is sent, and what it shows.
type Entry = (Vec<u8>, Shown);

/// Every variable of an agent.
#[derive(Debug, Clone, Default)]
pub struct Tree(BTreeMap<Vec<u32>, Entry>);

impl Tree {
    /// Adds a variable.
    #[must_use]
    pub fn with(mut self, arcs: &[u32], shown: Shown) -> Self {
        self.0.insert(arcs.to_vec(), (ber::oid(arcs), shown));
        self
    }

    /// How many variables there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn after(&self, arcs: &[u32]) -> Option<(&[u32], &Entry)> {
        let mut range = self.0.range::<[u32], _>((Bound::Excluded(arcs), Bound::Unbounded));
        range.next().map(|(arcs, entry)| (arcs.as_slice(), entry))
    }
}

/// Agents that differ in nothing but number and watts.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// How many.
    pub count: u32,
    /// Who knows it may read.
    pub community: String,
    /// What they show.
    pub tree: Tree,
    /// Part of the requests that get lost, 0 to 1.
    pub loss: f64,
    /// How late each answer is.
    pub delay: Duration,
}

/// What all agents of a fleet have seen.
#[derive(Debug, Default)]
pub struct Counts {
    requests: AtomicU64,
    lost: AtomicU64,
    bad: AtomicU64,
    variables: AtomicU64,
}

impl Counts {
    /// Requests that came, lost ones included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that got lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Requests that were not understood, or of another community.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.bad.load(Ordering::Relaxed)
    }

    /// Variables told.
    #[must_use]
    pub fn variables(&self) -> u64 {
        self.variables.load(Ordering::Relaxed)
    }
}

/// A fleet that runs; it ends when dropped.
pub struct Running {
    /// One for each agent.
    pub addresses: Vec<SocketAddr>,
    /// What they have seen.
    pub counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // What the thread may have died of, it has printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Starts `fleet` on loopback.
///
/// # Errors
/// When ports or descriptors run out, or there is no thread.
pub fn start(fleet: Fleet, clock: Arc<dyn Clock>) -> io::Result<Running> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
    for number in 0..fleet.count {
        let host = u8::try_from(1 + number / PORTS).unwrap_or(u8::MAX);
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0))?;
        socket.set_nonblocking(true)?;
        epoll::add(&poll, &socket, epoll::EventData::new_u64(number.into()), epoll::EventFlags::IN)?;
        addresses.push(socket.local_addr()?);
        sockets.push(socket);
    }
    let (counts, stop) = (Arc::new(Counts::default()), Arc::new(AtomicBool::new(false)));
    let started = clock.now();
    let served = Served {
        poll,
        sockets,
        fleet,
        clock,
        started,
        counts: Arc::clone(&counts),
        stop: Arc::clone(&stop),
        late: VecDeque::new(),
        chance: 0x9E37_79B9_7F4A_7C15,
    };
    let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || served.run())?;
    Ok(Running { addresses, counts, stop, thread: Some(thread) })
}

/// An answer that is late by purpose.
struct Late {
    asked: Moment,
    number: u32,
    to: SocketAddr,
    answer: Vec<u8>,
}

struct Served {
    poll: std::os::fd::OwnedFd,
    sockets: Vec<UdpSocket>,
    fleet: Fleet,
    clock: Arc<dyn Clock>,
    started: Moment,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    late: VecDeque<Late>,
    chance: u64,
}

impl Served {
    fn run(mut self) {
        let mut ready = Vec::with_capacity(EVENTS);
        let mut buffer = [0; 4096];
        while !self.stop.load(Ordering::Relaxed) {
            ready.clear();
            let now = self.clock.now();
            let due = self.late.front().map(|late| self.fleet.delay.saturating_sub(now.since(late.asked)));
            let patience = due.unwrap_or(PATIENCE).min(PATIENCE);
            let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) };
            // Interrupted by a signal: the same as nothing.
            let _ = epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut ready), Some(&patience));
            for event in &ready {
                let data = event.data;
                let Ok(number) = u32::try_from(data.u64()) else { continue };
                let Some(socket) = self.socket(number) else { continue };
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                self.request(number, from, buffer.get(..len).unwrap_or_default());
            }
            self.send_due();
        }
    }

    fn socket(&self, number: u32) -> Option<&UdpSocket> {
        self.sockets.get(usize::try_from(number).ok()?)
    }

    fn request(&mut self, number: u32, from: SocketAddr, datagram: &[u8]) {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        if self.is_lost() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let Some(answer) = self.answer(number, datagram) else {
            self.counts.bad.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if self.fleet.delay.is_zero() {
            // What is lost is asked for again.
            let _ = self.socket(number).map(|socket| socket.send_to(&answer, from));
        } else {
            self.late.push_back(Late { asked: self.clock.now(), number, to: from, answer });
        }
    }

    /// Whether the next request gets lost: by chance (xorshift), and the same in every run.
    fn is_lost(&mut self) -> bool {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let share = f64::from(u32::try_from(self.chance >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        share < self.fleet.loss
    }

    fn send_due(&mut self) {
        let now = self.clock.now();
        while self.late.front().is_some_and(|late| now.since(late.asked) >= self.fleet.delay) {
            let Some(late) = self.late.pop_front() else { return };
            let _ = self.socket(late.number).map(|socket| socket.send_to(&late.answer, late.to));
        }
    }

    /// The answer to a request; none to what is not one.
    fn answer(&self, number: u32, datagram: &[u8]) -> Option<Vec<u8>> {
        let (message, _) = ber::tagged(tag::SEQUENCE, datagram)?;
        let (version, rest) = ber::integer(message)?;
        let (community, rest) = ber::tagged(tag::TEXT, rest)?;
        if version != 1 || community != self.fleet.community.as_bytes() {
            return None;
        }
        let (pdu, body, _) = ber::value(rest)?;
        let (id, rest) = ber::integer(body)?;
        let (non_repeaters, rest) = ber::integer(rest)?;
        let (repetitions, rest) = ber::integer(rest)?;
        let (mut rows, _) = ber::tagged(tag::SEQUENCE, rest)?;
        let mut asked = Vec::new();
        while !rows.is_empty() {
            let (row, rest) = ber::tagged(tag::SEQUENCE, rows)?;
            let (oid, _) = ber::tagged(tag::OID, row)?;
            asked.push((ber::arcs(oid)?, oid));
            rows = rest;
        }
        let mut out = Backwards::default();
        let rows = match pdu {
            tag::GET => {
                asked.iter().map(|(arcs, oid)| (*oid, self.fleet.tree.0.get(arcs).map(|e| &e.1))).collect()
            }
            tag::GET_NEXT => asked.iter().map(|(arcs, oid)| self.next(arcs, oid)).collect(),
            tag::GET_BULK => self.bulk(&asked, non_repeaters, repetitions),
            _ => return None,
        };
        let absent = if pdu == tag::GET { tag::NO_SUCH } else { tag::END };
        self.counts.variables.fetch_add(u64::try_from(rows.len()).unwrap_or(0), Ordering::Relaxed);
        for (oid, shown) in rows.iter().rev() {
            let end = out.len();
            self.show(number, *shown, absent, &mut out);
            out.bytes(tag::OID, oid);
            out.head(tag::SEQUENCE, end);
        }
        out.head(tag::SEQUENCE, 0);
        out.number(tag::INTEGER, 0);
        out.number(tag::INTEGER, 0);
        out.number(tag::INTEGER, id);
        out.head(tag::RESPONSE, 0);
        out.bytes(tag::TEXT, community);
        out.number(tag::INTEGER, 1);
        out.head(tag::SEQUENCE, 0);
        Some(out.finish())
    }

    fn next<'a>(&'a self, arcs: &[u32], oid: &'a [u8]) -> (&'a [u8], Option<&'a Shown>) {
        self.fleet.tree.after(arcs).map_or((oid, None), |(_, (oid, shown))| (oid.as_slice(), Some(shown)))
    }

    fn bulk<'a>(
        &'a self,
        asked: &'a [(Vec<u32>, &[u8])],
        non_repeaters: i64,
        repetitions: i64,
    ) -> Vec<(&'a [u8], Option<&'a Shown>)> {
        let once = usize::try_from(non_repeaters).unwrap_or(0).min(asked.len());
        let (once, repeated) = asked.split_at(once);
        let mut rows: Vec<_> = once.iter().map(|(arcs, oid)| self.next(arcs, oid)).collect();
        let mut at: Vec<(&[u32], &[u8])> =
            repeated.iter().map(|(arcs, oid)| (arcs.as_slice(), *oid)).collect();
        for _ in 0..repetitions {
            for place in &mut at {
                if rows.len() >= MAX_ROWS {
                    return rows;
                }
                match self.fleet.tree.after(place.0) {
                    Some((arcs, (oid, shown))) => {
                        *place = (arcs, oid);
                        rows.push((oid, Some(shown)));
                    }
                    None => rows.push((place.1, None)),
                }
            }
        }
        rows
    }

    fn show(&self, number: u32, shown: Option<&Shown>, absent: u8, out: &mut Backwards) {
        match shown {
            None => out.bytes(absent, &[]),
            Some(Shown::Integer(n)) => out.number(tag::INTEGER, i64::from(*n)),
            Some(Shown::Gauge(n)) => out.number(tag::GAUGE, i64::from(*n)),
            Some(Shown::Text(text)) => out.bytes(tag::TEXT, text.as_bytes()),
            Some(Shown::Oid(arcs)) => out.bytes(tag::OID, &ber::oid(arcs)),
            Some(Shown::UpTime) => {
                let up = self.clock.now().since(self.started).as_millis() / 10;
                out.number(tag::TICKS, i64::try_from(up).unwrap_or(i64::MAX));
            }
            Some(Shown::Watts) => {
                let second = counted(self.clock.unix_seconds());
                out.number(tag::INTEGER, i64::from(checkable_watts(number, second)));
            }
        }
    }
}
