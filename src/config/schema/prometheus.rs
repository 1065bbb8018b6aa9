//! Keys of `prometheus` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Series of a Prometheus server or of another exporter.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Prometheus {}
