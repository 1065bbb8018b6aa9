//! One load of IPMI: a fleet of simulated BMCs in this process, the exporter in its own, and what came of it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;
use wattribute::model::{Clock, SystemClock};
use wattribute::sim::ipmi::{self, Counts, Fleet, Suite, checkable_watts};

use crate::exporter::{Exporter, Page, label, thread_seconds};

pub const USER: &str = "monitor";
pub const PASSWORD: &str = "simulated-bmc";

/// What to load with.
#[derive(Debug, Clone)]
pub struct Load {
    /// BMCs, and which share of them never says a word.
    pub count: u32,
    pub silent: f64,
    pub suite: Suite,
    /// From one poll to the next.
    pub interval: Duration,
    /// How long is measured, and how often the page is asked for meanwhile.
    pub measure: Duration,
    pub scrape: Duration,
    /// How long the page is asked for each second afterwards, to look at as many readings as possible.
    pub verify: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    pub load: String,
    pub meters: u32,
    pub answering: u32,
    /// Start of the process until every BMC that answers was read once.
    pub startup_seconds: f64,
    /// Good polls a second.
    pub polls_per_second: f64,
    /// Of one core, user and system; the simulator's beside it.
    pub cpu_percent: f64,
    pub simulator_cpu_percent: f64,
    pub cpu_microseconds_per_reading: f64,
    pub rss_mebibytes: f64,
    pub pss_mebibytes: f64,
    /// Polls of answering BMCs that were due and brought nothing: as the BMCs and the polls' results have it, or as the page's
    /// unmeasured seconds have it, whichever is more.
    pub lost: u64,
    /// Seconds of answering meters that the page itself counts as unmeasured.
    pub unmeasured_seconds: f64,
    /// Readings looked at on pages, and those that were not what the BMC showed.
    pub checked: u64,
    pub wrong: u64,
    /// Now minus the time of the reading, as a scrape sees it.
    pub age_p50_seconds: f64,
    pub age_p99_seconds: f64,
    pub datagrams_repeated: u64,
    pub datagrams_bad: u64,
    pub sessions_opened: u64,
    pub sessions_held: u64,
    /// After the exporter ended.
    pub sessions_left_open: u64,
    pub shutdown_seconds: f64,
}

pub fn fleet(count: u32, suites: &[Suite], interval: Duration) -> Fleet {
    Fleet {
        count,
        suites: suites.to_vec(),
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
        max_sessions: 4,
        interval,
        watts: Arc::new(checkable_watts),
    }
}

/// Writes a file that only its owner may read.
pub fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn config(load: &Load, fleet: &ipmi::Running, dir: &Path) -> PathBuf {
    let password = dir.join("password");
    secret(&password, PASSWORD);
    let suite = match load.suite {
        Suite::Three => 3,
        Suite::Seventeen => 17,
    };
    let interval = load.interval.as_millis();
    let try_time = (interval / 3).min(1000);
    let mut text = format!(
        "poll: {{interval: {interval}ms, timeout: {interval}ms, stale_after: {}ms, max_gap: {}ms}}\nmeters:\n",
        3 * interval,
        interval * 3 / 2,
    );
    for (number, address) in fleet.addresses.iter().enumerate() {
        writeln!(
            text,
            "  - {{name: bmc-{number}, ipmi: {{address: \"{address}\", username: {USER}, password_file: {}, \
             readings: dcmi, cipher_suites: [{suite}], timeout: {try_time}ms, retries: 2}}}}",
            password.display()
        )
        .unwrap();
    }
    let path = dir.join("wattribute.yaml");
    fs::write(&path, text).unwrap();
    path
}

/// What pages say of readings.
#[derive(Default)]
struct Seen {
    checked: u64,
    wrong: u64,
    ages: Vec<f64>,
}

impl Seen {
    /// Compares each reading of `page` with what its BMC showed in the second of its time stamp and the two before: a reading
    /// is stamped when it has arrived, and another may have come between the writing of its power and its time.
    fn look(&mut self, page: &Page, answering: u32, now: f64) {
        let number =
            |labels: &str| label(labels, "meter").strip_prefix("bmc-").unwrap().parse::<u32>().unwrap();
        let mut stamps = vec![f64::NAN; usize::try_from(answering).unwrap()];
        for (labels, at) in page.samples("wattribute_meter_reading_timestamp_seconds") {
            if let Some(stamp) = stamps.get_mut(number(labels) as usize) {
                *stamp = at;
                self.ages.push(now - at);
            }
        }
        for (labels, watts) in page.samples("wattribute_meter_power_watts") {
            let number = number(labels);
            let second = stamps.get(number as usize).map_or(f64::NAN, |at| at.floor());
            let shown = [0, 1, 2].map(|before| f64::from(checkable_watts(number, second as u64 - before)));
            self.checked += 1;
            self.wrong += u64::from(!shown.contains(&watts));
        }
    }
}

/// The value below which this part of `values` lies.
pub fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * part) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

fn unmeasured(page: &Page, answering: u32) -> f64 {
    let of = |labels: &str| label(labels, "meter").strip_prefix("bmc-").unwrap().parse::<u32>().unwrap();
    let seconds = page.samples("wattribute_meter_unmeasured_seconds_total");
    seconds.filter(|(labels, _)| of(labels) < answering).map(|(_, seconds)| seconds).sum()
}

/// Runs `load` once.
pub fn run(load: &Load) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let silent = (f64::from(load.count) * load.silent).round() as u32;
    let answering = load.count - silent;
    let bmcs = ipmi::start(fleet(load.count, &[load.suite], load.interval), clock.clone())
        .expect("as many descriptors as BMCs are needed: ulimit -n");
    bmcs.answer_below(answering);
    let config = config(load, &bmcs, dir.path());

    let began = Instant::now();
    let mut exporter = Exporter::start(&config, dir.path());
    exporter.program.until("every BMC read once", |_| {
        (bmcs.counts.first_readings.get() >= u64::from(answering)).then_some(())
    });
    let startup_seconds = began.elapsed().as_secs_f64();
    settle(&mut exporter, answering, silent);

    let mut outcome = measure(load, &mut exporter, &bmcs.counts, answering, clock.as_ref());
    outcome.startup_seconds = startup_seconds;
    outcome.sessions_held = bmcs.counts.held();
    outcome.shutdown_seconds = exporter.program.terminate().as_secs_f64();
    // The last datagrams are read from the kernel's queues.
    for _ in 0..200 {
        if bmcs.counts.held() > 0 {
            sleep(Duration::from_millis(10));
        }
    }
    outcome.sessions_opened = bmcs.counts.opened.get();
    outcome.sessions_left_open = bmcs.counts.held();
    outcome.datagrams_bad = bmcs.counts.bad.get();
    outcome
}

/// Waits until what the start did is over: every meter that answers has been up for a while, and those that are silent
/// are found to be so.
fn settle(exporter: &mut Exporter, answering: u32, silent: u32) {
    let mut steady = 0;
    for second in 0..120 {
        sleep(Duration::from_secs(1));
        let up: f64 = exporter.page().samples("wattribute_meter_up").map(|(_, up)| up).sum();
        steady = if up >= f64::from(answering) { steady + 1 } else { 0 };
        if steady >= 5 && (silent == 0 || second >= 10) {
            return;
        }
    }
}

fn measure(
    load: &Load,
    exporter: &mut Exporter,
    counts: &Counts,
    answering: u32,
    clock: &dyn Clock,
) -> Outcome {
    let mut seen = Seen::default();
    let first = exporter.page();
    let (skipped, repeated) = (counts.skipped.get(), counts.repeated.get());
    let (weight, simulator, began) = (exporter.weigh(), thread_seconds(ipmi::THREAD), Instant::now());
    let told = counts.readings.get();
    let mut next = load.scrape;
    while began.elapsed() < load.measure {
        sleep(next.min(load.measure).saturating_sub(began.elapsed()));
        if next <= load.measure {
            let page = exporter.page();
            seen.look(&page, answering, clock.unix_seconds());
        }
        next += load.scrape;
    }
    let (heavy, seconds) = (exporter.weigh(), began.elapsed().as_secs_f64());
    let readings = counts.readings.get() - told;
    let simulator_cpu = thread_seconds(ipmi::THREAD) - simulator;
    let last = exporter.page();
    let verifying = Instant::now();
    while verifying.elapsed() < load.verify {
        sleep(load.interval.min(Duration::from_secs(1)));
        let page = exporter.page();
        seen.look(&page, answering, clock.unix_seconds());
    }
    let failed = last.polls("ipmi").1 - first.polls("ipmi").1;
    let skipped = counts.skipped.get() - skipped;
    // Those that are silent fail by right.
    let lost = skipped + if answering == load.count { failed as u64 } else { 0 };
    let unmeasured_seconds = unmeasured(&last, answering) - unmeasured(&first, answering);
    let cpu = heavy.cpu_seconds - weight.cpu_seconds;
    Outcome {
        load: format!("suite {}, {:.0} % silent", suite_number(load.suite), load.silent * 100.0),
        meters: load.count,
        answering,
        polls_per_second: readings as f64 / seconds,
        cpu_percent: cpu / seconds * 100.0,
        simulator_cpu_percent: simulator_cpu / seconds * 100.0,
        cpu_microseconds_per_reading: cpu / readings as f64 * 1e6,
        rss_mebibytes: heavy.rss_bytes as f64 / f64::from(1 << 20),
        pss_mebibytes: heavy.pss_bytes as f64 / f64::from(1 << 20),
        lost: lost.max((unmeasured_seconds / load.interval.as_secs_f64()).round() as u64),
        unmeasured_seconds,
        checked: seen.checked,
        wrong: seen.wrong,
        age_p50_seconds: quantile(&mut seen.ages, 0.5),
        age_p99_seconds: quantile(&mut seen.ages, 0.99),
        datagrams_repeated: counts.repeated.get() - repeated,
        ..Outcome::default()
    }
}

pub const fn suite_number(suite: Suite) -> u8 {
    match suite {
        Suite::Three => 3,
        Suite::Seventeen => 17,
    }
}
