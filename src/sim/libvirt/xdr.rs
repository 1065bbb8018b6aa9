//! XDR (RFC 4506) as libvirt's remote protocol uses it: big-endian, padded to four bytes. Pure.

/// Builds one message body.
#[derive(Default)]
pub(super) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A length that fits by construction: what is counted here is the simulation's own.
    pub fn len(&mut self, len: usize) -> &mut Self {
        self.u32(u32::try_from(len).unwrap_or(u32::MAX))
    }

    pub fn string(&mut self, text: &str) -> &mut Self {
        self.len(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Takes one message body apart; every method gives nothing when the bytes end early.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn raw(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<[u8; 4]> {
        self.raw(4)?.try_into().ok()
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.word().map(u32::from_be_bytes)
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.word().map(i32::from_be_bytes)
    }

    pub fn string(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.u32()?).ok()?;
        let text = self.raw(len)?;
        self.raw(len.next_multiple_of(4) - len)?;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_padded_and_cut_ones_are_nothing() {
        let mut w = Writer::default();
        w.string("qemu:").i32(-1).u64(7);
        assert_eq!(w.0, b"\0\0\0\x05qemu:\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x07");
        let mut r = Reader(&w.0);
        assert_eq!((r.string(), r.i32()), (Some("qemu:"), Some(-1)));
        assert_eq!(Reader(&w.0[..9]).string(), None);
        assert_eq!(Reader(b"\xff\xff\xff\xff").string(), None);
    }
}
