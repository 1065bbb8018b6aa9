//! Tables of what power equipment shows and what may be made of it.

use serde_json::{Value, json};

use super::look::{GroupDraft, UnitDraft};
use super::plan::GroupKind;
use super::*;
use crate::drivers::redfish::origin::Origin;
use crate::model::Quantity;

/// A unit with metrics and with mains that read as `mains`.
fn unit(metrics: Value, mains: &[Value]) -> (Plan, Values) {
    let origin = Origin::parse("https://pdu").unwrap();
    let path = |text: &str| origin.resolve(text).unwrap();
    let members = (0..mains.len()).map(|at| path(&format!("/p/1/Mains/M{at}"))).collect();
    let draft = UnitDraft {
        path: path("/p/1"),
        distribution: read(&json!({ "Id": "1" })),
        metrics: Some(path("/p/1/Metrics")),
        groups: vec![GroupDraft { kind: GroupKind::Mains, collection: path("/p/1/Mains"), members }],
    };
    let rows = vec![mains.iter().map(|row| Some(read(row))).collect()];
    let seen = Seen { metrics: Some(read(&metrics)), rows };
    (Plan::from_draft(vec![draft], false, None), Values(vec![seen]))
}

fn all(metrics: Value, mains: &[Value]) -> Vec<(String, Quantity, f64)> {
    let (plan, values) = unit(metrics, mains);
    let mut into = Collector::default();
    readings::readings(&plan.units[0], &values.0[0], &mut Counters::default(), &mut into);
    let readings = into.readings.into_iter();
    readings.map(|r| (r.channel.as_str().to_owned(), r.measure.quantity(), r.measure.value())).collect()
}

fn watts_of(metrics: Value, mains: &[Value]) -> Vec<(String, f64)> {
    let all = all(metrics, mains).into_iter();
    all.filter(|(_, quantity, _)| *quantity == Quantity::Power).map(|(c, _, v)| (c, v)).collect()
}

fn lines(neutral: [f64; 3], between: [f64; 3]) -> Value {
    let names = [
        "Line1ToNeutral",
        "Line2ToNeutral",
        "Line3ToNeutral",
        "Line1ToLine2",
        "Line2ToLine3",
        "Line3ToLine1",
    ];
    let shown =
        names.into_iter().zip(neutral.into_iter().chain(between)).filter(|(_, watts)| watts.is_finite());
    Value::Object(shown.map(|(name, watts)| (name.to_owned(), json!({ "Reading": watts }))).collect())
}

/// What the circuit as a whole takes, of lines that show these powers.
fn total(wiring: &str, neutral: [f64; 3], between: [f64; 3]) -> Option<f64> {
    let row = json!({ "PhaseWiringType": wiring, "PolyPhasePowerWatts": lines(neutral, between) });
    let watts = watts_of(json!({}), &[row]);
    watts.into_iter().find(|(channel, _)| channel == "mains/M0").map(|(_, watts)| watts)
}

const NO: f64 = f64::NAN;
const NONE: [f64; 3] = [NO; 3];

#[test]
fn the_sum_over_lines_follows_the_wiring() {
    let wye = [100.0, 200.0, 300.0];
    for (wiring, neutral, between, want) in [
        // 100 + 200 + 300
        ("ThreePhase5Wire", wye, NONE, Some(600.0)),
        ("ThreePhase4Wire", NONE, wye, Some(600.0)),
        ("TwoPhase4Wire", [100.0, 200.0, NO], NONE, Some(300.0)),
        ("OnePhase3Wire", [NO, 200.0, NO], NONE, Some(200.0)),
        ("TwoPhase3Wire", NONE, [NO, NO, 300.0], Some(300.0)),
        ("OneOrTwoPhase3Wire", NONE, [NO, NO, 300.0], Some(300.0)),
        ("", wye, NONE, Some(600.0)),
        ("", NONE, wye, Some(600.0)),
        // A line is missing.
        ("ThreePhase5Wire", [100.0, 200.0, NO], NONE, None),
        ("ThreePhase4Wire", NONE, [100.0, NO, 300.0], None),
        ("TwoPhase4Wire", [100.0, NO, NO], NONE, None),
        ("", [100.0, 200.0, NO], NONE, None),
        // Not of this wiring, or more than it has.
        ("ThreePhase5Wire", NONE, wye, None),
        ("ThreePhase4Wire", wye, NONE, None),
        ("TwoPhase3Wire", NONE, wye, None),
        ("OnePhase3Wire", wye, NONE, None),
        // A negative line is none.
        ("ThreePhase5Wire", [100.0, -1.0, 300.0], NONE, None),
        // Two views of one load: 600 W and 590 W are within a tenth of each other, and only one counts.
        ("ThreePhase5Wire", wye, [190.0, 200.0, 200.0], Some(600.0)),
        ("ThreePhase4Wire", wye, [190.0, 200.0, 200.0], Some(590.0)),
        // 600 W and 1800 W are not: loads of both kinds, of which neither sum is the whole.
        ("ThreePhase5Wire", wye, [600.0, 600.0, 600.0], None),
        ("ThreePhase4Wire", wye, [600.0, 600.0, 600.0], None),
        ("", wye, wye, None),
    ] {
        assert_eq!(total(wiring, neutral, between), want, "{wiring} {neutral:?} {between:?}");
    }
}

#[test]
fn a_circuit_speaks_for_itself_before_its_lines_do() {
    let row = json!({ "PhaseWiringType": "ThreePhase5Wire", "PowerWatts": { "Reading": 650 },
        "PolyPhasePowerWatts": lines([100.0, 200.0, 300.0], NONE),
        "PolyPhaseCurrentAmps": { "Line1": { "Reading": 1 }, "Line2": { "Reading": 0 }, "Neutral": { "Reading": 1 } },
        "PolyPhaseVoltage": lines([230.0, 231.0, 232.0], [400.0, 401.0, 402.0]),
        "PolyPhaseEnergykWh": lines([10.5, NO, NO], NONE) });
    let reading = |channel: &str, quantity, value| (channel.to_owned(), quantity, value);
    assert_eq!(
        all(json!({}), &[row]),
        [
            reading("input", Quantity::Power, 650.0),
            reading("mains/M0", Quantity::Power, 650.0),
            reading("mains/M0/L1", Quantity::Power, 100.0),
            reading("mains/M0/L1", Quantity::Voltage, 230.0),
            reading("mains/M0/L1", Quantity::Current, 1.0),
            // 10.5 kWh x 3.6e6 J/kWh
            reading("mains/M0/L1", Quantity::Energy, 37_800_000.0),
            reading("mains/M0/L2", Quantity::Power, 200.0),
            reading("mains/M0/L2", Quantity::Voltage, 231.0),
            reading("mains/M0/L2", Quantity::Current, 0.0),
            reading("mains/M0/L3", Quantity::Power, 300.0),
            reading("mains/M0/L3", Quantity::Voltage, 232.0),
        ]
    );
}

#[test]
fn lines_without_neutral_are_read_in_pairs() {
    let row = json!({ "PhaseWiringType": "ThreePhase4Wire", "PolyPhasePowerWatts": lines(NONE, [1.0, 2.0, 3.0]),
        "PolyPhaseVoltage": lines(NONE, [400.0, NO, NO]),
        "PolyPhaseCurrentAmps": { "Line1": { "Reading": 4 } } });
    let reading = |channel: &str, quantity, value| (channel.to_owned(), quantity, value);
    assert_eq!(
        all(json!({}), &[row])[2..],
        [
            reading("mains/M0/L1", Quantity::Current, 4.0),
            reading("mains/M0/L1-L2", Quantity::Power, 1.0),
            reading("mains/M0/L1-L2", Quantity::Voltage, 400.0),
            reading("mains/M0/L2-L3", Quantity::Power, 2.0),
            reading("mains/M0/L3-L1", Quantity::Power, 3.0),
        ]
    );
}

#[test]
fn the_input_is_what_the_unit_says_else_all_of_its_mains() {
    let main = |watts: Value| json!({ "PowerWatts": { "Reading": watts } });
    let absent = json!({ "Status": { "State": "Absent" }, "PowerWatts": { "Reading": 9 } });
    let (said, silent) =
        (json!({ "PowerWatts": { "Reading": 70 } }), json!({ "PowerWatts": { "Reading": null } }));
    for (metrics, mains, want) in [
        (said, vec![main(json!(40)), main(json!(20))], Some(70.0)),
        (silent.clone(), vec![main(json!(40)), main(json!(20))], Some(60.0)),
        (silent.clone(), vec![main(json!(40)), main(json!(0))], Some(40.0)),
        (silent.clone(), vec![main(json!(40)), absent], Some(40.0)),
        // One inlet of two is not the unit.
        (silent.clone(), vec![main(json!(40)), main(json!(null))], None),
        (silent.clone(), vec![], None),
        (json!({ "PowerWatts": { "Reading": -5 } }), vec![main(json!(40))], Some(40.0)),
    ] {
        let watts = watts_of(metrics.clone(), &mains);
        let input = watts.iter().find(|(channel, _)| channel == "input").map(|(_, watts)| *watts);
        assert_eq!(input, want, "{metrics} {mains:?}");
    }
}

#[test]
fn nothing_flows_is_a_reading_and_impossible_numbers_are_none() {
    let row = json!({ "PowerWatts": { "Reading": 0, "ApparentVA": 0, "PowerFactor": 0.99 }, "Voltage": { "Reading": 0 },
        "CurrentAmps": { "Reading": 0 }, "FrequencyHz": { "Reading": 0 }, "EnergykWh": { "Reading": 0 } });
    let found = all(
        json!({ "HumidityPercent": { "Reading": 130 }, "PowerWatts": { "Reading": 1, "PowerFactor": 98 } }),
        &[row],
    );
    let quantities: Vec<(&str, Quantity)> = found.iter().map(|(c, q, _)| (c.as_str(), *q)).collect();
    assert_eq!(
        quantities,
        [
            ("input", Quantity::Power),
            ("mains/M0", Quantity::Power),
            ("mains/M0", Quantity::ApparentPower),
            ("mains/M0", Quantity::Voltage),
            ("mains/M0", Quantity::Current),
        ]
    );
}

/// Prefixes of units at `paths`.
fn prefixes(paths: &[&str], has_systems: bool) -> Vec<String> {
    let origin = Origin::parse("https://pdu").unwrap();
    let draft = |path: &&str| {
        let path = origin.resolve(path).unwrap();
        let distribution = read(&json!({ "Id": path.last_segment() }));
        UnitDraft { metrics: Some(path.clone()), path, distribution, groups: Vec::new() }
    };
    let plan = Plan::from_draft(paths.iter().map(draft).collect(), has_systems, None);
    plan.units.into_iter().map(|unit| unit.prefix).collect()
}

#[test]
fn a_unit_has_a_prefix_where_it_is_not_alone() {
    for (paths, has_systems, want) in [
        (vec!["/p/RackPDUs/1"], false, vec![""]),
        (vec!["/p/RackPDUs/1"], true, vec!["unit/1/"]),
        (vec!["/p/RackPDUs/A", "/p/RackPDUs/B"], false, vec!["unit/A/", "unit/B/"]),
        (vec!["/p/RackPDUs/1", "/p/FloorPDUs/1"], false, vec!["unit/RackPDUs-1/", "unit/FloorPDUs-1/"]),
    ] {
        assert_eq!(prefixes(&paths, has_systems), want, "{paths:?}");
    }
}

#[test]
fn a_look_ends_whatever_the_links_say() {
    let origin = Origin::parse("https://pdu").unwrap();
    let mut look = Look::new(origin.resolve("/e").unwrap());
    let mut asked = 0;
    while let Some(path) = look.next().cloned() {
        asked += 1;
        // Everything leads to everything, and to more.
        let more: Vec<Value> =
            (0..300).map(|n| json!({ "@odata.id": format!("{}/{n}", path.as_str()) })).collect();
        let link = json!({ "@odata.id": format!("{}/x", path.as_str()) });
        look.answer(
            &json!({ "RackPDUs": link, "Outlets": link, "Mains": link, "Members": more,
            "Members@odata.nextLink": format!("{}/next", path.as_str()) }),
            &origin,
        );
    }
    assert!(asked <= 500, "{asked}");
    assert!(look.finish(false).units.len() <= look::MAX_UNITS);
}
