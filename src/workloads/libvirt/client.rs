//! One connection: calls go out, replies come back in any order and are matched by serial and procedure, pings are
//! answered at any time, events mark domains. Knows neither transport nor policy.
//!
//! A task per connection reads and writes, so that keepalive does not depend on anyone asking. A call that is given
//! up is forgotten: its late reply finds no one waiting and is dropped, and serials never come again. What the
//! server sends unasked takes bounded memory: one frame, one small set of stale domains, no queue of replies.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::error::CallError;
use super::protocol::{self, Header, Kind, Procedure, REMOTE_PROGRAM, Uuid};
use super::transport::Stream;

/// Calls that may wait to be written; we keep fewer open. More means that the server no longer reads.
const OUTBOUND: usize = 64;
/// Beyond this many stale domains all are taken as stale.
const STALE_MAX: usize = 4096;

/// Which domains' descriptions an event made stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// These.
    Some(HashSet<Uuid>),
    /// Too many to name.
    All,
}

/// A live connection. Dropping the last hold on it closes it.
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
    outbound: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared(Mutex<State>);

#[derive(Debug)]
struct State {
    serial: u32,
    open: HashMap<u32, Open>,
    /// Why the connection ended.
    ended: Option<CallError>,
    stale: Stale,
}

#[derive(Debug)]
struct Open {
    procedure: Procedure,
    reply: oneshot::Sender<Result<Vec<u8>, CallError>>,
}

impl Connection {
    /// Takes over `stream` and starts to read.
    pub fn new(stream: Box<dyn Stream>) -> Arc<Self> {
        let (outbound, queue) = mpsc::channel(OUTBOUND);
        let state =
            State { serial: 0, open: HashMap::new(), ended: None, stale: Stale::Some(HashSet::new()) };
        let shared = Arc::new(Shared(Mutex::new(state)));
        let task = tokio::spawn(pump(stream, queue, Arc::clone(&shared))).abort_handle();
        Arc::new(Self { shared, outbound, task })
    }

    /// Sends a call and gives back the hold on its answer.
    ///
    /// # Errors
    /// `Closed` or `Protocol` when the connection has ended; `Busy` when the server no longer reads.
    pub fn start(self: &Arc<Self>, procedure: Procedure, body: &[u8]) -> Result<Pending, CallError> {
        let (reply, answer) = oneshot::channel();
        let serial = {
            let mut state = self.shared.lock();
            if let Some(why) = &state.ended {
                return Err(why.clone());
            }
            state.serial = state.serial.wrapping_add(1);
            let serial = state.serial;
            state.open.insert(serial, Open { procedure, reply });
            serial
        };
        let pending = Pending { connection: Arc::clone(self), procedure, serial, answer };
        match self.outbound.try_send(protocol::call(procedure, serial, body)) {
            Ok(()) => Ok(pending),
            Err(mpsc::error::TrySendError::Full(_)) => Err(CallError::Busy(OUTBOUND)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                Err(self.ended().unwrap_or_else(|| CallError::Closed("it has ended".into())))
            }
        }
    }

    /// Sends a call and waits for its answer.
    ///
    /// # Errors
    /// `Timeout` after `deadline`, `Refused` when the server answers with an error, `Closed` or `Protocol` when the
    /// connection ends.
    pub async fn call(
        self: &Arc<Self>,
        procedure: Procedure,
        body: &[u8],
        deadline: Duration,
    ) -> Result<Vec<u8>, CallError> {
        self.start(procedure, body)?.wait(deadline).await
    }

    /// Why the connection ended, if it has.
    pub fn ended(&self) -> Option<CallError> {
        self.shared.lock().ended.clone()
    }

    /// Takes the domains that events have marked since the last time.
    pub fn take_stale(&self) -> Stale {
        std::mem::replace(&mut self.shared.lock().stale, Stale::Some(HashSet::new()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A call whose answer is awaited. Dropping it gives the answer up; keeping it tells when the answer comes at last.
#[derive(Debug)]
pub struct Pending {
    connection: Arc<Connection>,
    procedure: Procedure,
    serial: u32,
    answer: oneshot::Receiver<Result<Vec<u8>, CallError>>,
}

impl Pending {
    /// Waits for the answer; after `Timeout` the answer may be awaited further.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn wait(&mut self, deadline: Duration) -> Result<Vec<u8>, CallError> {
        match tokio::time::timeout(deadline, &mut self.answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CallError::Closed("it has ended".into())),
            Err(_) => Err(CallError::Timeout(self.procedure, deadline)),
        }
    }

    /// Whether the server has answered by now, or never will because the connection ended.
    pub fn settled(&mut self) -> bool {
        !matches!(self.answer.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.connection.shared.lock().open.remove(&self.serial);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection: every open call learns why.
    fn end(&self, why: &CallError) {
        let mut state = self.lock();
        state.ended.get_or_insert_with(|| why.clone());
        for (_, open) in state.open.drain() {
            let _ = open.reply.send(Err(why.clone()));
        }
    }

    /// Hands a reply to the call it answers. One that nobody waits for is late, double or foreign: dropped.
    fn settle(&self, header: &Header, frame: Vec<u8>, body_at: usize) -> Result<(), CallError> {
        let mut state = self.lock();
        let Some(open) = state.open.get(&header.serial) else { return Ok(()) };
        if open.procedure.number() != header.procedure {
            return Err(CallError::Protocol(format!(
                "its answer to {} names procedure {}",
                open.procedure.about(),
                header.procedure
            )));
        }
        let Some(open) = state.open.remove(&header.serial) else { return Ok(()) };
        drop(state);
        let mut body = frame;
        body.drain(..body_at);
        let answer = if header.ok {
            Ok(body)
        } else {
            match protocol::error(&body) {
                Ok(error) => Err(CallError::Refused(open.procedure, error)),
                Err(e) => Err(CallError::unreadable(open.procedure, e)),
            }
        };
        let _ = open.reply.send(answer);
        Ok(())
    }

    /// Marks the domain that an event is about; an event that cannot be read may be about any.
    fn mark(&self, body: &[u8]) {
        let stale = &mut self.lock().stale;
        match (protocol::event(body), &mut *stale) {
            (Ok(uuid), Stale::Some(domains)) if domains.len() < STALE_MAX => {
                domains.insert(uuid);
            }
            (Ok(_) | Err(_), Stale::Some(_) | Stale::All) => *stale = Stale::All,
        }
    }
}

/// Reads and writes until either fails.
async fn pump(stream: Box<dyn Stream>, queue: mpsc::Receiver<Vec<u8>>, shared: Arc<Shared>) {
    let (reader, writer) = tokio::io::split(stream);
    // A server that pings faster than it reads gets one answer for many: it asks only whether we live.
    let pinged = Notify::new();
    let why = tokio::select! {
        why = read(reader, &pinged, &shared) => why,
        why = write(writer, queue, &pinged) => why,
    };
    shared.end(&why);
}

async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
    pinged: &Notify,
) -> CallError {
    loop {
        let frame = tokio::select! {
            call = queue.recv() => match call {
                Some(call) => call,
                None => return CallError::Closed("nobody asks any more".into()),
            },
            () = pinged.notified() => protocol::pong(),
        };
        let sent = async {
            writer.write_all(&frame).await?;
            writer.flush().await
        };
        if let Err(e) = sent.await {
            return CallError::Closed(e.to_string());
        }
    }
}

async fn read(mut reader: impl AsyncRead + Unpin, pinged: &Notify, shared: &Shared) -> CallError {
    loop {
        let taken = match frame(&mut reader).await {
            Ok(frame) => take(frame, pinged, shared),
            Err(why) => Err(why),
        };
        if let Err(why) = taken {
            return why;
        }
    }
}

/// Reads one frame, its length word excluded. Room grows with what really arrives, not with what is announced.
async fn frame(reader: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, CallError> {
    let closed = |e: std::io::Error| CallError::Closed(e.to_string());
    let mut word = [0; 4];
    reader.read_exact(&mut word).await.map_err(closed)?;
    let length = protocol::body_length(word).map_err(|e| CallError::Protocol(format!("its frame: {e}")))?;
    let mut frame = Vec::new();
    let got = reader.take(length).read_to_end(&mut frame).await.map_err(closed)?;
    if u64::try_from(got).is_ok_and(|got| got == length) {
        Ok(frame)
    } else {
        Err(CallError::Closed("in the middle of a frame".into()))
    }
}

/// Does what a frame asks for. An error ends the connection: after it, nothing on the stream can be trusted.
fn take(frame: Vec<u8>, pinged: &Notify, shared: &Shared) -> Result<(), CallError> {
    let (header, body) =
        protocol::split(&frame).map_err(|e| CallError::Protocol(format!("its header: {e}")))?;
    if !header.is_known_version() {
        return Err(CallError::Protocol(format!("it speaks version {} of the protocol", header.version)));
    }
    if header.is_ping() {
        pinged.notify_one();
        return Ok(());
    }
    match (header.program, header.kind) {
        (REMOTE_PROGRAM, Kind::Reply) => {
            let body_at = frame.len() - body.len();
            shared.settle(&header, frame, body_at)
        }
        (REMOTE_PROGRAM, Kind::Message) => {
            shared.mark(body);
            Ok(())
        }
        (program, kind) => {
            Err(CallError::Protocol(format!("it sent an unasked {kind:?} of program {program:#x}")))
        }
    }
}
