//! `command`: from configuration to settings.

use crate::config;
use crate::drivers::command::Settings;

/// Settings of the driver, and its address for people.
pub(super) fn settings(_of: &config::Command, _poll: &config::Poll) -> (Settings, String) {
    (Settings {}, String::new())
}
