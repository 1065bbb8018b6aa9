//! Open Session and RAKP 1 to 4: their payloads. IPMI v2.0 sections 13.17 to 13.24.

use super::bytes::Bytes;
use crate::drivers::ipmi::crypto::{Digest, Suite};

/// Status of an RMCP+ setup message, 0 where it went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u8);

impl Status {
    /// All went well.
    pub const OK: Self = Self(0);
    /// The BMC's session table is full.
    pub const NO_RESOURCES: Self = Self(0x01);
    /// It does not know this privilege level.
    pub const INVALID_ROLE: Self = Self(0x09);
    /// It does not let this user in at this privilege level.
    pub const UNAUTHORISED_ROLE: Self = Self(0x0a);
    /// It does not know this user.
    pub const UNAUTHORISED_NAME: Self = Self(0x0d);
    /// Our code is wrong in its eyes.
    pub const INVALID_CHECK_VALUE: Self = Self(0x0f);

    /// What the specification calls it (table 13-15).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0x00 => "no errors",
            0x01 => "insufficient resources to create a session",
            0x02 => "invalid session ID",
            0x03 => "invalid payload type",
            0x04 => "invalid authentication algorithm",
            0x05 => "invalid integrity algorithm",
            0x06 => "no matching authentication payload",
            0x07 => "no matching integrity payload",
            0x08 => "inactive session ID",
            0x09 => "invalid role",
            0x0a => "unauthorised role or privilege level requested",
            0x0b => "insufficient resources to create a session at the requested role",
            0x0c => "invalid name length",
            0x0d => "unauthorised name",
            0x0e => "unauthorised GUID",
            0x0f => "invalid integrity check value",
            0x10 => "invalid confidentiality algorithm",
            0x11 => "no cipher suite match with proposed security algorithms",
            0x12 => "illegal or unrecognised parameter",
            _ => "a status that is not in the specification",
        }
    }

    /// Whether it says that the proposed algorithms are not to its liking.
    #[must_use]
    pub const fn refuses_suite(self) -> bool {
        matches!(self.0, 0x04 | 0x05 | 0x06 | 0x07 | 0x10 | 0x11 | 0x12)
    }
}

/// Open Session Request.
#[must_use]
pub fn open_request(tag: u8, privilege: u8, console: u32, suite: Suite) -> Vec<u8> {
    let mut out = vec![tag, privilege, 0, 0];
    out.extend(console.to_le_bytes());
    for (kind, algorithm) in (0u8..).zip(suite.algorithms()) {
        out.extend([kind, 0, 0, 8, algorithm, 0, 0, 0]);
    }
    out
}

/// What the BMC says to a setup message: its status, and with a good one what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It agrees.
    Good(T),
    /// It refuses.
    Refused(Status),
}

/// Open Session Response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenResponse {
    /// The BMC's session id, not 0.
    pub managed: u32,
    /// Numbers of the algorithms it took.
    pub algorithms: [u8; 3],
}

/// Reads the head that all answers share. `None` if tag or session id are not ours, or it is cut short.
fn head(payload: &[u8], tag: u8, console: u32) -> Option<Answer<Bytes<'_>>> {
    let mut bytes = Bytes(payload);
    let (their_tag, status) = (bytes.u8()?, Status(bytes.u8()?));
    if their_tag != tag {
        return None;
    }
    if status != Status::OK {
        // A refusal may end here. Where it goes on, it must be meant for us.
        let meant = bytes.u16().and_then(|_| bytes.u32()).is_none_or(|id| id == console || id == 0);
        return meant.then_some(Answer::Refused(status));
    }
    bytes.u16()?;
    (bytes.u32()? == console).then_some(Answer::Good(bytes))
}

impl OpenResponse {
    /// The answer to our request with `tag` for our session `console`; `None` if it is not that.
    #[must_use]
    pub fn parse(payload: &[u8], tag: u8, console: u32) -> Option<Answer<Self>> {
        let mut bytes = match head(payload, tag, console)? {
            Answer::Good(bytes) => bytes,
            Answer::Refused(status) => return Some(Answer::Refused(status)),
        };
        let managed = bytes.u32().filter(|id| *id != 0)?;
        let mut algorithms = [0; 3];
        for (algorithm, wanted) in algorithms.iter_mut().zip(0u8..) {
            let [kind, _, _, _, value, _, _, _] = bytes.array()?;
            if kind != wanted {
                return None;
            }
            *algorithm = value & 0x3f;
        }
        Some(Answer::Good(Self { managed, algorithms }))
    }
}

/// RAKP 1. `user` has at most 16 bytes.
#[must_use]
pub fn rakp1(tag: u8, managed: u32, random: [u8; 16], role: u8, user: &[u8]) -> Vec<u8> {
    let mut out = vec![tag, 0, 0, 0];
    out.extend(managed.to_le_bytes());
    out.extend(random);
    out.extend([role, 0, 0, u8::try_from(user.len()).unwrap_or(u8::MAX)]);
    out.extend(user);
    out
}

/// RAKP 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp2 {
    /// The BMC's random number.
    pub random: [u8; 16],
    /// Its GUID.
    pub guid: [u8; 16],
    /// Its key exchange code.
    pub code: Vec<u8>,
}

impl Rakp2 {
    /// The answer to our RAKP 1 with `tag`; `None` if it is not that.
    #[must_use]
    pub fn parse(payload: &[u8], tag: u8, console: u32, suite: Suite) -> Option<Answer<Self>> {
        match head(payload, tag, console)? {
            Answer::Refused(status) => Some(Answer::Refused(status)),
            Answer::Good(mut bytes) => Some(Answer::Good(Self {
                random: bytes.array()?,
                guid: bytes.array()?,
                code: bytes.take(suite.digest_len())?.to_vec(),
            })),
        }
    }
}

/// RAKP 3.
#[must_use]
pub fn rakp3(tag: u8, managed: u32, code: &Digest) -> Vec<u8> {
    let mut out = vec![tag, 0, 0, 0];
    out.extend(managed.to_le_bytes());
    out.extend(code.as_slice());
    out
}

/// The integrity check value of RAKP 4, the answer to our RAKP 3 with `tag`; `None` if it is not that.
#[must_use]
pub fn rakp4(payload: &[u8], tag: u8, console: u32, suite: Suite) -> Option<Answer<Vec<u8>>> {
    match head(payload, tag, console)? {
        Answer::Refused(status) => Some(Answer::Refused(status)),
        Answer::Good(mut bytes) => Some(Answer::Good(bytes.take(suite.code_len())?.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_request_proposes_one_algorithm_of_each_kind() {
        let request = open_request(9, 2, 0x0102_0304, Suite::Sha256);
        assert_eq!(hex::encode(request), "0902000004030201000000080300000001000008040000000200000801000000");
        assert_eq!(
            hex::encode(rakp1(8, 0xa1a2_a3a4, [0x55; 16], 0x12, b"ab")),
            format!("08000000a4a3a2a1{}120000026162", "55".repeat(16))
        );
    }

    fn response() -> Vec<u8> {
        hex::decode(
            "09000200040302017766554400000008030000000100000804000000020000080100 0000".replace(' ', ""),
        )
        .unwrap()
    }

    #[test]
    fn an_answer_counts_only_with_our_tag_and_session() {
        let good = OpenResponse { managed: 0x4455_6677, algorithms: [3, 4, 1] };
        assert_eq!(OpenResponse::parse(&response(), 9, 0x0102_0304), Some(Answer::Good(good)));
        assert_eq!(OpenResponse::parse(&response(), 8, 0x0102_0304), None);
        assert_eq!(OpenResponse::parse(&response(), 9, 0x0102_0305), None);
        for cut in 0..response().len() {
            assert_eq!(OpenResponse::parse(&response()[..cut], 9, 0x0102_0304), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_refusal_may_be_short() {
        let refused = Some(Answer::Refused(Status::NO_RESOURCES));
        assert_eq!(OpenResponse::parse(&[9, 1], 9, 5), refused);
        assert_eq!(OpenResponse::parse(&[9, 1, 0, 0, 5, 0, 0, 0], 9, 5), refused);
        assert_eq!(OpenResponse::parse(&[9, 1, 0, 0, 6, 0, 0, 0], 9, 5), None, "another's session");
        assert_eq!(OpenResponse::parse(&[8, 1], 9, 5), None, "another's tag");
    }

    proptest! {
        #[test]
        fn random_payloads_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = OpenResponse::parse(&bytes, 0, 0);
            let _ = Rakp2::parse(&bytes, 0, 0, Suite::Sha1);
            let _ = rakp4(&bytes, 0, 0, Suite::Sha256);
        }
    }
}
