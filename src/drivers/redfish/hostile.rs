//! Every property of every tree of `tests/redfish/makers`, broken in every way: nothing panics, nothing grows without
//! bound, and what is not there does not become a zero.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::discover::Discovery;
use super::energy::Counters;
use super::extras;
use super::origin::{Origin, ResourcePath};
use super::resources::{PowerState, System, read};
use super::select::{self, Collector, Seen};
use crate::model::{Measure, Quantity};

/// A tree's resources by their whole path.
type Tree = BTreeMap<String, Value>;

fn trees() -> Vec<(String, Tree)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/redfish/makers");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let tree = |file: &Path| {
        let resources: Map<String, Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let key = |path: &str| format!("/redfish/v1/{path}").trim_end_matches('/').to_owned();
        resources.into_iter().map(|(path, resource)| (key(&path), resource)).collect()
    };
    files.map(|file| (file.file_name().unwrap().to_string_lossy().into_owned(), tree(&file))).collect()
}

/// What one poll makes of `tree` when all of it is known: the readings, and how many resources were asked for.
fn poll(tree: &Tree) -> (Collector, usize) {
    let origin = Origin::parse("https://bmc").unwrap();
    let get = |path: &ResourcePath| tree.get(path.as_str().trim_end_matches('/')).filter(|d| d.is_object());
    let mut discovery = Discovery::new();
    let mut asked = 0;
    while let Some(path) = discovery.next().cloned() {
        asked += 1;
        match get(&path) {
            Some(document) => discovery.answer(document, &origin),
            None => {
                if discovery.absent().is_err() {
                    return (Collector::default(), asked);
                }
            }
        }
    }
    let mut collector = Collector::default();
    let Ok(site) = discovery.site(&origin) else { return (collector, asked) };
    let mut counters = Counters::default();
    for plan in &site.chassis {
        let state =
            get(&plan.state).map(read::<System>).map_or(PowerState::Unsaid, |system| system.power_state);
        let seen = Seen {
            environment: plan.environment.as_ref().and_then(get).map(read),
            power: plan.power.as_ref().and_then(get).map(read),
            supplies: plan.supplies.iter().map(|supply| get(&supply.metrics).map(read)).collect(),
            total_sensor: plan.total_sensor.as_ref().and_then(|(path, _)| get(path)).map(read),
            state,
        };
        let _asked = select::state_matters(plan, &seen) || select::needs_sensor(plan, &seen, &origin);
        select::readings(plan, &seen, &origin, &mut counters, &mut collector);
        asked += 3 + plan.supplies.len();
    }
    for extra in &site.extras {
        asked += 1;
        if let Some(document) = get(&extra.path) {
            extras::readings(extra, document, &mut counters, &mut collector);
        }
    }
    (collector, asked)
}

/// The JSON pointers of all that is in `value`.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
            members.iter().map(|(key, value)| (escaped(key), value)).collect()
        }
        Value::Array(elements) => elements.iter().enumerate().map(|(n, v)| (n.to_string(), v)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (key, value) in inside {
        let at = format!("{at}/{key}");
        pointers(value, &at, into);
        into.push(at);
    }
}

fn check(collector: &Collector, asked: usize, what: &str) {
    // 500 to look, and at most three and 32 supplies for each of 64 chassis, and 130 beside them.
    assert!(asked <= 500 + 64 * 35 + 130, "{what}: {asked} requests");
    assert!(collector.readings.len() <= 2000, "{what}: {} readings", collector.readings.len());
    for reading in &collector.readings {
        let value = reading.measure.value();
        // A supply's 0 W counts with 0 V at its input.
        let may_be_zero =
            reading.measure.quantity() != Quantity::Power || reading.channel.as_str().contains("psu/");
        assert!(value.is_finite() && (may_be_zero || value > 0.0), "{what}: {reading:?}");
        if let Measure::Energy(counter) = reading.measure {
            assert!(counter.quantum.get() > 0.0, "{what}");
        }
    }
    for window in &collector.windows {
        assert!(!window.length.is_zero(), "{what}: {window:?}");
    }
}

#[test]
fn whatever_a_property_holds_nothing_panics_and_nothing_becomes_zero() {
    let wrong = [
        json!(null),
        json!("x"),
        json!(-1),
        json!(0),
        json!(1e308),
        json!(true),
        json!([]),
        json!({}),
        json!([null, 7, "x", [], {}]),
        json!({ "Reading": "N/A", "@odata.id": "https://evil/redfish/v1/Chassis" }),
        Value::String("9".repeat(5000)),
    ];
    for (name, tree) in trees() {
        let (whole, asked) = poll(&tree);
        check(&whole, asked, &name);
        assert!(!whole.readings.is_empty(), "{name}");
        let mut broken = tree.clone();
        for (path, resource) in &tree {
            let mut at = Vec::new();
            pointers(resource, "", &mut at);
            for (nth, pointer) in at.iter().enumerate() {
                // Three of them in turn: equal properties of the trees meet them all, in a fraction of the time.
                for value in wrong.iter().cycle().skip(nth).step_by(4).take(3) {
                    *broken.get_mut(path).unwrap().pointer_mut(pointer).unwrap() = value.clone();
                    let (shown, asked) = poll(&broken);
                    check(&shown, asked, &format!("{name} {path}{pointer} = {value:.40}"));
                    *broken.get_mut(path).unwrap() = resource.clone();
                }
            }
        }
    }
}

#[test]
fn a_resource_that_is_gone_takes_nothing_with_it_but_its_own() {
    for (name, tree) in trees() {
        let (whole, _) = poll(&tree);
        for path in tree.keys() {
            let mut less = tree.clone();
            less.remove(path);
            let (shown, asked) = poll(&less);
            check(&shown, asked, &format!("{name} without {path}"));
            let details = ["/Sensors/", "/Processors/", "/Memory/", "/Thermal", "/Managers/"];
            if details.iter().any(|detail| path.contains(detail)) && !path.contains("otal") {
                let input = |collector: &Collector| {
                    let mut readings = collector.readings.iter();
                    let found = readings
                        .find(|r| r.channel.as_str() == "input" && r.measure.quantity() == Quantity::Power);
                    found.map(|r| r.measure.value())
                };
                assert_eq!(input(&shown), input(&whole), "{name} without {path}");
            }
        }
    }
}

#[test]
fn endless_lists_end() {
    for (name, tree) in trees() {
        for (path, resource) in &tree {
            let mut at = Vec::new();
            pointers(resource, "", &mut at);
            for pointer in at {
                let Some(Value::Array(elements)) = resource.pointer(&pointer) else { continue };
                let Some(first) = elements.first() else { continue };
                let many: Vec<Value> = (0..600)
                    .map(|n| {
                        let mut element = first.clone();
                        if let Some(id) = element.pointer_mut("/@odata.id") {
                            *id = json!(format!("/redfish/v1/More/{n}"));
                        }
                        element
                    })
                    .collect();
                let mut huge = tree.clone();
                *huge.get_mut(path).unwrap().pointer_mut(&pointer).unwrap() = Value::Array(many);
                let (shown, asked) = poll(&huge);
                check(&shown, asked, &format!("{name} {path}{pointer}"));
            }
        }
    }
}
