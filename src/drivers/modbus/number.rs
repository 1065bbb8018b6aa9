//! From registers to numbers, and from numbers to values in base units. Pure.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{Joules, Quantity};

/// How a number stands in registers, and the word for it in profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// Unsigned, one register.
    U16,
    /// Signed, one register.
    I16,
    /// Unsigned, two registers.
    U32,
    /// Signed, two registers.
    I32,
    /// Unsigned, four registers.
    U64,
    /// Signed, four registers.
    I64,
    /// IEEE 754, two registers.
    F32,
    /// IEEE 754, four registers.
    F64,
}

/// Which of a number's registers comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The highest: ABCD.
    #[default]
    Big,
    /// The lowest: CDAB.
    Little,
}

/// A number as the device has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Whole.
    Int(i128),
    /// Floating.
    Real(f64),
}

impl Type {
    /// How many registers it takes.
    #[must_use]
    pub const fn registers(self) -> u16 {
        match self {
            Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 | Self::F64 => 4,
        }
    }

    /// Its name in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Whether it is a floating number.
    #[must_use]
    pub const fn is_real(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// The number in `words`; none if there are not as many as it takes.
    #[must_use]
    pub fn read(self, words: &[u16], order: Order) -> Option<Number> {
        if words.len() != usize::from(self.registers()) {
            return None;
        }
        let join = |bits: u64, word: &u16| (bits << 16) | u64::from(*word);
        let bits = match order {
            Order::Big => words.iter().fold(0, join),
            Order::Little => words.iter().rev().fold(0, join),
        };
        let low16 = u16::try_from(bits & 0xFFFF).ok()?;
        let low32 = u32::try_from(bits & 0xFFFF_FFFF).ok()?;
        Some(match self {
            Self::U16 | Self::U32 | Self::U64 => Number::Int(i128::from(bits)),
            Self::I16 => Number::Int(i128::from(low16.cast_signed())),
            Self::I32 => Number::Int(i128::from(low32.cast_signed())),
            Self::I64 => Number::Int(i128::from(bits.cast_signed())),
            Self::F32 => Number::Real(f64::from(f32::from_bits(low32))),
            Self::F64 => Number::Real(f64::from_bits(bits)),
        })
    }

    /// Whether meters of all makers say "no value" by this number.
    #[must_use]
    pub fn never_means_a_value(self, number: Number) -> bool {
        match (self, number) {
            (_, Number::Real(value)) => !value.is_finite(),
            (Self::U16, Number::Int(n)) => n == i128::from(u16::MAX),
            (Self::I16, Number::Int(n)) => n == i128::from(i16::MIN),
            (Self::U32, Number::Int(n)) => n == i128::from(u32::MAX),
            (Self::I32, Number::Int(n)) => n == i128::from(i32::MIN) || n == i128::from(i32::MAX),
            (Self::U64, Number::Int(n)) => n == i128::from(u64::MAX),
            (Self::I64, Number::Int(n)) => n == i128::from(i64::MIN) || n == i128::from(i64::MAX),
            (Self::F32 | Self::F64, Number::Int(_)) => false,
        }
    }
}

impl Number {
    /// As a floating number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "past 2^53 a counter's last digits do not matter")]
    pub const fn real(self) -> f64 {
        match self {
            Self::Int(n) => n as f64,
            Self::Real(value) => value,
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(n) => write!(f, "{n}"),
            Self::Real(value) => write!(f, "{value}"),
        }
    }
}

/// Division by whole numbers is kept as such: 49 tenths are 4.9, not 4.9 and a bit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Factor {
    Times(f64),
    Over(f64),
}

/// How a device's number becomes a value in base units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    factor: Factor,
    offset: f64,
}

impl Scale {
    /// Value = number x `scale` + `offset`.
    #[must_use]
    pub fn new(scale: f64, offset: f64) -> Self {
        let inverse = (1.0 / scale).round();
        let whole = scale < 1.0 && inverse.is_finite() && ((1.0 / scale) - inverse).abs() < 1e-9 * inverse;
        Self { factor: if whole { Factor::Over(inverse) } else { Factor::Times(scale) }, offset }
    }

    /// The value of `number`.
    #[must_use]
    pub fn apply(&self, number: Number) -> f64 {
        self.stretch(number.real()) + self.offset
    }

    /// A difference between numbers as a difference between values.
    #[must_use]
    pub fn stretch(&self, difference: f64) -> f64 {
        match self.factor {
            Factor::Times(factor) => difference * factor,
            Factor::Over(divisor) => difference / divisor,
        }
    }

    /// The step of an energy counter that shows `number`: a floating one has no finer steps than its digits.
    #[must_use]
    pub fn step(&self, kind: Type, number: Number, least: f64) -> Joules {
        let digits = match kind {
            Type::F32 => number.real().abs() * f64::from(f32::EPSILON),
            Type::F64 => number.real().abs() * f64::EPSILON,
            Type::U16 | Type::I16 | Type::U32 | Type::I32 | Type::U64 | Type::I64 => 1.0,
        };
        Joules::new(self.stretch(digits.max(least)).abs()).unwrap_or(Joules::ZERO)
    }
}

/// What a value of `quantity` can be, in base units, wherever it is measured: outside of it the number was read wrongly.
#[must_use]
pub const fn believable(quantity: Quantity) -> (f64, f64) {
    match quantity {
        Quantity::Power | Quantity::ApparentPower => (-1e9, 1e9),
        Quantity::Voltage => (-1e6, 1e6),
        Quantity::Current => (-1e6, 1e6),
        // Meters round.
        Quantity::PowerFactor => (-1.01, 1.01),
        Quantity::Frequency => (0.0, 1000.0),
        Quantity::Temperature => (-100.0, 1000.0),
        Quantity::Humidity => (0.0, 1.01),
        Quantity::Flow => (-1000.0, 1000.0),
        Quantity::Energy => (-1e18, 1e18),
    }
}

/// A floating number that is neither 0 nor of a size that anybody measures: integers and words in wrong order look so.
#[must_use]
pub fn looks_misread(number: Number) -> bool {
    matches!(number, Number::Real(value) if value != 0.0 && value.abs() < 1e-20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_orders() {
        // 1037.25 is 0x4481A800; -2 is 0xFFFFFFFE; 12345.678 as f64 is 0x40C81CD6C8B43958.
        assert_eq!(Type::F32.read(&[0x4481, 0xA800], Order::Big), Some(Number::Real(1037.25)));
        assert_eq!(Type::F32.read(&[0xA800, 0x4481], Order::Little), Some(Number::Real(1037.25)));
        assert_eq!(Type::I32.read(&[0xFFFE, 0xFFFF], Order::Little), Some(Number::Int(-2)));
        assert_eq!(Type::U32.read(&[0x0001, 0x0000], Order::Big), Some(Number::Int(65536)));
        assert_eq!(Type::I16.read(&[0xFFFF], Order::Big), Some(Number::Int(-1)));
        assert_eq!(Type::U64.read(&[0, 0, 1, 0], Order::Big), Some(Number::Int(65536)));
        assert_eq!(
            Type::F64.read(&[0x40C8, 0x1CD6, 0xC8B4, 0x3958], Order::Big),
            Some(Number::Real(12345.678))
        );
        assert_eq!(
            Type::F64.read(&[0x3958, 0xC8B4, 0x1CD6, 0x40C8], Order::Little),
            Some(Number::Real(12345.678))
        );
        assert_eq!(Type::F32.read(&[1], Order::Big), None);
    }

    #[test]
    fn what_no_meter_means_is_no_value() {
        let none =
            |kind: Type, words: &[u16]| kind.never_means_a_value(kind.read(words, Order::Big).unwrap());
        assert!(
            none(Type::F32, &[0x7FC0, 0])
                && none(Type::F32, &[0xFFC0, 0])
                && none(Type::F32, &[0xFFFF, 0xFFFF])
        );
        assert!(none(Type::U32, &[0xFFFF, 0xFFFF]) && none(Type::I32, &[0x7FFF, 0xFFFF]));
        assert!(none(Type::I16, &[0x8000]) && none(Type::I64, &[0x8000, 0, 0, 0]));
        assert!(!none(Type::U16, &[0]) && !none(Type::I32, &[0xFFFF, 0xFFFF]) && !none(Type::I16, &[0x7FFF]));
    }

    #[test]
    fn tenths_stay_tenths_and_floats_have_the_step_of_their_digits() {
        assert_eq!(Scale::new(0.1, 0.0).apply(Number::Int(49)), 4.9);
        assert_eq!(Scale::new(360_000.0, 0.0).step(Type::U32, Number::Int(7), 0.0).get(), 360_000.0);
        // 16,777,216 Wh: a float's next number is 2 Wh away.
        let step = Scale::new(3600.0, 0.0).step(Type::F32, Number::Real(16_777_216.0), 0.0).get();
        assert_eq!(step, 7200.0);
        assert_eq!(Scale::new(3.6e6, 0.0).step(Type::F32, Number::Real(1.0), 0.01).get(), 36_000.0);
    }
}
