//! The sensor repository: walked over a BMC that answers truly, wrongly or not at all, with records of any kind. The walk
//! ends; what it keeps is bounded, and what is made of it are channels that differ.

use std::collections::BTreeSet;

use super::{Scripted, chunk, is_tame, number};
use crate::drivers::ipmi::commands::record::FULL;
use crate::drivers::ipmi::points::{Discrete, points};
use crate::drivers::ipmi::repository::Repository;
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::Request;

/// More than this of requests is a walk without end: every record has at most 255 bytes, each asked for at most once,
/// and a script cannot make more records than it has bytes.
const MOST_ASKED: usize = 100_000;

/// Runs one script.
pub fn sdr(input: &[u8]) {
    let mut script = Bytes(input);
    let count = number(&mut script) % 9;
    let records: Vec<Vec<u8>> = (0..count).map(|_| record(&mut script)).collect();
    let mut bmc = Scripted { script, honest: move |request: &Request| honest(&records, request), asked: 0 };
    let mut repository = Repository::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut silences = 0;
        for _ in 0..2 {
            silences += usize::from(repository.check(&mut bmc).await.is_err());
            while repository.is_learning() && silences < 8 {
                silences += usize::from(repository.step(&mut bmc).await.is_err());
                assert!(bmc.asked < MOST_ASKED, "a walk without end");
            }
        }
    });
    let sensors = repository.sensors();
    assert!(sensors.len() <= 256);
    for sensor in sensors {
        assert!(is_tame(&sensor.name, 32), "{:?}", sensor.name);
        for raw in [0, 1, 127, 128, 255] {
            assert!(sensor.factors.value(raw).is_none_or(f64::is_finite));
        }
    }
    let points = points(sensors, Discrete::Read);
    assert!(points.len() <= 64);
    assert!(points.iter().filter(|point| point.total).count() <= 1, "two totals");
    let channels: BTreeSet<&str> = points.iter().map(|point| point.channel.as_str()).collect();
    assert_eq!(channels.len(), points.len(), "a channel twice: {points:?}");
}

/// A record: all of it from the script, or a full record with a name and few other bytes from it.
fn record(script: &mut Bytes<'_>) -> Vec<u8> {
    let form = number(script);
    let (kind, body) = match form & 3 {
        0 => (script.u8().unwrap_or(FULL), chunk(script).to_vec()),
        _ => {
            let [number, entity, units, base, linear, m, exponents]: [u8; 7] =
                script.array().unwrap_or_default();
            let mut body = vec![0x20, 0, number, entity, 1, 0x7f, 0x68, 0x0b, 1, 0, 0, 0, 0, 0, 0];
            body.extend([units, base, 0, linear, m, 0, 0, 0, 0, exponents]);
            body.extend([0; 17]);
            let name = chunk(script);
            body.push(0xc0 | u8::try_from(name.len() & 0x1f).unwrap_or(0));
            body.extend(name);
            (FULL, body)
        }
    };
    let lie = if form & 4 == 0 { 0 } else { script.u8().unwrap_or(0) };
    let len = u8::try_from(body.len()).unwrap_or(u8::MAX).wrapping_add(lie);
    [&[0, 0, 0x51, kind, len], body.as_slice()].concat()
}

fn honest(records: &[Vec<u8>], request: &Request) -> (u8, Vec<u8>) {
    match (request.command, request.data.as_slice()) {
        (0x20, _) => (0, vec![0x51, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0]),
        (0x22, _) => (0, vec![7, 0]),
        (0x23, [_, _, id, 0, offset, count]) => {
            let Some(record) = records.get(usize::from(*id)) else { return (0xcb, Vec::new()) };
            let next = if usize::from(*id) + 1 < records.len() { u16::from(*id) + 1 } else { 0xffff };
            let part = record.iter().skip((*offset).into()).take((*count).into());
            (0, next.to_le_bytes().iter().chain(part).copied().collect())
        }
        _ => (0xc1, Vec::new()),
    }
}
