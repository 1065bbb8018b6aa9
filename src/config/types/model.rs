//! How a host's energy is divided, checked.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ChannelRef;
use crate::model::{PciAddress, Ratio};

/// How energy is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// Idle power by reservation, the rest by CPU time.
    IdleDynamic,
    /// All of it by CPU time.
    CpuProportional,
    /// Processor and memory by their own meters' ratio, a tenth in equal parts.
    RaplWeighted,
    /// By vCPUs times the power factor at their utilisation.
    PowerFactorVcores,
    /// All of it by what is reserved.
    Reservation,
    /// Idle power in equal parts, the rest by CPU time.
    EqualIdle,
}

/// With whose energy a host's is pooled before it is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// With nobody's.
    #[default]
    Host,
    /// With that of its cluster's hosts.
    Cluster,
}

/// What a second of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// A second of a logical CPU.
    #[default]
    CpuTime,
    /// Cycles, where every workload's are counted.
    Cycles,
}

/// How a host's energy is divided.
#[derive(Debug, Clone, PartialEq)]
pub struct Division {
    /// The model; none for the data centre's.
    pub model: Option<Model>,
    /// With whose energy its own is pooled; none for what the data centre says.
    pub pool: Option<Pool>,
    /// Processor packages by their own meters; empty where there are none.
    pub packages: Vec<ChannelRef>,
    /// Memory by its own meters; empty where there are none.
    pub memory: Vec<ChannelRef>,
    /// GPUs by their own meters.
    pub gpus: Vec<(ChannelRef, PciAddress)>,
    /// What a second of work is.
    pub weighting: Weighting,
    /// What a hardware thread does while all siblings are busy, of what it does alone.
    pub smt_factor: Ratio,
}

impl Default for Division {
    fn default() -> Self {
        Self {
            model: None,
            pool: None,
            packages: Vec::new(),
            memory: Vec::new(),
            gpus: Vec::new(),
            weighting: Weighting::default(),
            smt_factor: Ratio::ONE,
        }
    }
}
