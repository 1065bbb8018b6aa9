//! A meter's `http` section, checked.

/// JSON meters over HTTP: Shelly, Tasmota and similar.
#[derive(Debug, Clone)]
pub struct Http {}
