//! What the driver asks of an SNMP agent, whoever carries it: GET and walk, in our own words. The profile engine and
//! its tests know only this; `wire` implements it over UDP.

use super::oid::Oid;
use crate::model::{BoxFuture, PollError};

/// The most rows of one column that a walk takes. The largest chains have a few hundred outlets.
pub const MAX_WALK_ROWS: usize = 2000;

/// The longest text kept of a value, characters.
const MAX_TEXT: usize = 200;

/// One answered variable.
pub type Row = (Oid, Value);

/// A value, as far as profiles use any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// INTEGER, Counter, Gauge, Unsigned, TimeTicks.
    Number(i64),
    /// OCTET STRING as text: trimmed, control characters and what is not UTF-8 replaced.
    Text(String),
    /// OBJECT IDENTIFIER.
    Oid(Oid),
    /// The agent does not have the variable (noSuchObject, noSuchInstance, noSuchName).
    Absent,
    /// Any other type, or an error that the agent reported for this variable alone.
    Unusable,
}

impl Value {
    /// Text from outside, made safe to show: bounded, one line, no control characters.
    #[must_use]
    pub fn text(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT);
        Self::Text(clean.collect::<String>().trim().to_owned())
    }

    /// The number, if it is one.
    #[must_use]
    pub const fn number(&self) -> Option<i64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Text(_) | Self::Oid(_) | Self::Absent | Self::Unusable => None,
        }
    }
}

/// A conversation with one agent. Every call may be dropped at any await; a reply that comes after that belongs to
/// no later call.
pub trait Session: Send + Sync {
    /// Reads variables, in requests of no more than the device takes. The answer has exactly one row for each of
    /// `oids`, in their order.
    ///
    /// # Errors
    /// When the agent is silent, refuses us, or answers with other variables than asked.
    fn get<'a>(&'a self, oids: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Row>, PollError>>;

    /// Reads a whole column, strictly forward, at most [`MAX_WALK_ROWS`] rows. A column that does not exist is empty.
    ///
    /// # Errors
    /// As [`Session::get`]; `Protocol` also when the walk goes in circles or does not end.
    fn walk<'a>(&'a self, column: &'a Oid) -> BoxFuture<'a, Result<Vec<Row>, PollError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_made_harmless() {
        assert_eq!(Value::text(b" AP\n8\x1b[31m\xff "), Value::Text("AP 8 [31m\u{fffd}".into()));
        assert_eq!(Value::text(&[b'x'; 70_000]), Value::Text("x".repeat(MAX_TEXT)));
    }
}
