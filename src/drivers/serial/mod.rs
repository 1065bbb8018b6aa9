//! Wattmeters and electricity meters on a serial port.

pub mod line;
#[expect(dead_code, reason = "used by what follows")]
pub(in crate::drivers) mod port;
mod trouble;

use super::{Driver, Kind};
use crate::model::{ErrorKind, PollError};

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "serial", about: "Wattmeters and electricity meters on a serial port" };

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
