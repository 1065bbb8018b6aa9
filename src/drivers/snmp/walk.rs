//! Several columns walked at once, strictly forward, with limits: what the rows of a device are. Knows no socket.

use std::collections::VecDeque;

use super::oid::Oid;
use super::session::{Following, Row, Session};
use crate::model::{ErrorKind, PollError};

/// The most rows of one column. The largest chains have 300 outlets, some with a row for each of an outlet's 14 sensors.
const MAX_ROWS: usize = 5000;
/// The most rows of all columns: what a hostile agent may fill our memory with.
const MAX_ALL_ROWS: usize = 40_000;

/// A walk under way; it can be dropped between any two requests and goes on where it stopped.
#[derive(Debug, Default)]
pub struct Walk {
    open: VecDeque<Column>,
    done: Vec<(Oid, Vec<Row>)>,
    rows: usize,
}

#[derive(Debug)]
struct Column {
    column: Oid,
    rows: Vec<Row>,
}

impl Column {
    /// Where to go on.
    fn cursor(&self) -> &Oid {
        self.rows.last().map_or(&self.column, |(oid, _)| oid)
    }

    /// Takes what follows; says whether the column has come to its end.
    fn take(&mut self, rows: Vec<Row>) -> Result<bool, PollError> {
        for (oid, value) in rows {
            if oid.after(&self.column).is_none() {
                return Ok(true);
            }
            if oid <= *self.cursor() {
                return Err(endless(format!("it goes in circles at {oid}")));
            }
            if self.rows.len() >= MAX_ROWS {
                return Err(endless(format!("more than {MAX_ROWS} rows below {}", self.column)));
            }
            self.rows.push((oid, value));
        }
        Ok(false)
    }
}

fn endless(why: String) -> PollError {
    PollError::new(
        ErrorKind::Protocol,
        format!("the agent's walk does not come to an end: {why}"),
        "update the device's firmware; lowering `max_oids` to 1 makes walks go step by step (GETNEXT)",
    )
}

impl Walk {
    /// Of these columns; nothing is asked yet.
    #[must_use]
    pub fn of(columns: Vec<Oid>) -> Self {
        let open = columns.into_iter().map(|column| Column { column, rows: Vec::new() });
        Self { open: open.collect(), done: Vec::new(), rows: 0 }
    }

    /// Makes one request, if anything is left to ask; says whether all columns are walked.
    ///
    /// # Errors
    /// As [`Session::next`]; `Protocol` also when the walk goes in circles or does not end: it is spoilt then. After others what was found is kept.
    pub async fn step(&mut self, session: &dyn Session) -> Result<bool, PollError> {
        let asked: Vec<Oid> =
            self.open.iter().take(session.width().max(1)).map(|column| column.cursor().clone()).collect();
        if asked.is_empty() {
            return Ok(true);
        }
        let following = session.next(&asked).await?;
        if following.iter().all(|following| *following == Following::Unanswered) {
            return Err(PollError::new(
                ErrorKind::Protocol,
                "the agent answers a walk with nothing",
                "update the device's firmware; lowering `max_oids` to 1 makes walks go step by step (GETNEXT)",
            ));
        }
        // Whatever of them is not at its end goes on before columns that were not asked yet.
        let mut going = Vec::new();
        for following in following {
            let Some(mut column) = self.open.pop_front() else { break };
            let before = column.rows.len();
            let ended = match following {
                Following::Rows(rows) => column.take(rows)?,
                Following::End => true,
                Following::Unanswered => false,
            };
            self.rows = self.rows.saturating_add(column.rows.len().saturating_sub(before));
            if self.rows > MAX_ALL_ROWS {
                return Err(endless(format!("more than {MAX_ALL_ROWS} rows in all")));
            }
            if ended {
                self.done.push((column.column, column.rows));
            } else {
                going.push(column);
            }
        }
        going.into_iter().rev().for_each(|column| self.open.push_front(column));
        Ok(self.open.is_empty())
    }

    /// The rows of the columns that came to their end since the last call.
    pub fn finished(&mut self) -> Vec<(Oid, Vec<Row>)> {
        std::mem::take(&mut self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::snmp::recording::Recording;
    use crate::model::BoxFuture;

    #[tokio::test]
    async fn columns_that_are_each_small_do_not_fill_the_memory_together() {
        let row = |column: u32, n: u32| format!("1.3.{column}.{n}|2|1\n");
        let text: String = (1..=11).flat_map(|column| (1..=4000).map(move |n| row(column, n))).collect();
        let recording = Recording::parse(&text);
        let walk = |columns: u32| {
            let mut walk =
                Walk::of((1..=columns).filter_map(|column| Oid::from_arcs(&[1, 3, column])).collect());
            let session = &recording;
            Box::pin(async move {
                loop {
                    if walk.step(session).await? {
                        return Ok(walk.finished().len());
                    }
                }
            }) as BoxFuture<'_, Result<usize, PollError>>
        };
        assert_eq!(walk(9).await.unwrap(), 9);
        let error = walk(11).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol);
        assert!(error.cause.contains("more than 40000 rows in all"), "{error}");
    }
}
