//! `command` of a meter: a program, and a pattern that can find something.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use regex::Regex;

use super::Check;
use crate::config::field::Field;
use crate::config::leaf::Label;
use crate::config::problem::{Mark, shown};
use crate::config::schema::{self, CommandFormat as Format, CommandMode, CommandQuality, CommandQuantity};
use crate::config::types::{Command, CommandFormat, CommandReading};
use crate::model::{ChannelId, Quality};

/// The most arguments, and the most columns, that anybody has.
const MAX_ARGUMENTS: usize = 100;
const MAX_COLUMNS: usize = 1024;

impl Check<'_> {
    /// Checks the section. Whether the program is there is seen when it is started: a missing one stops its own meter only.
    pub(super) fn command(
        &mut self,
        raw: &schema::Command,
        at: Mark,
        folder: &Path,
        _timeout: Duration,
    ) -> Option<Command> {
        let run = self.command_line(raw, at);
        let format = self.command_format(raw, at);
        let kind = raw.format.get().copied();
        let only_if = raw.only_if.items().map(|(condition, at)| {
            let from = self.need(&condition.from, at, "from", "name the field that must say something");
            let is = self.need(&condition.is, at, "is", "write what it must say");
            let from = from.filter(|from| self.command_field(&condition.from, from, kind, format.as_ref()));
            Some((from?.0.clone(), is?.0.clone()))
        });
        let only_if: Vec<_> = only_if.collect();
        let environment: Vec<_> =
            raw.environment.items().map(|(text, at)| self.command_variable(text, at)).collect();
        let fix = "name at least one field, with its channel and quantity";
        self.need(&raw.readings, at, "readings", fix);
        let readings: Vec<_> = raw
            .readings
            .items()
            .map(|(reading, at)| self.command_reading(reading, at, kind, format.as_ref()))
            .collect();
        self.command_twice(raw);
        Some(Command {
            run: run?,
            folder: folder.to_owned(),
            once: raw.mode.get().copied().unwrap_or_default() == CommandMode::Once,
            format: format?,
            only_if: only_if.into_iter().collect::<Option<_>>()?,
            readings: readings.into_iter().collect::<Option<Vec<_>>>().filter(|some| !some.is_empty())?,
            environment: environment.into_iter().collect::<Option<_>>()?,
        })
    }

    fn command_line(&self, raw: &schema::Command, at: Mark) -> Option<Vec<String>> {
        self.need(
            &raw.run,
            at,
            "run",
            "write the program and its arguments as a list, such as [vmstat, -n, \"1\"]",
        );
        let (list, list_at) = raw.run.located()?;
        if list.len() > MAX_ARGUMENTS {
            self.error(
                list_at,
                format!("`run` has more than {MAX_ARGUMENTS} entries"),
                "put them into a script",
            );
        }
        let mut good = list.len() == raw.run.items().count();
        for (number, (text, at)) in raw.run.items().enumerate() {
            if text.contains('\0') || (number == 0 && text.is_empty()) {
                good = false;
                self.error(at, "an entry of `run` is no program or argument", "correct it");
            }
        }
        let line: Vec<_> = raw.run.items().map(|(text, _)| text.clone()).collect();
        (good && !line.is_empty()).then_some(line)
    }

    fn command_format(&self, raw: &schema::Command, at: Mark) -> Option<CommandFormat> {
        let format = *self.need(&raw.format, at, "format", "choose csv, key_value, json, regex")?;
        let (csv, regex) = (format == Format::Csv, format == Format::Regex);
        if !csv {
            self.refuse(&[("separator", raw.separator.is_absent())], at, "`format: csv` only", "remove it");
        }
        if !regex {
            let fix = "add `format: regex`, or remove it";
            self.refuse(&[("pattern", raw.pattern.is_absent())], at, "`format: regex` only", fix);
        }
        match format {
            Format::Csv => match &raw.separator {
                Field::Absent => Some(CommandFormat::Csv(',')),
                Field::Bad => None,
                Field::Is(text, at) => {
                    let mut chars = text.chars();
                    let one = chars.next().filter(|c| chars.next().is_none() && !matches!(c, '"' | '\n'));
                    if one.is_none() {
                        let what = format!("`separator` is `{}`, which is not one character", shown(text));
                        self.error(*at, what, "write one, such as ';', \"\\t\", or ' ' for any white space");
                    }
                    one.map(CommandFormat::Csv)
                }
            },
            Format::KeyValue => Some(CommandFormat::KeyValue),
            Format::Json => Some(CommandFormat::Json),
            Format::Regex => {
                let fix = "write the regular expression, with a group for each field: (?<watts>[\\d.]+)";
                let pattern = self.need(&raw.pattern, at, "pattern", fix)?;
                let place = raw.pattern.located().map_or(at, |(_, place)| place);
                match Regex::new(pattern) {
                    Ok(_) => Some(CommandFormat::Regex(pattern.clone())),
                    Err(error) => {
                        let text = error.to_string();
                        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                        let what = format!("`pattern` is no regular expression ({})", shown(why));
                        self.error(place, what, "correct it; in single quotes a backslash stays one");
                        None
                    }
                }
            }
        }
    }

    /// Whether a line of this format can have the field; `text` is what is written at `field`.
    fn command_field<T>(
        &self,
        field: &Field<T>,
        Label(text): &Label,
        kind: Option<Format>,
        format: Option<&CommandFormat>,
    ) -> bool {
        let Some((_, at)) = field.located() else { return false };
        let wrong = match (kind, format) {
            (Some(Format::Csv), _) => {
                let good = text.parse::<usize>().is_ok_and(|n| (1..=MAX_COLUMNS).contains(&n));
                (!good).then(|| ("no column", "write its number; the first is 1".to_owned()))
            }
            (Some(Format::Regex), Some(CommandFormat::Regex(pattern))) => {
                let regex = Regex::new(pattern).ok();
                let names: Vec<&str> = regex.iter().flat_map(|r| r.capture_names().flatten()).collect();
                let numbered = text.parse::<usize>().ok().zip(regex.as_ref());
                let good = names.contains(&text.as_str())
                    || numbered.is_some_and(|(number, regex)| number < regex.captures_len());
                let fix = if names.is_empty() {
                    "name a group in `pattern`: (?<watts>...)".to_owned()
                } else {
                    format!("`pattern` has {}", names.join(", "))
                };
                (!good).then_some(("no group", fix))
            }
            (Some(Format::KeyValue | Format::Json), _) => {
                text.is_empty().then(|| ("no field", "name one".to_owned()))
            }
            (Some(Format::Regex) | None, _) => None,
        };
        match wrong {
            None => true,
            Some((noun, fix)) => {
                self.error(at, format!("`{}` is {noun} of the line", shown(text)), fix);
                false
            }
        }
    }

    fn command_reading(
        &self,
        raw: &schema::CommandReading,
        at: Mark,
        kind: Option<Format>,
        format: Option<&CommandFormat>,
    ) -> Option<CommandReading> {
        let from = self.need(&raw.from, at, "from", "name the field that holds the number");
        let from = from.filter(|from| self.command_field(&raw.from, from, kind, format));
        let channel = self.need(&raw.channel, at, "channel", "name the channel, such as outlet/1");
        let channel = channel.filter(|channel| self.command_channel(&raw.channel, channel, kind, format));
        let quantity = self.need(&raw.quantity, at, "quantity", "say what is measured, such as power");
        let energy = quantity.is_none_or(|quantity| *quantity == CommandQuantity::Energy);
        if !energy {
            let counters = [("step", raw.step.is_absent()), ("wraps_at", raw.wraps_at.is_absent())];
            self.refuse(&counters, at, "`quantity: energy` only", "remove it");
        }
        Some(CommandReading {
            from: from?.0.clone(),
            channel: channel?.0.clone(),
            quantity: (*quantity?).into(),
            scale: if raw.scale.is_absent() { 1.0 } else { *raw.scale.get()? },
            quality: match raw.quality.get().copied().unwrap_or_default() {
                CommandQuality::Measured => Quality::Measured,
                CommandQuality::Estimated => Quality::Estimated,
            },
            step: raw.step.get().copied(),
            wraps_at: raw.wraps_at.get().copied(),
        })
    }

    /// Whether a channel's name is one, and each `{FIELD}` in it a field of the line.
    fn command_channel(
        &self,
        field: &Field<Label>,
        Label(text): &Label,
        kind: Option<Format>,
        format: Option<&CommandFormat>,
    ) -> bool {
        let Some((_, at)) = field.located() else { return false };
        let (mut rest, mut plain) = (text.as_str(), String::new());
        while let Some((before, after)) = rest.split_once('{') {
            let name = after.split_once('}').map(|(name, tail)| {
                rest = tail;
                name
            });
            let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let Some(name) = name.filter(|name| !name.is_empty() && name.chars().all(good)) else {
                let what = format!("`channel` is `{}`, with braces that hold no field", shown(text));
                self.error(
                    at,
                    what,
                    "write the field in braces, with letters, digits and _ only: outlet/{1}",
                );
                return false;
            };
            if !self.command_field(field, &Label(name.to_owned()), kind, format) {
                return false;
            }
            plain += before;
        }
        plain += rest;
        if rest.contains('}') || (text == &plain && ChannelId::new(text).is_err()) {
            self.error(at, format!("`channel` is `{}`", shown(text)), "write a name, such as outlet/1");
            return false;
        }
        true
    }

    /// Says of two readings that they are the same.
    fn command_twice(&self, raw: &schema::Command) {
        let mut first = BTreeMap::new();
        for (reading, at) in raw.readings.items() {
            let (Some(Label(channel)), Some(quantity)) = (reading.channel.get(), reading.quantity.get())
            else {
                continue;
            };
            if let Some(other) = first.insert((channel, format!("{quantity:?}")), at) {
                let place = self.problems.borrow().describe(other, at);
                let what = format!("`{}` is read twice, first {place}", shown(channel));
                self.error(at, what, "give one of the two another channel or quantity");
            }
        }
    }

    /// `NAME` or `NAME=VALUE`. A value is not shown.
    fn command_variable(&self, text: &str, at: Mark) -> Option<(String, Option<String>)> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let mut chars = name.chars();
        let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !starts || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') || text.contains('\0') {
            self.error(at, "an entry of `environment` names no variable", "write NAME, or NAME=VALUE");
            return None;
        }
        Some((name.to_owned(), value))
    }
}
