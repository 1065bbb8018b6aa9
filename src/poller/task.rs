//! One device's task, and the supervisor over it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::schedule::Schedule;
use super::{Stats, Target, Timing};
use crate::model::{Clock, ErrorKind, Moment, PollError};

/// The longest a device may take to give a session back.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// The pause before a driver that died is started anew; each death in a row doubles it.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const MAX_RESTART_PAUSE: Duration = Duration::from_secs(300);

/// The shortest time between two warnings of one device.
const QUIET: Duration = Duration::from_secs(60);

/// A device as the poller sees it.
pub struct Device {
    /// Name, for logs and the schedule's phase.
    pub name: String,
    /// Value of the `driver` label.
    pub driver: &'static str,
    /// Where it is reached, for logs.
    pub address: String,
    /// Where the configuration defines it, `FILE:LINE`, for logs.
    pub defined: String,
    /// When and how long.
    pub timing: Timing,
    /// Makes the target anew: at the start and after a death.
    pub open: Box<dyn Fn() -> Result<Box<dyn Target>, PollError> + Send + Sync>,
    /// Where a failed poll is told.
    pub failed: Box<dyn Fn(&PollError) + Send + Sync>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("name", &self.name)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}

/// Polls a device until `shutdown`, then closes it. A driver that dies is counted and started anew; the other devices
/// notice nothing.
pub async fn supervise(
    device: Arc<Device>,
    clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    shutdown: CancellationToken,
) {
    let mut pause = RESTART_PAUSE;
    while !shutdown.is_cancelled() {
        let begun = clock.now();
        let life = live(&device, clock.as_ref(), &stats, &shutdown);
        match AssertUnwindSafe(life).catch_unwind().await {
            Ok(()) => return,
            Err(panic) => {
                let error = PollError::new(
                    ErrorKind::Protocol,
                    "its driver died and is started anew",
                    "this is a bug: please report it with the log",
                );
                (device.failed)(&error);
                let died = last_words(panic.as_ref());
                tracing::error!(device = device.name, driver = device.driver, died, "driver died");
                if let Some(s) = stats.driver(device.driver) {
                    s.restarted();
                }
            }
        }
        if clock.now().since(begun) > MAX_RESTART_PAUSE {
            pause = RESTART_PAUSE;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(pause) => pause = (pause * 2).min(MAX_RESTART_PAUSE),
        }
    }
}

/// What a panic says.
fn last_words(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

/// One life of a driver: until shutdown, or its death.
async fn live(device: &Device, clock: &dyn Clock, stats: &Stats, shutdown: &CancellationToken) {
    let mut schedule = Schedule::new(&device.name, device.timing, clock.now());
    let mut target: Option<Box<dyn Target>> = None;
    let mut teller = Teller::default();
    // One timer for when to poll and until when, and one wait for the end: both stand in queues that all devices share.
    let mut ended = pin!(shutdown.cancelled());
    let first = schedule.next();
    let mut timer = pin!(sleep(first.since(clock.now())));
    let zero = timer.deadline();
    loop {
        tokio::select! {
            biased;
            () = &mut ended => break,
            () = &mut timer => {}
        }
        let begun = clock.now();
        timer.as_mut().reset(zero + begun.since(first) + device.timing.deadline);
        let result = tokio::select! {
            biased;
            () = &mut ended => break,
            result = AssertUnwindSafe(poll(device, &mut target)).catch_unwind() => result,
            () = &mut timer => Ok(Err(deadline_error(device.timing.deadline))),
        };
        let result = match result {
            Ok(result) => result,
            Err(panic) => {
                // A new life opens a new session: this one must not stay behind, since BMCs have few.
                close(device, target).await;
                resume_unwind(panic);
            }
        };
        let now = clock.now();
        let outcome = result.as_ref().copied().map_err(|e| e.kind);
        if let Some(s) = stats.driver(device.driver) {
            s.polled(outcome, now.since(begun));
        }
        if let Err(error) = &result {
            (device.failed)(error);
        }
        teller.tell(device, result.as_ref().err(), now);
        timer.as_mut().reset(zero + schedule.after(outcome, now).since(first));
    }
    close(device, target).await;
}

/// Gives back what the device holds for us. What it does not take in time is left to its own timeout.
async fn close(device: &Device, target: Option<Box<dyn Target>>) {
    let Some(mut target) = target else { return };
    if timeout(CLOSE_DEADLINE, target.close()).await.is_err() {
        tracing::warn!(device = device.name, "did not close in time");
    }
}

/// Opens the target if need be and polls it once.
async fn poll(device: &Device, target: &mut Option<Box<dyn Target>>) -> Result<(), PollError> {
    let target = match target {
        Some(open) => open,
        none => none.insert((device.open)()?),
    };
    target.poll().await
}

/// What a poll that met its deadline is told as.
#[must_use]
pub fn deadline_error(deadline: Duration) -> PollError {
    PollError::new(
        ErrorKind::Timeout,
        format!("no complete answer within {}", humantime::format_duration(deadline)),
        "check that the device is up and reachable, or give it a longer `timeout`",
    )
}

/// Logs changes of fortune, not every failure, and those of one that comes and goes once a minute: neither a dead rack nor
/// a loose cable may fill the disk.
#[derive(Debug, Default)]
struct Teller {
    /// The failure that was told and is not over.
    told: Option<ErrorKind>,
    at: Option<Moment>,
}

impl Teller {
    /// Tells the outcome of a poll, if it is worth it; gives whether it was.
    fn tell(&mut self, device: &Device, error: Option<&PollError>, now: Moment) -> bool {
        let Device { name, driver, address, defined, .. } = device;
        match (error, self.told) {
            (Some(e), told) => {
                let news = told != Some(e.kind) && self.at.is_none_or(|at| now.since(at) >= QUIET);
                if news {
                    tracing::warn!("{name} ({driver} {address}, {defined}): {e}");
                    (self.told, self.at) = (Some(e.kind), Some(now));
                }
                news
            }
            (None, Some(_)) => {
                tracing::info!("{name} ({driver} {address}, {defined}): answers again");
                self.told = None;
                true
            }
            (None, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::model::{BoxFuture, SystemClock};

    /// What the scripted device does at each poll.
    #[derive(Clone, Copy)]
    enum Act {
        Answer,
        Hang,
        Die,
    }

    struct Scripted {
        script: Arc<Vec<Act>>,
        polls: Arc<AtomicUsize>,
        closes: Arc<AtomicUsize>,
    }

    impl Target for Scripted {
        fn poll(&mut self) -> BoxFuture<'_, Result<(), PollError>> {
            let act = self.script[self.polls.fetch_add(1, Ordering::SeqCst).min(self.script.len() - 1)];
            Box::pin(async move {
                match act {
                    Act::Answer => Ok(()),
                    Act::Hang => std::future::pending().await,
                    Act::Die => panic!("a driver's bug"),
                }
            })
        }

        fn close(&mut self) -> BoxFuture<'_, ()> {
            self.closes.fetch_add(1, Ordering::SeqCst);
            Box::pin(std::future::ready(()))
        }
    }

    struct Run {
        stats: Arc<Stats>,
        polls: Arc<AtomicUsize>,
        closes: Arc<AtomicUsize>,
        failed: Arc<AtomicUsize>,
    }

    async fn run(script: Vec<Act>, time: Duration) -> Run {
        let r = Run {
            stats: Arc::new(Stats::new(&["snmp"])),
            polls: Arc::default(),
            closes: Arc::default(),
            failed: Arc::default(),
        };
        let (polls, closes, failed) = (Arc::clone(&r.polls), Arc::clone(&r.closes), Arc::clone(&r.failed));
        let script = Arc::new(script);
        let device = Device {
            name: "pdu-1".into(),
            driver: "snmp",
            address: "127.0.0.1:161".into(),
            defined: "wattribute.yaml:1".into(),
            timing: Timing { interval: Duration::from_secs(10), deadline: Duration::from_secs(5) },
            open: Box::new(move || {
                Ok(Box::new(Scripted {
                    script: Arc::clone(&script),
                    polls: Arc::clone(&polls),
                    closes: Arc::clone(&closes),
                }))
            }),
            failed: Box::new(move |_| {
                failed.fetch_add(1, Ordering::SeqCst);
            }),
        };
        let shutdown = CancellationToken::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let task = tokio::spawn(supervise(Arc::new(device), clock, Arc::clone(&r.stats), shutdown.clone()));
        sleep(time).await;
        shutdown.cancel();
        task.await.unwrap();
        r
    }

    fn count(run: &Run, result: &str) -> u64 {
        run.stats.driver("snmp").unwrap().results().find(|(r, _)| *r == result).unwrap().1
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_is_polled_on_its_grid_and_closed_once() {
        let r = run(vec![Act::Answer], Duration::from_secs(100)).await;
        assert_eq!(r.polls.load(Ordering::SeqCst), 10);
        assert_eq!(count(&r, "ok"), 10);
        assert_eq!(r.closes.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_device_meets_its_deadline_and_recovers() {
        let r = run(vec![Act::Hang, Act::Hang, Act::Answer], Duration::from_secs(100)).await;
        assert_eq!(count(&r, "timeout"), 2);
        assert_eq!(r.failed.load(Ordering::SeqCst), 2);
        assert_eq!(count(&r, "ok"), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_dies_is_counted_and_started_anew() {
        let r = run(vec![Act::Answer, Act::Die, Act::Answer], Duration::from_secs(100)).await;
        assert_eq!(r.stats.driver("snmp").unwrap().restarts(), 1);
        assert!(count(&r, "ok") >= 7);
        assert_eq!(r.closes.load(Ordering::SeqCst), 2, "the one that died gave its session back, too");
    }

    #[test]
    fn a_device_that_comes_and_goes_is_told_once_a_minute() {
        let device = Device {
            name: "pdu-1".into(),
            driver: "snmp",
            address: String::new(),
            defined: "wattribute.yaml:1".into(),
            timing: Timing { interval: Duration::from_secs(10), deadline: Duration::from_secs(5) },
            open: Box::new(|| Err(PollError::new(ErrorKind::Busy, "", ""))),
            failed: Box::new(|_| {}),
        };
        let mut teller = Teller::default();
        let mut lines = 0;
        for n in 0..360u64 {
            let kind = if n % 4 == 0 { ErrorKind::Timeout } else { ErrorKind::Protocol };
            let error = (n % 2 == 0).then(|| PollError::new(kind, "", ""));
            let now = Moment::ZERO + Duration::from_secs(n * 10);
            lines += usize::from(teller.tell(&device, error.as_ref(), now));
        }
        assert_eq!(lines, 120, "an hour: a failure and a recovery a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_device_does_not_hold_the_shutdown_up() {
        let r = run(vec![Act::Hang], Duration::from_secs(12)).await;
        assert_eq!(r.closes.load(Ordering::SeqCst), 1);
    }
}
