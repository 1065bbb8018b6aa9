//! `sysfs`: from configuration to settings.

use crate::config;
use crate::drivers::sysfs::Settings;

/// Settings of the driver, and its address for people.
pub(super) fn settings(of: &config::Sysfs, _poll: &config::Poll) -> (Settings, String) {
    (Settings { root: of.root.clone() }, of.root.display().to_string())
}
