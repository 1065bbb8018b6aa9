//! The Redfish driver against a real HTTPS server (nginx) with trees that it was not written for, and against a BMC
//! that misbehaves in every way we could think of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]
#![allow(missing_docs)]

#[path = "redfish/beside.rs"]
mod beside;
#[path = "redfish/bmc.rs"]
mod bmc;
#[path = "redfish/equipment.rs"]
mod equipment;
#[path = "redfish/faults.rs"]
mod faults;
#[path = "redfish/inventory.rs"]
mod inventory;
#[path = "redfish/makers.rs"]
mod makers;
#[path = "redfish/nginx.rs"]
mod nginx;
#[path = "redfish/telemetry.rs"]
mod telemetry;
#[path = "redfish/trees.rs"]
mod trees;

use std::time::Duration;

use secrecy::SecretString;
use wattribute::drivers::redfish::{Login, Settings, Trust};
use wattribute::model::{Batch, Measure};

/// Settings for a BMC at `url` that takes the test's user.
fn settings(url: &str, trust: Trust, login: Login) -> Settings {
    Settings {
        url: url.to_owned(),
        credentials: Some((nginx::USER.to_owned(), SecretString::from(nginx::PASSWORD))),
        login,
        trust,
        request_timeout: Duration::from_secs(10),
        telemetry: false,
        stream: false,
    }
}

/// Every reading as `channel quantity value`, in the batch's order.
fn lines(batch: &Batch) -> Vec<String> {
    let line = |r: &wattribute::model::Reading| {
        format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value())
    };
    batch.readings.iter().map(line).collect()
}

/// The watts of `input`.
fn input(batch: &Batch) -> Option<f64> {
    batch.readings.iter().find_map(|r| match (r.channel.as_str(), &r.measure) {
        ("input", Measure::Power(watts)) => Some(watts.get()),
        _other => None,
    })
}
