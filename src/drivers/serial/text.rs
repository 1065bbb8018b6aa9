//! Data lines of IEC 62056-21, which DSMR shares: `1-0:1.8.0*255(001234.567*kWh)`. Pure.

use super::obis::{Code, Item, Unit};
use super::telegram::printable;
use crate::model::Identity;

/// What a block of lines holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Data {
    /// Coded values with a unit that is known.
    pub(super) items: Vec<Item>,
    /// The meter's number; empty if it does not tell.
    pub(super) serial: String,
}

/// No meter has more values than this.
const MAX_ITEMS: usize = 1000;

/// Reads all lines of a block.
pub(super) fn data(block: &[u8]) -> Data {
    let mut data = Data::default();
    for line in block.split(|b| matches!(b, b'\r' | b'\n')) {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let mut rest = line;
        // Several sets may share a line; a second pair of brackets belongs to the first one's name.
        while let Some((name, tail)) = rest.split_once('(') {
            let Some((value, after)) = tail.split_once(')') else { break };
            take(&mut data, name.trim(), value);
            rest = after;
        }
        if data.items.len() >= MAX_ITEMS {
            break;
        }
    }
    data
}

fn take(data: &mut Data, name: &str, value: &str) {
    if is_serial(name) && data.serial.is_empty() {
        data.serial = serial(value);
    }
    if let Some(code) = code(name)
        && let Some(item) = item(code, value)
    {
        data.items.push(item);
    }
}

/// The codes under which meters tell their number: of the device, of the maker, of the owner.
fn is_serial(name: &str) -> bool {
    let short = name.rsplit_once(':').map_or(name, |(_, short)| short);
    let short = short.split('*').next().unwrap_or_default();
    matches!(name, "0-0:96.1.1" | "0-0:96.1.0" | "0-0:96.1.4") || matches!(short, "C.1.0" | "0.0.0" | "0.0")
}

/// DSMR writes the number as hexadecimal digits of its characters.
fn serial(value: &str) -> String {
    let decoded = hex::decode(value).ok().filter(|bytes| {
        value.len() >= 16 && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b' '))
    });
    decoded.map_or_else(|| printable(value.as_bytes()), |bytes| printable(&bytes))
}

/// `A-B:C.D.E*F`, with A-B, E and F left out at will. Values of past billing periods (F) are none of ours.
fn code(name: &str) -> Option<Code> {
    let (group, rest) = match name.split_once(':') {
        Some((group, rest)) => (group.split_once('-')?, rest),
        None => (("1", "0"), name),
    };
    let (value, period) = rest.split_once(['*', '&']).unwrap_or((rest, "255"));
    if period != "255" {
        return None;
    }
    let mut parts = value.split('.');
    let code = Code {
        a: number(group.0)?,
        b: number(group.1)?,
        c: number(parts.next()?)?,
        d: number(parts.next()?)?,
        e: parts.next().map_or(Some(0), number)?,
    };
    parts.next().is_none().then_some(code)
}

fn number(text: &str) -> Option<u8> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `001234.567*kWh`. A value without unit is of no use: it may be Wh or kWh.
fn item(code: Code, text: &str) -> Option<Item> {
    let (digits, unit) = text.split_once('*')?;
    let (unit, prefix) = unit_of(unit.trim())?;
    let (value, whole, decimals) = decimal(digits.trim())?;
    let step = 10f64.powi(-i32::try_from(decimals).ok()?) * prefix;
    let wrap = i32::try_from(whole).ok().filter(|_| unit == Unit::WattHour && whole >= 4);
    Some(Item {
        code,
        unit,
        value: value * prefix,
        step,
        wrap: wrap.map(|digits| 10f64.powi(digits) * prefix),
    })
}

fn unit_of(text: &str) -> Option<(Unit, f64)> {
    let (prefix, base) = match text.as_bytes().first()? {
        b'k' => (1e3, text.get(1..)?),
        b'M' => (1e6, text.get(1..)?),
        b'm' => (1e-3, text.get(1..)?),
        _ => (1.0, text),
    };
    let unit = match base {
        "W" => Unit::Watt,
        "Wh" => Unit::WattHour,
        "VA" => Unit::VoltAmpere,
        "V" => Unit::Volt,
        "A" => Unit::Ampere,
        "Hz" => Unit::Hertz,
        _ => return None,
    };
    Some((unit, prefix))
}

/// A decimal number as displays show it, with its digits before and after the point. Nothing else is a number here: no exponent,
/// no `inf`, no stars.
fn decimal(text: &str) -> Option<(f64, usize, usize)> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.len() <= 15 && part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) {
        return None;
    }
    Some((text.parse().ok()?, whole.len(), decimals.len()))
}

/// `/ISK5\2M550T-1012`: three letters of the maker, a figure for the rate, the model.
pub(super) fn identity(header: &[u8], serial: String) -> Identity {
    let header = header.strip_prefix(b"/").unwrap_or(header);
    let vendor = header.get(..3).map(printable).unwrap_or_default();
    let model = header.get(4..).unwrap_or_default();
    // A backslash and a letter or figure announce an enhanced mode.
    let model = match model {
        [b'\\', _, rest @ ..] => rest,
        other => other,
    };
    Identity { vendor, model: printable(model), serial, ..Identity::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(block: &str) -> Vec<(u8, u8, u8, f64)> {
        data(block.as_bytes()).items.iter().map(|i| (i.code.c, i.code.d, i.code.e, i.value)).collect()
    }

    #[test]
    fn lines_are_read_in_all_their_spellings() {
        for (line, want) in [
            ("1-0:1.8.0*255(001234.567*kWh)", Some((1, 8, 0, 1_234_567.0))),
            ("1.8.0(001234.567*kWh)", Some((1, 8, 0, 1_234_567.0))),
            ("1-0:16.7.0*255(-00123.45*W)", Some((16, 7, 0, -123.45))),
            ("1-0:31.7.0(001*A)", Some((31, 7, 0, 1.0))),
            ("31.7(12.5*A)", Some((31, 7, 0, 12.5))),
            ("1-0:1.8.0*01(001200.000*kWh)", None),
            ("1-0:1.8.0(001234.567)", None),
            ("1-0:1.8.0(******.***)", None),
            ("1-0:1.8.0(1e5*kWh)", None),
            ("1-0:1.8.0(inf*kWh)", None),
            ("1-0:1.8.0(*kWh)", None),
            ("1-0:1.8.0(1.2.3*kWh)", None),
            ("1-0:256.8.0(1*kWh)", None),
            ("1-0:1.8.0.0(1*kWh)", None),
            ("1-0:+1.8.0(1*kWh)", None),
            ("1-0:1.8.0(0012", None),
            ("(((((", None),
            (")(", None),
        ] {
            assert_eq!(values(line), Vec::from_iter(want), "{line}");
        }
        assert_eq!(values("1.8.1(1*kWh)1.8.2(2*kWh)\r\n2.8.0(3*Wh)").len(), 3);
        // The second value of a line is the time of a maximum.
        assert_eq!(values("1.7.0(0.5*kW)(2611220800)").len(), 1);
    }

    #[test]
    fn a_display_says_its_step_and_where_it_begins_anew() {
        let read = data(b"1.8.0(001234.567*kWh)\r\n1.7.0(0001.1*kW)");
        let [energy, power] = read.items.as_slice() else { panic!("two values") };
        // Three decimals of a kWh are 1 Wh; six figures before the point hold 999,999 kWh.
        assert_eq!((energy.step, energy.wrap), (1.0, Some(1e9)));
        assert_eq!(power.wrap, None);
    }

    #[test]
    fn a_meter_says_who_it_is() {
        let read = data(b"0-0:96.1.1(4530303434303037)");
        // 45 30 30 34 34 30 30 37 are the characters of E0044007.
        assert_eq!(read.serial, "E0044007");
        assert_eq!(data(b"1-0:0.0.0*255(12345678)").serial, "12345678");
        let who = identity(b"/ISK5\\2M550T-1012", read.serial);
        assert_eq!((who.vendor.as_str(), who.model.as_str()), ("ISK", "M550T-1012"));
        assert_eq!(identity(b"/\xff", String::new()), Identity::default());
    }
}
