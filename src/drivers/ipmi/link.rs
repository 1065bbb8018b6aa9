//! A session driven over its place on a socket: sends what the session wants sent, and gives it what comes and how time
//! passes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::crypto::Suite;
use super::session::{Event, Fault, Session, Step};
use super::transport::Lease;
use super::wire::message::{Reply, Request};
use super::{Login, Random};
use crate::model::BoxFuture;

/// The BMC is busy and says so.
const NODE_BUSY: u8 = 0xc0;
/// How long to wait before asking a busy BMC again.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];
/// How long a BMC may take to answer Close Session; some never do.
const FAREWELL: Duration = Duration::from_millis(500);

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

/// A session that is up.
pub struct Link {
    session: Session,
    lease: Lease,
    patience: Patience,
    /// Requests since the last reply: those of polls that were cut short count as well.
    unanswered: u32,
    lost: bool,
}

impl Link {
    /// Opens a session.
    ///
    /// # Errors
    /// As the session's faults. What the BMC may hold for us has then been given back.
    pub async fn open(
        lease: Lease,
        login: Arc<Login>,
        allowed: &[Suite],
        random: Arc<dyn Random>,
        patience: Patience,
    ) -> Result<Self, Fault> {
        let session = Session::new(login, allowed, lease.console, random);
        let mut link = Self { session, lease, patience, unanswered: 0, lost: false };
        link.session.open();
        link.drive(true).await?;
        Ok(link)
    }

    /// The cipher suite in use.
    pub fn suite(&self) -> Option<Suite> {
        self.session.suite()
    }

    /// Whether the session has come to its end: it went silent, or two requests in a row were given up on.
    pub fn is_lost(&self) -> bool {
        self.lost || self.unanswered > 1 || self.lease.is_dead()
    }

    /// Closes the session, and waits a little for the BMC to say so.
    pub async fn close(mut self) {
        self.session.farewell();
        if self.flush().await.is_ok() {
            // Whatever comes is the answer; it is not looked at.
            let _ = timeout(FAREWELL, self.lease.receive()).await;
        }
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        while let Some(datagram) = self.session.transmit() {
            self.lease.send(&datagram).await?;
        }
        Ok(())
    }

    /// Until the session is up or the reply is there. A setup goes on only when it is its turn, from the BMC's first word
    /// on: those that are silent must not hold the others up.
    async fn drive(&mut self, setup: bool) -> Result<Option<Reply>, Fault> {
        let (mut heard, mut turn) = (false, None);
        loop {
            if setup && heard && turn.is_none() {
                turn = self.lease.turn().await;
            }
            // A send that fails is a datagram lost: there may be no route now and one a second later.
            let _ = self.flush().await;
            let event = match timeout(self.patience.timeout, self.wait()).await {
                Ok(event) => {
                    heard = true;
                    event
                }
                Err(_) => self.session.timeout(self.patience.retries),
            };
            match event {
                Event::Ready => return Ok(None),
                Event::Reply(reply) => return Ok(Some(reply)),
                Event::Failed(fault) => {
                    self.lost = true;
                    return Err(fault);
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
                event => return event,
            }
        }
    }

    async fn once(&mut self, request: Request) -> Result<Reply, Fault> {
        self.unanswered = self.unanswered.saturating_add(1);
        if !self.session.request(request) {
            self.lost = true;
            return Err(Fault::Silence(Step::Command));
        }
        let reply = self.drive(false).await?.ok_or(Fault::Silence(Step::Command))?;
        self.unanswered = 0;
        Ok(reply)
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
    /// A session that is dropped is closed as well: its slot in the BMC is scarce.
    fn drop(&mut self) {
        self.session.farewell();
        while let Some(datagram) = self.session.transmit() {
            self.lease.send_now(&datagram);
        }
    }
}
