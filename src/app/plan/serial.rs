//! `serial`: from configuration to settings.

use crate::config;
use crate::drivers::serial::Settings;

/// Settings of the driver, and its address for people.
pub(super) fn settings(_of: &config::Serial, _poll: &config::Poll) -> (Settings, String) {
    (Settings {}, String::new())
}
