//! Drivers: each turns one kind of device into [`Batch`]es.
//!
//! A driver is a folder of its own with a pure `parse` (bytes to typed values), a transport, and nothing else. It knows
//! neither the configuration file nor the store: `app::plan` hands it `Settings`, the poller calls it under a
//! deadline. How to add one: `docs/adding-a-driver.md`.

use crate::model::{Batch, BoxFuture, ChannelInfo, Identity, PollError, Reading};

pub mod channels;
pub mod command;
pub mod http;
pub mod ipmi;
pub mod modbus;
pub mod profiles;
pub mod prometheus;
pub mod redfish;
pub mod serial;
pub mod snmp;
pub mod sysfs;

pub use profiles::Profiles;

/// A reading with where its number stood and what it was: for people who write profiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    /// The reading.
    pub reading: Reading,
    /// Where its numbers stood: object identifiers, registers, paths; several that add up, joined by ` + `.
    pub source: String,
    /// What stood there, as the device wrote it; in the order of `source`.
    pub raw: String,
}

/// One poll with the origin of every reading.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// The readings.
    pub readings: Vec<Traced>,
    /// Who the device says it is.
    pub identity: Option<Identity>,
    /// What is to say of its channels.
    pub channels: Vec<ChannelInfo>,
    /// What gave no reading, and why: one line each, as far as the driver can tell.
    pub dropped: Vec<String>,
}

/// A live device. One task owns it; it is polled by nobody else.
pub trait Driver: Send {
    /// Reads the device once. The caller may drop the future at any await (deadline, shutdown): the next call must
    /// be right all the same, so a late or foreign reply must never become a reading of a later poll.
    ///
    /// # Errors
    /// Closed kinds, see [`crate::model::ErrorKind`]; a device that answers without any value is `NoReading`.
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>>;

    /// Gives back what the device holds for us (a session), within the caller's deadline. Called once, at the end.
    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A kind of driver, as listed in [`REGISTRY`].
#[derive(Debug)]
pub struct Kind {
    /// Value of the `driver` label and key in the configuration.
    pub name: &'static str,
    /// One line for `--help` and the docs.
    pub about: &'static str,
}

/// Every driver there is: one line each.
pub const REGISTRY: &[Kind] = &[
    command::KIND,
    http::KIND,
    ipmi::KIND,
    modbus::KIND,
    prometheus::KIND,
    redfish::KIND,
    serial::KIND,
    snmp::KIND,
    sysfs::KIND,
];
