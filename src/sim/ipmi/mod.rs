//! Simulated BMCs: IPMI v2.0 over UDP in cipher suites 3 and 17, thousands of them on one thread.
//!
//! Each has a port of its own, since clients tell BMCs apart by address; one `epoll` watches all, so that the simulator costs
//! little beside the exporter under test. Sessions are scarce and counted, and the watts that a BMC shows follow from its
//! number and the second, so that a reading that went to the wrong meter is noticed.

mod bmc;
mod commands;
mod crypto;
mod packet;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::net::sockopt;

use super::endpoint::counted;
use crate::model::Clock;
use bmc::{Bmc, Now};
pub use crypto::Suite;

/// Name of the simulator's thread, by which its CPU time can be found.
pub const THREAD: &str = "simulated-bmcs";
/// How many sockets may be ready at a time.
const EVENTS: usize = 256;
/// Ports taken on one address before the next of 127.0.0.0/8 is used.
const PORTS: u32 = 12_000;
/// What one BMC keeps of requests that wait: a silent one must not fill the kernel's memory.
const RECEIVE_BUFFER_BYTES: usize = 4096;

/// Power that a BMC shows, W, by its number and the second since the Unix epoch.
pub type Power = Arc<dyn Fn(u32, u64) -> u16 + Send + Sync>;

/// BMCs that differ in nothing but number and power.
#[derive(Clone)]
pub struct Fleet {
    /// How many.
    pub count: u32,
    /// Suites that they offer.
    pub suites: Vec<Suite>,
    /// The one user.
    pub user: String,
    /// Its password, at most 20 bytes.
    pub password: String,
    /// Places in each session table; real BMCs have four and more.
    pub max_sessions: usize,
    /// How often they are expected to be read: longer gaps are counted.
    pub interval: Duration,
    /// What they show.
    pub watts: Power,
}

/// A count that only rises.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Up to now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, n: u64) -> u64 {
        self.0.fetch_add(n, Ordering::Relaxed)
    }
}

/// What all BMCs of a fleet have seen.
#[derive(Debug, Default)]
pub struct Counts {
    /// Datagrams.
    pub datagrams: Count,
    /// Datagrams that were not understood, not authentic, repeated, or for a session that does not exist.
    pub bad: Count,
    /// Open Session requests that were granted.
    pub setups: Count,
    /// Open Session requests refused since the table was full.
    pub refused: Count,
    /// Sessions that came up.
    pub opened: Count,
    /// Sessions that were closed.
    pub closed: Count,
    /// Sessions dropped after a minute of silence.
    pub expired: Count,
    /// Power readings told.
    pub readings: Count,
    /// Power readings told again, since the request came again.
    pub repeated: Count,
    /// BMCs that told their first.
    pub first_readings: Count,
    /// Intervals that passed without a reading, between two readings of the same BMC. What comes late by nine tenths of an
    /// interval counts as one.
    pub skipped: Count,
}

impl Counts {
    /// Sessions that are up.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.opened.get().saturating_sub(self.closed.get() + self.expired.get())
    }
}

/// Watts that follow from number and second such that no two of up to 60,000 BMCs show the same at a time, nor one of them
/// the same twice in 60,000 s: 100 W to 60,099 W.
#[must_use]
pub fn checkable_watts(number: u32, second: u64) -> u16 {
    // 31 and 7919 are prime to 60,000.
    let place = (u64::from(number) * 31 + second % 60_000 * 7919) % 60_000;
    u16::try_from(place + 100).unwrap_or(u16::MAX)
}

/// A fleet that runs; it ends when dropped.
pub struct Running {
    /// One for each BMC.
    pub addresses: Vec<SocketAddr>,
    /// What they have seen.
    pub counts: Arc<Counts>,
    answering: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// From now on only BMCs with numbers below `count` answer.
    pub fn answer_below(&self, count: u32) {
        self.answering.store(count, Ordering::Relaxed);
    }
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
    let (mut bmcs, mut addresses) = (Vec::new(), Vec::new());
    for number in 0..fleet.count {
        let host = u8::try_from(1 + number / PORTS).unwrap_or(u8::MAX);
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0))?;
        socket.set_nonblocking(true)?;
        sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES)?;
        epoll::add(&poll, &socket, epoll::EventData::new_u64(number.into()), epoll::EventFlags::IN)?;
        addresses.push(socket.local_addr()?);
        bmcs.push((socket, Bmc::new(number)));
    }
    let counts = Arc::new(Counts::default());
    let (stop, answering) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(fleet.count)));
    let served = Served {
        poll,
        bmcs,
        fleet,
        clock,
        counts: counts.clone(),
        answering: answering.clone(),
        stop: stop.clone(),
    };
    let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || served.run())?;
    Ok(Running { addresses, counts, answering, stop, thread: Some(thread) })
}

struct Served {
    poll: std::os::fd::OwnedFd,
    bmcs: Vec<(UdpSocket, Bmc)>,
    fleet: Fleet,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    answering: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
}

impl Served {
    fn run(mut self) {
        let mut ready = Vec::with_capacity(EVENTS);
        let (mut buffer, mut reply) = ([0; 1024], Vec::with_capacity(256));
        let patience = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while !self.stop.load(Ordering::Relaxed) {
            ready.clear();
            // Interrupted by a signal: the same as nothing.
            let _ = epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut ready), Some(&patience));
            let now = Now {
                fleet: &self.fleet,
                counts: &self.counts,
                at: self.clock.now(),
                second: counted(self.clock.unix_seconds()),
            };
            let answering = u64::from(self.answering.load(Ordering::Relaxed));
            for event in &ready {
                let data = event.data;
                let number = data.u64();
                let Some((socket, bmc)) = usize::try_from(number).ok().and_then(|n| self.bmcs.get_mut(n))
                else {
                    continue;
                };
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                self.counts.datagrams.add(1);
                if number >= answering {
                    continue;
                }
                reply.clear();
                bmc.datagram(buffer.get(..len).unwrap_or_default(), &now, &mut reply);
                if !reply.is_empty() {
                    // What is lost is asked for again.
                    let _ = socket.send_to(&reply, from);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_bmcs_show_the_same_at_a_time() {
        let shown: HashSet<_> = (0..60_000).map(|n| checkable_watts(n, 1_800_000_000)).collect();
        assert_eq!(shown.len(), 60_000);
        assert!((0..30).all(|s| checkable_watts(5, s) != checkable_watts(5, s + 1)));
    }
}
