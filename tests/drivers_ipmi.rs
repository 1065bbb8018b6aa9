//! The IPMI driver against BMCs that it did not write: OpenIPMI's ipmi_sim and pyghmi, with the readings of ipmitool and
//! FreeIPMI at the same moment; and through a network that misbehaves datagram by datagram.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "ipmi/faults.rs"]
mod faults;
#[path = "ipmi/hours.rs"]
mod hours;
#[path = "ipmi/inband.rs"]
mod inband;
#[path = "ipmi/legacy.rs"]
mod legacy;
#[path = "ipmi/network.rs"]
mod network;
#[path = "ipmi/peers.rs"]
mod peers;
#[path = "ipmi/privilege.rs"]
mod privilege;
#[path = "ipmi/readings.rs"]
mod readings;
#[path = "ipmi/real.rs"]
mod real;
#[path = "ipmi/sessions.rs"]
mod sessions;
#[path = "ipmi/virtual/mod.rs"]
mod virtual_bmcs;

use wattribute::model::{Batch, Quality, Quantity};

/// The value of one channel's quantity, in base units. It must be measured, and stand there once.
fn value(batch: &Batch, channel: &str, quantity: Quantity) -> Option<f64> {
    let mut hits =
        batch.readings.iter().filter(|r| r.channel.as_str() == channel && r.measure.quantity() == quantity);
    let hit = hits.next()?;
    assert!(hits.next().is_none(), "{channel} {} stands twice", quantity.name());
    assert_eq!(hit.quality, Quality::Measured);
    Some(hit.measure.value())
}

/// Every `channel quantity value`, in order.
fn lines(batch: &Batch) -> Vec<String> {
    let line = |r: &wattribute::model::Reading| {
        format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value())
    };
    batch.readings.iter().map(line).collect()
}
