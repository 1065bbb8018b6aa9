//! Device knowledge, checked: what a profile says, as types. Files become profiles in `schema` (what may be written) and `check`
//! (what may be meant).

mod check;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod schema;

use super::number::{Order, Scale, Type};
use super::wire::pdu::Table;
use crate::drivers::channels::Sign;
use crate::drivers::profiles;
use crate::model::{ChannelId, Quality, Quantity, Ratio};

/// How to read one family of meters.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name: in the configuration, the `profile` label and messages.
    pub name: String,
    /// The maker; empty where the device says it.
    pub vendor: String,
    /// One line for people.
    pub about: String,
    /// Most registers in one request.
    pub max_registers: u16,
    /// Unused registers that may be read along.
    pub max_gap: u16,
    /// Where the device says who it is.
    pub identity: Ident,
    /// The channels, in the order of the file.
    pub channels: Vec<Channel>,
    /// The values, in order of preference where several give the same channel and quantity.
    pub values: Vec<Value>,
    /// Pairs of channels that power flows through in opposite directions.
    pub opposites: Vec<(ChannelId, ChannelId)>,
}

impl Profile {
    /// The same for a meter whose current transformers are turned round: a counter of one direction counts the other one. One
    /// that has no channel for the other direction is left out.
    #[must_use]
    pub fn turned_round(&self) -> Self {
        let mut turned = self.clone();
        turned.values.retain_mut(|value| {
            if value.quantity != Quantity::Energy {
                return true;
            }
            let opposite = self.opposites.iter().find_map(|(one, other)| {
                if *one == value.channel { Some(other) } else { (*other == value.channel).then_some(one) }
            });
            opposite.is_some_and(|opposite| {
                value.channel = opposite.clone();
                true
            })
        });
        turned
    }
}

/// For each part of the identity, places of which the first with text is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ident {
    /// Maker.
    pub vendor: Vec<Text>,
    /// Model.
    pub model: Vec<Text>,
    /// Serial number.
    pub serial: Vec<Text>,
    /// Firmware version.
    pub firmware: Vec<Text>,
}

/// Where text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// In registers, two characters each.
    Characters(Span),
    /// As a number.
    Number(Span, Type, Order),
    /// As an object of Read Device Identification.
    Object(u8),
}

/// Registers that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Of which table.
    pub table: Table,
    /// The first, counted from 0.
    pub start: u16,
    /// How many.
    pub count: u16,
}

/// A channel of the meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its name.
    pub id: ChannelId,
    /// Where people have named it on the device.
    pub name: Option<Text>,
    /// How far off its power may be: the class of the meter.
    pub accuracy: Option<Ratio>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Of which channel.
    pub channel: ChannelId,
    /// What it measures.
    pub quantity: Quantity,
    /// The registers whose numbers add up to it; one, nearly always.
    pub spans: Vec<Span>,
    /// Type of the numbers.
    pub kind: Type,
    /// Order of their registers.
    pub order: Order,
    /// From numbers to values.
    pub scale: Scale,
    /// Numbers that mean "no value".
    pub missing: Vec<f64>,
    /// Values outside of this mean nothing.
    pub valid: (f64, f64),
    /// Measured, or computed by the device.
    pub quality: Quality,
    /// What a minus means.
    pub sign: Sign,
    /// The number at which an energy counter begins again at 0.
    pub wraps_at: Option<f64>,
    /// The least difference that a floating energy counter shows.
    pub step: f64,
}

impl profiles::Profile for Profile {
    const PROTOCOL: &'static str = "modbus";

    fn name(&self) -> &str {
        &self.name
    }

    fn understand(text: &str) -> Result<Self, Vec<String>> {
        check::profile(profiles::parse(text)?)
    }
}

/// What a profile's file may say, for editors.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(schema::RawProfile)
}

#[cfg(test)]
mod tests;
