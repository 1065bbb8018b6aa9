//! Keys of `http` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// JSON meters over HTTP: Shelly, Tasmota and similar.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Http {}
