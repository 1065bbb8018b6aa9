//! The [`Source`]: one sample is counters, descriptions, node, and what the last errand found, put together. How a hung guest
//! is worked around stands in `ask.rs`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use super::ask::{Asker, Counters, Gate, IN_FLIGHT, Question};
use super::budget::Budget;
use super::client::Pending;
use super::descriptions::Descriptions;
use super::details::details;
use super::errand::{Errand, Findings};
use super::error::CallError;
use super::node::NodeInfo;
use super::protocol::Domain;
use super::quarantine::{Limits, Quarantine};
use super::stats::{PERF, Record, STATE_AND_CPU, Told};
use super::xml::Described;
use super::xml::cputune::{Claim, allocate};
use crate::model::{BoxFuture, Clock, Moment, PollError};
use crate::workloads::{CpuNanos, Node, Source, State, Usage, Workload};

/// The longest time that saying good-bye may take.
const GOODBYE: Duration = Duration::from_millis(500);
/// How many calls for CPU time may hang.
const LIMITS: Limits = Limits { alone: 8, open: 12 };

/// One hypervisor behind libvirtd.
pub struct Libvirt {
    gate: Gate,
    call_timeout: Duration,
    clock: Arc<dyn Clock>,
    descriptions: Descriptions,
    quarantine: Quarantine<Pending>,
    errand: Errand,
    /// Set while a sample runs: found set at the start, the last one was dropped half-way, maybe in a hung call.
    running: bool,
}

impl Libvirt {
    pub(super) fn new(gate: Gate, call_timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            gate,
            call_timeout,
            clock,
            descriptions: Descriptions::default(),
            quarantine: Quarantine::new(LIMITS),
            errand: Errand::new(),
            running: false,
        }
    }

    async fn sample_or_reconnect(&mut self) -> Result<Usage, CallError> {
        let budget = Budget::start(&self.clock, self.call_timeout);
        if std::mem::replace(&mut self.running, true) {
            self.gate.link = None;
        }
        let reused = self.gate.link.is_some();
        let mut result = self.sample_once(&budget).await;
        if reused && matches!(result, Err(CallError::Closed(_))) {
            // libvirtd was restarted since the last sample: its sockets and counters are the same as before.
            self.gate.link = None;
            result = self.sample_once(&budget).await;
        }
        if result.is_err() {
            self.gate.link = None;
        }
        self.running = false;
        result
    }

    async fn sample_once(&mut self, budget: &Budget) -> Result<Usage, CallError> {
        let node = self.node(budget).await?;
        let asker = Asker {
            question: question(self.descriptions.any(|described| described.counts_cycles)),
            gate: &mut self.gate,
            quarantine: &mut self.quarantine,
            budget,
            clock: &self.clock,
        };
        let Counters { at, mut records } = asker.counters().await?;
        let mut present = HashSet::new();
        records.retain(|record| present.insert(record.domain.uuid));
        self.descriptions.keep(&present);
        self.errand.start(&self.gate, &self.clock, self.call_timeout);
        self.describe(&records, budget).await?;
        // One that has just begun is mostly back by now; for another nobody waits.
        let found = self.errand.found(budget.alone().unwrap_or_default()).await;
        let node = node.map(|node| Node { facts: Arc::clone(&found.facts), disk: found.disk, ..node });
        let unix_seconds = self.clock.unix_seconds();
        let known = |record: &Record| workload(record, &self.descriptions, found, unix_seconds);
        let mut all: Vec<_> = records.iter().filter_map(known).collect();
        if let Some(node) = &node {
            share_out(node.cpus, &mut all);
        }
        Ok(Usage { at, node, workloads: all.into_iter().map(|(workload, _)| workload).collect() })
    }

    /// The node as it is now; also opens the connection.
    async fn node(&mut self, budget: &Budget) -> Result<Option<Node>, CallError> {
        let link = self.gate.link(budget.call()).await?;
        let (busy, free) = tokio::join!(link.node_busy(budget.call()), link.free_memory(budget.call()));
        let (busy, free) = (busy?, free?);
        Ok(link.node.as_ref().and_then(|info| node(info, busy, free)))
    }

    /// Reads the descriptions that are due, a few at a time. What time does not allow is due again next time.
    async fn describe(&mut self, records: &[Record], budget: &Budget) -> Result<(), CallError> {
        let Self { gate, descriptions, clock, .. } = self;
        descriptions.mark(&gate.take_stale());
        let now = clock.now();
        let due = descriptions.due(records.iter().map(|r| &r.domain), now);
        if due.is_empty() {
            return Ok(());
        }
        let link = gate.link(budget.recovery()).await?;
        let mut answers = stream::iter(due)
            .map(|domain| async {
                let deadline = budget.recovery();
                if deadline.is_zero() {
                    return (domain, None);
                }
                let answer = link.xml(&domain, deadline).await;
                (domain, Some(answer))
            })
            .buffer_unordered(IN_FLIGHT);
        let mut hung = false;
        while let Some((domain, answer)) = answers.next().await {
            match answer {
                None => {}
                Some(Ok(xml)) => keep(descriptions, &domain, xml.as_deref(), now),
                Some(Err(CallError::Timeout(..))) => {
                    hung = true;
                    keep(descriptions, &domain, None, now);
                }
                Some(Err(other)) => return Err(other),
            }
        }
        drop(answers);
        if hung {
            gate.link = None;
        }
        Ok(())
    }
}

/// CPU times, and with them cycles where a domain counts them.
fn question(cycles: bool) -> Question {
    Question {
        groups: if cycles { STATE_AND_CPU | PERF } else { STATE_AND_CPU },
        about: "CPU time",
        concerns: |record| record.state.is_none_or(State::counts_cpu) && record.domain.id >= 0,
    }
}

/// A domain as it is now, and what it may use of the node's CPUs.
fn workload(
    record: &Record,
    descriptions: &Descriptions,
    found: &Findings,
    unix_seconds: f64,
) -> Option<(Workload, Claim)> {
    let described = match descriptions.get(&record.domain.uuid) {
        Some(described) => described,
        None => &Described::unknown(&record.domain)?,
    };
    // A domain without a run has no CPU time of its own: libvirtd fills in its own there.
    let run = u32::try_from(record.domain.id).unwrap_or(0);
    let counts = run > 0 && record.state.is_some_and(State::counts_cpu);
    let Told { cpu, cycles, .. } = record.told;
    let workload = Workload {
        info: Arc::clone(&described.info),
        run,
        state: record.state,
        cpu: cpu.filter(|_| counts),
        vcpus: described.vcpus,
        memory_bytes: described.memory_bytes,
        cycles: cycles.filter(|_| counts),
        details: details(found.of(&record.domain).unwrap_or(&Told::default()), described, unix_seconds),
    };
    Some((workload, described.cputune.claim(described.vcpus)))
}

/// Says of each domain how many of the node's CPUs it may use, to the thousandth; of one that does not run, none.
fn share_out(cpus: u32, all: &mut [(Workload, Claim)]) {
    let (mut running, mut claims) = (Vec::new(), Vec::new());
    for (workload, claim) in all.iter_mut().filter(|(workload, _)| workload.vcpus > 0) {
        match workload.state.map(State::holds_resources) {
            Some(true) => {
                claims.push(*claim);
                running.push(workload);
            }
            Some(false) => workload.details.cpu_allocated = Some(0.0),
            None => {}
        }
    }
    for (workload, given) in running.into_iter().zip(allocate(cpus.into(), &claims)) {
        workload.details.cpu_allocated = Some((given * 1000.0).round() / 1000.0);
    }
}

impl Source for Libvirt {
    fn sample(&mut self) -> BoxFuture<'_, Result<Usage, PollError>> {
        Box::pin(async { self.sample_or_reconnect().await.map_err(PollError::from) })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let links = [self.gate.link.take(), self.errand.take_link()];
            let goodbye = GOODBYE.min(self.call_timeout);
            join_all(links.into_iter().flatten().map(|link| link.close(goodbye))).await;
        })
    }
}

/// Keeps what a description says. Of one that could not be had or read, what was known before stays.
fn keep(descriptions: &mut Descriptions, domain: &Domain, xml: Option<&str>, now: Moment) {
    let read = xml.and_then(|xml| match Described::read(domain, xml) {
        Ok(described) => Some(described),
        Err(error) => {
            tracing::warn!(domain = domain.name, %error, "its XML cannot be read");
            None
        }
    });
    let known = read.or_else(|| descriptions.get(&domain.uuid).cloned());
    if let Some(described) = known.or_else(|| Described::unknown(domain)) {
        descriptions.put(domain, described, now);
    }
}

/// The node; none if what libvirtd says of it cannot be.
fn node(info: &NodeInfo, busy: Option<u64>, free_memory_bytes: Option<u64>) -> Option<Node> {
    Some(Node {
        cpus: u32::try_from(info.cpus).ok().filter(|cpus| *cpus > 0)?,
        mhz: u32::try_from(info.mhz).ok().filter(|mhz| *mhz > 0),
        memory_bytes: info.memory_kib.checked_mul(1024)?,
        free_memory_bytes,
        busy: busy.map(CpuNanos),
        ..Node::default()
    })
}
