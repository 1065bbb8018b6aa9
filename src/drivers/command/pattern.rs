//! What a line means: its fields, which lines count, and which field is which channel's quantity. Pure.

use std::borrow::Cow;

use regex::Regex;
use serde_json::Value;

use crate::drivers::channels::Template;
use crate::model::{ChannelId, Joules, Measure, Quality, Quantity, Reading};

/// The most columns or pairs of a line that are looked at.
const MAX_FIELDS: usize = 1024;
/// The most records of one line or document, such as the entries of a JSON array.
const MAX_RECORDS: usize = 1024;

/// How a line is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Columns, counted from 1, between separators; a space stands for any white space.
    Csv {
        /// What stands between columns.
        separator: char,
    },
    /// `key=value`, several of them with white space, commas or semicolons between.
    KeyValue,
    /// A JSON document; a list is several of them.
    Json,
    /// Whatever this regular expression finds, by the names of its groups.
    Regex(String),
}

/// Where a field stands: the number of a column, a key, a JSON pointer (RFC 6901; its first slash may be left out), the
/// name of a group.
pub type Field = String;

/// What must hold of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The field.
    pub from: Field,
    /// What it must say.
    pub is: String,
}

/// One reading of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The field that holds the number.
    pub from: Field,
    /// The channel; `{FIELD}` in it is filled from the line.
    pub channel: String,
    /// What is measured.
    pub quantity: Quantity,
    /// What the number is multiplied by to be in base units.
    pub scale: f64,
    /// How the value comes to be.
    pub quality: Quality,
    /// Step of an energy counter, in the program's unit; by the digits of the number if not given.
    pub step: Option<f64>,
    /// Where an energy counter wraps to 0, in the program's unit.
    pub wraps_at: Option<f64>,
}

/// Why a pattern cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Of a channel's name.
    #[error("{0}")]
    Template(String),
    /// Of a regular expression.
    #[error("{0}")]
    Regex(String),
}

/// A checked pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    form: Form,
    only_if: Vec<Condition>,
    rules: Vec<(Rule, Template)>,
}

#[derive(Debug)]
enum Form {
    Csv(char),
    KeyValue,
    Json,
    Regex(Box<Regex>),
}

/// The fields of one line.
enum Record<'a> {
    Columns(Vec<Cow<'a, str>>),
    Pairs(Vec<(&'a str, &'a str)>),
    Json(&'a Value),
    Groups(regex::Captures<'a>),
}

impl Pattern {
    pub(super) fn new(format: &Format, only_if: &[Condition], rules: &[Rule]) -> Result<Self, PatternError> {
        let form = match format {
            Format::Csv { separator } => Form::Csv(*separator),
            Format::KeyValue => Form::KeyValue,
            Format::Json => Form::Json,
            Format::Regex(regex) => Form::Regex(Box::new(
                Regex::new(regex).map_err(|error| PatternError::Regex(error.to_string()))?,
            )),
        };
        let rule =
            |rule: &Rule| Ok((rule.clone(), Template::parse(&rule.channel).map_err(PatternError::Template)?));
        Ok(Self {
            form,
            only_if: only_if.to_vec(),
            rules: rules.iter().map(rule).collect::<Result<_, PatternError>>()?,
        })
    }

    /// Whether a whole output is one document, rather than each line.
    pub(super) const fn is_document(&self) -> bool {
        matches!(self.form, Form::Json)
    }

    /// The readings of a line, or of a document; none if it does not count or has no value.
    pub(super) fn read(&self, text: &str) -> Vec<Reading> {
        match &self.form {
            Form::Csv(separator) => self.record(&Record::Columns(columns(text, *separator))),
            Form::KeyValue => self.record(&Record::Pairs(pairs(text))),
            Form::Json => match serde_json::from_str(text) {
                Ok(Value::Array(list)) => {
                    list.iter().take(MAX_RECORDS).flat_map(|one| self.record(&Record::Json(one))).collect()
                }
                Ok(one) => self.record(&Record::Json(&one)),
                Err(_) => Vec::new(),
            },
            Form::Regex(regex) => {
                regex.captures(text).map_or_else(Vec::new, |found| self.record(&Record::Groups(found)))
            }
        }
    }

    fn record(&self, record: &Record<'_>) -> Vec<Reading> {
        let counts = |c: &Condition| record.field(&c.from).is_some_and(|text| text.trim() == c.is);
        if !self.only_if.iter().all(counts) {
            return Vec::new();
        }
        self.rules.iter().filter_map(|(rule, template)| rule.read(template, record)).collect()
    }
}

impl Rule {
    fn read(&self, template: &Template, record: &Record<'_>) -> Option<Reading> {
        let text = record.field(&self.from)?;
        let (number, step) = number(&text, self.quantity)?;
        let holes: Vec<(&str, String)> = template
            .holes()
            .map(|hole| Some((hole, record.field(hole)?.trim().to_owned())))
            .collect::<Option<_>>()?;
        let fill = |name: &str| holes.iter().find(|(hole, _)| *hole == name).map(|(_, text)| text.as_str());
        let channel = ChannelId::new(&template.fill(fill)?).ok()?;
        let joules = |value: f64| Joules::new(value * self.scale).ok();
        let quantum = joules(self.step.unwrap_or(step))?;
        let modulus = match self.wraps_at {
            Some(at) => Some(joules(at)?),
            None => None,
        };
        let measure = Measure::from_base_units(self.quantity, number * self.scale, quantum, modulus).ok()?;
        Some(Reading { channel, measure, quality: self.quality })
    }
}

impl Record<'_> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Columns(columns) => {
                let column = name.parse::<usize>().ok()?.checked_sub(1)?;
                Some(Cow::Borrowed(columns.get(column)?))
            }
            Self::Pairs(pairs) => {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| Cow::Borrowed(*value))
            }
            Self::Json(value) => {
                let found = if name.starts_with('/') {
                    value.pointer(name)
                } else {
                    value.get(name).or_else(|| value.pointer(&format!("/{name}")))
                };
                match found? {
                    Value::String(text) => Some(Cow::Borrowed(text)),
                    Value::Number(number) => Some(Cow::Owned(number.to_string())),
                    Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
                    Value::Null | Value::Array(_) | Value::Object(_) => None,
                }
            }
            Self::Groups(groups) => {
                let group = match name.parse() {
                    Ok(number) => groups.get(number),
                    Err(_) => groups.name(name),
                };
                Some(Cow::Borrowed(group?.as_str()))
            }
        }
    }
}

/// A number and the step in which it is written. The unit may stand behind it, if it is the base unit: of another one
/// nobody knows here what it is worth.
fn number(text: &str, quantity: Quantity) -> Option<(f64, f64)> {
    let text = text.trim();
    let unit = match quantity {
        Quantity::Temperature => "C",
        other => other.unit(),
    };
    let digits = text.strip_suffix(unit).map_or(text, str::trim_end);
    // What Rust takes for a number beyond digits: words such as `inf`.
    if !digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E')) {
        return None;
    }
    let number = digits.parse().ok()?;
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len().min(9));
    Some((number, 10f64.powi(-i32::try_from(decimals).unwrap_or(0))))
}

/// The columns of a line. Quotes hold separators, and two of them in quotes are one.
pub(super) fn columns(line: &str, separator: char) -> Vec<Cow<'_, str>> {
    if separator == ' ' {
        return line.split_whitespace().take(MAX_FIELDS).map(Cow::Borrowed).collect();
    }
    if !line.contains('"') {
        return line.split(separator).take(MAX_FIELDS).map(|one| Cow::Borrowed(one.trim())).collect();
    }
    let (mut columns, mut column, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '"' && quoted && chars.peek() == Some(&'"') {
            chars.next();
            column.push('"');
        } else if c == '"' {
            quoted = !quoted;
        } else if c == separator && !quoted && columns.len() < MAX_FIELDS {
            columns.push(Cow::Owned(std::mem::take(&mut column).trim().to_owned()));
        } else {
            column.push(c);
        }
    }
    columns.push(Cow::Owned(column.trim().to_owned()));
    columns
}

/// The pairs of a line.
fn pairs(line: &str) -> Vec<(&str, &str)> {
    line.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'))
        .take(MAX_FIELDS)
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key, value.trim_matches('"')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(from: &str, channel: &str, quantity: Quantity) -> Rule {
        Rule {
            from: from.into(),
            channel: channel.into(),
            quantity,
            scale: 1.0,
            quality: Quality::Measured,
            step: None,
            wraps_at: None,
        }
    }

    fn power(from: &str, channel: &str) -> Rule {
        rule(from, channel, Quantity::Power)
    }

    fn said(format: &Format, only_if: &[(&str, &str)], rules: &[Rule], line: &str) -> Vec<String> {
        let only_if: Vec<_> =
            only_if.iter().map(|(from, is)| Condition { from: (*from).into(), is: (*is).into() }).collect();
        let pattern = Pattern::new(format, &only_if, rules).unwrap();
        let show =
            |r: &Reading| format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value());
        pattern.read(line).iter().map(show).collect()
    }

    const CSV: Format = Format::Csv { separator: ',' };
    const NOTHING: [&str; 0] = [];

    #[test]
    fn a_wattmeters_lines_count_only_where_marker_and_status_say_so() {
        let rules = [power("4", "outlet/1"), power("5", "outlet/2")];
        let read = |line| said(&CSV, &[("2", "L"), ("3", "OK")], &rules, line);
        assert_eq!(read("1700000000.02,L,OK,101.5,99"), ["outlet/1 power 101.5", "outlet/2 power 99"]);
        assert_eq!(read("1700000000.02, L ,OK, 101.5 ,"), ["outlet/1 power 101.5"]);
        for other in ["1700000000.02,L,ERR,101.5,99", "1700000000.02,S,OK,1,2", "#time,L,OK", "", "L,OK,1"] {
            assert_eq!(read(other), NOTHING, "{other}");
        }
    }

    #[test]
    fn columns_may_be_quoted_or_stand_in_white_space() {
        let rules = [power("2", "x")];
        assert_eq!(said(&CSV, &[], &rules, r#""a, ""b""",12.5,"#), ["x power 12.5"]);
        assert_eq!(said(&Format::Csv { separator: ';' }, &[], &rules, "a;7"), ["x power 7"]);
        assert_eq!(said(&Format::Csv { separator: ' ' }, &[], &rules, "  1 \t 2  3"), ["x power 2"]);
    }

    #[test]
    fn pairs_documents_and_groups_are_understood() {
        let pairs = "power=101.5; volt=230.1,state=\"on\" junk";
        let rules = [power("power", "input"), rule("volt", "input", Quantity::Voltage)];
        let both = ["input power 101.5", "input voltage 230.1"];
        assert_eq!(said(&Format::KeyValue, &[("state", "on")], &rules, pairs), both);

        let json = r#"{"switch:0": {"apower": 12.5, "on": true}, "list": [1, "7.5 W"], "a": null}"#;
        let rules =
            [power("/switch:0/apower", "x"), power("list/1", "y"), power("/a", "z"), power("list", "z")];
        assert_eq!(
            said(&Format::Json, &[("/switch:0/on", "true")], &rules, json),
            ["x power 12.5", "y power 7.5"]
        );
        let rows = r#"[{"id": 1, "w": 5}, {"id": 2, "w": 6}, 7]"#;
        assert_eq!(
            said(&Format::Json, &[], &[power("w", "outlet/{id}")], rows),
            ["outlet/1 power 5", "outlet/2 power 6"]
        );

        let regex = Format::Regex(r"^CH(?<n>\d) +(?<kw>[\d.]+) kW$".into());
        let kilowatts = Rule { scale: 1000.0, ..power("kw", "outlet/{n}") };
        assert_eq!(
            said(&regex, &[], std::slice::from_ref(&kilowatts), "CH2   1.25 kW"),
            ["outlet/2 power 1250"]
        );
        assert_eq!(said(&regex, &[], &[kilowatts], "CH2   1.25 W"), NOTHING);
    }

    #[test]
    fn what_is_no_number_of_the_unit_is_no_reading() {
        let read = |text: &str| said(&CSV, &[], &[power("1", "x")], text);
        for good in ["12", "12.0", "+1.2e1", "12 W", "12W"] {
            assert_eq!(read(good), ["x power 12"], "{good}");
        }
        for bad in ["12 kW", "12 VA", "[N/A]", "inf", "NaN", "-12", "1e999", "0x0c", "12 34", "", "W"] {
            assert_eq!(read(bad), NOTHING, "{bad}");
        }
    }

    #[test]
    fn an_energy_counter_has_the_step_of_its_digits_unless_told() {
        let energy = |rule: Rule, line: &str| {
            let pattern = Pattern::new(&CSV, &[], &[rule]).unwrap();
            match pattern.read(line)[0].measure {
                Measure::Energy(counter) => counter,
                _ => panic!("no counter"),
            }
        };
        let kwh = Rule { scale: 3.6e6, ..rule("1", "input", Quantity::Energy) };
        let counter = energy(kwh.clone(), "12.50");
        assert_eq!((counter.total.get(), counter.quantum.get(), counter.modulus), (4.5e7, 3.6e4, None));
        let told = Rule { step: Some(0.1), wraps_at: Some(100_000.0), ..kwh };
        let counter = energy(told, "12.5");
        assert!((counter.quantum.get() - 3.6e5).abs() < 1e-6);
        assert_eq!(counter.modulus.unwrap().get(), 3.6e11);
    }

    proptest::proptest! {
        #[test]
        fn no_line_of_any_program_is_more_than_lines_and_readings(
            chunks in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..200), 0..8),
            text in r#"[-+0-9.eE,;= "{}\[\]:a\x00-\x1fé]{0,80}"#,
        ) {
            let regex = Format::Regex(r"(?<a>[0-9.]*)[,;](?<b>.*)".into());
            let names = ["1", "a", "/a", "2"];
            for format in [CSV, Format::Csv { separator: ' ' }, Format::KeyValue, Format::Json, regex] {
                let rules: Vec<_> = names
                    .iter()
                    .flat_map(|name| Quantity::ALL.map(|quantity| rule(name, "x/{1}{a}", quantity)))
                    .chain(names.iter().map(|name| power(name, "y")))
                    .collect();
                let pattern = Pattern::new(&format, &[], &rules).unwrap();
                let most = rules.len() * MAX_RECORDS;
                let mut lines = super::super::lines::Lines::default();
                let mut tell = |line: super::super::lines::Line<'_>| {
                    if let super::super::lines::Line::Text(text) = line {
                        assert!(pattern.read(text).len() <= most);
                    }
                };
                for chunk in &chunks {
                    lines.push(chunk, &mut tell);
                }
                lines.finish(&mut tell);
                for reading in pattern.read(&text) {
                    assert!(reading.measure.value().is_finite());
                }
            }
        }
    }
}
