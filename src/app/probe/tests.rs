//! Flights with a paused clock: who shares one, who ends it, and what is left when it has landed.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use secrecy::SecretString;
use tokio::time::sleep;

use super::*;
use crate::app::plan::DriverPlan;
use crate::drivers::ipmi;
use crate::model::{ChannelId, Measure, Pattern, Reading, SystemClock, Watts};

const SECOND: Duration = Duration::from_secs(1);

/// What all devices of a test saw.
#[derive(Default)]
struct Seen {
    opened: AtomicUsize,
    closed: AtomicUsize,
    resolved: AtomicUsize,
    dialled: Mutex<Vec<SocketAddr>>,
}

/// How devices behave.
#[derive(Clone, Copy)]
struct Nature {
    /// How long a poll takes.
    poll: Duration,
    /// How long a close takes.
    close: Duration,
    panics: bool,
}

struct Fake {
    seen: Arc<Seen>,
    nature: Nature,
    /// What names lead to; the next query leads elsewhere.
    names: Vec<IpAddr>,
}

impl World for Fake {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let before = self.seen.resolved.fetch_add(1, Ordering::SeqCst);
        let found = if before == 0 { self.names.clone() } else { vec!["127.0.0.1".parse().unwrap()] };
        Box::pin(async move { Ok(found) })
    }

    fn open(
        &self,
        _: &ModulePlan,
        _: &Host,
        address: SocketAddr,
        _: Duration,
    ) -> Result<Box<dyn Driver>, PollError> {
        self.seen.opened.fetch_add(1, Ordering::SeqCst);
        self.seen.dialled.lock().unwrap().push(address);
        Ok(Box::new(Scripted(Arc::clone(&self.seen), self.nature)))
    }
}

struct Scripted(Arc<Seen>, Nature);

impl Driver for Scripted {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(async {
            sleep(self.1.poll).await;
            assert!(!self.1.panics, "on purpose");
            let power = Measure::Power(Watts::new(100.0).unwrap());
            let readings = vec![Reading::measured(ChannelId::new("input").unwrap(), power)];
            Ok(Batch { readings, ..Batch::default() })
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            sleep(self.1.close).await;
            self.0.closed.fetch_add(1, Ordering::SeqCst);
        })
    }
}

struct Bench {
    prober: Arc<Prober>,
    seen: Arc<Seen>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

fn bench(nature: Nature, targets: &[&str], names: &[&str]) -> Bench {
    let settings = ipmi::Settings {
        address: "192.0.2.0:623".into(),
        user: "u".into(),
        password: SecretString::from("p"),
        bmc_key: None,
        privilege: ipmi::Privilege::User,
        suites: vec![ipmi::Suite::Sha256],
        readings: ipmi::Readings::Auto,
        request_timeout: SECOND,
        retries: 2,
        learning: SECOND,
        keep_session: ipmi::KeepSession::ByPolls,
        lookup: ipmi::Lookup::Name,
        legacy: Vec::new(),
        quirks: Vec::new(),
    };
    let module = ModulePlan {
        name: "bmc".into(),
        defined: String::new(),
        timeout: 10 * SECOND,
        targets: targets.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        kind: "ipmi",
        driver: DriverPlan::Ipmi(Arc::new(settings)),
    };
    let plan = ProbePlan { concurrency: 2, modules: vec![module] };
    let seen = Arc::new(Seen::default());
    let names = names.iter().map(|text| text.parse().unwrap()).collect();
    let world = Box::new(Fake { seen: Arc::clone(&seen), nature, names });
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let stats = Arc::new(Stats::new(&["ipmi"]));
    let clock = Arc::new(SystemClock::new());
    let prober = Prober::with(plan, world, clock, stats, tasks.clone(), shutdown.clone());
    Bench { prober: Arc::new(prober), seen, shutdown, tasks }
}

fn quick() -> Nature {
    Nature { poll: SECOND, close: Duration::ZERO, panics: false }
}

impl Bench {
    fn ask(&self, target: &str, limit: Option<Duration>) -> tokio::task::JoinHandle<Outcome> {
        let prober = Arc::clone(&self.prober);
        let ask = Ask { target: target.into(), module: "bmc".into(), limit };
        tokio::spawn(async move { prober.probe(ask).await })
    }

    async fn one(&self, target: &str, limit: Option<Duration>) -> Outcome {
        self.ask(target, limit).await.unwrap()
    }

    fn counts(&self) -> (usize, usize) {
        (self.seen.opened.load(Ordering::SeqCst), self.seen.closed.load(Ordering::SeqCst))
    }

    /// Claims that nothing is left: no flight, no task, all slots free.
    async fn nothing_is_left(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        assert!(lock(&self.prober.0.flights).is_empty());
        assert_eq!(self.prober.0.slots.available_permits(), 2);
        let (opened, closed) = self.counts();
        assert_eq!(opened, closed);
    }
}

fn kind(outcome: &Outcome) -> Option<ErrorKind> {
    outcome.as_ref().unwrap().result.as_ref().err().map(|e| e.kind)
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_at_once_share_one_poll_and_one_page() {
    let bench = bench(quick(), &["any"], &[]);
    let asked: Vec<_> =
        ["10.0.0.1", "10.0.0.1:623", "::ffff:10.0.0.1"].iter().map(|t| bench.ask(t, None)).collect();
    let mut pages = Vec::new();
    for ask in asked {
        pages.push(ask.await.unwrap().unwrap());
    }
    assert!(pages.iter().all(|page| Arc::ptr_eq(page, &pages[0])));
    assert_eq!(bench.counts(), (1, 1));
    // Who asks afterwards gets a poll of its own.
    assert_eq!(kind(&bench.one("10.0.0.1", None).await), None);
    assert_eq!(bench.counts(), (2, 2));
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn only_the_last_who_leaves_ends_a_flight() {
    let bench = bench(quick(), &["any"], &[]);
    let (first, second) = (bench.ask("10.0.0.1", None), bench.ask("10.0.0.1", None));
    sleep(SECOND / 2).await;
    first.abort();
    assert_eq!(kind(&second.await.unwrap()), None);
    let alone = bench.ask("10.0.0.1", None);
    sleep(SECOND / 2).await;
    alone.abort();
    sleep(SECOND / 10).await;
    assert_eq!(bench.counts(), (2, 2), "closed long before the poll would have ended");
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_device_is_given_up_in_time_and_its_session_closed() {
    let bench = bench(Nature { poll: 3600 * SECOND, ..quick() }, &["any"], &[]);
    let clock = SystemClock::new();
    let begun = clock.now();
    assert_eq!(kind(&bench.one("10.0.0.1", Some(2 * SECOND)).await), Some(ErrorKind::Timeout));
    assert_eq!(clock.now().since(begun), 3 * SECOND / 2);
    // Without a word of the client: the module's.
    assert_eq!(kind(&bench.one("10.0.0.1", None).await), Some(ErrorKind::Timeout));
    assert_eq!(clock.now().since(begun), 11 * SECOND);
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_farewell_costs_no_reading_and_is_still_said() {
    let bench = bench(Nature { close: 3 * SECOND, ..quick() }, &["any"], &[]);
    let clock = SystemClock::new();
    let begun = clock.now();
    assert_eq!(kind(&bench.one("10.0.0.1", Some(2 * SECOND)).await), None);
    assert!(clock.now().since(begun) < 2 * SECOND);
    assert_eq!(bench.counts(), (1, 0));
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_less_than_the_flight_takes_is_told_so_and_the_others_are_served() {
    let bench = bench(quick(), &["any"], &[]);
    let patient = bench.ask("10.0.0.1", None);
    tokio::task::yield_now().await;
    assert_eq!(kind(&bench.one("10.0.0.1", Some(SECOND / 10)).await), Some(ErrorKind::Timeout));
    assert_eq!(kind(&patient.await.unwrap()), None);
    assert_eq!(bench.counts(), (1, 1));
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn beyond_the_cap_nobody_waits() {
    let bench = bench(quick(), &["any"], &[]);
    let (first, second) = (bench.ask("10.0.0.1", None), bench.ask("10.0.0.2", None));
    tokio::task::yield_now().await;
    assert_eq!(bench.one("10.0.0.3", None).await.unwrap_err(), Refusal::Full);
    // Those who join a flight need no slot.
    let joined = bench.ask("10.0.0.2", None);
    for ask in [first, second, joined] {
        assert_eq!(kind(&ask.await.unwrap()), None);
    }
    assert_eq!(kind(&bench.one("10.0.0.3", None).await), None);
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn those_who_share_a_flight_cannot_take_every_connection() {
    let bench = bench(quick(), &["any"], &[]);
    let asked: Vec<_> = (0..5).map(|_| bench.ask("10.0.0.1", None)).collect();
    let mut refused = 0;
    for ask in asked {
        match ask.await.unwrap() {
            Ok(probed) => assert!(probed.result.is_ok()),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Full);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1, "two places for each of the two flights");
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_exporter_ends_flights_and_closes_their_sessions() {
    let bench = bench(quick(), &["any"], &[]);
    let under_way = bench.ask("10.0.0.1", None);
    sleep(SECOND / 2).await;
    bench.shutdown.cancel();
    assert_eq!(under_way.await.unwrap().unwrap_err(), Refusal::Stopping);
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_dies_fails_one_probe_and_is_closed() {
    let bench = bench(Nature { panics: true, ..quick() }, &["any"], &[]);
    assert_eq!(kind(&bench.one("10.0.0.1", None).await), Some(ErrorKind::Protocol));
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_resolved_once_and_what_was_checked_is_dialled() {
    let bench = bench(quick(), &["10.0.0.0/24"], &["192.0.2.7", "::ffff:10.0.0.7", "10.0.0.8"]);
    assert_eq!(kind(&bench.one("bmc.example", None).await), None);
    assert_eq!(bench.seen.resolved.load(Ordering::SeqCst), 1);
    assert_eq!(*bench.seen.dialled.lock().unwrap(), ["10.0.0.7:623".parse().unwrap()]);
    // The same name leads to this machine the next time.
    assert!(matches!(bench.one("bmc.example", None).await, Err(Refusal::Forbidden(_))));
    assert_eq!(bench.counts(), (1, 1));
    bench.nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn who_may_not_be_read_is_neither_resolved_nor_dialled() {
    let bench = bench(quick(), &["*.bmc.example", "10.0.0.0/30:9"], &["10.0.0.1"]);
    for target in ["evil.example", "10.0.0.1", "10.0.0.1:623", "bmc.example", "x.bmc.example:22"] {
        let refused = bench.one(target, None).await;
        assert!(matches!(refused, Err(Refusal::Forbidden(_))), "{target}: {refused:?}");
    }
    for target in
        ["0x7f.1", "u@x.bmc.example", "https://x.bmc.example", "x.bmc.example/", "b\u{fc}.bmc.example"]
    {
        let refused = bench.one(target, None).await;
        assert!(matches!(refused, Err(Refusal::Wrong(_))), "{target}: {refused:?}");
    }
    assert_eq!(bench.seen.resolved.load(Ordering::SeqCst), 0);
    assert_eq!(kind(&bench.one("A.BMC.Example.", None).await), None);
    bench.nothing_is_left().await;
}
