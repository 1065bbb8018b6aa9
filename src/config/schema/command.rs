//! Keys of `command` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Any reader program that prints lines.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Command {}
