//! Keys of `sysfs` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::field::Field;
use crate::config::leaf::FilePath;

/// This machine's own sensors: RAPL, hwmon, ACPI, batteries.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Sysfs {
    /// Where the kernel's sysfs stands, in containers that see the host's elsewhere. Default `/sys`.
    pub(in crate::config) root: Field<FilePath>,
}
