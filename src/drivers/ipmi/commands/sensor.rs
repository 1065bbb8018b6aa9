//! A sensor's reading: from the raw byte to a number in a unit. IPMI v2.0 sections 35.14 and 36.3.

use super::{No, data};
use crate::drivers::ipmi::wire::message::{Reply, Request};
use crate::model::{Amperes, Celsius, Measure, UnitError, VoltAmperes, Volts, Watts};

const SENSOR: u8 = 0x04;
/// Bits of the state byte: readings are unavailable; the sensor is scanned.
const UNAVAILABLE: u8 = 0x20;
const SCANNED: u8 = 0x40;

/// Get Sensor Reading.
#[must_use]
pub fn get_reading(number: u8, lun: u8) -> Request {
    Request { lun, ..Request::new(SENSOR, 0x2d, [number]) }
}

/// The raw reading; `None` where the sensor is not scanned or has no reading now.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short.
pub fn reading(reply: &Reply) -> Result<Option<u8>, No> {
    match data(reply)? {
        [raw, state, ..] => Ok((state & (UNAVAILABLE | SCANNED) == SCANNED).then_some(*raw)),
        [] | [_] => Err(No::Malformed),
    }
}

/// How the raw byte is to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 0 to 255.
    Unsigned,
    /// -127 to 127, ones' complement.
    OnesComplement,
    /// -128 to 127, two's complement.
    TwosComplement,
}

impl Format {
    /// From the two bits of a record; `None` has no analog reading.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Unsigned),
            1 => Some(Self::OnesComplement),
            2 => Some(Self::TwosComplement),
            _ => None,
        }
    }

    fn number(self, raw: u8) -> f64 {
        match self {
            Self::Unsigned => f64::from(raw),
            Self::OnesComplement if raw & 0x80 != 0 => -f64::from(!raw),
            Self::OnesComplement => f64::from(raw),
            Self::TwosComplement => f64::from(raw.cast_signed()),
        }
    }
}

/// The function after the linear part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linear {
    /// None.
    Linear,
    /// Natural logarithm.
    Ln,
    /// Logarithm to base 10.
    Log10,
    /// Logarithm to base 2.
    Log2,
    /// e to the power of x.
    Exp,
    /// 10 to the power of x.
    Exp10,
    /// 2 to the power of x.
    Exp2,
    /// One over x.
    Inverse,
    /// Square.
    Square,
    /// Cube.
    Cube,
    /// Square root.
    SquareRoot,
    /// Cube root.
    CubeRoot,
}

impl Linear {
    /// From the seven bits of a record. `None` is non-linear (70h: other factors for each reading) and OEM.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Linear,
            1 => Self::Ln,
            2 => Self::Log10,
            3 => Self::Log2,
            4 => Self::Exp,
            5 => Self::Exp10,
            6 => Self::Exp2,
            7 => Self::Inverse,
            8 => Self::Square,
            9 => Self::Cube,
            10 => Self::SquareRoot,
            11 => Self::CubeRoot,
            _ => return None,
        })
    }

    fn of(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Ln => x.ln(),
            Self::Log10 => x.log10(),
            Self::Log2 => x.log2(),
            Self::Exp => x.exp(),
            Self::Exp10 => 10f64.powf(x),
            Self::Exp2 => x.exp2(),
            Self::Inverse => 1.0 / x,
            Self::Square => x * x,
            Self::Cube => x * x * x,
            Self::SquareRoot => x.sqrt(),
            Self::CubeRoot => x.cbrt(),
        }
    }
}

/// `y = L[(M x + B 10^K1) 10^K2]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factors {
    /// Of x.
    pub format: Format,
    /// L.
    pub linear: Linear,
    /// M, 10 bits.
    pub m: i16,
    /// B, 10 bits.
    pub b: i16,
    /// K1, 4 bits.
    pub b_exponent: i16,
    /// K2, 4 bits.
    pub exponent: i16,
}

impl Factors {
    /// The number that `raw` stands for; `None` if it is none (a logarithm of 0, say).
    #[must_use]
    pub fn value(&self, raw: u8) -> Option<f64> {
        let x = self.format.number(raw);
        let b = scaled(f64::from(self.b), self.b_exponent);
        let y = self.linear.of(scaled(f64::from(self.m).mul_add(x, b), self.exponent));
        y.is_finite().then_some(y)
    }
}

/// `x 10^exponent`, dividing by whole powers so that 115 by 10 is 11.5 and not its neighbour.
fn scaled(x: f64, exponent: i16) -> f64 {
    let power = 10f64.powi(i32::from(exponent.unsigned_abs()));
    if exponent < 0 { x / power } else { x * power }
}

/// What a sensor measures, among what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Degrees Celsius.
    Celsius,
    /// Degrees Fahrenheit.
    Fahrenheit,
    /// Kelvin.
    Kelvin,
    /// Volts.
    Volts,
    /// Amperes.
    Amperes,
    /// Watts.
    Watts,
    /// Volt-amperes.
    VoltAmperes,
}

impl Unit {
    /// From the base unit of a record (table 43-15); `None` is a unit that nobody asks for.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Celsius),
            2 => Some(Self::Fahrenheit),
            3 => Some(Self::Kelvin),
            4 => Some(Self::Volts),
            5 => Some(Self::Amperes),
            6 => Some(Self::Watts),
            9 => Some(Self::VoltAmperes),
            _ => None,
        }
    }

    /// Whether it is a temperature.
    #[must_use]
    pub const fn is_temperature(self) -> bool {
        match self {
            Self::Celsius | Self::Fahrenheit | Self::Kelvin => true,
            Self::Volts | Self::Amperes | Self::Watts | Self::VoltAmperes => false,
        }
    }

    /// `value` in this unit as a measure.
    ///
    /// # Errors
    /// As the unit's constructor: negative watts are none.
    pub fn measure(self, value: f64) -> Result<Measure, UnitError> {
        Ok(match self {
            Self::Celsius => Measure::Temperature(Celsius::new(value)?),
            Self::Fahrenheit => Measure::Temperature(Celsius::new((value - 32.0) * 5.0 / 9.0)?),
            Self::Kelvin => Measure::Temperature(Celsius::new(value - 273.15)?),
            Self::Volts => Measure::Voltage(Volts::new(value)?),
            Self::Amperes => Measure::Current(Amperes::new(value)?),
            Self::Watts => Measure::Power(Watts::new(value)?),
            Self::VoltAmperes => Measure::ApparentPower(VoltAmperes::new(value)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Factors =
        Factors { format: Format::Unsigned, linear: Linear::Linear, m: 1, b: 0, b_exponent: 0, exponent: 0 };

    #[test]
    fn raw_bytes_become_numbers_by_the_formula() {
        for (factors, raw, wanted) in [
            (PLAIN, 200, 200.0),
            (Factors { m: 4, ..PLAIN }, 58, 232.0),
            // 0.1 A a step: 115 steps are 11.5 A.
            (Factors { exponent: -1, ..PLAIN }, 115, 11.5),
            // (2 x 100 + 5 x 10^2) x 10^-2 = 7 V.
            (Factors { m: 2, b: 5, b_exponent: 2, exponent: -2, ..PLAIN }, 100, 7.0),
            (Factors { m: 59, exponent: -3, ..PLAIN }, 205, 12.095),
            (Factors { format: Format::TwosComplement, ..PLAIN }, 0xfb, -5.0),
            (Factors { format: Format::OnesComplement, ..PLAIN }, 0xfa, -5.0),
            (Factors { format: Format::OnesComplement, ..PLAIN }, 0xff, 0.0),
            (Factors { linear: Linear::Square, ..PLAIN }, 12, 144.0),
            (Factors { linear: Linear::Inverse, ..PLAIN }, 4, 0.25),
            (Factors { linear: Linear::Exp2, ..PLAIN }, 10, 1024.0),
            (Factors { linear: Linear::SquareRoot, ..PLAIN }, 81, 9.0),
            (Factors { linear: Linear::Log10, ..PLAIN }, 100, 2.0),
            (Factors { linear: Linear::CubeRoot, ..PLAIN }, 27, 3.0),
        ] {
            assert_eq!(factors.value(raw), Some(wanted), "{factors:?} of {raw}");
        }
        assert_eq!(Factors { linear: Linear::Ln, ..PLAIN }.value(0), None);
        assert_eq!(Factors { linear: Linear::Inverse, ..PLAIN }.value(0), None);
    }

    #[test]
    fn a_sensor_that_is_not_scanned_or_unavailable_has_no_reading() {
        let reply = |code, data: &[u8]| Reply { net_fn: 5, seq: 1, command: 0x2d, code, data: data.to_vec() };
        assert_eq!(reading(&reply(0, &[61, 0xc0, 0xc0])), Ok(Some(61)));
        assert_eq!(reading(&reply(0, &[61, 0x40])), Ok(Some(61)));
        assert_eq!(reading(&reply(0, &[61, 0xe0])), Ok(None), "unavailable");
        assert_eq!(reading(&reply(0, &[61, 0x80])), Ok(None), "not scanned");
        assert_eq!(reading(&reply(0, &[61])), Err(No::Malformed));
        assert_eq!(reading(&reply(0xcb, &[])), Err(No::Code(super::super::Code::NOT_PRESENT)));
    }

    #[test]
    fn temperatures_are_celsius_and_negative_watts_are_none() {
        assert_eq!(Unit::Fahrenheit.measure(212.0).unwrap().value(), 100.0);
        assert_eq!(Unit::Kelvin.measure(273.15).unwrap().value(), 0.0);
        assert!(Unit::Watts.measure(-1.0).is_err());
    }
}
