//! From what a file says to what may run: every mistake is found here, with the entry it stands in.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::schema::{
    RawCell, RawCondition, RawGroup, RawName, RawPart, RawProfile, RawQuality, RawValue, RawVar,
};
use super::{
    Cell, Condition, Factor, Group, Ident, Limits, Meaning, Modifier, Pattern, Place, Profile, Scale, Sign,
    Source, Test, ValueRow, Var,
};
use crate::drivers::channels::Template;
use crate::drivers::profiles::Profile as _;
use crate::drivers::snmp::oid::Oid;
use crate::model::{ChannelId, Quality, Quantity, Ratio};

/// The largest regular expression, bytes once compiled.
const MAX_PATTERN_BYTES: usize = 1 << 18;

/// Mistakes found so far, each with its place.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn add(&mut self, place: &str, why: impl std::fmt::Display) {
        self.0.push(format!("{place}: {why}"));
    }

    fn keep<T>(&mut self, place: &str, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|why| self.add(place, why)).ok()
    }

    fn oids(&mut self, place: &str, texts: &[String]) -> Vec<Oid> {
        texts.iter().filter_map(|text| self.keep(place, oid(text))).collect()
    }
}

/// Checks all of `raw`; gives back every mistake, each with its place.
pub fn profile(raw: RawProfile) -> Result<Profile, Vec<String>> {
    let mut wrong = Wrong::default();
    if raw.name.is_empty()
        || !raw.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        wrong.0.push(format!("name {:?}: use lower-case letters, digits and `-`", raw.name));
    }
    if raw.protocol != Profile::PROTOCOL {
        wrong.0.push(format!("protocol {:?}: write {}", raw.protocol, Profile::PROTOCOL));
    }
    let accuracy = raw.accuracy.as_deref().and_then(|text| wrong.keep("accuracy", share(text)));
    let sys_object_ids = wrong.oids("match.sys_object_ids", &raw.matching.sys_object_ids);
    let probes = wrong.oids("match.probes", &raw.matching.probes);
    let sys_descr = &raw.matching.sys_descr;
    let sys_descr =
        sys_descr.iter().filter_map(|text| wrong.keep("match.sys_descr", pattern(text))).collect();
    let identity = Ident {
        vendor: wrong.oids("identity.vendor", &raw.identity.vendor),
        model: wrong.oids("identity.model", &raw.identity.model),
        serial: wrong.oids("identity.serial", &raw.identity.serial),
        firmware: wrong.oids("identity.firmware", &raw.identity.firmware),
    };
    let limits = Limits { max_oids: raw.limits.max_oids, max_repetitions: raw.limits.max_repetitions };
    for (key, limit, most) in
        [("max_oids", limits.max_oids, 48), ("max_repetitions", limits.max_repetitions, 25)]
    {
        if limit.is_some_and(|limit| !(1..=most).contains(&limit)) {
            wrong.add(&format!("limits.{key}"), format_args!("must be 1 to {most}"));
        }
    }
    if raw.channels.is_empty() {
        wrong.0.push("channels: is empty; a profile without a channel reads nothing".into());
    }
    let mut groups = Vec::new();
    for (number, raw) in (1..).zip(&raw.channels) {
        let place = format!("channels entry {number} ({})", raw.channel);
        groups.extend(group(raw, &place, &mut wrong));
    }
    if !wrong.0.is_empty() {
        return Err(wrong.0);
    }
    let RawProfile { name, vendor, about, matching, .. } = raw;
    Ok(Profile {
        name,
        vendor,
        about,
        accuracy,
        sys_object_ids,
        sys_descr,
        fallback: matching.fallback,
        probes,
        limits,
        identity,
        groups,
        template: None,
    })
}

fn oid(text: &str) -> Result<Oid, String> {
    Oid::parse(text).ok_or_else(|| format!("{text:?} is not an object identifier; write numbers and dots"))
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let built = regex::RegexBuilder::new(text).size_limit(MAX_PATTERN_BYTES).build();
    built.map(Pattern).map_err(|why| {
        let why = why.to_string();
        let last = why.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        format!("{text:?} is not a regular expression: {}", last.trim_start_matches("error:").trim())
    })
}

/// `1 %` as 0.01.
fn share(text: &str) -> Result<Ratio, String> {
    let percent = text.strip_suffix('%').and_then(|number| f64::from_str(number.trim_end()).ok());
    let share =
        percent.filter(|percent| (0.0..=100.0).contains(percent)).and_then(|p| Ratio::new(p / 100.0).ok());
    share.ok_or_else(|| format!("{text:?} is not a class; write a percentage such as `1 %`"))
}

fn group(raw: &RawGroup, place: &str, wrong: &mut Wrong) -> Option<Group> {
    let before = wrong.0.len();
    let channel = wrong.keep(place, Template::parse(&raw.channel));
    let mut unit = None;
    let mut vars = Vec::new();
    for (name, raw) in &raw.vars {
        let Some(var) = var(raw, &format!("{place}, vars.{name}"), wrong) else { continue };
        match name.as_str() {
            "unit" => unit = Some(var),
            _ => vars.push((name.clone(), var)),
        }
    }
    for hole in channel.iter().flat_map(Template::holes) {
        if hole == "unit" {
            wrong.add(place, "leave {unit} out; channels of a chain's later units get `unit/N/` in front");
        } else if !raw.vars.contains_key(hole) {
            wrong.add(place, format_args!("{{{hole}}} is not in `vars`"));
        }
    }
    let conditions = conditions(&raw.conditions, place, wrong);
    let named: &[RawCell] = match &raw.name {
        None => &[],
        Some(RawName::One(one)) => std::slice::from_ref(one),
        Some(RawName::Any(all)) => all,
    };
    let names = named.iter().filter_map(|raw| cell(raw, &format!("{place}, name"), wrong)).collect();
    if raw.values.is_empty() {
        wrong.add(place, "`values` is empty");
    }
    let mut values = Vec::new();
    for (number, value) in (1..).zip(&raw.values) {
        let place = format!("{place}, value {number} ({})", value.quantity);
        if value.scalar.is_some() && (raw.sum || raw.vars.values().any(RawVar::is_of_a_row)) {
            wrong.add(&place, "a `scalar` has no rows; put it into an entry without `vars` and `sum`");
        }
        let Some(value) = value_row(value, &place, wrong) else { continue };
        for hole in
            value.reverse.iter().flat_map(Template::holes).filter(|hole| !raw.vars.contains_key(*hole))
        {
            wrong.add(&place, format_args!("reverse: {{{hole}}} is not in `vars`"));
        }
        values.push(value);
    }
    (wrong.0.len() == before).then_some(())?;
    Some(Group { channel: channel?, vars, unit, conditions, names, sum: raw.sum, values })
}

impl RawVar {
    const fn is_of_a_row(&self) -> bool {
        self.column.is_some() || self.part.is_some()
    }
}

fn place_of(column: Option<&str>, scalar: Option<&str>) -> Option<Result<Place, String>> {
    match (column, scalar) {
        (Some(column), None) => Some(oid(column).map(Place::Column)),
        (None, Some(scalar)) => Some(oid(scalar).map(Place::Scalar)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn cell(raw: &RawCell, place: &str, wrong: &mut Wrong) -> Option<Cell> {
    let Some(stands) = place_of(raw.column.as_deref(), raw.scalar.as_deref()) else {
        wrong.add(place, "give either `column` or `scalar`");
        return None;
    };
    let stands = wrong.keep(place, stands)?;
    if raw.scalar.is_some() && raw.at.is_some() {
        wrong.add(place, "`at` makes the index in a `column`; a `scalar` has none");
    }
    let part = |raw: &RawPart| match *raw {
        RawPart::Same(part) => (part, 0),
        RawPart::Moved { part, plus } => (part, plus),
    };
    Some(Cell { place: stands, at: raw.at.as_ref().map(|at| at.iter().map(part).collect()) })
}

fn source(
    (column, scalar, part): (Option<&String>, Option<&String>, Option<usize>),
    at: Option<&Vec<RawPart>>,
    place: &str,
    wrong: &mut Wrong,
) -> Option<Source> {
    match (column, scalar, part) {
        (None, None, Some(part)) if at.is_none() => Some(Source::Part(part)),
        (None, None, Some(_)) => {
            wrong.add(place, "`at` belongs to a `column`; a `part` is of the row's own index");
            None
        }
        (_, _, None) if column.is_some() != scalar.is_some() => {
            let raw = RawCell { column: column.cloned(), scalar: scalar.cloned(), at: at.cloned() };
            cell(&raw, place, wrong).map(Source::Cell)
        }
        _ => {
            wrong.add(place, "give either `column` or `part` (of the row's index, from 0) or `scalar`");
            None
        }
    }
}

fn var(raw: &RawVar, place: &str, wrong: &mut Wrong) -> Option<Var> {
    let before = wrong.0.len();
    let source = source((raw.column.as_ref(), raw.scalar.as_ref(), raw.part), raw.at.as_ref(), place, wrong);
    if raw.map.as_ref().is_some_and(BTreeMap::is_empty) {
        wrong.add(place, "`map` is empty, so no row would count");
    }
    let words = raw.text || raw.pattern.is_some();
    if words && raw.part.is_some() {
        wrong.add(place, "a `part` of the index is a number; `text` and `pattern` are for columns");
    }
    if raw.text && raw.pattern.is_some() {
        wrong.add(place, "give either `text` or `pattern`");
    }
    if raw.text && raw.plus != 0 {
        wrong.add(place, "`plus` is for numbers, not for `text`");
    }
    let pattern = raw.pattern.as_deref().and_then(|text| wrong.keep(place, pattern(text)));
    if pattern.as_ref().is_some_and(|pattern| pattern.0.captures_len() < 2) {
        wrong.add(place, "`pattern` needs a group in parentheses: what it finds is the word");
    }
    let meaning = match pattern {
        Some(pattern) if raw.plus != 0 => {
            if raw.map.is_some() {
                wrong.add(place, "give either `plus` or `map` with `pattern`");
            }
            Meaning::NumberIn { pattern, plus: raw.plus }
        }
        pattern if words => Meaning::Text { pattern, map: raw.map.clone() },
        _ => Meaning::Number { plus: raw.plus, map: raw.map.as_ref().map(|map| numbers(map, place, wrong)) },
    };
    (wrong.0.len() == before).then_some(())?;
    Some(Var { source: source?, meaning })
}

/// A `map` of numbers.
fn numbers(map: &BTreeMap<String, String>, place: &str, wrong: &mut Wrong) -> BTreeMap<i64, String> {
    let mut number = |(key, word): (&String, &String)| match key.parse() {
        Ok(number) => Some((number, word.clone())),
        Err(_) => {
            wrong.add(
                place,
                format_args!("map: {key:?} is not a whole number; for words add `text` or `pattern`"),
            );
            None
        }
    };
    map.iter().filter_map(&mut number).collect()
}

fn conditions(raw: &[RawCondition], place: &str, wrong: &mut Wrong) -> Vec<Condition> {
    let mut all = Vec::new();
    for (number, raw) in (1..).zip(raw) {
        let place = format!("{place}, where {number}");
        let source =
            source((raw.column.as_ref(), raw.scalar.as_ref(), raw.part), raw.at.as_ref(), &place, wrong);
        let mut tests = Vec::new();
        tests.extend(raw.is.clone().map(Test::Is));
        tests.extend(raw.not.clone().map(Test::Not));
        if let Some(text) = &raw.matches {
            tests.extend(wrong.keep(&place, pattern(text)).map(Test::Matches));
        }
        tests.extend(raw.absent.map(Test::Absent));
        if raw.is.is_none() && raw.not.is_none() && raw.matches.is_none() && raw.absent.is_none() {
            wrong.add(&place, "give what must hold: `is`, `not`, `matches` or `absent`");
        }
        let Some(source) = source else { continue };
        all.extend(tests.into_iter().map(|test| Condition { source: source.clone(), test }));
    }
    all
}

fn value_row(raw: &RawValue, place: &str, wrong: &mut Wrong) -> Option<ValueRow> {
    let before = wrong.0.len();
    let quantity = Quantity::ALL.into_iter().find(|q| q.name() == raw.quantity);
    if quantity.is_none() {
        let all = Quantity::ALL.map(Quantity::name).join(", ");
        wrong.add(place, format_args!("is not a quantity; use one of {all}"));
    }
    let stands = place_of(raw.column.as_deref(), raw.scalar.as_deref());
    if stands.is_none() {
        wrong.add(place, "give either `column` or `scalar`");
    }
    let stands = stands.and_then(|stands| wrong.keep(place, stands));
    let energy = raw.quantity == Quantity::Energy.name();
    if energy && raw.scale.is_none() {
        wrong.add(place, "energy needs `scale`, the joules of one step");
    }
    let scale = raw.scale.unwrap_or(1.0);
    if !(scale.is_finite() && scale > 0.0) {
        wrong.add(place, format_args!("scale {scale} must be above 0"));
    }
    if !raw.offset.is_finite() || (energy && raw.offset != 0.0) {
        wrong.add(place, "offset must be a number, and energy has none");
    }
    if raw.wraps_at_bits.is_some_and(|bits| !(1..=64).contains(&bits)) {
        wrong.add(place, "wraps_at_bits must be 1 to 64");
    }
    if raw.wraps_at_bits.is_some() && !energy {
        wrong.add(place, "wraps_at_bits is for energy only");
    }
    if raw.accuracy.is_some() && raw.quantity != Quantity::Power.name() {
        wrong.add(place, "accuracy is for power only");
    }
    let accuracy = raw.accuracy.as_deref().and_then(|text| wrong.keep(place, share(text)));
    if raw.valid.is_some_and(|[least, most]| least > most || least.is_nan() || most.is_nan()) {
        wrong.add(place, "valid: the first number, the least, must not be above the second");
    }
    if raw.missing.iter().any(|missing| missing.is_nan()) {
        wrong.add(place, "missing: NaN is no number");
    }
    if let Some(Err(why)) = raw.zero_is_missing_while.as_deref().map(ChannelId::new) {
        wrong.add(place, format_args!("zero_is_missing_while {why}"));
    }
    let reverse = raw.reverse.as_deref().and_then(|text| wrong.keep(place, Template::parse(text)));
    if reverse.is_some() && (raw.quantity != Quantity::Power.name() || raw.magnitude) {
        wrong.add(place, "reverse is for power only, and not with `magnitude`");
    }
    let conditions = conditions(&raw.conditions, place, wrong);
    let modifiers = modifiers(raw, place, wrong);
    let (quantity, stands) = (quantity?, stands?);
    (wrong.0.len() == before).then_some(())?;
    let sign = match (&reverse, raw.magnitude) {
        (Some(_), _) => Sign::Forward,
        (None, true) => Sign::Dropped,
        (None, false) => Sign::of(quantity),
    };
    Some(ValueRow {
        quantity,
        place: stands,
        conditions,
        scale: Scale {
            factor: Factor::new(scale),
            offset: raw.offset,
            missing: raw.missing.clone(),
            valid: raw.valid.map(|[least, most]| (least, most)),
            sign,
            wraps_at_bits: raw.wraps_at_bits,
            suffix: raw.suffix.clone(),
        },
        modifiers,
        quality: match raw.quality {
            RawQuality::Measured => Quality::Measured,
            RawQuality::Estimated => Quality::Estimated,
        },
        accuracy,
        reverse,
        zero_is_missing_while: raw.zero_is_missing_while.clone(),
    })
}

fn modifiers(raw: &RawValue, place: &str, wrong: &mut Wrong) -> Vec<(Modifier, Cell)> {
    let all = [
        ("decimals", Modifier::Decimals, &raw.decimals),
        ("exponent", Modifier::Exponent, &raw.exponent),
        ("factor", Modifier::Factor, &raw.factor),
        ("si_prefix", Modifier::SiPrefix, &raw.si_prefix),
    ];
    let mut modifiers = Vec::new();
    for (key, modifier, raw) in all {
        let cell = raw.as_ref().and_then(|raw| cell(raw, &format!("{place}, {key}"), wrong));
        modifiers.extend(cell.map(|cell| (modifier, cell)));
    }
    modifiers
}
