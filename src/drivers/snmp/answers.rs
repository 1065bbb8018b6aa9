//! What an answer must look like before a value of it counts, and the library's values in our words. Pure.

use async_snmp::{Error, ErrorStatus, VarBind};

use super::oid::Oid;
use super::session::{Following, Row, Value};
use crate::model::{ErrorKind, PollError};

/// The answer is not one to the question.
pub fn other_variables() -> PollError {
    PollError::new(
        ErrorKind::Protocol,
        "the agent answered with other variables than asked",
        "update the device's firmware; if it stays, lower `max_oids`",
    )
}

/// The answer to a GETNEXT: exactly one row for each variable asked, each further on in the tree.
pub fn next_rows(asked: &[async_snmp::Oid], answered: Vec<VarBind>) -> Result<Vec<Following>, PollError> {
    if answered.len() != asked.len() {
        return Err(other_variables());
    }
    let next = |(asked, row): (&async_snmp::Oid, VarBind)| match value(row.value) {
        Value::Absent => Ok(Following::End),
        _ if row.oid <= *asked => Err(PollError::new(
            ErrorKind::Protocol,
            format!("the agent's walk does not come to an end: after {asked} it goes back to {}", row.oid),
            "update the device's firmware",
        )),
        value => Oid::from_arcs(row.oid.arcs())
            .map(|oid| Following::Rows(vec![(oid, value)]))
            .ok_or_else(other_variables),
    };
    asked.iter().zip(answered).map(next).collect()
}

/// The answer to a GETBULK: row after row, each with one variable for each column; it may end anywhere, but not before it began.
/// None if it is anything else.
pub fn bulk_rows(after: &[Oid], rows: usize, answered: Vec<VarBind>) -> Option<Vec<Following>> {
    if answered.is_empty() || answered.len() > after.len().checked_mul(rows)? {
        return None;
    }
    let mut following: Vec<(Vec<Row>, bool)> = after.iter().map(|_| (Vec::new(), false)).collect();
    for (number, row) in answered.into_iter().enumerate() {
        let place = number.checked_rem(after.len())?;
        let (rows, ended) = following.get_mut(place)?;
        if *ended {
            continue;
        }
        match value(row.value) {
            Value::Absent => *ended = true,
            value => {
                let oid = Oid::from_arcs(row.oid.arcs())?;
                if oid <= *rows.last().map_or(after.get(place)?, |(oid, _)| oid) {
                    return None;
                }
                rows.push((oid, value));
            }
        }
    }
    let following = following.into_iter().map(|(rows, ended)| match (rows.is_empty(), ended) {
        (false, _) => Following::Rows(rows),
        (true, true) => Following::End,
        (true, false) => Following::Unanswered,
    });
    Some(following.collect())
}

/// Which variable the agent blames, counted from 0, and what it is worth then; none if the error is not about one.
pub fn blamed(error: &Error, asked: usize) -> Option<(usize, Value)> {
    let Error::Snmp { status, index, .. } = error.exchange_source() else { return None };
    let place = usize::try_from(*index).ok()?.checked_sub(1).filter(|place| *place < asked)?;
    match status {
        ErrorStatus::NoSuchName => Some((place, Value::Absent)),
        ErrorStatus::GenErr => Some((place, Value::Unusable)),
        _ => None,
    }
}

/// The values in the order asked. Some agents answer in another order; anything but exactly the variables asked is
/// refused whole.
pub fn in_order(asked: &[async_snmp::Oid], answered: Vec<VarBind>) -> Result<Vec<Value>, PollError> {
    if answered.len() != asked.len() {
        return Err(other_variables());
    }
    let mut answered: Vec<Option<VarBind>> = answered.into_iter().map(Some).collect();
    let take = |(place, oid): (usize, &async_snmp::Oid)| {
        let is_it = |v: &Option<VarBind>| v.as_ref().is_some_and(|v| v.oid == *oid);
        let found = if answered.get(place).is_some_and(is_it) {
            Some(place)
        } else {
            answered.iter().position(is_it)
        };
        let row = found.and_then(|place| answered.get_mut(place)).and_then(Option::take);
        row.map(|row| value(row.value)).ok_or_else(other_variables)
    };
    asked.iter().enumerate().map(take).collect()
}

fn value(value: async_snmp::Value) -> Value {
    use async_snmp::Value as V;
    match value {
        V::Integer(n) => Value::Number(n.into()),
        V::Counter32(n) | V::Gauge32(n) | V::UInteger32(n) | V::TimeTicks(n) => Value::Number(n.into()),
        V::Counter64(n) => i64::try_from(n).map_or(Value::Unusable, Value::Number),
        V::OctetString(bytes) => Value::text(&bytes),
        V::ObjectIdentifier(oid) => Oid::from_arcs(oid.arcs()).map_or(Value::Unusable, Value::Oid),
        V::Opaque(bytes) => Value::opaque(&bytes),
        V::NoSuchObject | V::NoSuchInstance | V::EndOfMibView => Value::Absent,
        _ => Value::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oid(last: u32) -> async_snmp::Oid {
        async_snmp::Oid::from_slice(&[1, 3, 6, last])
    }

    fn row(last: u32, n: i32) -> VarBind {
        VarBind::new(oid(last), async_snmp::Value::Integer(n))
    }

    #[test]
    fn a_reordered_answer_is_put_in_order() {
        let got = in_order(&[oid(1), oid(2)], vec![row(2, 20), row(1, 10)]).unwrap();
        assert_eq!(got, [Value::Number(10), Value::Number(20)]);
    }

    #[test]
    fn an_answer_with_other_variables_is_refused_whole() {
        for wrong in [vec![row(1, 1)], vec![row(1, 1), row(3, 3)], vec![row(1, 1), row(1, 1)], vec![]] {
            assert_eq!(in_order(&[oid(1), oid(2)], wrong).unwrap_err().kind, ErrorKind::Protocol);
        }
    }

    fn ours(last: u32) -> Oid {
        Oid::from_arcs(&[1, 3, 6, last]).unwrap()
    }

    fn end(last: u32) -> VarBind {
        VarBind::new(oid(last), async_snmp::Value::EndOfMibView)
    }

    #[test]
    fn a_bulk_answer_is_taken_apart_by_columns_and_may_be_cut() {
        let rows = |rows: &[(u32, i64)]| {
            Following::Rows(rows.iter().map(|(last, n)| (ours(*last), Value::Number(*n))).collect())
        };
        let after = [ours(10), ours(20), ours(30)];
        let got = |answer| bulk_rows(&after, 2, answer).unwrap();
        let whole = vec![row(11, 1), row(21, 2), end(30), row(12, 3), row(22, 4), end(30)];
        assert_eq!(got(whole), [rows(&[(11, 1), (12, 3)]), rows(&[(21, 2), (22, 4)]), Following::End]);
        assert_eq!(
            got(vec![row(11, 1), row(21, 2), row(31, 5), row(12, 3)]),
            [rows(&[(11, 1), (12, 3)]), rows(&[(21, 2)]), rows(&[(31, 5)])]
        );
        assert_eq!(got(vec![row(11, 1)]), [rows(&[(11, 1)]), Following::Unanswered, Following::Unanswered]);
        // Nothing, too much, backwards, the same again.
        for wrong in [
            vec![],
            (0..7).map(|n| row(40 + n, 1)).collect(),
            vec![row(9, 1)],
            vec![row(10, 1)],
            vec![row(11, 1), row(21, 1), row(31, 1), row(11, 1)],
        ] {
            assert_eq!(bulk_rows(&after, 2, wrong.clone()), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_step_goes_forward_or_is_refused() {
        let got = next_rows(&[oid(1), oid(2)], vec![row(2, 5), end(2)]).unwrap();
        assert_eq!(got, [Following::Rows(vec![(ours(2), Value::Number(5))]), Following::End]);
        for wrong in [vec![], vec![row(2, 5)], vec![row(1, 5), row(3, 5)]] {
            assert_eq!(next_rows(&[oid(1), oid(2)], wrong).unwrap_err().kind, ErrorKind::Protocol);
        }
    }
}
