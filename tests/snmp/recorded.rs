//! Profiles against recordings of real devices, where the environment names a folder of them.

use std::path::PathBuf;

use wattribute::model::{ErrorKind, Quality, Quantity};

use super::peers::{first_poll, settings, shared, snmpsim, v2c};
use super::{lines, reading, value};

fn recordings() -> Option<PathBuf> {
    let Some(root) = std::env::var_os("WATTRIBUTE_RECORDINGS") else {
        eprintln!("WATTRIBUTE_RECORDINGS is not set: recordings of real devices are not read");
        return None;
    };
    Some(PathBuf::from(root).join("snmp"))
}

#[tokio::test]
async fn every_watt_of_recorded_pdus_is_as_recorded() {
    let Some(dir) = recordings() else { return };
    let sim = snmpsim(&dir);
    let shared = shared();
    let device = |name: &str| settings(&sim.address, v2c(name));

    // Device power 114 hundredths of kW; phase 1 the same; energy 35128 tenths of kWh; 49 tenths of A; 242 V.
    let apc = first_poll(&device("apc_ap8853"), &shared).await.unwrap();
    assert_eq!(lines(&apc, Quantity::Power), ["input 1140", "phase/L1 1140"]);
    assert_eq!(value(&apc, "input", Quantity::Energy), Some(35_128.0 * 360_000.0));
    assert_eq!(value(&apc, "phase/L1", Quantity::Current), Some(4.9));
    assert_eq!(value(&apc, "phase/L1", Quantity::Voltage), Some(242.0));
    assert_eq!(value(&apc, "input", Quantity::ApparentPower), Some(1190.0));
    // The sensor port is empty: -1 is no temperature.
    assert_eq!(lines(&apc, Quantity::Temperature), Vec::<String>::new());

    // Current only: -1 in the device table, 312 W computed by the device.
    let apc = first_poll(&device("apc_ap7900b"), &shared).await.unwrap();
    assert_eq!(reading(&apc, "input", Quantity::Power), Some((312.0, Quality::Estimated)));
    assert_eq!(lines(&apc, Quantity::Power), ["input 312"]);
    assert_eq!(value(&apc, "phase/L1", Quantity::Current), Some(2.7));
    assert_eq!(apc.identity.unwrap().model, "AP7900B");

    // 27 and 25 hundredths of kW: the device rounds phase and total on its own.
    let apc = first_poll(&device("apc_ap8959eu3"), &shared).await.unwrap();
    assert_eq!(lines(&apc, Quantity::Power), ["input 270", "phase/L1 250"]);
    assert_eq!(reading(&apc, "input", Quantity::Power), Some((270.0, Quality::Measured)));
    assert_eq!(value(&apc, "input", Quantity::Energy), Some(19_677.0 * 360_000.0));

    // Input total 1584 W (the phase row says 1589), 8185493 Wh; 24 outlets; the sum of outlets is less than the input.
    let eaton = first_poll(&device("eatonpdu_2"), &shared).await.unwrap();
    assert_eq!(value(&eaton, "input", Quantity::Power), Some(1584.0));
    assert_eq!(value(&eaton, "phase/L1", Quantity::Power), Some(1589.0));
    assert_eq!(value(&eaton, "input", Quantity::Energy), Some(8_185_493.0 * 3600.0));
    assert_eq!(value(&eaton, "outlet/2", Quantity::Power), Some(142.0));
    assert_eq!(lines(&eaton, Quantity::Power).len(), 26);
    // A negative power factor is "not available" by the MIB.
    assert_eq!(value(&eaton, "phase/L1", Quantity::PowerFactor), None);
    assert_eq!(value(&eaton, "input", Quantity::PowerFactor), Some(0.946));
    assert_eq!(value(&eaton, "input", Quantity::Frequency), Some(60.0));
}

/// What another program decodes from the same recordings, where it reads the same variable.
#[tokio::test]
async fn another_reader_of_the_same_recordings_agrees() {
    let Some(dir) = recordings() else { return };
    let sim = snmpsim(&dir);
    let shared = shared();
    let mut compared = 0;
    for name in ["apc_ap8853", "apc_ap7900b", "apc_ap8959eu3", "eatonpdu_2"] {
        let batch = first_poll(&settings(&sim.address, v2c(name)), &shared).await.unwrap();
        let text = std::fs::read_to_string(dir.join("expected").join(format!("{name}.json"))).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        for sensor in expected["sensors"]["discovery"]["sensors"].as_array().unwrap() {
            let oid = sensor["sensor_oid"].as_str().unwrap().trim_start_matches('.');
            let Some((channel, quantity, scale)) = same(oid) else { continue };
            let theirs = sensor["sensor_current"].as_f64().unwrap() * scale;
            let ours = value(&batch, &channel, quantity);
            assert!(
                ours.is_some_and(|w| (w - theirs).abs() < 1e-6 * theirs.max(1.0)),
                "{name} {channel}: {ours:?} {theirs}"
            );
            compared += 1;
        }
    }
    eprintln!("{compared} values compared");
    assert!(compared >= 58, "{compared}");
}

/// Our name of a variable, and the factor from their display unit to ours.
fn same(oid: &str) -> Option<(String, Quantity, f64)> {
    let kwh = 3_600_000.0;
    let fixed = [
        ("1.3.6.1.4.1.318.1.1.26.4.3.1.5.1", "input", Quantity::Power, 1.0),
        ("1.3.6.1.4.1.318.1.1.26.4.3.1.9.1", "input", Quantity::Energy, kwh),
        ("1.3.6.1.4.1.318.1.1.26.6.3.1.6.1", "phase/L1", Quantity::Voltage, 1.0),
        ("1.3.6.1.4.1.534.6.6.7.3.2.1.3.0.1.1", "phase/L1", Quantity::Voltage, 1.0),
        ("1.3.6.1.4.1.534.6.6.7.3.3.1.4.0.1.1", "phase/L1", Quantity::Current, 1.0),
        ("1.3.6.1.4.1.534.6.6.7.3.4.1.4.0.1.1", "phase/L1", Quantity::Power, 1.0),
    ];
    if let Some((_, channel, quantity, scale)) = fixed.iter().find(|(known, ..)| *known == oid) {
        return Some(((*channel).to_owned(), *quantity, *scale));
    }
    // Only where the device itself measures nothing better.
    if oid == "1.3.6.1.4.1.318.1.1.12.1.16.0" {
        return Some(("input".to_owned(), Quantity::Power, 1.0));
    }
    let outlet = |prefix: &str| oid.strip_prefix(prefix).map(|n| format!("outlet/{n}"));
    let power = outlet("1.3.6.1.4.1.534.6.6.7.6.5.1.3.0.").map(|c| (c, Quantity::Power, 1.0));
    power.or_else(|| outlet("1.3.6.1.4.1.534.6.6.7.6.4.1.3.0.").map(|c| (c, Quantity::Current, 1.0)))
}

/// Devices that no profile of ours knows, among them an APC UPS with one lone variable of the UPS-MIB.
#[tokio::test]
async fn a_device_of_another_make_is_not_read_by_a_wrong_profile() {
    let Some(dir) = recordings() else { return };
    let sim = snmpsim(&dir);
    let shared = shared();
    for name in
        ["apc_smx750", "cyberpower_pdu81005", "gude-epc_1202", "raritan-pdu_px2", "sentry4", "dell-rpdu"]
    {
        let error = first_poll(&settings(&sim.address, v2c(name)), &shared).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NoReading, "{name}: {error}");
        assert!(error.cause.starts_with("no profile reads this device"), "{name}: {error}");
    }
}
