//! Values of reports on their way to readings of earlier moments, with the clock in hand.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::model::{ChannelId, ManualClock, Measure, Watts};

fn origin() -> Origin {
    Origin::parse("https://bmc").unwrap()
}

fn path(text: &str) -> ResourcePath {
    origin().resolve(text).unwrap()
}

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

/// Reads `/total` as `input`; without it the sum of `/a` and `/b`, each of which is a channel too.
fn read(docs: &Docs) -> Vec<Reading> {
    let watts = |name: &str| docs.get(&path(name))?.pointer("/PowerWatts/Reading")?.as_f64();
    let sum = || Some(watts("/a")? + watts("/b")?);
    let points = [("input", watts("/total").or_else(sum)), ("psu/a", watts("/a")), ("psu/b", watts("/b"))];
    let reading = |(channel, watts): (&str, Option<f64>)| {
        let measure = Measure::Power(Watts::new(watts?).ok()?);
        Some(Reading::measured(ChannelId::new(channel).unwrap(), measure))
    };
    points.into_iter().filter_map(reading).collect()
}

fn docs(resources: &[(&str, f64)]) -> Docs {
    let mut docs = Docs::default();
    for (name, watts) in resources {
        let sensor = format!("/Sensors{name}");
        docs.insert(&path(name), json!({ "PowerWatts": { "DataSourceUri": sensor, "Reading": watts } }));
    }
    docs
}

fn telemetry(resources: &[(&str, f64)], now: u64) -> (Telemetry, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(at(now)));
    let mut telemetry = Telemetry::new(true, false, clock.clone());
    telemetry.docs = docs(resources);
    telemetry.map = Map::of(&telemetry.docs, &origin(), &read);
    telemetry.last_poll = at(now);
    (telemetry, clock)
}

fn value(property: &str, watts: f64, second: u64) -> MetricValue {
    MetricValue { property: property.to_owned(), value: watts, at: Duration::from_secs(second) }
}

/// `channel watts @second` for every reading of an earlier moment.
fn earlier(telemetry: &mut Telemetry) -> Vec<String> {
    let line = |earlier: Earlier| {
        let second = earlier.at.since(Moment::ZERO).as_secs_f64();
        let line = move |r: Reading| format!("{} {} @{second}", r.channel, r.measure.value());
        earlier.readings.into_iter().map(line).collect::<Vec<_>>()
    };
    telemetry.earlier(&read).into_iter().flat_map(line).collect()
}

#[test]
fn a_stream_of_a_second_under_a_poll_of_ten_loses_no_joule() {
    let (mut telemetry, clock) = telemetry(&[("/total", 100.0)], 100);
    // A spike between two polls, which see 100 W each: 100 W, but 600 W in seconds 4 and 5.
    for second in 1..=10 {
        clock.advance(Duration::from_secs(1));
        let watts = if matches!(second, 4 | 5) { 600.0 } else { 100.0 };
        // The BMC's clock stands in 1970.
        telemetry.take(
            vec![value("/total#/PowerWatts/Reading", watts, 7000 + second)],
            clock.now(),
            &origin(),
        );
    }
    clock.advance(Duration::from_millis(1));
    let points: Vec<(f64, f64)> = telemetry
        .earlier(&read)
        .iter()
        .map(|e| (e.at.since(Moment::ZERO).as_secs_f64(), e.readings[0].measure.value()))
        .collect();
    assert_eq!((points.len(), points[0], points[9]), (10, (101.0, 100.0), (110.0, 100.0)));
    // By trapezoids from 100 s to 110 s: 3 x 100 J, 350, 600, 350, 4 x 100 J = 2000 J; the polls alone would say 1000 J.
    let mut joules = 0.0;
    let mut last = (100.0, 100.0);
    for point in points {
        joules += (point.0 - last.0) * (point.1 + last.1) / 2.0;
        last = point;
    }
    assert!((joules - 2000.0).abs() < 1e-6, "{joules}");
}

#[test]
fn copies_and_overtaken_reports_are_counted_once_and_in_their_order() {
    let (mut telemetry, clock) = telemetry(&[("/total", 1.0)], 100);
    clock.advance(Duration::from_secs(10));
    let name = "/total#/PowerWatts/Reading";
    for second in [3, 1, 3, 2, 1, 5, 4] {
        telemetry.take(vec![value(name, second as f64 * 10.0, second)], clock.now(), &origin());
    }
    clock.advance(Duration::from_secs(1));
    let want = ["input 10 @106", "input 20 @107", "input 30 @108", "input 40 @109", "input 50 @110"];
    assert_eq!(earlier(&mut telemetry), want);
    // The same once more after the poll, as a stream does that begins again.
    for second in [1, 2, 3, 4, 5] {
        telemetry.take(vec![value(name, 999.0, second)], clock.now(), &origin());
    }
    assert_eq!(earlier(&mut telemetry), [] as [&str; 0]);
}

#[test]
fn a_reading_needs_all_that_it_is_made_of() {
    let (mut telemetry, clock) = telemetry(&[("/a", 40.0), ("/b", 60.0)], 100);
    clock.advance(Duration::from_secs(9));
    let values = vec![
        value("/a#/PowerWatts/Reading", 41.0, 1),
        value("/a#/PowerWatts/Reading", 42.0, 2),
        value("/b#/PowerWatts/Reading", 62.0, 2),
        value("/b#/PowerWatts/Reading", 63.0, 3),
    ];
    telemetry.take(values, clock.now(), &origin());
    clock.advance(Duration::from_secs(1));
    // 42 + 62 = 104 W are the whole at the second moment; at the others half of it is not known.
    let want = ["psu/a 41 @107", "input 104 @108", "psu/a 42 @108", "psu/b 62 @108", "psu/b 63 @109"];
    assert_eq!(earlier(&mut telemetry), want);
}

#[test]
fn what_is_not_the_source_of_a_reading_never_becomes_one() {
    // `/total` is the source of `input`, so that the sum of the supplies is not.
    let (mut telemetry, clock) = telemetry(&[("/total", 110.0), ("/a", 40.0), ("/b", 60.0)], 100);
    clock.advance(Duration::from_secs(5));
    let values = vec![value("/a#/PowerWatts/Reading", 41.0, 1), value("/b#/PowerWatts/Reading", 61.0, 1)];
    telemetry.take(values, clock.now(), &origin());
    clock.advance(Duration::from_secs(1));
    assert_eq!(earlier(&mut telemetry), ["psu/a 41 @105", "psu/b 61 @105"]);
}

#[test]
fn a_property_is_found_by_its_address_or_by_its_sensor_and_by_nothing_else() {
    let (mut telemetry, _) = telemetry(&[("/total", 110.0)], 100);
    for (property, found) in [
        ("/total#/PowerWatts/Reading", true),
        ("/TOTAL/#PowerWatts/Reading", true),
        ("https://bmc/total#/PowerWatts/Reading", true),
        ("/Sensors/total#/Reading", true),
        ("/Sensors/total", true),
        ("/Sensors/total#/Status/State", false),
        ("/total", false),
        ("/total#/PowerWatts", false),
        ("/total#/PowerWatts/Reading/0", false),
        ("https://other/total#/PowerWatts/Reading", false),
        ("SystemInputPower", false),
        ("", false),
    ] {
        assert_eq!(!telemetry.leaves(property, &origin()).is_empty(), found, "{property}");
    }
}

#[test]
fn only_values_newer_than_the_last_poll_stand_in_for_a_resource() {
    let (mut telemetry, clock) = telemetry(&[("/total", 110.0)], 100);
    clock.advance(Duration::from_secs(10));
    let name = "/total#/PowerWatts/Reading";
    let fresh = telemetry.take(vec![value(name, 1.0, 50), value(name, 2.0, 55)], clock.now(), &origin());
    assert_eq!(fresh.values().copied().collect::<Vec<_>>(), [2.0]);
    telemetry.last_poll = clock.now();
    assert_eq!(earlier(&mut telemetry), ["input 1 @105"]);
    clock.advance(Duration::from_secs(10));
    // The report stands still.
    assert!(telemetry.take(vec![value(name, 2.0, 55)], clock.now(), &origin()).is_empty());
}

#[test]
fn what_waits_for_a_poll_has_a_limit() {
    let (mut telemetry, clock) = telemetry(&[("/total", 110.0)], 100_000);
    for second in 0..10_000 {
        telemetry.take(vec![value("/total#/PowerWatts/Reading", 1.0, second)], clock.now(), &origin());
    }
    assert_eq!(telemetry.pending.len(), MAX_MOMENTS);
    for name in 0..10_000 {
        telemetry.leaves(&format!("/x/{name}"), &origin());
    }
    assert_eq!(telemetry.names.len(), MAX_NAMES);
}

#[test]
fn a_resource_with_windows_of_its_own_is_not_replaced() {
    let mut docs = docs(&[("/total", 1.0)]);
    let all = |map: &Map| {
        map.covered_by(&map.leaves_of("/total#/PowerWatts/Reading", &origin()).into_iter().collect())
    };
    assert_eq!(all(&Map::of(&docs, &origin(), &read)).len(), 1);
    docs.insert(
        &path("/total"),
        json!({ "PowerWatts": { "Reading": 1 }, "PowerControl": [{ "PowerMetrics": { "AverageConsumedWatts": 7 } }] }),
    );
    assert!(all(&Map::of(&docs, &origin(), &read)).is_empty());
}
