//! A profile as a file says it: every key there is. Nothing here is trusted; `check` makes a [`super::Profile`] of it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::drivers::modbus::number::{Order, Type};

/// How to read one family of Modbus meters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "wattribute Modbus profile")]
pub struct RawProfile {
    /// `modbus`.
    pub protocol: String,
    /// Its name: lower-case letters, digits and `-`; the name of its file without `.yaml`.
    pub name: String,
    /// The maker; leave it out where the device says it.
    #[serde(default)]
    pub vendor: String,
    /// One line for people.
    pub about: String,
    /// How far off power may be by the class of the meter, such as `1 %`; only where a maker's document says so.
    #[schemars(with = "Option<serde_json::Value>")]
    pub accuracy: Option<String>,
    /// What holds for all values unless they say otherwise.
    #[serde(default)]
    pub defaults: RawDefaults,
    /// What the device bears.
    #[serde(default)]
    pub limits: RawLimits,
    /// Where the device says who it is; of several the first with text wins.
    #[serde(default)]
    pub identity: RawIdent,
    /// What is measured.
    pub channels: Vec<RawChannel>,
}

/// What holds for all values unless they say otherwise.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawDefaults {
    /// 3 (holding registers, the default) or 4 (input registers).
    pub function: Option<u8>,
    /// Type of the numbers.
    #[serde(rename = "type")]
    pub kind: Option<Type>,
    /// Order of the registers of one number.
    pub word_order: Option<Order>,
}

/// What the device bears.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// Most registers in one request, 1 to 125. Default 125.
    pub max_registers: Option<u16>,
    /// Unused registers that may be read along where that saves a request. Default 0.
    pub max_gap: Option<u16>,
}

/// Where the device says who it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawIdent {
    /// Maker.
    pub vendor: Vec<RawText>,
    /// Model.
    pub model: Vec<RawText>,
    /// Serial number.
    pub serial: Vec<RawText>,
    /// Firmware version.
    pub firmware: Vec<RawText>,
}

/// Text: in registers, a number in registers, or an object of Read Device Identification.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawText {
    /// The first register, counted from 0.
    pub register: Option<u32>,
    /// How many registers of text, two characters each.
    pub registers: Option<u16>,
    /// A number instead: its type.
    #[serde(rename = "type")]
    pub kind: Option<Type>,
    /// Function 3 or 4; default as in `defaults`.
    pub function: Option<u8>,
    /// Word order of a number; default as in `defaults`.
    pub word_order: Option<Order>,
    /// Object of Read Device Identification (43/14): 0 vendor, 1 product code, 2 revision, 4 product name, 5 model.
    pub object: Option<u8>,
}

/// A channel, or several of a kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawChannel {
    /// Its name: `input`, `phase/L{n}`.
    pub channel: String,
    /// What stands for `{n}`, one word for each channel; every `register` is then a list of the same length.
    #[serde(default)]
    pub n: Vec<serde_json::Value>,
    /// Where people have named it on the device.
    pub name: Option<RawText>,
    /// Its values.
    pub values: Vec<RawValue>,
}

/// One register, or one for each channel of an entry.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawRegister {
    /// Of a single channel.
    One(u32),
    /// Of each of several.
    Each(Vec<u32>),
}

/// One value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawValue {
    /// power, apparent_power, voltage, current, power_factor, frequency, temperature, humidity, flow or energy.
    pub quantity: String,
    /// The first register as it stands on the wire, counted from 0: manuals often print one more, or 40001 more.
    pub register: RawRegister,
    /// Further registers with parts of the same value, which add up: tariffs.
    #[serde(default)]
    pub add: Vec<u32>,
    /// Function 3 or 4; default as in `defaults`.
    pub function: Option<u8>,
    /// Type of the number; default as in `defaults`.
    #[serde(rename = "type")]
    pub kind: Option<Type>,
    /// Order of its registers; default as in `defaults`.
    pub word_order: Option<Order>,
    /// From the number to the base unit (W VA V A ratio Hz Cel ratio m3/s J); required for energy and flow.
    pub scale: Option<f64>,
    /// Added after scaling.
    pub offset: Option<f64>,
    /// Numbers that mean "no value". NaN, all ones and the least and largest 32- and 64-bit numbers always do.
    #[serde(default)]
    pub missing: Vec<f64>,
    /// Values in base units outside of this mean nothing.
    pub valid: Option<[f64; 2]>,
    /// `estimated`: the device computes it from a setting.
    #[serde(default)]
    pub quality: RawQuality,
    /// The sign is a direction: the absolute value counts.
    #[serde(default)]
    pub magnitude: bool,
    /// Power only: a channel, with `{n}` as in `channel`. A number below 0 is power that flows the other way: the channel itself
    /// reads 0 then, and this one the absolute value; a number from 0 up reads as it is, and this one 0.
    pub reverse: Option<String>,
    /// Energy: the counter begins again at 0 with this many bits.
    pub wraps_at_bits: Option<u32>,
    /// Energy: the counter begins again at 0 with this number.
    pub wraps_at: Option<f64>,
    /// Energy as a floating number: the least difference it shows, as a number of the device.
    pub step: Option<f64>,
    /// As the profile's, for this value.
    #[schemars(with = "Option<serde_json::Value>")]
    pub accuracy: Option<String>,
}

/// How a value came to be.
#[derive(Debug, Default, Deserialize, Clone, Copy, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawQuality {
    /// A sensor measured it.
    #[default]
    Measured,
    /// The device computed it.
    Estimated,
}
