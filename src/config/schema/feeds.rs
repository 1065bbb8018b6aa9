//! Keys of `feeds` in a host.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::bounds::host_power;
use crate::config::field::Field;
use crate::config::leaf::{Channel, Power, PowerFactor};

/// One way to know what a host draws: a channel, channels that add up, or what is assumed where nobody measures.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(rename = "$kind", rename_all = "lowercase")]
#[schemars(rename = "Feed", untagged)]
#[garde(allow_unvalidated)]
pub(in crate::config) enum Feed {
    /// `METER/CHANNEL`.
    Text(Channel),
    /// Channels that add up, such as the outlets of two power supplies.
    List(Vec<Field<Channel>>),
    /// A power model.
    Map(#[garde(dive)] Modelled),
}

/// What is assumed where nothing is measured, by exactly one of `rated`, `curve` and `per_vcpu`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["rated"]}, {"required": ["curve"]}, {"required": ["per_vcpu"]}]))]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Modelled {
    /// The nameplate: rated power, such as `500 W`.
    #[garde(custom(host_power))]
    pub(in crate::config) rated: Field<Power>,
    /// Which share of `rated` is assumed to be drawn: above 0 up to 1, or `by_utilisation` (default), the factor of the band
    /// that the utilisation of its CPUs is in.
    pub(in crate::config) power_factor: Field<PowerFactor>,
    /// Power by utilisation: a straight line, or eleven points as SPECpower publishes them.
    #[garde(dive)]
    pub(in crate::config) curve: Field<Curve>,
    /// Power of each virtual CPU by utilisation.
    #[garde(dive)]
    pub(in crate::config) per_vcpu: Field<PerVcpu>,
}

/// Power by utilisation.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(rename = "$kind", rename_all = "lowercase")]
#[schemars(rename = "Curve", untagged)]
#[garde(allow_unvalidated)]
pub(in crate::config) enum Curve {
    /// At active idle and at 10 %, 20 % ... 100 % of the load: eleven powers.
    List(#[schemars(length(min = 11, max = 11))] Vec<Field<Power>>),
    /// A straight line.
    Map(#[garde(dive)] Line),
}

/// A straight line from no load to full load.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Line {
    /// Power at no load, such as `60 W`.
    #[schemars(required)]
    #[garde(custom(host_power))]
    pub(in crate::config) idle: Field<Power>,
    /// Power at full load, such as `300 W`; at least `idle`.
    #[schemars(required)]
    #[garde(custom(host_power))]
    pub(in crate::config) max: Field<Power>,
}

/// Power of each virtual CPU.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct PerVcpu {
    /// Power at no load, such as `0.74 W`.
    #[schemars(required)]
    #[garde(custom(host_power))]
    pub(in crate::config) min: Field<Power>,
    /// Power at full load, such as `3.5 W`; at least `min`.
    #[schemars(required)]
    #[garde(custom(host_power))]
    pub(in crate::config) max: Field<Power>,
    /// How many virtual CPUs there are. Default: as many as `hypervisor` says.
    #[garde(range(min = 1, max = 4096))]
    pub(in crate::config) vcpus: Field<u32>,
}
