//! What the driver asks of an SNMP agent, whoever carries it: GET and walk, in our own words. The profile engine and
//! its tests know only this; `wire` implements it over UDP.

use std::borrow::Cow;
use std::time::Duration;

use super::oid::Oid;
use super::profile::Limits;
use crate::model::{BoxFuture, PollError};

/// The longest text kept of a value, characters.
const MAX_TEXT: usize = 200;

/// One answered variable.
pub type Row = (Oid, Value);

/// A value, as far as profiles use any.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// INTEGER, Counter, Gauge, Unsigned, TimeTicks.
    Number(i64),
    /// A floating number (net-snmp's Opaque).
    Real(Figure),
    /// OCTET STRING as text: trimmed, control characters and what is not UTF-8 replaced.
    Text(String),
    /// OBJECT IDENTIFIER.
    Oid(Oid),
    /// The agent does not have the variable (noSuchObject, noSuchInstance, noSuchName).
    Absent,
    /// Any other type, or an error that the agent reported for this variable alone.
    Unusable,
}

/// A number with the step in which it is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// The least difference that shows.
    pub step: f64,
}

impl Figure {
    /// A whole number.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a device's number; past 2^53 its last digits do not matter"
    )]
    pub const fn whole(number: i64) -> Self {
        Self { value: number as f64, step: 1.0 }
    }

    /// A number of single precision.
    #[must_use]
    pub fn single(number: f32) -> Option<Self> {
        let value = f64::from(number);
        number.is_finite().then(|| Self { value, step: value.abs() * f64::from(f32::EPSILON) })
    }

    /// A number of double precision.
    #[must_use]
    pub fn double(value: f64) -> Option<Self> {
        value.is_finite().then(|| Self { value, step: value.abs() * f64::EPSILON })
    }

    /// A text that is one decimal number and nothing else: `12.50`, in steps of 0.01.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 32 || !text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+')) {
            return None;
        }
        let value = text.parse().ok()?;
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        Some(Self { value, step: 10.0_f64.powi(-i32::try_from(decimals).ok()?) })
    }
}

impl Value {
    /// Text from outside, made safe to show: bounded, one line, no control characters.
    #[must_use]
    pub fn text(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT);
        Self::Text(clean.collect::<String>().trim().to_owned())
    }

    /// What net-snmp puts into Opaque: tag, type, length, and a floating number, or a 64-bit one that SNMPv1 has no type for.
    #[must_use]
    pub fn opaque(bytes: &[u8]) -> Self {
        let Some(([0x9f, kind, length], number)) = bytes.split_first_chunk() else { return Self::Unusable };
        if usize::from(*length) != number.len() {
            return Self::Unusable;
        }
        let real = |figure: Option<Figure>| figure.map(Self::Real);
        let whole = || number.iter().fold(0_u64, |whole, byte| (whole << 8) | u64::from(*byte));
        let value = match kind {
            0x78 => number.try_into().ok().and_then(|bytes| real(Figure::single(f32::from_be_bytes(bytes)))),
            0x79 => number.try_into().ok().and_then(|bytes| real(Figure::double(f64::from_be_bytes(bytes)))),
            0x76 | 0x7b if number.len() <= 8 => i64::try_from(whole()).ok().map(Self::Number),
            0x7a => number.try_into().ok().map(|bytes| Self::Number(i64::from_be_bytes(bytes))),
            _ => None,
        };
        value.unwrap_or(Self::Unusable)
    }

    /// The number, if it is one or a text that is one.
    #[must_use]
    pub fn figure(&self) -> Option<Figure> {
        match self {
            Self::Number(n) => Some(Figure::whole(*n)),
            Self::Real(figure) => Some(*figure),
            Self::Text(text) => Figure::parse(text),
            Self::Oid(_) | Self::Absent | Self::Unusable => None,
        }
    }

    /// The whole number, if it is one or a text that is one.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Text(text) => text.parse().ok(),
            Self::Real(_) | Self::Oid(_) | Self::Absent | Self::Unusable => None,
        }
    }

    /// The text, if there is any; of a number its digits, of an object identifier the same with dots.
    #[must_use]
    pub fn words(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text.as_str())).filter(|text| !text.is_empty()),
            Self::Number(n) => Some(Cow::Owned(n.to_string())),
            Self::Real(figure) => Some(Cow::Owned(figure.value.to_string())),
            Self::Oid(oid) => Some(Cow::Owned(oid.to_string())),
            Self::Absent | Self::Unusable => None,
        }
    }

    /// Whether the agent has such a variable and tells it.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        match self {
            Self::Number(_) | Self::Real(_) | Self::Text(_) | Self::Oid(_) => true,
            Self::Absent | Self::Unusable => false,
        }
    }
}

/// What follows a variable in the agent's tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Following {
    /// The next variables, at least one, strictly forward.
    Rows(Vec<Row>),
    /// Nothing.
    End,
    /// The answer had no room for it: ask again.
    Unanswered,
}

/// A conversation with one agent. Every call may be dropped at any await; a reply that comes after that belongs to
/// no later call.
pub trait Session: Send + Sync {
    /// Asks for no more at once than `limits`, from now on. Called again before each poll.
    fn limit(&self, limits: Limits) {
        let _ = limits;
    }

    /// How long something may take that can wait.
    fn patience(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// For how many variables at once [`Session::next`] says what follows.
    fn width(&self) -> usize;

    /// Reads variables, in requests of no more than the device takes. The answer has exactly one value for each of
    /// `oids`, in their order.
    ///
    /// # Errors
    /// When the agent is silent, refuses us, or answers with other variables than asked.
    fn get<'a>(&'a self, oids: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Value>, PollError>>;

    /// Says in one request what follows each of `after`, of which the first [`Session::width`] are answered at most. The answer has
    /// the order of `after`.
    ///
    /// # Errors
    /// As [`Session::get`]; `Protocol` also when the agent goes backwards.
    fn next<'a>(&'a self, after: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Following>, PollError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_made_harmless() {
        assert_eq!(Value::text(b" AP\n8\x1b[31m\xff "), Value::Text("AP 8 [31m\u{fffd}".into()));
        assert_eq!(Value::text(&[b'x'; 70_000]), Value::Text("x".repeat(MAX_TEXT)));
    }

    #[test]
    fn a_text_that_is_a_number_is_one_and_others_are_not() {
        let figure = |text: &str| Figure::parse(text).map(|f| (f.value, f.step));
        assert_eq!(figure("12.50"), Some((12.5, 0.01)));
        assert_eq!(figure("-7"), Some((-7.0, 1.0)));
        for text in ["", "12 W", "1e5", "nan", "inf", "1.2.3", "--1", ".", "0x10", &"9".repeat(33)] {
            assert_eq!(figure(text), None, "{text}");
        }
        let opaque = |hex: &str| Value::opaque(&hex::decode(hex).unwrap());
        assert_eq!(opaque("9f780441200000"), Value::Real(Figure::single(10.0).unwrap()));
        assert_eq!(opaque("9f7908400921fb54442d18").figure().unwrap().value, std::f64::consts::PI);
        assert_eq!(opaque("9f76020100"), Value::Number(256));
        // Not a number, cut, too long, of another kind, nothing.
        for hex in ["9f78047fc00000", "9f7804412000", "9f76090000000000000000ff", "9f410101", "9f", ""] {
            assert_eq!(opaque(hex), Value::Unusable, "{hex}");
        }
        assert_eq!(Value::Text("230".into()).number(), Some(230));
    }
}
