//! Loads of SNMP: a fleet of simulated PDUs in this process, the exporter in its own, and beside Debian's
//! `prometheus-snmp-exporter` on the same PDUs and samples. Long, since the PDU of both, its profile, the other exporter's module and
//! what must be seen of it all follow from one table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;
use wattribute::model::{Clock, SystemClock};
use wattribute::sim::ipmi::checkable_watts;
use wattribute::sim::snmp::fleet::{self, Fleet, Shown, Tree};

use crate::exporter::{Exporter, Page, Program, get, label, thread_seconds, weigh};
use crate::ipmi::{quantile, secret};

const COMMUNITY: &str = "load";
const PROFILE: &str = "load-pdu";

/// Server Technology's Sentry4-MIB: the kind of PDU that the other exporter was measured with.
const SENTRY4: [u32; 8] = [1, 3, 6, 1, 4, 1, 1718, 4];
const PHASES: u32 = 3;
const OUTLETS: u32 = 16;

/// A table: its columns' object identifiers below [`SENTRY4`] without the column, columns with quantity and scale, parts of an
/// index, rows, and the channel's name.
type Table =
    (&'static [u32], &'static [(u32, &'static str, f64)], &'static [&'static str], u32, &'static str);

/// 4 of the cord, 6 of each phase, 6 of each outlet: 4 + 18 + 96 = 118.
const TABLES: [Table; 3] = [
    (
        &[1, 3, 3, 1],
        &[
            (3, "power", 1.0),
            (5, "apparent_power", 1.0),
            (8, "power_factor", 0.01),
            (10, "energy", 360_000.0),
        ],
        &["unit", "cord"],
        1,
        "input",
    ),
    (
        &[1, 5, 3, 1],
        &[
            (3, "voltage", 0.1),
            (6, "current", 0.01),
            (8, "power", 1.0),
            (9, "apparent_power", 1.0),
            (10, "power_factor", 0.01),
            (13, "energy", 360_000.0),
        ],
        &["unit", "cord", "phase"],
        PHASES,
        "phase/L{n}",
    ),
    (
        &[1, 8, 3, 1],
        &[
            (3, "current", 0.01),
            (6, "voltage", 0.1),
            (7, "power", 1.0),
            (9, "apparent_power", 1.0),
            (10, "power_factor", 0.01),
            (14, "energy", 3600.0),
        ],
        &["unit", "cord", "outlet"],
        OUTLETS,
        "outlet/{n}",
    ),
];

/// What the devices of a load are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PDUs of 118 values.
    Pdu,
    /// Meters of two.
    Two,
}

/// What to load with.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub kind: Kind,
    pub count: u32,
    /// Part of the requests that get lost, and how late every answer is.
    pub loss: f64,
    pub delay: Duration,
    pub interval: Duration,
    pub measure: Duration,
    pub scrape: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    pub load: String,
    pub meters: u32,
    /// Values a poll.
    pub values: u64,
    /// Start of the process until every device was read once, walks included.
    pub startup_seconds: f64,
    pub polls_per_second: f64,
    pub cpu_percent: f64,
    pub simulator_cpu_percent: f64,
    pub cpu_microseconds_per_poll: f64,
    pub rss_mebibytes: f64,
    /// Requests a second that the devices got, and the part of them that was lost on purpose.
    pub requests_per_second: f64,
    pub requests_lost_percent: f64,
    /// Polls by the page's `result`, while it was measured.
    pub results: BTreeMap<String, u64>,
    /// Of all seconds of all meters, those that the page counts as unmeasured.
    pub unmeasured_percent: f64,
    /// Meters that were up at the end of it.
    pub up: u64,
    pub checked: u64,
    pub wrong: u64,
    pub age_p50_seconds: f64,
    pub age_p99_seconds: f64,
}

fn oid(end: &[u32]) -> Vec<u32> {
    [&SENTRY4, end].concat()
}

fn dotted(arcs: &[u32]) -> String {
    arcs.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

fn tree(kind: Kind) -> Tree {
    let tree = Tree::default()
        .with(&[1, 3, 6, 1, 2, 1, 1, 1, 0], Shown::Text("simulated PDU".to_owned()))
        .with(&[1, 3, 6, 1, 2, 1, 1, 2, 0], Shown::Oid(SENTRY4.to_vec()))
        .with(&[1, 3, 6, 1, 2, 1, 1, 3, 0], Shown::UpTime);
    if kind == Kind::Two {
        return tree.with(&oid(&[9, 1, 0]), Shown::Watts).with(&oid(&[9, 2, 0]), Shown::Gauge(8937));
    }
    TABLES.iter().fold(tree, |tree, (table, columns, index, rows, channel)| {
        let cells = (1..=*rows).flat_map(|row| columns.iter().map(move |(column, ..)| (row, *column)));
        cells.fold(tree, |tree, (row, column)| {
            let place: &[u32] = if index.len() == 2 { &[1, 1] } else { &[1, 1, row] };
            let shown = match (*channel, column) {
                ("input", 3) => Shown::Watts,
                _ => Shown::Integer(i32::try_from(90 + row).unwrap()),
            };
            tree.with(&[&oid(table), &[column][..], place].concat(), shown)
        })
    })
}

/// How many values a poll of one brings.
fn values(kind: Kind) -> u64 {
    tree(kind).len() as u64 - 3
}

/// The profile that reads all of it.
fn profile(kind: Kind) -> String {
    let mut text = format!(
        "protocol: snmp\nname: {PROFILE}\nabout: simulated PDUs\nmatch: {{sys_object_ids: [{}]}}\nchannels:\n",
        dotted(&SENTRY4)
    );
    if kind == Kind::Two {
        let place = |last| dotted(&oid(&[9, last, 0]));
        writeln!(
            text,
            "  - {{channel: input, values: [{{quantity: power, scalar: {}}}, {{quantity: energy, scale: 360000, scalar: {}}}]}}",
            place(1),
            place(2)
        )
        .unwrap();
        return text;
    }
    for (table, columns, index, _, channel) in TABLES {
        writeln!(text, "  - channel: \"{channel}\"").unwrap();
        if index.len() == 3 {
            writeln!(text, "    vars: {{n: {{part: 2}}}}").unwrap();
        }
        writeln!(text, "    values:").unwrap();
        for (column, quantity, scale) in columns {
            let column = dotted(&[&oid(table), &[*column][..]].concat());
            writeln!(text, "      - {{quantity: {quantity}, column: {column}, scale: {scale}}}").unwrap();
        }
    }
    text
}

fn config(load: &Load, agents: &fleet::Running, dir: &Path) -> PathBuf {
    let community = dir.join("community");
    secret(&community, COMMUNITY);
    fs::create_dir_all(dir.join("profiles")).unwrap();
    fs::write(dir.join("profiles/load.yaml"), profile(load.kind)).unwrap();
    let interval = load.interval.as_millis();
    let mut text = format!(
        "poll: {{interval: {interval}ms, timeout: {interval}ms, stale_after: {}ms, max_gap: {}ms}}\nmeters:\n",
        3 * interval,
        interval * 3 / 2,
    );
    for (number, address) in agents.addresses.iter().enumerate() {
        writeln!(
            text,
            "  - {{name: pdu-{number}, snmp: {{address: \"{address}\", community_file: {}, profile: {PROFILE}}}}}",
            community.display()
        )
        .unwrap();
    }
    let path = dir.join("wattribute.yaml");
    fs::write(&path, text).unwrap();
    path
}

fn number(labels: &str) -> u32 {
    label(labels, "meter").strip_prefix("pdu-").unwrap().parse().unwrap()
}

fn is_input(labels: &str) -> bool {
    label(labels, "channel") == "input"
}

/// What pages say of readings.
#[derive(Default)]
struct Seen {
    checked: u64,
    wrong: u64,
    ages: Vec<f64>,
    /// Time stamps of the page before.
    stamps: Vec<f64>,
}

impl Seen {
    /// Compares the power of each device on `page` with what it showed from the second of its time stamp back to that of the page
    /// before, and as long before as a poll may take: polls may end between the writing of a power and of its time. No other device
    /// shows the same in these seconds but by a chance of one in thousands.
    fn look(&mut self, page: &Page, load: &Load, now: f64) {
        let stamps = stamps(page, load.count);
        self.ages.extend(stamps.iter().filter(|at| at.is_finite()).map(|at| now - at));
        let before = load.interval.as_secs() + 2;
        for (labels, watts) in page.samples("wattribute_meter_power_watts").filter(|(l, _)| is_input(l)) {
            let number = number(labels);
            let of = |stamps: &[f64]| stamps.get(number as usize).map_or(0, |at| at.floor() as u64);
            let (last, past) = (of(&stamps), of(&self.stamps));
            let first = if past > 0 { past.min(last) } else { last }.saturating_sub(before);
            let shown = (first..=last).any(|second| f64::from(checkable_watts(number, second)) == watts);
            self.checked += 1;
            if !shown {
                eprintln!("pdu-{number} shows {watts} W at {last}, and before that at {past}");
                self.wrong += 1;
            }
        }
        self.stamps = stamps;
    }
}

/// When each device's power was last read, as the page has it.
fn stamps(page: &Page, count: u32) -> Vec<f64> {
    let mut stamps = vec![f64::NAN; count as usize];
    let read = page.samples("wattribute_meter_reading_timestamp_seconds");
    read.filter(|(labels, _)| is_input(labels)).for_each(|(labels, at)| stamps[number(labels) as usize] = at);
    stamps
}

fn results(page: &Page) -> BTreeMap<String, u64> {
    let polls =
        page.samples("wattribute_polls_total").filter(|(labels, _)| label(labels, "driver") == "snmp");
    polls.map(|(labels, n)| (label(labels, "result").to_owned(), n as u64)).collect()
}

/// Runs `load` once.
pub fn run(load: &Load) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let agents = start(load, clock.clone());
    let config = config(load, &agents, dir.path());
    let profiles = dir.path().join("profiles");
    let began = Instant::now();
    let mut exporter =
        Exporter::start_with(&config, &["--profiles.dir", profiles.to_str().unwrap()], dir.path());
    loop {
        let page = exporter.page();
        let read =
            page.samples("wattribute_meter_reading_timestamp_seconds").filter(|(l, _)| is_input(l)).count();
        if read == load.count as usize {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(300), "{read} of {} were read", load.count);
        sleep(Duration::from_millis(200));
    }
    let startup_seconds = began.elapsed().as_secs_f64();
    sleep(load.interval * 2);

    let (first, weight, simulator) = (exporter.page(), exporter.weigh(), thread_seconds(fleet::THREAD));
    let (requests, lost) = (agents.counts.requests(), agents.counts.lost());
    let (began, mut seen) = (Instant::now(), Seen::default());
    // What stands on the first page is not compared: of the page before it no time stamps are known.
    seen.stamps = stamps(&first, load.count);
    while began.elapsed() < load.measure {
        sleep(load.scrape.min(load.measure.saturating_sub(began.elapsed())));
        let page = exporter.page();
        seen.look(&page, load, clock.unix_seconds());
    }
    let (heavy, seconds) = (exporter.weigh(), began.elapsed().as_secs_f64());
    let requests = agents.counts.requests() - requests;
    let lost = agents.counts.lost() - lost;
    let simulator_cpu = thread_seconds(fleet::THREAD) - simulator;
    let last = exporter.page();
    let before = results(&first);
    let results: BTreeMap<String, u64> = results(&last)
        .into_iter()
        .map(|(result, n)| (result.clone(), n - before.get(&result).copied().unwrap_or_default()))
        .filter(|(_, n)| *n > 0)
        .collect();
    let good = results.get("ok").copied().unwrap_or_default() as f64;
    let cpu = heavy.cpu_seconds - weight.cpu_seconds;
    let unmeasured = |page: &Page| {
        let all =
            page.samples("wattribute_meter_unmeasured_seconds_total").filter(|(labels, _)| is_input(labels));
        all.map(|(_, seconds)| seconds).sum::<f64>()
    };
    let outcome = Outcome {
        load: format!("{:.0} % lost, {} ms late", load.loss * 100.0, load.delay.as_millis()),
        meters: load.count,
        values: values(load.kind),
        startup_seconds,
        polls_per_second: good / seconds,
        cpu_percent: cpu / seconds * 100.0,
        simulator_cpu_percent: simulator_cpu / seconds * 100.0,
        cpu_microseconds_per_poll: cpu / good * 1e6,
        rss_mebibytes: heavy.rss_bytes as f64 / f64::from(1 << 20),
        requests_per_second: requests as f64 / seconds,
        requests_lost_percent: lost as f64 / requests as f64 * 100.0,
        results,
        unmeasured_percent: (unmeasured(&last) - unmeasured(&first)) / seconds / f64::from(load.count)
            * 100.0,
        up: last.samples("wattribute_meter_up").map(|(_, up)| up as u64).sum(),
        checked: seen.checked,
        wrong: seen.wrong,
        age_p50_seconds: quantile(&mut seen.ages, 0.5),
        age_p99_seconds: quantile(&mut seen.ages, 0.99),
    };
    exporter.program.terminate();
    outcome
}

pub fn start(load: &Load, clock: Arc<dyn Clock>) -> fleet::Running {
    let fleet = Fleet {
        count: load.count,
        community: COMMUNITY.to_owned(),
        tree: tree(load.kind),
        loss: load.loss,
        delay: load.delay,
    };
    fleet::start(fleet, clock).expect("as many descriptors as devices are needed: ulimit -n")
}

/// What a poll costs in both.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    pub samples: u64,
    pub theirs_polls: u64,
    pub theirs_microseconds_per_poll: f64,
    pub ours_polls_per_second: f64,
    pub ours_microseconds_per_poll: f64,
    pub ratio: f64,
}

/// The other exporter's module for the same columns.
fn module() -> String {
    let columns = || TABLES.iter().flat_map(|table| table.1.iter().map(move |column| (table, column.0)));
    let place = |table: &Table, column: u32| dotted(&[&oid(table.0), &[column][..]].concat());
    let walk: Vec<String> = columns().map(|(table, column)| place(table, column)).collect();
    let mut text = format!(
        "load:\n  version: 2\n  auth: {{community: {COMMUNITY}}}\n  max_repetitions: 25\n  walk: [{}]\n  metrics:\n",
        walk.join(", ")
    );
    for (number, (table, column)) in columns().enumerate() {
        let index: Vec<String> =
            table.2.iter().map(|name| format!("{{labelname: {name}, type: gauge}}")).collect();
        writeln!(
            text,
            "  - {{name: sample{number}, oid: {}, type: gauge, help: a column, indexes: [{}]}}",
            place(table, column),
            index.join(", ")
        )
        .unwrap();
    }
    text
}

/// Polls PDUs one after the other with the other exporter for `measure`, then all each second with ours.
pub fn compare(load: &Load) -> Comparison {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let agents = start(load, clock.clone());
    let config = dir.path().join("snmp.yml");
    secret(&config, &module());
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new("prometheus-snmp-exporter");
    command.arg(format!("--web.listen-address={listen}")).arg(format!("--config.file={}", config.display()));
    let mut program = Program::start(command, dir.path());
    program.until("listening", |_| TcpStream::connect(listen).ok());

    let poll = |number: u32, address: SocketAddr| {
        let page = get(listen, &format!("/snmp?target={address}&module=load"));
        let now = clock.unix_seconds() as u64;
        let samples = page.0.lines().filter(|line| line.starts_with("sample")).count() as u64;
        assert_eq!(samples, values(load.kind), "{}", page.0);
        let (_, watts) = page.samples("sample0").next().unwrap();
        let shown = (0..3).any(|before| f64::from(checkable_watts(number, now - before)) == watts);
        assert!(shown, "{address} shows {watts} W");
    };
    poll(0, agents.addresses[0]);
    let (before, began, mut polls) = (weigh(program.pid()), Instant::now(), 0);
    for (number, address) in (0..).zip(&agents.addresses).cycle() {
        if began.elapsed() > load.measure {
            break;
        }
        poll(number, *address);
        polls += 1;
    }
    let theirs = weigh(program.pid()).cpu_seconds - before.cpu_seconds;
    drop(program);
    drop(agents);

    let ours = run(load);
    let theirs_microseconds_per_poll = theirs / polls as f64 * 1e6;
    Comparison {
        samples: values(load.kind),
        theirs_polls: polls,
        theirs_microseconds_per_poll,
        ours_polls_per_second: ours.polls_per_second,
        ours_microseconds_per_poll: ours.cpu_microseconds_per_poll,
        ratio: theirs_microseconds_per_poll / ours.cpu_microseconds_per_poll,
    }
}
