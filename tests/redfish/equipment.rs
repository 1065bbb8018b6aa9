//! Power equipment over Redfish: a PDU of our own with 48 outlets, and the DMTF's mockup; every watt worked out by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wattribute::drivers::Driver;
use wattribute::drivers::redfish::{Login, Settings, Trust, open, open_with};
use wattribute::model::{Batch, ErrorKind, ManualClock, Moment, OpenSessions};

use crate::bmc::{Bmc, Expand, Fault};
use crate::nginx::Nginx;
use crate::trees::{identity, lay_out, recordings};
use crate::{lines, settings};

const PDU: &str = "/redfish/v1/PowerEquipment/RackPDUs/P1";

fn link(path: &str) -> Value {
    json!({ "@odata.id": path })
}

fn members(paths: &[String]) -> Value {
    json!({ "Members": paths.iter().map(|path| link(path)).collect::<Vec<_>>() })
}

fn outlet(number: usize, watts: f64) -> Value {
    json!({ "@odata.id": format!("{PDU}/Outlets/{number}"), "Id": number.to_string(),
        "PhaseWiringType": "OnePhase3Wire", "PowerWatts": { "Reading": watts } })
}

/// A service that is only a PDU: no chassis, no systems; 48 outlets of 1 W, 2 W ... 48 W.
async fn pdu(expand: Expand) -> Bmc {
    let bmc = Bmc::start().await;
    bmc.set_expand(expand);
    bmc.put(
        "/redfish/v1/",
        json!({ "PowerEquipment": link("/redfish/v1/PowerEquipment"),
            "ProtocolFeaturesSupported": { "ExpandQuery": { "NoLinks": true, "Levels": true } } }),
    );
    bmc.put("/redfish/v1/Chassis", Value::Null);
    bmc.put("/redfish/v1/Systems", Value::Null);
    bmc.put("/redfish/v1/PowerEquipment", json!({ "RackPDUs": link("/redfish/v1/PowerEquipment/RackPDUs") }));
    bmc.put("/redfish/v1/PowerEquipment/RackPDUs", members(&[PDU.to_owned()]));
    bmc.put(
        PDU,
        json!({ "Id": "P1", "Manufacturer": "Example", "Model": "R48", "SerialNumber": "S-1", "FirmwareVersion": "1.2",
            "Metrics": link(&format!("{PDU}/Metrics")), "Outlets": link(&format!("{PDU}/Outlets")) }),
    );
    bmc.put(
        &format!("{PDU}/Metrics"),
        json!({ "PowerWatts": { "Reading": 1180.5, "ApparentVA": 1200, "PowerFactor": 0.98375 },
            "EnergykWh": { "Reading": 812.5 }, "HumidityPercent": { "Reading": 45 } }),
    );
    let paths: Vec<String> = (1..=48).map(|number| format!("{PDU}/Outlets/{number}")).collect();
    bmc.put(&format!("{PDU}/Outlets"), members(&paths));
    for (number, path) in (1..).zip(&paths) {
        bmc.put(path, outlet(number, number as f64));
    }
    bmc
}

fn driver(bmc: &Bmc) -> Box<dyn Driver> {
    let trust = Trust::Fingerprint(bmc.certificate.fingerprint);
    open(Settings { ..settings(&bmc.url, trust, Login::Basic) }).unwrap()
}

/// The watts of all outlets, by number.
fn outlets(batch: &Batch) -> BTreeMap<usize, f64> {
    let outlet = |line: String| {
        let (number, watts) = line.strip_prefix("outlet/")?.split_once(" power ")?;
        Some((number.parse().unwrap(), watts.parse().unwrap()))
    };
    lines(batch).into_iter().filter_map(outlet).collect()
}

fn assert_all_outlets(batch: &Batch) {
    let outlets = outlets(batch);
    assert_eq!(outlets.len(), 48);
    assert!(outlets.iter().all(|(number, watts)| *watts == *number as f64), "{outlets:?}");
}

#[tokio::test]
async fn a_service_that_is_only_a_pdu_is_read_with_one_request_for_all_outlets() {
    let bmc = pdu(Expand::Works).await;
    let mut driver = driver(&bmc);
    let first = driver.poll().await.unwrap();
    // 812.5 kWh x 3.6e6 = 2,925,000,000 J; 45 % is 0.45.
    assert_eq!(
        lines(&first)[..6],
        [
            "input power 1180.5",
            "input apparent_power 1200",
            "input power_factor 0.98375",
            "input humidity 0.45",
            "input energy 2925000000",
            "outlet/1 power 1",
        ]
    );
    assert_all_outlets(&first);
    assert_eq!(first.identity, Some(identity(["Example", "R48", "S-1", "1.2", "redfish"])));
    bmc.take_asked();
    bmc.put(&format!("{PDU}/Outlets/7"), outlet(7, 700.0));
    let second = driver.poll().await.unwrap();
    assert_eq!((outlets(&second)[&7], second.identity), (700.0, None));
    assert_eq!(
        bmc.take_asked(),
        [format!("GET {PDU}/Metrics"), format!("GET {PDU}/Outlets?$expand=.($levels=1)")]
    );
}

#[tokio::test]
async fn expand_that_does_not_keep_its_word_is_given_up_and_every_outlet_is_read_all_the_same() {
    for expand in [Expand::Refused, Expand::Ignored, Expand::Garbage] {
        let bmc = pdu(expand).await;
        let mut driver = driver(&bmc);
        assert_all_outlets(&driver.poll().await.unwrap());
        assert_eq!(bmc.asked("$expand"), 1, "{expand:?}");
        bmc.take_asked();
        // For good, even if it worked by now.
        bmc.set_expand(Expand::Works);
        assert_all_outlets(&driver.poll().await.unwrap());
        let asked = bmc.take_asked();
        assert_eq!((asked.len(), asked.iter().any(|a| a.contains('$'))), (49, false), "{expand:?}");
    }
}

#[tokio::test]
async fn a_maker_whose_expanded_members_lack_properties_is_not_asked_for_them() {
    let bmc = pdu(Expand::Works).await;
    bmc.put(
        "/redfish/v1/",
        json!({ "Vendor": "AMI", "RedfishVersion": "1.11.0", "PowerEquipment": link("/redfish/v1/PowerEquipment"),
            "ProtocolFeaturesSupported": { "ExpandQuery": { "NoLinks": true, "Levels": true } } }),
    );
    let batch = driver(&bmc).poll().await.unwrap();
    assert_all_outlets(&batch);
    assert_eq!(bmc.asked("$expand"), 0);
    assert_eq!(batch.identity.unwrap().profile, "redfish ami-viking");
}

#[tokio::test]
async fn an_expanded_answer_that_is_broken_or_too_large_is_not_taken_and_the_outlets_are_read_singly() {
    for fault in [Fault::Truncated, Fault::Page, Fault::Oversized, Fault::Status(501, String::new())] {
        let bmc = pdu(Expand::Works).await;
        let mut driver = driver(&bmc);
        bmc.fault("$expand", fault.clone());
        assert_all_outlets(&driver.poll().await.unwrap());
        assert_all_outlets(&driver.poll().await.unwrap());
        assert_eq!(bmc.asked("$expand"), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn an_expanded_answer_that_comes_late_twice_is_not_waited_for_a_third_time() {
    let bmc = pdu(Expand::Works).await;
    let trust = Trust::Fingerprint(bmc.certificate.fingerprint);
    let limit = Duration::from_millis(1500);
    let quick = Settings { request_timeout: limit, ..settings(&bmc.url, trust, Login::Basic) };
    let mut driver = open(quick).unwrap();
    bmc.fault("$expand", Fault::Late);
    bmc.fault("$expand", Fault::Late);
    assert_eq!(driver.poll().await.unwrap_err().kind, ErrorKind::Timeout);
    // The second one by the deadline of the poll itself.
    assert!(tokio::time::timeout(limit / 2, driver.poll()).await.is_err());
    bmc.put(&format!("{PDU}/Outlets/7"), outlet(7, 700.0));
    bmc.release();
    bmc.release();
    let batch = driver.poll().await.unwrap();
    assert_eq!((bmc.asked("$expand"), outlets(&batch)[&7]), (2, 700.0));
}

#[tokio::test]
async fn a_member_that_did_not_come_along_is_read_by_itself() {
    let bmc = pdu(Expand::AllButTheLast).await;
    let mut driver = driver(&bmc);
    assert_all_outlets(&driver.poll().await.unwrap());
    bmc.take_asked();
    assert_all_outlets(&driver.poll().await.unwrap());
    assert_eq!(bmc.take_asked().len(), 3);
}

#[tokio::test]
async fn outlets_without_a_meter_and_outlets_that_are_gone_are_not_asked_for_again() {
    let bmc = pdu(Expand::Refused).await;
    bmc.put(&format!("{PDU}/Outlets/1"), json!({ "Id": "1", "PowerState": "On" }));
    bmc.put(&format!("{PDU}/Outlets/2"), Value::Null);
    bmc.put(&format!("{PDU}/Outlets/3"), json!({ "Id": "3", "PowerWatts": { "Reading": null } }));
    let mut driver = driver(&bmc);
    driver.poll().await.unwrap();
    bmc.take_asked();
    let batch = driver.poll().await.unwrap();
    assert_eq!((outlets(&batch).len(), outlets(&batch).contains_key(&3)), (45, false));
    assert_eq!(bmc.take_asked().len(), 1 + 46);
}

#[tokio::test]
async fn a_service_with_neither_chassis_nor_equipment_says_so() {
    let bmc = pdu(Expand::Works).await;
    bmc.put("/redfish/v1/PowerEquipment/RackPDUs", members(&[]));
    let mut driver = driver(&bmc);
    for _ in 0..2 {
        assert_eq!(driver.poll().await.unwrap_err().kind, ErrorKind::NoReading);
    }
    bmc.put("/redfish/v1/PowerEquipment/RackPDUs", members(&[PDU.to_owned()]));
    assert_all_outlets(&driver.poll().await.unwrap());
}

#[tokio::test]
async fn a_server_that_lists_empty_equipment_pays_one_look_for_it() {
    let bmc = Bmc::start().await;
    let root = std::fs::read(crate::trees::own_tree().join("redfish/v1/index.json")).unwrap();
    let mut root: Value = serde_json::from_slice(&root).unwrap();
    root["PowerEquipment"] = link("/redfish/v1/PowerEquipment");
    bmc.put("/redfish/v1/", root);
    bmc.put("/redfish/v1/PowerEquipment", json!({ "Name": "nothing" }));
    let mut driver = driver(&bmc);
    let first = lines(&driver.poll().await.unwrap());
    assert_eq!((first[0].as_str(), bmc.asked("PowerEquipment")), ("input power 100", 1));
    assert_eq!(lines(&driver.poll().await.unwrap()), first);
    assert_eq!(bmc.asked("PowerEquipment"), 1);
}

#[tokio::test]
async fn a_later_look_that_goes_wrong_neither_loses_nor_renames_anything() {
    let bmc = pdu(Expand::Works).await;
    let second = "/redfish/v1/PowerEquipment/RackPDUs/P2".to_owned();
    let metrics = format!("{second}/Metrics");
    bmc.put("/redfish/v1/PowerEquipment/RackPDUs", members(&[PDU.to_owned(), second.clone()]));
    bmc.put(&second, json!({ "Id": "P2", "Metrics": link(&metrics) }));
    bmc.put(&metrics, json!({ "PowerWatts": { "Reading": 22 } }));
    let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(1)));
    let trust = Trust::Fingerprint(bmc.certificate.fingerprint);
    let mut driver =
        open_with(settings(&bmc.url, trust, Login::Basic), clock.clone(), OpenSessions::default()).unwrap();
    let first = lines(&driver.poll().await.unwrap());
    assert!(first.contains(&"unit/P2/input power 22".to_owned()), "{first:?}");
    bmc.put(&second, Value::Bool(false));
    clock.advance(Duration::from_secs(2 * 3600));
    for _ in 0..10 {
        assert_eq!(lines(&driver.poll().await.unwrap()), first);
    }
    // Once at first, twice in vain.
    assert_eq!(bmc.asked("RackPDUs/P2") - bmc.asked("P2/Metrics"), 3);
    // It was taken out.
    bmc.put(&second, Value::Null);
    clock.advance(Duration::from_secs(300));
    for _ in 0..10 {
        driver.poll().await.unwrap();
    }
    assert!(lines(&driver.poll().await.unwrap()).contains(&"input power 1180.5".to_owned()));
}

#[tokio::test]
async fn a_pdu_that_has_a_chassis_too_has_one_input() {
    let bmc = pdu(Expand::Works).await;
    let chassis = "/redfish/v1/Chassis/PDU";
    bmc.put("/redfish/v1/Chassis", members(&[chassis.to_owned()]));
    bmc.put(chassis, json!({ "Power": link(&format!("{chassis}/Power")) }));
    bmc.put(
        &format!("{chassis}/Power"),
        json!({ "PowerControl": [{ "PowerConsumedWatts": 999 }],
            "PowerSupplies": [{ "MemberId": "A", "PowerInputWatts": 30 }] }),
    );
    let mut driver = driver(&bmc);
    for _ in 0..2 {
        let lines = lines(&driver.poll().await.unwrap());
        let inputs: Vec<&String> = lines.iter().filter(|line| line.starts_with("input power ")).collect();
        assert_eq!(inputs, ["input power 1180.5"]);
        assert!(lines.contains(&"psu/A power 30".to_owned()), "{lines:?}");
        // Not the chassis' either while the PDU's own number is missing.
        bmc.put(&format!("{PDU}/Metrics"), json!({ "PowerWatts": { "Reading": 1180.5 } }));
    }
    bmc.put(&format!("{PDU}/Metrics"), json!({ "PowerWatts": { "Reading": null } }));
    let lines = lines(&driver.poll().await.unwrap());
    assert!(!lines.iter().any(|line| line.starts_with("input")), "{lines:?}");
}

#[tokio::test]
async fn a_shelf_beside_a_server_has_a_prefix() {
    let bmc = pdu(Expand::Works).await;
    let root = std::fs::read(crate::trees::own_tree().join("redfish/v1/index.json")).unwrap();
    let mut root: Value = serde_json::from_slice(&root).unwrap();
    root["PowerEquipment"] = link("/redfish/v1/PowerEquipment");
    bmc.put("/redfish/v1/", root);
    for path in ["Chassis", "Systems"] {
        let file = crate::trees::own_tree().join(format!("redfish/v1/{path}/index.json"));
        bmc.put(
            &format!("/redfish/v1/{path}"),
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap(),
        );
    }
    let batch = driver(&bmc).poll().await.unwrap();
    let lines = lines(&batch);
    assert!(lines.contains(&"input power 100".to_owned()), "{lines:?}");
    assert!(lines.contains(&"unit/P1/input power 1180.5".to_owned()), "{lines:?}");
    assert!(lines.contains(&"unit/P1/outlet/48 power 48".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn the_dmtf_pdu_reads_as_published() {
    let Some(recordings) = recordings() else { return };
    let dir = lay_out(&[]);
    std::fs::create_dir_all(dir.path().join("redfish")).unwrap();
    std::os::unix::fs::symlink(recordings.join("public-pdu"), dir.path().join("redfish/v1")).unwrap();
    let bmc = Nginx::serve(dir.path());
    let mut driver = open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic)).unwrap();
    let batch = driver.poll().await.unwrap();
    let all = lines(&batch);
    let watts: Vec<&str> = all.iter().filter(|l| l.contains(" power ")).map(String::as_str).collect();
    // Both units have the id 1, so that their collections tell them apart; the floor PDU lists nothing to read.
    // Each watt is `PowerWatts.Reading` of its resource, with these exceptions. RackPDUs/1/Mains/AC1 has none, and its
    // lines show 198.4 + 231.5 + 58.1 = 488.0 W against neutral and 738.9 + 748.3 + 759.6 = 2246.8 W between lines: loads
    // of two kinds, of which neither sum is the whole (the branches carry 937.4 + 977.8 + 816.5 = 2731.7 W), so AC1 has
    // no power. TransferSwitches/1/Mains have two lines each, whose one power is theirs: 1500.1 W, and 0 W of the inlet
    // that is not chosen. Outlets A4 and A5 have no meter.
    assert_eq!(
        watts,
        [
            "unit/RackPDUs-1/input power 6438",
            "unit/RackPDUs-1/branch/A power 937.4",
            "unit/RackPDUs-1/branch/B power 977.8",
            "unit/RackPDUs-1/branch/C power 816.5",
            "unit/RackPDUs-1/outlet/A1 power 197.4",
            "unit/RackPDUs-1/outlet/A2 power 384.5",
            "unit/RackPDUs-1/outlet/A3 power 349.9",
            "unit/RackPDUs-1/outlet/B1 power 228.3",
            "unit/RackPDUs-1/outlet/B2 power 321.6",
            "unit/RackPDUs-1/outlet/B3 power 426.5",
            "unit/RackPDUs-1/outlet/C1 power 56.8",
            "unit/RackPDUs-1/outlet/C2 power 394.1",
            "unit/RackPDUs-1/outlet/C3 power 355.4",
            "unit/RackPDUs-1/outletgroup/Rack5Storage power 412.36",
            "unit/TransferSwitches-1/input power 1500.1",
            "unit/TransferSwitches-1/mains/AC1 power 1500.1",
            "unit/TransferSwitches-1/mains/AC2 power 0",
            "unit/TransferSwitches-1/branch/A power 1050.5",
            "unit/TransferSwitches-1/branch/B power 586.96",
            "unit/TransferSwitches-1/outlet/A1 power 435.2",
            "unit/TransferSwitches-1/outlet/A2 power 384.5",
            "unit/TransferSwitches-1/outlet/A3 power 230.7",
            "unit/TransferSwitches-1/outlet/B1 power 202.4",
            "unit/TransferSwitches-1/outlet/B2 power 202.4",
            "unit/TransferSwitches-1/outlet/B3 power 180.1",
            "unit/TransferSwitches-1/outletgroup/Rack5Storage power 1050.5",
        ]
    );
    for line in [
        // 56438 kWh x 3.6e6 = 203,176,800,000 J; 325675 x 3.6e6 = 1,172,430,000,000 J; 36166 x 3.6e6 = 130,197,600,000 J.
        "unit/RackPDUs-1/input energy 203176800000",
        "unit/RackPDUs-1/branch/A energy 1172430000000",
        "unit/RackPDUs-1/outlet/A1 energy 130197600000",
        "unit/RackPDUs-1/input temperature 31",
        "unit/RackPDUs-1/mains/AC1/L1 voltage 117.8",
        "unit/RackPDUs-1/mains/AC1/L2 current 8.66",
        "unit/RackPDUs-1/mains/AC1 frequency 60.1",
        // Two lines: what is between them is the circuit's, and what flows in one flows in the other.
        "unit/RackPDUs-1/branch/A voltage 203.5",
        "unit/TransferSwitches-1/mains/AC1 voltage 202.2",
        "unit/TransferSwitches-1/mains/AC1 current 8.08",
        "unit/TransferSwitches-1/mains/AC1 apparent_power 1633.7",
        "unit/TransferSwitches-1/mains/AC1 power_factor 0.92",
    ] {
        assert!(all.iter().any(|l| l == line), "{line} in {all:#?}");
    }
    assert_eq!(batch.identity, Some(identity(["Contoso", "ZAP4000", "29347ZT536", "4.3.0", "redfish"])));
}
