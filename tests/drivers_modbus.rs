//! The Modbus driver against meters that it did not write: servers of pymodbus over TCP, over RTU in TCP and over a serial line,
//! with a register map for every profile, read by mbpoll too; and meters of the test's own that answer late, wrongly or not at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "modbus/fake.rs"]
mod fake;
#[path = "modbus/faults.rs"]
mod faults;
#[path = "modbus/late.rs"]
mod late;
#[path = "modbus/lines.rs"]
mod lines;
#[path = "modbus/maps.rs"]
mod maps;
#[path = "modbus/peers.rs"]
mod peers;

use std::sync::Arc;
use std::time::Duration;

use wattribute::drivers::modbus::{self, Address, Settings, Shared};
use wattribute::drivers::{Driver, Profiles};
use wattribute::model::{Batch, Quantity, SystemClock};

/// A meter at `address`, with the terms that the configuration gives unless it is told otherwise.
fn settings(address: Address, profile: &str) -> Settings {
    Settings {
        address,
        unit: 1,
        profile: profile.to_owned(),
        request_timeout: Duration::from_secs(1),
        retries: 2,
        poll_timeout: Duration::from_secs(5),
        pause: Duration::ZERO,
        invert: false,
        ratio: 1.0,
    }
}

/// What meters share, with the built-in profiles and `own` ones.
fn shared(own: &[&str]) -> Shared {
    let mut profiles = Profiles::built_in();
    for (number, text) in own.iter().enumerate() {
        profiles.add(&format!("own-{number}.yaml"), text).unwrap();
    }
    Shared::new(profiles.modbus, Arc::new(SystemClock::new()))
}

fn open(settings: &Settings, shared: &Shared) -> Box<dyn Driver> {
    modbus::open(settings, shared).unwrap()
}

/// The value of one channel's quantity, in base units.
fn value(batch: &Batch, channel: &str, quantity: Quantity) -> Option<f64> {
    let mut hits =
        batch.readings.iter().filter(|r| r.channel.as_str() == channel && r.measure.quantity() == quantity);
    let hit = hits.next()?;
    assert!(hits.next().is_none(), "{channel} {} stands twice", quantity.name());
    Some(hit.measure.value())
}
