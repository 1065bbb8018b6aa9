//! A command to another controller than the BMC, which passes it on: Send Message. IPMI v2.0 sections 6.13 and 22.7.
//!
//! BMCs return the controller's answer in one of two ways: within the reply to Send Message, or as a message of its own
//! behind an empty reply. Both are read.

use super::bytes::Bytes;
use super::message::{BMC, CONSOLE, Integrity, Reply, Request, checksum};

const APPLICATION: u8 = 0x06;
const SEND_MESSAGE: u8 = 0x34;
/// The BMC keeps track of the request, so that its answer comes back to us.
const TRACKED: u8 = 0x40;

/// Where another controller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Via {
    /// Channel, 0 to 15; 0 is the machine's own bus (IPMB-0).
    pub channel: u8,
    /// Address, even.
    pub address: u8,
}

impl Via {
    /// Whether that is the BMC itself.
    #[must_use]
    pub const fn is_bmc(self) -> bool {
        self.address == BMC
    }

    /// `request` as the BMC is to pass it on.
    pub(super) fn wrap(self, request: &Request, seq: u8) -> Request {
        let mut data = vec![TRACKED | self.channel & 0x0f];
        let head = [self.address, request.net_fn << 2 | request.lun & 3];
        data.extend([head[0], head[1], checksum(&head)]);
        let mut body = vec![BMC, seq << 2, request.command];
        body.extend_from_slice(&request.data);
        body.push(checksum(&body));
        data.append(&mut body);
        Request::new(APPLICATION, SEND_MESSAGE, data)
    }

    /// The controller's reply to `request`, or why the BMC did not pass it on; `None` is not it, or not yet.
    pub(super) fn answer(
        self,
        request: &Request,
        message: &[u8],
        integrity: Integrity,
        seq: u8,
    ) -> Option<Reply> {
        // OpenIPMI's simulator leaves the addresses as they were on the bus.
        for way in [(self.address, CONSOLE), (BMC, CONSOLE), (self.address, BMC)] {
            let own = Reply::decode_from(message, integrity, way);
            if let Some(reply) = own.filter(|reply| request.is_answered_by(reply, seq)) {
                return Some(reply);
            }
        }
        let outer = Reply::decode(message, integrity)?;
        if !Request::new(APPLICATION, SEND_MESSAGE, []).is_answered_by(&outer, seq) {
            return None;
        }
        if outer.code != 0 {
            return Some(Reply { net_fn: request.net_fn | 1, command: request.command, ..outer });
        }
        // Its own checksums count: the session vouches only for the BMC.
        let mut bytes = Bytes(&outer.data);
        let to = bytes.u8()?;
        let inner = Reply::decode_from(&outer.data, Integrity::Checksums, (self.address, to))?;
        ((to == BMC || to == CONSOLE) && request.is_answered_by(&inner, seq)).then_some(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::sum;
    use super::*;

    const ME: Via = Via { channel: 6, address: 0x2c };

    fn request() -> Request {
        Request { via: Some(ME), ..Request::new(0x06, 0x01, []) }
    }

    /// A message with its checksums.
    fn message(to: u8, net_fn: u8, from: u8, seq: u8, command: u8, rest: &[u8]) -> Vec<u8> {
        let mut out = vec![to, net_fn << 2];
        out.push(checksum(&out));
        let mut body = vec![from, seq << 2, command];
        body.extend_from_slice(rest);
        body.push(checksum(&body));
        [out, body].concat()
    }

    #[test]
    fn a_request_is_wrapped_for_the_bus() {
        // Send Message to channel 6, tracked (46h): 2Ch, 06h<<2, D4h-2Ch...: 2C+18 = 44h, so BCh; 20h, 5<<2, 01h: 35h, so CBh.
        let wanted = "20 18 c8 81 14 34 46 2c 18 bc 20 14 01 cb".replace(' ', "");
        let encoded = hex::encode(request().encode(5));
        assert!(encoded.starts_with(&wanted), "{encoded}");
        assert_eq!(sum(&request().encode(5)[3..]), 0, "the whole has a checksum as well");
    }

    #[test]
    fn the_answer_comes_within_the_reply_or_behind_it() {
        let request = request();
        let wanted = Some(Reply { net_fn: 7, seq: 5, command: 1, code: 0, data: vec![0x42] });
        let inner = message(BMC, 7, 0x2c, 5, 1, &[0, 0x42]);
        let within = message(CONSOLE, 7, BMC, 5, 0x34, &[&[0], inner.as_slice()].concat());
        assert_eq!(request.answer(&within, Integrity::Sealed, 5), wanted);
        let acknowledged = message(CONSOLE, 7, BMC, 5, 0x34, &[0]);
        assert_eq!(request.answer(&acknowledged, Integrity::Sealed, 5), None, "not yet");
        for (from, to) in [(0x2c, CONSOLE), (BMC, CONSOLE), (0x2c, BMC)] {
            let reply = message(to, 7, from, 5, 1, &[0, 0x42]);
            assert_eq!(request.answer(&reply, Integrity::Sealed, 5), wanted);
        }
        // D3h: there is nobody at this address.
        let refused = Some(Reply { net_fn: 7, seq: 5, command: 1, code: 0xd3, data: vec![] });
        assert_eq!(
            request.answer(&message(CONSOLE, 7, BMC, 5, 0x34, &[0xd3]), Integrity::Sealed, 5),
            refused
        );
    }

    #[test]
    fn what_is_not_the_answer_is_not_taken_for_it() {
        let request = request();
        for (why, from, net_fn, seq, command) in [
            ("another controller's", 0x2e, 7, 5, 1),
            ("another request's", 0x2c, 7, 4, 1),
            ("another command's", 0x2c, 7, 5, 2),
            ("another function's", 0x2c, 5, 5, 1),
        ] {
            assert_eq!(
                request.answer(&message(CONSOLE, net_fn, from, seq, command, &[0, 1]), Integrity::Sealed, 5),
                None,
                "{why}"
            );
            let inner = message(BMC, net_fn, from, seq, command, &[0, 1]);
            let within = message(CONSOLE, 7, BMC, 5, 0x34, &[&[0], inner.as_slice()].concat());
            assert_eq!(request.answer(&within, Integrity::Sealed, 5), None, "{why}, within");
        }
        let inner = message(BMC, 7, 0x2c, 5, 1, &[0, 0x42]);
        for at in 0..inner.len() {
            let mut bad = inner.clone();
            bad[at] ^= 0x10;
            let within = message(CONSOLE, 7, BMC, 5, 0x34, &[&[0], bad.as_slice()].concat());
            assert_eq!(request.answer(&within, Integrity::Sealed, 5), None, "byte {at} changed");
            let within = message(CONSOLE, 7, BMC, 5, 0x34, &[&[0], &inner[..at]].concat());
            assert_eq!(request.answer(&within, Integrity::Sealed, 5), None, "cut at {at}");
        }
    }
}
