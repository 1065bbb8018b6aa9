//! One load of Redfish: simulated BMCs over HTTPS in this process, the exporter in its own, connections and sessions kept.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wattribute::model::{Clock, SystemClock};
use wattribute::sim::endpoint::Live;
use wattribute::sim::pki::Pki;
use wattribute::sim::redfish::{self, Account, Style};
use wattribute::sim::world::World;

use crate::exporter::{Exporter, Page, label, thread_seconds};
use crate::ipmi::{Outcome, PASSWORD, USER, quantile, secret};

const THREAD: &str = "simulated-bmcs";
/// What a watt may differ by: some resources show whole watts.
const ROUNDING_WATTS: f64 = 1.0;

fn config(interval: Duration, bmcs: &[redfish::Running], ca_pem: &str, dir: &Path) -> PathBuf {
    let (password, ca) = (dir.join("password"), dir.join("ca.pem"));
    secret(&password, PASSWORD);
    fs::write(&ca, ca_pem).unwrap();
    let interval = interval.as_millis();
    let mut text = format!(
        "poll: {{interval: {interval}ms, timeout: {interval}ms, stale_after: {}ms, max_gap: {}ms}}\nmeters:\n",
        3 * interval,
        interval * 3 / 2,
    );
    for (number, bmc) in bmcs.iter().enumerate() {
        writeln!(
            text,
            "  - {{name: bmc-{number}, redfish: {{url: \"https://{}\", username: {USER}, password_file: {}, ca_file: {}}}}}",
            bmc.address,
            password.display(),
            ca.display()
        )
        .unwrap();
    }
    let path = dir.join("wattribute.yaml");
    fs::write(&path, text).unwrap();
    path
}

fn number(labels: &str) -> usize {
    label(labels, "meter").strip_prefix("bmc-").unwrap().parse().unwrap()
}

/// Readings of the machines' whole power that are none of the watts of the two seconds before their time stamp, and how
/// many there were.
fn wrong(page: &Page, live: &Live) -> (u64, u64) {
    let is_input = |labels: &str| label(labels, "channel") == "input";
    let mut stamps = vec![];
    for (labels, at) in page.samples("wattribute_meter_reading_timestamp_seconds") {
        if is_input(labels) {
            stamps.resize(stamps.len().max(number(labels) + 1), f64::NAN);
            stamps[number(labels)] = live.seconds_at(at);
        }
    }
    let (mut checked, mut wrong) = (0, 0);
    for (labels, watts) in page.samples("wattribute_meter_power_watts").filter(|(l, _)| is_input(l)) {
        let host = number(labels) % live.world.hosts().len();
        let shown =
            (0..=40).map(|n| live.world.host_watts(host, stamps[number(labels)] - f64::from(n) / 20.0));
        let (least, most) = shown.fold((f64::MAX, f64::MIN), |(a, b), w| (a.min(w), b.max(w)));
        checked += 1;
        wrong += u64::from(!(least - ROUNDING_WATTS..=most + ROUNDING_WATTS).contains(&watts));
    }
    (checked, wrong)
}

/// Loads with `count` BMCs for `measure`.
pub fn run(count: usize, interval: Duration, measure: Duration, scrape: Duration) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name(THREAD)
        .enable_all()
        .build()
        .unwrap();
    let inside = runtime.enter();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let live = Live::new(Arc::new(World::new(7)), clock.clone());
    let pki = Pki::new().unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let account = Account { user: USER.to_owned(), password: PASSWORD.to_owned() };
    let start = |number: usize| {
        let host = number % live.world.hosts().len();
        let (tls, stop) = (pki.server.clone(), stop.clone());
        redfish::start(live.clone(), host, Style::Modern, account.clone(), tls, stop, &tasks)
    };
    let bmcs: Vec<_> = (0..count).map(|number| start(number).unwrap()).collect();
    drop(inside);

    let began = Instant::now();
    let mut exporter = Exporter::start(&config(interval, &bmcs, &pki.ca_pem, dir.path()), dir.path());
    loop {
        let page = exporter.page();
        let read: HashSet<_> = page.samples("wattribute_meter_power_watts").map(|(l, _)| number(l)).collect();
        if read.len() == count {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(180), "{} of {count} were read", read.len());
        sleep(Duration::from_millis(100));
    }
    let startup_seconds = began.elapsed().as_secs_f64();
    sleep(interval * 3);

    let (first, weight, simulator) = (exporter.page(), exporter.weigh(), thread_seconds(THREAD));
    let began = Instant::now();
    let (mut ages, mut checked, mut bad) = (Vec::new(), 0, 0);
    while began.elapsed() < measure {
        sleep(scrape.min(measure.saturating_sub(began.elapsed())));
        let page = exporter.page();
        let now = clock.unix_seconds();
        let stamps = page.samples("wattribute_meter_reading_timestamp_seconds");
        ages.extend(stamps.map(|(_, at)| now - at));
        let (more, worse) = wrong(&page, &live);
        (checked, bad) = (checked + more, bad + worse);
    }
    let (heavy, seconds) = (exporter.weigh(), began.elapsed().as_secs_f64());
    let simulator_cpu = thread_seconds(THREAD) - simulator;
    let last = exporter.page();
    let held = || bmcs.iter().map(|bmc| bmc.counters.held()).sum::<u64>();
    let sessions_held = held();
    let shutdown_seconds = exporter.program.terminate().as_secs_f64();
    let polls = |n: f64| n - first.polls("redfish").0;
    let cpu = heavy.cpu_seconds - weight.cpu_seconds;
    let good = polls(last.polls("redfish").0);
    let unmeasured = |page: &Page| {
        page.samples("wattribute_meter_unmeasured_seconds_total").map(|(_, seconds)| seconds).sum::<f64>()
    };
    let outcome = Outcome {
        load: "redfish".to_owned(),
        meters: count as u32,
        answering: count as u32,
        startup_seconds,
        polls_per_second: good / seconds,
        cpu_percent: cpu / seconds * 100.0,
        simulator_cpu_percent: simulator_cpu / seconds * 100.0,
        cpu_microseconds_per_reading: cpu / good * 1e6,
        rss_mebibytes: heavy.rss_bytes as f64 / f64::from(1 << 20),
        pss_mebibytes: heavy.pss_bytes as f64 / f64::from(1 << 20),
        lost: (last.polls("redfish").1 - first.polls("redfish").1) as u64,
        unmeasured_seconds: unmeasured(&last) - unmeasured(&first),
        checked,
        wrong: bad,
        age_p50_seconds: quantile(&mut ages, 0.5),
        age_p99_seconds: quantile(&mut ages, 0.99),
        sessions_opened: bmcs.iter().map(|bmc| bmc.counters.opened()).sum(),
        sessions_held,
        sessions_left_open: held(),
        shutdown_seconds,
        ..Outcome::default()
    };
    stop.cancel();
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}
