//! Fuzz target of the serial protocols: what comes off a line, as it is and in frames that are made here and then bent, since
//! chance finds no checksum.
//!
//! The first byte chooses the protocol (low three bits) and the size of the pieces in which bytes come; the next two, which
//! bit of a frame is flipped; the rest is what comes, or what the frame holds.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "that is how a run fails")]

use std::collections::HashSet;
use std::time::Duration;

use super::telegram::{MAX_MESSAGE, Telegram, find};
use super::{Measuring, PowerSign, dsmr, eaton_xcp, iec62056, lmg450, megatec, obis, sml, text, wattsup};
use crate::model::{Quantity, Reading, Watts};

/// Four channels drawn from and four given back to, with all that codes say of them.
const MOST_READINGS: usize = 32;

/// How the bytes come, and which bit of a frame is bent.
struct Line {
    piece: usize,
    flip: usize,
}

impl Line {
    /// `frame` with one bit flipped.
    fn bent(&self, frame: &[u8]) -> Vec<u8> {
        let mut bent = frame.to_vec();
        let bit = self.flip % (bent.len() * 8);
        bent[bit / 8] ^= 1 << (bit % 8);
        bent
    }

    /// What `whole` makes of `content` at once and `pieces` of it bit by bit, which must be the same.
    fn alike(
        &self,
        content: &[u8],
        mut whole: impl FnMut(&[u8]) -> Vec<Telegram>,
        pieces: impl FnMut(&[u8]) -> Vec<Telegram>,
    ) {
        let at_once = whole(content);
        let bit_by_bit: Vec<_> = content.chunks(self.piece).flat_map(pieces).collect();
        assert_eq!(at_once, bit_by_bit, "pieces make no difference");
        at_once.iter().for_each(sound);
    }
}

/// Runs one input.
pub fn serial(input: &[u8]) {
    let Some((&[how, low, high], content)) = input.split_first_chunk() else { return };
    let line = Line { piece: usize::from(how >> 3) + 1, flip: usize::from(u16::from_le_bytes([low, high])) };
    match how & 7 {
        0 => wattsup(&line, content),
        1 => lmg450(&line, content),
        2 => dsmr(&line, content),
        3 => iec62056(&line, content),
        4 => sml_frames(&line, content),
        5 => sml_values(content),
        6 => megatec(content),
        _ => eaton_xcp(&line, content),
    }
}

/// What a telegram says is finite, once, and fit for labels.
fn sound(telegram: &Telegram) {
    assert!(!telegram.readings.is_empty());
    readings(&telegram.readings);
    if let Some(who) = &telegram.identity {
        for text in [&who.vendor, &who.model, &who.serial, &who.firmware] {
            assert!(text.len() <= 64 && !text.contains(char::is_control), "{text:?}");
        }
    }
}

fn readings(readings: &[Reading]) {
    assert!(readings.len() <= MOST_READINGS);
    let mut seen = HashSet::new();
    for reading in readings {
        assert!(reading.measure.value().is_finite());
        assert!(seen.insert((&reading.channel, reading.measure.quantity())), "twice");
    }
}

fn watts(telegram: Option<&Telegram>) -> Option<f64> {
    let power = |r: &&Reading| r.measure.quantity() == Quantity::Power;
    telegram?.readings.iter().find(power).map(|r| r.measure.value())
}

fn wattsup(line: &Line, content: &[u8]) {
    let (mut whole, mut pieces) = (wattsup::Framer::new().unwrap(), wattsup::Framer::new().unwrap());
    line.alike(content, |b| whole.push(b), |b| pieces.push(b));
    for framer in [&mut whole, &mut pieces] {
        assert!(framer.pending.bytes().len() <= 1024);
        let next =
            framer.push(b";#d,-,18,1000,2304,434,1234,0,0,0,1050,2313,454,950,2295,414,98,100,0,500,1010;");
        assert_eq!(watts(next.last()), Some(100.0), "the next packet is right");
    }
}

fn lmg450(line: &Line, content: &[u8]) {
    let quantities = vec![Quantity::Power, Quantity::PowerFactor];
    let measuring = Measuring { channels: vec![1, 2], quantities, cycle: Duration::from_millis(50) };
    let framer = || lmg450::Framer::new(&measuring).unwrap();
    let (mut whole, mut pieces) = (framer(), framer());
    line.alike(content, |b| whole.push(b), |b| pieces.push(b));
    for framer in [&mut whole, &mut pieces] {
        assert!(framer.pending.bytes().len() <= 1024);
        let next = framer.push(b"\n100;1;2E2;0.5\r\n");
        assert_eq!(watts(next.last()), Some(100.0), "the next line is right");
    }
}

/// A CRC of 16 bits the long way: the reversed message, shifted through the polynomial as it is written in the standards.
fn crc(bytes: &[u8], polynomial: u16, start: u16) -> u16 {
    let mut register = start;
    for byte in bytes {
        for bit in 0..8 {
            let out = (register >> 15 == 1) != ((byte >> bit) & 1 == 1);
            register = (register << 1) ^ if out { polynomial } else { 0 };
        }
    }
    register.reverse_bits()
}

fn dsmr(line: &Line, content: &[u8]) {
    let (mut whole, mut pieces) = (dsmr::Framer::new().unwrap(), dsmr::Framer::new().unwrap());
    line.alike(content, |b| whole.push(b), |b| pieces.push(b));
    assert!(whole.pending.bytes().len() <= MAX_MESSAGE);
    let next = dsmr_of(b"1-0:1.7.0(00.100*kW)");
    whole.push(&[b"\r\n", next.as_slice()].concat());
    assert_eq!(watts(whole.push(&next).last()), Some(100.0), "the one after the next is right at the latest");

    let good = dsmr_of(content);
    let mut framer = dsmr::Framer::new().unwrap();
    framer.push(&good);
    let read = framer.push(&good);
    read.iter().for_each(sound);
    let bent = line.bent(&good);
    let believed = framer.push(&bent);
    assert!(believed.is_empty() || dsmr_signed(&bent), "a telegram with a wrong checksum was read");
    framer.push(&good);
    assert_eq!(framer.push(&good), read, "after a bent one it is read as before");
}

/// A telegram with `data`, signed.
fn dsmr_of(data: &[u8]) -> Vec<u8> {
    let data: Vec<u8> = data.iter().map(|b| if *b == b'!' { b' ' } else { *b }).collect();
    let body = [b"/ISK5\\2M550T\r\n\r\n", data.as_slice(), b"\r\n!"].concat();
    let sum = crc(&body, 0x8005, 0);
    [body, format!("{sum:04X}\r\n").into_bytes()].concat()
}

/// Whether anything in `bytes` is a signed telegram.
fn dsmr_signed(bytes: &[u8]) -> bool {
    let places = |what: u8| bytes.iter().enumerate().filter(move |(_, b)| **b == what).map(|(at, _)| at);
    places(b'!').any(|bang| {
        let digits = bytes.get(bang + 1..bang + 5).and_then(|digits| std::str::from_utf8(digits).ok());
        let sum = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        places(b'/')
            .take_while(|from| *from < bang)
            .any(|from| Some(crc(&bytes[from..=bang], 0x8005, 0)) == sum)
    })
}

fn iec62056(line: &Line, content: &[u8]) {
    if let Some(header) = iec62056::header(content) {
        assert!(header.starts_with(b"/") && !header.ends_with(b"\n"));
        sound_texts(&text::identity(header, String::new()).model);
    }
    let signed = |bytes: &[u8]| match iec62056::block(bytes) {
        iec62056::Block::Good(data) => {
            let from = bytes.iter().position(|b| *b == 2).unwrap() + 1;
            let sum = data.iter().fold(3, |sum, b| sum ^ b);
            assert_eq!(bytes[from + data.len() + 1], sum, "a block with a wrong checksum was read");
            let data = text::data(data);
            sound_texts(&data.serial);
            readings(&obis::Fold::new().unwrap().fold(&data.items));
        }
        iec62056::Block::Open | iec62056::Block::Garbled => {}
    };
    signed(content);
    let data: Vec<u8> = content.iter().copied().filter(|b| *b != 3).collect();
    let sum = data.iter().fold(3, |sum, b| sum ^ b);
    let frame = [&[2], data.as_slice(), &[3, sum]].concat();
    assert_eq!(iec62056::block(&frame), iec62056::Block::Good(&data));
    let cut = &frame[..line.flip % frame.len()];
    assert_eq!(iec62056::block(cut), iec62056::Block::Open, "a part is not a block");
    signed(&frame);
    signed(&line.bent(&frame));
}

fn sound_texts(text: &str) {
    assert!(text.len() <= 64 && !text.contains(char::is_control), "{text:?}");
}

const SML_START: &[u8] = &[0x1b, 0x1b, 0x1b, 0x1b, 1, 1, 1, 1];

fn sml_frames(line: &Line, content: &[u8]) {
    let framer = || sml::Framer::new(PowerSign::Auto).unwrap();
    let mut raw = framer();
    let read: Vec<_> = content.chunks(line.piece).flat_map(|piece| raw.push(piece)).collect();
    read.iter().for_each(sound);
    assert!(read.is_empty() || sml_signed(content), "a frame with a wrong checksum was read");
    assert!(raw.pending.bytes().len() <= MAX_MESSAGE);

    let good = sml_of(content);
    match sml::frame(&good) {
        sml::Frame::Whole { body, length } => assert_eq!((body.as_slice(), length), (content, good.len())),
        sml::Frame::Open | sml::Frame::Broken => panic!("a good frame was not read"),
    }
    let mut framer = framer();
    framer.push(&good);
    let read = framer.push(&good);
    let bent = line.bent(&good);
    let believed = framer.push(&bent);
    assert!(believed.is_empty() || sml_signed(&bent), "a frame with a wrong checksum was read");
    let after = framer.push(&good);
    assert_eq!(after.last(), read.last(), "after a bent one it is read as before");
    // A beginning within a frame is taken for one while the frame's end is not there yet.
    if find(&good[1..], SML_START).is_none() {
        let pieces: Vec<_> = good.chunks(line.piece).flat_map(|piece| framer.push(piece)).collect();
        assert_eq!(pieces, read);
    }
}

/// A frame with `body`.
fn sml_of(body: &[u8]) -> Vec<u8> {
    let mut frame = SML_START.to_vec();
    let padding = (4 - body.len() % 4) % 4;
    let padded = [body, &[0, 0, 0][..padding]].concat();
    for chunk in padded.chunks(4) {
        if chunk == [0x1b; 4] {
            frame.extend([0x1b; 4]);
        }
        frame.extend(chunk);
    }
    frame.extend([0x1b, 0x1b, 0x1b, 0x1b, 0x1a, u8::try_from(padding).unwrap()]);
    let sum = !crc(&frame, 0x1021, 0xffff);
    frame.extend(sum.to_le_bytes());
    frame
}

/// Whether anything in `bytes` is a frame with a right checksum.
fn sml_signed(bytes: &[u8]) -> bool {
    let starts = bytes.windows(8).enumerate().filter(|(_, w)| *w == SML_START).map(|(at, _)| at);
    starts.into_iter().any(|from| {
        let ends = bytes.windows(5).enumerate().filter(|(_, w)| *w == [0x1b, 0x1b, 0x1b, 0x1b, 0x1a]);
        ends.map(|(at, _)| at + 6).filter(|end| *end > from).any(|end| {
            let sum = bytes.get(end..end + 2).map(|sum| u16::from_le_bytes([sum[0], sum[1]]));
            let signed = &bytes[from..end.min(bytes.len())];
            sum == Some(!crc(signed, 0x1021, 0xffff)) || sum == Some(crc(signed, 0x1021, 0))
        })
    })
}

/// What was read is read again after it was written.
fn sml_values(content: &[u8]) {
    let mut rest = content;
    while let Some(value) = sml::value(&mut rest, sml::MAX_DEPTH) {
        let mut written = Vec::new();
        write(&value, &mut written);
        let mut again = written.as_slice();
        assert_eq!(sml::value(&mut again, sml::MAX_DEPTH), Some(value));
        assert!(again.is_empty(), "more was written than read");
    }
}

fn write(value: &sml::Value<'_>, into: &mut Vec<u8>) {
    use sml::Value::{Bool, End, List, Octets, Signed, Unsigned};
    match value {
        End => into.push(0),
        Bool => into.extend([0x42, 1]),
        Octets(octets) => {
            let header = (1..5).find(|header| (octets.len() + header) >> (4 * header) == 0).unwrap();
            head(0, octets.len() + header, header, into);
            into.extend(*octets);
        }
        Signed(number, size) => number_of(5, &number.to_be_bytes(), *size, into),
        Unsigned(number) => number_of(6, &number.to_be_bytes(), 8, into),
        List(list) => {
            let header = (1..5).find(|header| list.len() >> (4 * header) == 0).unwrap();
            head(7, list.len(), header, into);
            list.iter().for_each(|one| write(one, into));
        }
    }
}

fn number_of(kind: u8, bytes: &[u8; 8], size: usize, into: &mut Vec<u8>) {
    head(kind, size + 1, 1, into);
    into.extend(&bytes[8 - size..]);
}

/// Type and length in `header` bytes of four bits each.
fn head(kind: u8, length: usize, header: usize, into: &mut Vec<u8>) {
    for place in (0..header).rev() {
        let nibble = u8::try_from((length >> (4 * place)) & 0x0f).unwrap();
        let kind = if place + 1 == header { kind << 4 } else { 0 };
        into.push(kind | nibble | if place > 0 { 0x80 } else { 0 });
    }
}

fn megatec(content: &[u8]) {
    let reader = megatec::Reader::new(Some(Watts::new(1000.0).unwrap())).unwrap();
    for answer in content.split(|b| *b == b'\r') {
        reader.parse(answer).iter().for_each(sound);
    }
}

fn eaton_xcp(line: &Line, content: &[u8]) {
    assert!(xcp_data(content).len() <= content.len());
    let most = &content[..content.len().min(121 * 16)];
    let chunks = most.chunks(121).enumerate();
    let last = most.chunks(121).count();
    let packets = chunks.map(|(at, chunk)| {
        let flags = u8::try_from(at + 1).unwrap() | if at + 1 == last { 0x80 } else { 0 };
        let mut packet = vec![0xab, 4, u8::try_from(chunk.len()).unwrap(), flags];
        packet.extend(chunk);
        let sum = packet.iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
        packet.push(sum.wrapping_neg());
        packet
    });
    let good: Vec<u8> = packets.flatten().collect();
    assert_eq!(xcp_data(&good), most, "what was sent is what is read");
    if !good.is_empty() {
        xcp_data(&line.bent(&good));
    }
    let (identity, meters) = content.split_at(line.flip % (content.len() + 1));
    if let Some(map) = eaton_xcp::map(identity) {
        sound_texts(&map.model);
        readings(&eaton_xcp::readings(&map, meters, &eaton_xcp::Reader::new().unwrap().channels));
    }
}

/// The content of block 4.
fn xcp_data(bytes: &[u8]) -> Vec<u8> {
    let (mut rest, mut data, mut sequence) = (bytes, Vec::new(), 1);
    while let Some((found, length)) = eaton_xcp::packet(rest, 4, sequence) {
        assert!((1..=rest.len()).contains(&length), "it goes on");
        if let Some((content, _)) = found {
            let sum: u32 = rest[..length].iter().map(|b| u32::from(*b)).sum();
            assert_eq!(sum % 256, 0, "a packet with a wrong checksum was read");
            data.extend(content);
            sequence += 1;
        }
        rest = &rest[length..];
    }
    data
}
