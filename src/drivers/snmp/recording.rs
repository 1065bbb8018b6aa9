//! [`Session`] over a recording: a `.snmprec` file as `snmpsim-record-commands` writes it, `OID|TYPE|VALUE` a line. For people who
//! write profiles, and for tests of what profiles say; devices are played over the wire by snmpsim.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;

use super::oid::Oid;
use super::session::{Following, Row, Session, Value};
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

/// Rows that one [`Session::next`] gives of each column.
const ROWS: usize = 50;

impl Session for Recording {
    fn width(&self) -> usize {
        ROWS
    }

    fn get<'a>(&'a self, oids: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Value>, PollError>> {
        let values = oids.iter().map(|oid| self.0.get(oid).cloned().unwrap_or(Value::Absent)).collect();
        Box::pin(std::future::ready(Ok(values)))
    }

    fn next<'a>(&'a self, after: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Following>, PollError>> {
        let following = |oid: &Oid| {
            let rows = self.0.range((Bound::Excluded(oid), Bound::Unbounded)).take(ROWS);
            let rows: Vec<Row> = rows.map(|(oid, value)| (oid.clone(), value.clone())).collect();
            if rows.is_empty() { Following::End } else { Following::Rows(rows) }
        };
        Box::pin(std::future::ready(Ok(after.iter().take(ROWS).map(following).collect())))
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
        let got = recording.get(&asked).await.unwrap();
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
        let following = recording.next(&[oid("1.3.6.3"), oid("1.3.6.4")]).await.unwrap();
        assert_eq!(following, [Following::Rows(vec![(oid("1.3.6.4"), Value::Unusable)]), Following::End]);
    }
}
