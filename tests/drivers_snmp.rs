//! The SNMP driver against agents that it did not write: snmpsim with recordings, net-snmp's snmpd, and an agent of
//! the test's own that misbehaves datagram by datagram.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "snmp/agent.rs"]
mod agent;
#[path = "snmp/devices.rs"]
mod devices;
#[path = "snmp/faults.rs"]
mod faults;
#[path = "snmp/format.rs"]
mod format;
#[path = "snmp/librenms.rs"]
mod librenms;
#[path = "snmp/net_snmp.rs"]
mod net_snmp;
#[path = "snmp/own.rs"]
mod own;
#[path = "snmp/peers.rs"]
mod peers;
#[path = "snmp/recorded.rs"]
mod recorded;

use wattribute::model::{Batch, Quality, Quantity};

/// The value of one channel's quantity, in base units.
fn value(batch: &Batch, channel: &str, quantity: Quantity) -> Option<f64> {
    reading(batch, channel, quantity).map(|(value, _)| value)
}

fn reading(batch: &Batch, channel: &str, quantity: Quantity) -> Option<(f64, Quality)> {
    let mut hits =
        batch.readings.iter().filter(|r| r.channel.as_str() == channel && r.measure.quantity() == quantity);
    let hit = hits.next()?;
    assert!(hits.next().is_none(), "{channel} {} stands twice", quantity.name());
    Some((hit.measure.value(), hit.quality))
}

/// Every `channel quantity value`, sorted, for whole-device claims.
fn lines(batch: &Batch, quantity: Quantity) -> Vec<String> {
    let of = batch.readings.iter().filter(|r| r.measure.quantity() == quantity);
    let mut lines: Vec<String> = of.map(|r| format!("{} {}", r.channel, r.measure.value())).collect();
    lines.sort();
    lines
}
