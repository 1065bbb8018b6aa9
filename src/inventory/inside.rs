//! What is known of a machine's inside: meters of its parts, and how its CPU time is weighed.

use crate::model::{ChannelId, MeterId, PciAddress, Ratio};

/// Meters of a machine's parts. What they show is within what the machine draws.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// Processor packages by RAPL; they add up. Empty where there are none.
    pub packages: Vec<(MeterId, ChannelId)>,
    /// Memory by RAPL; it adds up. Empty where there is none.
    pub memory: Vec<(MeterId, ChannelId)>,
    /// GPUs with meters of their own.
    pub gpus: Vec<Gpu>,
}

/// A GPU that is metered by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Its meter.
    pub channel: (MeterId, ChannelId),
    /// Where it sits: the workload that has this device pays for it.
    pub pci: PciAddress,
}

/// What a second of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Weighting {
    /// A second of a logical CPU.
    #[default]
    CpuTime,
    /// As many cycles as CPUs ran in a second of it, where every workload's are counted.
    Cycles,
}

/// How CPU time is weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// By time or by cycles.
    pub weighting: Weighting,
    /// What a hardware thread does while all siblings are busy, of what it does alone: 0.5 to 1.
    pub smt_factor: Ratio,
}

impl Default for Work {
    /// A second of a logical CPU is a second, whoever shares its core.
    fn default() -> Self {
        Self { weighting: Weighting::default(), smt_factor: Ratio::ONE }
    }
}
