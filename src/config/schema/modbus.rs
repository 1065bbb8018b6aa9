//! Keys of `modbus` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Energy meters over Modbus TCP and RTU.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Modbus {}
