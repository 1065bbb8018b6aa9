//! What a walk found, and what its rows say of themselves: variables beside them, conditions, words of names. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::oid::Oid;
use super::profile::{Cell, Condition, Meaning, Place, Source, Test, Var};
use super::session::{Row, Value};

/// What discovery found: the rows of every column and the single variables.
#[derive(Debug, Default)]
pub struct Found {
    columns: HashMap<Oid, BTreeMap<Vec<u32>, Value>>,
    scalars: HashMap<Oid, Value>,
}

impl Found {
    /// Takes the rows of a walked column.
    pub fn column(&mut self, column: &Oid, rows: Vec<Row>) {
        let rows = rows.into_iter().filter_map(|(oid, value)| Some((oid.after(column)?.to_vec(), value)));
        self.columns.insert(column.clone(), rows.collect());
    }

    /// The index of every row of a column, in order.
    pub fn rows(&self, column: &Oid) -> impl Iterator<Item = &Vec<u32>> {
        self.columns.get(column).into_iter().flat_map(BTreeMap::keys)
    }

    /// Takes single variables.
    pub fn scalars(&mut self, rows: impl Iterator<Item = Row>) {
        self.scalars.extend(rows.filter(|(_, value)| *value != Value::Absent));
    }

    /// The variable at a place.
    #[must_use]
    pub fn at(&self, place: &Place, index: &[u32]) -> Option<&Value> {
        match place {
            Place::Scalar(oid) => self.scalars.get(oid),
            Place::Column(column) => self.columns.get(column)?.get(index),
        }
    }

    /// The variable beside a row's own.
    #[must_use]
    pub fn cell(&self, cell: &Cell, index: &[u32]) -> Option<&Value> {
        let parts: Cow<'_, [u32]> = match &cell.at {
            None => Cow::Borrowed(index),
            Some(at) => {
                let moved = |(part, plus): &(usize, i64)| {
                    u32::try_from(i64::from(*index.get(*part)?).checked_add(*plus)?).ok()
                };
                at.iter().map(moved).collect::<Option<Vec<u32>>>()?.into()
            }
        };
        self.at(&cell.place, &parts)
    }

    fn number(&self, source: &Source, index: &[u32]) -> Option<i64> {
        match source {
            Source::Cell(cell) => self.cell(cell, index)?.number(),
            Source::Part(part) => Some(i64::from(*index.get(*part)?)),
        }
    }

    fn words(&self, source: &Source, index: &[u32]) -> Option<Cow<'_, str>> {
        match source {
            Source::Cell(cell) => self.cell(cell, index)?.words(),
            Source::Part(part) => Some(Cow::Owned(index.get(*part)?.to_string())),
        }
    }

    fn holds(&self, condition: &Condition, index: &[u32]) -> bool {
        let number = || self.number(&condition.source, index);
        match &condition.test {
            Test::Is(numbers) => number().is_some_and(|n| numbers.contains(&n)),
            Test::Not(numbers) => number().is_none_or(|n| !numbers.contains(&n)),
            Test::Absent(absent) => self.words(&condition.source, index).is_none() == *absent,
            Test::Matches(pattern) => {
                self.words(&condition.source, index).is_some_and(|text| pattern.matches(&text))
            }
        }
    }

    /// Whether a row counts.
    #[must_use]
    pub fn all_hold(&self, conditions: &[Condition], index: &[u32]) -> bool {
        conditions.iter().all(|condition| self.holds(condition, index))
    }

    /// The word that a row says; none if the row does not count.
    #[must_use]
    pub fn word(&self, var: &Var, index: &[u32]) -> Option<String> {
        match &var.meaning {
            Meaning::Number { plus, map } => {
                let number = self.number(&var.source, index)?.checked_add(*plus)?;
                match map {
                    Some(map) => map.get(&number).cloned(),
                    None => Some(number.to_string()),
                }
            }
            Meaning::NumberIn { pattern, plus } => {
                let text = self.words(&var.source, index)?;
                let number: i64 = pattern.first_group(&text)?.parse().ok()?;
                Some(number.checked_add(*plus)?.to_string())
            }
            Meaning::Text { pattern, map } => {
                let text = self.words(&var.source, index)?;
                let text = match pattern {
                    Some(pattern) => pattern.first_group(&text)?,
                    None => &text,
                };
                match map {
                    Some(map) => map.get(text).cloned(),
                    None => Some(as_word(text)).filter(|word| !word.is_empty()),
                }
            }
        }
    }
}

/// A text as a part of a channel's name: white space and `/` become `-`, one for several.
fn as_word(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for c in text.trim().chars() {
        let c = if c.is_whitespace() || c == '/' { '-' } else { c };
        if !(c == '-' && word.ends_with('-')) {
            word.push(c);
        }
    }
    word
}
