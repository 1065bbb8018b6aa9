//! Keys of `sysfs` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// This machine's own sensors: RAPL, hwmon, ACPI, batteries.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Sysfs {}
