//! Eaton (Powerware) UPSes by XCP: binary blocks over RS-232. A map in the UPS's identity says which values its meter block holds,
//! and how they are written. Nothing is set, no command that needs authorization is sent. Parsing is pure.

use std::time::Duration;

use super::link::Link;
use super::telegram::{MAX_MESSAGE, Pending, Readings, Telegram, channel, printable};
use crate::model::{ChannelId, ErrorKind, Identity, PollError, Quantity};

/// The longest a UPS may think.
const ANSWER: Duration = Duration::from_secs(3);
/// Begins a command and a block.
const START: u8 = 0xab;
/// Blocks are asked for by 30h and their number.
const IDENTITY: u8 = 1;
const METERS: u8 = 4;
/// The highest number of a block.
const MAX_BLOCK: u8 = 0x20;
/// A block comes in packets of up to so many bytes, of which the last one bears a flag.
const MAX_CONTENT: u8 = 121;
const LAST: u8 = 0x80;
const MAX_PACKETS: usize = 16;

/// A UPS that is asked, time and again.
#[derive(Debug)]
pub(super) struct Reader {
    map: Option<Map>,
    pub(super) channels: Channels,
}

#[derive(Debug)]
pub(super) struct Channels {
    input: [ChannelId; 4],
    output: [ChannelId; 4],
}

/// What the identity says: how the meter block is to be read.
#[derive(Debug, PartialEq)]
pub(super) struct Map {
    pub(super) model: String,
    phases: u8,
    /// The format of each value that may be there; 0 for those that are not.
    formats: Vec<u8>,
}

impl Reader {
    /// Never asked yet.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new() -> Result<Self, PollError> {
        let four = |names: [&str; 4]| -> Result<[ChannelId; 4], PollError> {
            let [total, first, second, third] = names;
            Ok([channel(total)?, channel(first)?, channel(second)?, channel(third)?])
        };
        Ok(Self {
            map: None,
            channels: Channels {
                input: four(["input", "phase/L1", "phase/L2", "phase/L3"])?,
                output: four(["output", "output/L1", "output/L2", "output/L3"])?,
            },
        })
    }

    /// Asks once: at first who the UPS is, then for its meters.
    ///
    /// # Errors
    /// `Timeout` if nothing came, `Protocol` if it was no block, `Unreachable` if the line is gone.
    pub(super) async fn ask(&mut self, link: &mut Link) -> Result<Telegram, PollError> {
        let mut identity = None;
        if self.map.is_none() {
            let block = block(link, IDENTITY).await?;
            let map = map(&block).ok_or_else(|| strange("who it is"))?;
            identity = Some(Identity {
                vendor: "Eaton".to_owned(),
                model: map.model.clone(),
                ..Identity::default()
            });
            self.map = Some(map);
        }
        let meters = match block(link, METERS).await {
            Ok(meters) => meters,
            Err(error) => {
                // Another UPS may hang on this line by the next poll.
                self.map = None;
                return Err(error);
            }
        };
        let readings =
            self.map.as_ref().map(|map| readings(map, &meters, &self.channels)).unwrap_or_default();
        if readings.is_empty() {
            return Err(PollError::new(
                ErrorKind::NoReading,
                "the UPS answers, but its meter block holds no power, voltage or current",
                "small models measure nothing: remove it, or read its load with the protocol `megatec`",
            ));
        }
        Ok(Telegram { readings, identity })
    }
}

fn strange(what: &str) -> PollError {
    PollError::new(
        ErrorKind::Protocol,
        format!("the UPS's answer about {what} is not laid out as XCP is"),
        "check that this UPS speaks XCP on this port: 5PX, 9PX, 9130, 9155 and other Powerware models do",
    )
}

/// A command, with its length and a checksum that makes the sum of all bytes 0.
fn command(number: u8) -> [u8; 4] {
    let start = [START, 1, 0x30 + number];
    let sum = start.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let [a, b, c] = start;
    [a, b, c, sum.wrapping_neg()]
}

async fn block(link: &mut Link, number: u8) -> Result<Vec<u8>, PollError> {
    link.settle().await?;
    link.send(&command(number)).await?;
    let (mut heard, mut data, mut packets) = (Pending::default(), Vec::new(), 0usize);
    loop {
        if !link.read(&mut heard, ANSWER).await? || heard.bytes().len() >= MAX_MESSAGE {
            return Err(link.silence("an XCP block"));
        }
        while let Some((found, length)) = packet(heard.bytes(), number, packets + 1) {
            heard.skip(length);
            let Some((content, last)) = found else { continue };
            data.extend(content);
            packets += 1;
            if last {
                return Ok(data);
            }
            if packets >= MAX_PACKETS {
                return Err(strange("its meters"));
            }
        }
    }
}

/// A packet's content, and whether it is the block's last.
pub(super) type Packet = (Vec<u8>, bool);

/// The first packet in `bytes`, and how many bytes go with it; without content where they are garbled or another block's. None
/// while more must come.
pub(super) fn packet(bytes: &[u8], number: u8, sequence: usize) -> Option<(Option<Packet>, usize)> {
    if bytes.is_empty() {
        return None;
    }
    let Some(start) = bytes.iter().position(|b| *b == START) else { return Some((None, bytes.len())) };
    if start > 0 {
        return Some((None, start));
    }
    let &[_, block, length, flags] = bytes.get(..4)? else { return None };
    if block > MAX_BLOCK || length > MAX_CONTENT {
        // Not a beginning.
        return Some((None, 1));
    }
    let whole = usize::from(length) + 5;
    let packet = bytes.get(..whole)?;
    let sum = packet.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    if sum != 0 {
        // Perhaps not a beginning at all.
        return Some((None, 1));
    }
    let ours = block == number && usize::from(flags & !LAST) == sequence;
    let content = packet.get(4..whole - 1).unwrap_or_default().to_vec();
    Some((ours.then_some((content, flags & LAST != 0)), whole))
}

/// Reads bytes one after the other.
struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }
}

/// `processors, two bytes of version each, rating in kVA (0: two more bytes, of 50 VA), phases, angle, length, model, length, map, ...`.
pub(super) fn map(block: &[u8]) -> Option<Map> {
    let mut walk = Walk(block);
    let processors = walk.byte()?;
    walk.take(usize::from(processors) * 2)?;
    if walk.byte()? == 0 {
        walk.take(2)?;
    }
    let phases = walk.byte()?;
    walk.byte()?;
    let model = walk.byte()?;
    let model = printable(walk.take(usize::from(model))?);
    let formats = walk.byte()?;
    let formats = walk.take(usize::from(formats))?.to_vec();
    (1..=3).contains(&phases).then_some(Map { model, phases, formats })
}

/// Places in the map: `(place, of the output, phase or 0, quantity)`.
const VALUES: [(usize, bool, u8, Quantity); 26] = [
    (18, false, 1, Quantity::Current),
    (19, false, 2, Quantity::Current),
    (20, false, 3, Quantity::Current),
    (21, true, 0, Quantity::Power),
    (22, false, 0, Quantity::Power),
    (23, true, 0, Quantity::ApparentPower),
    (24, false, 0, Quantity::ApparentPower),
    (25, true, 0, Quantity::PowerFactor),
    (26, false, 0, Quantity::PowerFactor),
    (27, true, 0, Quantity::Frequency),
    (28, false, 0, Quantity::Frequency),
    (50, true, 1, Quantity::ApparentPower),
    (51, true, 2, Quantity::ApparentPower),
    (52, true, 3, Quantity::ApparentPower),
    (56, false, 1, Quantity::Voltage),
    (57, false, 2, Quantity::Voltage),
    (58, false, 3, Quantity::Voltage),
    (65, true, 1, Quantity::Current),
    (66, true, 2, Quantity::Current),
    (67, true, 3, Quantity::Current),
    (78, true, 1, Quantity::Voltage),
    (79, true, 2, Quantity::Voltage),
    (80, true, 3, Quantity::Voltage),
    (82, true, 1, Quantity::Power),
    (83, true, 2, Quantity::Power),
    (84, true, 3, Quantity::Power),
];

pub(super) fn readings(map: &Map, meters: &[u8], channels: &Channels) -> Vec<crate::model::Reading> {
    // Each value that is there takes four bytes, in the order of the map.
    let present = map.formats.iter().enumerate().filter(|(_, format)| **format != 0);
    let values = present
        .zip(meters.chunks_exact(4))
        .filter_map(|((place, format), bytes)| Some((place, decode(*format, bytes.try_into().ok()?)?)));
    let mut readings = Readings::default();
    for (place, value) in values {
        let Some((_, output, phase, quantity)) = VALUES.iter().find(|(of, ..)| *of == place) else {
            continue;
        };
        let [total, first, second, third] = if *output { &channels.output } else { &channels.input };
        // The only phase of a small UPS is all of it.
        let channel = match (map.phases, phase) {
            (_, 0) | (1, 1) => total,
            (1, _) => continue,
            (_, 1) => first,
            (_, 2) => second,
            (_, _) => third,
        };
        readings.measured(channel, *quantity, value);
    }
    readings.finish()
}

/// F0h: integer; F1h to FFh: with so many binary places; up to 97h: floating point, to be shown with so many digits. Other formats
/// are dates and times.
fn decode(format: u8, bytes: [u8; 4]) -> Option<f64> {
    let value = match format {
        1..=0x97 => f64::from(f32::from_le_bytes(bytes)),
        0xf0..=0xff => f64::from(i32::from_le_bytes(bytes)) / f64::from(1u32 << (format & 0x0f)),
        0 | 0x98..=0xef => return None,
    };
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet_of(number: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let mut packet = vec![START, number, u8::try_from(content.len()).unwrap(), flags];
        packet.extend(content);
        let sum = packet.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        packet.push(sum.wrapping_neg());
        packet
    }

    /// One processor, 3 kVA, one phase, 85 places in the map.
    fn identity_of(formats: &[(usize, u8)]) -> Vec<u8> {
        let mut map = [0; 85];
        for (place, format) in formats {
            map[*place] = *format;
        }
        let mut block = vec![1, 0x12, 0x03, 3, 1, 0, 8];
        block.extend(b"9PX 3000");
        block.push(85);
        block.extend(map);
        block.extend([0, 0]);
        block
    }

    #[test]
    fn a_command_sums_up_to_nothing() {
        // ABh + 01h + 31h = DDh, and DDh + 23h = 100h.
        assert_eq!(command(IDENTITY), [0xab, 0x01, 0x31, 0x23]);
    }

    #[test]
    fn the_identity_says_how_the_meters_are_read() {
        let formats = [(21, 0x41), (22, 0xf0), (25, 0xf4), (56, 0x41), (72, 0xe0), (78, 0x41)];
        let map = map(&identity_of(&formats)).unwrap();
        assert_eq!((map.model.as_str(), map.phases), ("9PX 3000", 1));
        let mut meters = 812.5f32.to_le_bytes().to_vec();
        meters.extend(870i32.to_le_bytes());
        // 15 sixteenths.
        meters.extend(15i32.to_le_bytes());
        meters.extend(231.5f32.to_le_bytes());
        meters.extend([0x22, 0x11, 0x26, 0x20]);
        meters.extend(f32::NAN.to_le_bytes());
        let channels = Reader::new().unwrap().channels;
        let line = |r: &crate::model::Reading| {
            format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value())
        };
        let got: Vec<String> = readings(&map, &meters, &channels).iter().map(line).collect();
        assert_eq!(
            got,
            ["output power 812.5", "input power 870", "output power_factor 0.9375", "input voltage 231.5"]
        );
        assert_eq!(readings(&map, &meters[..6], &channels).len(), 1, "a short block has only what is there");
    }

    #[test]
    fn packets_are_found_among_others() {
        let mut bytes = vec![0x00, START, 0x55];
        bytes.extend(packet_of(3, LAST | 1, &[9]));
        bytes.extend(packet_of(4, 1, &[1, 2]));
        bytes.extend(packet_of(4, LAST | 2, &[3]));
        let (mut rest, mut data, mut count) = (bytes.as_slice(), Vec::new(), 0);
        while let Some((found, length)) = packet(rest, 4, count + 1) {
            rest = &rest[length..];
            if let Some((content, _)) = found {
                count += 1;
                data.extend(content);
            }
        }
        assert_eq!(data, [1, 2, 3]);
    }

    #[test]
    fn a_broken_identity_is_none() {
        let good = identity_of(&[(21, 0x41)]);
        for length in 0..100 {
            assert_eq!(map(&good[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), meters in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = packet(&bytes, 4, 1);
            if let Some(map) = map(&bytes) {
                let _ = readings(&map, &meters, &Reader::new().unwrap().channels);
            }
        }
    }
}
