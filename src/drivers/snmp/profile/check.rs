//! From what a file says to what may run: every mistake is found here, with the row it stands in.

use super::schema::{RawGroup, RawProfile, RawQuality, RawValue, RawVar};
use super::{Factor, Group, Ident, Place, Profile, Scale, Source, ValueRow, Var};
use crate::drivers::channels::Template;
use crate::drivers::profiles::Profile as _;
use crate::drivers::snmp::oid::Oid;
use crate::model::{ChannelId, Quality, Quantity};

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
    let mut list = |texts: &[String], place: &str| -> Vec<Oid> {
        texts.iter().filter_map(|text| keep(oid(text), place, &mut wrong)).collect()
    };
    let sys_object_ids = list(&raw.matching.sys_object_ids, "match.sys_object_ids");
    let probes = list(&raw.matching.probes, "match.probes");
    let identity = Ident {
        vendor: list(&raw.identity.vendor, "identity.vendor"),
        model: list(&raw.identity.model, "identity.model"),
        serial: list(&raw.identity.serial, "identity.serial"),
        firmware: list(&raw.identity.firmware, "identity.firmware"),
    };
    if raw.channels.is_empty() {
        wrong.push("channels: is empty; a profile without a channel reads nothing".into());
    }
    let mut groups = Vec::new();
    for (number, raw) in (1..).zip(&raw.channels) {
        let place = format!("channels entry {number} ({})", raw.channel);
        groups.extend(group(raw, &place, &mut wrong));
    }
    if wrong.is_empty() {
        let RawProfile { name, vendor, about, matching, .. } = raw;
        Ok(Profile {
            name,
            vendor,
            about,
            sys_object_ids,
            fallback: matching.fallback,
            probes,
            identity,
            groups,
        })
    } else {
        Err(wrong)
    }
}

fn keep<T>(checked: Result<T, String>, place: &str, wrong: &mut Vec<String>) -> Option<T> {
    checked.map_err(|why| wrong.push(format!("{place}: {why}"))).ok()
}

fn oid(text: &str) -> Result<Oid, String> {
    Oid::parse(text).ok_or_else(|| format!("{text:?} is not an object identifier; write numbers and dots"))
}

fn group(raw: &RawGroup, place: &str, wrong: &mut Vec<String>) -> Option<Group> {
    let before = wrong.len();
    let channel = keep(Template::parse(&raw.channel), place, wrong);
    let mut unit = None;
    let mut vars = Vec::new();
    for (name, raw) in &raw.vars {
        let Some(var) = keep(var(raw), &format!("{place}, vars.{name}"), wrong) else { continue };
        match name.as_str() {
            "unit" => unit = Some(var),
            _ => vars.push((name.clone(), var)),
        }
    }
    for hole in channel.iter().flat_map(Template::holes) {
        if hole == "unit" {
            wrong.push(format!(
                "{place}: leave {{unit}} out; channels of a chain's later units get `unit/N/` in front"
            ));
        } else if !vars.iter().any(|(name, _)| name == hole) {
            wrong.push(format!("{place}: {{{hole}}} is not in `vars`"));
        }
    }
    if raw.values.is_empty() {
        wrong.push(format!("{place}: `values` is empty"));
    }
    let mut values = Vec::new();
    for (number, value) in (1..).zip(&raw.values) {
        let place = format!("{place}, value {number} ({})", value.quantity);
        if value.scalar.is_some() && (raw.sum || !raw.vars.is_empty()) {
            wrong.push(format!(
                "{place}: a `scalar` has no rows; put it into an entry without `vars` and `sum`"
            ));
        }
        values.extend(keep(value_row(value), &place, wrong));
    }
    (wrong.len() == before).then_some(())?;
    Some(Group { channel: channel?, vars, unit, sum: raw.sum, values })
}

fn var(raw: &RawVar) -> Result<Var, String> {
    let source = match (&raw.column, raw.part) {
        (Some(column), None) => Source::Column(oid(column)?),
        (None, Some(part)) => Source::Part(part),
        (Some(_), Some(_)) | (None, None) => {
            return Err("give either `column` or `part` (of the row's index, from 0)".into());
        }
    };
    if raw.map.as_ref().is_some_and(std::collections::BTreeMap::is_empty) {
        return Err("`map` is empty, so no row would count".into());
    }
    Ok(Var { source, plus: raw.plus, map: raw.map.clone() })
}

fn value_row(raw: &RawValue) -> Result<ValueRow, String> {
    let quantity = Quantity::ALL.into_iter().find(|q| q.name() == raw.quantity).ok_or_else(|| {
        format!("is not a quantity; use one of {}", Quantity::ALL.map(Quantity::name).join(", "))
    })?;
    let place = match (&raw.column, &raw.scalar) {
        (Some(column), None) => Place::Column(oid(column)?),
        (None, Some(scalar)) => Place::Scalar(oid(scalar)?),
        (Some(_), Some(_)) | (None, None) => return Err("give either `column` or `scalar`".into()),
    };
    let scale = match (raw.scale, quantity) {
        (Some(scale), _) => scale,
        (None, Quantity::Energy) => return Err("energy needs `scale`, the joules of one step".into()),
        (None, _) => 1.0,
    };
    if !(scale.is_finite() && scale > 0.0) {
        return Err(format!("scale {scale} must be above 0"));
    }
    if raw.wraps_at_bits.is_some_and(|bits| !(1..=64).contains(&bits)) {
        return Err("wraps_at_bits must be 1 to 64".into());
    }
    if raw.wraps_at_bits.is_some() && quantity != Quantity::Energy {
        return Err("wraps_at_bits is for energy only".into());
    }
    if let Some(channel) = &raw.zero_is_missing_while {
        ChannelId::new(channel).map_err(|e| format!("zero_is_missing_while {e}"))?;
    }
    let quality = match raw.quality {
        RawQuality::Measured => Quality::Measured,
        RawQuality::Estimated => Quality::Estimated,
    };
    let reading =
        Scale { factor: factor(scale), missing: raw.missing.clone(), wraps_at_bits: raw.wraps_at_bits };
    Ok(ValueRow {
        quantity,
        place,
        reading,
        quality,
        zero_is_missing_while: raw.zero_is_missing_while.clone(),
    })
}

fn factor(scale: f64) -> Factor {
    let divisor = (1.0 / scale).round();
    if scale < 1.0 && (divisor * scale - 1.0).abs() < 1e-12 {
        Factor::Over(divisor)
    } else {
        Factor::Times(scale)
    }
}
