//! Fuzz target of a program's output: any bytes, in pieces of any size, are lines, and lines readings that can be used.
//!
//! The first byte chooses the format (low three bits) and the size of the pieces; the rest is what the program prints.

#![allow(clippy::unwrap_used, clippy::panic, reason = "that is how a run fails")]

use std::collections::HashSet;

use super::lines::{Line, Lines, MAX_LINE, shown};
use super::pattern::{self, Condition, Format, Pattern, Rule};
use super::samples::Samples;
use super::stream;
use crate::model::{Moment, Quality, Quantity, Reading};

/// Entries of a JSON array, with a reading of each rule.
const MOST_READINGS: usize = 1024 * 4;

/// Runs one input.
pub fn lines(input: &[u8]) {
    let Some((&how, output)) = input.split_first() else { return };
    let (format, only_if) = format(how & 7);
    let separator = if let Format::Csv { separator } = &format { Some(*separator) } else { None };
    let pattern = Pattern::new(&format, &only_if, &rules()).unwrap();
    let piece = usize::from(how >> 3) + 1;

    let told = told(output, piece);
    assert_eq!(told, self::told(output, output.len().max(1)), "pieces make no difference");
    let mut samples = Samples::default();
    for (number, line) in told.iter().enumerate() {
        let found = pattern.read(line);
        found.iter().for_each(usable);
        assert!(found.len() <= MOST_READINGS);
        assert!(shown(line).chars().count() <= 120 && !shown(line).contains(char::is_control));
        if let Some(separator) = separator {
            quoted(line, separator);
        }
        samples.take(line, found);
        if number % piece == 0 {
            samples.end(Moment::from_nanos(u64::try_from(number).unwrap() * 1_000_000));
        }
    }
    let waiting = samples.drain();
    assert!(waiting.windows(2).all(|pair| matches!(pair, [a, b] if a.at < b.at)), "one after the other");

    let (readings, _) = stream::read_whole(&pattern, output);
    let mut seen = HashSet::new();
    for reading in &readings {
        usable(reading);
        assert!(seen.insert((&reading.channel, reading.measure.quantity())), "twice");
    }
}

fn format(how: u8) -> (Format, Vec<Condition>) {
    let csv = |separator| (Format::Csv { separator }, Vec::new());
    let regex = |text: &str| (Format::Regex(text.to_owned()), Vec::new());
    match how {
        0 => csv(','),
        1 => csv(';'),
        2 => csv(' '),
        3 => (Format::KeyValue, Vec::new()),
        4 => (Format::Json, Vec::new()),
        5 => regex(r"(?<a>[-+0-9.eE]*)[,;](?<b>.*)"),
        6 => regex(r"^CH(?<b>\d+) +(?<a>\S+) kW$"),
        _ => (Format::Csv { separator: ',' }, vec![Condition { from: "1".into(), is: "OK".into() }]),
    }
}

fn rules() -> Vec<Rule> {
    let rule = |from: &str, channel: &str, quantity, scale| Rule {
        from: from.into(),
        channel: channel.into(),
        quantity,
        scale,
        quality: Quality::Measured,
        step: None,
        wraps_at: (quantity == Quantity::Energy).then_some(1e5),
    };
    vec![
        rule("a", "outlet/{b}", Quantity::Power, 1.0),
        rule("/a", "input", Quantity::Energy, 3.6e6),
        rule("1", "input", Quantity::Temperature, 0.1),
        rule("2", "outlet/{1}", Quantity::Energy, 1e-6),
    ]
}

fn told(output: &[u8], piece: usize) -> Vec<String> {
    let (mut lines, mut told) = (Lines::default(), Vec::new());
    let mut tell = |line: Line<'_>| match line {
        Line::Text(text) => {
            // What is no text takes three bytes instead of one.
            assert!(text.len() <= MAX_LINE * 3 && !text.contains('\n'));
            told.push(text.to_owned());
        }
        Line::Lost => told.push("LOST".to_owned()),
    };
    output.chunks(piece).for_each(|piece| lines.push(piece, &mut tell));
    lines.finish(&mut tell);
    told
}

fn usable(reading: &Reading) {
    assert!(reading.measure.value().is_finite());
    let name = reading.channel.to_string();
    assert!(!name.is_empty() && !name.contains(char::is_control), "{name:?}");
}

/// Columns that are written again, in quotes, are read as what they were.
fn quoted(line: &str, separator: char) {
    let columns = pattern::columns(line, separator);
    if separator == ' ' || columns.len() >= 1024 {
        return;
    }
    let quoted: Vec<String> = columns.iter().map(|one| format!("\"{}\"", one.replace('"', "\"\""))).collect();
    assert_eq!(pattern::columns(&quoted.join(&separator.to_string()), separator), columns);
}
