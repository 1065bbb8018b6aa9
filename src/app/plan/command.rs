//! `command`: from configuration to settings.

use crate::config;
use crate::drivers::command::{Condition, Format, Mode, Rule, Settings};

/// Settings of the driver, and its address for people: the program, without arguments.
pub(super) fn settings(of: &config::Command, poll: &config::Poll) -> (Settings, String) {
    let condition = |(from, is): &(String, String)| Condition { from: from.clone(), is: is.clone() };
    let rule = |reading: &config::CommandReading| Rule {
        from: reading.from.clone(),
        channel: reading.channel.clone(),
        quantity: reading.quantity,
        scale: reading.scale,
        quality: reading.quality,
        step: reading.step,
        wraps_at: reading.wraps_at,
    };
    let settings = Settings {
        run: of.run.clone(),
        folder: of.folder.clone(),
        mode: if of.once { Mode::Once } else { Mode::Stream },
        format: match &of.format {
            config::CommandFormat::Csv(separator) => Format::Csv { separator: *separator },
            config::CommandFormat::KeyValue => Format::KeyValue,
            config::CommandFormat::Json => Format::Json,
            config::CommandFormat::Regex(regex) => Format::Regex(regex.clone()),
        },
        only_if: of.only_if.iter().map(condition).collect(),
        rules: of.readings.iter().map(rule).collect(),
        environment: of.environment.clone(),
        // The rest of the deadline is for ending it and saying why.
        patience: poll.timeout.mul_f64(PATIENCE),
    };
    (settings, of.run.first().cloned().unwrap_or_default())
}

/// The share of a poll's deadline that is spent on waiting for the program.
const PATIENCE: f64 = 0.8;
