//! Get Channel Authentication Capabilities, Get Session Challenge and Activate Session: their data. IPMI v1.5 sections
//! 18.12, 18.14 and 18.15 (v2.0: 22.13, 22.16 and 22.17).

use super::bytes::Bytes;
use super::message::Request;
use crate::drivers::ipmi::authcode::Authentication;

const APPLICATION: u8 = 0x06;
/// This channel.
const CHANNEL: u8 = 0x0e;
/// Bytes of a user name, filled with zeros.
const NAME: usize = 16;

/// Get Channel Authentication Capabilities for a session at `level`. A BMC of IPMI 1.5 may refuse the question for
/// what v2.0 added: `extended` asks for that.
#[must_use]
pub fn get_capabilities(extended: bool, level: u8) -> Request {
    Request::new(APPLICATION, 0x38, [if extended { 0x80 | CHANNEL } else { CHANNEL }, level])
}

/// What a BMC says about opening sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It speaks IPMI 2.0 (RMCP+).
    pub plus: bool,
    /// What it accepts in IPMI 1.5, one bit each; 0 if it does not speak that.
    bits: u8,
    /// It authenticates each packet of a v1.5 session, not only the first.
    pub per_message: bool,
}

impl Capabilities {
    /// Reads the data of a good reply.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(data);
        let (_channel, accepted, status) = (bytes.u8()?, bytes.u8()?, bytes.u8()?);
        // Bit 7: the next byte says which versions. It is reserved, and 0, in v1.5.
        let versions = (accepted & 0x80 != 0).then(|| bytes.u8());
        let (legacy, plus) = match versions {
            None => (true, false),
            Some(versions) => (versions? & 0x01 != 0, versions? & 0x02 != 0),
        };
        let bits = if legacy { accepted & 0x3f } else { 0 };
        Some(Self { plus, bits, per_message: status & 0x10 == 0 })
    }

    /// Whether it accepts sessions of IPMI 1.5 that are authenticated like this.
    #[must_use]
    pub const fn accepts(&self, how: Authentication) -> bool {
        self.bits & how.bit() != 0
    }

    /// All that it accepts of those, best first.
    #[must_use]
    pub fn accepted(&self) -> Vec<Authentication> {
        Authentication::ALL.into_iter().filter(|how| self.accepts(*how)).collect()
    }
}

/// Get Session Challenge. `user` has at most 16 bytes.
#[must_use]
pub fn get_challenge(how: Authentication, user: &[u8]) -> Request {
    let mut data = vec![how.id()];
    data.extend(user.iter().copied().chain(std::iter::repeat(0)).take(NAME));
    Request::new(APPLICATION, 0x39, data)
}

/// What the BMC wants to see in Activate Session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// Id for Activate Session only, not 0.
    pub temporary: u32,
    /// To be repeated there.
    pub text: [u8; 16],
}

impl Challenge {
    /// Reads the data of a good reply.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(data);
        let temporary = bytes.u32().filter(|id| *id != 0)?;
        Some(Self { temporary, text: bytes.array()? })
    }
}

/// Activate Session: `outbound`, not 0, is the number that the BMC's first packet in the session shall bear.
#[must_use]
pub fn activate(how: Authentication, level: u8, challenge: &Challenge, outbound: u32) -> Request {
    let mut data = vec![how.id(), level];
    data.extend(challenge.text);
    data.extend(outbound.to_le_bytes());
    Request::new(APPLICATION, 0x3a, data)
}

/// A session that the BMC opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activated {
    /// Number of the authentication of all further packets; 0 where the BMC wants none.
    pub authentication: u8,
    /// The session's id, not 0.
    pub session: u32,
    /// The number that our first packet in the session shall bear.
    pub inbound: u32,
}

impl Activated {
    /// Reads the data of a good reply.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(data);
        let authentication = bytes.u8()? & 0x0f;
        let session = bytes.u32().filter(|id| *id != 0)?;
        let inbound = bytes.u32()?;
        bytes.u8()?;
        Some(Self { authentication, session, inbound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bmc_speaks_is_read_as_it_says_it() {
        let capabilities = |hex: &str| Capabilities::parse(&hex::decode(hex).unwrap());
        // Channel, types (bit 7: versions follow), status, versions (bit 0: 1.5, bit 1: 2.0), OEM.
        for (hex, plus, md5, password, per_message) in [
            ("0180040200000000", true, false, false, true),
            ("0194040300000000", true, true, true, true),
            // Versions: 2.0 only, so what it says of 1.5 does not count.
            ("0194040200000000", true, false, false, true),
            ("0194040100000000", false, true, true, true),
            // Without the versions it is a BMC of IPMI 1.5, whatever the reserved byte holds.
            ("0114040300000000", false, true, true, true),
            ("0104140200000000", false, true, false, false),
            ("0111080000000000", false, false, true, true),
        ] {
            let read = capabilities(hex).unwrap();
            let said = (
                read.plus,
                read.accepts(Authentication::Md5),
                read.accepts(Authentication::Password),
                read.per_message,
            );
            assert_eq!(said, (plus, md5, password, per_message), "{hex}");
        }
        for cut in ["", "01", "0114", "019404"] {
            assert_eq!(capabilities(cut), None, "{cut}");
        }
    }

    #[test]
    fn requests_are_as_in_the_specification() {
        assert_eq!(get_capabilities(true, 2).data, [0x8e, 2]);
        assert_eq!(get_capabilities(false, 4).data, [0x0e, 4]);
        let request = get_challenge(Authentication::Md5, b"admin");
        assert_eq!((request.net_fn, request.command), (6, 0x39));
        assert_eq!(hex::encode(request.data), "0261646d696e0000000000000000000000");
        let challenge = Challenge { temporary: 1, text: [0x55; 16] };
        let request = activate(Authentication::Password, 2, &challenge, 0x0102_0304);
        assert_eq!((request.net_fn, request.command), (6, 0x3a));
        assert_eq!(hex::encode(request.data), format!("0402{}04030201", "55".repeat(16)));
    }

    #[test]
    fn answers_are_read_and_what_is_cut_or_without_id_is_not() {
        let challenge = [&[0x44, 0x33, 0x22, 0x11], [7; 16].as_slice()].concat();
        assert_eq!(Challenge::parse(&challenge), Some(Challenge { temporary: 0x1122_3344, text: [7; 16] }));
        // Type, session, inbound sequence number, level.
        let activated = hex::decode("02443322110800000003").unwrap();
        let read = Activated { authentication: 2, session: 0x1122_3344, inbound: 8 };
        assert_eq!(Activated::parse(&activated), Some(read));
        for cut in 0..challenge.len() {
            assert_eq!(Challenge::parse(&challenge[..cut]), None);
            assert_eq!(Activated::parse(&activated[..cut.min(9)]), None);
        }
        assert_eq!(Challenge::parse(&[0; 20]), None);
        assert_eq!(Activated::parse(&[0; 10]), None);
    }
}
