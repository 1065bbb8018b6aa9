//! One BMC over time: its session, and the polls that use it. What is read in it is in `reading`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::commands::app;
use super::crypto::Suite;
use super::errors::Trouble;
use super::link::{Ask, Link, Patience};
use super::reading::{Poll, Reader};
use super::session::{Fault, Step};
use super::{Login, Privilege, Settings, Shared};
use crate::drivers::Driver;
use crate::model::{Batch, BoxFuture, ErrorKind, Moment, PollError};

/// BMCs drop a session that was silent for 60 s, give or take 3.
const SESSION_LIFE: Duration = Duration::from_secs(50);

/// The BMC.
pub struct Device {
    settings: Settings,
    login: Arc<Login>,
    shared: Arc<Shared>,
    tries: usize,
    link: Option<Link>,
    /// When the session was last used.
    used: Moment,
    /// Suites that may still be used: none below what once worked.
    allowed: Vec<Suite>,
    reader: Reader,
}

impl Device {
    /// Sends nothing yet.
    pub fn new(settings: Settings, login: Arc<Login>, shared: Arc<Shared>) -> Self {
        Self {
            allowed: settings.suites.clone(),
            settings,
            login,
            shared,
            tries: 0,
            link: None,
            used: Moment::ZERO,
            reader: Reader::default(),
        }
    }

    /// A session that can be used, and whether it is a new one.
    async fn link(&mut self) -> Result<bool, Trouble> {
        let idle = self.shared.clock.now().since(self.used);
        self.used = self.shared.clock.now();
        self.link = self.link.take().filter(|link| !link.is_lost() && idle < SESSION_LIFE);
        if self.link.is_some() {
            return Ok(false);
        }
        let opened = match self.connect().await {
            // A single garbled datagram looks like a wrong password, whose long pause would cost much more.
            Err(Trouble::Session(Fault::Password)) => self.connect().await,
            other => other,
        };
        let mut link = opened?;
        // Kept only when it can be used: a poll dropped before that drops, and so closes, the session.
        self.raise_privilege(&mut link).await?;
        self.link = Some(link);
        self.reader.reopened();
        Ok(true)
    }

    async fn connect(&mut self) -> Result<Link, Trouble> {
        let peer = self.resolve().await.map_err(Trouble::Other)?;
        let random = Arc::clone(&self.shared.random);
        let lease = self.shared.sockets.lease(peer, random.as_ref()).await.map_err(Trouble::Other)?;
        let patience = Patience { timeout: self.settings.request_timeout, retries: self.settings.retries };
        let link = Link::open(lease, Arc::clone(&self.login), &self.allowed, random, patience).await?;
        if let Some(suite) = link.suite() {
            // From here on nobody can talk us into a weaker one.
            let upto = self.allowed.iter().position(|allowed| *allowed == suite).unwrap_or(0);
            self.allowed.truncate(upto + 1);
        }
        Ok(link)
    }

    async fn resolve(&mut self) -> Result<SocketAddr, PollError> {
        let address = self.settings.address.clone();
        let unknown = |why: String| {
            PollError::new(
                ErrorKind::Unreachable,
                format!("{address} cannot be resolved: {why}"),
                "check the name and this machine's DNS",
            )
        };
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host(&address).await.map_err(|e| unknown(e.to_string()))?.collect();
        // A name with several addresses may answer at one of them only: each new try takes the next.
        let peer = self.tries.checked_rem(found.len()).and_then(|place| found.get(place).copied());
        self.tries = self.tries.wrapping_add(1);
        peer.ok_or_else(|| unknown("it has no address".to_owned()))
    }

    /// A session starts at the level of a user, whatever was asked for.
    async fn raise_privilege(&self, link: &mut Link) -> Result<(), Trouble> {
        let privilege = self.settings.privilege;
        if privilege == Privilege::User {
            return Ok(());
        }
        let reply = link.ask(app::set_privilege(privilege.level())).await?;
        if reply.code == 0 {
            return Ok(());
        }
        Err(Trouble::Other(PollError::new(
            ErrorKind::Auth,
            format!("the BMC does not raise the session to {} ({:02X}h)", privilege.name(), reply.code),
            "give the user this privilege level on the LAN channel, or ask for less with `privilege`",
        )))
    }

    async fn poll_bmc(&mut self) -> Result<Batch, Trouble> {
        let fresh = self.link().await?;
        match self.read().await {
            // The BMC may have restarted and forgotten the session.
            Err(Trouble::Session(_)) if !fresh => {
                self.link = None;
                self.link().await?;
                self.read().await
            }
            other => other,
        }
    }

    async fn read(&mut self) -> Result<Batch, Trouble> {
        let Some(link) = &mut self.link else {
            return Err(Trouble::Session(Fault::Silence(Step::Command)));
        };
        let protection = format!("cipher suite {}", link.suite().map_or(0, Suite::id));
        let poll = Poll {
            settings: &self.settings,
            clock: self.shared.clock.as_ref(),
            begun: self.shared.clock.now(),
            protection: &protection,
        };
        let batch = self.reader.read(link, poll).await?;
        // It may have been lost over what no watts depend on.
        self.link.take_if(|link| link.is_lost());
        Ok(batch)
    }
}

impl Driver for Device {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(async move {
            let result = self.poll_bmc().await;
            self.used = self.shared.clock.now();
            match &result {
                Ok(_) | Err(Trouble::Other(_)) => {
                    if let Some(link) = self.link.take_if(|_| !self.settings.keep_session) {
                        link.close().await;
                    }
                }
                Err(Trouble::Session(_)) => self.link = None,
            }
            result.map_err(|trouble| trouble.explain(&self.settings))
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(link) = self.link.take() {
                link.close().await;
            }
        })
    }
}
