//! Asks for statistics of all domains, in one call where all is well; with a careful way round where a domain's QEMU hangs
//! and would hang the call for all.
//!
//! libvirtd answers for states itself. For CPU time it may ask QEMU, and a QEMU that was stopped never answers; for disks it
//! also looks at their files, and storage that is gone never answers either. Then the careful way: states of all, the
//! statistics of each domain alone with a short deadline, the silent ones set aside ([`super::quarantine`]); from the next
//! time on again one call for all that answer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::budget::Budget;
use super::client::{Pending, Stale};
use super::error::CallError;
use super::link::{Events, Link, records};
use super::protocol::{Domain, Uuid};
use super::quarantine::{Lane, Quarantine};
use super::stats::{Record, STATE, Told};
use super::transport::Transport;
use crate::model::{Clock, Moment};

/// Calls in flight on one connection. libvirtd reads no further ones once five are unanswered.
pub const IN_FLIGHT: usize = 4;

/// The way to one libvirtd: opens a connection when there is none, gives it up when a call hangs on it.
pub struct Gate {
    transport: Transport,
    uri: String,
    events: Events,
    /// The connection, if there is one.
    pub link: Option<Link>,
    /// Whether events may have been missed, since the connection is a new one.
    missed_events: bool,
}

impl Gate {
    /// A gate without a connection.
    pub const fn new(transport: Transport, uri: String, events: Events) -> Self {
        Self { transport, uri, events, link: None, missed_events: false }
    }

    /// Another way to the same libvirtd, without a connection and without events.
    pub fn beside(&self) -> Self {
        Self::new(self.transport.clone(), self.uri.clone(), Events::Unwanted)
    }

    /// The connection, opened if need be.
    ///
    /// # Errors
    /// As [`Link::open`].
    pub async fn link(&mut self, deadline: Duration) -> Result<&Link, CallError> {
        let link = match self.link.take().filter(Link::alive) {
            Some(link) => link,
            None => {
                self.missed_events = true;
                Link::open(&self.transport, &self.uri, self.events, deadline).await?
            }
        };
        Ok(self.link.insert(link))
    }

    /// The domains that events have marked since the last time; all of them, if events may have been missed.
    pub fn take_stale(&mut self) -> Stale {
        let told = self.link.as_ref().map(Link::take_stale);
        if std::mem::take(&mut self.missed_events) { Stale::All } else { told.unwrap_or(Stale::All) }
    }
}

/// What is asked for beside the states.
#[derive(Clone, Copy)]
pub struct Question {
    /// Groups of statistics, the state's included.
    pub groups: u32,
    /// What they tell, for messages.
    pub about: &'static str,
    /// Whether a domain of this state and run has it at all.
    pub concerns: fn(&Record) -> bool,
}

/// States and statistics at one moment.
pub struct Counters {
    /// The middle of the time in which they were asked for.
    pub at: Moment,
    /// One record a domain.
    pub records: Vec<Record>,
}

enum Answer {
    Records(Vec<Record>),
    Hung,
}

/// Asks the libvirtd behind a gate.
pub struct Asker<'a> {
    /// What for.
    pub question: Question,
    /// The way to it.
    pub gate: &'a mut Gate,
    /// Who is set aside.
    pub quarantine: &'a mut Quarantine<Pending>,
    /// The time left.
    pub budget: &'a Budget,
    /// For the moment of the counters.
    pub clock: &'a Arc<dyn Clock>,
}

impl Asker<'_> {
    /// Asks for all domains.
    ///
    /// # Errors
    /// When not even the states could be learned.
    pub async fn counters(mut self) -> Result<Counters, CallError> {
        self.quarantine.release();
        if self.quarantine.is_empty() && self.quarantine.may_ask() {
            let began = self.clock.now();
            if let Answer::Records(records) = self.together(&[], self.budget.call()).await? {
                return Ok(Counters { at: middle(began, self.clock.now()), records });
            }
            return self.carefully(true).await;
        }
        self.carefully(false).await
    }

    /// States of all, then the rest of those that may be asked for. With `suspect_all`, everyone is asked for alone.
    async fn carefully(&mut self, suspect_all: bool) -> Result<Counters, CallError> {
        let deadline = self.budget.recovery();
        let link = self.gate.link(deadline).await?;
        let mut states = records(&link.start_stats(&[], STATE)?.wait(deadline).await?)?;
        let runs: HashMap<Uuid, i32> = states.iter().map(|r| (r.domain.uuid, r.domain.id)).collect();
        self.quarantine.forget_gone(|uuid| runs.get(uuid).copied());

        let (mut together, mut alone) = (Vec::new(), VecDeque::new());
        for record in states.iter().filter(|r| (self.question.concerns)(r)) {
            match self.quarantine.lane(&record.domain) {
                Lane::Together if suspect_all => alone.push_back(record.domain.clone()),
                Lane::Together => together.push(record.domain.clone()),
                Lane::Alone => alone.push_back(record.domain.clone()),
                Lane::Closed => {}
            }
        }
        let began = self.clock.now();
        let mut told = Vec::new();
        if !together.is_empty() && self.quarantine.may_ask() {
            match self.together(&together, self.budget.call()).await? {
                Answer::Records(records) => told = records,
                Answer::Hung => alone.extend(together),
            }
        }
        told.extend(self.alone(alone).await?);
        let at = middle(began, self.clock.now());
        let told: HashMap<(Uuid, i32), Told> =
            told.into_iter().map(|r| ((r.domain.uuid, r.domain.id), r.told)).collect();
        for record in &mut states {
            let of_run = told.get(&(record.domain.uuid, record.domain.id));
            record.told = of_run.copied().unwrap_or_default();
        }
        Ok(Counters { at, records: states })
    }

    /// One call for `domains` (all, if there are none). If it hangs it is kept and its connection given up.
    async fn together(&mut self, domains: &[Domain], deadline: Duration) -> Result<Answer, CallError> {
        let mut call = self.gate.link(deadline).await?.start_stats(domains, self.question.groups)?;
        match call.wait(deadline).await {
            Ok(body) => records(&body).map(Answer::Records),
            Err(CallError::Timeout(..)) => {
                tracing::warn!("libvirtd hangs over domain statistics: asking each domain alone");
                self.quarantine.park(call);
                self.gate.link = None;
                Ok(Answer::Hung)
            }
            Err(other) => Err(other),
        }
    }

    /// A call for each of `domains`, a few at a time, for as long as time and open calls allow.
    async fn alone(&mut self, mut domains: VecDeque<Domain>) -> Result<Vec<Record>, CallError> {
        let mut told = Vec::new();
        while !domains.is_empty() && self.quarantine.room() > 0 && self.budget.alone().is_some() {
            let room = IN_FLIGHT.min(self.quarantine.room());
            let link = self.gate.link(self.budget.recovery()).await?;
            let round = round(link, self.question.groups, &mut domains, room, self.budget).await?;
            for record in &round.told {
                self.quarantine.clear(&record.domain);
            }
            told.extend(round.told);
            if !round.hung.is_empty() {
                // Its places for unanswered calls are taken.
                self.gate.link = None;
            }
            for (domain, call) in round.hung {
                let about = self.question.about;
                tracing::warn!(domain = domain.name, "its QEMU does not answer libvirtd: {about} unknown");
                self.quarantine.hold(&domain, call);
            }
        }
        for domain in domains {
            self.quarantine.defer(&domain);
        }
        Ok(told)
    }
}

#[derive(Default)]
struct Round {
    told: Vec<Record>,
    hung: Vec<(Domain, Pending)>,
}

/// Asks `domains` one by one on one connection, until none are left, time is up, or `room` calls hang.
async fn round(
    link: &Link,
    groups: u32,
    domains: &mut VecDeque<Domain>,
    room: usize,
    budget: &Budget,
) -> Result<Round, CallError> {
    let mut round = Round::default();
    let mut flying = FuturesUnordered::new();
    loop {
        while flying.len() + round.hung.len() < room {
            let (Some(deadline), Some(domain)) = (budget.alone(), domains.pop_front()) else { break };
            let mut call = link.start_stats(std::slice::from_ref(&domain), groups)?;
            flying.push(async move {
                let answer = call.wait(deadline).await;
                (domain, call, answer)
            });
        }
        let Some((domain, call, answer)) = flying.next().await else { return Ok(round) };
        match answer {
            Ok(body) => {
                round.told.extend(records(&body)?.into_iter().filter(|r| r.domain.uuid == domain.uuid))
            }
            Err(CallError::Timeout(..)) => round.hung.push((domain, call)),
            // It has just gone.
            Err(CallError::Refused(..)) => {}
            Err(other) => return Err(other),
        }
    }
}

fn middle(began: Moment, ended: Moment) -> Moment {
    began + ended.since(began) / 2
}
