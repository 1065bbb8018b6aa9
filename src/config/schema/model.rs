//! Keys of `hosts` that say how a host's energy is divided.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::bounds::some;
use crate::config::field::{Field, List};
use crate::config::leaf::{Channel, Pci};

/// Meters of a host's processors and memory: RAPL, read by `sysfs` or another exporter.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Rapl {
    /// The packages, which add up.
    #[schemars(required, length(min = 1))]
    #[garde(custom(some))]
    pub(in crate::config) packages: List<Channel>,
    /// The memory, where it is metered apart; it adds up.
    #[garde(custom(some))]
    pub(in crate::config) memory: List<Channel>,
}

/// A GPU that is metered by itself.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Gpu {
    /// Its channel, such as `bmc-1/gpu/1`.
    #[schemars(required)]
    pub(in crate::config) channel: Field<Channel>,
    /// Where it sits, such as `0000:3b:00.0`: the VM that has this device pays for it.
    #[schemars(required)]
    pub(in crate::config) pci: Field<Pci>,
}
