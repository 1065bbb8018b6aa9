//! Keys of `serial` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Wattmeters and electricity meters on a serial port.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Serial {}
