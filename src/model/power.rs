//! Power models: what a machine is taken to draw where nobody measures it. Data only; the formulas stand in
//! `attribution::estimate`.

use std::fmt;

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

impl fmt::Display for PowerModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Banded(rated) => write!(f, "rated, {rated} times the power factor at its utilisation"),
            Self::Linear { idle, max } => write!(f, "estimated, {idle} without load to {max} at full load"),
            Self::Curve(points) => {
                let points: Vec<_> = points.iter().map(|watts| watts.get().to_string()).collect();
                write!(f, "estimated, by a curve of {} W", points.join(", "))
            }
            Self::PerVcpu { min, max, vcpus } => {
                write!(f, "estimated, {min} to {max} for each of ")?;
                match vcpus {
                    Some(count) => write!(f, "{count} vCPUs"),
                    None => write!(f, "its vCPUs"),
                }
            }
        }
    }
}
