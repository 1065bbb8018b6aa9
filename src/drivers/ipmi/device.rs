//! One BMC over time: its session, which `upkeep` looks after, and the polls that use it. What is read in it is in
//! `reading`.

use std::sync::Arc;

use super::errors::Trouble;
use super::link::Link;
use super::reading::{Poll, Reader};
use super::session::{Fault, Step};
use super::upkeep::{self, Upkeep};
use super::{KeepSession, Login, Settings, Shared};
use crate::drivers::Driver;
use crate::model::{Batch, BoxFuture, ErrorKind, PollError};

/// The BMC.
pub struct Device {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    upkeep: Upkeep,
    /// The session, as long as it is used.
    link: Option<Link>,
    reader: Reader,
    /// How the session is protected, for people.
    protection: String,
}

impl Device {
    /// Sends nothing yet.
    pub fn new(settings: Arc<Settings>, login: Arc<Login>, shared: Arc<Shared>) -> Self {
        Self {
            upkeep: Upkeep::new(Arc::clone(&settings), login, Arc::clone(&shared)),
            settings,
            shared,
            link: None,
            reader: Reader::default(),
            protection: String::new(),
        }
    }

    /// A session that can be used, and whether it is a new one.
    async fn link(&mut self) -> Result<bool, Trouble> {
        self.link = self.link.take().filter(upkeep::is_usable);
        let fresh = if self.link.is_some() {
            false
        } else {
            let (link, fresh) = self.upkeep.take().await?;
            self.link = Some(link);
            fresh
        };
        if let Some(link) = &mut self.link {
            link.watch(self.upkeep.watch());
            if fresh {
                self.reader.reopened();
                self.protection = self.upkeep.describe(link);
            }
        }
        Ok(fresh)
    }

    async fn poll_bmc(&mut self) -> Result<Batch, Trouble> {
        let mut fresh = self.link().await?;
        loop {
            match self.read().await {
                // The BMC may have restarted and forgotten the session.
                Err(Trouble::Session(_)) if !fresh => self.link = None,
                // Ends: every round raises a level or gives one up.
                Err(Trouble::Privilege(need)) => {
                    self.upkeep.lacks(need);
                    self.hang_up().await;
                }
                other => return other,
            }
            self.link().await?;
            fresh = true;
        }
    }

    async fn read(&mut self) -> Result<Batch, Trouble> {
        let Some(link) = &mut self.link else {
            return Err(Trouble::Session(Fault::Silence(Step::Command)));
        };
        let poll = Poll {
            settings: &self.settings,
            clock: self.shared.clock.as_ref(),
            begun: self.shared.clock.now(),
            protection: &self.protection,
        };
        let batch = self.reader.read(link, poll).await?;
        // It may have been lost over what no watts depend on.
        self.link.take_if(|link| link.is_lost());
        Ok(batch)
    }

    async fn hang_up(&mut self) {
        if let Some(link) = self.link.take() {
            link.close().await;
        }
    }
}

impl Driver for Device {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(async move {
            let result = self.poll_bmc().await;
            let link = match &result {
                // Nobody comes back for long: a place in the BMC's table is not kept for nothing.
                Err(Trouble::Other(refused)) if refused.kind == ErrorKind::Auth => Some(KeepSession::No),
                Ok(_) | Err(Trouble::Other(_)) => Some(self.settings.keep_session),
                Err(Trouble::Session(_) | Trouble::Privilege(_)) => None,
            };
            match (link, self.link.take()) {
                (Some(KeepSession::ByPolls), link) => self.link = link,
                (Some(KeepSession::ByKeepAlive), Some(link)) => self.upkeep.park(link),
                (Some(KeepSession::No), Some(link)) => link.close().await,
                (None | Some(KeepSession::ByKeepAlive | KeepSession::No), _) => {}
            }
            result.map_err(|trouble| trouble.explain(&self.settings))
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let parked = self.upkeep.recall().await;
            if let Some(link) = self.link.take().or(parked) {
                link.close().await;
            }
        })
    }
}
