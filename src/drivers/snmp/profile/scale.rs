//! From a device's figure to a value in base units: factor, sentinels, limits, wrap.

use super::{Joules, Quantity};
use crate::drivers::snmp::session::{Figure, Value};

/// All bits set in 32: "not supported", on every agent.
const ALL_ONES: f64 = 4_294_967_295.0;

/// The largest power of ten that a device may ask for.
const MAX_EXPONENT: u64 = 30;

/// How a device's figure becomes a value in base units.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    pub(super) factor: Factor,
    /// Added after the factor, in base units: degrees Fahrenheit have one.
    pub(super) offset: f64,
    /// Figures that mean "not supported".
    pub(super) missing: Vec<f64>,
    /// Figures outside mean nothing.
    pub(super) valid: Option<(f64, f64)>,
    /// Whether a figure below 0 is a value too.
    pub(super) sign: Sign,
    pub(super) wraps_at_bits: Option<u32>,
    /// What follows the number where it stands in a text, such as `kW`.
    pub(super) suffix: Option<String>,
}

/// What a minus before a figure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// "Not available".
    Refused,
    /// Below zero, as temperatures may be.
    Kept,
    /// A direction, such as leading and lagging: the absolute value counts.
    Dropped,
    /// The other way, which is counted elsewhere: 0 here.
    Forward,
    /// What is counted here: 0 without it.
    Backward,
}

/// Times and over are kept apart: 49 tenths are 4.9, not 4.9 and a bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factor {
    times: f64,
    over: f64,
}

impl Scale {
    /// The figure in a variable.
    #[must_use]
    pub fn figure(&self, value: &Value) -> Option<Figure> {
        match (&self.suffix, value) {
            (None, value) => value.figure(),
            (Some(suffix), Value::Text(text)) => {
                Figure::parse(text.strip_suffix(suffix.as_str())?.trim_end())
            }
            (
                Some(_),
                Value::Number(_) | Value::Real(_) | Value::Oid(_) | Value::Absent | Value::Unusable,
            ) => None,
        }
    }

    /// The value in base units; none if the figure stands for "not supported".
    #[must_use]
    pub fn apply(&self, figure: Figure) -> Option<f64> {
        let number = figure.value;
        let sentinel = number == ALL_ONES || self.missing.contains(&number);
        let outside = self.valid.is_some_and(|(least, most)| !(least..=most).contains(&number));
        if sentinel || outside {
            return None;
        }
        let number = match self.sign {
            Sign::Refused if number < 0.0 => return None,
            Sign::Refused | Sign::Kept => number,
            Sign::Dropped => number.abs(),
            Sign::Forward => number.max(0.0),
            Sign::Backward => (-number).max(0.0),
        };
        Some(self.factor.of(number) + self.offset).filter(|value| value.is_finite())
    }

    /// One step of the device's figure, in base units: an energy counter's quantum.
    #[must_use]
    pub fn step(&self, figure: Figure) -> f64 {
        Some(self.factor.of(figure.step)).filter(|step| step.is_finite()).unwrap_or_default()
    }

    /// Where an energy counter wraps to 0.
    #[must_use]
    pub fn modulus(&self) -> Option<Joules> {
        let bits = i32::try_from(self.wraps_at_bits?).ok()?;
        Joules::new(self.factor.of(2.0_f64.powi(bits))).ok()
    }

    /// The same for what flows the other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { sign: Sign::Backward, ..self }
    }

    /// The same with a factor more.
    #[must_use]
    pub fn with(mut self, more: Factor) -> Self {
        self.factor = Factor { times: self.factor.times * more.times, over: self.factor.over * more.over };
        self
    }
}

impl Sign {
    /// What a minus means for a quantity where the profile says nothing.
    pub(super) const fn of(quantity: Quantity) -> Self {
        match quantity {
            Quantity::Temperature => Self::Kept,
            Quantity::Power
            | Quantity::ApparentPower
            | Quantity::Voltage
            | Quantity::Current
            | Quantity::PowerFactor
            | Quantity::Frequency
            | Quantity::Humidity
            | Quantity::Flow
            | Quantity::Energy => Self::Refused,
        }
    }
}

impl Factor {
    /// A plain factor; one over a whole number is kept as a division.
    #[must_use]
    pub fn new(scale: f64) -> Self {
        let divisor = (1.0 / scale).round();
        if scale < 1.0 && (divisor * scale - 1.0).abs() < 1e-12 {
            Self { times: 1.0, over: divisor }
        } else {
            Self { times: scale, over: 1.0 }
        }
    }

    /// Ten to the `exponent`; none if no device can mean it.
    #[must_use]
    pub fn power_of_ten(exponent: i64) -> Option<Self> {
        let exponent = i32::try_from(exponent).ok().filter(|_| exponent.unsigned_abs() <= MAX_EXPONENT)?;
        let ten = 10.0_f64.powi(exponent.abs());
        Some(if exponent < 0 { Self { times: 1.0, over: ten } } else { Self { times: ten, over: 1.0 } })
    }

    /// `n` above 0 multiplies, below 0 divides by its absolute value.
    #[must_use]
    pub fn signed(n: i64) -> Option<Self> {
        let size = i32::try_from(n.unsigned_abs()).ok().map(f64::from)?;
        match n.signum() {
            1 => Some(Self { times: size, over: 1.0 }),
            -1 => Some(Self { times: 1.0, over: size }),
            _ => None,
        }
    }

    fn of(self, number: f64) -> f64 {
        number * self.times / self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_of_whole_numbers_stay_exact() {
        let scale = |factor| Scale {
            factor,
            offset: 0.0,
            missing: vec![-1.0],
            valid: Some((-5.0, 50.0)),
            sign: Sign::Dropped,
            wraps_at_bits: None,
            suffix: None,
        };
        let tenths = scale(Factor::new(0.1));
        assert_eq!(tenths.apply(Figure::whole(49)), Some(4.9));
        assert_eq!(tenths.apply(Figure::whole(-5)), Some(0.5));
        assert_eq!([-1, -6, 51].map(|n| tenths.apply(Figure::whole(n))), [None; 3]);
        let milli = tenths.with(Factor::power_of_ten(-2).unwrap());
        assert_eq!(milli.apply(Figure::whole(49)), Some(0.049));
        assert_eq!(scale(Factor::signed(-1000).unwrap()).apply(Figure::whole(7)), Some(0.007));
        assert_eq!(scale(Factor::signed(5).unwrap()).apply(Figure::whole(7)), Some(35.0));
        assert_eq!(
            (Factor::signed(0), Factor::power_of_ten(31), Factor::power_of_ten(i64::MIN)),
            (None, None, None)
        );
    }
}
