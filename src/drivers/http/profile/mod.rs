//! How to read one family of JSON devices, as a file says it: `schema` is what may stand there, `check` finds every mistake, `path`
//! leads to values, and this is what is left.

mod check;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod path;
mod schema;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

pub use path::{Path, Row, number, text};
pub use schema::RawAuth as Auth;

use crate::drivers::channels::{Sign, Template};
use crate::drivers::profiles;
use crate::model::{Quality, Quantity, Ratio};

/// How to read one family of JSON devices.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// The maker; empty where the device says it.
    pub(super) vendor: String,
    pub(super) accuracy: Option<Ratio>,
    pub(super) matching: Vec<Match>,
    pub(super) auth: Auth,
    pub(super) user: Option<String>,
    pub(super) refused: Option<Path>,
    pub(super) requests: Vec<Request>,
    pub(super) identity: Ident,
    pub(super) groups: Vec<Group>,
}

/// An answer that tells the device.
#[derive(Debug, Clone)]
pub(super) struct Match {
    pub(super) path: String,
    pub(super) conditions: Vec<Condition>,
}

/// What must hold of a row or answer.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    path: Path,
    rule: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    Is(Vec<String>),
    Not(Vec<String>),
    Matches(Regex),
}

impl Condition {
    /// Whether it holds. Of what is not there only `not` holds.
    pub(super) fn holds(&self, row: &Value) -> bool {
        let text = self.path.get(row).and_then(text);
        match (&self.rule, text) {
            (Rule::Is(wanted), Some(text)) => wanted.contains(&text),
            (Rule::Not(unwanted), Some(text)) => !unwanted.contains(&text),
            (Rule::Matches(pattern), Some(text)) => pattern.is_match(&text),
            (Rule::Not(_), None) => true,
            (Rule::Is(_) | Rule::Matches(_), None) => false,
        }
    }
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: String,
    /// Sent with POST; none for GET.
    pub(super) body: Option<String>,
    /// Whether values are read from its answer.
    pub(super) polled: bool,
}

/// Where the device says who it is: requests by their place, with paths.
#[derive(Debug, Clone, Default)]
pub(super) struct Ident {
    pub(super) vendor: Vec<(usize, Path)>,
    pub(super) model: Vec<(usize, Path)>,
    pub(super) serial: Vec<(usize, Path)>,
    pub(super) firmware: Vec<(usize, Path)>,
}

/// Where a channel's name for people stands.
#[derive(Debug, Clone)]
pub(super) enum Name {
    InRow(Path),
    In(usize, Path),
}

/// Channels of one kind.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) channel: Template,
    pub(super) request: usize,
    pub(super) each: Path,
    pub(super) vars: Vec<(String, Var)>,
    pub(super) conditions: Vec<Condition>,
    pub(super) name: Option<Name>,
    pub(super) sum: bool,
    pub(super) values: Vec<ValueRow>,
}

/// What fills a hole.
#[derive(Debug, Clone)]
pub(super) struct Var {
    source: Source,
    plus: i64,
    pattern: Option<Regex>,
    map: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone)]
enum Source {
    Part(usize),
    Path(Path),
}

impl Var {
    /// The word for `row`; none where it does not count. Whitespace and slashes become `-`.
    pub(super) fn word(&self, row: &Row<'_>) -> Option<String> {
        let mut word = match &self.source {
            Source::Part(part) => row.parts.get(*part)?.clone(),
            Source::Path(path) => text(path.get(row.value)?)?,
        };
        if let Some(pattern) = &self.pattern {
            word = pattern.captures(&word)?.get(1)?.as_str().to_owned();
        }
        if self.plus != 0 {
            word = word.trim().parse::<i64>().ok()?.checked_add(self.plus)?.to_string();
        }
        if let Some(map) = &self.map {
            word = map.get(&word)?.clone();
        }
        let word = word.trim();
        let plain = |c: char| if c.is_whitespace() || c.is_control() || c == '/' { '-' } else { c };
        (!word.is_empty()).then(|| word.chars().map(plain).collect())
    }
}

/// One number of a row.
#[derive(Debug, Clone)]
pub(super) struct ValueRow {
    pub(super) quantity: Quantity,
    pub(super) path: Path,
    pub(super) minus: Option<Path>,
    pub(super) scale: f64,
    pub(super) step: Option<f64>,
    pub(super) missing: Vec<f64>,
    pub(super) valid: Option<(f64, f64)>,
    /// What a minus means.
    pub(super) sign: Sign,
    pub(super) quality: Quality,
    pub(super) conditions: Vec<Condition>,
    pub(super) accuracy: Option<Ratio>,
}

impl profiles::Profile for Profile {
    const PROTOCOL: &'static str = "http";

    fn name(&self) -> &str {
        &self.name
    }

    fn understand(text: &str) -> Result<Self, Vec<String>> {
        check::profile(profiles::parse(text)?)
    }
}

/// The JSON Schema of a profile's file, for editors.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(schema::RawProfile)
}
