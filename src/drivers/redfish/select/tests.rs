//! Tables of what BMCs show and what may be made of it.

use serde_json::{Value, json};

use super::super::origin::ResourcePath;
use super::super::plan::SupplyPlan;
use super::super::quirks::Maker;
use super::super::resources::read;
use super::*;
use crate::model::Quantity;

fn plan(supplies: &[&str]) -> ChassisPlan {
    let path = ResourcePath::service_root;
    let supplies = supplies
        .iter()
        .map(|name| SupplyPlan {
            name: (*name).to_owned(),
            metrics: path(),
            capacity_watts: Some(800.0),
            presence: Presence::Enabled,
        })
        .collect();
    ChassisPlan {
        prefix: String::new(),
        maker: Maker::Unknown,
        environment: None,
        power: None,
        power_adds: true,
        supplies,
        supplies_are_shared: false,
        capacity_watts: None,
        total_sensor: None,
        nodes: Vec::new(),
        ambient: None,
        state: path(),
    }
}

fn origin() -> Origin {
    Origin::parse("https://bmc").unwrap()
}

fn seen(environment: Value, power: Value) -> Seen {
    Seen { environment: Some(read(&environment)), power: Some(read(&power)), ..Seen::default() }
}

fn batch(plan: &ChassisPlan, seen: &Seen) -> (Option<Source>, Vec<(String, Quantity, f64)>) {
    let mut collector = Collector::default();
    let source = readings(plan, seen, &origin(), &mut Counters::default(), &mut collector);
    let readings = collector.readings.into_iter();
    (
        source,
        readings.map(|r| (r.channel.as_str().to_owned(), r.measure.quantity(), r.measure.value())).collect(),
    )
}

fn watts_of(seen: &Seen) -> Vec<(String, f64)> {
    let (_, readings) = batch(&plan(&[]), seen);
    readings.into_iter().filter(|(_, q, _)| *q == Quantity::Power).map(|(c, _, v)| (c, v)).collect()
}

fn total_of(environment: Value, power: Value) -> Option<(f64, Source)> {
    let seen = seen(environment, power);
    let (source, readings) = batch(&plan(&[]), &seen);
    let watts = readings.iter().find(|(c, q, _)| c == "input" && *q == Quantity::Power).map(|(_, _, v)| *v);
    watts.zip(source)
}

#[test]
fn the_total_comes_from_the_best_source_that_has_one() {
    let control = json!({ "PowerControl": [{ "PowerConsumedWatts": 344 }],
        "PowerSupplies": [{ "PowerInputWatts": 180 }, { "PowerInputWatts": 170 }] });
    let only_supplies = json!({ "PowerControl": [{ "PowerConsumedWatts": null }],
        "PowerSupplies": [{ "PowerInputWatts": 180 }, { "PowerInputWatts": "170.5" }] });
    let one_supply_silent =
        json!({ "PowerSupplies": [{ "PowerInputWatts": 180 }, { "PowerInputWatts": null }] });
    let one_bay_empty = json!({ "PowerSupplies": [
        { "PowerInputWatts": 180 }, { "PowerInputWatts": 0, "Status": { "State": "Absent" } }] });
    for (environment, power, want) in [
        (json!({ "PowerWatts": { "Reading": 374 } }), control.clone(), Some((374.0, Source::Environment))),
        (json!({ "PowerWatts": { "Reading": null } }), control.clone(), Some((344.0, Source::Control))),
        (json!({ "PowerWatts": { "Reading": 0 } }), control.clone(), Some((344.0, Source::Control))),
        (json!({ "PowerWatts": { "Reading": -5 } }), control.clone(), Some((344.0, Source::Control))),
        (json!({ "PowerWatts": null }), control, Some((344.0, Source::Control))),
        // 180 + 170.5
        (json!({}), only_supplies, Some((350.5, Source::Supplies))),
        // Half a server is not a server.
        (json!({}), one_supply_silent, None),
        (json!({}), one_bay_empty, Some((180.0, Source::Supplies))),
        (json!({}), json!({}), None),
        (json!({}), json!({ "PowerControl": [], "PowerSupplies": [] }), None),
    ] {
        assert_eq!(total_of(environment.clone(), power.clone()), want, "{environment} {power}");
    }
}

#[test]
fn a_total_beyond_what_the_supplies_can_give_is_passed_over() {
    let power = json!({ "PowerControl": [{ "PowerConsumedWatts": 344 }] });
    // 1.5 x 800 W = 1200 W.
    for (shown, want) in [(1200.0, (1200.0, Source::Environment)), (1200.5, (344.0, Source::Control))] {
        let plan = ChassisPlan { capacity_watts: Some(800.0), ..plan(&[]) };
        let seen = seen(json!({ "PowerWatts": { "Reading": shown } }), power.clone());
        assert_eq!(lacks_total(&plan, &seen), want.1 == Source::Control);
        let (source, readings) = batch(&plan, &seen);
        assert_eq!((readings[0].2, source), (want.0, Some(want.1)));
    }
}

#[test]
fn shared_supplies_are_shown_but_never_a_total() {
    let power = json!({ "PowerSupplies": [{ "MemberId": "1", "PowerInputWatts": 180 }] });
    let plan = ChassisPlan { supplies_are_shared: true, ..plan(&[]) };
    let (source, readings) = batch(&plan, &seen(json!({}), power));
    assert_eq!((source, readings), (None, vec![("psu/1".to_owned(), Quantity::Power, 180.0)]));
}

#[test]
fn a_sensor_and_a_makers_own_property_come_last() {
    let sensor = json!({ "ReadingType": "Power", "ReadingUnits": "kW", "Reading": 0.25 });
    let power = |supply: Value, total: Value| json!({ "PowerSupplies": [{ "PowerInputWatts": supply }], "Oem": { "Public": { "TotalPower": total } } });
    for (sensor, power, want) in [
        (sensor.clone(), power(json!(180), json!(300)), Some((180.0, Source::Supplies))),
        // 0.25 kW x 1000
        (sensor, power(json!(null), json!(300)), Some((250.0, Source::Sensor))),
        (
            json!({ "Reading": 5, "Enabled": false }),
            power(json!(null), json!(300)),
            Some((300.0, Source::Elsewhere)),
        ),
        (json!({ "Reading": null }), power(json!(null), json!(0)), None),
    ] {
        let total_sensor = Some((ResourcePath::service_root(), 1000.0));
        let plan = ChassisPlan { maker: Maker::Inspur, total_sensor, ..plan(&[]) };
        let without = seen(json!({}), power.clone());
        assert_eq!(
            needs_sensor(&plan, &without, &origin()),
            want.is_none_or(|(_, s)| s != Source::Supplies),
            "{power}"
        );
        let seen = Seen { total_sensor: Some(read(&sensor)), ..without };
        let (source, readings) = batch(&plan, &seen);
        let input = readings.iter().find(|(channel, ..)| channel == "input").map(|(_, _, watts)| *watts);
        assert_eq!(input.zip(source), want, "{power}");
    }
}

#[test]
fn an_entry_about_several_nodes_is_about_none() {
    let node = |path: &str| origin().resolve(path).unwrap();
    let nodes = vec![(node("/s/1"), "1".to_owned()), (node("/s/2"), "2".to_owned())];
    let plan = ChassisPlan { nodes, ..plan(&[]) };
    let entry = |member: &str, watts: u32, related: &[&str]| {
        let related: Vec<Value> = related.iter().map(|path| json!({ "@odata.id": path })).collect();
        json!({ "MemberId": member, "PowerConsumedWatts": watts, "RelatedItem": related })
    };
    let power = json!({ "PowerControl": [
        entry("0", 100, &["/s/1"]), entry("1", 300, &["/s/1", "/s/2"]), entry("2", 200, &["/s/2/", "/c/1"])] });
    let (source, readings) = batch(&plan, &seen(json!({}), power));
    let watts: Vec<(&str, f64)> =
        readings.iter().map(|(channel, _, watts)| (channel.as_str(), *watts)).collect();
    assert_eq!(watts, [("system/1/input", 100.0), ("system/2/input", 200.0), ("control/1", 300.0)]);
    // Neither node is the whole, and the third entry does not say that it is.
    assert_eq!(source, None);
}

#[test]
fn several_domains_are_never_added_up() {
    let lenovo = json!({ "PowerControl": [
        { "MemberId": "1", "Name": "CPU Sub-system Power", "PowerConsumedWatts": 60 },
        { "MemberId": "0", "Name": "Server Power Control", "PowerConsumedWatts": 200 },
        { "MemberId": "2", "Name": "Memory Sub-system Power", "PowerConsumedWatts": 20 } ] });
    assert_eq!(
        watts_of(&seen(json!({}), lenovo)),
        [
            ("input".to_owned(), 200.0),
            ("control/cpu-sub-system-power".to_owned(), 60.0),
            ("control/memory-sub-system-power".to_owned(), 20.0)
        ]
    );
}

#[test]
fn the_whole_is_found_by_context_then_name_then_member_0() {
    let entry = |member: &str, name: &str, context: &str, watts: u32| json!({ "MemberId": member, "Name": name, "PhysicalContext": context, "PowerConsumedWatts": watts });
    for (controls, want) in [
        (vec![entry("0", "GPU", "GPU", 1), entry("1", "All", "Chassis", 2)], Some(2.0)),
        (vec![entry("0", "x", "", 1), entry("1", "System Power Control", "", 2)], Some(2.0)),
        (vec![entry("1", "x", "", 1), entry("0", "y", "", 2)], Some(2.0)),
        (vec![entry("7", "x", "", 1), entry("8", "y", "", 2)], Some(1.0)),
        // Only a part of the server is measured: that is not the server.
        (vec![entry("0", "Processors", "CPU", 1)], None),
    ] {
        let total = total_of(json!({}), json!({ "PowerControl": controls }));
        assert_eq!(total.map(|(watts, _)| watts), want, "{controls:?}");
    }
}

#[test]
fn parts_with_equal_names_are_told_apart_by_their_member() {
    let power = json!({ "PowerControl": [
        { "MemberId": 0, "Name": "System Power Control", "PowerConsumedWatts": 900 },
        { "MemberId": 1, "Name": "GPU", "PowerConsumedWatts": 300 },
        { "MemberId": 2, "Name": "GPU", "PowerConsumedWatts": 310 } ] });
    let channels: Vec<String> = watts_of(&seen(json!({}), power)).into_iter().map(|(c, _)| c).collect();
    assert_eq!(channels, ["input", "control/1", "control/2"]);
}

#[test]
fn a_zero_counts_only_if_the_server_is_off_and_no_supply_is_on() {
    let power = |state: &str| {
        json!({ "PowerControl": [{ "PowerConsumedWatts": 0 }],
            "PowerSupplies": [{ "Status": { "State": state } }] })
    };
    for (supply, state, want) in [
        ("Enabled", PowerState::On, vec![]),
        ("Enabled", PowerState::Off, vec![]),
        ("StandbyOffline", PowerState::On, vec![]),
        ("StandbyOffline", PowerState::Unsaid, vec![]),
        ("StandbyOffline", PowerState::Off, vec![("input".to_owned(), 0.0)]),
    ] {
        let mut seen = seen(json!({}), power(supply));
        assert_eq!(state_matters(&plan(&[]), &seen), supply != "Enabled");
        seen.state = state;
        assert_eq!(watts_of(&seen), want, "{supply} {state:?}");
    }
}

#[test]
fn ratings_and_impossible_values_are_not_readings() {
    // 1.1 x 750 W = 825 W.
    for (shown, want) in [(824.9, vec![("psu/A".to_owned(), 824.9)]), (825.0, vec![]), (900.0, vec![])] {
        let power = json!({ "PowerSupplies": [
            { "MemberId": "A", "PowerCapacityWatts": 750, "PowerInputWatts": shown },
            { "MemberId": "B", "PowerCapacityWatts": 750, "PowerInputWatts": null }] });
        assert_eq!(watts_of(&seen(json!({}), power)), want, "{shown}");
    }
    // 1.5 x 1000 W = 1500 W.
    for (shown, want) in [(1500.0, Some(1500.0)), (1500.1, None)] {
        let power = json!({ "PowerControl": [{ "PowerConsumedWatts": shown, "PowerCapacityWatts": 1000 }] });
        assert_eq!(total_of(json!({}), power).map(|(watts, _)| watts), want, "{shown}");
    }
}

#[test]
fn a_supply_takes_in_nothing_only_without_voltage() {
    let supply = |volts: f64| {
        json!({ "PowerSupplies": [{ "MemberId": "1", "PowerInputWatts": 0, "LineInputVoltage": volts,
            "Status": { "State": "Enabled" } }, { "MemberId": "2", "PowerInputWatts": 300 }] })
    };
    let two = |c: &str, v: f64| (c.to_owned(), v);
    assert_eq!(watts_of(&seen(json!({}), supply(230.0))), [two("psu/2", 300.0)]);
    assert_eq!(
        watts_of(&seen(json!({}), supply(0.0))),
        [two("input", 300.0), two("psu/1", 0.0), two("psu/2", 300.0)]
    );
}

#[test]
fn the_newer_supplies_speak_with_all_they_measure() {
    let mut seen = seen(json!({}), json!({ "PowerSupplies": [{ "MemberId": "0", "PowerInputWatts": 999 }] }));
    let metrics = json!({ "InputPowerWatts": { "Reading": 231.5 }, "InputVoltage": { "Reading": 230.2 },
        "InputCurrentAmps": { "Reading": 1.01 }, "FrequencyHz": { "Reading": 50 }, "EnergykWh": { "Reading": 1.5 } });
    seen.supplies = vec![Some(read(&metrics)), None];
    let (source, readings) = batch(&plan(&["Bay1", "Bay2"]), &seen);
    let want = [
        ("psu/Bay1".to_owned(), Quantity::Power, 231.5),
        ("psu/Bay1".to_owned(), Quantity::Voltage, 230.2),
        ("psu/Bay1".to_owned(), Quantity::Current, 1.01),
        ("psu/Bay1".to_owned(), Quantity::Frequency, 50.0),
        // 1.5 kWh x 3,600,000 J/kWh
        ("psu/Bay1".to_owned(), Quantity::Energy, 5_400_000.0),
    ];
    assert_eq!((source, readings), (None, want.to_vec()));
}

#[test]
fn the_environment_speaks_with_all_it_measures() {
    let environment = json!({ "PowerWatts": { "Reading": 374, "ApparentVA": 380, "PowerFactor": 0.98 },
        "EnergykWh": { "Reading": 2, "LifetimeReading": 1000.25 }, "TemperatureCelsius": { "Reading": -3 } });
    let (source, readings) = batch(&plan(&[]), &seen(environment, json!({})));
    let input = |quantity, value| ("input".to_owned(), quantity, value);
    let want = [
        input(Quantity::Power, 374.0),
        input(Quantity::ApparentPower, 380.0),
        input(Quantity::PowerFactor, 0.98),
        input(Quantity::Temperature, -3.0),
        // 1000.25 kWh x 3,600,000 J/kWh
        input(Quantity::Energy, 3_600_900_000.0),
    ];
    assert_eq!((source, readings), (Some(Source::Environment), want.to_vec()));
}

#[test]
fn a_power_factor_above_one_is_none() {
    let environment = json!({ "PowerWatts": { "PowerFactor": 98, "ApparentVA": 0 } });
    assert_eq!(batch(&plan(&[]), &seen(environment, json!({}))).1, []);
}
