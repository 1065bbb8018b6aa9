//! Reads devices that clients name: one flight a module and target, which all who ask at the same time share. Its session
//! is opened, read and closed within it, and when it has landed nothing of the target is left.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::flights::{Flight, Flights, Landing, Outcome, Ticket, lock};
use super::plan::{ModulePlan, ProbePlan};
use super::{Shared, deadline_error};
use crate::drivers::Driver;
use crate::exposition::probe::Probed;
use crate::http::{Ask, Probes, Refusal};
use crate::model::{Batch, BoxFuture, Clock, ErrorKind, Host, PollError, Target};
use crate::poller::Stats;

mod flights;
mod module;
#[cfg(test)]
mod tests;

/// The longest a client may keep a device busy, whatever it says.
const MAX_LIMIT: Duration = Duration::from_secs(120);
/// What closing the session may take of the time, unless that is more than a quarter.
const FAREWELL: Duration = Duration::from_millis(500);
/// The longest a device may take to give a session back, also when its client has its answer.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// The time of one flight, from its start.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// The poll ends.
    poll: Duration,
    /// The answer is given, before those who ask give up.
    answer: Duration,
}

impl Times {
    fn within(limit: Duration) -> Self {
        let farewell = FAREWELL.min(limit / 4);
        Self { poll: limit.saturating_sub(farewell), answer: limit.saturating_sub(farewell / 5) }
    }
}

/// What flights need of the world.
trait World: Send + Sync {
    /// The addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
    /// The driver for one poll, as [`module::open`].
    fn open(
        &self,
        module: &ModulePlan,
        host: &Host,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<Box<dyn Driver>, PollError>;
}

/// The system's resolver, and real drivers.
struct Real(Shared);

impl World for Real {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(
            async move { Ok(tokio::net::lookup_host((name, port)).await?.map(|found| found.ip()).collect()) },
        )
    }

    fn open(
        &self,
        module: &ModulePlan,
        host: &Host,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<Box<dyn Driver>, PollError> {
        module::open(module, host, address, limit, &self.0)
    }
}

/// Reads devices that clients name.
pub struct Prober(Arc<Inner>);

struct Inner {
    modules: BTreeMap<String, Arc<ModulePlan>>,
    world: Box<dyn World>,
    clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    flights: Flights,
    numbers: AtomicU64,
    slots: Arc<Semaphore>,
    /// For those who wait, on whichever flight.
    places: Semaphore,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Prober {
    /// Nothing is read yet. Flights run as tasks of `tasks`, and end at `shutdown`.
    pub fn new(
        plan: ProbePlan,
        shared: Shared,
        clock: Arc<dyn Clock>,
        stats: Arc<Stats>,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self::with(plan, Box::new(Real(shared)), clock, stats, tasks, shutdown)
    }

    fn with(
        plan: ProbePlan,
        world: Box<dyn World>,
        clock: Arc<dyn Clock>,
        stats: Arc<Stats>,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            modules: plan.modules.into_iter().map(|m| (m.name.clone(), Arc::new(m))).collect(),
            world,
            clock,
            stats,
            flights: Flights::default(),
            numbers: AtomicU64::new(0),
            places: Semaphore::new(places(plan.concurrency)),
            slots: Arc::new(Semaphore::new(plan.concurrency.min(Semaphore::MAX_PERMITS))),
            tasks,
            shutdown,
        }))
    }
}

/// How many may wait for at most `concurrency` flights: those who share them included.
pub(super) fn places(concurrency: usize) -> usize {
    concurrency.saturating_mul(2).min(Semaphore::MAX_PERMITS)
}

impl Probes for Prober {
    fn probe(&self, ask: Ask) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let inner = &self.0;
            let Some(module) = inner.modules.get(&ask.module) else {
                let known: Vec<_> = inner.modules.keys().map(String::as_str).collect();
                return Err(Refusal::Wrong(format!(
                    "There is no such `module`; there is: {}.",
                    known.join(", ")
                )));
            };
            let target = module.target(&ask.target)?;
            let port = target.port.unwrap_or(module.usual_port());
            if !module.could_permit(&target.host, port) {
                return Err(forbidden(&target, port));
            }
            let limit = ask.limit.unwrap_or(module.timeout).min(MAX_LIMIT);
            let meter = target.to_string();
            let job = Job { module: Arc::clone(module), target, port, limit };
            let _place = inner.places.try_acquire().map_err(|_| Refusal::Full)?;
            let mut ticket = inner.join(job)?;
            match timeout(limit, ticket.outcome()).await {
                Ok(outcome) => outcome,
                // Another flight's time may be longer than this client's.
                Err(_) => Ok(Arc::new(Probed {
                    meter,
                    driver: module.kind,
                    took: limit,
                    result: Err(deadline_error(limit)),
                })),
            }
        })
    }
}

fn forbidden(target: &Target, port: u16) -> Refusal {
    Refusal::Forbidden(format!(
        "{}:{port} is not among those that may be read; if it should be, add it to `probe.targets` in the configuration.",
        target.host
    ))
}

/// What a flight is for.
struct Job {
    module: Arc<ModulePlan>,
    target: Target,
    port: u16,
    limit: Duration,
}

impl Inner {
    /// A place on the flight to this target; a new one if there is none.
    fn join(self: &Arc<Self>, job: Job) -> Result<Ticket, Refusal> {
        let key = (job.module.name.clone(), job.target.host.clone(), job.port);
        let mut flights = lock(&self.flights);
        let ticket = |number, outcome| Ticket {
            flights: Arc::clone(&self.flights),
            key: key.clone(),
            number,
            outcome,
        };
        if let Some(flight) = flights.get_mut(&key) {
            flight.waiting += 1;
            return Ok(ticket(flight.number, flight.outcome.clone()));
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Refusal::Full)?;
        let (tell, outcome) = watch::channel(None);
        let (number, cancel) = (self.numbers.fetch_add(1, Ordering::Relaxed), self.shutdown.child_token());
        let flight = Flight { number, waiting: 1, outcome: outcome.clone(), cancel: cancel.clone() };
        flights.insert(key.clone(), flight);
        let ticket = ticket(number, outcome);
        let landing = Landing { flights: Arc::clone(&self.flights), key, number };
        self.tasks.spawn(Arc::clone(self).fly(job, cancel, landing, tell, slot));
        Ok(ticket)
    }

    /// One flight: the poll, the farewell, the answer.
    async fn fly(
        self: Arc<Self>,
        job: Job,
        cancel: CancellationToken,
        landing: Landing,
        tell: watch::Sender<Option<Outcome>>,
        slot: OwnedSemaphorePermit,
    ) {
        let begun = self.clock.now();
        let times = Times::within(job.limit);
        let mut driver = None;
        let polled = {
            let read = AssertUnwindSafe(self.read(&job, times.poll, &mut driver)).catch_unwind();
            cancel.run_until_cancelled(timeout(times.poll, read)).await
        };
        let result = match polled {
            // All who asked have gone, or the exporter stops.
            None => Err(Refusal::Stopping),
            Some(Err(_)) => Ok(Err(deadline_error(job.limit))),
            Some(Ok(Err(_))) => Ok(Err(PollError::new(
                ErrorKind::Protocol,
                "its driver died",
                "this is a bug: please report it with the log",
            ))),
            Some(Ok(Ok(Err(Stop::Refused(refusal))))) => Err(refusal),
            Some(Ok(Ok(Err(Stop::Failed(error))))) => Ok(Err(error)),
            Some(Ok(Ok(Ok(batch)))) => Ok(Ok(batch)),
        };
        let mut closing = pin!(close(driver));
        let left = times.answer.saturating_sub(self.clock.now().since(begun));
        let closed = timeout(left, closing.as_mut()).await.is_ok();
        let took = self.clock.now().since(begun);
        let outcome = result.map(|result| Arc::new(self.probed(&job, took, result)));
        // From here on a new request is a new flight.
        drop(landing);
        tell.send_replace(Some(outcome));
        if !closed {
            closing.await;
        }
        drop(slot);
    }

    /// Resolves, opens and polls. What was opened stands in `driver` whatever happens to this future.
    async fn read(
        &self,
        job: &Job,
        limit: Duration,
        driver: &mut Option<Box<dyn Driver>>,
    ) -> Result<Batch, Stop> {
        let address = SocketAddr::new(self.permitted(job).await?, job.port);
        let opened = self.world.open(&job.module, &job.target.host, address, limit).map_err(Stop::Failed)?;
        driver.insert(opened).poll().await.map_err(Stop::Failed)
    }

    /// The target's address: resolved once, checked, and the only one that is dialled.
    async fn permitted(&self, job: &Job) -> Result<IpAddr, Stop> {
        let Job { module, target, port, .. } = job;
        let found = match &target.host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                self.world.resolve(name, *port).await.map_err(|error| unknown(target, &error))?
            }
        };
        if found.is_empty() {
            return Err(unknown(target, &io::Error::other("it has no address")));
        }
        let mut found = found.into_iter().map(|address| address.to_canonical());
        let permitted = found.find(|address| module.permits(&target.host, *address, *port));
        permitted.ok_or_else(|| Stop::Refused(forbidden(target, *port)))
    }

    /// Counts and tells what came of it.
    fn probed(&self, job: &Job, took: Duration, result: Result<Batch, PollError>) -> Probed {
        let (driver, meter) = (job.module.kind, job.target.to_string());
        if let Some(stats) = self.stats.driver(driver) {
            stats.polled(result.as_ref().map(drop).map_err(|e| e.kind), took);
        }
        if let Err(error) = &result {
            tracing::debug!("{meter} ({driver}, module {}): {error}", job.module.name);
        }
        Probed { meter, driver, took, result }
    }
}

/// Why there is no batch.
enum Stop {
    Refused(Refusal),
    Failed(PollError),
}

fn unknown(target: &Target, why: &io::Error) -> Stop {
    Stop::Failed(PollError::new(
        ErrorKind::Unreachable,
        format!("{} cannot be resolved: {why}", target.host),
        "check the name and this machine's DNS",
    ))
}

/// Gives back what the device holds for us. What it does not take in time is left to its own timeout.
async fn close(driver: Option<Box<dyn Driver>>) {
    let Some(mut driver) = driver else { return };
    if timeout(CLOSE_DEADLINE, AssertUnwindSafe(driver.close()).catch_unwind()).await.is_err() {
        tracing::debug!("a device did not give its session back in time");
    }
}
