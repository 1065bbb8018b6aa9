//! Simulated hypervisors: servers of libvirt's remote protocol on a unix socket or loopback TCP, good enough for
//! `virsh`. Answers to calls are in `calls.rs`; frames, keepalive and events are here.

mod calls;
mod domain;
mod xdr;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endpoint::{Counters, Live};
use calls::{Effect, Hypervisor, Refusal};
use xdr::{Reader, Writer};

const REMOTE: u32 = 0x2000_8086;
const KEEPALIVE: u32 = 0x6b65_6570;
/// The largest frame that a client may send; its calls are small.
const MAX_FRAME: usize = 4 << 20;
/// How often the world is looked at for domains that started or stopped.
const EVENT_TICK: Duration = Duration::from_millis(250);
/// Ticks between two probes of a client, and unanswered probes before it is given up: as libvirtd's 5 s and 5.
const PROBE_TICKS: u32 = 20;
const MAX_UNANSWERED: u32 = 5;

/// Starts the hypervisor of `host` (an index into the world's hosts) on a unix socket at `path`. It ends when `stop` is
/// cancelled. The counters' sessions are connections.
///
/// # Errors
/// When the socket cannot be made.
pub fn start_unix(
    live: Live,
    host: usize,
    path: &Path,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> std::io::Result<Arc<Counters>> {
    let listener = UnixListener::bind(path)?;
    let counters = Arc::new(Counters::default());
    let server = Server {
        hypervisor: Hypervisor { live, host },
        counters: counters.clone(),
        stop,
        tasks: tasks.clone(),
    };
    tasks.spawn(server.stop.clone().run_until_cancelled_owned(async move {
        while let Ok((stream, _)) = listener.accept().await {
            server.welcome(stream);
        }
    }));
    Ok(counters)
}

/// As [`start_unix`], on a free TCP port of 127.0.0.1.
///
/// # Errors
/// When no loopback port can be had.
pub async fn start_tcp(
    live: Live,
    host: usize,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> std::io::Result<(SocketAddr, Arc<Counters>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let counters = Arc::new(Counters::default());
    let server = Server {
        hypervisor: Hypervisor { live, host },
        counters: counters.clone(),
        stop,
        tasks: tasks.clone(),
    };
    tasks.spawn(server.stop.clone().run_until_cancelled_owned(async move {
        while let Ok((stream, _)) = listener.accept().await {
            server.welcome(stream);
        }
    }));
    Ok((address, counters))
}

struct Server {
    hypervisor: Hypervisor,
    counters: Arc<Counters>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    fn welcome(&self, stream: impl AsyncRead + AsyncWrite + Send + 'static) {
        let (counters, stop) = (self.counters.clone(), self.stop.clone());
        let hypervisor = self.hypervisor.clone();
        self.tasks.spawn(async move {
            counters.open();
            let ended = stop.run_until_cancelled(converse(hypervisor, &counters, stream)).await;
            // Cut off by `stop` it was still held: only a client's own end gives a connection back.
            if ended.is_some() {
                counters.close();
            }
        });
    }
}

/// One connection, until the client leaves or breaks the protocol.
async fn converse(
    hypervisor: Hypervisor,
    counters: &Counters,
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
) {
    let (reader, mut writer) = split(stream);
    let (sender, mut frames) = mpsc::channel(4);
    // Frames are read by a task of their own, since half a frame must survive a tick. It is aborted with the set.
    let mut reading = JoinSet::new();
    reading.spawn(read_frames(reader, sender));
    let mut session =
        Session { hypervisor, lifecycle: None, known: None, probing: false, ticks: 0, unanswered: 0 };
    let mut tick = tokio::time::interval(EVENT_TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        let (out, go_on) = tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => {
                    counters.request();
                    session.answer(&frame)
                }
                None => return,
            },
            _ = tick.tick() => session.tick(),
        };
        if writer.write_all(&out).await.is_err() || !go_on {
            let _ = writer.shutdown().await;
            return;
        }
    }
}

/// Passes on whole frames without their length, until the stream ends or a length is absurd.
async fn read_frames(mut reader: impl AsyncRead + Unpin, frames: mpsc::Sender<Vec<u8>>) {
    while let Ok(len) = reader.read_u32().await {
        let Some(len) = usize::try_from(len).ok().filter(|len| (28..=MAX_FRAME).contains(len)) else {
            return;
        };
        let mut frame = vec![0; len - 4];
        if reader.read_exact(&mut frame).await.is_err() || frames.send(frame).await.is_err() {
            return;
        }
    }
}

/// What one connection has agreed with its client.
struct Session {
    hypervisor: Hypervisor,
    /// Callback that lifecycle events are sent to.
    lifecycle: Option<i32>,
    /// Domains as last told: the run by UUID.
    known: Option<HashMap<[u8; 16], Seen>>,
    probing: bool,
    ticks: u32,
    unanswered: u32,
}

/// A domain as last told: its wire identity and id.
struct Seen {
    identity: Vec<u8>,
    id: i32,
}

impl Session {
    /// Bytes to send for one frame, and whether to go on.
    fn answer(&mut self, frame: &[u8]) -> (Vec<u8>, bool) {
        let r = &mut Reader(frame);
        let header = (r.u32(), r.u32(), r.i32(), r.i32(), r.u32(), r.i32());
        let (Some(program), Some(_), Some(procedure), Some(kind), Some(serial), Some(_)) = header else {
            return (Vec::new(), false);
        };
        match (program, kind, procedure) {
            (KEEPALIVE, 2, 1) => (packet(KEEPALIVE, 2, 2, 0, 0, &[]), true),
            (KEEPALIVE, 2, 2) => {
                self.unanswered = 0;
                (Vec::new(), true)
            }
            (REMOTE, 0, _) => match self.hypervisor.call(procedure, r.0) {
                Ok((body, effect)) => {
                    self.apply(effect);
                    (packet(REMOTE, procedure, 1, serial, 0, &body.0), effect != Effect::Close)
                }
                Err(refusal) => (packet(REMOTE, procedure, 1, serial, 1, &error(&refusal)), true),
            },
            _ => (Vec::new(), false),
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::None | Effect::Close => {}
            Effect::Keepalive => self.probing = true,
            Effect::Lifecycle(callback) => self.lifecycle = Some(callback),
        }
    }

    /// Events of what changed since the last tick, and a probe when one is due.
    fn tick(&mut self) -> (Vec<u8>, bool) {
        let mut out = self.events();
        self.ticks = self.ticks.wrapping_add(1);
        if self.probing && self.ticks.is_multiple_of(PROBE_TICKS) {
            self.unanswered += 1;
            if self.unanswered > MAX_UNANSWERED {
                return (Vec::new(), false);
            }
            out.extend(packet(KEEPALIVE, 1, 2, 0, 0, &[]));
        }
        (out, true)
    }

    fn events(&mut self) -> Vec<u8> {
        const UNDEFINED: i32 = 1;
        const STARTED: i32 = 2;
        const STOPPED: i32 = 5;
        let Some(callback) = self.lifecycle else { return Vec::new() };
        let now = self.look();
        let Some(before) = self.known.take() else {
            self.known = Some(now);
            return Vec::new();
        };
        let mut out = Vec::new();
        let mut tell = |seen: &Seen, event| out.extend(lifecycle(callback, &seen.identity, event));
        for (uuid, seen) in &now {
            match (before.get(uuid).map(|b| b.id), seen.id) {
                (Some(b), s) if b == s => {}
                (Some(_), -1) => tell(seen, STOPPED),
                (None, -1) => tell(seen, 0),
                _ => tell(seen, STARTED),
            }
        }
        for (_, seen) in before.iter().filter(|(uuid, _)| !now.contains_key(*uuid)) {
            tell(seen, if seen.id == -1 { UNDEFINED } else { STOPPED });
        }
        self.known = Some(now);
        out
    }

    fn look(&self) -> HashMap<[u8; 16], Seen> {
        let t = self.hypervisor.live.seconds();
        self.hypervisor
            .domains(t)
            .map(|d| {
                let mut identity = Writer::default();
                d.identity(&mut identity);
                (d.uuid(), Seen { identity: identity.0, id: d.id() })
            })
            .collect()
    }
}

/// DOMAIN_EVENT_CALLBACK_LIFECYCLE. libvirtd sends events with serial 1.
fn lifecycle(callback: i32, identity: &[u8], event: i32) -> Vec<u8> {
    let mut body = Writer::default();
    body.i32(callback).raw(identity).i32(event).i32(0);
    packet(REMOTE, 318, 2, 1, 0, &body.0)
}

fn packet(program: u32, procedure: i32, kind: i32, serial: u32, status: i32, body: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.len(28 + body.len()).u32(program).u32(1).i32(procedure).i32(kind).u32(serial).i32(status).raw(body);
    out.0
}

/// `remote_error`: code, the remote driver's domain (7), message, level 2, and nothing more.
fn error(Refusal(code, message): &Refusal) -> Vec<u8> {
    let mut out = Writer::default();
    out.i32(*code).i32(7).u32(1).string(message).i32(2);
    out.u32(0).u32(0).u32(0).u32(0).i32(0).i32(0).u32(0);
    out.0
}
