//! What profiles can say, each claim with a device of a few lines. Everything below `1.3.6.1.4.1.99999` (9 in the texts here) is
//! a fictional maker's.

use std::sync::Arc;

use wattribute::drivers::{Profiles, Trace, snmp};
use wattribute::model::{Measure, PollError, SystemClock};

use super::devices::said;

const HEAD: &str = "protocol: snmp\nname: own\nabout: a meter\nmatch: { sys_object_ids: [9.1] }\nchannels:\n";

/// Profiles of an operator, then a device: what the first reads of the second.
async fn traced(own: &[&str], device: &str) -> Result<Trace, PollError> {
    let maker = |text: &str| {
        text.replace(" 9.", " 1.3.6.1.4.1.99999.")
            .replace("[9.", "[1.3.6.1.4.1.99999.")
            .replace("'9.", "'1.3.6.1.4.1.99999.")
    };
    let mut profiles = Profiles::built_in();
    for (number, text) in own.iter().enumerate() {
        profiles.add(&format!("own-{number}.yaml"), &maker(text)).unwrap_or_else(|e| panic!("{e}\n{text}"));
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("device.snmprec");
    let id = "1.3.6.1.2.1.1.1.0|4|A meter v2\n1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.99999.1.7\n1.3.6.1.2.1.1.3.0|67|100\n";
    let rows: String =
        device.split_whitespace().map(|row| row.replacen("9.", "1.3.6.1.4.1.99999.", 1) + "\n").collect();
    let rows = rows.replace("%20", " ");
    std::fs::write(&file, format!("{}{rows}", if device.contains("1.3.6.1.2.1.1.2.0|") { "" } else { id }))
        .unwrap();
    snmp::trace_recording(&file, None, &profiles.snmp, Arc::new(SystemClock::new())).await
}

/// What `channels` of a profile read.
async fn reads(channels: &str, device: &str) -> Vec<String> {
    said(&traced(&[&format!("{HEAD}{channels}")], device).await.unwrap())
}

#[tokio::test]
async fn rows_count_where_all_conditions_hold() {
    let device = "9.4.1.1|2|10 9.4.1.5|2|50 9.4.2.1|2|20 9.4.2.5|2|60 9.4.3.5|2|70 9.5.1|2|1 9.5.2|2|2 9.6.1|4|ok 9.6.2|4|ok%20too";
    let rows = |conditions: &str| {
        format!(
            "- {{ channel: \"outlet/{{n}}\", vars: {{ n: {{ part: 0 }} }}, where: [{conditions}], values: [{{ quantity: power, column: 9.4 }}] }}"
        )
    };
    let five = "{ part: 1, is: [5] }";
    let all = ["outlet/1 power 50", "outlet/2 power 60", "outlet/3 power 70"];
    assert_eq!(reads(&rows(five), device).await, all);
    for (condition, expected) in [
        ("{ column: 9.5, at: [0], is: [1] }", &all[..1]),
        ("{ column: 9.5, at: [0], is: [1, 2] }", &all[..2]),
        // A row that has nothing there passes `not` and `absent` only.
        ("{ column: 9.5, at: [0], not: [1] }", &all[1..]),
        ("{ column: 9.5, at: [0], absent: true }", &all[2..]),
        ("{ column: 9.5, at: [0], absent: false }", &all[..2]),
        ("{ column: 9.6, at: [0], matches: ^ok$ }", &all[..1]),
        ("{ column: 9.6, at: [0], matches: ok }, { part: 0, not: [1] }", &all[1..2]),
        // The same of a single variable, for all rows.
        ("{ scalar: 9.5.2, is: [2] }", &all[..]),
        // One table counts from 0, the other from 1.
        ("{ column: 9.5, at: [{ part: 0, plus: -1 }], is: [1] }", &all[1..2]),
    ] {
        assert_eq!(reads(&rows(&format!("{five}, {condition}")), device).await, expected, "{condition}");
    }
    // Conditions of a value hold for that value only.
    let two = "- channel: outlet/{n}\n  vars: { n: { part: 0 } }\n  values:\n  - { quantity: power, column: 9.4, where: [{ part: 1, is: [5] }] }\n  - { quantity: current, column: 9.4, scale: 0.1, where: [{ part: 1, is: [1] }] }\n";
    assert_eq!(
        reads(two, device).await,
        [
            "outlet/1 current 1",
            "outlet/1 power 50",
            "outlet/2 current 2",
            "outlet/2 power 60",
            "outlet/3 power 70"
        ]
    );
}

#[tokio::test]
async fn a_channel_is_called_by_number_by_text_or_by_a_part_of_it() {
    let device = "9.2.1|4|Rack%20A/B%20-%201 9.2.2|4|Outlet%2012 9.2.3|4|L2 9.3.1|2|1 9.3.2|2|2 9.3.3|2|1 9.4.1|2|1 9.4.2|2|2 9.4.3|2|3";
    for (n, expected) in [
        ("part: 0", ["1", "2", "3"].as_slice()),
        ("part: 0, plus: -1", &["0", "1", "2"]),
        ("part: 0, map: { 1: L1, 3: L3 }", &["L1", "L3"]),
        ("column: 9.2, text: true", &["L2", "Outlet-12", "Rack-A-B-1"]),
        ("column: 9.2, text: true, map: { L2: two }", &["two"]),
        ("column: 9.2, pattern: '(\\d+)$'", &["1", "12", "2"]),
        ("column: 9.2, pattern: '^Outlet (\\d+)', plus: 1", &["13"]),
        ("column: 9.2, pattern: '^(\\w)', map: { R: rack, L: line }", &["line", "rack"]),
    ] {
        let channels = format!(
            "- {{ channel: \"x/{{n}}\", vars: {{ n: {{ {n} }} }}, values: [{{ quantity: power, column: 9.4 }}] }}"
        );
        let said = reads(&channels, device).await;
        let words: Vec<&str> =
            said.iter().map(|l| l.split_whitespace().next().unwrap().trim_start_matches("x/")).collect();
        assert_eq!(words, expected, "{n}");
    }
    // The unit of a chain from a column; the first goes without a number. Of two rows with one name the first counts.
    let chain =
        "- { channel: input, vars: { unit: { column: 9.3 } }, values: [{ quantity: power, column: 9.4 }] }";
    assert_eq!(reads(chain, device).await, ["input power 1", "unit/2/input power 2"]);
    // What people call it: the first text of several places.
    let named = "- { channel: \"outlet/{n}\", vars: { n: { part: 0 } }, name: [{ column: 9.9 }, { column: 9.2 }], values: [{ quantity: power, column: 9.4 }] }";
    assert_eq!(
        reads(named, device).await[..3],
        ["name outlet/1 Rack A/B - 1", "name outlet/2 Outlet 12", "name outlet/3 L2"]
    );
}

#[tokio::test]
async fn a_device_may_say_its_own_scale() {
    // 4123 with 2 decimals, with exponent -3, times or over 10, milli (8) and kilo (10).
    let device = "9.4.1|2|4123 9.5.1|2|2 9.6.1|2|-3 9.7.1|2|-10 9.7.2|2|10 9.8.1|2|8 9.8.2|2|10 9.5.9|2|-2 9.8.7|2|0 9.8.8|2|99";
    for (modifier, expected) in [
        ("decimals: { column: 9.5 }", Some(41.23)),
        ("exponent: { column: 9.6 }", Some(4.123)),
        ("factor: { column: 9.7 }", Some(412.3)),
        ("factor: { scalar: 9.7.2 }", Some(41230.0)),
        ("si_prefix: { column: 9.8 }", Some(4.123)),
        ("si_prefix: { scalar: 9.8.2 }", Some(4_123_000.0)),
        ("si_prefix: { column: 9.8 }, decimals: { column: 9.5 }, scale: 10", Some(0.4123)),
        // Digits that mean nothing do not shift.
        ("decimals: { scalar: 9.5.9 }", Some(4123.0)),
        ("offset: -4000", Some(123.0)),
        // A scale that is missing or cannot be one leaves no value.
        ("decimals: { scalar: 9.5.8 }", None),
        ("factor: { scalar: 9.8.7 }", None),
        ("exponent: { scalar: 9.8.8 }", None),
    ] {
        let channels = format!(
            "- {{ channel: input, values: [{{ quantity: power, column: 9.4, {modifier} }}] }}\n- {{ channel: alive, values: [{{ quantity: voltage, column: 9.5 }}] }}"
        );
        let said = reads(&channels, device).await;
        let power =
            said.iter().find_map(|line| line.strip_prefix("input power ")).map(|n| n.parse::<f64>().unwrap());
        let same = match (power, expected) {
            (Some(power), Some(expected)) => (power - expected).abs() < 1e-9 * expected,
            (power, expected) => power == expected,
        };
        assert!(same, "{modifier}: {power:?} {expected:?}");
    }
}

#[tokio::test]
async fn what_is_no_measurement_leaves_no_sample() {
    for (value, row, expected) in [
        ("missing: [-1, 9999]", "2|9999", None),
        ("", "66|4294967295", None),
        ("", "2|-5", None),
        ("magnitude: true, missing: [-1]", "2|-1", None),
        ("magnitude: true, missing: [-1]", "2|-85", Some("85")),
        ("valid: [0, 100]", "2|101", None),
        ("valid: [0, 100]", "2|100", Some("100")),
        // Texts and floats are numbers where the whole of them is one.
        ("", "4|12.5", Some("12.5")),
        ("", "4|12.5%20W", None),
        ("suffix: W", "4|12.5%20W", Some("12.5")),
        ("suffix: W", "4|12.5W", Some("12.5")),
        ("suffix: kW, scale: 1000", "4|0.061kW", Some("61")),
        ("suffix: W", "4|12.5V", None),
        ("suffix: W", "2|12", None),
        ("", "68x|9f780441480000", Some("12.5")),
        ("", "4|", None),
    ] {
        let value = format!(
            "- {{ channel: input, values: [{{ quantity: power, scalar: 9.4.0, {value} }}] }}\n- {{ channel: alive, values: [{{ quantity: voltage, scalar: 9.5.0 }}] }}"
        );
        let said = reads(&value, &format!("9.4.0|{row} 9.5.0|2|230")).await;
        let power = said.iter().find_map(|line| line.strip_prefix("input power "));
        assert_eq!(power, expected, "{value} {row}");
    }
    // Below 0 only temperatures go on their own.
    let celsius = "- { channel: sensor/1, values: [{ quantity: temperature, scalar: 9.4.0, scale: 0.1 }] }";
    assert_eq!(reads(celsius, "9.4.0|2|-55").await, ["sensor/1 temperature -5.5"]);
}

#[tokio::test]
async fn power_that_flows_the_other_way_is_another_channels() {
    let channels = "- { channel: \"phase/L{n}\", vars: { n: { part: 0 } }, values: [{ quantity: power, column: 9.4, missing: [-1], reverse: \"export/L{n}\" }] }\n- { channel: input, sum: true, values: [{ quantity: power, column: 9.4, missing: [-1], reverse: export }] }";
    // 4365 W out by L1, 500 W in by L2: neither hides the other in the sums.
    assert_eq!(
        reads(channels, "9.4.1|2|-4365 9.4.2|2|500").await,
        [
            "export power 4365",
            "export/L1 power 4365",
            "export/L2 power 0",
            "input power 500",
            "phase/L1 power 0",
            "phase/L2 power 500"
        ]
    );
    assert_eq!(reads(channels, "9.4.1|2|-1 9.4.2|2|-2").await, ["export/L2 power 2", "phase/L2 power 0"]);
}

#[tokio::test]
async fn an_energy_counter_in_a_text_steps_by_its_last_digit() {
    let channels =
        "- { channel: input, values: [{ quantity: energy, scalar: 9.4.0, scale: 3600000, suffix: kWh }] }";
    let trace = traced(&[&format!("{HEAD}{channels}")], "9.4.0|4|2.28kWh").await.unwrap();
    let Measure::Energy(energy) = trace.readings[0].reading.measure else { panic!("{trace:?}") };
    assert!(
        (energy.total.get() - 8_208_000.0).abs() < 1e-6 && (energy.quantum.get() - 36_000.0).abs() < 1e-6
    );
}

#[tokio::test]
async fn accuracy_is_the_class_and_the_step_of_power() {
    let profile = HEAD.replace("about", "accuracy: 1 %\nabout");
    let channels = "- { channel: input, values: [{ quantity: power, scalar: 9.4.0, scale: 10 }] }\n- { channel: output, values: [{ quantity: power, scalar: 9.5.0, accuracy: 0.5% }] }\n- { channel: rated, values: [{ quantity: power, scalar: 9.5.0, quality: estimated }] }\n";
    let device = "9.4.0|2|57 9.5.0|2|500";
    let accuracy = async |profile: String| {
        let trace = traced(&[&profile], device).await.unwrap();
        let said = trace.channels.into_iter().map(|info| {
            let accuracy = info.accuracy.map(|a| (a.share.get(), a.step.get()));
            (info.channel.to_string(), accuracy)
        });
        said.collect::<Vec<_>>()
    };
    assert_eq!(
        accuracy(profile + channels).await,
        [("input".to_owned(), Some((0.01, 10.0))), ("output".to_owned(), Some((0.005, 1.0)))]
    );
    // Without a class a coarse step is all that is known, and a fine one says nothing.
    let unknown = format!("{HEAD}{}", channels.replace(", accuracy: 0.5%", ""));
    assert_eq!(accuracy(unknown).await, [("input".to_owned(), Some((0.0, 10.0)))]);
}

#[tokio::test]
async fn the_first_candidate_that_gives_a_value_reads_the_device() {
    let profile = |name: &str, matching: &str, oid: &str| {
        format!(
            "protocol: snmp\nname: {name}\nabout: a meter\nmatch: {{ {matching} }}\nchannels: [{{ channel: input, values: [{{ quantity: power, scalar: 9.{oid}.0 }}] }}]\n"
        )
    };
    let all = [
        profile("longest", "sys_object_ids: [9.1.7]", "41"),
        profile("long", "sys_object_ids: [9.1]", "42"),
        profile("descr", "sys_descr: ['^A meter v\\d']", "43"),
        profile("probe", "probes: [9.44.0]", "44"),
        profile("standard", "fallback: true, sys_object_ids: [9.1.7]", "45"),
        profile("table", "fallback: true, probes: [9.46]", "46"),
        profile("other", "sys_object_ids: [9.1.8], sys_descr: [B]", "41"),
    ];
    let own: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut values = vec!["9.41.0|2|1", "9.42.0|2|1", "9.43.0|2|1", "9.44.0|2|1", "9.45.0|2|1", "9.46.0|2|1"];
    for expected in ["longest", "long", "descr", "probe", "standard", "table"] {
        let trace = traced(&own, &values.join(" ")).await.unwrap();
        assert_eq!(trace.identity.unwrap().profile, expected);
        values.remove(0);
    }
    // A sentinel is no value.
    let trace = traced(&own, "9.41.0|2|-1 9.42.0|2|5").await.unwrap();
    assert_eq!(trace.identity.unwrap().profile, "long");
    // Nothing gives a value: said of the first that fits; nothing fits: said with what the device says of itself.
    let error = traced(&own, "9.41.0|2|-1").await.unwrap_err();
    assert_eq!(error.cause, "profile longest fits, but none of its 1 values is there");
    let error = traced(&own, "1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.99998 9.41.0|2|1").await.unwrap_err();
    assert!(
        error.cause.starts_with("no profile reads this device: sysObjectID 1.3.6.1.4.1.99998"),
        "{error}"
    );
}

#[tokio::test]
async fn one_profile_reads_models_whose_tables_stand_below_their_own_number() {
    let profile = "protocol: snmp\nname: own\nabout: a meter\nmatch: { sys_object_ids: [9.1] }\nidentity: { model: [ '9.1.{id}.2.0' ], serial: [ '9.1.{id}.3' ], firmware: [ '9.1.{id}.5.0' ] }\nchannels: [{ channel: input, values: [{ quantity: power, scalar: '9.1.{id}.4.0' }] }]\n";
    // The recording's sysObjectID ends with 7. The serial number is a column, the firmware a number.
    let trace =
        traced(&[profile], "9.1.7.2.0|4|M 9.1.7.3.210|4|S 9.1.7.4.0|2|33 9.1.7.5.0|2|12").await.unwrap();
    assert_eq!(said(&trace), ["input power 33"]);
    let identity = trace.identity.unwrap();
    assert_eq!(
        (identity.model.as_str(), identity.serial.as_str(), identity.firmware.as_str()),
        ("M", "S", "12")
    );
}
