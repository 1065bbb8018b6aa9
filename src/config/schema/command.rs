//! Keys of `command` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::bounds::some;
use crate::config::field::{Field, List};
use crate::config::leaf::Label;
use crate::model;

/// Any reader program that prints lines.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Command {
    /// The program and its arguments, at most 100, without a shell. A program with a slash in it starts from this file's
    /// folder, in which it runs; others are looked for in `PATH`.
    #[schemars(required, length(min = 1, max = 100))]
    #[garde(custom(some))]
    pub(in crate::config) run: List<String>,
    /// `stream` (default): it runs as long as the exporter, and prints each sample at once. `once`: each poll runs it.
    pub(in crate::config) mode: Field<CommandMode>,
    /// How its lines are written.
    #[schemars(required)]
    pub(in crate::config) format: Field<CommandFormat>,
    /// What stands between the columns of `csv`: one character; a space stands for any white space. Default a comma.
    pub(in crate::config) separator: Field<String>,
    /// The regular expression of `regex`, such as `^CH(?<n>\d+) (?<watts>[\d.]+) W$`.
    pub(in crate::config) pattern: Field<String>,
    /// Which lines count: those of which all of these hold. Default: all.
    #[garde(custom(some), dive)]
    pub(in crate::config) only_if: List<CommandCondition>,
    /// What is read from a line.
    #[schemars(required, length(min = 1))]
    #[garde(custom(some), dive)]
    pub(in crate::config) readings: List<CommandReading>,
    /// Variables of its environment beside `PATH` and `LC_ALL=C`: `NAME` hands ours on, `NAME=VALUE` sets it.
    pub(in crate::config) environment: List<String>,
}

/// How long a reader program lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum CommandMode {
    /// As long as the exporter.
    #[default]
    Stream,
    /// For one poll.
    Once,
}

/// How the lines of a reader program are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum CommandFormat {
    /// Columns, counted from 1.
    Csv,
    /// `key=value`, with white space, commas or semicolons between.
    KeyValue,
    /// A JSON document a line; with `mode: once` one in all. A list is several of them.
    Json,
    /// What `pattern` finds.
    Regex,
}

/// What must hold of a line.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct CommandCondition {
    /// The field: number of a column, key, JSON pointer such as `/em/0/power`, or name of a group.
    #[schemars(required)]
    pub(in crate::config) from: Field<Label>,
    /// What it says.
    #[schemars(required)]
    pub(in crate::config) is: Field<Label>,
}

/// A reading of a line.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct CommandReading {
    /// The field that holds the number, as in `only_if`. A field that is no number is no reading.
    #[schemars(required)]
    pub(in crate::config) from: Field<Label>,
    /// The channel, such as `outlet/1`; `{FIELD}` in it is filled from the line.
    #[schemars(required)]
    pub(in crate::config) channel: Field<Label>,
    /// What is measured.
    #[schemars(required)]
    pub(in crate::config) quantity: Field<CommandQuantity>,
    /// What the number is multiplied by to be in the base unit (W, VA, V, A, Hz, J, °C, m3/s, ratio). Default 1.
    #[garde(range(min = 1e-12, max = 1e12))]
    pub(in crate::config) scale: Field<f64>,
    /// `measured` (default), or `estimated` from a rating or setting.
    pub(in crate::config) quality: Field<CommandQuality>,
    /// Step of an energy counter, in the program's unit. Default: by the decimals of the number.
    #[garde(range(min = 1e-12, max = 1e12))]
    pub(in crate::config) step: Field<f64>,
    /// Where an energy counter wraps to 0, in the program's unit. Default: not known to wrap.
    #[garde(range(min = 1e-12, max = 1e18))]
    pub(in crate::config) wraps_at: Field<f64>,
}

/// What a number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum CommandQuantity {
    Power,
    ApparentPower,
    Voltage,
    Current,
    PowerFactor,
    Frequency,
    Temperature,
    Humidity,
    Flow,
    Energy,
}

impl From<CommandQuantity> for model::Quantity {
    fn from(name: CommandQuantity) -> Self {
        match name {
            CommandQuantity::Power => Self::Power,
            CommandQuantity::ApparentPower => Self::ApparentPower,
            CommandQuantity::Voltage => Self::Voltage,
            CommandQuantity::Current => Self::Current,
            CommandQuantity::PowerFactor => Self::PowerFactor,
            CommandQuantity::Frequency => Self::Frequency,
            CommandQuantity::Temperature => Self::Temperature,
            CommandQuantity::Humidity => Self::Humidity,
            CommandQuantity::Flow => Self::Flow,
            CommandQuantity::Energy => Self::Energy,
        }
    }
}

/// How a value comes to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum CommandQuality {
    /// A sensor measured it.
    #[default]
    Measured,
    /// It was computed from a setting or a rating.
    Estimated,
}
