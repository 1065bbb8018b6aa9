//! A session driven over its place on a socket: sends what the session wants sent, and gives it what comes and how time
//! passes. How it ends is in `farewell`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::budget::Place;
use super::errors::Trouble;
use super::farewell;
use super::privilege::Watch;
use super::session::{Event, Fault, Protection, Session, Step, Terms};
use super::transport::Lease;
use super::upkeep::Handshakes;
use super::wire::message::{Reply, Request};
use super::wire::packet::{Datagram, Setup};
use super::{Login, Shared};
use crate::model::{BoxFuture, Clock, Moment, OpenSession};

/// The BMC is busy and says so.
pub const NODE_BUSY: u8 = 0xc0;
/// The user may not, at this level.
const PRIVILEGE: u8 = 0xd4;
/// How long to wait before asking a busy BMC again.
pub const PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];

/// How long a handshake waits for a session that is just being closed.
const HURRY: Duration = Duration::from_millis(700);

/// Patience with one request.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Time of one try.
    pub timeout: Duration,
    /// Further tries.
    pub retries: u32,
}

/// Whom commands can be sent to. A trait so that what is made of the replies can be tested without a network.
pub trait Ask: Send {
    /// Sends `request` and waits for its reply, whatever its completion code.
    fn ask(&mut self, request: Request) -> BoxFuture<'_, Result<Reply, Fault>>;
}

/// A session with all that it occupies: its place on a socket and in the BMC's table.
pub struct Line {
    /// The session.
    pub session: Session,
    /// Its place on a socket.
    pub lease: Lease,
    /// Its place in the BMC's table.
    pub place: Place,
    /// Held from when it is up until it is closed.
    counted: Option<OpenSession>,
}

/// A session that is up, or on its way.
pub struct Link {
    /// None once it was parted with.
    line: Option<Line>,
    clock: Arc<dyn Clock>,
    patience: Patience,
    /// Requests since the last reply: those of polls that were cut short count as well.
    unanswered: u32,
    /// When the BMC last said something.
    heard: Moment,
    lost: bool,
    /// Which refusals a higher level is worth trying for.
    watch: Watch,
}

impl Link {
    /// Opens a session, with one patience for its setup and another one for the commands in it.
    ///
    /// # Errors
    /// As the session's faults, or `Busy` where no more of them may be asked for now. What the BMC may hold for us is
    /// being given back then.
    pub async fn open(
        shared: &Shared,
        (lease, place): (Lease, Place),
        login: Arc<Login>,
        terms: Terms,
        [setup, patience]: [Patience; 2],
    ) -> Result<Self, Trouble> {
        let session = Session::new(login, terms, lease.console, Arc::clone(&shared.random));
        let mut link = Self {
            line: Some(Line { session, lease, place, counted: None }),
            clock: Arc::clone(&shared.clock),
            patience,
            unanswered: 0,
            heard: shared.clock.now(),
            lost: false,
            watch: Watch::NOTHING,
        };
        let Some(line) = &mut link.line else { return Err(gone().into()) };
        line.session.open();
        line.drive(setup, Some(&shared.handshakes)).await?;
        line.counted = Some(shared.sessions.hold());
        link.heard = link.clock.now();
        Ok(link)
    }

    /// How the session is protected.
    pub fn protection(&self) -> Option<Protection> {
        self.line.as_ref().and_then(|line| line.session.protection())
    }

    /// From now on a request that is refused for want of privilege fails with [`Fault::Privilege`], where `watch` says
    /// that a higher level is worth trying; the session is as good as before.
    pub const fn watch(&mut self, watch: Watch) {
        self.watch = watch;
    }

    /// Whether the session has come to its end: it went silent, or two requests in a row were given up on.
    pub fn is_lost(&self) -> bool {
        self.lost || self.unanswered > 1 || self.line.as_ref().is_none_or(|line| line.lease.is_dead())
    }

    /// How long the BMC has said nothing in it.
    pub fn idle(&self) -> Duration {
        self.clock.now().since(self.heard)
    }

    /// Closes the session, and waits a little for the BMC to say so.
    pub async fn close(mut self) {
        if let Some(parting) = self.line.take().and_then(farewell::part) {
            parting.wait().await;
        }
    }

    async fn once(&mut self, request: Request) -> Result<Reply, Fault> {
        let need = self.watch.over(&request);
        self.unanswered = self.unanswered.saturating_add(1);
        let Some(line) = self.line.as_mut().filter(|_| !self.lost) else { return Err(gone()) };
        if !line.session.request(request) {
            self.lost = true;
            return Err(gone());
        }
        match line.drive(self.patience, None).await {
            Ok(Some(reply)) => {
                self.unanswered = 0;
                self.heard = self.clock.now();
                match need {
                    Some(need) if reply.code == PRIVILEGE => Err(Fault::Privilege(need)),
                    Some(_) | None => Ok(reply),
                }
            }
            Ok(None) | Err(Trouble::Other(_)) => {
                self.lost = true;
                Err(gone())
            }
            Err(Trouble::Session(fault)) => {
                self.lost = true;
                Err(fault)
            }
            Err(Trouble::Privilege(need)) => Err(Fault::Privilege(need)),
        }
    }
}

const fn gone() -> Fault {
    Fault::Silence(Step::Command)
}

impl Line {
    /// Whether the BMC may take a place in its table for `datagram`: Open Session, unless the BMC knows no such thing, or
    /// Activate Session of IPMI 1.5, the only packet with a session id and without a number. That is sent again as it was:
    /// it stands for the same place.
    fn asks_for_a_place(&self, datagram: &[u8], lost: bool) -> bool {
        match Datagram::parse(datagram) {
            Some(Datagram::Setup(kind, _)) => kind == Setup::OpenRequest && !self.session.denies_plus(),
            Some(Datagram::Coded(coded)) => coded.sequence == 0 && !lost,
            Some(Datagram::Sessionless(_) | Datagram::Sealed(_)) | None => false,
        }
    }

    /// Sends what is to be sent. `lost`: nothing has come since the last time.
    async fn flush(&mut self, lost: bool) -> Result<(), Trouble> {
        while let Some(datagram) = self.session.transmit() {
            if self.asks_for_a_place(&datagram, lost)
                && let Err(busy) = self.place.ask_in_time(lost, HURRY).await
            {
                // Why it is asked for again says more than that there is no place for it.
                let silence = self.session.silence().filter(|_| lost);
                return Err(silence.map_or(Trouble::Other(busy), Trouble::Session));
            }
            // A send that fails is a datagram lost: there may be no route now and one a second later.
            let _ = self.lease.send(&datagram).await;
        }
        Ok(())
    }

    /// Until the session is up or the reply is there. A setup goes on only when it is its turn, from the BMC's first word
    /// on: those that are silent must not hold the others up.
    async fn drive(
        &mut self,
        patience: Patience,
        setup: Option<&Handshakes>,
    ) -> Result<Option<Reply>, Trouble> {
        let (mut lost, mut heard, mut turn) = (false, false, None);
        loop {
            if let (Some(handshakes), true, None) = (setup, heard, &turn) {
                turn = handshakes.turn().await;
            }
            self.flush(lost).await?;
            let event = timeout(patience.timeout, self.wait()).await;
            lost = event.is_err();
            heard |= !lost;
            match event.unwrap_or_else(|_| self.session.timeout(patience.retries)) {
                Event::Ready => return Ok(None),
                Event::Reply(reply) => return Ok(Some(reply)),
                Event::Failed(fault) => {
                    if matches!(fault, Fault::Refused(Step::Open, _) | Fault::Denied(..)) {
                        self.place.given_back();
                    }
                    return Err(Trouble::Session(fault));
                }
                Event::Progress | Event::Ignored => {}
            }
        }
    }

    /// Waits past all that is not for us: foreign datagrams do not lengthen the wait.
    async fn wait(&mut self) -> Event {
        loop {
            let datagram = self.lease.receive().await;
            match self.session.datagram(&datagram) {
                Event::Ignored => {}
                event => {
                    self.place.hear();
                    return event;
                }
            }
        }
    }
}

impl Ask for Link {
    fn ask(&mut self, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            for pause in PAUSES {
                let reply = self.once(request.clone()).await?;
                if reply.code != NODE_BUSY {
                    return Ok(reply);
                }
                sleep(pause).await;
            }
            self.once(request).await
        })
    }
}

impl Drop for Link {
    /// A session that is dropped is closed as well: its place in the BMC is scarce.
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            let _goes_on = farewell::part(line);
        }
    }
}
