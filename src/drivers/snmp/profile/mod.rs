//! Device knowledge, checked: what a profile says, as types. Files become profiles in `schema` (what may be written)
//! and `check` (what may be meant); `library` holds all profiles and finds the one for a device.

mod check;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod library;
mod scale;
mod schema;

use std::collections::BTreeMap;

pub use library::{BUILT_IN, Profiles};
pub use scale::{Factor, Scale, Sign};

use super::oid::Oid;
use crate::drivers::channels::Template;
use crate::model::{Joules, Quality, Quantity, Ratio};

/// How to read one family of devices.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name: in the configuration, the `profile` label and messages.
    pub name: String,
    /// The maker; empty where the profile reads devices of many, and `identity` asks the device.
    pub vendor: String,
    /// One line for people.
    pub about: String,
    /// The class of its devices' power measurement, where the maker says it.
    pub accuracy: Option<Ratio>,
    /// `sysObjectID` prefixes of its devices.
    pub sys_object_ids: Vec<Oid>,
    /// What `sysDescr` of its devices looks like.
    pub sys_descr: Vec<Pattern>,
    /// Whether it is tried after all others: it reads a standard that devices with a profile of their own have too.
    pub fallback: bool,
    /// Variables that only its devices have; for devices whose `sysObjectID` says nothing.
    pub probes: Vec<Oid>,
    /// What the agent can take.
    pub limits: Limits,
    /// Where the device says who it is.
    pub identity: Ident,
    /// What is measured, in order of preference where several give the same channel and quantity.
    pub groups: Vec<Group>,
    /// The file's text, where object identifiers in it depend on the device's `sysObjectID` (`.{id}`).
    template: Option<String>,
}

/// What an agent can take; none where it takes what others do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Most variables in one request.
    pub max_oids: Option<usize>,
    /// Most rows in one GETBULK; 1 is GETNEXT.
    pub max_repetitions: Option<usize>,
}

/// A regular expression; equal to another of the same text.
#[derive(Debug, Clone)]
pub struct Pattern(regex::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pattern {
    /// Whether it is found in `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Its first group in `text`.
    #[must_use]
    pub fn first_group<'t>(&self, text: &'t str) -> Option<&'t str> {
        Some(self.0.captures(text)?.get(1)?.as_str())
    }
}

/// For each part of the identity, variables of which the first with text is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ident {
    /// Maker, where the profile itself does not know it.
    pub vendor: Vec<Oid>,
    /// Model.
    pub model: Vec<Oid>,
    /// Serial number.
    pub serial: Vec<Oid>,
    /// Firmware version.
    pub firmware: Vec<Oid>,
}

impl Ident {
    /// Every variable.
    pub fn variables(&self) -> impl Iterator<Item = &Oid> {
        [&self.vendor, &self.model, &self.serial, &self.firmware].into_iter().flatten()
    }
}

/// Values of one table (or a few single variables) that share the channel's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The channel's name: `input`, `outlet/{n}`.
    pub channel: Template,
    /// Where each of the template's names comes from, and which rows count at all.
    pub vars: Vec<(String, Var)>,
    /// Which unit of a daisy chain a row belongs to. Channels of units past the first start with `unit/N/`.
    pub unit: Option<Var>,
    /// Which rows count: all must hold.
    pub conditions: Vec<Condition>,
    /// Where people's name for the channel stands; the first with text is taken.
    pub names: Vec<Cell>,
    /// Whether rows that give the same channel add up. Only where the device has no total of its own.
    pub sum: bool,
    /// The values.
    pub values: Vec<ValueRow>,
}

/// A variable beside a row's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Where it stands.
    pub place: Place,
    /// The parts of the row's index, each with what is added to it, that make the index in the other column; none: the same index.
    pub at: Option<Vec<(usize, i64)>>,
}

/// Something that a table row says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Var {
    /// Where it stands.
    pub source: Source,
    /// What it means.
    pub meaning: Meaning,
}

/// How what stands there becomes a word of a channel's name. A row whose word is not in a `map` does not count.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// A number.
    Number {
        /// Added to it.
        plus: i64,
        /// What each number means; none: the number itself.
        map: Option<BTreeMap<i64, String>>,
    },
    /// A text, or its part that the pattern's first group finds.
    Text {
        /// Which part; none: all of it.
        pattern: Option<Pattern>,
        /// What each text means; none: the text itself.
        map: Option<BTreeMap<String, String>>,
    },
    /// A number in a text, found by the pattern's first group.
    NumberIn {
        /// Where in the text.
        pattern: Pattern,
        /// Added to it.
        plus: i64,
    },
}

/// Where something about a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a variable.
    Cell(Cell),
    /// In the row's index, at this place.
    Part(usize),
}

/// A test of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// Of what.
    pub source: Source,
    /// The test.
    pub test: Test,
}

/// What must be so.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// The number is one of these.
    Is(Vec<i64>),
    /// The number is none of these, or there is nothing.
    Not(Vec<i64>),
    /// The text matches.
    Matches(Pattern),
    /// There is nothing, or, if false, something.
    Absent(bool),
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In a column: one value a row.
    Column(Oid),
    /// In a single variable.
    Scalar(Oid),
}

/// One value of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueRow {
    /// What it measures.
    pub quantity: Quantity,
    /// Where it stands.
    pub place: Place,
    /// Which rows count for this value: all must hold.
    pub conditions: Vec<Condition>,
    /// From the device's figures.
    pub scale: Scale,
    /// What the device itself says of its scale.
    pub modifiers: Vec<(Modifier, Cell)>,
    /// Measured, or computed by the device from settings.
    pub quality: Quality,
    /// Its class, where the maker says it.
    pub accuracy: Option<Ratio>,
    /// The channel of power that flows the other way.
    pub reverse: Option<Template>,
    /// This channel's power, while above 0, shows that a 0 here means "not measured".
    pub zero_is_missing_while: Option<String>,
}

/// What a number n beside a value says of its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifier {
    /// Over 10^n, if n is above 0.
    Decimals,
    /// Times 10^n.
    Exponent,
    /// Above 0 times n, below 0 over its absolute value.
    Factor,
    /// Times 10^(3(n-9)).
    SiPrefix,
}

impl Modifier {
    /// The factor that `n` stands for; none if it stands for none.
    #[must_use]
    pub fn factor(self, n: i64) -> Option<Factor> {
        match self {
            // RFC 3433 has a precision below 0 for digits that mean nothing: the number stands as it is.
            Self::Decimals => Factor::power_of_ten(n.max(0).checked_neg()?),
            Self::Exponent => Factor::power_of_ten(n),
            Self::Factor => Factor::signed(n),
            Self::SiPrefix => Factor::power_of_ten(n.checked_sub(9)?.checked_mul(3)?),
        }
    }
}

/// The JSON Schema of a profile's file.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(schema::RawProfile)
}
