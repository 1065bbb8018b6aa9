//! A profile as a file says it: every key there is. Nothing here is trusted; `check` makes a [`super::Profile`] of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// How to read one family of JSON devices.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "http-profile")]
pub struct RawProfile {
    /// `http`.
    pub protocol: String,
    /// Its name: lower-case letters, digits and `-`; the name of the file.
    pub name: String,
    /// The maker; leave it out where the device says it.
    #[serde(default)]
    pub vendor: String,
    /// One line for people.
    pub about: String,
    /// Class of the power measurement, such as `1 %`; a value may say its own.
    pub accuracy: Option<RawShare>,
    /// Answers by which the device is recognised; one of them is enough.
    #[serde(default, rename = "match")]
    pub matching: Vec<RawMatch>,
    /// How the device wants user and password, where it wants them.
    #[serde(default)]
    pub auth: RawAuth,
    /// The user, where the device has only one.
    pub user: Option<String>,
    /// A path in the first answer that is there only where user or password is refused with a good status.
    pub refused: Option<String>,
    /// What is asked, at most 8. Those that hold values are asked every poll, the others once an hour.
    pub requests: Vec<RawRequest>,
    /// Who the device says it is: the first with text wins.
    #[serde(default)]
    pub identity: RawIdent,
    /// What is read.
    pub channels: Vec<RawGroup>,
}

/// How a device wants user and password.
#[derive(Debug, Default, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum RawAuth {
    /// Not at all: a password in the configuration is a mistake.
    #[default]
    None,
    /// HTTP Basic.
    Basic,
    /// HTTP Digest.
    Digest,
    /// As `user` and `password` in the query.
    Query,
}

/// `1 %` or `0.01`.
#[derive(Debug, Deserialize, JsonSchema, Clone)]
#[serde(untagged)]
pub enum RawShare {
    /// `0.01`
    Number(f64),
    /// `1 %`
    Text(String),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMatch {
    /// What is asked, such as `/shelly`.
    pub path: String,
    /// What the answer must say.
    #[serde(rename = "where")]
    pub conditions: Vec<RawCondition>,
}

/// What must hold of the text or number at a path.
#[derive(Debug, Deserialize, JsonSchema, Clone)]
#[serde(deny_unknown_fields)]
pub struct RawCondition {
    /// Keys joined by `/`; numbers are places in an array.
    pub path: String,
    /// One of these.
    pub is: Option<Vec<Value>>,
    /// None of these.
    pub not: Option<Vec<Value>>,
    /// Text with a match of this regular expression.
    pub matches: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRequest {
    /// What the others call it; may be left out where there is one.
    #[serde(default)]
    pub name: String,
    /// Absolute path and query.
    pub path: String,
    /// `GET` (default), or `POST` with `body`.
    #[serde(default)]
    pub method: RawMethod,
    /// JSON that is sent with POST.
    pub body: Option<Value>,
}

#[derive(Debug, Default, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq)]
pub enum RawMethod {
    #[default]
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "POST")]
    Post,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawIdent {
    pub vendor: Vec<RawText>,
    pub model: Vec<RawText>,
    pub serial: Vec<RawText>,
    pub firmware: Vec<RawText>,
}

/// Text at a path of an answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawText {
    /// In the answer of this request. Default: the channel's, or the first.
    pub request: Option<String>,
    /// Keys joined by `/`.
    pub path: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGroup {
    /// Its name, such as `switch/{n}`.
    pub channel: String,
    /// Whose answer it is read from. Default: the first request.
    pub request: Option<String>,
    /// Where its rows stand, with `*` for every key of an object or place of an array: `meters/*`. Default: the answer is one row.
    pub each: Option<String>,
    /// What fills the holes in `channel`.
    #[serde(default)]
    pub vars: BTreeMap<String, RawVar>,
    /// Rows that count; all must hold.
    #[serde(default, rename = "where")]
    pub conditions: Vec<RawCondition>,
    /// What people call the channel on the device. Without `request` the path starts at the row; with it at that answer, and holes are filled.
    pub name: Option<RawText>,
    /// Whether rows of one channel add up; only where the device has no total.
    #[serde(default)]
    pub sum: bool,
    /// What is read of each row.
    pub values: Vec<RawValue>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawVar {
    /// The key or place (from 0) at this `*` of `each`, counted from 0.
    pub part: Option<usize>,
    /// Or what stands at this path of the row.
    pub path: Option<String>,
    /// Added to a number.
    #[serde(default)]
    pub plus: i64,
    /// The first group of this regular expression is the word; rows without a match do not count.
    pub pattern: Option<String>,
    /// Other words for these; rows that are not in it do not count.
    pub map: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawValue {
    /// What it is: `power`, `energy`, `voltage` ...
    pub quantity: String,
    /// Where it stands in the row; empty for the row itself.
    pub path: String,
    /// What is taken off it, where it is there: exported energy.
    pub minus: Option<String>,
    /// Number to base unit (W VA V A ratio Hz Cel ratio m3/s J); needed for energy.
    pub scale: Option<f64>,
    /// The least difference that it shows, in its own unit: for energy, and for power where it matters. Default for energy: 1.
    pub step: Option<f64>,
    /// Numbers that mean "not supported".
    #[serde(default)]
    pub missing: Vec<f64>,
    /// Numbers outside mean nothing.
    pub valid: Option<(f64, f64)>,
    /// The sign is a direction: the absolute value counts.
    #[serde(default)]
    pub magnitude: bool,
    /// Power only: a channel, with the same names in braces. A number below 0 is power that flows the other way: the channel itself
    /// reads 0 then, and this one the absolute value; a number from 0 up reads as it is, and this one 0.
    pub reverse: Option<String>,
    /// `measured` (default), or `estimated` where the device computes it from a setting.
    #[serde(default)]
    pub quality: RawQuality,
    /// For this value only, as above.
    #[serde(default, rename = "where")]
    pub conditions: Vec<RawCondition>,
    /// Class of this power, in place of the profile's.
    pub accuracy: Option<RawShare>,
}

#[derive(Debug, Default, Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum RawQuality {
    #[default]
    Measured,
    Estimated,
}
