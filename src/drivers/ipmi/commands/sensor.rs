//! A sensor's reading: from the raw byte to a number in a unit. IPMI v2.0 sections 35.14 and 36.3.

use super::{No, data};
use crate::drivers::ipmi::wire::bytes::Bytes;
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

/// Whether a BMC is believed when it says that it does not scan a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scanning {
    /// It is: there is no reading then.
    Believed,
    /// It is not: there is one all the same.
    Ignored,
}

/// The raw reading; `None` where the sensor is not scanned or has no reading now.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short.
pub fn reading(reply: &Reply, scanning: Scanning) -> Result<Option<u8>, No> {
    let assumed = match scanning {
        Scanning::Believed => 0,
        Scanning::Ignored => SCANNED,
    };
    match data(reply)? {
        [raw, state, ..] => Ok(((state | assumed) & (UNAVAILABLE | SCANNED) == SCANNED).then_some(*raw)),
        [] | [_] => Err(No::Malformed),
    }
}

/// Get Sensor Reading Factors: those that hold at `raw`.
#[must_use]
pub fn get_factors(number: u8, lun: u8, raw: u8) -> Request {
    Request { lun, ..Request::new(SENSOR, 0x23, [number, raw]) }
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

/// Linearisation of sensors that have other factors at each reading.
pub const EACH_READING: u8 = 0x70;

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
    /// From the seven bits of a record. `None` is non-linear ([`EACH_READING`]) and OEM.
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
    /// From the six bytes that a record and Get Sensor Reading Factors have in common: M, M and tolerance, B, B and
    /// accuracy, accuracy, exponents.
    #[must_use]
    pub fn from_bytes(format: Format, linear: Linear, bytes: [u8; 6]) -> Self {
        let [m, m_tolerance, b, b_accuracy, _accuracy, exponents] = bytes;
        Self {
            format,
            linear,
            m: signed(u16::from(m) | u16::from(m_tolerance >> 6) << 8, 10),
            b: signed(u16::from(b) | u16::from(b_accuracy >> 6) << 8, 10),
            b_exponent: signed(u16::from(exponents & 0x0f), 4),
            exponent: signed(u16::from(exponents >> 4), 4),
        }
    }

    /// Reads the reply to Get Sensor Reading Factors, for a raw byte of this format. IPMI v2.0 section 35.5.
    ///
    /// # Errors
    /// As [`data`]; `Malformed` if it is too short.
    pub fn parse(reply: &Reply, format: Format) -> Result<Self, No> {
        let mut bytes = Bytes(data(reply)?);
        let mut read = || {
            let _next_reading = bytes.u8()?;
            Some(Self::from_bytes(format, Linear::Linear, bytes.array()?))
        };
        read().ok_or(No::Malformed)
    }

    /// The number that `raw` stands for; `None` if it is none (a logarithm of 0, say).
    #[must_use]
    pub fn value(&self, raw: u8) -> Option<f64> {
        let x = self.format.number(raw);
        let b = scaled(f64::from(self.b), self.b_exponent);
        let y = self.linear.of(scaled(f64::from(self.m).mul_add(x, b), self.exponent));
        y.is_finite().then_some(y)
    }
}

/// A two's complement number of `bits` bits.
fn signed(raw: u16, bits: u32) -> i16 {
    let unused = 16 - bits;
    (raw << unused).cast_signed() >> unused
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
    fn every_linearisation_is_its_function() {
        // x = 100 by M = 4, B = 25, both exponents -2: (400 + 25 / 100) / 100 = 4.0025; each function of that.
        let y: f64 = 4.0025;
        let functions = [
            y,
            y.ln(),
            y.log10(),
            y.log2(),
            y.exp(),
            10f64.powf(y),
            2f64.powf(y),
            1.0 / y,
            y * y,
            y * y * y,
            y.sqrt(),
            y.cbrt(),
        ];
        for (bits, wanted) in (0..).zip(functions) {
            let linear = Linear::from_bits(bits).unwrap();
            // 0x19 is 25; exponent nibbles 0xE are -2.
            let factors = Factors::from_bytes(Format::Unsigned, linear, [4, 0, 0x19, 0, 0, 0xee]);
            let value = factors.value(100).unwrap();
            assert!((value / wanted - 1.0).abs() < 1e-12, "{linear:?}: {value} is not {wanted}");
        }
        assert!((12..=255).all(|bits| Linear::from_bits(bits).is_none()), "70h and OEM are no function");
    }

    #[test]
    fn factors_of_one_reading_are_read() {
        let reply = |data: &str| Reply {
            net_fn: 5,
            seq: 1,
            command: 0x23,
            code: 0,
            data: hex::decode(data).unwrap(),
        };
        // Next reading 65h; M = 0x3fe (-2), B = 0x201 (-511), K2 = -1, K1 = 2.
        let factors = Factors::parse(&reply("65fec0018000f2"), Format::Unsigned).unwrap();
        assert_eq!((factors.m, factors.b, factors.b_exponent, factors.exponent), (-2, -511, 2, -1));
        // (-2 x 100 - 511 x 100) / 10.
        assert_eq!(factors.value(100), Some(-5130.0));
        assert_eq!(Factors::parse(&reply("65fec0018000"), Format::Unsigned), Err(No::Malformed));
    }

    #[test]
    fn a_sensor_that_is_not_scanned_or_unavailable_has_no_reading() {
        let reply = |code, data: &[u8]| Reply { net_fn: 5, seq: 1, command: 0x2d, code, data: data.to_vec() };
        let believed = |code, data: &[u8]| reading(&reply(code, data), Scanning::Believed);
        assert_eq!(believed(0, &[61, 0xc0, 0xc0]), Ok(Some(61)));
        assert_eq!(believed(0, &[61, 0x40]), Ok(Some(61)));
        assert_eq!(believed(0, &[61, 0xe0]), Ok(None), "unavailable");
        assert_eq!(believed(0, &[61, 0x80]), Ok(None), "not scanned");
        assert_eq!(believed(0, &[61]), Err(No::Malformed));
        assert_eq!(believed(0xcb, &[]), Err(No::Code(super::super::Code::NOT_PRESENT)));
        // Where its word on scanning is not taken, unavailable is still unavailable.
        assert_eq!(reading(&reply(0, &[61, 0x80]), Scanning::Ignored), Ok(Some(61)));
        assert_eq!(reading(&reply(0, &[61, 0xa0]), Scanning::Ignored), Ok(None));
    }

    #[test]
    fn temperatures_are_celsius_and_negative_watts_are_none() {
        assert_eq!(Unit::Fahrenheit.measure(212.0).unwrap().value(), 100.0);
        assert_eq!(Unit::Kelvin.measure(273.15).unwrap().value(), 0.0);
        assert!(Unit::Watts.measure(-1.0).is_err());
    }

    proptest::proptest! {
        #[test]
        fn a_number_is_finite_or_none(bytes: [u8; 6], raw: u8, bits in 0u8..12, format in 0u8..3) {
            let (format, linear) = (Format::from_bits(format).unwrap(), Linear::from_bits(bits).unwrap());
            let value = Factors::from_bytes(format, linear, bytes).value(raw);
            proptest::prop_assert!(value.is_none_or(f64::is_finite));
        }
    }
}
