//! Answers to readings by a profile. Pure.

use std::collections::HashMap;

use serde_json::Value;

use super::profile::{Group, Name, Profile, Row, ValueRow, number, text};
use crate::drivers::Traced;
use crate::model::{
    Accuracy, ChannelId, ChannelInfo, Identity, Joules, Measure, Quality, Quantity, Ratio, Reading, Watts,
};

/// The most values of one device.
const MAX_POINTS: usize = 4096;
/// Text of a device is cut after so many characters.
const MAX_TEXT: usize = 128;

/// Where each value was found first: from then on it is read there and nowhere else, so that a counter stays the same counter.
#[derive(Debug, Default)]
pub struct Memory(HashMap<(ChannelId, Quantity), Origin>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    group: usize,
    value: usize,
    /// Whether something is taken off it.
    minus: bool,
}

/// A number as it was found.
struct Found {
    number: f64,
    minus: bool,
    raw: String,
    source: String,
}

/// What `answers` (in the order of the profile's requests) say; a channel and quantity stands at most once.
pub fn readings(profile: &Profile, answers: &[Option<Value>], memory: &mut Memory) -> Vec<Traced> {
    let mut read: Vec<Traced> = Vec::new();
    let mut seen: HashMap<(ChannelId, Quantity), ()> = HashMap::new();
    for (at, group) in profile.groups.iter().enumerate() {
        for (channel, rows) in channels(group, answers) {
            for (place, value) in group.values.iter().enumerate() {
                let key = (channel.clone(), value.quantity);
                if seen.contains_key(&key) || seen.len() >= MAX_POINTS {
                    continue;
                }
                let Some(found) = found(group, value, &rows) else { continue };
                let origin = Origin { group: at, value: place, minus: found.minus };
                let known = memory.0.get(&key);
                // A device whose channels have other names each time must not fill the memory.
                if known.is_some_and(|known| *known != origin)
                    || (known.is_none() && memory.0.len() >= MAX_POINTS)
                {
                    continue;
                }
                let Some(measure) = measure(value, found.number) else { continue };
                memory.0.entry(key.clone()).or_insert(origin);
                seen.insert(key, ());
                let request = profile.requests.get(group.request).map_or("", |request| request.path.as_str());
                read.push(Traced {
                    reading: Reading { channel: channel.clone(), measure, quality: value.quality },
                    source: format!("{request} {}", found.source),
                    raw: found.raw,
                });
            }
        }
    }
    read
}

/// The channels of a group with their rows, in order: one row each, unless they add up.
fn channels<'a>(group: &Group, answers: &'a [Option<Value>]) -> Vec<(ChannelId, Vec<Row<'a>>)> {
    let Some(Some(answer)) = answers.get(group.request) else { return Vec::new() };
    let mut channels: Vec<(ChannelId, Vec<Row<'a>>)> = Vec::new();
    let mut places: HashMap<ChannelId, usize> = HashMap::new();
    for row in group.each.rows(answer) {
        if !group.conditions.iter().all(|condition| condition.holds(row.value)) {
            continue;
        }
        let words: Vec<_> = group.vars.iter().map(|(name, var)| (name, var.word(&row))).collect();
        let word = |hole: &str| words.iter().find(|(name, _)| *name == hole).and_then(|(_, w)| w.as_deref());
        let all = words.iter().all(|(_, word)| word.is_some());
        let filled = group.channel.fill(word).filter(|_| all);
        let Some(channel) = filled.and_then(|text| ChannelId::new(&text).ok()) else { continue };
        match places.get(&channel).and_then(|at| channels.get_mut(*at)) {
            Some((_, rows)) if group.sum => rows.push(row),
            // The device says the same channel twice: the first counts.
            Some(_) => {}
            None => {
                places.insert(channel.clone(), channels.len());
                channels.push((channel, vec![row]));
            }
        }
    }
    channels
}

/// The number of a channel: of its one row, or the sum of all its rows, if every one has it.
fn found(group: &Group, value: &ValueRow, rows: &[Row<'_>]) -> Option<Found> {
    let mut parts = rows.iter().map(|row| one(group, value, row));
    let mut sum = parts.next()??;
    for part in parts {
        let part = part?;
        sum.number += part.number;
        sum.minus |= part.minus;
        sum.raw = format!("{} + {}", sum.raw, part.raw);
        sum.source = format!("{} + {}", sum.source, part.source);
    }
    Some(sum)
}

fn one(group: &Group, value: &ValueRow, row: &Row<'_>) -> Option<Found> {
    if !value.conditions.iter().all(|condition| condition.holds(row.value)) {
        return None;
    }
    let good = |at: &Value| {
        number(at)
            .filter(|n| !value.missing.contains(n) && value.valid.is_none_or(|(l, m)| (l..=m).contains(n)))
    };
    let stands = value.path.get(row.value)?;
    let mut found = Found {
        number: good(stands)?,
        minus: false,
        raw: text(stands)?,
        source: source(group, row, value.path.text()),
    };
    // What is there but no number is no zero: then the difference is not known.
    if let Some((path, off)) = value.minus.as_ref().and_then(|path| Some((path, path.get(row.value)?))) {
        found.number -= good(off)?;
        found.minus = true;
        found.raw = format!("{} - {}", found.raw, text(off)?);
        found.source = format!("{} - {}", found.source, source(group, row, path.text()));
    }
    if value.magnitude {
        found.number = found.number.abs();
    }
    Some(found)
}

/// Where a value stands in the answer.
fn source(group: &Group, row: &Row<'_>, path: &str) -> String {
    let mut parts = row.parts.iter();
    let keys = group.each.text().split('/').chain(path.split('/')).filter(|key| !key.is_empty());
    let filled = keys.map(|key| if key == "*" { parts.next().map_or("*", String::as_str) } else { key });
    filled.collect::<Vec<_>>().join("/")
}

fn measure(value: &ValueRow, number: f64) -> Option<Measure> {
    let quantum = Joules::new(scaled(value.step.unwrap_or(1.0), value.scale)).ok()?;
    Measure::from_base_units(value.quantity, scaled(number, value.scale), quantum, None).ok()
}

/// Thousandths are divided, so that 12345 x 0.001 is 12.345.
fn scaled(number: f64, scale: f64) -> f64 {
    let divisor = (1.0 / scale).round();
    if scale < 1.0 && (divisor * scale - 1.0).abs() < 1e-12 { number / divisor } else { number * scale }
}

/// What is to say of the channels whose power is read.
pub fn infos(profile: &Profile, answers: &[Option<Value>], memory: &Memory) -> Vec<ChannelInfo> {
    let mut infos: HashMap<ChannelId, (usize, ChannelInfo)> = HashMap::new();
    for (at, group) in profile.groups.iter().enumerate() {
        for (channel, rows) in channels(group, answers) {
            let origin = memory.0.get(&(channel.clone(), Quantity::Power)).filter(|o| o.group == at);
            let value = origin.and_then(|o| group.values.get(o.value));
            let accuracy = value.and_then(|value| accuracy(profile, value));
            let name = rows.first().and_then(|row| name(group, row, answers)).unwrap_or_default();
            if accuracy.is_none() && name.is_empty() {
                continue;
            }
            let order = infos.len();
            let (_, info) = infos
                .entry(channel.clone())
                .or_insert_with(|| (order, ChannelInfo { channel, name: String::new(), accuracy: None }));
            info.accuracy = info.accuracy.or(accuracy);
            if info.name.is_empty() {
                info.name = name;
            }
        }
    }
    let mut infos: Vec<_> = infos.into_values().collect();
    infos.sort_by_key(|(order, _)| *order);
    infos.into_iter().map(|(_, info)| info).collect()
}

fn accuracy(profile: &Profile, value: &ValueRow) -> Option<Accuracy> {
    // What a device computes from a setting is no better than that setting.
    let class = profile.accuracy.filter(|_| value.quality == Quality::Measured);
    let share = value.accuracy.or(class);
    if share.is_none() && value.step.is_none() {
        return None;
    }
    let step = Watts::new(scaled(value.step.unwrap_or(0.0), value.scale)).ok()?;
    Some(Accuracy { share: share.unwrap_or(Ratio::ZERO), step })
}

fn name(group: &Group, row: &Row<'_>, answers: &[Option<Value>]) -> Option<String> {
    let at = match group.name.as_ref()? {
        Name::InRow(path) => path.get(row.value)?,
        Name::In(request, path) => {
            let words: Vec<_> = group.vars.iter().filter_map(|(n, var)| Some((n, var.word(row)?))).collect();
            let answer = answers.get(*request)?.as_ref()?;
            return find(answer, path, &words);
        }
    };
    text(at).map(|text| short(&text))
}

fn find(answer: &Value, path: &super::profile::Path, words: &[(&String, String)]) -> Option<String> {
    let keys = path.filled(|hole| words.iter().find(|(name, _)| *name == hole).map(|(_, w)| w.as_str()))?;
    text(keys.get(answer)?).map(|text| short(&text))
}

/// Who the device says it is.
pub fn identity(profile: &Profile, answers: &[Option<Value>]) -> Identity {
    let first = |places: &[(usize, super::profile::Path)]| {
        let said =
            places.iter().filter_map(|(request, path)| text(path.get(answers.get(*request)?.as_ref()?)?));
        said.map(|text| short(&text)).find(|text| !text.is_empty()).unwrap_or_default()
    };
    let mut vendor = first(&profile.identity.vendor);
    if vendor.is_empty() {
        vendor.clone_from(&profile.vendor);
    }
    Identity {
        vendor,
        model: first(&profile.identity.model),
        serial: first(&profile.identity.serial),
        firmware: first(&profile.identity.firmware),
        profile: profile.name.clone(),
    }
}

/// Text of a device as a label may hold it.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::profiles::Profile as _;

    const PROFILE: &str = "protocol: http\nname: own\nabout: a meter\nmatch: [{path: /a, where: [{path: x, is: [1]}]}]\n\
                           requests: [{name: all, path: /a}]\n\
                           channels:\n- {channel: 'outlet/{n}', each: '*', vars: {n: {part: 0}}, values: [{quantity: power, path: w}]}\n";

    #[test]
    fn channels_with_other_names_each_time_do_not_fill_the_memory() {
        let (profile, mut memory) = (Profile::parse(PROFILE).unwrap(), Memory::default());
        for poll in 0..6 {
            let rows = (0..1000).map(|row| (format!("{poll}-{row}"), serde_json::json!({"w": 5})));
            let answers = [Some(Value::Object(rows.collect()))];
            let read = readings(&profile, &answers, &mut memory);
            assert_eq!(
                read.len(),
                if poll < 4 {
                    1000
                } else if poll == 4 {
                    MAX_POINTS - 4000
                } else {
                    0
                }
            );
            // What is known goes on.
            assert_eq!(readings(&profile, &answers, &mut memory).len(), read.len());
        }
        assert_eq!(memory.0.len(), MAX_POINTS);
    }
}
