//! A meter's `sysfs` section, checked.

/// This machine's own sensors: RAPL, hwmon, ACPI, batteries.
#[derive(Debug, Clone)]
pub struct Sysfs {}
