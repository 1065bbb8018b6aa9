//! The building around the servers: UPS, cooling, light, and what all of it takes from the grid. Power and energy come from
//! one formula each, so that one is always the integral of the other.

use std::f64::consts::TAU;
use std::ops::Add;

use super::{Side, World};

/// Draw of the UPS's own electronics, W; converting loses [`UPS_LOSS`] of what passes through on top.
const UPS_OWN_WATTS: f64 = 40.0;
/// Share of the passing power that the UPS loses.
const UPS_LOSS: f64 = 0.015;
/// Heat that a watt of the chillers carries away, W: their coefficient of performance.
const CHILLER_COP: f64 = 4.0;
/// Fans and pumps, which run whatever the load, W.
const FANS_WATTS: f64 = 80.0;
/// How far the chillers swing around what the heat needs, W, and how fast, seconds.
const CHILLER: (f64, f64) = (60.0, 150.0);
const LIGHTING_WATTS: f64 = 45.0;

/// A meter of the building.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// What comes from the grid: UPS, cooling and light.
    Utility,
    /// What the UPS takes: its output and its losses.
    UpsIn,
    /// What the UPS gives: both PDUs hang on it.
    UpsOut,
    /// Chillers, fans and pumps.
    Cooling,
    /// Light.
    Lighting,
}

impl Point {
    /// Those with an energy meter of their own, in the order of their numbers on the line; the grid's is another device.
    pub const METERED: [Self; 4] = [Self::UpsIn, Self::UpsOut, Self::Cooling, Self::Lighting];

    /// The point as the configuration and the metrics name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utility => "utility",
            Self::UpsIn => "ups_in",
            Self::UpsOut => "ups_out",
            Self::Cooling => "cooling",
            Self::Lighting => "lighting",
        }
    }

    /// The meter's name in the configuration.
    #[must_use]
    pub const fn meter(self) -> &'static str {
        match self {
            Self::Utility => "utility-meter",
            Self::UpsIn => "ups-in",
            Self::UpsOut => "ups-out",
            Self::Cooling => "cooling",
            Self::Lighting => "lighting",
        }
    }
}

/// What something draws at a second, and has drawn until then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// Power now, W.
    pub watts: f64,
    /// Energy since the start, J.
    pub joules: f64,
}

impl Draw {
    /// The same power all the time.
    fn steady(watts: f64, t: f64) -> Self {
        Self { watts, joules: watts * t }
    }

    /// A sine from 0 at the start.
    fn swing((amplitude, period): (f64, f64), t: f64) -> Self {
        let turn = TAU / period;
        Self { watts: amplitude * (turn * t).sin(), joules: amplitude / turn * (1.0 - (turn * t).cos()) }
    }

    fn times(self, factor: f64) -> Self {
        Self { watts: self.watts * factor, joules: self.joules * factor }
    }
}

impl Add for Draw {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { watts: self.watts + other.watts, joules: self.joules + other.joules }
    }
}

impl World {
    /// What passes a meter of the building at `t` seconds.
    #[must_use]
    pub fn building(&self, point: Point, t: f64) -> Draw {
        let pdu = |side| Draw { watts: self.pdu_watts(side, t), joules: self.pdu_joules(side, t) };
        match point {
            Point::Utility => [Point::UpsIn, Point::Cooling, Point::Lighting]
                .into_iter()
                .fold(Draw::steady(0.0, t), |sum, part| sum + self.building(part, t)),
            Point::UpsOut => pdu(Side::A) + pdu(Side::B),
            Point::UpsIn => {
                self.building(Point::UpsOut, t).times(1.0 + UPS_LOSS) + Draw::steady(UPS_OWN_WATTS, t)
            }
            // All that goes into the room leaves it as heat.
            Point::Cooling => {
                self.building(Point::UpsIn, t).times(1.0 / CHILLER_COP)
                    + Draw::steady(FANS_WATTS, t)
                    + Draw::swing(CHILLER, t)
            }
            Point::Lighting => Draw::steady(LIGHTING_WATTS, t),
        }
    }
}
