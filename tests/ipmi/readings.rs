//! Every kind of reading equal to what ipmitool and FreeIPMI read of the same BMC: windows, inlet temperatures, sensors
//! with factors of every form, makers' own commands, and controllers behind the BMC.

use std::process::Command;

use wattribute::drivers::ipmi::{Quirk, Readings, Settings, Suite};
use wattribute::model::{Batch, Quantity};

use super::peers::{Bmc, open, settings, shared};
use super::real::{ipmitool, number};
use super::value;

/// What one of FreeIPMI's tools prints.
fn freeipmi(tool: &str, settings: &Settings, arguments: &[&str]) -> String {
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let out = Command::new(tool)
        .env("PATH", path)
        .args(["-D", "LAN_2_0", "-h", &settings.address, "-u", "admin", "-p", "password", "-l", "USER"])
        .args(["-I", "17", "-W", "opensesspriv"])
        .args(arguments)
        .output()
        .unwrap_or_else(|_| {
            panic!("{tool} is missing: `make test` installs it (Debian package freeipmi-tools)")
        });
    String::from_utf8(out.stdout).unwrap()
}

fn tool(settings: &Settings, arguments: &[&str]) -> String {
    ipmitool(settings, "password", Suite::Sha256, arguments)
}

async fn poll(settings: &Settings) -> Batch {
    let mut driver = open(settings.clone(), &shared());
    let batch = driver.poll().await.unwrap();
    driver.close().await;
    batch
}

fn power(batch: &Batch, channel: &str) -> Option<f64> {
    value(batch, channel, Quantity::Power)
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_those_of_the_tools() {
    let mut bmc = Bmc::start();
    bmc.set("stats", 1);
    bmc.set("watts", 512);
    let settings = settings(&bmc.address, "admin", "password");
    let batch = poll(&settings).await;
    let shown: Vec<_> = batch
        .windows
        .iter()
        .map(|w| (w.name, w.length.as_secs(), [w.minimum, w.average, w.maximum].map(|w| w.unwrap().get())))
        .collect();
    // 40 below, 10 below, 60 above; of five minutes 100, 5, 20; of one hour 20, 1, 20.
    let wanted = [
        ("reporting", 90, [472.0, 502.0, 572.0]),
        ("5m", 300, [412.0, 507.0, 532.0]),
        ("1h", 3600, [492.0, 511.0, 532.0]),
    ];
    assert_eq!(shown, wanted);
    let reading = tool(&settings, &["dcmi", "power", "reading"]);
    for (label, wanted) in [("Minimum", 472.0), ("Maximum", 572.0), ("Average", 502.0)] {
        assert_eq!(number(&reading, label, ':', 1), Some(wanted), "{reading}");
    }
    let enhanced = freeipmi("ipmi-dcmi", &settings, &["--get-enhanced-system-power-statistics"]);
    for (heading, (_, _, [minimum, average, maximum])) in
        [("Time Period 5 Minutes", wanted[1]), ("Time Period 1 Hours", wanted[2])]
    {
        let (_, part) = enhanced.split_once(heading).unwrap_or_else(|| panic!("{enhanced}"));
        for (label, wanted) in [("Minimum", minimum), ("Maximum", maximum), ("Average", average)] {
            assert_eq!(number(part, label, ':', 1), Some(wanted), "{heading}: {enhanced}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inlet_is_read_by_dcmi_where_no_sensor_stands_in_it() {
    let mut bmc = Bmc::start();
    bmc.set("stats", 1);
    bmc.set("more", 1);
    let settings = settings(&bmc.address, "admin", "password");
    let batch = poll(&settings).await;
    let list = tool(&settings, &["dcmi", "get_temp_reading"]);
    for (instance, column) in [("1", "inlet/1"), ("2", "inlet/2")] {
        let row = |line: &&str| line.split_whitespace().rev().nth(2) == Some(instance);
        let line = list.lines().find(row).unwrap_or_else(|| panic!("{list}"));
        let theirs = line.split_whitespace().rev().nth(1).and_then(|degrees| degrees.parse().ok());
        assert_eq!(value(&batch, column, Quantity::Temperature), theirs, "{list}");
    }
    // Where the repository has one, it is not asked for.
    let other = Bmc::start();
    let batch = poll(&Settings { address: other.address.clone(), ..settings }).await;
    assert_eq!(value(&batch, "sensor/inlet-temp", Quantity::Temperature), Some(24.0));
    assert_eq!(value(&batch, "inlet/1", Quantity::Temperature), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensors_of_every_kind_are_read_as_the_tools_read_them() {
    let mut bmc = Bmc::start();
    bmc.set("more", 1);
    let settings = settings(&bmc.address, "admin", "password");
    let batch = poll(&settings).await;
    let list = tool(&settings, &["sdr", "elist", "full"]);
    let cache = tempfile::tempdir().unwrap();
    let folder = format!("--sdr-cache-directory={}", cache.path().display());
    let other = freeipmi("ipmi-sensors", &settings, &[&folder, "--quiet-cache"]);
    for (channel, name, quantity, wanted) in [
        // Non-linear, by the factors of its reading: 2 x 200 + 50.
        ("sensor/curve-power", "Curve Power", Quantity::Power, 450.0),
        // Two's complement, 5 x 20 x 10^-1.
        ("sensor/signed-curr", "Signed Curr", Quantity::Current, 10.0),
        // Ones' complement, (100 + 20) x 10^-1.
        ("sensor/ones-volt", "Ones Volt", Quantity::Voltage, 12.0),
        // The square of 2 x 11.
        ("sensor/square-power", "Square Power", Quantity::Power, 484.0),
        // Of a satellite controller: 2 x 61.
        ("sensor/node-2-power", "Node 2 Power", Quantity::Power, 122.0),
    ] {
        assert_eq!(value(&batch, channel, quantity), Some(wanted), "{channel}");
        assert_eq!(number(&list, name, '|', 4), Some(wanted), "{list}");
        // FreeIPMI reads neither non-linear sensors nor, unless it is told to, those of other controllers.
        if channel != "sensor/curve-power" && channel != "sensor/node-2-power" {
            let line = other.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{other}"));
            assert_eq!(number(line, "", '|', 3), Some(wanted), "{other}");
        }
    }
    // The records in between, of two other types, were walked past; what has no reading has none.
    for channel in ["sensor/psu-status", "sensor/watchdog", "sensor/state-power", "sensor/asleep-power"] {
        assert!(batch.readings.iter().all(|reading| reading.channel.as_str() != channel), "{channel}");
    }
    let quirks = vec![Quirk::IgnoreScanningDisabled, Quirk::DiscreteReading];
    let batch = poll(&Settings { quirks, ..settings }).await;
    assert_eq!(power(&batch, "sensor/state-power"), Some(99.0));
    assert_eq!(power(&batch, "sensor/asleep-power"), Some(120.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_leaves_the_bmc_without_an_answer_is_not_asked_again() {
    let mut bmc = Bmc::start();
    bmc.set("more", 1);
    bmc.set("within", 2);
    bmc.set("dcmi", 0xc1);
    let settings = Settings {
        request_timeout: std::time::Duration::from_millis(300),
        ..settings(&bmc.address, "admin", "password")
    };
    let mut driver = open(settings, &shared());
    // What was read before it is kept; from then on everything but it is read, on one session.
    assert_eq!(power(&driver.poll().await.unwrap(), "input"), Some(244.0));
    for _ in 0..3 {
        let batch = driver.poll().await.unwrap();
        assert_eq!(power(&batch, "input"), Some(244.0));
        assert_eq!(power(&batch, "sensor/square-power"), Some(484.0));
        assert_eq!(value(&batch, "sensor/12v", Quantity::Voltage), Some(12.0));
        assert_eq!(power(&batch, "sensor/node-2-power"), None);
    }
    driver.close().await;
    assert!(bmc.opened() <= 2, "{} sessions", bmc.opened());
}

#[tokio::test(flavor = "multi_thread")]
async fn dells_power_and_energy_are_those_of_freeipmi() {
    let mut bmc = Bmc::start();
    for (knob, setting) in [("oem", 1), ("dcmi", 0xc1), ("watts", 348), ("wh", 987_650)] {
        bmc.set(knob, setting);
    }
    let now = freeipmi(
        "ipmi-oem",
        &settings(&bmc.address, "", ""),
        &["dell", "get-instantaneous-power-consumption-data"],
    );
    let total =
        freeipmi("ipmi-oem", &settings(&bmc.address, "", ""), &["dell", "get-power-consumption-data"]);
    let kilowatt_hours = number(&total, "Cumulative Energy   ", ':', 1);
    assert_eq!(kilowatt_hours, Some(987.65), "{total}");
    for readings in [Readings::Auto, Readings::Oem] {
        let batch = poll(&Settings { readings, ..settings(&bmc.address, "admin", "password") }).await;
        assert_eq!(power(&batch, "input"), number(&now, "Instantaneous Power", ':', 1), "{now}");
        assert_eq!(power(&batch, "input"), Some(348.0));
        // 987,650 Wh of 3,600 J each.
        assert_eq!(value(&batch, "input", Quantity::Energy), Some(3_555_540_000.0));
        let profile = batch.identity.unwrap().profile;
        let why = if readings == Readings::Auto { " (dcmi: invalid command)" } else { "" };
        assert_eq!(profile, format!("dell{why}, cipher suite 17"));
    }
    // Beside DCMI that works, only the counter is asked for.
    bmc.set("dcmi", 0);
    let batch = poll(&settings(&bmc.address, "admin", "password")).await;
    assert_eq!(power(&batch, "input"), Some(348.0));
    assert_eq!(value(&batch, "input", Quantity::Energy), Some(3_555_540_000.0));
    assert_eq!(batch.identity.unwrap().profile, "dcmi, cipher suite 17");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_manager_is_read_as_ipmitool_reads_it_however_the_bmc_passes_it_on() {
    let mut bmc = Bmc::start();
    for (knob, setting) in [("oem", 1), ("dcmi", 0xc1), ("watts", 348), ("maker", 343)] {
        bmc.set(knob, setting);
    }
    let bmc_settings = settings(&bmc.address, "admin", "password");
    for within in [1, 0] {
        bmc.set("within", within);
        let batch = poll(&Settings { readings: Readings::Oem, ..bmc_settings.clone() }).await;
        for (channel, domain) in [("input", "platform"), ("cpu", "CPU"), ("memory", "Memory")] {
            let command = ["-b", "6", "-t", "0x2c", "nm", "statistics", "power", "domain", domain];
            let theirs = tool(&bmc_settings, &command);
            let wanted = number(&theirs, "Instantaneous reading", ':', 1);
            assert!(wanted.is_some(), "{theirs}");
            assert_eq!(power(&batch, channel), wanted, "{channel} within {within}: {theirs}");
        }
        assert_eq!(batch.identity.unwrap().profile, "node manager, cipher suite 17");
    }
    // On another maker's board it is read where the repository says where it is.
    bmc.set("maker", 7244);
    bmc.set("more", 1);
    let mut driver = open(bmc_settings, &shared());
    driver.poll().await.unwrap();
    let batch = driver.poll().await.unwrap();
    assert_eq!((power(&batch, "cpu"), power(&batch, "memory")), (Some(120.0), Some(35.0)));
    driver.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmi_of_another_controller_is_read_as_ipmitool_reads_it() {
    let mut bmc = Bmc::start();
    for (knob, setting) in [("behind", 1), ("dcmi", 0xc1), ("watts", 348)] {
        bmc.set(knob, setting);
    }
    let settings = settings(&bmc.address, "admin", "password");
    for within in [1, 0] {
        bmc.set("within", within);
        for readings in [Readings::Auto, Readings::Dcmi] {
            let batch = poll(&Settings { readings, ..settings.clone() }).await;
            assert_eq!(power(&batch, "input"), Some(348.0));
        }
        let theirs = tool(&settings, &["-b", "6", "-t", "0x2c", "dcmi", "power", "reading"]);
        assert_eq!(number(&theirs, "Instantaneous power reading", ':', 1), Some(348.0), "{theirs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn supermicros_empty_answer_is_no_reading_and_the_next_poll_asks_again() {
    let mut bmc = Bmc::start();
    bmc.set("maker", 10876);
    bmc.set("empty", 1);
    let settings = settings(&bmc.address, "admin", "password");
    let mut driver = open(settings, &shared());
    // A sensor stands in for it, in steps of 4 W.
    bmc.set("watts", 246);
    assert_eq!(power(&driver.poll().await.unwrap(), "input"), Some(244.0));
    assert_eq!(power(&driver.poll().await.unwrap(), "input"), Some(246.0));
    driver.close().await;
}
