//! The little of BER that an SNMP v2c agent needs. Everything read is from outside: whatever is not as it must be is none.

/// Tags of SNMP's messages and values.
pub mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const TEXT: u8 = 0x04;
    pub const OID: u8 = 0x06;
    pub const SEQUENCE: u8 = 0x30;
    pub const GAUGE: u8 = 0x42;
    pub const TICKS: u8 = 0x43;
    pub const NO_SUCH: u8 = 0x81;
    pub const END: u8 = 0x82;
    pub const GET: u8 = 0xA0;
    pub const GET_NEXT: u8 = 0xA1;
    pub const RESPONSE: u8 = 0xA2;
    pub const GET_BULK: u8 = 0xA5;
}

/// Splits off the first value: its tag, its content, and what follows.
pub fn value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest.split_first_chunk().map(|(length, rest)| (u16::from_be_bytes(*length).into(), rest))?,
        0x83.. | 0x80 => return None,
        short => (usize::from(*short), rest),
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// Splits off the first value, which must have this tag: its content, and what follows.
pub fn tagged(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    value(bytes).and_then(|(found, content, rest)| (found == tag).then_some((content, rest)))
}

/// An integer, and what follows.
pub fn integer(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (content, rest) = tagged(tag::INTEGER, bytes)?;
    let first = i64::from(i8::from_be_bytes([*content.first()?]));
    let rest_of = content.get(1..).filter(|more| more.len() < 8)?;
    Some((rest_of.iter().fold(first, |n, byte| n << 8 | i64::from(*byte)), rest))
}

/// The numbers of an object identifier.
pub fn arcs(content: &[u8]) -> Option<Vec<u32>> {
    let mut arcs = Vec::with_capacity(content.len() + 1);
    let mut arc = 0_u32;
    for byte in content {
        arc = arc.checked_mul(128)? | u32::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.extend([first, arc - 40 * first]);
            } else {
                arcs.push(arc);
            }
            arc = 0;
        }
    }
    (!arcs.is_empty()).then_some(arcs)
}

/// The content of an object identifier.
pub fn oid(arcs: &[u32]) -> Vec<u8> {
    let (head, tail) = arcs.split_at_checked(2).unwrap_or((arcs, &[]));
    let first = head.iter().fold(0_u32, |first, arc| first.saturating_mul(40).saturating_add(*arc));
    let septets = |arc: u32| {
        (0..5_u32)
            .rev()
            .map(move |place| (place, arc >> (7 * place)))
            .skip_while(|(place, part)| *place > 0 && *part == 0)
    };
    let bytes = |arc: u32| {
        septets(arc).map(|(place, part)| {
            let low = (part & 0x7F).to_be_bytes()[3];
            if place > 0 { low | 0x80 } else { low }
        })
    };
    std::iter::once(first).chain(tail.iter().copied()).flat_map(bytes).collect()
}

/// Writes from the end to the start, so that every length is known when it is due.
#[derive(Debug, Default)]
pub struct Backwards(Vec<u8>);

impl Backwards {
    /// What is written, from start to end.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.reverse();
        self.0
    }

    /// How much is written: where a value that now begins will end.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts `content` before what is written.
    pub fn bytes(&mut self, tag: u8, content: &[u8]) {
        let end = self.len();
        self.0.extend(content.iter().rev());
        self.head(tag, end);
    }

    /// Puts an integer before what is written.
    pub fn number(&mut self, tag: u8, number: i64) {
        let bytes = number.to_be_bytes();
        let needless = bytes.windows(2).take_while(|pair| {
            let sign = pair.get(1).map_or(0, |next| next & 0x80);
            matches!((pair.first(), sign), (Some(0), 0) | (Some(0xFF), 0x80))
        });
        let skip = needless.count();
        self.bytes(tag, bytes.get(skip..).unwrap_or_default());
    }

    /// Makes one value of all that was written since `end`.
    pub fn head(&mut self, tag: u8, end: usize) {
        let length = self.len().saturating_sub(end);
        let [.., high, low] = length.to_be_bytes();
        match length {
            0..0x80 => self.0.push(low),
            0x80..0x100 => self.0.extend([low, 0x81]),
            _ => self.0.extend([low, high, 0x82]),
        }
        self.0.push(tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for number in [0, 1, -1, 127, 128, -128, -129, 65_535, i64::from(u32::MAX), i64::MIN >> 8] {
            let mut out = Backwards::default();
            out.number(tag::INTEGER, number);
            let bytes = out.finish();
            assert_eq!(integer(&bytes), Some((number, [].as_slice())), "{bytes:02x?}");
        }
        for of in [&[1, 3, 6, 1, 4, 1, 1718, 4][..], &[2, 100, 3], &[1, 3, u32::MAX, 0]] {
            assert_eq!(arcs(&oid(of)).as_deref(), Some(of));
        }
        for length in [0, 127, 128, 255, 256, 65_535] {
            let mut out = Backwards::default();
            out.bytes(tag::TEXT, &vec![7; length]);
            assert_eq!(tagged(tag::TEXT, &out.finish()).unwrap().0.len(), length);
        }
    }

    #[test]
    fn garbage_is_none() {
        for bad in [
            &[][..],
            &[2],
            &[2, 1],
            &[2, 0x80],
            &[2, 0x84, 0, 0, 0, 1],
            &[2, 0],
            &[2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        ] {
            assert_eq!(integer(bad), None, "{bad:?}");
        }
        assert_eq!(arcs(&[0x2B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]), None);
    }
}
