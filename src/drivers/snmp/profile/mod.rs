//! Device knowledge, checked: what a profile says, as types. Files become profiles in `schema` (what may be written)
//! and `check` (what may be meant); `library` holds all profiles and finds the one for a device.

mod check;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod library;
mod schema;

use std::collections::BTreeMap;

pub use library::{BUILT_IN, Profiles};

use super::oid::Oid;
use crate::drivers::channels::Template;
use crate::model::{Joules, Quality, Quantity};

/// How to read one family of devices.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name: in the configuration, the `profile` label and messages.
    pub name: String,
    /// The maker; empty where the profile reads devices of many, and `identity` asks the device.
    pub vendor: String,
    /// One line for people.
    pub about: String,
    /// `sysObjectID` prefixes of its devices.
    pub sys_object_ids: Vec<Oid>,
    /// Whether it is tried after all others: it reads a standard that devices with a profile of their own have too.
    pub fallback: bool,
    /// Variables that only its devices have; for devices whose `sysObjectID` says nothing.
    pub probes: Vec<Oid>,
    /// Where the device says who it is.
    pub identity: Ident,
    /// What is measured, in order of preference where several give the same channel and quantity.
    pub groups: Vec<Group>,
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

/// Values of one table (or a few single variables) that share the channel's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The channel's name: `input`, `outlet/{n}`.
    pub channel: Template,
    /// Where each of the template's names comes from, and which rows count at all.
    pub vars: Vec<(String, Var)>,
    /// Which unit of a daisy chain a row belongs to. Channels of units past the first start with `unit/N/`.
    pub unit: Option<Var>,
    /// Whether rows that give the same channel add up. Only where the device has no total of its own.
    pub sum: bool,
    /// The values.
    pub values: Vec<ValueRow>,
}

/// Something that a table row says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Var {
    /// Where it stands.
    pub source: Source,
    /// Added to the number.
    pub plus: i64,
    /// What each number means; a row whose number is not in it does not count. None: the number itself.
    pub map: Option<BTreeMap<i64, String>>,
}

/// Where a number about a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In this column of the same row.
    Column(Oid),
    /// In the row's index, at this place.
    Part(usize),
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
    /// From the device's numbers.
    pub reading: Scale,
    /// Measured, or computed by the device from settings.
    pub quality: Quality,
    /// This channel's power, while above 0, shows that a 0 here means "not measured".
    pub zero_is_missing_while: Option<String>,
}

/// How a device's number becomes a value in base units.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    factor: Factor,
    missing: Vec<i64>,
    wraps_at_bits: Option<u32>,
}

/// Division by whole numbers is kept as such: 49 tenths are 4.9, not 4.9 and a bit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Factor {
    Times(f64),
    Over(f64),
}

/// All bits set in 32: "not supported", on every agent.
const ALL_ONES: i64 = 0xFFFF_FFFF;

impl Scale {
    /// The value in base units; none if the number stands for "not supported".
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a device's number; past 2^53 its last digits do not matter"
    )]
    pub fn apply(&self, number: i64) -> Option<f64> {
        if number == ALL_ONES || self.missing.contains(&number) {
            return None;
        }
        Some(self.factor.of(number as f64))
    }

    /// One step of the device's number, in base units: an energy counter's quantum.
    #[must_use]
    pub fn step(&self) -> Joules {
        Joules::new(self.factor.of(1.0)).unwrap_or(Joules::ZERO)
    }

    /// Where an energy counter wraps to 0.
    #[must_use]
    pub fn modulus(&self) -> Option<Joules> {
        let bits = i32::try_from(self.wraps_at_bits?).ok()?;
        Joules::new(self.factor.of(2.0_f64.powi(bits))).ok()
    }
}

impl Factor {
    fn of(self, number: f64) -> f64 {
        match self {
            Self::Times(factor) => number * factor,
            Self::Over(divisor) => number / divisor,
        }
    }
}
