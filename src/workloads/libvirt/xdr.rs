//! XDR (RFC 4506) as libvirt uses it: big-endian words, strings padded to four bytes. Pure; knows no procedure.
//!
//! Every length is checked against a limit and against the bytes that are really there before anything is allocated.

/// Why bytes are not the XDR that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XdrError {
    /// The message ends inside a value.
    #[error("the message ends inside a value")]
    Truncated,
    /// A string or array says it is longer than it may be.
    #[error("a length of {length} where at most {limit} may stand")]
    TooLong {
        /// What the message says.
        length: u32,
        /// What is allowed.
        limit: u32,
    },
    /// A union's discriminant or an optional's flag that the protocol does not know.
    #[error("unknown discriminant {0}")]
    Discriminant(u32),
    /// Bytes after the last value.
    #[error("{0} bytes after the last value")]
    Trailing(usize),
}

/// Reads values off the front of a message.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], XdrError> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(XdrError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// `N` bytes as they stand. `N` is a multiple of four in all that libvirt sends, so no padding follows.
    pub fn opaque<const N: usize>(&mut self) -> Result<[u8; N], XdrError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(XdrError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// An unsigned word.
    pub fn u32(&mut self) -> Result<u32, XdrError> {
        self.opaque().map(u32::from_be_bytes)
    }

    /// A signed word.
    pub fn i32(&mut self) -> Result<i32, XdrError> {
        self.opaque().map(i32::from_be_bytes)
    }

    /// An unsigned double word.
    pub fn u64(&mut self) -> Result<u64, XdrError> {
        self.opaque().map(u64::from_be_bytes)
    }

    /// The bytes of a string of at most `limit` bytes; its padding is skipped.
    pub fn bytes(&mut self, limit: u32) -> Result<&'a [u8], XdrError> {
        let length = self.u32()?;
        if length > limit {
            return Err(XdrError::TooLong { length, limit });
        }
        let length = usize::try_from(length).map_err(|_| XdrError::Truncated)?;
        let text = self.take(length)?;
        self.take(length.next_multiple_of(4) - length)?;
        Ok(text)
    }

    /// A string of at most `limit` bytes; what is not UTF-8 in it is replaced.
    pub fn string(&mut self, limit: u32) -> Result<String, XdrError> {
        Ok(String::from_utf8_lossy(self.bytes(limit)?).into_owned())
    }

    /// Whether an optional value follows.
    pub fn present(&mut self) -> Result<bool, XdrError> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(XdrError::Discriminant(other)),
        }
    }

    /// The number of elements of an array of at most `limit`, each of which takes `element` bytes or more. What
    /// cannot be in the rest of the message is refused here, before the caller makes room for it.
    pub fn count(&mut self, limit: u32, element: usize) -> Result<usize, XdrError> {
        let length = self.u32()?;
        if length > limit {
            return Err(XdrError::TooLong { length, limit });
        }
        let count = usize::try_from(length).map_err(|_| XdrError::Truncated)?;
        if count.saturating_mul(element) > self.rest.len() {
            return Err(XdrError::Truncated);
        }
        Ok(count)
    }

    /// Nothing may follow.
    pub fn finish(self) -> Result<(), XdrError> {
        if self.rest.is_empty() { Ok(()) } else { Err(XdrError::Trailing(self.rest.len())) }
    }
}

/// Writes values one after the other.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Adds an unsigned word.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Adds a signed word.
    #[must_use]
    pub fn i32(mut self, value: i32) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Adds bytes as they stand; their number must be a multiple of four.
    #[must_use]
    pub fn opaque(mut self, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(value);
        self
    }

    /// Adds a string: length, bytes, padding. Longer than 4 GiB cannot happen with what we send; it would be cut.
    #[must_use]
    pub fn string(self, value: &str) -> Self {
        let mut next = self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        next.bytes.extend_from_slice(value.as_bytes());
        next.bytes.resize(next.bytes.len().next_multiple_of(4), 0);
        next
    }

    /// The message so far.
    #[must_use]
    pub fn done(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_padded_to_four_and_read_back() {
        for (text, wire) in [
            ("", &b"\0\0\0\0"[..]),
            ("vm", b"\0\0\0\x02vm\0\0"),
            ("user", b"\0\0\0\x04user"),
            ("kernel", b"\0\0\0\x06kernel\0\0"),
        ] {
            assert_eq!(Writer::default().string(text).done(), wire);
            let mut r = Reader::new(wire);
            assert_eq!(r.string(16).unwrap(), text);
            r.finish().unwrap();
        }
    }

    #[test]
    fn a_length_is_checked_before_room_is_made() {
        assert_eq!(
            Reader::new(b"\xff\xff\xff\xff").bytes(64),
            Err(XdrError::TooLong { length: u32::MAX, limit: 64 })
        );
        assert_eq!(Reader::new(b"\0\0\0\x05abc").bytes(64), Err(XdrError::Truncated));
        // Four elements of 24 bytes cannot stand in eight bytes.
        assert_eq!(Reader::new(b"\0\0\0\x04........").count(16_384, 24), Err(XdrError::Truncated));
        assert_eq!(Reader::new(b"\0\0\0\x01x").count(0, 1), Err(XdrError::TooLong { length: 1, limit: 0 }));
    }

    #[test]
    fn a_flag_is_zero_or_one_and_nothing_may_follow_the_end() {
        assert_eq!(Reader::new(b"\0\0\0\x02").present(), Err(XdrError::Discriminant(2)));
        assert_eq!(Reader::new(b"\0").finish(), Err(XdrError::Trailing(1)));
        assert_eq!(Reader::new(b"\0\0").u32(), Err(XdrError::Truncated));
    }
}
