//! Units as types. A constructor refuses what cannot be a measurement (NaN, infinite, negative where the
//! quantity has no sign); the field is private, so a value that exists is a value that was checked.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a number is not a value of its unit.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum UnitError {
    /// NaN or infinite.
    #[error("{0} is not a finite number")]
    NotFinite(f64),
    /// Below zero where the unit has no sign.
    #[error("{0} is negative")]
    Negative(f64),
}

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $suffix:literal, signed: $signed:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
        pub struct $name(f64);

        impl $name {
            /// Nothing measured as nothing: a true zero, not an absent value.
            pub const ZERO: Self = Self(0.0);

            /// Checks and wraps `value`, in the unit's base unit.
            ///
            /// # Errors
            /// `NotFinite` for NaN and infinities, `Negative` below zero where the unit has no sign.
            pub fn new(value: f64) -> Result<Self, UnitError> {
                if !value.is_finite() {
                    return Err(UnitError::NotFinite(value));
                }
                if !$signed && value < 0.0 {
                    return Err(UnitError::Negative(value));
                }
                Ok(Self(value))
            }

            /// The bare number, in the unit's base unit.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{} ", $suffix), self.0)
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
    };
}

unit!(/// Electrical real power, W.
    Watts, "W", signed: false);
unit!(/// Apparent power, VA. Never filed as power.
    VoltAmperes, "VA", signed: false);
unit!(/// Voltage, V (RMS where alternating).
    Volts, "V", signed: false);
unit!(/// Current, A (RMS where alternating).
    Amperes, "A", signed: false);
unit!(/// Frequency, Hz.
    Hertz, "Hz", signed: false);
unit!(/// Temperature, degrees Celsius.
    Celsius, "Cel", signed: true);
unit!(/// Flow of a heat carrier, cubic metres per second.
    CubicMetresPerSecond, "m3/s", signed: false);
unit!(/// A dimensionless share or factor; 1 is the whole.
    Ratio, "", signed: false);
unit!(/// Energy, J, as a floating number: what devices and integrals speak. Accounts use [`Microjoules`].
    Joules, "J", signed: false);
unit!(/// Emission intensity of electricity, grams CO2e per kilowatt-hour (= kg per MWh).
    GramsPerKilowattHour, "g/kWh", signed: false);

/// Joules in one kilowatt-hour.
pub const JOULES_PER_KILOWATT_HOUR: f64 = 3_600_000.0;

impl Ratio {
    /// The whole.
    pub const ONE: Self = Self(1.0);
    /// One half.
    pub const HALF: Self = Self(0.5);
}

impl Watts {
    /// Energy of this power held for `time`.
    #[must_use]
    pub fn over(self, time: Duration) -> Joules {
        Joules(self.0 * time.as_secs_f64())
    }

    /// This power times a dimensionless factor.
    #[must_use]
    pub fn scaled(self, by: Ratio) -> Self {
        Self(self.0 * by.0)
    }
}

impl Joules {
    /// From kilowatt-hours, as many devices count.
    ///
    /// # Errors
    /// As [`Joules::new`].
    pub fn from_kilowatt_hours(kwh: f64) -> Result<Self, UnitError> {
        Self::new(kwh * JOULES_PER_KILOWATT_HOUR)
    }

    /// Mean power if spread evenly over `time`; none for an empty time.
    #[must_use]
    pub fn per(self, time: Duration) -> Option<Watts> {
        let seconds = time.as_secs_f64();
        (seconds > 0.0).then(|| Watts(self.0 / seconds))
    }
}

/// Energy in whole microjoules: the ledger's coin. Sums of it are exact, which floating joules are not.
///
/// 128 bits, since 64 end at 5.1 GWh: a 10 MW building has drawn that in three weeks, and the counter of its meter shows
/// more on the first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub struct Microjoules(pub u128);

impl Microjoules {
    /// No energy.
    pub const ZERO: Self = Self(0);

    /// As floating joules, for display and exposition.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "display only; 53 bits hold 9 GJ to the microjoule")]
    pub fn joules(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Difference, or nothing when `earlier` is larger.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// Rounds floating joules to the nearest microjoule; beyond the range it saturates.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "Joules is finite and not negative, and `as` saturates"
    )]
    pub fn round(energy: Joules) -> Self {
        Self((energy.0 * 1e6).round() as u128)
    }
}

impl Add for Microjoules {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Microjoules {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Microjoules {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_measured_is_refused() {
        assert_eq!(Watts::new(-1.0), Err(UnitError::Negative(-1.0)));
        assert!(matches!(Watts::new(f64::NAN), Err(UnitError::NotFinite(_))));
        assert!(Celsius::new(-40.0).is_ok());
    }

    #[test]
    fn a_kilowatt_for_an_hour_is_3_6_megajoules() {
        let e = Watts::new(1000.0).unwrap().over(Duration::from_secs(3600));
        assert_eq!(Microjoules::round(e), Microjoules(3_600_000_000_000));
        assert_eq!(Joules::from_kilowatt_hours(1.0).unwrap(), e);
    }
}
