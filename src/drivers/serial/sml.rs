//! SML 1.04, the language of German meters: frames with a checksum, and in them a tree of typed values. Pure. An own reader, since
//! lengths in it come from outside: nothing is reserved for what only claims to follow, and depth is limited.

use super::obis::{Code, Fold, Item, Unit};
use super::telegram::{Pending, Telegram, find, printable};
use crate::model::{Identity, PollError};

const START: &[u8] = &[0x1b, 0x1b, 0x1b, 0x1b, 1, 1, 1, 1];
const ESCAPE: [u8; 4] = [0x1b; 4];
/// Longest frame: ten times what meters send.
const MAX_FRAME: usize = 8 * 1024;
/// Trees of meters are five deep.
pub(super) const MAX_DEPTH: u8 = 10;
/// Type of the message that holds values.
const GET_LIST_RESPONSE: u64 = 0x701;

/// How the sign of a power is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PowerSign {
    /// As the meter says, but for those that are known to say it wrong.
    #[default]
    Auto,
    /// As the meter says.
    Signed,
    /// Powers of one or two bytes are never negative: some DZG meters send 0.9 of 1.2 kW as a negative number.
    Unsigned,
}

/// From bytes to telegrams.
#[derive(Debug)]
pub(super) struct Framer {
    pub(super) pending: Pending,
    fold: Fold,
    sign: PowerSign,
}

impl Framer {
    /// Nothing heard yet.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new(sign: PowerSign) -> Result<Self, PollError> {
        Ok(Self { pending: Pending::default(), fold: Fold::new()?, sign })
    }

    /// Forgets a torn frame.
    pub(super) fn reset(&mut self) {
        self.pending.clear();
    }

    /// Takes what has arrived; gives the telegrams that are complete with it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Telegram> {
        self.pending.push(bytes);
        let mut telegrams = Vec::new();
        loop {
            let Some(start) = find(self.pending.bytes(), START) else {
                // Its beginning may be there already.
                let kept = START.len() - 1;
                self.pending.skip(self.pending.bytes().len().saturating_sub(kept));
                return telegrams;
            };
            self.pending.skip(start);
            let heard = self.pending.bytes();
            let next = heard.get(1..).and_then(|rest| find(rest, START)).map(|at| at + 1);
            match frame(heard) {
                Frame::Whole { body, length } => {
                    let telegram = self.telegram(&body);
                    telegrams.extend(telegram);
                    self.pending.skip(length);
                }
                Frame::Broken => self.pending.skip(1),
                Frame::Open => match next {
                    // Its end was lost.
                    Some(next) => self.pending.skip(next),
                    None if heard.len() > MAX_FRAME => self.pending.skip(1),
                    None => return telegrams,
                },
            }
        }
    }

    fn telegram(&mut self, body: &[u8]) -> Option<Telegram> {
        let entries = entries(body);
        let who = identity(&entries);
        let unsigned = match self.sign {
            PowerSign::Auto => sends_wrong_signs(&entries),
            PowerSign::Signed => false,
            PowerSign::Unsigned => true,
        };
        let items: Vec<Item> = entries.iter().filter_map(|entry| entry.item(unsigned)).collect();
        let readings = self.fold.fold(&items);
        (!readings.is_empty()).then_some(Telegram { readings, identity: Some(who) })
    }
}

/// What stands at a start sequence.
pub(super) enum Frame {
    /// A frame with a right checksum, and how long it was with all its escapes.
    Whole { body: Vec<u8>, length: usize },
    /// Not there to its end.
    Open,
    /// None that can be used.
    Broken,
}

pub(super) fn frame(bytes: &[u8]) -> Frame {
    let mut body = Vec::new();
    let mut chunks = bytes.chunks_exact(4).enumerate().skip(START.len() / 4);
    while let Some((_, chunk)) = chunks.next() {
        if chunk != ESCAPE {
            body.extend_from_slice(chunk);
            continue;
        }
        match chunks.next() {
            None => return Frame::Open,
            Some((_, literal)) if literal == ESCAPE => body.extend_from_slice(literal),
            Some((at, &[0x1a, padding, low, high])) => {
                let length = (at + 1) * 4;
                let Some(checked) = bytes.get(..length - 2) else { return Frame::Broken };
                let (sent, padding) = (u16::from_le_bytes([low, high]), usize::from(padding));
                if padding > 3 || !checksums(checked).contains(&sent) {
                    return Frame::Broken;
                }
                body.truncate(body.len().saturating_sub(padding));
                return Frame::Whole { body, length };
            }
            Some(_) => return Frame::Broken,
        }
        if body.len() > MAX_FRAME {
            return Frame::Broken;
        }
    }
    Frame::Open
}

/// CRC-16/X-25, and CRC-16/KERMIT as old Holley meters have it: the same polynomial from another beginning.
fn checksums(bytes: &[u8]) -> [u16; 2] {
    let crc = |start: u16| {
        bytes.iter().fold(start, |crc, byte| {
            (0..8).fold(
                crc ^ u16::from(*byte),
                |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 },
            )
        })
    };
    [!crc(0xffff), crc(0)]
}

/// A value of the tree.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Also what is left out, as an empty one.
    Octets(&'a [u8]),
    Bool,
    /// With the bytes it was sent in.
    Signed(i64, usize),
    Unsigned(u64),
    List(Vec<Value<'a>>),
    End,
}

/// Reads one value from the front of `bytes`; none if it is none.
pub(super) fn value<'a>(bytes: &mut &'a [u8], depth: u8) -> Option<Value<'a>> {
    let first = take(bytes, 1)?.first().copied()?;
    if first == 0 {
        return Some(Value::End);
    }
    let (mut length, mut more, mut header) = (usize::from(first & 0x0f), first & 0x80 != 0, 1);
    while more {
        let next = take(bytes, 1)?.first().copied()?;
        // Three such bytes say more than any frame holds.
        header += 1;
        if header > 4 {
            return None;
        }
        length = (length << 4) | usize::from(next & 0x0f);
        more = next & 0x80 != 0;
    }
    let kind = (first >> 4) & 0x07;
    if kind == 7 {
        let depth = depth.checked_sub(1)?;
        let mut list = Vec::new();
        for _ in 0..length {
            list.push(value(bytes, depth)?);
        }
        return Some(Value::List(list));
    }
    let content = take(bytes, length.checked_sub(header)?)?;
    match kind {
        0 => Some(Value::Octets(content)),
        4 => Some(Value::Bool),
        5 => integer(content, true).map(|bits| Value::Signed(bits.cast_signed(), content.len())),
        6 => integer(content, false).map(Value::Unsigned),
        _ => None,
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(front)
}

/// Up to eight bytes, the highest first; the sign reaches into those that were not sent.
fn integer(content: &[u8], signed: bool) -> Option<u64> {
    if content.is_empty() || content.len() > 8 {
        return None;
    }
    let negative = signed && content.first().is_some_and(|b| b & 0x80 != 0);
    let start = if negative { u64::MAX } else { 0 };
    Some(content.iter().fold(start, |sum, byte| (sum << 8) | u64::from(*byte)))
}

/// One line of the list of values.
#[derive(Debug, PartialEq)]
struct Entry<'a> {
    code: [u8; 6],
    unit: Option<u64>,
    scaler: i64,
    value: Value<'a>,
}

/// The values of all lists in a frame's body, as far as it can be read.
fn entries(mut body: &[u8]) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    while !body.is_empty() {
        match value(&mut body, MAX_DEPTH) {
            Some(Value::List(message)) => found.extend(list(message).into_iter().flatten().filter_map(entry)),
            // Padding between messages.
            Some(Value::End) => {}
            Some(_) | None => break,
        }
    }
    found
}

/// `[transaction, group, abort, [0x701, [client, server, name, time, [entries], ...]], checksum, end]`.
fn list(message: Vec<Value<'_>>) -> Option<Vec<Value<'_>>> {
    let Some(Value::List(body)) = message.into_iter().nth(3) else { return None };
    let mut body = body.into_iter();
    if body.next()? != Value::Unsigned(GET_LIST_RESPONSE) {
        return None;
    }
    let Some(Value::List(response)) = body.next() else { return None };
    match response.into_iter().nth(4) {
        Some(Value::List(entries)) => Some(entries),
        Some(_) | None => None,
    }
}

/// `[code, status, time, unit, scaler, value, signature]`.
fn entry(of: Value<'_>) -> Option<Entry<'_>> {
    let Value::List(parts) = of else { return None };
    let [code, _, _, unit, scaler, value, _] = <[Value<'_>; 7]>::try_from(parts).ok()?;
    let Value::Octets(code) = code else { return None };
    let unit = if let Value::Unsigned(unit) = unit { Some(unit) } else { None };
    let scaler = if let Value::Signed(scaler, _) = scaler { scaler } else { 0 };
    Some(Entry { code: code.try_into().ok()?, unit, scaler, value })
}

impl Entry<'_> {
    fn item(&self, unsigned: bool) -> Option<Item> {
        let [a, b, c, d, e, 255] = self.code else { return None };
        // DLMS codes of units (IEC 62056-62).
        let unit = match self.unit {
            Some(27) => Unit::Watt,
            Some(28) => Unit::VoltAmpere,
            Some(30) => Unit::WattHour,
            Some(33) => Unit::Ampere,
            Some(35) => Unit::Volt,
            Some(44) => Unit::Hertz,
            Some(255) | None => Unit::One,
            Some(_) => return None,
        };
        let raw = match self.value {
            Value::Unsigned(raw) => float(raw),
            Value::Signed(raw, 1 | 2) if unsigned && unit == Unit::Watt && raw < 0 => {
                // The bits of one or two bytes, without the sign.
                let bits = if raw >= i64::from(i8::MIN) && matches!(self.value, Value::Signed(_, 1)) {
                    8
                } else {
                    16
                };
                float(raw.cast_unsigned() & ((1 << bits) - 1))
            }
            Value::Signed(raw, _) if raw < 0 => -float(raw.unsigned_abs()),
            Value::Signed(raw, _) => float(raw.unsigned_abs()),
            Value::Octets(_) | Value::Bool | Value::List(_) | Value::End => return None,
        };
        let scaler = i32::try_from(self.scaler).ok().filter(|s| (-12..=12).contains(s))?;
        let step = 10f64.powi(scaler);
        // Dividing by a power of ten is exact where multiplying by its inverse is not.
        let value = if scaler < 0 { raw / 10f64.powi(-scaler) } else { raw * step };
        // A meter that was not given its PIN shows whole kWh, whatever its scaler promises.
        let whole = unit == Unit::WattHour && value % 1000.0 == 0.0;
        let step = if whole { step.max(1000.0) } else { step };
        Some(Item { code: Code { a, b, c, d, e }, unit, value, step, wrap: None })
    }

    fn octets(&self) -> Option<&[u8]> {
        match self.value {
            Value::Octets(octets) if !octets.is_empty() => Some(octets),
            Value::Octets(_)
            | Value::Bool
            | Value::Signed(..)
            | Value::Unsigned(_)
            | Value::List(_)
            | Value::End => None,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a counter of 53 bits in 0.0001 Wh is 900 GWh")]
const fn float(raw: u64) -> f64 {
    raw as f64
}

fn octets<'a>(entries: &'a [Entry<'_>], code: [u8; 6]) -> Option<&'a [u8]> {
    entries.iter().find(|entry| entry.code == code)?.octets()
}

/// The code of the meter's number, and two under which makers sign.
const NUMBER: [u8; 6] = [1, 0, 96, 1, 0, 255];
const MAKER: [u8; 6] = [1, 0, 96, 50, 1, 1];
const OLD_MAKER: [u8; 6] = [129, 129, 199, 130, 3, 255];
const OLD_NUMBER: [u8; 6] = [1, 0, 0, 0, 9, 255];

/// Numbers of meters have ten bytes; of longer ones the beginning is shown.
const MAX_NUMBER: usize = 32;

fn identity(entries: &[Entry<'_>]) -> Identity {
    let vendor = octets(entries, MAKER).or_else(|| octets(entries, OLD_MAKER)).map(printable);
    let number = octets(entries, NUMBER).or_else(|| octets(entries, OLD_NUMBER));
    let serial = number.map(|octets| {
        din_43863(octets).unwrap_or_else(|| hex::encode(octets.get(..MAX_NUMBER).unwrap_or(octets)))
    });
    Identity { vendor: vendor.unwrap_or_default(), serial: serial.unwrap_or_default(), ..Identity::default() }
}

/// `0A 01 44 5A 47 00 02 82 22 5E` as it is printed on the meter: 1 DZG 00 42082910 (DIN 43863-5).
fn din_43863(octets: &[u8]) -> Option<String> {
    let [0x0a, medium, maker @ .., block, n1, n2, n3, n4] = octets else { return None };
    let maker = (maker.len() == 3 && maker.iter().all(u8::is_ascii_uppercase)).then(|| printable(maker))?;
    Some(format!("{medium}{maker}{block:02X}{:08}", u32::from_be_bytes([*n1, *n2, *n3, *n4])))
}

/// DZG DVS74 of two series: powers from 327.68 W on in two bytes, whose highest bit is not a sign.
/// Source: the numbers that libsml and its users have found.
fn sends_wrong_signs(entries: &[Entry<'_>]) -> bool {
    let Some([0x0a, 1, b'D', b'Z', b'G', 0, number @ ..]) = octets(entries, NUMBER) else { return false };
    let Ok(number) = <[u8; 4]>::try_from(number) else { return false };
    matches!(u32::from_be_bytes(number), 42_000_000..=48_999_999 | 55_000_000..=58_999_999)
}

#[cfg(test)]
#[path = "sml_tests.rs"]
mod tests;
