//! Runs a plan: a task for every device, the ledger's tick, and the HTTP server, until shutdown.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::control::{Controller, Parts};
use super::fleet::{Fleet, World};
use super::keep::Opened;
use super::pages::{Generation, RunningPages};
use super::probe::places;
use super::reload::{Load, Loaded};
use super::switches::Switches;
use super::target;
use crate::attribution::Ledger;
use crate::drivers;
use crate::exposition::PageCache;
use crate::exposition::collect::{Collector, Reloads};
use crate::http::{self, Access, Gate, Limits, MetricsPath};
use crate::inventory::Inventory;
use crate::model::Clock;
use crate::poller::Stats;
use crate::store::Store;
use crate::workloads::{self, UsageLog};

/// Reloads that run or wait: one that waits reads all that was written before it began.
const RELOADS: usize = 2;
/// From one tick of the ledger to the next: the finest that a scrape can see.
const TICK: Duration = Duration::from_secs(1);
/// How long a device may take to show a channel that a feed names.
const FEED_PATIENCE: Duration = Duration::from_secs(15);
/// The longest that shutdown waits for devices to give their sessions back.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);

/// The ledger's task died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger died; this is a bug: please report it with the log")]
pub struct LedgerDied;

/// What runs, and for whom.
pub struct Setup {
    /// The configuration to begin with.
    pub loaded: Loaded,
    /// How it is read anew.
    pub load: Load,
    /// What is off from the start on. Shared with who keeps it over restarts.
    pub switches: Arc<Mutex<Switches>>,
    /// Where counters are kept, and what they go on from; none to begin at 0 each time.
    pub storage: Option<Opened>,
    /// Where clients come in.
    pub listeners: Vec<TcpListener>,
    /// Where the metrics page stands.
    pub metrics_path: MetricsPath,
    /// What clients may do beyond reading.
    pub access: Access,
    /// Asks for a reload each time; none to be asked over HTTP only.
    pub hangup: Option<Signal>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").finish_non_exhaustive()
    }
}

/// Runs until `shutdown` is cancelled. Every session is given back before it returns, as far as devices answer within ten seconds.
///
/// # Errors
/// If the ledger dies: a page that stands still for ever looks like a building that draws nothing, so the whole exporter
/// ends, and who started it may start it anew.
pub async fn run(setup: Setup, shutdown: CancellationToken) -> Result<(), LedgerDied> {
    let Setup { loaded, load, switches, storage, listeners, metrics_path, access, hangup, clock } = setup;
    let probes = loaded.plan.probe.as_ref().map_or(0, |probe| probe.concurrency);
    let (control, fleet) = controller(&loaded, load, Arc::clone(&switches), &clock, &shutdown);
    let control = Arc::new(control);
    let Parts { world, ledger, collector, .. } = &control.parts;
    // Meters must know what they counted before the first poll, and hosts before the first tick.
    let storage = storage.map(|opened| opened.resume_store(&world.store, &clock));
    // The beginning is a reload after nothing.
    control.begin(fleet, loaded).await;
    let keeper = storage.map(|resuming| Arc::new(resuming.resume_ledger(ledger, switches)));
    let tasks = world.tasks.clone();
    if let Some(keeper) = &keeper {
        keeper.show(Arc::clone(collector), Arc::clone(&control.parts.generation));
        tasks.spawn(Arc::clone(keeper).run(shutdown.clone()));
    }
    tasks.spawn(watch_feeds(Arc::clone(&control), shutdown.clone()));
    let settling = tasks.spawn(tick(Arc::clone(&control), shutdown.clone()));
    if let Some(hangup) = hangup {
        tasks.spawn(reload_on(hangup, Arc::clone(&control), shutdown.clone()));
    }
    let pages = Arc::new(RunningPages {
        cache: PageCache::new(),
        control: Arc::clone(&control),
        started: clock.now(),
    });
    for listener in listeners {
        let pages = Arc::clone(&pages) as Arc<dyn http::Pages>;
        let gate = Arc::clone(&control.parts.gate);
        let router = http::guarded_router(pages, metrics_path.clone(), access, Arc::clone(&gate));
        tasks.spawn(http::serve_through(listener, router, limits(probes), gate, shutdown.clone()));
    }
    tasks.close();
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = settling => ended.map_err(|died| {
            tracing::error!(%died, "the ledger died, everything stops");
            LedgerDied
        }),
    };
    shutdown.cancel();
    if timeout(SHUTDOWN_DEADLINE, tasks.wait()).await.is_err() {
        tracing::warn!("some devices did not give their sessions back in time");
    }
    if let Some(keeper) = keeper {
        keeper.last().await;
    }
    ended
}

/// The running parts, with nothing in them yet.
fn controller(
    loaded: &Loaded,
    load: Load,
    switches: Arc<Mutex<Switches>>,
    clock: &Arc<dyn Clock>,
    shutdown: &CancellationToken,
) -> (Controller, Fleet) {
    let kinds: Vec<_> = drivers::REGISTRY.iter().map(|k| k.name).chain(workloads::NAMES).collect();
    let world = World {
        store: Arc::new(Store::new(Vec::new())),
        usage: Arc::new(UsageLog::new(Vec::new())),
        clock: Arc::clone(clock),
        stats: Arc::new(Stats::new(&kinds)),
        tasks: TaskTracker::new(),
        shutdown: shutdown.clone(),
    };
    let ledger = Arc::new(Mutex::new(Ledger::new(&Inventory::default(), &[], &world.store, clock.now())));
    let reloads = Arc::new(Reloads::new(clock.unix_seconds()));
    let collector = Collector::new(
        Arc::clone(&reloads),
        Arc::clone(&world.store),
        Arc::clone(&ledger),
        Arc::clone(&world.usage),
        Arc::clone(&world.stats),
        Arc::clone(clock),
    );
    let shared = target::Shared::counted(loaded.profiles.clone(), clock, &world.stats);
    let fleet = Fleet::new(world.clone(), shared, loaded.profiles.clone());
    let parts = Parts {
        world,
        ledger,
        collector: Arc::new(collector),
        generation: Arc::new(Generation::default()),
        prober: std::sync::RwLock::default(),
        named: Mutex::default(),
        gate: Arc::new(Gate::default()),
    };
    (
        Controller {
            parts,
            load,
            reloads,
            fleet: tokio::sync::Mutex::new(None),
            reloading: Semaphore::new(RELOADS),
            switches,
        },
        fleet,
    )
}

/// Reads the configuration anew at each signal.
async fn reload_on(mut hangup: Signal, control: Arc<Controller>, shutdown: CancellationToken) {
    while let Some(Some(())) = shutdown.run_until_cancelled(hangup.recv()).await {
        // What is wrong stands in the log.
        let _ = shutdown.run_until_cancelled(Arc::clone(&control).load_anew()).await;
    }
}

/// Who waits for a probe holds a connection: the usual ones are there beside them, so that no scrape waits for a device.
fn limits(probes: usize) -> Limits {
    let usual = Limits::default();
    Limits { connections: usual.connections.saturating_add(places(probes)), ..usual }
}

/// Only the device can tell whether it has the channels that feeds name: says once which it has not, a while after it first
/// answered, since some devices show their outlets late.
async fn watch_feeds(control: Arc<Controller>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(FEED_PATIENCE) => {}
        }
        let mut unsaid = control.parts.named.lock().unwrap_or_else(PoisonError::into_inner);
        control.parts.world.store.each(|meter| {
            for channel in meter.missing_feeds() {
                let id = &meter.settings().id;
                if let Some(place) = unsaid.remove(&(id.clone(), channel.clone())) {
                    let has: Vec<_> = meter.channels().iter().map(|c| c.id().as_str()).collect();
                    tracing::warn!(
                        "{place}: {id}/{channel} is named as a feed, but {id} has no such channel; correct the feed, {id} has: {}",
                        has.join(", ")
                    );
                }
            }
        });
    }
}

/// Settles the ledger every second. A tick that comes late is not made up for: the next one settles all.
async fn tick(control: Arc<Controller>, shutdown: CancellationToken) {
    let Parts { world, ledger, generation, .. } = &control.parts;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.settle(&world.store, &world.usage, world.clock.now());
        drop(ledger);
        generation.settled();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::app::Plan;
    use crate::drivers::Profiles;
    use crate::http::Web;
    use crate::model::Moment;

    /// A clock whose spring breaks.
    #[derive(Default)]
    struct Breaking(AtomicU32);

    impl Clock for Breaking {
        fn now(&self) -> Moment {
            assert!(self.0.fetch_add(1, Ordering::SeqCst) < 20, "broken");
            Moment::ZERO
        }

        fn unix_seconds(&self) -> f64 {
            0.0
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_ledger_ends_the_exporter_instead_of_standing_still() {
        let inventory = Inventory::default();
        let plan = Plan {
            meters: vec![],
            sources: vec![],
            host_sources: vec![],
            inventory,
            probe: None,
            named: std::collections::HashMap::default(),
        };
        let shutdown = CancellationToken::new();
        let setup = Setup {
            loaded: Loaded { plan, profiles: Profiles::built_in(), web: Web::default() },
            load: Box::new(|| Err("there is no file".to_owned())),
            switches: Arc::default(),
            storage: None,
            listeners: Vec::new(),
            metrics_path: MetricsPath::default(),
            access: Access::default(),
            hangup: None,
            clock: Arc::new(Breaking::default()),
        };
        let run = run(setup, shutdown.clone());
        assert_eq!(timeout(Duration::from_secs(60), run).await, Ok(Err(LedgerDied)));
        assert!(shutdown.is_cancelled());
    }
}
