//! The exporter under load, small: nothing lost, nothing wrong, no session left behind. What it costs is for
//! `make load-ipmi`; here no time is asserted. And the simulated BMCs read by programs that others wrote.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]

#[path = "../benches/load/exporter.rs"]
mod exporter;
#[path = "../benches/load/ipmi.rs"]
mod ipmi;
#[path = "../benches/load/snmp.rs"]
mod snmp;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ipmi::{Load, PASSWORD, USER, fleet};
use wattribute::model::SystemClock;
use wattribute::sim::ipmi::{Running, Suite, checkable_watts, start};

fn small(suite: Suite, silent: f64) -> Load {
    Load {
        count: 200,
        silent,
        suite,
        interval: Duration::from_secs(2),
        measure: Duration::from_secs(6),
        scrape: Duration::from_secs(1),
        verify: Duration::ZERO,
    }
}

fn holds(load: &Load) {
    let outcome = ipmi::run(load);
    assert_eq!((outcome.lost, outcome.wrong), (0, 0), "{outcome:?}");
    assert!(outcome.unmeasured_seconds.abs() < f64::EPSILON, "{outcome:?}");
    assert!(outcome.checked > u64::from(outcome.answering), "{outcome:?}");
    assert_eq!(outcome.sessions_held, u64::from(outcome.answering), "one session a BMC: {outcome:?}");
    assert_eq!(outcome.sessions_left_open, 0, "{outcome:?}");
}

#[test]
fn nothing_is_lost_or_wrong_and_every_session_is_given_back_in_suite_3() {
    holds(&small(Suite::Three, 0.0));
}

#[test]
fn nothing_is_lost_or_wrong_in_suite_17_beside_bmcs_that_are_silent() {
    holds(&small(Suite::Seventeen, 0.3));
}

fn one(suite: Suite) -> Running {
    start(fleet(1, &[suite], Duration::from_secs(1)), Arc::new(SystemClock::new())).unwrap()
}

fn output(command: &mut Command) -> String {
    let name = command.get_program().display().to_string();
    let output =
        command.output().unwrap_or_else(|e| panic!("{name} is missing ({e}); `make test` installs it"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Whether the simulated BMC shows `watts` in this second, or did in one of the ten before.
fn is_shown(watts: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    (0..10).any(|before| checkable_watts(0, now - before).to_string() == watts)
}

/// The first number behind `name`.
fn number<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(name).unwrap_or_else(|| panic!("no {name}: {text}"));
    let rest = rest.trim_start_matches([' ', ':']);
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap()
}

fn is_read_by_others(suite: Suite) {
    let bmc = one(suite);
    let (port, id) = (bmc.addresses[0].port().to_string(), ipmi::suite_number(suite).to_string());
    let ipmitool = |words: &[&str]| {
        let mut command = Command::new("ipmitool");
        command.args([
            "-I",
            "lanplus",
            "-H",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            USER,
            "-P",
            PASSWORD,
            "-C",
            &id,
        ]);
        output(command.args(["-L", "USER"]).args(words))
    };
    let power = ipmitool(&["dcmi", "power", "reading"]);
    assert!(is_shown(number(&power, "Instantaneous power reading")), "{power}");
    let who = ipmitool(&["mc", "info"]);
    assert_eq!(number(&who, "Manufacturer ID"), "343", "{who}");
    let mut freeipmi = Command::new("ipmi-dcmi");
    freeipmi.args(["-D", "LAN_2_0", "-h", &format!("127.0.0.1:{port}"), "-u", USER, "-p", PASSWORD]);
    freeipmi.args(["-l", "USER", "-I", &id, "--get-system-power-statistics"]);
    let power = output(&mut freeipmi);
    assert!(is_shown(number(&power, "Current Power")), "{power}");
    let counts = &bmc.counts;
    assert_eq!((counts.opened.get(), counts.held()), (3, 0), "each closed its session");
    assert_eq!(counts.bad.get(), 0, "no datagram was refused");
}

#[test]
fn ipmitool_and_freeipmi_read_the_simulated_bmc_in_suite_3() {
    is_read_by_others(Suite::Three);
}

#[test]
fn ipmitool_and_freeipmi_read_the_simulated_bmc_in_suite_17() {
    is_read_by_others(Suite::Seventeen);
}

#[test]
fn a_wrong_password_is_refused_and_holds_no_place() {
    let bmc = one(Suite::Three);
    let port = bmc.addresses[0].port().to_string();
    let mut command = Command::new("ipmitool");
    command.args(["-I", "lanplus", "-H", "127.0.0.1", "-p", &port, "-U", USER, "-P", "wrong", "-C", "3"]);
    let said = output(command.args(["-L", "USER", "mc", "info"]));
    assert!(said.contains("Unable to establish"), "{said}");
    assert_eq!(bmc.counts.opened.get(), 0);
}

fn pdus(kind: snmp::Kind, loss: f64, delay: Duration) -> snmp::Load {
    snmp::Load {
        kind,
        count: 100,
        loss,
        delay,
        interval: Duration::from_secs(2),
        measure: Duration::from_secs(8),
        scrape: Duration::from_secs(1),
    }
}

#[test]
fn no_watt_is_wrong_where_requests_get_lost_and_answers_are_late() {
    let outcome = snmp::run(&pdus(snmp::Kind::Pdu, 0.2, Duration::from_millis(50)));
    assert_eq!(outcome.wrong, 0, "{outcome:?}");
    assert!(outcome.checked > u64::from(outcome.meters), "{outcome:?}");
    assert!((10.0..30.0).contains(&outcome.requests_lost_percent), "{outcome:?}");
    assert!(outcome.results.keys().all(|result| result == "ok" || result == "timeout"), "{outcome:?}");
}

#[test]
fn nothing_is_lost_where_nothing_gets_lost() {
    let outcome = snmp::run(&pdus(snmp::Kind::Two, 0.0, Duration::ZERO));
    assert_eq!((outcome.wrong, outcome.up), (0, 100), "{outcome:?}");
    assert!(outcome.results.keys().eq(["ok"]), "{outcome:?}");
}

#[test]
fn net_snmp_walks_a_simulated_pdu_of_the_load() {
    let agents = snmp::start(&pdus(snmp::Kind::Pdu, 0.0, Duration::ZERO), Arc::new(SystemClock::new()));
    let address = agents.addresses[0].to_string();
    let walk = |program: &str| {
        output(Command::new(program).args(["-v2c", "-c", "load", "-On", &address, "1.3.6.1"]))
    };
    for program in ["snmpwalk", "snmpbulkwalk"] {
        let text = walk(program);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with(".1.3.6.1.4.1.1718.4.") && line.contains(" = INTEGER: "))
            .collect();
        assert_eq!(lines.len(), 118, "{text}");
        assert!(text.contains("End of MIB") || text.contains("No more variables"), "{text}");
    }
    let watts = output(Command::new("snmpget").args([
        "-v2c",
        "-c",
        "load",
        "-Oqv",
        &address,
        "1.3.6.1.4.1.1718.4.1.3.3.1.3.1.1",
    ]));
    assert!(is_shown(watts.trim()), "{watts}");
}
