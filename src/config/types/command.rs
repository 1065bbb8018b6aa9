//! A meter's `command` section, checked.

use std::path::PathBuf;

use crate::model::{Quality, Quantity};

/// Any reader program that prints lines.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program and its arguments; not empty.
    pub run: Vec<String>,
    /// The folder of the configuration file.
    pub folder: PathBuf,
    /// Whether each poll runs it anew.
    pub once: bool,
    /// How its lines are written.
    pub format: CommandFormat,
    /// Fields and what they must say for a line to count.
    pub only_if: Vec<(String, String)>,
    /// What is read from a line; not empty.
    pub readings: Vec<CommandReading>,
    /// Variables of its environment; those without a value are handed on.
    pub environment: Vec<(String, Option<String>)>,
}

/// How the lines of a reader program are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandFormat {
    /// Columns between separators; a space stands for any white space.
    Csv(char),
    /// `key=value`.
    KeyValue,
    /// JSON documents.
    Json,
    /// What this regular expression finds; it is a good one.
    Regex(String),
}

/// A reading of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandReading {
    /// The field that holds the number.
    pub from: String,
    /// The channel, with fields in braces.
    pub channel: String,
    /// What is measured.
    pub quantity: Quantity,
    /// What the number is multiplied by; above 0.
    pub scale: f64,
    /// How the value comes to be.
    pub quality: Quality,
    /// Step of an energy counter, in the program's unit.
    pub step: Option<f64>,
    /// Where an energy counter wraps, in the program's unit.
    pub wraps_at: Option<f64>,
}
