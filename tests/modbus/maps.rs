//! Every profile against a register map written from its maker's table, with the readings it must give, worked out beside them.

use std::collections::BTreeMap;

use wattribute::drivers::Profiles;
use wattribute::drivers::modbus::{BUILT_IN, trace};
use wattribute::model::{Batch, ErrorKind, Measure, SystemClock};

use super::peers::{Way, folder, mbpoll, serve};
use super::{open, settings, shared};

/// What a map says must be read: `CHANNEL QUANTITY` with its value, and `identity FIELD` with its text.
struct Expected {
    values: BTreeMap<String, f64>,
    identity: Vec<(String, String)>,
}

fn expected(name: &str) -> Expected {
    let path = folder().join("maps").join(name).with_extension("map");
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{} needs a map: {e}", path.display()));
    let mut expected = Expected { values: BTreeMap::new(), identity: Vec::new() };
    for line in text.lines().filter_map(|line| line.strip_prefix("-> ")) {
        let line = line.split('#').next().unwrap().trim();
        let mut parts = line.splitn(3, ' ');
        let [first, second, rest] =
            [(); 3].map(|()| parts.next().unwrap_or_else(|| panic!("{name}: {line}")));
        if first == "identity" {
            expected.identity.push((second.to_owned(), rest.to_owned()));
        } else {
            expected.values.insert(format!("{first} {second}"), rest.trim().parse().unwrap());
        }
    }
    expected
}

fn compare(name: &str, batch: &Batch) {
    let expected = expected(name);
    let read: BTreeMap<String, f64> = batch
        .readings
        .iter()
        .map(|r| (format!("{} {}", r.channel, r.measure.quantity().name()), r.measure.value()))
        .collect();
    let keys = |of: &BTreeMap<String, f64>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&read), keys(&expected.values), "{name}");
    for (key, value) in &expected.values {
        // A float of 32 bits has seven digits.
        let close = (read[key] - value).abs() <= value.abs() * 1e-7;
        assert!(close, "{name}, {key}: {} in place of {value}", read[key]);
    }
    let identity = batch.identity.as_ref().unwrap();
    assert_eq!(identity.profile, name);
    for (field, text) in expected.identity {
        let said = match field.as_str() {
            "vendor" => &identity.vendor,
            "model" => &identity.model,
            "serial" => &identity.serial,
            "firmware" => &identity.firmware,
            other => panic!("{other}"),
        };
        assert_eq!(*said, text, "{name}, {field}");
    }
}

#[tokio::test]
async fn every_profile_reads_its_makers_table() {
    for (file, _) in BUILT_IN {
        let name = file.trim_end_matches(".yaml");
        let peer = serve(Way::Tcp, &[(1, name)]);
        let mut meter = open(&settings(peer.address.clone(), name), &shared(&[]));
        compare(name, &meter.poll().await.unwrap_or_else(|e| panic!("{name}: {e}")));
        // What the meter does not have is not asked for again, and the rest is as before.
        let again = meter.poll().await.unwrap();
        assert_eq!(again.readings.len(), expected(name).values.len(), "{name}");
        assert_eq!(again.identity, None, "{name}");
    }
}

#[tokio::test]
async fn a_serial_line_and_rtu_over_tcp_give_the_same_values() {
    for way in [Way::Rtu, Way::RtuOverTcp] {
        let peer = serve(way, &[(1, "eastron-sdm630")]);
        let mut meter = open(&settings(peer.address.clone(), "eastron-sdm630"), &shared(&[]));
        for _ in 0..3 {
            let batch = meter.poll().await.unwrap();
            assert_eq!(batch.readings.len(), expected("eastron-sdm630").values.len());
        }
        drop(meter);
        compare_after_close(&peer.address).await;
    }
}

/// The port is free again as soon as its last meter is gone.
async fn compare_after_close(address: &wattribute::drivers::modbus::Address) {
    let shared = shared(&[]);
    let mut meter = open(&settings(address.clone(), "eastron-sdm630"), &shared);
    // The meter before may not have let go yet on a slow machine.
    let begun = std::time::Instant::now();
    loop {
        match meter.poll().await {
            Ok(batch) => return compare("eastron-sdm630", &batch),
            Err(error) if begun.elapsed().as_secs() < 10 => {
                assert_eq!(error.kind, ErrorKind::Busy, "{error}")
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn mbpoll_reads_the_same_numbers() {
    let peer = serve(Way::Tcp, &[(1, "eastron-sdm630")]);
    assert_eq!(mbpoll(peer.port, "3:float", 52, 1, true), [853.25]);
    assert_eq!(mbpoll(peer.port, "3:float", 0, 3, true), [230.5, 231.125, 229.875]);
    assert_eq!(mbpoll(peer.port, "3:float", 0x48, 1, true), [12345.5]);
    let peer = serve(Way::Tcp, &[(1, "carlo-gavazzi-em300")]);
    // 32 bits, low word first; scales are ours: tenths of W and of kWh.
    assert_eq!(mbpoll(peer.port, "3:int", 0x28, 1, false), [8657.0]);
    assert_eq!(mbpoll(peer.port, "3:int", 0x34, 1, false), [123_456.0]);
    let peer = serve(Way::Tcp, &[(1, "janitza-umg")]);
    assert_eq!(mbpoll(peer.port, "4:float", 19026, 1, true), [865.75]);
    let peer = serve(Way::Tcp, &[(1, "abb-b-series")]);
    assert_eq!(mbpoll(peer.port, "4:int", 0x5B14, 3, true), [86575.0, 34575.0, 52000.0]);
    let peer = serve(Way::Tcp, &[(1, "socomec-diris-a")]);
    assert_eq!(mbpoll(peer.port, "4:int", 50536, 1, true), [1234.0]);
    let peer = serve(Way::Tcp, &[(1, "schneider-iem3000")]);
    assert_eq!(mbpoll(peer.port, "4:float", 3059, 1, true), [0.84375]);
}

#[tokio::test]
async fn a_meter_that_is_turned_round_counts_what_it_delivers() {
    let peer = serve(Way::Tcp, &[(1, "eastron-sdm630")]);
    let mut turned = settings(peer.address.clone(), "eastron-sdm630");
    (turned.invert, turned.ratio) = (true, 20.0);
    let batch = open(&turned, &shared(&[])).poll().await.unwrap();
    let find = |key: &str| {
        let hit =
            batch.readings.iter().find(|r| format!("{} {}", r.channel, r.measure.quantity().name()) == key);
        hit.map(|r| r.measure)
    };
    // Phase 3 has -12.5 W: 12.5 W drawn, 20 times. The other phases deliver now.
    assert_eq!(find("phase/L3 power").unwrap().value(), 250.0);
    // 853.25 W x 20 the other way.
    assert_eq!(find("input power").unwrap().value(), 0.0);
    assert_eq!(find("export power").unwrap().value(), 17065.0);
    // 3.5 kWh in the counter of the other direction, 20 times; a float of 3.5 and a step of 0.01 kWh.
    let Some(Measure::Energy(energy)) = find("input energy") else { panic!("no energy") };
    assert_eq!((energy.total.get(), energy.quantum.get()), (70.0 * 3.6e6, 0.2 * 3.6e6));
    // 4000.25 kWh x 20 in phase 1's counter of what was drawn.
    assert_eq!(find("export/L1 energy").unwrap().value(), 80005.0 * 3.6e6);
    assert_eq!(find("phase/L1 voltage").unwrap().value(), 230.5);
}

#[tokio::test]
async fn a_trace_shows_registers_and_why_a_value_is_none() {
    let peer = serve(Way::Tcp, &[(1, "eastron-sdm630")]);
    let profile = std::sync::Arc::clone(Profiles::built_in().modbus.named("eastron-sdm630").unwrap());
    let clock = std::sync::Arc::new(SystemClock::new());
    let trace = trace(&settings(peer.address.clone(), "eastron-sdm630"), profile, clock).await.unwrap();
    let power = trace.readings.iter().find(|t| t.source == "input 52").unwrap();
    assert_eq!((power.reading.measure.value(), power.raw.as_str()), (853.25, "4455 5000 = 853.25"));
    assert_eq!(
        trace.dropped,
        ["energy of phase/L3: register input 350 (f32) has 7FC0 0000 = NaN, which means no value",]
    );
    assert_eq!(trace.identity.unwrap().vendor, "Eastron");
}

#[tokio::test]
async fn the_channels_of_a_meter_of_a_class_say_how_far_off_they_may_be() {
    let peer = serve(Way::Tcp, &[(1, "eastron-sdm120")]);
    let batch = open(&settings(peer.address.clone(), "eastron-sdm120"), &shared(&[])).poll().await.unwrap();
    let infos: Vec<_> =
        batch.channels.iter().map(|info| (info.channel.as_str(), info.accuracy.unwrap())).collect();
    let infos: Vec<_> = infos.iter().map(|(channel, of)| (*channel, of.share.get(), of.step.get())).collect();
    assert_eq!(infos, [("input", 0.01, 0.0), ("export", 0.01, 0.0)]);
}
