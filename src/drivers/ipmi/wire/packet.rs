//! RMCP and the session headers: what goes into a UDP datagram and comes out of one. Long by its tables of bytes, the tests.

use super::bytes::Bytes;
use crate::drivers::ipmi::authcode::{self, Authentication};
use crate::drivers::ipmi::crypto::{BLOCK, Keys};

/// RMCP version 1.0, no acknowledgement wanted, class IPMI.
const RMCP: [u8; 4] = [0x06, 0x00, 0xff, 0x07];
/// Authentication type of a message without a session in the v1.5 format.
const NONE: u8 = 0x00;
/// Authentication type that stands for the v2.0 format (RMCP+).
const RMCP_PLUS: u8 = 0x06;
/// Payload type bits: encrypted, authenticated.
const SEALED: u8 = 0xc0;
/// Payload type of IPMI messages.
const IPMI: u8 = 0x00;
/// What stands in front of the integrity code.
const NEXT_HEADER: u8 = 0x07;
/// From the authentication type to the payload length.
const HEADER: usize = 12;
/// Lengths of a v1.5 datagram that old network adapters mishandled: a byte is put behind it. IPMI v1.5 section 12.3.
const MISHANDLED: [usize; 5] = [56, 84, 112, 128, 156];

/// Messages of session setup, by payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Open Session Request.
    OpenRequest,
    /// Open Session Response.
    OpenResponse,
    /// RAKP 1, to the BMC.
    Rakp1,
    /// RAKP 2, from the BMC.
    Rakp2,
    /// RAKP 3, to the BMC.
    Rakp3,
    /// RAKP 4, from the BMC.
    Rakp4,
}

impl Setup {
    const ALL: [Self; 6] =
        [Self::OpenRequest, Self::OpenResponse, Self::Rakp1, Self::Rakp2, Self::Rakp3, Self::Rakp4];

    const fn payload_type(self) -> u8 {
        match self {
            Self::OpenRequest => 0x10,
            Self::OpenResponse => 0x11,
            Self::Rakp1 => 0x12,
            Self::Rakp2 => 0x13,
            Self::Rakp3 => 0x14,
            Self::Rakp4 => 0x15,
        }
    }
}

/// What a datagram is, before anything in it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// An IPMI message outside of sessions. Some BMCs answer in the v2.0 format what was asked in the v1.5 format.
    Sessionless(&'a [u8]),
    /// A message of session setup.
    Setup(Setup, &'a [u8]),
    /// A packet of a v2.0 session.
    Sealed(Sealed<'a>),
    /// A packet of a v1.5 session.
    Coded(Coded<'a>),
}

/// A packet of a session, not yet verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Our session id.
    pub session: u32,
    /// The BMC's sequence number.
    pub sequence: u32,
    payload: &'a [u8],
    /// From the authentication type to the end.
    whole: &'a [u8],
}

/// A packet of a v1.5 session, not yet verified. Its code may be the password: it is not printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Coded<'a> {
    /// How it claims to be authenticated, and its AuthCode; none if it is not.
    pub code: Option<(Authentication, [u8; authcode::LEN])>,
    /// The session id, which the BMC chose: both directions bear the same.
    pub session: u32,
    /// The BMC's sequence number.
    pub sequence: u32,
    /// The IPMI message. Nothing vouches for it before the code is verified.
    pub message: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads what anyone may have sent.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let whole = datagram.strip_prefix(&RMCP).or_else(|| {
            // The RMCP sequence number of a reply is the sender's own matter.
            let (head, rest) = datagram.split_first_chunk::<4>()?;
            let [version, _reserved, _sequence, class] = *head;
            (version == 0x06 && class == 0x07).then_some(rest)
        })?;
        let mut bytes = Bytes(whole);
        match bytes.u8()? {
            NONE => {
                let (sequence, session, len) = (bytes.u32()?, bytes.u32()?, bytes.u8()?);
                // A pad byte may follow: a workaround of old network cards.
                let message = bytes.take(len.into())?;
                if session != 0 {
                    let coded = Coded { code: None, session, sequence, message };
                    return is_pad(bytes.rest()).then_some(Self::Coded(coded));
                }
                (sequence == 0).then_some(Self::Sessionless(message))
            }
            RMCP_PLUS => Self::plus(bytes, whole),
            other => Self::coded(Authentication::from_id(other)?, bytes),
        }
    }

    fn coded(how: Authentication, mut bytes: Bytes<'a>) -> Option<Self> {
        let (sequence, session) = (bytes.u32()?, bytes.u32()?);
        let (code, len) = (bytes.array()?, bytes.u8()?);
        let message = bytes.take(len.into())?;
        let coded = Coded { code: Some((how, code)), session, sequence, message };
        (session != 0 && is_pad(bytes.rest())).then_some(Self::Coded(coded))
    }

    fn plus(mut bytes: Bytes<'a>, whole: &'a [u8]) -> Option<Self> {
        let (kind, session, sequence, len) = (bytes.u8()?, bytes.u32()?, bytes.u32()?, bytes.u16()?);
        let payload = bytes.take(len.into())?;
        if kind == SEALED | IPMI && session != 0 {
            return Some(Self::Sealed(Sealed { session, sequence, payload, whole }));
        }
        if kind == IPMI && session == 0 {
            return Some(Self::Sessionless(payload));
        }
        let setup = Setup::ALL.into_iter().find(|s| s.payload_type() == kind)?;
        (session == 0).then_some(Self::Setup(setup, payload))
    }
}

impl Sealed<'_> {
    /// The IPMI message in it, if the integrity code is right. Nothing is decrypted before that.
    #[must_use]
    pub fn open(&self, keys: &Keys) -> Option<Vec<u8>> {
        let code_at = self.whole.len().checked_sub(keys.suite().code_len())?;
        let (covered, code) = self.whole.split_at_checked(code_at)?;
        let trailer = covered.get(HEADER + self.payload.len()..)?;
        let (next_header, pad) = trailer.split_last()?;
        let (pad_len, pad) = pad.split_last()?;
        if !keys.verifies(covered, code) || *next_header != NEXT_HEADER || usize::from(*pad_len) != pad.len()
        {
            return None;
        }
        keys.decrypt(self.payload)
    }
}

impl std::fmt::Debug for Coded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coded")
            .field("how", &self.code.map(|(how, _)| how))
            .field("session", &self.session)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl Coded<'_> {
    /// Whether it was made by who knows `password`, and for `how`.
    #[must_use]
    pub fn is_by(&self, how: Authentication, password: &[u8]) -> bool {
        self.code.is_some_and(|(claimed, code)| {
            claimed == how && how.verifies(&code, password, self.session, self.sequence, self.message)
        })
    }
}

/// Whether this is what may stand behind the message of a v1.5 session: one byte at most.
const fn is_pad(rest: &[u8]) -> bool {
    matches!(rest, [] | [0])
}

/// A packet of the v1.5 session `session`, with an AuthCode of the password where `how` says which.
#[must_use]
pub fn coded(how: Option<(Authentication, &[u8])>, session: u32, sequence: u32, message: &[u8]) -> Vec<u8> {
    let mut out = RMCP.to_vec();
    out.push(how.map_or(NONE, |(how, _)| how.id()));
    out.extend(sequence.to_le_bytes());
    out.extend(session.to_le_bytes());
    if let Some((how, password)) = how {
        out.extend(how.code(password, session, sequence, message));
    }
    out.push(u8::try_from(message.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(message);
    if MISHANDLED.contains(&out.len()) {
        out.push(0);
    }
    out
}

/// A message outside of sessions, in the v1.5 format.
#[must_use]
pub fn sessionless(message: &[u8]) -> Vec<u8> {
    let len = u8::try_from(message.len()).unwrap_or(u8::MAX);
    [&RMCP, [NONE; 9].as_slice(), &[len], message].concat()
}

/// A message of session setup.
#[must_use]
pub fn setup(kind: Setup, payload: &[u8]) -> Vec<u8> {
    [&RMCP, header(kind.payload_type(), 0, 0, payload).as_slice(), payload].concat()
}

/// A sealed packet to the BMC's session `managed`.
#[must_use]
pub fn seal(keys: &Keys, managed: u32, sequence: u32, message: &[u8], iv: [u8; BLOCK]) -> Vec<u8> {
    let payload = keys.encrypt(message, iv);
    let mut out = header(SEALED | IPMI, managed, sequence, &payload);
    out.extend_from_slice(&payload);
    let pad = (4 - (out.len() + 2) % 4) % 4;
    out.extend(std::iter::repeat_n(0xff, pad));
    out.extend([u8::try_from(pad).unwrap_or(0), NEXT_HEADER]);
    let code = keys.code(&out);
    [&RMCP, out.as_slice(), code.as_slice()].concat()
}

fn header(kind: u8, session: u32, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![RMCP_PLUS, kind];
    out.extend(session.to_le_bytes());
    out.extend(sequence.to_le_bytes());
    out.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::drivers::ipmi::crypto::{Exchange, Suite};

    fn keys(suite: Suite) -> Keys {
        let counting = |from: u8| std::array::from_fn(|i| from + u8::try_from(i).unwrap());
        let exchange = Exchange {
            console: 0x0102_0304,
            managed: 0xA1A2_A3A4,
            console_random: counting(0x00),
            managed_random: counting(0x10),
            guid: counting(0x20),
            role: 0x12,
            user: b"monitor".to_vec(),
        };
        exchange.keys(suite, b"secret")
    }

    /// DCMI Get Power Reading, computed outside of this program from the formulas of the specification.
    #[test]
    fn a_packet_is_sealed_as_in_the_worked_example() {
        let message = hex::decode("20b030810402dc0100009c").unwrap();
        let iv = std::array::from_fn(|i| 0x30 + u8::try_from(i).unwrap());
        let sealed = |suite| hex::encode(seal(&keys(suite), 0xA1A2_A3A4, 1, &message, iv));
        assert_eq!(
            sealed(Suite::Sha1),
            "0600ff0706c0a4a3a2a1010000002000303132333435363738393a3b3c3d3e3fb86a3b84309564aa9cd8c29620f31e47\
             ffff0207c97eb3a476e773f7c91ba790"
        );
        assert_eq!(
            sealed(Suite::Sha256),
            "0600ff0706c0a4a3a2a1010000002000303132333435363738393a3b3c3d3e3f46f9965ddaa9f68054e0704ee68dcf2b\
             ffff0207d8bb6f6b99fbde343dd9bc08d4d98566"
        );
    }

    #[test]
    fn a_sessionless_request_is_as_in_the_specification() {
        let message = hex::decode("2018c88100388e02b7").unwrap();
        let datagram = sessionless(&message);
        assert_eq!(
            hex::encode(&datagram),
            "0600ff0700000000000000000009".to_owned() + &hex::encode(&message)
        );
        assert_eq!(Datagram::parse(&datagram), Some(Datagram::Sessionless(&message)));
        let padded = [datagram.as_slice(), &[0]].concat();
        assert_eq!(Datagram::parse(&padded), Some(Datagram::Sessionless(&message)));
    }

    #[test]
    fn what_is_no_ipmi_is_nothing() {
        for hex in
            ["", "06", "0600ff06", "0600ff07", "0500ff0706", "0600ff0706c0", "0600ff0702000000000000000000"]
        {
            assert_eq!(Datagram::parse(&hex::decode(hex).unwrap()), None, "{hex}");
        }
        // A session packet that is not both encrypted and authenticated is none of ours.
        for kind in [0x00, 0x40, 0x80, 0xc1] {
            let bare = [&RMCP, header(kind, 5, 1, &[1, 2]).as_slice(), &[1, 2]].concat();
            assert_eq!(Datagram::parse(&bare), None, "{kind:02x}");
        }
    }

    /// DCMI Get Power Reading with number 1 in session A1A2A3A4h, sequence number 01020304h. The AuthCode is the worked
    /// example of `authcode`; the rest is the table of IPMI v1.5 section 12.3: type, sequence, session, code, length.
    #[test]
    fn a_v15_packet_is_as_in_the_specification() {
        let message = hex::decode("20b030810402dc0100009c").unwrap();
        let packet = |how| hex::encode(coded(how, 0xA1A2_A3A4, 0x0102_0304, &message));
        let (head, tail) = ("0600ff07", "0b20b030810402dc0100009c");
        assert_eq!(
            packet(Some((Authentication::Md5, b"secret"))),
            format!("{head}0204030201a4a3a2a1f84b2b01677fa7f5cc3beff7e7d6a5e7{tail}")
        );
        assert_eq!(
            packet(Some((Authentication::Password, b"secret"))),
            format!("{head}0404030201a4a3a2a1736563726574{}{tail}", "00".repeat(10))
        );
        assert_eq!(packet(None), format!("{head}0004030201a4a3a2a1{tail}"));
    }

    #[test]
    fn a_v15_packet_of_a_mishandled_length_is_made_longer_and_still_read() {
        // 30 bytes stand in front of the message.
        for len in 0..=126 {
            let message = vec![0x5a; len];
            let datagram = coded(Some((Authentication::Md5, b"secret")), 7, 9, &message);
            let padded = [26, 54, 82, 98, 126].contains(&len);
            assert_eq!(datagram.len(), 30 + len + usize::from(padded), "{len}");
            let Some(Datagram::Coded(read)) = Datagram::parse(&datagram) else { panic!("{len}") };
            assert_eq!((read.session, read.sequence, read.message), (7, 9, message.as_slice()));
            assert!(read.is_by(Authentication::Md5, b"secret"));
            assert!(
                !read.is_by(Authentication::Md5, b"secreT")
                    && !read.is_by(Authentication::Password, b"secret")
            );
            assert_eq!(Datagram::parse(&[datagram.as_slice(), &[0, 0]].concat()), None, "too long");
        }
    }

    #[test]
    fn a_v15_packet_without_session_or_of_another_kind_is_nothing() {
        for how in [Authentication::Md5, Authentication::Password] {
            assert_eq!(Datagram::parse(&coded(Some((how, b"secret")), 0, 9, &[1, 2])), None);
        }
        let mut datagram = coded(Some((Authentication::Md5, b"secret")), 7, 9, &[1, 2]);
        for kind in [1, 3, 5, 7, 0x12] {
            datagram[4] = kind;
            assert_eq!(Datagram::parse(&datagram), None, "{kind}");
        }
    }

    fn open(suite: Suite, datagram: &[u8]) -> Option<Vec<u8>> {
        match Datagram::parse(datagram)? {
            Datagram::Sealed(sealed) => sealed.open(&keys(suite)),
            Datagram::Sessionless(_) | Datagram::Setup(..) | Datagram::Coded(_) => None,
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_always_rejected(
            message in proptest::collection::vec(any::<u8>(), 0..80), iv: [u8; 16], at: prop::sample::Index, bit in 0..8u8,
        ) {
            for suite in [Suite::Sha1, Suite::Sha256] {
                let mut datagram = seal(&keys(suite), 7, 9, &message, iv);
                prop_assert_eq!(open(suite, &datagram), Some(message.clone()));
                // The RMCP header in front is not part of what is authenticated, and nothing is read from it.
                let at = 4 + at.index(datagram.len() - 4);
                datagram[at] ^= 1 << bit;
                prop_assert_eq!(open(suite, &datagram), None);
            }
        }

        #[test]
        fn a_flipped_bit_of_a_v15_packet_is_always_rejected(
            message in proptest::collection::vec(any::<u8>(), 0..80), at: prop::sample::Index, bit in 0..8u8,
        ) {
            let by = |datagram: &[u8]| match Datagram::parse(datagram) {
                Some(Datagram::Coded(coded)) => coded.is_by(Authentication::Md5, b"secret"),
                Some(Datagram::Sessionless(_) | Datagram::Setup(..) | Datagram::Sealed(_)) | None => false,
            };
            // Without a pad byte, which nothing covers and nothing is read from.
            let mut datagram = coded(Some((Authentication::Md5, b"secret")), 7, 9, &message);
            datagram.truncate(30 + message.len());
            prop_assert!(by(&datagram));
            let at = 4 + at.index(datagram.len() - 4);
            datagram[at] ^= 1 << bit;
            prop_assert!(!by(&datagram));
        }

        #[test]
        fn a_packet_cut_or_extended_is_rejected(message in proptest::collection::vec(any::<u8>(), 0..40), cut: prop::sample::Index) {
            let datagram = seal(&keys(Suite::Sha256), 7, 9, &message, [3; 16]);
            prop_assert_eq!(open(Suite::Sha256, &datagram[..cut.index(datagram.len())]), None);
            prop_assert_eq!(open(Suite::Sha256, &[datagram.as_slice(), &[0]].concat()), None);
        }

        #[test]
        fn random_bytes_are_never_a_packet_and_never_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), head in 0..3u8,
        ) {
            let start: &[u8] = match head { 0 => &[], 1 => &[6, 0, 0xff, 7], _ => &[6, 0, 0xff, 7, 6, 0xc0] };
            let datagram = [start, &bytes].concat();
            prop_assert_eq!(open(Suite::Sha1, &datagram), None);
            prop_assert_eq!(open(Suite::Sha256, &datagram), None);
        }
    }
}
