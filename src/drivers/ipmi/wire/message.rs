//! The IPMI message: a command to the BMC and its reply, in the form of IPMB that LAN uses. IPMI v1.5 section 12.4.

use super::bridge::Via;
use super::bytes::Bytes;

/// Address of the BMC.
pub(super) const BMC: u8 = 0x20;
/// Our address: remote console software.
pub(super) const CONSOLE: u8 = 0x81;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Network function, even, below 40h.
    pub net_fn: u8,
    /// Logical unit of the BMC, 0 to 3.
    pub lun: u8,
    /// Command.
    pub command: u8,
    /// What follows.
    pub data: Vec<u8>,
    /// The controller that it is for, where that is not the BMC.
    pub via: Option<Via>,
}

impl Request {
    /// To logical unit 0 of the BMC.
    #[must_use]
    pub fn new(net_fn: u8, command: u8, data: impl Into<Vec<u8>>) -> Self {
        Self { net_fn, lun: 0, command, data: data.into(), via: None }
    }

    /// As bytes, with the sequence number `seq` (6 bits).
    #[must_use]
    pub fn encode(&self, seq: u8) -> Vec<u8> {
        if let Some(via) = self.via {
            return via.wrap(self, seq).encode(seq);
        }
        let mut out = vec![BMC, self.net_fn << 2 | self.lun & 3];
        out.push(checksum(&out));
        let mut body = vec![CONSOLE, seq << 2, self.command];
        body.extend_from_slice(&self.data);
        body.push(checksum(&body));
        out.append(&mut body);
        out
    }

    /// The reply to this, sent with sequence number `seq`, if a session's `message` is that.
    #[must_use]
    pub fn answer(&self, message: &[u8], integrity: Integrity, seq: u8) -> Option<Reply> {
        match self.via {
            Some(via) => via.answer(self, message, integrity, seq),
            None => Reply::decode(message, integrity).filter(|reply| self.is_answered_by(reply, seq)),
        }
    }

    /// Whether `reply`, bearing sequence number `seq`, answers this.
    #[must_use]
    pub fn is_answered_by(&self, reply: &Reply, seq: u8) -> bool {
        reply.seq == seq & 0x3f && reply.net_fn == self.net_fn | 1 && reply.command == self.command
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Network function, odd.
    pub net_fn: u8,
    /// Sequence number of the request.
    pub seq: u8,
    /// Command.
    pub command: u8,
    /// Completion code, 0 where it went well.
    pub code: u8,
    /// What follows.
    pub data: Vec<u8>,
}

/// Who vouches that a message is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// Only its checksums.
    Checksums,
    /// The session's integrity code. Checksums are not looked at: some BMCs (Supermicro X9) get them wrong.
    Sealed,
}

impl Reply {
    /// Reads the BMC's reply to us.
    #[must_use]
    pub fn decode(message: &[u8], integrity: Integrity) -> Option<Self> {
        Self::decode_from(message, integrity, (BMC, CONSOLE))
    }

    /// Reads a reply of the first of two addresses to the second.
    pub(super) fn decode_from(message: &[u8], integrity: Integrity, way: (u8, u8)) -> Option<Self> {
        let (head, body) = message.split_at_checked(3)?;
        if integrity == Integrity::Checksums && (sum(head) != 0 || sum(body) != 0) {
            return None;
        }
        let mut head = Bytes(head);
        let (to, net_fn) = (head.u8()?, head.u8()? >> 2);
        let (_checksum, body) = body.split_last()?;
        let mut body = Bytes(body);
        let (from, seq, command, code) = (body.u8()?, body.u8()? >> 2, body.u8()?, body.u8()?);
        if (from, to) != way || net_fn & 1 == 0 {
            return None;
        }
        Some(Self { net_fn, seq, command, code, data: body.rest().to_vec() })
    }
}

pub(super) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

pub(super) fn checksum(bytes: &[u8]) -> u8 {
    sum(bytes).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_encoded_as_the_specification_shows_it() {
        let request = Request::new(0x06, 0x38, [0x8e, 0x02]);
        assert_eq!(hex::encode(request.encode(0)), "2018c88100388e02b7");
        let request = Request::new(0x2c, 0x02, [0xdc, 1, 0, 0]);
        assert_eq!(hex::encode(request.encode(1)), "20b030810402dc0100009c");
    }

    #[test]
    fn a_reply_is_read_and_a_broken_one_is_not() {
        // 81h, 07h<<2, 63h; 20h, 1<<2, 01h, 00h, 42h, checksum 99h.
        let good = hex::decode("811c632004010042").unwrap();
        let good = [good.as_slice(), &[checksum(&good[3..])]].concat();
        let reply = Reply::decode(&good, Integrity::Checksums).unwrap();
        assert_eq!(reply, Reply { net_fn: 7, seq: 1, command: 1, code: 0, data: vec![0x42] });
        assert!(Request::new(6, 1, []).is_answered_by(&reply, 1));
        assert!(!Request::new(6, 1, []).is_answered_by(&reply, 2));
        assert!(!Request::new(6, 2, []).is_answered_by(&reply, 1));
        assert!(!Request::new(4, 1, []).is_answered_by(&reply, 1));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_eq!(Reply::decode(&bad, Integrity::Checksums), None, "byte {at}");
            assert_eq!(Reply::decode(&good[..at], Integrity::Checksums), None, "cut at {at}");
        }
    }
}
