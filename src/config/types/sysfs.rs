//! A meter's `sysfs` section, checked.

use std::path::PathBuf;

/// This machine's own sensors: RAPL, hwmon, ACPI, batteries.
#[derive(Debug, Clone)]
pub struct Sysfs {
    /// Where the kernel's sysfs stands.
    pub root: PathBuf,
}
