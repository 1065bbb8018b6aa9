//! Frames of a serial line: unit, answer, checksum. Nothing marks where one begins: one is a frame whose length and checksum say so.

use super::{Frame, pdu};

/// The longest frame of the standard, bytes.
pub const MAX_FRAME: usize = 256;
/// More than two frames without an answer among them is noise: the oldest is let go.
const MAX_KEPT: usize = 2 * MAX_FRAME;

/// The checksum: CRC-16/MODBUS.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |mut crc, byte| {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
        }
        crc
    })
}

/// A question as it goes out.
#[must_use]
pub fn encode(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = vec![unit];
    frame.extend(pdu);
    frame.extend(checksum(&frame).to_le_bytes());
    frame
}

/// What has come off the line and is not yet read.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Bytes that belonged to no frame, since they were last asked for.
    noise: usize,
    /// Whether the adapter gives back what we send.
    hears_itself: bool,
    /// What we sent last, as long as it may come back.
    sent: Vec<u8>,
}

impl Inbox {
    /// What is sent now, so that an adapter that hears itself is not taken for the meter.
    pub fn sent(&mut self, frame: &[u8]) {
        self.sent.clear();
        self.sent.extend(frame);
    }

    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let surplus = self.bytes.len().saturating_sub(MAX_KEPT);
        self.drop_front(surplus);
    }

    /// The next whole frame. What stands before it is no frame and will never be one.
    pub fn next_frame(&mut self) -> Option<Frame> {
        // An echo of Diagnostics is the same bytes as its question: this can only be told of other questions.
        let is_echo = self.sent.get(1) == Some(&8);
        if !is_echo && !self.sent.is_empty() && self.bytes.starts_with(&self.sent) {
            self.hears_itself = true;
            self.bytes.drain(..self.sent.len());
            self.sent.clear();
        }
        for start in 0..self.bytes.len() {
            let Some(rest) = self.bytes.get(start..) else { break };
            if let Some((frame, length)) = frame(rest) {
                self.drop_front(start);
                self.bytes.drain(..length.min(self.bytes.len()));
                return Some(frame);
            }
        }
        None
    }

    /// Forgets what is no frame yet; for when the line has been quiet for so long that no more of it will come.
    pub fn clear(&mut self) {
        self.noise += self.bytes.len();
        self.bytes.clear();
    }

    /// Whether there are bytes that are no frame yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that belonged to no frame since this was last asked.
    pub fn take_noise(&mut self) -> usize {
        std::mem::take(&mut self.noise)
    }

    /// Whether the adapter gives back what we send.
    #[must_use]
    pub const fn hears_itself(&self) -> bool {
        self.hears_itself
    }

    fn drop_front(&mut self, count: usize) {
        self.noise += count;
        self.bytes.drain(..count.min(self.bytes.len()));
    }
}

/// The frame that begins `bytes`, and its length.
fn frame(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&unit, rest) = bytes.split_first()?;
    let length = pdu::length(rest)?;
    let body = bytes.get(..1 + length)?;
    let sum = bytes.get(1 + length..3 + length)?;
    let sum = u16::from_le_bytes(sum.try_into().ok()?);
    let whole = 3 + length <= MAX_FRAME && checksum(body) == sum;
    whole.then(|| {
        (Frame { transaction: None, unit, pdu: rest.get(..length).unwrap_or_default().to_vec() }, 3 + length)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // MODBUS over serial line, V1.02, appendix: 02 07 has the sum 41 12.
        assert_eq!(checksum(&[2, 7]).to_le_bytes(), [0x41, 0x12]);
        assert_eq!(checksum(b"123456789"), 0x4B37);
    }

    #[test]
    fn a_frame_is_found_behind_noise_and_in_pieces() {
        let good = encode(1, &[4, 2, 0x12, 0x34]);
        let mut inbox = Inbox::default();
        inbox.push(&[0xFF, 0x00, 0x84]);
        for byte in &good {
            assert_eq!(inbox.next_frame(), None);
            inbox.push(&[*byte]);
        }
        assert_eq!(
            inbox.next_frame().unwrap(),
            Frame { transaction: None, unit: 1, pdu: vec![4, 2, 0x12, 0x34] }
        );
        assert_eq!((inbox.take_noise(), inbox.is_empty()), (3, true));
    }

    #[test]
    fn a_flipped_bit_anywhere_makes_it_no_frame() {
        let good = encode(1, &[4, 4, 0x44, 0x81, 0xA8, 0]);
        for bit in 0..good.len() * 8 {
            let mut bent = good.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            let mut inbox = Inbox::default();
            inbox.push(&bent);
            assert_eq!(inbox.next_frame(), None, "{bit}");
        }
    }

    #[test]
    fn our_own_question_is_not_taken_for_the_answer() {
        let question = encode(1, &[3, 2, 0, 0, 1]);
        let mut inbox = Inbox::default();
        inbox.sent(&question);
        inbox.push(&question);
        inbox.push(&encode(1, &[3, 2, 0, 7]));
        assert_eq!(inbox.next_frame().unwrap().pdu, [3, 2, 0, 7]);
        assert!(inbox.hears_itself());
    }

    proptest! {
        #[test]
        fn noise_never_fills_the_memory(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let mut inbox = Inbox::default();
            for piece in pieces {
                inbox.push(&piece);
                while inbox.next_frame().is_some() {}
                prop_assert!(inbox.bytes.len() <= MAX_KEPT);
            }
        }
    }
}
