//! Any reader program that prints lines.

use super::{Driver, Kind};
use crate::model::{ErrorKind, PollError};

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "command", about: "Any reader program that prints lines" };

/// All that the driver needs to know of one meter.
#[derive(Debug, Clone)]
pub struct Settings {}

/// Builds the driver; opens nothing yet.
///
/// # Errors
/// If the settings cannot work.
pub fn open(_settings: Settings, _clock: std::sync::Arc<dyn crate::model::Clock>) -> Result<Box<dyn Driver>, PollError> {
    Err(PollError::new(ErrorKind::NoReading, "not built", "wait"))
}
