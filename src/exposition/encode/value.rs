//! Numbers as text: floats by the shortest digits that read back the same, energy and time exactly.

use std::time::Duration;

use crate::model::Microjoules;

/// The longest text of a value, bytes: a [`Value::Energy`] with 33 + 1 + 6 digits.
pub const MAX_BYTES: usize = 40;

/// The value of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A floating number in the family's unit.
    Float(f64),
    /// A whole number.
    Count(u64),
    /// Energy, written as decimal joules without rounding.
    Energy(Microjoules),
    /// Time, written as decimal seconds without rounding.
    Seconds(Duration),
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Count(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Count(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Count(value.into())
    }
}

impl From<Microjoules> for Value {
    fn from(value: Microjoules) -> Self {
        Self::Energy(value)
    }
}

impl From<Duration> for Value {
    fn from(value: Duration) -> Self {
        Self::Seconds(value)
    }
}

impl Value {
    #[inline]
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Float(value) => float(value, out),
            Self::Count(value) => whole(value, out),
            Self::Energy(Microjoules(value)) => match u64::try_from(value) {
                // Nearly always, and many times faster.
                Ok(value) => {
                    whole(value / 1_000_000, out);
                    fraction(value % 1_000_000, 100_000, out);
                }
                Err(_) => {
                    whole(value / 1_000_000, out);
                    fraction(u64::try_from(value % 1_000_000).unwrap_or(0), 100_000, out);
                }
            },
            Self::Seconds(value) => {
                whole(value.as_secs(), out);
                fraction(value.subsec_nanos().into(), 100_000_000, out);
            }
        }
    }
}

#[inline]
fn whole(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The digits behind the point, the first worth `place`; nothing for none, no zeros at the end.
#[inline]
fn fraction(mut rest: u64, mut place: u64, out: &mut Vec<u8>) {
    if rest == 0 {
        return;
    }
    out.push(b'.');
    while rest > 0 && place > 0 {
        // The first ten digits are one byte each, and a quotient below ten always finds its own.
        out.extend(b"0123456789".get(usize::try_from(rest / place).unwrap_or(usize::MAX)));
        rest %= place;
        place /= 10;
    }
}

#[inline]
fn float(value: f64, out: &mut Vec<u8>) {
    /// Beyond 2^53 not every whole number is a float, and the shortest digits may be fewer.
    const EXACT: u64 = 1 << 53;
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and the way back is compared")]
    let rounded = value as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared for equality, below 2^53")]
    let is_whole = rounded as f64 == value && rounded.unsigned_abs() < EXACT;
    if is_whole {
        out.extend_from_slice(itoa::Buffer::new().format(rounded).as_bytes());
    } else {
        out.extend_from_slice(number(&mut ryu::Buffer::new(), value).as_bytes());
    }
}

fn number(buffer: &mut ryu::Buffer, value: f64) -> &str {
    if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "+Inf"
    } else if value == f64::NEG_INFINITY {
        "-Inf"
    } else {
        buffer.format_finite(value)
    }
}

/// The `le` label of a bucket. Always with a point, as OpenMetrics has it: both formats then make the same series.
pub(super) fn bound(value: f64) -> String {
    format!("le=\"{}\"", number(&mut ryu::Buffer::new(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl Into<Value>) -> String {
        let mut out = Vec::new();
        value.into().write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_spelled_as_prometheus_reads_them() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (230.0, "230"),
            (-12.0, "-12"),
            (0.1, "0.1"),
            (-40.25, "-40.25"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1e300, "1e300"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(text(value), expected);
            assert!(text(value).len() <= MAX_BYTES);
        }
    }

    #[test]
    fn energy_and_time_lose_no_digit() {
        for (value, expected) in [
            (0, "0"),
            (1, "0.000001"),
            (999_999, "0.999999"),
            (1_000_000, "1"),
            (1_200_000, "1.2"),
            (u128::from(u64::MAX), "18446744073709.551615"),
            (u128::from(u64::MAX) + 1, "18446744073709.551616"),
            (u128::MAX, "340282366920938463463374607431768.211455"),
        ] {
            assert_eq!(text(Microjoules(value)), expected);
            assert!(text(Microjoules(value)).len() <= MAX_BYTES);
        }
        assert_eq!(text(Duration::new(3, 50)), "3.00000005");
        assert_eq!(text(Duration::MAX), "18446744073709551615.999999999");
        assert!(text(Duration::MAX).len() <= MAX_BYTES);
    }

    proptest::proptest! {
        #[test]
        fn every_float_reads_back_as_itself(bits: u64) {
            let value = f64::from_bits(bits);
            let back: f64 = text(value).replace("Inf", "inf").parse().unwrap();
            assert!(back == value || (back.is_nan() && value.is_nan()));
        }

        #[test]
        fn every_energy_reads_back_to_the_microjoule(value: u128) {
            let digits = text(Microjoules(value));
            let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
            let micro: u128 = format!("{whole}{fraction:0<6}").parse().unwrap();
            assert_eq!(micro, value);
        }
    }
}
