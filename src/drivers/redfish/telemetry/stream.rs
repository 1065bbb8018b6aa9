//! The kept stream of a BMC's events (SSE): one connection beside the polls, read by a task that ends with this value.
//!
//! A connection that ends, is refused, falls silent or says too much is left alone for a while, longer each time that it brought
//! nothing; polls go on meanwhile.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::task::JoinSet;

use super::report::{self, MetricValue};
use super::sse::Parser;
use crate::drivers::redfish::origin::ResourcePath;
use crate::drivers::redfish::resources;
use crate::drivers::redfish::wire::{Proof, Wire};
use crate::model::{Clock, Moment};

/// The shortest and the longest wait before a new try.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How many request times a stream may be silent: a minute by default. Services send comments to show that they live.
const SILENCE: u32 = 20;
/// The most values that wait for a poll.
const MAX_WAITING: usize = 20_000;

/// The values of one event, and when it came.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) came: Moment,
    pub(super) values: Vec<MetricValue>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    waiting: usize,
    /// The present connection brought something.
    fruitful: bool,
}

impl Queue {
    fn push(&mut self, message: Message) {
        self.fruitful = true;
        self.waiting += message.values.len();
        self.messages.push_back(message);
        while self.waiting > MAX_WAITING
            && let Some(oldest) = self.messages.pop_front()
        {
            self.waiting -= oldest.values.len();
        }
    }
}

/// The stream of one BMC.
pub(super) struct Stream {
    clock: Arc<dyn Clock>,
    task: JoinSet<()>,
    queue: Arc<Mutex<Queue>>,
    running: bool,
    wait: Duration,
    next_try: Moment,
}

impl Stream {
    /// Not connected.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let queue = Arc::new(Mutex::new(Queue::default()));
        let (task, next_try) = (JoinSet::new(), Moment::ZERO);
        Self { clock, task, queue, running: false, wait: FIRST_WAIT, next_try }
    }

    /// Connects if there is no connection and it is time to.
    pub(super) fn tend(&mut self, path: &ResourcePath, wire: &Wire, proof: Proof) {
        let now = self.clock.now();
        while self.task.try_join_next().is_some() {}
        if !self.task.is_empty() {
            return;
        }
        if mem::take(&mut self.running) {
            let fruitful = mem::take(&mut lock(&self.queue).fruitful);
            self.wait = if fruitful { FIRST_WAIT } else { (self.wait * 2).min(LONGEST_WAIT) };
            self.next_try = now + self.wait;
        }
        if now >= self.next_try {
            self.running = true;
            let (queue, clock) = (Arc::clone(&self.queue), Arc::clone(&self.clock));
            self.task.spawn(run(wire.clone(), path.clone(), proof, clock, queue));
        }
    }

    /// What came since the last call, in the order in which it came.
    pub(super) fn take(&mut self) -> VecDeque<Message> {
        let mut queue = lock(&self.queue);
        queue.waiting = 0;
        mem::take(&mut queue.messages)
    }

    /// Ends the connection.
    pub(super) async fn stop(&mut self) {
        self.task.shutdown().await;
    }
}

fn lock(queue: &Mutex<Queue>) -> std::sync::MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(wire: Wire, path: ResourcePath, proof: Proof, clock: Arc<dyn Clock>, queue: Arc<Mutex<Queue>>) {
    let why = listen(&wire, &path, proof, clock.as_ref(), &queue).await;
    tracing::debug!(bmc = wire.origin().authority(), why, "the stream of events ended");
}

/// Reads one connection until it ends; says why it did.
async fn listen(
    wire: &Wire,
    path: &ResourcePath,
    proof: Proof,
    clock: &dyn Clock,
    queue: &Mutex<Queue>,
) -> String {
    let mut response = match tokio::time::timeout(wire.limit(), wire.open_stream(path, proof)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return error.to_string(),
        Err(_) => return "no answer".to_owned(),
    };
    let is_stream = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"));
    if response.status() != StatusCode::OK || !is_stream {
        return format!("answered with {}, not with events", response.status());
    }
    let silence = wire.limit().saturating_mul(SILENCE);
    let mut parser = Parser::default();
    loop {
        let piece = match tokio::time::timeout(silence, response.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => return "closed by the BMC".to_owned(),
            Ok(Err(_)) => return "broken".to_owned(),
            Err(_) => return format!("silent for {silence:?}"),
        };
        let came = clock.now();
        let event = |data: &[u8]| {
            let values = resources::object(data).map(|event| values(&event)).unwrap_or_default();
            if !values.is_empty() {
                lock(queue).push(Message { came, values });
            }
        };
        if parser.take(&piece, event).is_err() {
            return "an event is too large".to_owned();
        }
    }
}

/// The values of an event that is a metric report; others have none.
fn values(event: &Value) -> Vec<MetricValue> {
    report::values(event)
}
