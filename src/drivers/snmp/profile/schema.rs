//! A profile as a file says it: every key there is, with the words that editors show. Nothing here is trusted; `check` makes a
//! [`super::Profile`] of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// How to read one family of SNMP devices.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "snmp profile")]
pub struct RawProfile {
    /// `snmp`.
    #[schemars(extend("const" = "snmp"))]
    pub protocol: String,
    /// The profile's name and that of its file, without `.yaml`: lower-case letters, digits and `-`.
    #[schemars(regex(pattern = "^[a-z0-9-]+$"))]
    pub name: String,
    /// The maker. Leave it out where the device says it (`identity.vendor`).
    #[serde(default)]
    pub vendor: String,
    /// One line for people: which devices, by which MIB.
    pub about: String,
    /// The class of the device's power measurement, such as `1 %`, where a document of the maker says so.
    #[schemars(regex(pattern = r"^[0-9.]+ ?%$"))]
    pub accuracy: Option<String>,
    /// Which devices it reads.
    #[serde(rename = "match")]
    pub matching: RawMatch,
    /// What the device's agent can take.
    #[serde(default)]
    pub limits: RawLimits,
    /// Where the device says who it is: for each, single variables or columns with their row, of which the first with text is taken.
    #[serde(default)]
    pub identity: RawIdent,
    /// What is measured. Where several entries give the same channel and quantity, the first that has a value is read.
    #[schemars(length(min = 1))]
    pub channels: Vec<RawGroup>,
}

/// Which devices a profile reads. A device's candidates in order: `sys_object_ids` (longest prefix first), `sys_descr`, `probes`,
/// then those with `fallback`. The first that gives at least one value is taken.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMatch {
    /// Tried after all others: it reads a standard that devices with a profile of their own have too.
    #[serde(default)]
    pub fallback: bool,
    /// Prefixes of the device's sysObjectID. Where an object identifier elsewhere in the profile contains `.{id}`, the number that
    /// follows the prefix in the device's sysObjectID is put there: for makers with one MIB for each model.
    #[serde(default)]
    pub sys_object_ids: Vec<String>,
    /// Regular expressions of the device's sysDescr, for devices whose sysObjectID says nothing.
    #[serde(default)]
    pub sys_descr: Vec<String>,
    /// Variables that only these devices have; of a `fallback` also tables, any variable of which will do.
    #[serde(default)]
    pub probes: Vec<String>,
}

/// What an agent can take, where it dies of more.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLimits {
    /// Most variables in one request.
    #[schemars(range(min = 1, max = 48))]
    pub max_oids: Option<usize>,
    /// Most rows asked for by one GETBULK; 1 means plain GETNEXT.
    #[schemars(range(min = 1, max = 25))]
    pub max_repetitions: Option<usize>,
}

/// Where a device says who it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawIdent {
    /// Maker, where the profile itself does not know it.
    pub vendor: Vec<String>,
    /// Model.
    pub model: Vec<String>,
    /// Serial number.
    pub serial: Vec<String>,
    /// Firmware version.
    pub firmware: Vec<String>,
}

/// Values of one table, or single variables, that share the channel's name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGroup {
    /// The channel's name: `input` (the device's total), `phase/L1`, `bank/1`, `outlet/{n}`, `sensor/{n}`; for UPSes `output`,
    /// `bypass/L1`. Names in braces come from `vars`.
    pub channel: String,
    /// For each name in braces, where a row says it. `unit` never stands in `channel`: it is the unit of a daisy chain, from 1, and
    /// units past the first get `unit/N/` in front.
    #[serde(default)]
    pub vars: BTreeMap<String, RawVar>,
    /// Which rows count; all must hold.
    #[serde(default, rename = "where")]
    pub conditions: Vec<RawCondition>,
    /// Where the device keeps what people call the channel, such as an outlet's label; of a list the first with text.
    pub name: Option<RawName>,
    /// Rows of one channel add up. Only where the device has no total of its own.
    #[serde(default)]
    pub sum: bool,
    /// What is read of the channel.
    #[schemars(length(min = 1))]
    pub values: Vec<RawValue>,
}

/// A variable beside a row's own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["column"]}, {"required": ["scalar"]}]))]
pub struct RawCell {
    /// A column: its variable in the same row.
    pub column: Option<String>,
    /// A single variable, with its `.0`.
    pub scalar: Option<String>,
    /// The parts of this row's index, counted from 0, that make the row's index in that column; without it, the same index.
    pub at: Option<Vec<RawPart>>,
}

/// One place of a name, or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawName {
    /// Several.
    Any(Vec<RawCell>),
    /// One.
    One(RawCell),
}

/// A part of a row's index.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawPart {
    /// As it is, counted from 0.
    Same(usize),
    /// With something added: where one table counts from 0 and the other from 1.
    Moved {
        /// Which part, counted from 0.
        part: usize,
        /// Added to it.
        plus: i64,
    },
}

/// Where a row says a name, and what it means.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["column"]}, {"required": ["scalar"]}, {"required": ["part"]}]))]
pub struct RawVar {
    /// In a column of the same row.
    pub column: Option<String>,
    /// In a single variable, with its `.0`.
    pub scalar: Option<String>,
    /// See `column`: the parts of this row's index, counted from 0, that make the row's index in that column.
    pub at: Option<Vec<RawPart>>,
    /// At this place of the row's index, counted from 0.
    pub part: Option<usize>,
    /// The text itself is the word; white space and `/` become `-`.
    #[serde(default)]
    pub text: bool,
    /// A regular expression of the text: its first group is the word. Rows that do not match do not count.
    pub pattern: Option<String>,
    /// Added to the number.
    #[serde(default)]
    pub plus: i64,
    /// What each number, or with `text` and `pattern` each word, means. Rows that are not in it do not count.
    pub map: Option<BTreeMap<String, String>>,
}

/// A test of a row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [{"required": ["column"]}, {"required": ["scalar"]}, {"required": ["part"]}],
    "anyOf" = [{"required": ["is"]}, {"required": ["not"]}, {"required": ["matches"]}, {"required": ["absent"]}]
))]
pub struct RawCondition {
    /// Of the variable in this column of the same row. A row without it passes `not` and `absent` only.
    pub column: Option<String>,
    /// Of this single variable, with its `.0`.
    pub scalar: Option<String>,
    /// See `column`: the parts of this row's index, counted from 0, that make the row's index in that column.
    pub at: Option<Vec<RawPart>>,
    /// Of the number at this place of the row's index, counted from 0.
    pub part: Option<usize>,
    /// Its number is one of these.
    pub is: Option<Vec<i64>>,
    /// Its number is none of these, or it is not there.
    pub not: Option<Vec<i64>>,
    /// Its text matches this regular expression.
    pub matches: Option<String>,
    /// `true`: it is not there; `false`: it is.
    pub absent: Option<bool>,
}

/// One value of a channel.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["column"]}, {"required": ["scalar"]}]))]
pub struct RawValue {
    /// What is measured: `power` in W, `apparent_power` VA, `voltage` V, `current` A, `power_factor` 0 to 1, `frequency` Hz,
    /// `temperature` degrees Celsius, `humidity` 0 to 1, `flow` m3/s, `energy` J.
    #[schemars(extend("enum" = ["power", "apparent_power", "voltage", "current", "power_factor", "frequency", "temperature", "humidity", "flow", "energy"]))]
    pub quantity: String,
    /// A table's column, without the row's index: one value a row.
    pub column: Option<String>,
    /// A single variable, with its `.0`.
    pub scalar: Option<String>,
    /// What one step of the device's number is in the quantity's unit: 0.1 for tenths, 3600 for Wh. 1 if left out; energy needs it.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub scale: Option<f64>,
    /// Added after `scale`, in the quantity's unit: degrees Fahrenheit are scale 0.05555555555555555 (tenths) or 0.5555555555555556
    /// and offset -17.77777777777778.
    #[serde(default)]
    pub offset: f64,
    /// Numbers that mean "not supported". 4294967295 always does, and a number below 0 for all but temperature.
    #[serde(default)]
    pub missing: Vec<f64>,
    /// The least and the most that a number may be; outside it means nothing.
    pub valid: Option<[f64; 2]>,
    /// Which rows count for this value, beside those of the channel's `where`.
    #[serde(default, rename = "where")]
    pub conditions: Vec<RawCondition>,
    /// The number n in it says: the value is the number / 10^n.
    pub decimals: Option<RawCell>,
    /// The number n in it says: the value is the number x 10^n.
    pub exponent: Option<RawCell>,
    /// The number n in it says: above 0 the value is the number x n, below 0 the number / |n|.
    pub factor: Option<RawCell>,
    /// The code n in it (RFC 3433, EntitySensorDataScale; 9 is units) says: the value is the number x 10^(3(n-9)).
    pub si_prefix: Option<RawCell>,
    /// The number's sign is a direction (leading, lagging): the absolute value counts.
    #[serde(default)]
    pub magnitude: bool,
    /// Power only: a channel, with the same names in braces. A number below 0 is power that flows the other way: the channel itself
    /// reads 0 then, and this one the absolute value; a number from 0 up reads as it is, and this one 0.
    pub reverse: Option<String>,
    /// The number is a text that ends with this, such as `kW`.
    pub suffix: Option<String>,
    /// `estimated` where the device computes the value from a setting; otherwise `measured`.
    #[serde(default)]
    pub quality: RawQuality,
    /// Energy only: the counter's width, if it is known to wrap.
    #[schemars(range(min = 1, max = 64))]
    pub wraps_at_bits: Option<u32>,
    /// Power only: its class, such as `0.5 %`, where it is not that of the whole profile.
    #[schemars(regex(pattern = r"^[0-9.]+ ?%$"))]
    pub accuracy: Option<String>,
    /// A channel: while its power is above 0, a 0 here means "not measured".
    pub zero_is_missing_while: Option<String>,
}

/// How a value came to be.
#[derive(Debug, Default, Deserialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum RawQuality {
    /// A sensor measured it.
    #[default]
    Measured,
    /// The device computed it from a setting or a rating.
    Estimated,
}
