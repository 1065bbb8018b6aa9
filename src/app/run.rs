//! Runs a plan: a task for every device, the ledger's tick, and the HTTP server, until shutdown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::keep::Opened;
use super::pages::{Generation, RunningPages};
use super::probe::{Prober, places};
use super::{Plan, target};
use crate::attribution::Ledger;
use crate::drivers::{self, Profiles};
use crate::exposition::PageCache;
use crate::exposition::collect::Collector;
use crate::http::{self, Limits, MetricsPath};
use crate::model::{ChannelId, Clock, MeterId};
use crate::poller::{Stats, supervise};
use crate::store::Store;
use crate::workloads::{UsageLog, libvirt};

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

/// Runs `plan` until `shutdown` is cancelled, serving on the listeners, with counters that go on from `storage` and are kept there. Every session is given back before it returns, as far as
/// devices answer within ten seconds.
///
/// # Errors
/// If the ledger dies: a page that stands still for ever looks like a building that draws nothing, so the whole exporter
/// ends, and who started it may start it anew.
pub async fn run(
    plan: Plan,
    profiles: Profiles,
    listeners: Vec<TcpListener>,
    metrics_path: MetricsPath,
    storage: Option<Opened>,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), LedgerDied> {
    let store = Arc::new(Store::new(plan.meters.iter().map(|m| m.settings.clone()).collect()));
    let usage = Arc::new(UsageLog::new(plan.sources.iter().map(|s| s.settings.clone()).collect()));
    let ledger = Arc::new(Mutex::new(Ledger::new(&plan.inventory, &plan.host_sources, &store, clock.now())));
    let keeper = storage.map(|opened| Arc::new(opened.resume(&store, &ledger, &clock)));
    let kinds: Vec<_> = drivers::REGISTRY.iter().map(|k| k.name).chain([libvirt::NAME]).collect();
    let stats = Arc::new(Stats::new(&kinds));
    let generation = Arc::new(Generation::default());
    let tasks = TaskTracker::new();
    let shared = target::Shared::new(profiles, &clock);
    let probes = plan.probe.as_ref().map_or(0, |probe| probe.concurrency);
    let prober = plan.probe.map(|probe| {
        let (clock, stats) = (Arc::clone(&clock), Arc::clone(&stats));
        Arc::new(Prober::new(probe, shared.clone(), clock, stats, tasks.clone(), shutdown.clone()))
    });
    let pages = Arc::new(RunningPages {
        cache: PageCache::new(),
        collector: Collector::new(
            &plan.inventory,
            Arc::clone(&store),
            Arc::clone(&ledger),
            Arc::clone(&usage),
            Arc::clone(&stats),
            Arc::clone(&clock),
        )
        .with_checkpoint(keeper.as_ref().map(|keeper| Arc::clone(keeper.health()))),
        generation: Arc::clone(&generation),
        store: Arc::clone(&store),
        usage: Arc::clone(&usage),
        clock: Arc::clone(&clock),
        started: clock.now(),
        prober,
    });

    for meter in plan.meters {
        let Some(index) = store.find(&meter.settings.id) else { continue };
        let device = target::meter(meter, index, &store, &clock, &shared);
        tasks.spawn(supervise(Arc::new(device), Arc::clone(&clock), Arc::clone(&stats), shutdown.clone()));
    }
    for (index, source) in plan.sources.into_iter().enumerate() {
        let device = target::source(source, crate::workloads::SourceIndex(index), &usage, &clock);
        tasks.spawn(supervise(Arc::new(device), Arc::clone(&clock), Arc::clone(&stats), shutdown.clone()));
    }
    tasks.spawn(watch_feeds(Arc::clone(&store), plan.named, shutdown.clone()));
    if let Some(keeper) = &keeper {
        tasks.spawn(Arc::clone(keeper).run(shutdown.clone()));
    }
    let settling = tasks.spawn(tick(ledger, store, usage, generation, clock, shutdown.clone()));
    for listener in listeners {
        let router = http::router(Arc::clone(&pages) as Arc<dyn http::Pages>, metrics_path.clone());
        tasks.spawn(http::serve(listener, router, limits(probes), shutdown.clone()));
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

/// Who waits for a probe holds a connection: the usual ones are there beside them, so that no scrape waits for a device.
fn limits(probes: usize) -> Limits {
    let usual = Limits::default();
    Limits { connections: usual.connections.saturating_add(places(probes)), ..usual }
}

/// Only the device can tell whether it has the channels that feeds name: says once which it has not, a while after it first
/// answered, since some devices show their outlets late.
async fn watch_feeds(
    store: Arc<Store>,
    named: HashMap<(MeterId, ChannelId), String>,
    shutdown: CancellationToken,
) {
    let mut unsaid = named;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(FEED_PATIENCE) => {}
        }
        store.each(|meter| {
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
async fn tick(
    ledger: Arc<Mutex<Ledger>>,
    store: Arc<Store>,
    usage: Arc<UsageLog>,
    generation: Arc<Generation>,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        ledger.lock().unwrap_or_else(PoisonError::into_inner).settle(&store, &usage, clock.now());
        generation.next();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::inventory::Inventory;
    use crate::model::Moment;

    /// A clock whose spring breaks.
    #[derive(Default)]
    struct Breaking(AtomicU32);

    impl Clock for Breaking {
        fn now(&self) -> Moment {
            assert!(self.0.fetch_add(1, Ordering::SeqCst) < 5, "broken");
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
            named: HashMap::default(),
        };
        let (profiles, shutdown) = (Profiles::built_in(), CancellationToken::new());
        let path = MetricsPath::new("/metrics").unwrap();
        let run = run(plan, profiles, vec![], path, None, Arc::new(Breaking::default()), shutdown.clone());
        assert_eq!(timeout(Duration::from_secs(60), run).await, Ok(Err(LedgerDied)));
        assert!(shutdown.is_cancelled());
    }
}
