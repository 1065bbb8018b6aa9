//! `modbus`: from configuration to settings.

use crate::config;
use crate::drivers::modbus::Settings;

/// Settings of the driver, and its address for people.
pub(super) fn settings(_of: &config::Modbus, _poll: &config::Poll) -> (Settings, String) {
    (Settings {}, String::new())
}
