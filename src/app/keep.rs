//! Who keeps the counters, and when: a checkpoint every interval and one at the end, made off the runtime's threads; and what a
//! start goes on from. A checkpoint that cannot be written is told of and tried again: metering goes on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::pages::Generation;
use super::switches::Switches;
use crate::attribution::Ledger;
use crate::attribution::ledger::LedgerState;
use crate::checkpoint::{Book, Folder, Found, Frame, Health, OpenError, SectionError, Sections};
use crate::exposition::collect::Collector;
use crate::model::{Clock, Moment, Past};
use crate::store::{Store, StoreState};

/// From one line in the log of writes that fail to the next.
const COMPLAINT: Duration = Duration::from_secs(60);
/// From one write to the next in the first interval of an exporter.
const SOON: Duration = Duration::from_secs(1);
/// How long the last write may take: a dead disk must not hold the end up.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// A file that seems older was written by a clock that was not set yet.
const LONGEST_AWAY: Duration = Duration::from_secs(366 * 86_400);

const LEDGER_DIED: &str =
    "something died while it held the ledger: this is a bug: please report it with the log, and restart";

/// The section of what is switched off: JSON.
const SWITCHES: &str = "switches";

impl Book for StoreState {
    const NAME: &'static str = "meters";
    const VERSION: u16 = 1;
}

impl Book for LedgerState {
    const NAME: &'static str = "ledger";
    const VERSION: u16 = 1;
}

/// Where counters are kept, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The folder.
    pub path: PathBuf,
    /// From one checkpoint to the next: the most that a crash may lose.
    pub interval: Duration,
}

/// What a checkpoint says.
#[derive(Debug)]
struct Contents {
    written: Duration,
    store: StoreState,
    ledger: LedgerState,
    /// What nobody here knows: passed on as it is.
    rest: Sections,
}

impl Contents {
    /// # Errors
    /// If any of it cannot be used: half a checkpoint would not add up.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut frame = Frame::decode(bytes).map_err(|error| error.to_string())?;
        fn book<B: Book>(sections: &mut Sections) -> Result<B, String> {
            let book = sections.take().map_err(|error| error.to_string())?;
            book.ok_or_else(|| format!("its section {} is missing", B::NAME))
        }
        Ok(Self {
            written: Duration::from_millis(frame.written_unix_millis),
            store: book(&mut frame.sections)?,
            ledger: book(&mut frame.sections)?,
            rest: frame.sections,
        })
    }
}

/// A folder that is held, with what stood in it.
#[derive(Debug)]
pub struct Opened {
    folder: Folder,
    interval: Duration,
    found: Found<Contents>,
}

/// Holds the folder of `storage` and reads what stands there; says in the log what could not be used, and what is done.
///
/// # Errors
/// If another exporter holds the folder, or it is not there and cannot be made.
pub fn open(storage: &Storage) -> Result<Opened, OpenError> {
    let mut folder = Folder::open(&storage.path)?;
    let found = folder.find(Contents::read);
    for refused in &found.refused {
        let aside = match &refused.aside {
            Some(aside) => format!("it is set aside as {}", aside.display()),
            None => "it could not be set aside".to_owned(),
        };
        tracing::error!(
            "{} cannot be used: {}; {aside}: if another version of wattribute wrote it, run that one with it under its old name",
            refused.path.display(),
            refused.cause
        );
    }
    if found.good.is_none() && !found.refused.is_empty() {
        tracing::error!(
            "no checkpoint in {} can be used: all counters begin at 0, and totals of tenants are lost unless one of the files \
             set aside is put back",
            storage.path.display()
        );
    }
    Ok(Opened { folder, interval: storage.interval, found })
}

impl Opened {
    /// What was switched off.
    #[must_use]
    pub fn switches(&self) -> Switches {
        let bytes = self.found.good.as_ref().and_then(|(contents, _)| contents.rest.bytes(SWITCHES));
        bytes.map(Switches::load).transpose().map(Option::unwrap_or_default).unwrap_or_else(|unreadable| {
            tracing::error!("{unreadable}");
            Switches::default()
        })
    }

    /// Lets the meters go on from what was found, before anything is read.
    #[must_use]
    pub fn resume_store(self, store: &Arc<Store>, clock: &Arc<dyn Clock>) -> Resuming {
        let Self { folder, interval, found } = self;
        let (now, wall) = (clock.now(), unix(clock.as_ref()));
        let mut past = Past { now, away: Duration::ZERO };
        let (mut ledger, mut rest) = (LedgerState::default(), Sections::default());
        match found.good {
            Some((contents, path)) => {
                past.away = away(contents.written, wall);
                say(&path, contents.written, wall);
                store.resume(contents.store, &past);
                (ledger, rest) = (contents.ledger, contents.rest);
            }
            None => tracing::info!("no checkpoint in {}: counters begin at 0", folder.path().display()),
        }
        let refused = u64::try_from(found.refused.len()).unwrap_or(u64::MAX);
        Resuming {
            folder,
            interval,
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            health: Health::new(refused, past.moment(Duration::ZERO)),
            ledger,
            past,
            rest,
        }
    }
}

/// Meters have gone on, hosts are still to.
pub struct Resuming {
    folder: Folder,
    interval: Duration,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    health: Health,
    ledger: LedgerState,
    past: Past,
    rest: Sections,
}

impl std::fmt::Debug for Resuming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resuming").finish_non_exhaustive()
    }
}

impl Resuming {
    /// Lets hosts and all else go on, once all that is configured is there and before anything is settled. What `switches`
    /// says is kept from now on.
    #[must_use]
    pub fn resume_ledger(self, ledger: &Arc<Mutex<Ledger>>, switches: Arc<Mutex<Switches>>) -> Keeper {
        let mut resumed = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        resumed.resume(self.ledger, &self.store, &self.past);
        drop(resumed);
        self.store.begun();
        Keeper {
            disk: Mutex::new(Disk { folder: self.folder, complained: None, failures: 0 }),
            interval: self.interval,
            store: self.store,
            ledger: Arc::clone(ledger),
            switches,
            clock: self.clock,
            health: Arc::new(self.health),
            rest: self.rest,
            pages: OnceLock::new(),
        }
    }
}

/// How long the exporter was away; none where one of the two clocks must have been wrong.
fn away(written: Duration, wall: Duration) -> Duration {
    wall.checked_sub(written).filter(|away| *away <= LONGEST_AWAY).unwrap_or_default()
}

fn say(path: &Path, written: Duration, wall: Duration) {
    let path = path.display();
    match wall.checked_sub(written) {
        Some(away) if away > LONGEST_AWAY => tracing::warn!(
            "counters go on from {path}, which seems to be {} days old: one of the clocks was wrong, and how long the exporter was \
             away is not known",
            away.as_secs() / 86_400
        ),
        Some(away) => tracing::info!("counters go on from {path}, written {} s ago", away.as_secs()),
        None => tracing::warn!(
            "counters go on from {path}, which is of the future: the clock was set back, and how long the exporter was away is \
             not known"
        ),
    }
}

/// Keeps the counters.
pub struct Keeper {
    disk: Mutex<Disk>,
    interval: Duration,
    store: Arc<Store>,
    ledger: Arc<Mutex<Ledger>>,
    switches: Arc<Mutex<Switches>>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    rest: Sections,
    pages: OnceLock<(Arc<Collector>, Arc<Generation>)>,
}

struct Disk {
    folder: Folder,
    complained: Option<Moment>,
    failures: u64,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    /// How writing fares.
    #[cfg(test)]
    const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Lets pages show, from now on, counters as they are on disk: what is shown is never taken back.
    pub fn show(&self, collector: Arc<Collector>, generation: Arc<Generation>) {
        collector.show_checkpoint(Arc::clone(&self.health));
        collector.show_kept(collector.counters());
        // There is one folder for the life of the process.
        let _ = self.pages.set((collector, generation));
    }

    /// Writes every interval until `shutdown`.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        // In its first interval an exporter has new series each second, and somebody looks for them.
        let mut first = interval(SOON);
        first.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // The first is at once, when there is nothing new to keep.
        first.tick().await;
        for _ in 0..self.interval.as_secs() {
            if !self.turn(&mut first, &shutdown).await {
                return;
            }
        }
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        while self.turn(&mut ticks, &shutdown).await {}
    }

    /// Writes at the next tick; false once it is all over.
    async fn turn(self: &Arc<Self>, ticks: &mut Interval, shutdown: &CancellationToken) -> bool {
        tokio::select! {
            () = shutdown.cancelled() => return false,
            _ = ticks.tick() => {}
        }
        let this = Arc::clone(self);
        tokio::select! {
            () = shutdown.cancelled() => false,
            _ = spawn_blocking(move || this.write()) => true,
        }
    }

    /// Writes once more, at the end.
    pub async fn last(self: Arc<Self>) {
        if timeout(LAST_WRITE, spawn_blocking(move || self.write())).await.is_err() {
            tracing::error!("the last checkpoint could not be written within {} s", LAST_WRITE.as_secs());
        }
    }

    /// Writes now. Blocks. The ledger is held for the copy only.
    pub fn write(&self) {
        // One write at a time, and the later one is of the later state.
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, wall) = (self.clock.now(), unix(self.clock.as_ref()));
        // Before the copies: what is shown may lag behind what is kept, never the other way round.
        let shown = self.pages.get().map(|(collector, _)| collector.counters());
        // A ledger that died in the middle of an interval does not add up.
        let ledger = self.ledger.lock().map(|ledger| ledger.kept(now)).map_err(|_| LEDGER_DIED.to_owned());
        let written = ledger.and_then(|ledger| {
            let store = self.store.kept(now);
            let bytes = self.encode(wall, &store, &ledger).map_err(|error| error.to_string())?;
            let to_disk = disk.folder.write(&bytes);
            to_disk.map_err(|error| format!("{error}: make room, or give the folder back"))?;
            Ok(bytes.len())
        });
        if let (Some((collector, generation)), Some(shown)) = (self.pages.get(), shown) {
            // What cannot be kept must not stop the page, too: what it shows may then be taken back by a restart.
            collector.show_kept(shown);
            generation.next();
        }
        match written {
            Ok(bytes) => {
                if disk.failures > 0 {
                    tracing::info!("the checkpoint is written again, after {} failures", disk.failures);
                }
                (disk.failures, disk.complained) = (0, None);
                self.health.wrote(now, u64::try_from(bytes).unwrap_or(u64::MAX));
            }
            Err(error) => {
                disk.failures += 1;
                self.health.failed();
                if disk.complained.is_none_or(|last| now.since(last) >= COMPLAINT) {
                    disk.complained = Some(now);
                    tracing::error!(
                        "the checkpoint cannot be written: {error}; counters go on, but a restart would fall back to those of {} s \
                         ago",
                        now.since(self.health.kept()).as_secs()
                    );
                }
            }
        }
    }

    fn encode(
        &self,
        wall: Duration,
        store: &StoreState,
        ledger: &LedgerState,
    ) -> Result<Vec<u8>, SectionError> {
        let mut sections = self.rest.clone();
        sections.put(store)?;
        sections.put(ledger)?;
        sections.insert(SWITCHES, self.switches.lock().unwrap_or_else(PoisonError::into_inner).save());
        let written_unix_millis = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        Ok(Frame { written_unix_millis, sections }.encode())
    }
}

/// The wall's time since the Unix epoch.
fn unix(clock: &dyn Clock) -> Duration {
    Duration::try_from_secs_f64(clock.unix_seconds()).unwrap_or_default()
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
