//! Discovery and plan together, over small trees: which resources are asked for, and what the channels are called.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::discover::Discovery;
use super::super::names::{MAX_NAME_CHARS, safe};
use super::*;

/// Answers a discovery from `tree`; whatever is not in it does not exist. Also returns what was asked, in order.
fn discover(tree: &[(&str, Value)]) -> (Result<Site, PollError>, Vec<String>) {
    let origin = Origin::parse("https://bmc").unwrap();
    let tree: HashMap<&str, &Value> = tree.iter().map(|(path, value)| (*path, value)).collect();
    let mut discovery = Discovery::new();
    let mut asked = Vec::new();
    while let Some(path) = discovery.next().cloned() {
        asked.push(path.as_str().to_owned());
        match tree.get(path.as_str()) {
            Some(document) => discovery.answer(document, &origin),
            None => {
                if let Err(error) = discovery.absent() {
                    return (Err(error), asked);
                }
            }
        }
    }
    (discovery.site(&origin), asked)
}

fn id(path: &str) -> Value {
    json!({ "@odata.id": path })
}

fn chassis(name: &str, systems: &[&str]) -> Value {
    json!({
        "Id": name,
        "Power": id(&format!("/c/{name}/Power")),
        "Links": { "ComputerSystems": systems.iter().map(|s| id(s)).collect::<Vec<_>>() },
    })
}

fn power() -> Value {
    json!({ "PowerControl": [{ "PowerConsumedWatts": 1 }] })
}

fn two_chassis(a: &[&str], b: &[&str]) -> Vec<(&'static str, Value)> {
    vec![
        ("/redfish/v1/", json!({ "Chassis": id("/c") })),
        ("/c", json!({ "Members": [id("/c/A"), id("/c/B")] })),
        ("/c/A", chassis("A", a)),
        ("/c/B", chassis("B", b)),
        ("/c/A/Power", power()),
        ("/c/B/Power", power()),
    ]
}

fn prefixes(site: &Site) -> Vec<&str> {
    site.chassis.iter().map(|chassis| chassis.prefix.as_str()).collect()
}

#[test]
fn the_only_chassis_with_a_system_is_the_server() {
    for (a, b, want) in [
        (&["/s/1"][..], &[][..], ["", "chassis/B/"]),
        (&[][..], &["/s/1"][..], ["chassis/A/", ""]),
        (&[][..], &[][..], ["chassis/A/", "chassis/B/"]),
        (&["/s/1"][..], &["/s/2"][..], ["chassis/A/", "chassis/B/"]),
    ] {
        let site = discover(&two_chassis(a, b)).0.unwrap();
        assert_eq!(prefixes(&site), want, "{a:?} {b:?}");
    }
}

#[test]
fn a_chassis_without_power_does_not_count() {
    let mut tree = two_chassis(&[], &[]);
    tree.retain(|(path, _)| *path != "/c/B/Power");
    assert_eq!(prefixes(&discover(&tree).0.unwrap()), [""]);
}

#[test]
fn the_system_may_hold_the_link_to_its_chassis() {
    let mut tree = two_chassis(&[], &[]);
    tree.push(("/redfish/v1/Systems", json!({ "Members": [id("/s/1")] })));
    tree.push(("/s/1", json!({ "SerialNumber": 4711, "Links": { "Chassis": [id("/c/B/")] } })));
    let site = discover(&tree).0.unwrap();
    assert_eq!(prefixes(&site), ["chassis/A/", ""]);
    assert_eq!(site.chassis[1].state.as_str(), "/s/1");
    assert_eq!(site.identity.serial, "4711");
}

#[test]
fn a_root_without_links_leads_to_the_well_known_collections() {
    let tree = [
        ("/redfish/v1/", json!({})),
        ("/redfish/v1/Chassis", json!({ "Members": [id("/c/A")] })),
        ("/c/A", chassis("A", &[])),
        ("/c/A/Power", power()),
    ];
    assert_eq!(prefixes(&discover(&tree).0.unwrap()), [""]);
}

#[test]
fn pages_are_followed_but_never_in_circles_nor_to_other_hosts() {
    let tree = [
        ("/redfish/v1/", json!({ "Chassis": id("/c") })),
        ("/c", json!({ "Members": [id("https://evil/c/X")], "Members@odata.nextLink": "/c?$skip=1" })),
        ("/c?$skip=1", json!({ "Members": [id("/c/A"), id("/c/A")], "Members@odata.nextLink": "/c" })),
        ("/c/A", chassis("A", &[])),
        ("/c/A/Power", power()),
    ];
    let (site, asked) = discover(&tree);
    assert_eq!(prefixes(&site.unwrap()), [""]);
    assert_eq!(asked, ["/redfish/v1/", "/redfish/v1/Systems", "/c", "/c?$skip=1", "/c/A", "/c/A/Power"]);
}

#[test]
fn the_total_comes_first_and_there_is_something_to_poll_before_the_details() {
    let origin = Origin::parse("https://bmc").unwrap();
    let details =
        json!({ "Power": id("/c/A/Power"), "Thermal": id("/c/A/Thermal"), "Sensors": id("/c/A/Sensors") });
    let mut tree = vec![
        ("/redfish/v1/", json!({ "Chassis": id("/c") })),
        ("/c", json!({ "Members": [id("/c/A")] })),
        ("/c/A", details),
        ("/c/A/Power", power()),
        ("/c/A/Thermal", json!({ "Temperatures": [{ "PhysicalContext": "Intake", "ReadingCelsius": 20 }] })),
        ("/c/A/Sensors", json!({ "Members": [id("/c/A/Sensors/1")] })),
        ("/c/A/Sensors/1", json!({ "ReadingUnits": "W" })),
    ];
    let mut discovery = Discovery::new();
    while !discovery.is_enough() {
        let path = discovery.next().cloned().unwrap();
        match tree.iter().find(|(p, _)| *p == path.as_str()) {
            Some((_, document)) => discovery.answer(document, &origin),
            None => discovery.absent().unwrap(),
        }
    }
    assert_eq!(discovery.site(&origin).unwrap().extras, []);
    let (site, asked) = discover(&tree);
    let channels: Vec<String> = site.unwrap().extras.iter().map(|e| e.channel.as_str().to_owned()).collect();
    assert_eq!(channels, ["inlet", "sensor/1"]);
    assert!(
        asked.ends_with(&["/c/A/Power", "/c/A/Thermal", "/c/A/Sensors", "/c/A/Sensors/1"].map(str::to_owned))
    );
    // Of a PDU the sensors are left alone: its outlets and circuits show them.
    tree[0].1 = json!({ "Chassis": id("/c"), "PowerEquipment": id("/pe") });
    assert!(!discover(&tree).1.iter().any(|path| path.contains("Sensors")));
    // A server beside it has its own.
    tree[2].1["Links"] = json!({ "ComputerSystems": [id("/s")] });
    assert!(discover(&tree).1.iter().any(|path| path.contains("Sensors")));
}

#[test]
fn an_endless_collection_ends() {
    let origin = Origin::parse("https://bmc").unwrap();
    let mut discovery = Discovery::new();
    let mut asked = 0_u32;
    while discovery.next().is_some() {
        asked += 1;
        let document = json!({
            "Chassis": id("/c"),
            "Members": [id(&format!("/x/{asked}/a")), id(&format!("/x/{asked}/b"))],
            "Members@odata.nextLink": format!("/c?{asked}"),
            "Power": id(&format!("/p/{asked}")),
        });
        discovery.answer(&document, &origin);
    }
    assert_eq!(asked, 500);
}

#[test]
fn a_stub_of_the_newer_model_does_not_hide_the_older_one() {
    let tree = [
        ("/redfish/v1/", json!({ "Chassis": id("/c") })),
        ("/c", json!({ "Members": [id("/c/1")] })),
        ("/c/1", json!({ "PowerSubsystem": id("/c/1/PS"), "Power": id("/c/1/Power") })),
        (
            "/c/1/PS",
            json!({ "Status": { "State": "Absent" }, "CapacityWatts": 0, "PowerSupplies": id("/c/1/PS/S") }),
        ),
        ("/c/1/PS/S", json!({ "Members": [id("/c/1/PS/S/1")] })),
        ("/c/1/Power", json!({ "PowerControl": [{}], "PowerSupplies": [{ "LineInputVoltage": 230 }] })),
    ];
    let (site, asked) = discover(&tree);
    let site = site.unwrap();
    assert!(!asked.contains(&"/c/1/PS/S".to_owned()), "{asked:?}");
    assert!(site.chassis[0].supplies.is_empty() && site.chassis[0].power_adds);
}

#[test]
fn a_supply_that_answers_badly_is_tried_again_and_then_left_out() {
    let origin = Origin::parse("https://bmc").unwrap();
    let tree = two_chassis(&["/s/1"], &[]);
    let mut discovery = Discovery::new();
    let mut failures = 0;
    while let Some(path) = discovery.next().cloned() {
        if path.as_str() == "/c/B/Power" {
            failures += 1;
            discovery.failed(PollError::new(ErrorKind::Protocol, "answered 500", "")).unwrap();
        } else if let Some((_, document)) = tree.iter().find(|(p, _)| *p == path.as_str()) {
            discovery.answer(document, &origin);
        } else {
            discovery.absent().unwrap();
        }
    }
    let site = discovery.site(&origin).unwrap();
    assert_eq!((failures, site.incomplete, prefixes(&site)), (2, true, vec![""]));
}

#[test]
fn a_service_without_redfish_or_power_is_said_to_be_so() {
    assert_eq!(discover(&[]).0.unwrap_err().kind, ErrorKind::Protocol);
    let bare = [("/redfish/v1/", json!({})), ("/redfish/v1/Chassis", json!({ "Members": [] }))];
    assert_eq!(discover(&bare).0.unwrap_err().kind, ErrorKind::NoReading);
}

#[test]
fn names_are_safe_and_unique() {
    let names = |items: &[(Option<&'static str>, &'static str)]| unique(items.iter().copied());
    assert_eq!(names(&[(Some("PSU.Slot.1"), "x"), (Some("Bay 2\n\"}"), "y")]), ["PSU.Slot.1", "Bay-2"]);
    assert_eq!(names(&[(Some("0"), "PSU1"), (Some("0"), "PSU2")]), ["PSU1", "PSU2"]);
    assert_eq!(names(&[(None, "a"), (Some("b"), "c")]), ["a", "c"]);
    assert_eq!(names(&[(Some("a b"), "1"), (Some("a-b"), "1")]), ["0", "1"]);
    assert_eq!(safe(&"x".repeat(500)).len(), MAX_NAME_CHARS);
}
