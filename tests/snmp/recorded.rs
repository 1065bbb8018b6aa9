//! Profiles against recordings of real devices, where the environment names a folder of them.

use std::path::PathBuf;

use wattribute::model::{Quality, Quantity};

use super::peers::{first_poll, settings, shared, snmpsim, v2c};
use super::{lines, reading, value};

pub fn recordings() -> Option<PathBuf> {
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
