//! Energy meters over Modbus TCP and RTU.

mod profile;

pub use profile::Profile;

use super::{Driver, Kind};
use crate::model::{ErrorKind, PollError};

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "modbus", about: "Energy meters over Modbus TCP and RTU" };

/// Files of the profiles in the binary, with their texts.
pub const BUILT_IN: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/modbus.rs"));

/// All that the driver needs to know of one meter.
#[derive(Debug, Clone)]
pub struct Settings {}

/// Builds the driver; opens nothing yet.
///
/// # Errors
/// If the settings cannot work.
pub fn open(_settings: Settings) -> Result<Box<dyn Driver>, PollError> {
    Err(PollError::new(ErrorKind::NoReading, "not built", "wait"))
}
