//! The [`Source`]: one sample is counters, descriptions and node put together. How a hung guest is worked around
//! stands in `cpu.rs`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use super::budget::Budget;
use super::client::Pending;
use super::cpu::{Asker, Counters, Gate, IN_FLIGHT};
use super::descriptions::Descriptions;
use super::error::CallError;
use super::protocol::{Domain, NodeInfo};
use super::quarantine::Quarantine;
use super::stats::Record;
use super::xml::Described;
use crate::model::{BoxFuture, Clock, Moment, PollError};
use crate::workloads::{CpuNanos, Details, Node, Source, Usage, Workload};

/// The longest time that saying good-bye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// One hypervisor behind libvirtd.
pub struct Libvirt {
    gate: Gate,
    call_timeout: Duration,
    clock: Arc<dyn Clock>,
    descriptions: Descriptions,
    quarantine: Quarantine<Pending>,
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
            quarantine: Quarantine::default(),
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
        let asker =
            Asker { gate: &mut self.gate, quarantine: &mut self.quarantine, budget, clock: &self.clock };
        let Counters { at, mut records } = asker.counters().await?;
        let mut present = HashSet::new();
        records.retain(|record| present.insert(record.domain.uuid));
        self.descriptions.keep(&present);
        self.describe(&records, budget).await?;
        let workloads = records.iter().filter_map(|record| self.workload(record)).collect();
        Ok(Usage { at, node, workloads })
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

    fn workload(&self, record: &Record) -> Option<Workload> {
        let described = match self.descriptions.get(&record.domain.uuid) {
            Some(described) => described.clone(),
            None => Described::unknown(&record.domain)?,
        };
        // A domain without a run has no CPU time of its own: libvirtd fills in its own there.
        let run = u32::try_from(record.domain.id).unwrap_or(0);
        let counts = run > 0 && record.state.is_some_and(|state| state.counts_cpu());
        Some(Workload {
            info: described.info,
            run,
            state: record.state,
            cpu: record.cpu.filter(|_| counts),
            vcpus: described.vcpus,
            memory_bytes: described.memory_bytes,
            cycles: None,
            details: Details::default(),
        })
    }
}

impl Source for Libvirt {
    fn sample(&mut self) -> BoxFuture<'_, Result<Usage, PollError>> {
        Box::pin(async { self.sample_or_reconnect().await.map_err(PollError::from) })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(link) = self.gate.link.take() {
                link.close(GOODBYE.min(self.call_timeout)).await;
            }
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
