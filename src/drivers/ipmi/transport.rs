//! The few sockets that all BMCs share, so that ten thousand of them need eight descriptors. What comes in is handed
//! to whom it may concern: packets of a session by our session id and the BMC's address, everything before that by the
//! address alone; whether it is right is the session's to say. What carries the datagrams is in `network`.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::Random;
use super::network::{Network, Socket};
use super::wire::packet::Datagram;
use crate::model::{ErrorKind, PollError};

/// Sockets for each address family. Four spread the receiving over the runtime's threads.
const SOCKETS: usize = 4;
/// Datagrams that may wait for one session; more are dropped, as the network might have.
const QUEUE: usize = 16;
/// No datagram of IPMI is longer: a session packet of 255 bytes with its headers. A longer one is cut, and then refused.
const MAX_DATAGRAM: usize = 1024;
/// Errors in a row after which a socket is given up.
const MAX_ERRORS: u32 = 100;

/// Datagrams that wait for one session. A tenth of a channel of tokio's in memory, which counts with ten thousand of them.
#[derive(Default)]
struct Mailbox {
    waiting: Mutex<VecDeque<Vec<u8>>>,
    arrived: Notify,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A full one drops it: whoever reads it is not waiting for this any more.
    fn put(&self, datagram: &[u8]) {
        let mut waiting = self.lock();
        if waiting.len() < QUEUE {
            waiting.push_back(datagram.to_vec());
            drop(waiting);
            self.arrived.notify_one();
        }
    }

    /// The next one, when it is there. Nothing is lost when the future is dropped.
    async fn take(&self) -> Vec<u8> {
        loop {
            let waiting = self.lock().pop_front();
            match waiting {
                Some(datagram) => return datagram,
                // One that came just now has left a permit.
                None => self.arrived.notified().await,
            }
        }
    }
}

/// Who wants the datagrams of one session.
struct Route {
    peer: SocketAddr,
    mailbox: Arc<Mailbox>,
}

/// By our session id, and the ids by the BMC's address.
#[derive(Default)]
struct Routes {
    by_session: HashMap<u32, Route>,
    by_peer: HashMap<SocketAddr, Vec<u32>>,
}

impl Routes {
    fn hand_over(&self, from: SocketAddr, datagram: &[u8]) {
        let to = |session: u32| {
            if let Some(route) = self.by_session.get(&session).filter(|route| route.peer == from) {
                route.mailbox.put(datagram);
            }
        };
        match Datagram::parse(datagram) {
            Some(Datagram::Sealed(sealed)) => to(sealed.session),
            // A v1.5 packet bears the BMC's id of the session, which only the session itself knows.
            Some(Datagram::Sessionless(_) | Datagram::Setup(..) | Datagram::Coded(_)) => {
                self.by_peer.get(&from).into_iter().flatten().copied().for_each(to);
            }
            None => {}
        }
    }
}

/// An open socket.
struct Open {
    socket: Arc<dyn Socket>,
    dead: Arc<AtomicBool>,
    /// Reads until the last lease and the slot are gone.
    _reader: AbortOnDropHandle<()>,
}

/// All of them, opened when first needed.
pub struct Sockets {
    network: Arc<dyn Network>,
    v4: [tokio::sync::Mutex<Option<Arc<Open>>>; SOCKETS],
    v6: [tokio::sync::Mutex<Option<Arc<Open>>>; SOCKETS],
    routes: Arc<Mutex<Routes>>,
    leased: AtomicUsize,
}

fn lock(routes: &Mutex<Routes>) -> MutexGuard<'_, Routes> {
    routes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address without what differs between two datagrams of the same peer.
const fn plain(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(mut v6) => {
            v6.set_flowinfo(0);
            SocketAddr::V6(v6)
        }
    }
}

impl Sockets {
    /// Opens nothing yet.
    pub fn new(network: Arc<dyn Network>) -> Self {
        Self {
            network,
            v4: Default::default(),
            v6: Default::default(),
            routes: Arc::default(),
            leased: AtomicUsize::default(),
        }
    }

    /// A place on a socket for one session with `peer`, with a session id of its own.
    ///
    /// # Errors
    /// `Unreachable` if the system gives no socket of that family, or no random numbers.
    pub async fn lease(&self, peer: SocketAddr, random: &dyn Random) -> Result<Lease, PollError> {
        let peer = plain(peer);
        let slots = if peer.is_ipv6() { &self.v6 } else { &self.v4 };
        let next = self.leased.fetch_add(1, Ordering::Relaxed) % SOCKETS;
        let Some(slot) = slots.get(next) else { return Err(no_socket(&"no slot")) };
        let mut slot = slot.lock().await;
        let open = match &*slot {
            Some(open) if !open.dead.load(Ordering::Relaxed) => Arc::clone(open),
            Some(_) | None => {
                let socket = self.network.bind(peer.is_ipv6()).await.map_err(|e| no_socket(&e))?;
                let open = Arc::new(Open::new(socket.into(), Arc::clone(&self.routes)));
                *slot = Some(Arc::clone(&open));
                open
            }
        };
        let mailbox = Arc::new(Mailbox::default());
        let mut routes = lock(&self.routes);
        let console = loop {
            let mut bytes = [0; 4];
            if !random.fill(&mut bytes) {
                return Err(no_socket(&"the system gives no random numbers"));
            }
            let id = u32::from_le_bytes(bytes);
            if id != 0 && !routes.by_session.contains_key(&id) {
                break id;
            }
        };
        routes.by_session.insert(console, Route { peer, mailbox: Arc::clone(&mailbox) });
        routes.by_peer.entry(peer).or_default().push(console);
        Ok(Lease { console, peer, mailbox, open, routes: Arc::clone(&self.routes) })
    }
}

fn no_socket(why: &dyn std::fmt::Display) -> PollError {
    PollError::new(
        ErrorKind::Unreachable,
        format!("the system gives no UDP socket: {why}"),
        "check this machine's limits (open files) and whether it has that address family",
    )
}

impl Open {
    fn new(socket: Arc<dyn Socket>, routes: Arc<Mutex<Routes>>) -> Self {
        let dead = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(read(Arc::clone(&socket), routes, Arc::clone(&dead)));
        Self { socket, dead, _reader: AbortOnDropHandle::new(reader) }
    }
}

async fn read(socket: Arc<dyn Socket>, routes: Arc<Mutex<Routes>>, dead: Arc<AtomicBool>) {
    let mut buffer = [0; MAX_DATAGRAM];
    let mut errors = 0;
    while errors < MAX_ERRORS {
        let mut into = ReadBuf::new(&mut buffer);
        match poll_fn(|cx| socket.poll_receive(cx, &mut into)).await {
            Ok(from) => {
                errors = 0;
                lock(&routes).hand_over(plain(from), into.filled());
            }
            Err(_) => {
                errors += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    dead.store(true, Ordering::Relaxed);
}

/// A session's place on a socket, given back when dropped.
pub struct Lease {
    /// Our session id.
    pub console: u32,
    peer: SocketAddr,
    mailbox: Arc<Mailbox>,
    open: Arc<Open>,
    routes: Arc<Mutex<Routes>>,
}

impl Lease {
    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// As the system says.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        loop {
            match self.open.socket.try_send(datagram, self.peer) {
                Err(full) if full.kind() == io::ErrorKind::WouldBlock => self.open.socket.room().await?,
                sent => return sent,
            }
        }
    }

    /// The same without waiting, for a last word.
    pub fn send_now(&self, datagram: &[u8]) {
        // What cannot be sent now is left to the BMC's own time-out.
        let _ = self.open.socket.try_send(datagram, self.peer);
    }

    /// The next datagram for this session. Never ends by itself: wait under a time-out.
    pub async fn receive(&mut self) -> Vec<u8> {
        self.mailbox.take().await
    }

    /// Whether the socket broke.
    pub fn is_dead(&self) -> bool {
        self.open.dead.load(Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut routes = lock(&self.routes);
        routes.by_session.remove(&self.console);
        if let Some(sessions) = routes.by_peer.get_mut(&self.peer) {
            sessions.retain(|session| *session != self.console);
            if sessions.is_empty() {
                routes.by_peer.remove(&self.peer);
            }
        }
    }
}
