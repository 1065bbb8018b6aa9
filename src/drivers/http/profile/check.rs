//! From what a file says to what may run: every mistake is found here, with the place it stands in.

use regex::{Regex, RegexBuilder};

use super::schema::{
    RawCondition, RawGroup, RawMatch, RawMethod, RawProfile, RawQuality, RawRequest, RawShare, RawText,
    RawValue, RawVar,
};
use super::{
    Condition, Group, Ident, Match, Name, Path, Profile, Request, Rule, Source, ValueRow, Var, text,
};
use crate::drivers::channels::{Sign, Template};
use crate::drivers::profiles::Profile as _;
use crate::model::{Quality, Quantity, Ratio};

/// The most requests of one profile: a poll asks them one by one.
const MAX_REQUESTS: usize = 8;
/// A compiled regular expression takes at most as much memory, bytes.
const MAX_REGEX_BYTES: usize = 1 << 18;

type Wrong = Vec<String>;

/// Checks all of `raw`; gives back every mistake, each with its place.
pub fn profile(raw: RawProfile) -> Result<Profile, Wrong> {
    let mut wrong = Vec::new();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if raw.name.is_empty() || !raw.name.bytes().all(plain) {
        wrong.push(format!("name {:?}: use lower-case letters, digits and `-`", raw.name));
    }
    if raw.protocol != Profile::PROTOCOL {
        wrong.push(format!("protocol {:?}: write {}", raw.protocol, Profile::PROTOCOL));
    }
    let names: Vec<&str> = raw.requests.iter().map(|request| request.name.as_str()).collect();
    let mut requests = requests(&raw.requests, &mut wrong);
    let refused = raw.refused.as_deref().and_then(|text| keep(plain_path(text), "refused", &mut wrong));
    let matching = raw.matching.iter().filter_map(|raw| matching(raw, &mut wrong)).collect();
    let identity = Ident {
        vendor: texts(&raw.identity.vendor, "identity.vendor", &names, &mut wrong),
        model: texts(&raw.identity.model, "identity.model", &names, &mut wrong),
        serial: texts(&raw.identity.serial, "identity.serial", &names, &mut wrong),
        firmware: texts(&raw.identity.firmware, "identity.firmware", &names, &mut wrong),
    };
    let accuracy = raw.accuracy.as_ref().and_then(|raw| keep(share(raw), "accuracy", &mut wrong));
    if raw.channels.is_empty() {
        wrong.push("channels: is empty; a profile without a channel reads nothing".into());
    }
    let mut groups = Vec::new();
    for (number, raw) in (1..).zip(&raw.channels) {
        let place = format!("channels entry {number} ({})", raw.channel);
        groups.extend(group(raw, &place, &names, &mut wrong).unwrap_or_default());
    }
    for group in &groups {
        if let Some(request) = requests.get_mut(group.request) {
            request.polled = true;
        }
    }
    if wrong.is_empty() {
        let RawProfile { name, vendor, about, auth, user, .. } = raw;
        Ok(Profile {
            name,
            about,
            vendor,
            accuracy,
            matching,
            auth,
            user,
            refused,
            requests,
            identity,
            groups,
        })
    } else {
        Err(wrong)
    }
}

fn keep<T>(checked: Result<T, String>, place: &str, wrong: &mut Wrong) -> Option<T> {
    checked.map_err(|why| wrong.push(format!("{place}: {why}"))).ok()
}

fn requests(raw: &[RawRequest], wrong: &mut Wrong) -> Vec<Request> {
    if raw.is_empty() || raw.len() > MAX_REQUESTS {
        wrong.push(format!("requests: name 1 to {MAX_REQUESTS}"));
    }
    let mut requests = Vec::new();
    for (number, request) in (1..).zip(raw) {
        let place = format!("requests entry {number} ({})", request.path);
        if raw.iter().filter(|other| other.name == request.name).count() > 1 {
            wrong.push(format!("{place}: each of several requests needs a name of its own"));
        }
        if let Err(why) = address(&request.path) {
            wrong.push(format!("{place}: {why}"));
        }
        if request.body.is_some() != (request.method == RawMethod::Post) {
            wrong.push(format!("{place}: `body` goes with `method: POST`, and only with it"));
        }
        let body = request.body.as_ref().map(ToString::to_string);
        requests.push(Request { path: request.path.clone(), body, polled: false });
    }
    requests
}

fn address(path: &str) -> Result<(), String> {
    let plain = path.len() <= 1000 && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if !path.starts_with('/') || path.starts_with("//") || !plain {
        return Err("write the path from its first slash on, such as /status, with %20 for a space".into());
    }
    Ok(())
}

fn matching(raw: &RawMatch, wrong: &mut Wrong) -> Option<Match> {
    let place = format!("match {}", raw.path);
    keep(address(&raw.path), &place, wrong)?;
    if raw.conditions.is_empty() {
        wrong.push(format!("{place}: `where` is empty, so every answer would do"));
    }
    let conditions = conditions(&raw.conditions, &place, wrong);
    Some(Match { path: raw.path.clone(), conditions })
}

fn conditions(raw: &[RawCondition], place: &str, wrong: &mut Wrong) -> Vec<Condition> {
    let list = raw.iter().zip(1..);
    list.filter_map(|(raw, number)| keep(condition(raw), &format!("{place}, where {number}"), wrong))
        .collect()
}

fn condition(raw: &RawCondition) -> Result<Condition, String> {
    let words = |values: &[serde_json::Value]| -> Result<Vec<String>, String> {
        let words: Option<Vec<String>> = values.iter().map(text).collect();
        words
            .filter(|w| !w.is_empty())
            .ok_or_else(|| "`is` and `not` take a list of texts and numbers".to_owned())
    };
    let rule = match (&raw.is, &raw.not, &raw.matches) {
        (Some(values), None, None) => Rule::Is(words(values)?),
        (None, Some(values), None) => Rule::Not(words(values)?),
        (None, None, Some(pattern)) => Rule::Matches(regex(pattern)?),
        (_, _, _) => return Err("give one of `is`, `not` and `matches`".into()),
    };
    Ok(Condition { path: plain_path(&raw.path)?, rule })
}

fn regex(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build();
    built.map_err(|_| format!("{pattern:?} is not a regular expression, or too large a one"))
}

/// A path that leads to one place.
fn plain_path(text: &str) -> Result<Path, String> {
    let path = Path::parse(text)?;
    if path.stars() > 0 || path.holes().next().is_some() {
        return Err(format!("{text:?}: neither `*` nor braces may stand here"));
    }
    Ok(path)
}

/// The place of a request in the list.
fn place_of(name: Option<&str>, names: &[&str]) -> Result<usize, String> {
    let Some(name) = name else { return Ok(0) };
    names
        .iter()
        .position(|known| *known == name)
        .ok_or_else(|| format!("request {name:?} is not in `requests`"))
}

fn texts(raw: &[RawText], place: &str, names: &[&str], wrong: &mut Wrong) -> Vec<(usize, Path)> {
    let one = |raw: &RawText| Ok((place_of(raw.request.as_deref(), names)?, plain_path(&raw.path)?));
    raw.iter().filter_map(|raw| keep(one(raw), place, wrong)).collect()
}

fn share(raw: &RawShare) -> Result<Ratio, String> {
    let share = match raw {
        RawShare::Number(number) => Some(*number),
        RawShare::Text(text) => {
            let percent = text.trim().strip_suffix('%').and_then(|n| n.trim().parse::<f64>().ok());
            percent.map(|percent| percent / 100.0)
        }
    };
    let share = share.filter(|share| (0.0..=1.0).contains(share)).and_then(|share| Ratio::new(share).ok());
    share.ok_or_else(|| "write a percentage, such as `1 %`".to_owned())
}

/// The group, and behind it one for what flows the other way, for each value that says where.
fn group(raw: &RawGroup, place: &str, names: &[&str], wrong: &mut Wrong) -> Option<Vec<Group>> {
    let before = wrong.len();
    let channel = keep(Template::parse(&raw.channel), place, wrong);
    let each = keep(Path::parse(raw.each.as_deref().unwrap_or_default()), &format!("{place}, each"), wrong);
    let stars = each.as_ref().map_or(0, Path::stars);
    if each.as_ref().is_some_and(|each| each.holes().next().is_some()) {
        wrong.push(format!("{place}, each: no braces may stand here"));
    }
    let vars = raw.vars.iter();
    let vars: Vec<_> = vars
        .filter_map(|(name, raw)| {
            Some((name.clone(), keep(var(raw, stars), &format!("{place}, vars.{name}"), wrong)?))
        })
        .collect();
    let unknown = |hole: &str| !raw.vars.contains_key(hole);
    for hole in channel.iter().flat_map(Template::holes).filter(|hole| unknown(hole)) {
        wrong.push(format!("{place}: {{{hole}}} is not in `vars`"));
    }
    if raw.values.is_empty() {
        wrong.push(format!("{place}: `values` is empty"));
    }
    let request = keep(place_of(raw.request.as_deref(), names), place, wrong);
    let name = raw.name.as_ref().and_then(|name| {
        let place = format!("{place}, name");
        let path = keep(Path::parse(&name.path), &place, wrong)?;
        if path.stars() > 0 || path.holes().any(unknown) {
            wrong.push(format!("{place}: no `*` may stand here, and what is in braces must be in `vars`"));
        }
        Some(match &name.request {
            None => Name::InRow(path),
            Some(request) => Name::In(keep(place_of(Some(request), names), &place, wrong)?, path),
        })
    });
    let conditions = conditions(&raw.conditions, place, wrong);
    let (mut values, mut reversed) = (Vec::new(), Vec::new());
    for (number, value) in (1..).zip(&raw.values) {
        let place = format!("{place}, value {number} ({})", value.quantity);
        let reverse = value.reverse.as_deref();
        let reverse =
            reverse.and_then(|text| keep(Template::parse(text), &format!("{place}: reverse"), wrong));
        for hole in reverse.iter().flat_map(Template::holes).filter(|hole| unknown(hole)) {
            wrong.push(format!("{place}: reverse: {{{hole}}} is not in `vars`"));
        }
        let Some(row) = value_row(value, &place, wrong) else { continue };
        reversed.extend(reverse.map(|channel| (channel, ValueRow { sign: Sign::Backward, ..row.clone() })));
        values.push(row);
    }
    (wrong.len() == before).then_some(())?;
    let group = Group {
        channel: channel?,
        request: request?,
        each: each?,
        vars,
        conditions,
        name,
        sum: raw.sum,
        values,
    };
    let others = reversed.into_iter();
    let others = others.map(|(channel, row)| Group { channel, values: vec![row], ..group.clone() }).collect();
    Some([vec![group], others].concat())
}

fn var(raw: &RawVar, stars: usize) -> Result<Var, String> {
    let source = match (raw.part, &raw.path) {
        (Some(part), None) if part < stars => Source::Part(part),
        (Some(part), None) => return Err(format!("`part: {part}` needs {} `*` in `each`", part + 1)),
        (None, Some(path)) => Source::Path(plain_path(path)?),
        (Some(_), Some(_)) | (None, None) => return Err("give either `part` or `path`".into()),
    };
    let pattern = raw.pattern.as_deref().map(regex).transpose()?;
    if pattern.as_ref().is_some_and(|pattern| pattern.captures_len() < 2) {
        return Err("`pattern` needs a group in parentheses: what it matches is the word".into());
    }
    if raw.map.as_ref().is_some_and(std::collections::BTreeMap::is_empty) {
        return Err("`map` is empty, so no row would count".into());
    }
    Ok(Var { source, plus: raw.plus, pattern, map: raw.map.clone() })
}

fn value_row(raw: &RawValue, place: &str, wrong: &mut Wrong) -> Option<ValueRow> {
    let conditions = conditions(&raw.conditions, place, wrong);
    let row = || -> Result<ValueRow, String> {
        let quantity = Quantity::ALL.into_iter().find(|q| q.name() == raw.quantity).ok_or_else(|| {
            format!("is not a quantity; use one of {}", Quantity::ALL.map(Quantity::name).join(", "))
        })?;
        let scale = match (raw.scale, quantity) {
            (Some(scale), _) => scale,
            (None, Quantity::Energy) => return Err("energy needs `scale`, the joules of one unit".into()),
            (None, _) => 1.0,
        };
        let positive = |name: &str, number: f64| {
            let good = number.is_finite() && number > 0.0;
            if good { Ok(()) } else { Err(format!("{name} {number} must be above 0")) }
        };
        positive("scale", scale)?;
        raw.step.map_or(Ok(()), |step| positive("step", step))?;
        if raw.valid.is_some_and(|(least, most)| least.is_nan() || most.is_nan() || least > most) {
            return Err("`valid` is the least and the most number".into());
        }
        if raw.accuracy.is_some() && quantity != Quantity::Power {
            return Err("`accuracy` is for power only".into());
        }
        if raw.reverse.is_some() && (quantity != Quantity::Power || raw.magnitude) {
            return Err("reverse is for power only, and not with `magnitude`".into());
        }
        Ok(ValueRow {
            quantity,
            path: plain_path(&raw.path)?,
            minus: raw.minus.as_deref().map(plain_path).transpose()?,
            scale,
            step: raw.step,
            missing: raw.missing.clone(),
            valid: raw.valid,
            sign: match (&raw.reverse, raw.magnitude) {
                (Some(_), _) => Sign::Forward,
                (None, true) => Sign::Dropped,
                (None, false) => Sign::Kept,
            },
            quality: match raw.quality {
                RawQuality::Measured => Quality::Measured,
                RawQuality::Estimated => Quality::Estimated,
            },
            conditions,
            accuracy: raw.accuracy.as_ref().map(share).transpose()?,
        })
    };
    keep(row(), place, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
protocol: http
name: own
about: a meter
accuracy: 1 %
match: [{path: /status, where: [{path: model, is: [X4, 5]}]}]
requests: [{name: status, path: /status}, {name: config, path: /config, method: POST, body: {id: 1}}]
identity: {model: [{path: model}]}
channels:
  - channel: outlet/{n}
    each: outlets/*
    vars: {n: {part: 0, plus: 1}}
    name: {request: config, path: "names/{n}"}
    values:
      - {quantity: power, path: w, accuracy: 0.005}
      - {quantity: energy, path: wh, scale: 3600}
"#;

    fn parse(text: &str) -> Result<Profile, String> {
        Profile::parse(text)
    }

    #[test]
    fn what_describes_is_not_polled() {
        let profile = parse(GOOD).unwrap();
        assert_eq!(profile.requests.iter().map(|r| r.polled).collect::<Vec<_>>(), [true, false]);
        assert_eq!(profile.requests[1].body.as_deref(), Some("{\"id\":1}"));
        assert_eq!(profile.accuracy.map(Ratio::get), Some(0.01));
    }

    #[test]
    fn every_mistake_names_its_place() {
        for (good, bad, want) in [
            ("name: own", "name: Own", "name \"Own\": use lower-case letters"),
            ("accuracy: 1 %", "accuracy: 200 %", "accuracy: write a percentage"),
            ("is: [X4, 5]", "is: []", "match /status, where 1: `is` and `not` take a list"),
            ("is: [X4, 5]", "matches: '('", "match /status, where 1: \"(\" is not a regular expression"),
            ("is: [X4, 5]", "is: [1], not: [2]", "match /status, where 1: give one of"),
            (
                "path: /config,",
                "path: //evil.example,",
                "requests entry 2 (//evil.example): write the path from",
            ),
            ("name: config, path", "name: status, path", "each of several requests needs a name of its own"),
            (", body: {id: 1}", "", "requests entry 2 (/config): `body` goes with"),
            ("{path: model}", "{path: 'a/*'}", "identity.model: \"a/*\": neither `*` nor braces"),
            ("each: outlets/*", "each: outlets", "vars.n: `part: 0` needs 1 `*` in `each`"),
            ("vars: {n:", "vars: {m:", "(outlet/{n}): {n} is not in `vars`"),
            ("plus: 1}", "path: x}", "vars.n: give either `part` or `path`"),
            ("plus: 1}", "pattern: abc}", "vars.n: `pattern` needs a group"),
            ("plus: 1}", "map: {}}", "vars.n: `map` is empty"),
            ("request: config, path", "request: conf, path", "name: request \"conf\" is not in `requests`"),
            ("quantity: power", "quantity: watts", "value 1 (watts): is not a quantity"),
            (", scale: 3600", "", "value 2 (energy): energy needs `scale`"),
            ("scale: 3600", "scale: -1", "value 2 (energy): scale -1 must be above 0"),
            ("scale: 3600", "scale: 1, accuracy: 1 %", "`accuracy` is for power only"),
            ("scale: 3600", "scale: 1, reverse: export", "value 2 (energy): reverse is for power only"),
            ("path: w,", "path: w, reverse: 'x/{m}',", "value 1 (power): reverse: {m} is not in `vars`"),
            ("scale: 3600", "scale: 1, valid: [2, 1]", "`valid` is the least and the most"),
            (
                "quantity: energy, path: wh",
                "quantity: energy, path: a//b",
                "\"a//b\" has two slashes in a row",
            ),
        ] {
            let said = parse(&GOOD.replacen(good, bad, 1)).unwrap_err();
            assert!(said.contains(want), "{bad}: {said}");
            assert!(!said.contains('\n'), "{said}");
        }
        assert!(parse(&GOOD.replace("about:", "abuot:")).unwrap_err().contains("abuot"));
    }
}
