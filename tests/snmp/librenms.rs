//! What LibreNMS decodes from the recordings of real devices: every watt, volt, ampere and kilowatt-hour must be ours too, by the
//! same variable. What is not stands in a list, with its reason.

use std::path::Path;
use std::time::Duration;

use wattribute::drivers::{Trace, Traced, snmp};
use wattribute::model::{Quantity, units::JOULES_PER_KILOWATT_HOUR};

use super::peers::{settings, shared, snmpsim, v2c};
use super::recorded::recordings;

/// Classes that must be read; others are compared where they are.
const NEEDED: [&str; 4] = ["power", "current", "voltage", "power_consumed"];

/// Variables of a recording (by their beginning) that are not as LibreNMS has them, and why.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("apc_ap7900b", "1.3.6.1.4.1.318.1.1.12.2.3.1.1.2.1", "the older table's current; the newer one is read"),
    ("apc_ap7900b", "1.3.6.1.4.1.318.1.1.12.1.15.0", "a setting, from which the device computes power"),
    ("apc_ap8853", "1.3.6.1.4.1.318.1.1.12.2.3.1.1.2.1", "the older table's current; the newer one is read"),
    ("apc_smx750", "1.3.6.1.4.1.318.1.1.1.2.3.4.0", "the battery's voltage"),
    (
        "enlogic-pdu_v2",
        "1.3.6.1.4.1.38446.1.2.4.1.4.1.1",
        "no variable of the recording: its index stands twice",
    ),
    (
        "enlogic-pdu_v2",
        "1.3.6.1.4.1.38446.1.3.4.1.7.1.1.",
        "no variable of the recording: its index stands twice",
    ),
    (
        "liebert_mph2rg",
        "1.3.6.1.4.1.476.1.42.3.8.30.40.1.22.",
        "they kept the number as it came, hundredths of an ampere",
    ),
    (
        "liebert_mph2rg",
        "1.3.6.1.4.1.476.1.42.3.8.30.20.1.70.",
        "they kept the number as it came, tenths of an ampere",
    ),
    (
        "liebert_mph2rg",
        "1.3.6.1.4.1.476.1.42.3.8.40.20.1.130.",
        "they kept the number as it came, hundredths of an ampere",
    ),
    ("liebert_mph2rg", "1.3.6.1.4.1.476.1.42.3.8.40.20.1.150.", "what is left until an alarm"),
    ("liebert_mph2rg", "1.3.6.1.4.1.476.1.42.3.8.50.20.1.55.", "whole volts; the column of tenths is read"),
    (
        "liebert_mph2rg",
        "1.3.6.1.4.1.476.1.42.3.8.50.20.1.60.",
        "tenths of an ampere; the column of hundredths is read",
    ),
    ("janitza-umg96_umg96", "1.3.6.1.4.1.34278.4.", "reactive energy"),
    ("janitza-umg96_umg96", "1.3.6.1.4.1.34278.2.2.0", "reactive power of all phases"),
    ("janitza-umg96_umg96", "1.3.6.1.4.1.34278.1.16.0", "reactive power of L1"),
    ("janitza-umg96_umg96", "1.3.6.1.4.1.34278.1.17.0", "reactive power of L2"),
    ("janitza-umg96_umg96", "1.3.6.1.4.1.34278.1.18.0", "reactive power of L3"),
    (
        "schleifenbauer",
        "1.3.6.1.4.1.31034.12.1.1.2.6.1.1.2.",
        "an energy of one phase: part of the sum that is read",
    ),
];

/// One comparison: none where it is as it should be.
fn difference(trace: &Trace, class: &str, oid: &str, theirs: f64) -> Option<String> {
    let (expected, quantities): (f64, &[Quantity]) = match class {
        // Some apparent power stands among theirs; ours is never filed as power. What flows back has a channel of its own.
        "power" => (theirs.abs(), &[Quantity::Power, Quantity::ApparentPower]),
        "current" => (theirs, &[Quantity::Current]),
        "voltage" => (theirs, &[Quantity::Voltage]),
        "power_consumed" => (theirs * JOULES_PER_KILOWATT_HOUR, &[Quantity::Energy]),
        "frequency" => (theirs, &[Quantity::Frequency]),
        "temperature" => (theirs, &[Quantity::Temperature]),
        "humidity" => (theirs / 100.0, &[Quantity::Humidity]),
        "power_factor" => (theirs, &[Quantity::PowerFactor]),
        _ => return None,
    };
    let reads = |traced: &&Traced| traced.source.split(" + ").any(|source| source == oid);
    let ours: Vec<&Traced> = trace.readings.iter().filter(reads).collect();
    if ours.is_empty() {
        return NEEDED.contains(&class).then(|| format!("{class} {oid} is not read: {theirs}"));
    }
    let fits = |traced: &&Traced| {
        let measure = traced.reading.measure;
        let back = traced.reading.channel.as_str().split('/').any(|part| part == "export");
        let same = (measure.value() - expected).abs() <= 1e-6 * expected.abs().max(1.0);
        same && quantities.contains(&measure.quantity()) && (class != "power" || back == (theirs < 0.0))
    };
    (!ours.iter().any(fits)).then(|| format!("{class} {oid}: theirs {theirs}, ours {ours:?}"))
}

async fn compare(
    dir: &Path,
    name: &str,
    address: &str,
    shared: &std::sync::Arc<snmp::Shared>,
) -> (usize, Vec<String>) {
    // The simulator reads a recording when it is first asked for.
    let patient = snmp::Settings { request_timeout: Duration::from_secs(10), ..settings(address, v2c(name)) };
    let trace = match snmp::trace_agent(patient, std::sync::Arc::clone(shared)).await {
        Ok(trace) => trace,
        Err(error) => return (0, vec![format!("{name}: {error}")]),
    };
    let text = std::fs::read_to_string(dir.join("expected").join(format!("{name}.json"))).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut compared, mut differences) = (0, Vec::new());
    for sensor in expected["sensors"]["discovery"]["sensors"].as_array().unwrap() {
        let (Some(oid), Some(class), Some(theirs)) = (
            sensor["sensor_oid"].as_str(),
            sensor["sensor_class"].as_str(),
            sensor["sensor_current"].as_f64(),
        ) else {
            continue;
        };
        let oid = oid.trim_start_matches('.');
        if OTHERWISE.iter().any(|(of, begin, _)| *of == name && oid.starts_with(begin)) {
            continue;
        }
        compared += usize::from(NEEDED.contains(&class));
        differences.extend(difference(&trace, class, oid, theirs).map(|what| format!("{name}: {what}")));
    }
    (compared, differences)
}

#[tokio::test]
async fn every_recorded_device_shows_what_librenms_reads_of_it() {
    let Some(dir) = recordings() else { return };
    let sim = snmpsim(&dir);
    let shared = shared();
    let (mut devices, mut compared, mut differences) = (0, 0, Vec::new());
    let mut files: Vec<_> =
        std::fs::read_dir(dir.join("expected")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let (more, other) = compare(&dir, name, &sim.address, &shared).await;
        devices += 1;
        compared += more;
        differences.extend(other);
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    eprintln!("{compared} values of {devices} devices are as LibreNMS has them");
    assert!(compared >= 200, "{compared}");
}
