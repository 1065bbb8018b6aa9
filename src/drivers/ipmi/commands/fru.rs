//! Field replaceable unit 0: who made the machine. Platform Management FRU Information Storage Definition v1.0.

use super::{No, data};
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::{Reply, Request};

const STORAGE: u8 = 0x0a;
/// The mainboard's unit.
const DEVICE: u8 = 0;
/// Longest text that is kept, bytes.
const MAX_TEXT: usize = 64;
/// End of a list of fields.
const END: u8 = 0xc1;

/// Get FRU Inventory Area Info.
#[must_use]
pub fn get_info() -> Request {
    Request::new(STORAGE, 0x10, [DEVICE])
}

/// Whether the area is counted in words of two bytes.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short.
pub fn in_words(reply: &Reply) -> Result<bool, No> {
    data(reply)?.get(2).map(|access| access & 1 == 1).ok_or(No::Malformed)
}

/// Read FRU Data: `count` bytes or words from `offset` bytes or words.
#[must_use]
pub fn read(offset: u16, count: u8) -> Request {
    let [low, high] = offset.to_le_bytes();
    Request::new(STORAGE, 0x11, [DEVICE, low, high, count])
}

/// The bytes read.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short.
pub fn part(reply: &Reply) -> Result<&[u8], No> {
    data(reply)?.split_first().map(|(_count, rest)| rest).ok_or(No::Malformed)
}

/// Where the board's and the product's area begin, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The board's.
    pub board: Option<u16>,
    /// The product's.
    pub product: Option<u16>,
}

impl Header {
    /// Bytes of a header.
    pub const LEN: u8 = 8;

    /// Reads it; `None` if its version or checksum is not right.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [version, _internal, _chassis, board, product, _multi, _pad, _sum] = Bytes(bytes).array()?;
        let sum = bytes.iter().take(usize::from(Self::LEN)).fold(0u8, |sum, b| sum.wrapping_add(*b));
        let at = |unit: u8| (unit != 0).then(|| u16::from(unit) * 8);
        (version & 0x0f == 1 && sum == 0).then(|| Self { board: at(board), product: at(product) })
    }
}

/// Maker, name and serial number, each may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Maker {
    /// Maker.
    pub vendor: String,
    /// Name of the product or board.
    pub model: String,
    /// Serial number.
    pub serial: String,
}

impl Maker {
    /// Reads a product area: maker, name, part, version, serial.
    #[must_use]
    pub fn product(area: &[u8]) -> Self {
        let [vendor, model, _part, _version, serial] = fields(area.get(3..).unwrap_or_default());
        Self { vendor, model, serial }
    }

    /// Reads a board area: maker, name, serial, behind three bytes of date.
    #[must_use]
    pub fn board(area: &[u8]) -> Self {
        let [vendor, model, serial, _, _] = fields(area.get(6..).unwrap_or_default());
        Self { vendor, model, serial }
    }

    /// What is empty taken from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let first = |a: String, b: String| if a.is_empty() { b } else { a };
        Self {
            vendor: first(self.vendor, other.vendor),
            model: first(self.model, other.model),
            serial: first(self.serial, other.serial),
        }
    }
}

fn fields(bytes: &[u8]) -> [String; 5] {
    let mut bytes = Bytes(bytes);
    let mut ended = false;
    std::array::from_fn(|_| {
        let head = bytes.u8().filter(|head| !ended && *head != END);
        let field = head.and_then(|head| Some(text(head >> 6, bytes.take(usize::from(head & 0x3f))?)));
        ended |= field.is_none();
        field.unwrap_or_default()
    })
}

/// Text of one of the four codings, without what cannot be shown.
#[must_use]
pub fn text(coding: u8, bytes: &[u8]) -> String {
    let raw: String = match coding & 3 {
        0 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        1 => bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).map(bcd_plus).collect(),
        2 => six_bit(bytes),
        _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    let clean: String = raw.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    clean.trim().to_owned()
}

const fn bcd_plus(nibble: u8) -> char {
    match nibble {
        0..=9 => (b'0' + nibble) as char,
        10 => ' ',
        11 => '-',
        _ => '.',
    }
}

/// Four characters in three bytes, the first in the lowest bits.
fn six_bit(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().rev().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        for n in 0..chunk.len() * 8 / 6 {
            let code = bits >> (6 * n) & 0x3f;
            text.extend(char::from_u32(code + 0x20));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_named_with_its_serial_number() {
        let mut area = vec![1, 8, 0];
        for field in ["Dell Inc.", "PowerEdge R640", "0W23H8", "", "ABC1234"] {
            area.push(0xc0 | u8::try_from(field.len()).unwrap());
            area.extend(field.as_bytes());
        }
        area.push(END);
        let maker = Maker::product(&area);
        let wanted =
            Maker { vendor: "Dell Inc.".into(), model: "PowerEdge R640".into(), serial: "ABC1234".into() };
        assert_eq!(maker, wanted);
        // Cut anywhere, it says less, never something else.
        for cut in 0..area.len() {
            let maker = Maker::product(&area[..cut]);
            assert!(maker.vendor.is_empty() || maker.vendor == "Dell Inc.", "{maker:?}");
            assert!(maker.serial.is_empty() || maker.serial == "ABC1234", "{maker:?}");
        }
    }

    #[test]
    fn every_coding_is_read() {
        assert_eq!(text(3, b"IPMI \x00\x07 "), "IPMI");
        // BCD plus: 12, 3-, "4.".
        assert_eq!(text(1, &[0x12, 0x3b, 0x4c]), "123-4.");
        // "IPMI" in six bits: the example of the specification.
        assert_eq!(text(2, &[0x29, 0xdc, 0xa6]), "IPMI");
    }

    #[test]
    fn a_header_with_a_wrong_checksum_is_none() {
        let mut header = [1, 0, 0, 1, 5, 0, 0, 0];
        header[7] = 0u8.wrapping_sub(7);
        assert_eq!(Header::parse(&header), Some(Header { board: Some(8), product: Some(40) }));
        header[3] = 2;
        assert_eq!(Header::parse(&header), None);
    }

    proptest::proptest! {
        #[test]
        fn random_areas_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = Header::parse(&bytes);
            let _ = Maker::product(&bytes).or(Maker::board(&bytes));
        }
    }
}
