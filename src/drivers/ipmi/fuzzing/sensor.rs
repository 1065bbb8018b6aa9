//! Sensor conversion: every format, factor, exponent and linearisation over every raw byte. A number is finite or none,
//! and it is the number of the specification's formula; what a unit makes of it is finite too.

use super::is_tame;
use crate::drivers::ipmi::commands::record::Sensor;
use crate::drivers::ipmi::commands::sensor::{self, Format, Linear, Scanning};
use crate::drivers::ipmi::commands::{app, dcmi, dell, node_manager, repository};
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::Reply;

/// One run: `input` is what a BMC replies, a record's body, and the factors of a sensor.
pub fn sensor(input: &[u8]) {
    replies(input);
    if let Some(sensor) = Sensor::parse(input) {
        check(&sensor, None);
    }
    let mut script = Bytes(input);
    let Some([units, base, linear, m, m_high, b, b_high, exponents]) = script.array() else { return };
    let mut body = vec![0x20, 0, 9, 7, 1, 0x7f, 0x68, 0x0b, 1, 0, 0, 0, 0, 0, 0];
    // Without what makes it no plain number, so that nearly every input converts something.
    body.extend([units & 0xc0, base, 0, linear & 0x0f, m, m_high, b, b_high, 0, exponents]);
    body.extend([0; 17]);
    body.extend(script.rest());
    if let Some(sensor) = Sensor::parse(&body) {
        check(&sensor, Some(&body));
    }
}

/// The data of a reply, whatever was asked.
fn replies(data: &[u8]) {
    let (code, data) = data.split_first().map_or((0, data), |(code, data)| (*code, data));
    let reply = Reply { net_fn: 5, seq: 0, command: 0, code, data: data.to_vec() };
    let _ = (app::is_on(&reply), repository::Info::parse(&reply));
    if let Ok(id) = app::DeviceId::parse(&reply) {
        assert!(is_tame(&id.firmware, 16));
    }
    let _ = (dcmi::periods(&reply), dcmi::controller(&reply), dell::power(&reply));
    let _ = node_manager::power(&reply, node_manager::Domain::Platform);
    if let Ok(counter) = dell::energy(&reply) {
        assert!(counter.total.get().is_finite());
    }
    for (_, celsius) in dcmi::temperatures(&reply).unwrap_or_default() {
        assert!(celsius.get().is_finite());
    }
    let power = dcmi::PowerReading::parse(&reply);
    let raw = sensor::reading(&reply, Scanning::Believed);
    let _ = sensor::reading(&reply, Scanning::Ignored);
    assert!(code == 0 || power.is_err() && raw.is_err(), "a value of a command that failed");
}

fn check(sensor: &Sensor, body: Option<&[u8]>) {
    assert!(is_tame(&sensor.name, 32), "{:?}", sensor.name);
    for raw in 0..=255 {
        let value = sensor.factors.value(raw);
        if let Some(measure) = value.and_then(|value| sensor.unit.measure(value).ok()) {
            assert!(measure.value().is_finite());
        }
        match (value, body) {
            (Some(value), None) => assert!(value.is_finite()),
            (value, Some(body)) => agrees(value, raw, sensor, body),
            (None, None) => {}
        }
    }
}

/// Computed once more, from the record's bytes as section 36.3 has them.
fn agrees(value: Option<f64>, raw: u8, sensor: &Sensor, body: &[u8]) {
    let ten_bits = |low: u8, high: u8| {
        let number = f64::from(u16::from(high & 0xc0) << 2 | u16::from(low));
        if number >= 512.0 { number - 1024.0 } else { number }
    };
    let four_bits = |nibble: u8| i32::from(nibble) - if nibble >= 8 { 16 } else { 0 };
    let (m, b) = (ten_bits(body[19], body[20]), ten_bits(body[21], body[22]));
    let (k2, k1) = (four_bits(body[24] >> 4), four_bits(body[24] & 15));
    let x = match sensor.factors.format {
        Format::Unsigned => f64::from(raw),
        Format::OnesComplement if raw >= 128 => f64::from(raw) - 255.0,
        Format::TwosComplement if raw >= 128 => f64::from(raw) - 256.0,
        Format::OnesComplement | Format::TwosComplement => f64::from(raw),
    };
    let (slope, offset) = (m * x, b * 10f64.powi(k1));
    let scale = 10f64.powi(k2);
    if sensor.factors.linear == Linear::Linear {
        let value = value.expect("a plain number is always there");
        let room = (slope.abs() + offset.abs()) * scale * 1e-12;
        assert!((value - (slope + offset) * scale).abs() <= room, "{value} for {raw} by {sensor:?}");
    }
}
