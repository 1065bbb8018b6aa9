//! Values equal to those of ipmitool and FreeIPMI at the same moment, on both peers and both cipher suites.

use std::process::Command;
use std::time::Duration;

use wattribute::drivers::ipmi::{Privilege, Readings, Settings, Suite};
use wattribute::model::{Batch, ErrorKind, Quantity};

use super::peers::{Bmc, Simulator, open, settings, shared};
use super::{lines, value};

/// What `ipmitool` prints for `command`.
pub fn ipmitool(settings: &Settings, password: &str, suite: Suite, command: &[&str]) -> String {
    let (host, port) = settings.address.rsplit_once(':').unwrap();
    let out = Command::new("ipmitool")
        .args(["-I", "lanplus", "-H", host, "-p", port, "-U", &settings.user, "-P", password])
        .args([
            "-L",
            if level(settings) == "ADMIN" { "ADMINISTRATOR" } else { level(settings) },
            "-C",
            &suite.id().to_string(),
        ])
        .args(command)
        .output()
        .expect("ipmitool is missing: `make test` installs it (Debian package ipmitool)");
    String::from_utf8(out.stdout).unwrap()
}

/// The privilege level as the tools call it.
pub fn level(settings: &Settings) -> &'static str {
    match settings.privilege {
        Privilege::Auto | Privilege::User => "USER",
        Privilege::Operator => "OPERATOR",
        Privilege::Administrator => "ADMIN",
    }
}

/// The number in the line that starts with `label`, behind its separator.
pub fn number(text: &str, label: &str, separator: char, column: usize) -> Option<f64> {
    let line = text.lines().find(|line| line.trim_start().starts_with(label))?;
    line.split(separator).nth(column)?.split_whitespace().next()?.parse().ok()
}

/// DCMI's watts as FreeIPMI reads them.
fn freeipmi(settings: &Settings, password: &str, suite: Suite) -> Option<f64> {
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let out = Command::new("ipmi-dcmi")
        .env("PATH", path)
        .args([
            "-D",
            "LAN_2_0",
            "-h",
            &settings.address,
            "-u",
            &settings.user,
            "-p",
            password,
            "-l",
            level(settings),
        ])
        .args(["-I", &suite.id().to_string(), "-W", "opensesspriv", "--get-system-power-statistics"])
        .output()
        .expect("ipmi-dcmi is missing: `make test` installs it (Debian package freeipmi-tools)");
    number(&String::from_utf8(out.stdout).unwrap(), "Current Power", ':', 1)
}

pub async fn first_poll(settings: &Settings) -> Batch {
    let (shared, mut last) = (shared(), None);
    for _ in 0..100 {
        let mut driver = open(settings.clone(), &shared);
        let result = driver.poll().await;
        driver.close().await;
        match result {
            Ok(batch) => return batch,
            Err(error) => last = Some(error),
        }
    }
    panic!("{last:?}");
}

/// Our sensors against ipmitool's.
fn sensors_agree(
    batch: &Batch,
    settings: &Settings,
    password: &str,
    suite: Suite,
    sensors: &[(&str, &str, Quantity)],
) {
    let list = ipmitool(settings, password, suite, &["sdr", "elist", "full"]);
    for (channel, name, quantity) in sensors {
        let ours = value(batch, channel, *quantity);
        assert!(ours.is_some(), "{channel}: {:?}", lines(batch));
        assert_eq!(ours, number(&list, name, '|', 4), "{channel}: {list}");
    }
}

/// Our `input` against both tools' DCMI.
fn dcmi_agrees(batch: &Batch, settings: &Settings, password: &str, suite: Suite) {
    let input = value(batch, "input", Quantity::Power);
    let dcmi = ipmitool(settings, password, suite, &["dcmi", "power", "reading"]);
    assert!(input.is_some());
    assert_eq!(input, number(&dcmi, "Instantaneous power reading", ':', 1), "{dcmi}");
    assert_eq!(input, freeipmi(settings, password, suite));
}

#[tokio::test(flavor = "multi_thread")]
async fn pyghmi_is_read_as_ipmitool_and_freeipmi_read_it_in_both_suites() {
    let mut bmc = Bmc::start();
    let sensors = [
        ("sensor/sys-power", "Sys Power", Quantity::Power),
        ("sensor/inlet-temp", "Inlet Temp", Quantity::Temperature),
        ("sensor/12v", "12V", Quantity::Voltage),
    ];
    for (suite, watts) in [(Suite::Sha1, 348), (Suite::Sha256, 512)] {
        bmc.set("watts", watts);
        let settings = Settings { suites: vec![suite], ..settings(&bmc.address, "admin", "password") };
        let batch = first_poll(&settings).await;
        assert_eq!(value(&batch, "input", Quantity::Power), Some(f64::from(watts)));
        dcmi_agrees(&batch, &settings, "password", suite);
        sensors_agree(&batch, &settings, "password", suite, &sensors);
        let who = batch.identity.clone().unwrap();
        let told = [who.vendor, who.model, who.serial, who.firmware, who.profile];
        let suite = format!("dcmi, cipher suite {}", suite.id());
        assert_eq!(told, ["ACME", "Rack 1U", "S-4711", "2.17", &suite]);
    }
    bmc.all_closed(6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ipmi_sim_is_read_as_ipmitool_and_freeipmi_read_it() {
    let simulator = Simulator::start();
    // It gives DCMI to administrators only, as some real BMCs do: for a user the sensor is the total.
    for (user, password, privilege, input, profile) in [
        (
            "monitor",
            "m0nitor-pass",
            Privilege::User,
            300,
            "sensor System Power (dcmi: insufficient privilege level)",
        ),
        ("admin", "secret", Privilege::Administrator, 275, "dcmi"),
    ] {
        simulator.watts(275, 300);
        let settings = Settings {
            privilege,
            request_timeout: Duration::from_millis(500),
            ..settings(&simulator.address, user, password)
        };
        let batch = simulator_shows(&settings, 300.0).await;
        assert_eq!(value(&batch, "input", Quantity::Power), Some(f64::from(input)));
        let sensors = [
            ("sensor/system-power", "System Power", Quantity::Power),
            ("sensor/ps1-input-power", "PS1 Input Power", Quantity::Power),
            ("sensor/inlet-temp", "Inlet Temp", Quantity::Temperature),
            ("sensor/ps1-curr-out", "PS1 Curr Out", Quantity::Current),
            // Behind the BMC: 61 steps of 2 W.
            ("sensor/node-2-power", "Node 2 Power", Quantity::Power),
        ];
        sensors_agree(&batch, &settings, password, Suite::Sha1, &sensors);
        if privilege == Privilege::Administrator {
            dcmi_agrees(&batch, &settings, password, Suite::Sha1);
        }
        // 58 steps of 4 W; 11 steps of 0.1 A.
        assert_eq!(value(&batch, "sensor/ps1-input-power", Quantity::Power), Some(232.0));
        assert_eq!(value(&batch, "sensor/ps1-curr-out", Quantity::Current), Some(1.1));
        assert_eq!(batch.identity.unwrap().profile, format!("{profile}, cipher suite 3"));
    }
}

/// Polls until the simulator's power sensor, which follows its file with a delay, shows `watts`.
pub async fn simulator_shows(settings: &Settings, watts: f64) -> Batch {
    let polls = async {
        loop {
            let batch = first_poll(settings).await;
            if value(&batch, "sensor/system-power", Quantity::Power) == Some(watts) {
                return batch;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), polls).await.expect("the sensor never followed")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watts_follow_the_bmc_on_one_session() {
    let mut bmc = Bmc::start();
    let shared = shared();
    for readings in [Readings::Auto, Readings::Dcmi, Readings::Sensors] {
        let mut driver = open(Settings { readings, ..settings(&bmc.address, "admin", "password") }, &shared);
        let before = bmc.opened();
        for watts in [200, 204, 1000, 60] {
            bmc.set("watts", watts);
            let batch = driver.poll().await.unwrap();
            assert_eq!(value(&batch, "input", Quantity::Power), Some(f64::from(watts)), "{readings:?}");
            assert_eq!(batch.readings.len(), if readings == Readings::Dcmi { 1 } else { 4 });
        }
        driver.close().await;
        assert_eq!(bmc.opened(), before + 1, "one session for all polls");
    }
    bmc.all_closed(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dcmi_a_sensor_is_the_total_and_says_why() {
    let mut bmc = Bmc::start();
    let shared = shared();
    for (code, state, why) in
        [(0xc1, 64, "invalid command"), (0xd4, 64, "insufficient privilege level"), (0, 0, "not measuring")]
    {
        bmc.set("dcmi", code);
        bmc.set("state", state);
        bmc.set("watts", 246);
        let mut driver = open(settings(&bmc.address, "admin", "password"), &shared);
        let batch = driver.poll().await.unwrap();
        // 61 whole steps of 4 W.
        assert_eq!(value(&batch, "input", Quantity::Power), Some(244.0));
        assert_eq!(value(&batch, "sensor/sys-power", Quantity::Power), Some(244.0));
        let profile = batch.identity.unwrap().profile;
        assert_eq!(profile, format!("sensor Sys Power (dcmi: {why}), cipher suite 17"));
        driver.close().await;
    }
    // And where only DCMI is wanted, there is no reading, with what to do.
    for (code, state, kind, fix) in [
        (0xd4, 64, ErrorKind::Auth, "set `privilege` to operator"),
        (0xc1, 64, ErrorKind::NoReading, "`readings: sensors`"),
        (0xd2, 64, ErrorKind::Busy, "restarting"),
        (0, 0, ErrorKind::NoReading, "at the PDU"),
    ] {
        bmc.set("dcmi", code);
        bmc.set("state", state);
        let settings = Settings { readings: Readings::Dcmi, ..settings(&bmc.address, "admin", "password") };
        let mut driver = open(settings, &shared);
        let error = driver.poll().await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.fix.contains(fix), "{error}");
        driver.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reading_is_not_zero() {
    let mut bmc = Bmc::start();
    let shared = shared();
    bmc.set("scan", 32);
    bmc.set("watts", 0);
    // 0 W while the machine is on, and sensors that are unavailable: nothing at all.
    let mut driver = open(settings(&bmc.address, "admin", "password"), &shared);
    let error = driver.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading, "{error}");
    bmc.set("watts", 100);
    // DCMI rests for a while after it had nothing; another driver asks at once.
    driver.close().await;
    let mut driver = open(settings(&bmc.address, "admin", "password"), &shared);
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 100"]);
    bmc.set("scan", 192);
    let all = [
        "input power 100",
        "sensor/sys-power power 100",
        "sensor/inlet-temp temperature 24",
        "sensor/12v voltage 12",
    ];
    assert_eq!(lines(&driver.poll().await.unwrap()), all);
    // Once DCMI has worked, a sensor never stands in for it.
    bmc.set("state", 0);
    assert_eq!(lines(&driver.poll().await.unwrap()), all[1..]);
    driver.close().await;
}
