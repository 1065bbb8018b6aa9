//! What is asked for at a slower pace than CPU time: memory, network and disks of the domains, storage pools and facts of the
//! node. A task asks on a connection of its own, so that storage that hangs delays no sample; what it brought home is kept
//! until it has been there again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::ask::{Asker, Counters, Gate, Question};
use super::budget::Budget;
use super::client::Pending;
use super::error::CallError;
use super::link::Link;
use super::node;
use super::protocol::{Domain, Uuid};
use super::quarantine::{Limits, Quarantine};
use super::stats::{DETAILS, STATE, Told};
use super::xml::label;
use crate::model::{Clock, Moment, PollError};
use crate::workloads::{NodeFacts, Space};

/// Between two errands: 15 s, less what the ticks of samples may be early.
const PACE: Duration = Duration::from_secs(14);
/// Between two looks at the storage pools, and after a failed look at the node's facts.
const POOLS_PACE: Duration = Duration::from_secs(58);
/// Between two looks at the node's facts.
const FACTS_PACE: Duration = Duration::from_secs(3600);
/// The most storage pools that are looked at.
const POOLS_MAX: usize = 64;
/// Fewer than for CPU time: together they leave some of libvirtd's 20 workers.
const LIMITS: Limits = Limits { alone: 3, open: 4 };
/// A domain that is shut off has disks too.
const QUESTION: Question =
    Question { groups: STATE | DETAILS, about: "memory, network and disks", concerns: |_| true };

/// What an errand brings home.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Of each run of a domain.
    details: HashMap<(Uuid, i32), Told>,
    /// What the node is.
    pub facts: Arc<NodeFacts>,
    /// Its storage pools.
    pub disk: Option<Space>,
}

impl Findings {
    /// What is known of a run of a domain.
    pub fn of(&self, domain: &Domain) -> Option<&Told> {
        self.details.get(&(domain.uuid, domain.id))
    }
}

/// Goes on errands to one libvirtd, one after the other.
pub struct Errand {
    away: Option<AbortOnDropHandle<(Worker, Result<Findings, CallError>)>>,
    home: Option<Worker>,
    due: Option<Moment>,
    found: Findings,
    failed: bool,
}

/// Who goes.
struct Worker {
    gate: Gate,
    quarantine: Quarantine<Pending>,
    disk: Option<(Moment, Option<Space>)>,
    facts: Option<(Moment, Arc<NodeFacts>)>,
}

impl Errand {
    /// One that has not been there yet.
    pub fn new() -> Self {
        Self { away: None, home: None, due: None, found: Findings::default(), failed: false }
    }

    /// Starts out if it is time. `gate` shows the way.
    pub fn start(&mut self, gate: &Gate, clock: &Arc<dyn Clock>, call: Duration) {
        let now = clock.now();
        if self.away.is_some() || self.due.is_some_and(|due| now < due) {
            return;
        }
        self.due = Some(now + PACE);
        let mut worker = self.home.take().unwrap_or_else(|| Worker::new(gate.beside()));
        let clock = Arc::clone(clock);
        self.away = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let found = worker.run(&clock, call).await;
            if found.is_err() {
                worker.gate.link = None;
            }
            (worker, found)
        })));
    }

    /// What was found last, after waiting up to `patience` for an errand that has just begun.
    pub async fn found(&mut self, patience: Duration) -> &Findings {
        let Some(away) = &mut self.away else { return &self.found };
        let back = tokio::time::timeout(patience, away).await;
        match back {
            Err(_) => return &self.found,
            Ok(Ok((worker, Ok(found)))) => {
                (self.home, self.found, self.failed) = (Some(worker), found, false);
            }
            Ok(Ok((worker, Err(error)))) => {
                self.home = Some(worker);
                self.unknown(&PollError::from(error));
            }
            // It died: the next errand is another worker's.
            Ok(Err(error)) => self.unknown(&error),
        }
        self.away = None;
        &self.found
    }

    /// What was known of the domains is no longer.
    fn unknown(&mut self, why: &dyn std::fmt::Display) {
        self.found.details.clear();
        self.found.disk = None;
        if !std::mem::replace(&mut self.failed, true) {
            tracing::warn!(%why, "memory, network and disks of all domains are unknown");
        }
    }

    /// Gives the connection away, to be closed.
    pub fn take_link(&mut self) -> Option<Link> {
        self.away = None;
        self.home.take()?.gate.link
    }
}

impl Worker {
    fn new(gate: Gate) -> Self {
        Self { gate, quarantine: Quarantine::new(LIMITS), disk: None, facts: None }
    }

    /// Domains first; what goes wrong with pools and facts is tried again later.
    async fn run(&mut self, clock: &Arc<dyn Clock>, call: Duration) -> Result<Findings, CallError> {
        let budget = Budget::start(clock, call);
        let asker = Asker {
            question: QUESTION,
            gate: &mut self.gate,
            quarantine: &mut self.quarantine,
            budget: &budget,
            clock,
        };
        let Counters { records, .. } = asker.counters().await?;
        let details = records.into_iter().map(|r| ((r.domain.uuid, r.domain.id), r.told)).collect();
        let now = clock.now();
        let due = |at: Option<Moment>, pace| at.is_none_or(|at| now.since(at) >= pace);
        if due(self.disk.map(|(at, _)| at), POOLS_PACE) {
            let disk = self.pools(call).await;
            self.disk = Some((now, disk));
        }
        let pace = if self.facts.as_ref().is_some_and(|(_, facts)| facts.hostname.is_empty()) {
            POOLS_PACE
        } else {
            FACTS_PACE
        };
        if due(self.facts.as_ref().map(|(at, _)| *at), pace) {
            let facts = self.facts(call).await;
            let before = self.facts.take().map(|(_, facts)| facts);
            let unchanged = before.filter(|before| facts.as_ref().is_none_or(|facts| **before == *facts));
            self.facts = Some((now, unchanged.unwrap_or_else(|| Arc::new(facts.unwrap_or_default()))));
        }
        let facts = self.facts.as_ref().map(|(_, facts)| Arc::clone(facts)).unwrap_or_default();
        Ok(Findings { details, facts, disk: self.disk.and_then(|(_, disk)| disk) })
    }

    async fn pools(&mut self, call: Duration) -> Option<Space> {
        let asked = async {
            let link = self.gate.link(call).await?;
            let mut told = Vec::new();
            for pool in link.pools(call).await?.unwrap_or_default().iter().take(POOLS_MAX) {
                told.extend(link.pool(pool, call).await?);
            }
            Ok::<_, CallError>(node::together(&told))
        };
        // A pool whose storage hangs must not hold an errand for as many calls as there are pools.
        let told = tokio::time::timeout(call, asked).await;
        self.keep_link(told.unwrap_or(Err(CallError::ConnectTimeout(call)))).flatten()
    }

    async fn facts(&mut self, call: Duration) -> Option<NodeFacts> {
        let asked = async {
            let link = self.gate.link(call).await?;
            let hostname = link.hostname(call).await?.unwrap_or_default();
            let info = link.node.clone();
            let processors = link.processors(call).await?.unwrap_or_default();
            let told = info.as_ref().map(|info| info.architecture.clone()).unwrap_or_default();
            Ok(NodeFacts {
                hostname: label(&hostname),
                architecture: if processors.architecture.is_empty() { told } else { processors.architecture },
                processor_model: processors.model,
                addresses: link.peer.into_iter().collect(),
                threads_per_core: info.and_then(|info| u32::try_from(info.threads).ok()).unwrap_or(0),
                link_bits_per_second: None,
            })
        };
        let told = asked.await;
        self.keep_link(told)
    }

    /// Gives up a connection on which something went wrong.
    fn keep_link<T>(&mut self, told: Result<T, CallError>) -> Option<T> {
        told.inspect_err(|error| {
            tracing::debug!(?error, "libvirtd tells less of its node");
            self.gate.link = None;
        })
        .ok()
    }
}
