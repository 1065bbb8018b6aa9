//! Power models: what a machine is taken to draw where nobody measures it. Data only; the formulas stand in
//! `attribution::estimate`.

use super::units::Watts;

/// Points of a curve: active idle, then 10 %, 20 % ... 100 % of the load.
pub const CURVE_POINTS: usize = 11;

/// What a machine draws by the utilisation of its CPUs.
#[derive(Debug, Clone, PartialEq)]
pub enum PowerModel {
    /// Rated power times the power factor of the band that utilisation is in.
    Banded(Watts),
    /// A straight line.
    Linear {
        /// At no load.
        idle: Watts,
        /// At full load.
        max: Watts,
    },
    /// Straight lines between eleven points, as SPECpower publishes them; they never fall.
    Curve(Box<[Watts; CURVE_POINTS]>),
    /// A straight line for each virtual CPU.
    PerVcpu {
        /// At no load.
        min: Watts,
        /// At full load.
        max: Watts,
        /// How many there are; none for as many as the node says it has.
        vcpus: Option<u32>,
    },
}
