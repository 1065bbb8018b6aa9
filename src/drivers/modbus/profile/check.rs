//! From what a file says to what may run: every mistake is found here, with the entry it stands in.

use super::schema::{RawChannel, RawDefaults, RawProfile, RawQuality, RawRegister, RawText, RawValue};
use super::{Channel, Ident, Profile, Span, Text, Value};
use crate::drivers::channels::{Sign, Template};
use crate::drivers::modbus::number::{Scale, believable};
use crate::drivers::modbus::wire::pdu::{MAX_REGISTERS, Table};
use crate::drivers::profiles::Profile as _;
use crate::model::{ChannelId, Quality, Quantity, Ratio};

/// The most registers of a text.
const MAX_TEXT: u16 = 32;
/// The most values of a profile.
const MAX_VALUES: usize = 2000;

/// Checks all of `raw`; gives back every mistake, each with its place.
pub fn profile(raw: RawProfile) -> Result<Profile, Vec<String>> {
    let mut wrong = Vec::new();
    if raw.name.is_empty()
        || !raw.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        wrong.push(format!("name {:?}: use lower-case letters, digits and `-`", raw.name));
    }
    if raw.protocol != Profile::PROTOCOL {
        wrong.push(format!("protocol {:?}: write {}", raw.protocol, Profile::PROTOCOL));
    }
    let max_registers = raw.limits.max_registers.unwrap_or(MAX_REGISTERS);
    if !(4..=MAX_REGISTERS).contains(&max_registers) {
        wrong.push(format!("limits.max_registers {max_registers}: write 4 to {MAX_REGISTERS}"));
    }
    let accuracy = raw.accuracy.as_deref().and_then(|text| keep(share(text), "accuracy", &mut wrong));
    keep(table(raw.defaults.function, &RawDefaults::default()), "defaults", &mut wrong);
    let defaults = Defaults { raw: &raw.defaults, accuracy };
    let mut texts = |list: &[RawText], place: &str| -> Vec<Text> {
        list.iter().filter_map(|raw| keep(text(raw, &defaults), place, &mut wrong)).collect()
    };
    let identity = Ident {
        vendor: texts(&raw.identity.vendor, "identity.vendor"),
        model: texts(&raw.identity.model, "identity.model"),
        serial: texts(&raw.identity.serial, "identity.serial"),
        firmware: texts(&raw.identity.firmware, "identity.firmware"),
    };
    if raw.channels.is_empty() {
        wrong.push("channels: is empty; a profile without a channel reads nothing".into());
    }
    let mut read = Read { defaults, channels: Vec::new(), values: Vec::new(), opposites: Vec::new(), wrong };
    for (number, raw) in (1..).zip(&raw.channels) {
        read.channel(raw, &format!("channels entry {number} ({})", raw.channel));
    }
    let Read { channels, values, opposites, mut wrong, .. } = read;
    if values.len() > MAX_VALUES {
        wrong.push(format!("channels: more than {MAX_VALUES} values"));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let max_gap = raw.limits.max_gap.unwrap_or(0);
    let RawProfile { name, vendor, about, .. } = raw;
    Ok(Profile { name, vendor, about, max_registers, max_gap, identity, channels, values, opposites })
}

struct Defaults<'a> {
    raw: &'a RawDefaults,
    accuracy: Option<Ratio>,
}

fn keep<T>(checked: Result<T, String>, place: &str, wrong: &mut Vec<String>) -> Option<T> {
    checked.map_err(|why| wrong.push(format!("{place}: {why}"))).ok()
}

/// What has been read of the channels.
struct Read<'a> {
    defaults: Defaults<'a>,
    channels: Vec<Channel>,
    values: Vec<Value>,
    opposites: Vec<(ChannelId, ChannelId)>,
    wrong: Vec<String>,
}

impl Read<'_> {
    fn channel(&mut self, raw: &RawChannel, place: &str) {
        let Some(template) = keep(template(&raw.channel), place, &mut self.wrong) else { return };
        if template.holes().next().is_some() == raw.n.is_empty() {
            self.wrong.push(format!("{place}: {{n}} in `channel` and the list `n` need each other"));
            return;
        }
        if raw.values.is_empty() {
            self.wrong.push(format!("{place}: `values` is empty"));
        }
        let words: Vec<String> =
            if raw.n.is_empty() { vec![String::new()] } else { raw.n.iter().map(word).collect() };
        let name = raw.name.as_ref().and_then(|raw| keep(text(raw, &self.defaults), place, &mut self.wrong));
        let own = raw.values.iter().find_map(|value| value.accuracy.as_deref());
        let own = own.and_then(|text| keep(share(text), place, &mut self.wrong));
        // What a meter computes from a setting is no better than that setting.
        let measured = !raw.values.iter().any(|value| {
            value.quantity == Quantity::Power.name() && matches!(value.quality, RawQuality::Estimated)
        });
        let accuracy = own.or(self.defaults.accuracy.filter(|_| measured));
        for (nth, word) in words.iter().enumerate() {
            let Some(id) = keep(named(&template, word), place, &mut self.wrong) else { return };
            self.known(Channel { id: id.clone(), name, accuracy });
            for (number, raw) in (1..).zip(&raw.values) {
                let place = format!("{place}, value {number} ({})", raw.quantity);
                let reverse = raw.reverse.as_deref().map(|text| reverse(text, word)).transpose();
                let checked =
                    reverse.and_then(|other| Ok((value(raw, &id, nth, words.len(), &self.defaults)?, other)));
                // What is wrong with one is wrong with all of a kind.
                if nth > 0 && checked.is_err() {
                    continue;
                }
                let Some((value, other)) = keep(checked, &place, &mut self.wrong) else { continue };
                self.values.push(value.clone());
                if let Some(other) = other {
                    self.known(Channel { id: other.clone(), name, accuracy });
                    self.opposites.push((id.clone(), other.clone()));
                    self.values.push(Value { channel: other, sign: Sign::Backward, ..value });
                }
            }
        }
    }

    /// What is said of a channel first counts.
    fn known(&mut self, channel: Channel) {
        if !self.channels.iter().any(|known| known.id == channel.id) {
            self.channels.push(channel);
        }
    }
}

fn template(text: &str) -> Result<Template, String> {
    let template = Template::parse(text)?;
    if let Some(other) = template.holes().find(|hole| *hole != "n") {
        return Err(format!("{{{other}}} is not known; write {{n}}, and its words as `n`"));
    }
    Ok(template)
}

/// The channel that `template` names with this word.
fn named(template: &Template, word: &str) -> Result<ChannelId, String> {
    let filled = template.fill(|_| Some(word)).unwrap_or_default();
    ChannelId::new(&filled).map_err(|e| format!("its name {e}"))
}

fn reverse(text: &str, word: &str) -> Result<ChannelId, String> {
    template(text).and_then(|template| named(&template, word)).map_err(|why| format!("reverse: {why}"))
}

fn word(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn table(function: Option<u8>, defaults: &RawDefaults) -> Result<Table, String> {
    match function.or(defaults.function).unwrap_or(3) {
        3 => Ok(Table::Holding),
        4 => Ok(Table::Input),
        other => Err(format!("function {other}: write 3 (holding registers) or 4 (input registers)")),
    }
}

fn span(table: Table, start: u32, count: u16) -> Result<Span, String> {
    let last = start.saturating_add(u32::from(count) - 1);
    match (u16::try_from(start), u16::try_from(last)) {
        (Ok(start), Ok(_)) => Ok(Span { table, start, count }),
        (Ok(_), Err(_)) => Err(format!("register {start}: its number reaches past register 65535")),
        (Err(_), _) => Err(format!(
            "register {start}: write the number that goes over the wire, 0 to 65535; what manuals call 400001 or 300001 is 0"
        )),
    }
}

/// A share: `1 %` or `0.01`.
fn share(text: &str) -> Result<Ratio, String> {
    let number = text.trim().strip_suffix('%').map_or_else(
        || text.trim().parse::<f64>().ok(),
        |percent| percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
    );
    number
        .filter(|share| (0.0..1.0).contains(share))
        .and_then(|share| Ratio::new(share).ok())
        .ok_or_else(|| format!("accuracy {text:?} is not a share; write a percentage, such as `1 %`"))
}

fn text(raw: &RawText, defaults: &Defaults<'_>) -> Result<Text, String> {
    let table = table(raw.function, defaults.raw)?;
    match (raw.object, raw.register, raw.registers, raw.kind) {
        (Some(object), None, None, None) => Ok(Text::Object(object)),
        (None, Some(register), Some(count), None) if (1..=MAX_TEXT).contains(&count) => {
            Ok(Text::Characters(span(table, register, count)?))
        }
        (None, Some(_), Some(_), None) => Err(format!("`registers` must be 1 to {MAX_TEXT}")),
        (None, Some(register), None, Some(kind)) => {
            let order = raw.word_order.or(defaults.raw.word_order).unwrap_or_default();
            Ok(Text::Number(span(table, register, kind.registers())?, kind, order))
        }
        (_, _, _, _) => {
            Err("give `register` with `registers` (text) or `type` (a number), or `object` alone".into())
        }
    }
}

fn value(
    raw: &RawValue,
    channel: &ChannelId,
    nth: usize,
    of: usize,
    defaults: &Defaults<'_>,
) -> Result<Value, String> {
    let quantity = Quantity::ALL.into_iter().find(|q| q.name() == raw.quantity).ok_or_else(|| {
        format!("is not a quantity; use one of {}", Quantity::ALL.map(Quantity::name).join(", "))
    })?;
    let table = table(raw.function, defaults.raw)?;
    let kind = raw.kind.or(defaults.raw.kind).ok_or("`type` is missing, here and in `defaults`")?;
    let order = raw.word_order.or(defaults.raw.word_order).unwrap_or_default();
    let first = match &raw.register {
        RawRegister::One(register) if of == 1 => *register,
        RawRegister::Each(each) if each.len() == of => each.get(nth).copied().unwrap_or_default(),
        RawRegister::One(_) | RawRegister::Each(_) => {
            return Err(format!("`register` needs one register for each word of `n`, so {of}"));
        }
    };
    let mut spans = vec![span(table, first, kind.registers())?];
    for register in &raw.add {
        spans.push(span(table, *register, kind.registers())?);
    }
    if !raw.add.is_empty() && of > 1 {
        return Err("`add` is for single channels".into());
    }
    let scale = scale(raw, quantity)?;
    only_where_it_means_something(raw, quantity)?;
    let wraps_at = wraps_at(raw)?;
    let (least, most) = believable(quantity);
    let [low, high] = raw.valid.unwrap_or([least, most]);
    if !(low.is_finite() && high.is_finite()) || low >= high {
        return Err(format!("valid [{low}, {high}] holds nothing"));
    }
    Ok(Value {
        channel: channel.clone(),
        quantity,
        spans,
        kind,
        order,
        scale,
        missing: raw.missing.clone(),
        valid: (low.max(least), high.min(most)),
        quality: match raw.quality {
            RawQuality::Measured => Quality::Measured,
            RawQuality::Estimated => Quality::Estimated,
        },
        sign: match (&raw.reverse, raw.magnitude) {
            (Some(_), _) => Sign::Forward,
            (None, true) => Sign::Dropped,
            (None, false) => Sign::Kept,
        },
        wraps_at,
        step: raw.step.unwrap_or(0.0),
    })
}

fn wraps_at(raw: &RawValue) -> Result<Option<f64>, String> {
    match (raw.wraps_at, raw.wraps_at_bits) {
        (Some(_), Some(_)) => Err("give `wraps_at` or `wraps_at_bits`, not both".into()),
        (Some(number), None) if number.is_finite() && number > 0.0 => Ok(Some(number)),
        (Some(number), None) => Err(format!("wraps_at {number} must be above 0")),
        (None, Some(bits @ 1..=64)) => Ok(Some((0..bits).fold(1.0, |power, _| power * 2.0))),
        (None, Some(_)) => Err("wraps_at_bits must be 1 to 64".into()),
        (None, None) => Ok(None),
    }
}

fn scale(raw: &RawValue, quantity: Quantity) -> Result<Scale, String> {
    let scale = match (raw.scale, quantity) {
        (Some(scale), _) => scale,
        (None, Quantity::Energy) => return Err("energy needs `scale`, the joules of one step".into()),
        (None, Quantity::Flow) => return Err("flow needs `scale`, the m3/s of one step".into()),
        (None, _) => 1.0,
    };
    let offset = raw.offset.unwrap_or(0.0);
    if !(scale.is_finite() && scale > 0.0 && offset.is_finite()) {
        return Err(format!("scale {scale} must be above 0, and offset {offset} a number"));
    }
    Ok(Scale::new(scale, offset))
}

/// Keys that are for some quantities only.
fn only_where_it_means_something(raw: &RawValue, quantity: Quantity) -> Result<(), String> {
    let energy = quantity == Quantity::Energy;
    if !energy
        && (raw.wraps_at.is_some()
            || raw.wraps_at_bits.is_some()
            || raw.step.is_some()
            || !raw.add.is_empty())
    {
        return Err("`wraps_at`, `wraps_at_bits`, `step` and `add` are for energy only".into());
    }
    let step = raw.step.unwrap_or(0.0);
    if !(step.is_finite() && step >= 0.0) {
        return Err(format!("step {step} must be a number of 0 or more"));
    }
    if raw.accuracy.is_some() && quantity != Quantity::Power {
        return Err("`accuracy` is for power only".into());
    }
    if raw.reverse.is_some() && (quantity != Quantity::Power || raw.magnitude) {
        return Err("reverse is for power only, and not with `magnitude`".into());
    }
    Ok(())
}
