//! [`Session`] over a recording: a `.snmprec` file as `snmpsim-record-commands` writes it, `OID|TYPE|VALUE` a line. For people who
//! write profiles, and for tests of what profiles say; devices are played over the wire by snmpsim.

use std::collections::BTreeMap;
use std::path::Path;

use super::oid::Oid;
use super::session::{MAX_WALK_ROWS, Row, Session, Value};
use crate::model::{BoxFuture, ErrorKind, PollError};

/// The largest recording that is read, bytes; a whole switch has a few megabytes.
const MAX_BYTES: u64 = 64 << 20;

/// A device as it was once.
#[derive(Debug, Default)]
pub struct Recording(BTreeMap<Oid, Value>);

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or holds no line of a recording.
    pub fn open(path: &Path) -> Result<Self, PollError> {
        let wrong = |cause: String| {
            let fix = "record the device with snmpsim-record-commands, or write OID|TYPE|VALUE lines";
            PollError::new(ErrorKind::NoReading, format!("{}: {cause}", path.display()), fix)
        };
        let size = std::fs::metadata(path).map_err(|e| wrong(format!("cannot be read: {e}")))?.len();
        if size > MAX_BYTES {
            return Err(wrong("is larger than 64 MiB".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let recording = Self::parse(&String::from_utf8_lossy(&bytes));
        if recording.0.is_empty() {
            return Err(wrong("holds no line of a recording".to_owned()));
        }
        Ok(recording)
    }

    /// Takes every line that is one of a recording; others are remarks.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(line).collect())
    }
}

/// `OID|TYPE|VALUE`; none if it is anything else.
fn line(line: &str) -> Option<(Oid, Value)> {
    let mut parts = line.trim_end_matches('\r').splitn(3, '|');
    let (oid, tag, value) = (Oid::parse(parts.next()?.trim())?, parts.next()?, parts.next()?);
    Some((oid, typed(tag, value)))
}

/// A value by its BER tag; `x` behind the tag says that the value is in hexadecimal digits, anything else names a
/// module of the simulator, whose values are made when asked for.
fn typed(tag: &str, text: &str) -> Value {
    let number = || text.trim().parse().map_or(Value::Unusable, Value::Number);
    match tag {
        "2" | "65" | "66" | "67" | "70" | "71" => number(),
        "4" => Value::text(text.as_bytes()),
        "4x" => hex::decode(text.trim()).map_or(Value::Unusable, |bytes| Value::text(&bytes)),
        "6" => Oid::parse(text.trim()).map_or(Value::Unusable, Value::Oid),
        "68x" => hex::decode(text.trim()).map_or(Value::Unusable, |bytes| Value::opaque(&bytes)),
        _ => Value::Unusable,
    }
}

impl Session for Recording {
    fn get<'a>(&'a self, oids: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Row>, PollError>> {
        let value = |oid: &Oid| self.0.get(oid).cloned().unwrap_or(Value::Absent);
        let rows = oids.iter().map(|oid| (oid.clone(), value(oid))).collect();
        Box::pin(std::future::ready(Ok(rows)))
    }

    fn walk<'a>(&'a self, column: &'a Oid) -> BoxFuture<'a, Result<Vec<Row>, PollError>> {
        let rows = self.0.range(column.clone()..).take_while(|(oid, _)| oid.after(column).is_some());
        let rows = rows.take(MAX_WALK_ROWS).map(|(oid, value)| (oid.clone(), value.clone())).collect();
        Box::pin(std::future::ready(Ok(rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(text: &str) -> Oid {
        Oid::parse(text).unwrap()
    }

    #[tokio::test]
    async fn lines_are_variables_and_remarks_are_not() {
        let recording = Recording::parse(
            "# a remark\n1.3.6.1|2|-5\r\n1.3.6.2|4x|41503F\n1.3.6.2.1|4|a|b\n1.3.6.3|6|1.3.6\n1.3.6.4|2:numeric|initial=3\n",
        );
        let asked = ["1.3.6.1", "1.3.6.2", "1.3.6.2.1", "1.3.6.3", "1.3.6.4", "1.3.6.5"].map(oid);
        let got: Vec<Value> = recording.get(&asked).await.unwrap().into_iter().map(|(_, v)| v).collect();
        let text = |t: &str| Value::Text(t.to_owned());
        let expected = [
            Value::Number(-5),
            text("AP?"),
            text("a|b"),
            Value::Oid(oid("1.3.6")),
            Value::Unusable,
            Value::Absent,
        ];
        assert_eq!(got, expected);
        let rows = recording.walk(&oid("1.3.6.2")).await.unwrap();
        assert_eq!(rows.len(), 2);
    }
}
