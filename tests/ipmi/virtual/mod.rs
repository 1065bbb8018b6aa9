//! A network in memory with BMCs on it, so that hours of faults pass in a moment: time is tokio's, paused.

use std::collections::{HashMap, VecDeque};
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;
use wattribute::drivers::ipmi::Random;
use wattribute::drivers::ipmi::network::{Network, Socket};
use wattribute::model::{BoxFuture, Clock, Moment, SystemClock};

pub mod bmc;
mod crypto;

pub use bmc::Bmc;

/// Numbers that look random and are the same in every run (xorshift).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, faces: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % faces
    }
}

/// The driver's random numbers.
pub struct Drawn(pub Mutex<Dice>);

impl Random for Drawn {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        let mut dice = self.0.lock().unwrap();
        bytes.iter_mut().for_each(|byte| *byte = u8::try_from(dice.below(256)).unwrap());
        true
    }
}

/// From the driver to the BMC and back.
const ROUND: Duration = Duration::from_millis(2);

/// A datagram on its way to the driver.
pub struct Delivery {
    pub after: Duration,
    pub bytes: Vec<u8>,
    pub foreign: bool,
}

/// As it comes.
pub fn pass(reply: &[u8]) -> Vec<Delivery> {
    vec![after(0, reply)]
}

/// Late by `millis`.
pub fn after(millis: u64, reply: &[u8]) -> Delivery {
    Delivery { after: Duration::from_millis(millis), bytes: reply.to_vec(), foreign: false }
}

/// What becomes of a BMC's reply.
pub type Fate = Box<dyn FnMut(&[u8]) -> Vec<Delivery> + Send>;

struct Station {
    bmc: Bmc,
    fate: Fate,
    /// Requests that do not arrive: so many of the next.
    deaf: usize,
}

#[derive(Default)]
struct Inbox {
    datagrams: VecDeque<(Vec<u8>, SocketAddr)>,
    reader: Option<Waker>,
}

#[derive(Default)]
struct State {
    stations: HashMap<SocketAddr, Station>,
    inboxes: HashMap<SocketAddr, Inbox>,
}

/// The network.
#[derive(Clone)]
pub struct Air {
    state: Arc<Mutex<State>>,
    pub clock: Arc<SystemClock>,
}

impl Air {
    pub fn new() -> Self {
        Self { state: Arc::default(), clock: Arc::new(SystemClock::new()) }
    }

    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts a BMC at `at`.
    pub fn put(&self, at: &str, bmc: Bmc) {
        self.state().stations.insert(at.parse().unwrap(), Station { bmc, fate: Box::new(pass), deaf: 0 });
    }

    /// Looks into the BMC at `at`, or changes it.
    pub fn bmc<T>(&self, at: &str, change: impl FnOnce(&mut Bmc) -> T) -> T {
        change(&mut self.state().stations.get_mut(&at.parse().unwrap()).unwrap().bmc)
    }

    /// Whether all BMCs are so.
    pub fn all(&self, so: impl Fn(&Bmc) -> bool) -> bool {
        self.state().stations.values().all(|station| so(&station.bmc))
    }

    /// What becomes of its replies from now on.
    pub fn fate(&self, at: &str, fate: impl FnMut(&[u8]) -> Vec<Delivery> + Send + 'static) {
        self.state().stations.get_mut(&at.parse().unwrap()).unwrap().fate = Box::new(fate);
    }

    /// Loses the next requests.
    pub fn lose(&self, at: &str, requests: usize) {
        self.state().stations.get_mut(&at.parse().unwrap()).unwrap().deaf = requests;
    }

    fn deliver(&self, to: SocketAddr, from: SocketAddr, delivery: Delivery) {
        let air = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(ROUND + delivery.after).await;
            let mut state = air.state();
            if let Some(inbox) = state.inboxes.get_mut(&to) {
                inbox.datagrams.push_back((delivery.bytes, from));
                inbox.reader.take().into_iter().for_each(Waker::wake);
            }
        });
    }
}

impl Network for Air {
    fn bind(&self, v6: bool) -> BoxFuture<'_, io::Result<Box<dyn Socket>>> {
        let mut state = self.state();
        let host = if v6 { "[::1]" } else { "127.0.0.1" };
        let own: SocketAddr = format!("{host}:{}", 40_000 + state.inboxes.len()).parse().unwrap();
        state.inboxes.insert(own, Inbox::default());
        Box::pin(ready(Ok(Box::new(Port { air: self.clone(), own }) as Box<dyn Socket>)))
    }
}

struct Port {
    air: Air,
    own: SocketAddr,
}

impl Socket for Port {
    fn try_send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let now = self.air.now();
        let mut state = self.air.state();
        let Some(station) = state.stations.get_mut(&to) else { return Ok(()) };
        if station.deaf > 0 {
            station.deaf -= 1;
            return Ok(());
        }
        let reply = station.bmc.receive(datagram, now);
        let deliveries = reply.map_or_else(Vec::new, |reply| (station.fate)(&reply));
        drop(state);
        for delivery in deliveries {
            let from = if delivery.foreign { "10.9.9.9:623".parse().unwrap() } else { to };
            self.air.deliver(self.own, from, delivery);
        }
        Ok(())
    }

    fn room(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(ready(Ok(())))
    }

    fn poll_receive(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        let mut state = self.air.state();
        let inbox = state.inboxes.get_mut(&self.own).unwrap();
        let Some((datagram, from)) = inbox.datagrams.pop_front() else {
            inbox.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        into.put_slice(&datagram[..datagram.len().min(into.remaining())]);
        Poll::Ready(Ok(from))
    }
}
