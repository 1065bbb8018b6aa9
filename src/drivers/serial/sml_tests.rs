//! SML frames, built here value by value as SML 1.04 and the profile EDL21 describe them.

use proptest::prelude::*;

use super::*;
use crate::model::Reading;

/// `[code, -, -, unit, scaler, value, -]`, where `value` is encoded.
fn entry_of(code: [u8; 6], unit: u8, scaler: i8, value: &[u8]) -> Vec<u8> {
    let mut entry = vec![0x77, 0x07];
    entry.extend(code);
    entry.extend([0x01, 0x01, 0x62, unit, 0x52, scaler.cast_unsigned()]);
    entry.extend(value);
    entry.push(0x01);
    entry
}

/// A whole body: a GetList.Res of up to 15 entries, with a checksum of its own that is not looked at.
fn body_of(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![0x76, 0x02, 0x07, 0x62, 0x00, 0x62, 0x00, 0x72, 0x63, 0x07, 0x01];
    body.extend([0x77, 0x01, 0x02, 0x0a, 0x01, 0x01, 0x70 | u8::try_from(entries.len()).unwrap()]);
    entries.iter().for_each(|entry| body.extend(entry));
    body.extend([0x01, 0x01, 0x63, 0x12, 0x34, 0x00]);
    body
}

fn frame_of(body: &[u8]) -> Vec<u8> {
    let mut frame = START.to_vec();
    let mut padded = body.to_vec();
    let padding = (4 - body.len() % 4) % 4;
    padded.resize(body.len() + padding, 0);
    for chunk in padded.chunks(4) {
        if chunk == ESCAPE {
            frame.extend(ESCAPE);
        }
        frame.extend(chunk);
    }
    frame.extend(ESCAPE);
    frame.extend([0x1a, u8::try_from(padding).unwrap()]);
    let [x25, _] = checksums(&frame);
    frame.extend(x25.to_le_bytes());
    frame
}

/// 1-0:1.8.0 = 12345678 x 0.1 Wh, 1-0:16.7.0 = 215.99 W, 1-0:96.1.0 = 1 EMH 00 04921570.
fn usual() -> Vec<u8> {
    frame_of(&body_of(&[
        entry_of([1, 0, 96, 1, 0, 255], 255, 0, b"\x0b\x0a\x01EMH\x00\x00\x4b\x18\xe2"),
        entry_of([1, 0, 1, 8, 0, 255], 30, -1, &[0x65, 0x00, 0xbc, 0x61, 0x4e]),
        entry_of([1, 0, 16, 7, 0, 255], 27, -2, &[0x53, 0x54, 0x5f]),
    ]))
}

fn lines(telegrams: &[Telegram]) -> Vec<String> {
    let line = |r: &Reading| format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value());
    telegrams.iter().flat_map(|t| t.readings.iter().map(line)).collect()
}

fn read(bytes: &[u8]) -> Vec<String> {
    lines(&Framer::new(PowerSign::Auto).unwrap().push(bytes))
}

/// 1,234,567.8 Wh are 4,444,444,080 J.
const USUAL: [&str; 2] = ["input power 215.99", "input energy 4444444080"];

#[test]
fn the_checksum_is_that_of_x25() {
    // The check values of CRC-16/X-25 (IBM-SDLC) and CRC-16/KERMIT.
    assert_eq!(checksums(b"123456789"), [0x906e, 0x2189]);
}

#[test]
fn a_number_without_end_is_shown_with_its_beginning() {
    // 83h 02h: octets, 50 bytes with these two.
    let number = [&[0x83, 0x02][..], &[0xab; 48]].concat();
    let power = entry_of([1, 0, 16, 7, 0, 255], 27, 0, &[0x52, 7]);
    let frame = frame_of(&body_of(&[entry_of([1, 0, 96, 1, 0, 255], 255, 0, &number), power]));
    let read = Framer::new(PowerSign::Auto).unwrap().push(&frame);
    assert_eq!(read[0].identity.as_ref().unwrap().serial, "ab".repeat(MAX_NUMBER));
}

#[test]
fn a_frame_is_read_however_it_is_cut() {
    let bytes = usual();
    assert_eq!(read(&bytes), USUAL);
    let mut framer = Framer::new(PowerSign::Auto).unwrap();
    let telegrams: Vec<Telegram> = bytes.iter().flat_map(|b| framer.push(&[*b])).collect();
    assert_eq!(lines(&telegrams), USUAL);
    // 004B18E2h is 4,921,570.
    assert_eq!(telegrams[0].identity.as_ref().unwrap().serial, "1EMH0004921570");
}

#[test]
fn a_torn_or_garbled_frame_leaves_nothing_and_spoils_not_the_next() {
    let good = usual();
    let mut garbled = good.clone();
    garbled[60] ^= 1;
    let mut lost = good.clone();
    lost.remove(50);
    for before in
        [&good[..40], &good[3..], &garbled, &lost, START, &[0x1b; 7], &[0; 100], &good[..good.len() - 1]]
    {
        let mut bytes = before.to_vec();
        bytes.extend(&good);
        assert_eq!(read(&bytes), USUAL, "{}", hex::encode(before));
    }
}

#[test]
fn escapes_in_the_data_are_data() {
    let mut body = vec![0x07, 0x01, 0x02, 0x03];
    body.extend([0x1b; 8]);
    let framed = frame_of(&body);
    let Frame::Whole { body: got, .. } = frame(&framed) else { panic!("a whole frame") };
    assert_eq!(got, body);
}

#[test]
fn a_meter_that_feeds_in_gives_export() {
    // FFFE1393h is -126,061.
    let back = entry_of([1, 0, 16, 7, 0, 255], 27, -2, &[0x55, 0xff, 0xfe, 0x13, 0x93]);
    assert_eq!(read(&frame_of(&body_of(&[back]))), ["input power 0", "export power 1260.61"]);
}

#[test]
fn wrong_signs_are_set_right_for_those_meters_only() {
    // 8025h is 32805: 328.05 W, or -327.31 W where the highest bit is a sign.
    let power = entry_of([1, 0, 16, 7, 0, 255], 27, -2, &[0x53, 0x80, 0x25]);
    let with = |number: u32, sign| {
        let mut value = b"\x0b\x0a\x01DZG\x00".to_vec();
        value.extend(number.to_be_bytes());
        let body = body_of(&[entry_of([1, 0, 96, 1, 0, 255], 255, 0, &value), power.clone()]);
        lines(&Framer::new(sign).unwrap().push(&frame_of(&body)))
    };
    assert_eq!(with(42_082_910, PowerSign::Auto), ["input power 328.05"]);
    assert_eq!(with(60_694_612, PowerSign::Auto), ["input power 0", "export power 327.31"]);
    assert_eq!(with(60_694_612, PowerSign::Unsigned), ["input power 328.05"]);
    assert_eq!(with(42_082_910, PowerSign::Signed), ["input power 0", "export power 327.31"]);
}

#[test]
fn whole_kilowatt_hours_are_a_coarse_counter() {
    let quantum = |raw: u32| {
        let mut value = vec![0x65];
        value.extend(raw.to_be_bytes());
        let body = body_of(&[entry_of([1, 0, 1, 8, 0, 255], 30, -1, &value)]);
        let telegrams = Framer::new(PowerSign::Auto).unwrap().push(&frame_of(&body));
        match telegrams[0].readings[0].measure {
            crate::model::Measure::Energy(counter) => counter.quantum.get(),
            _ => panic!("a counter"),
        }
    };
    assert_eq!((quantum(12_340_000), quantum(12_345_678)), (3_600_000.0, 360.0));
}

#[test]
fn a_list_that_claims_to_be_endless_is_nothing() {
    // A list of FFFh entries with none in it, and one inside another without end.
    assert_eq!(read(&frame_of(&[0xff, 0x8f, 0x0f])), [] as [&str; 0]);
    assert_eq!(read(&frame_of(&[0x71; 4000])), [] as [&str; 0]);
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..400), raw in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut framer = Framer::new(PowerSign::Unsigned).unwrap();
        let _ = framer.push(&raw);
        let _ = framer.push(&frame_of(&body));
        let _ = framer.push(&frame_of(&body_of(&[entry_of([1, 0, 16, 7, 0, 255], 27, 0, &body)])));
        prop_assert!(framer.pending.bytes().len() <= MAX_FRAME + 400);
    }
}
