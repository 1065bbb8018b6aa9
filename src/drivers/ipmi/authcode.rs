//! AuthCodes: how a packet of IPMI 1.5 proves who sent it. Pure.
//!
//! IPMI v1.5 section 18.15.1 (v2.0: 22.17.1). MD2 and "none" as a way to log in do not exist here.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// Bytes of an AuthCode, and of the longest password that it can be made with.
pub const LEN: usize = 16;

/// How packets of an IPMI 1.5 session are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Authentication {
    /// A keyed MD5 digest of each packet.
    Md5,
    /// The password itself in each packet, for anyone on the way to read.
    Password,
}

impl Authentication {
    /// All, best first.
    pub const ALL: [Self; 2] = [Self::Md5, Self::Password];

    /// Its number in the session header.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Md5 => 0x02,
            Self::Password => 0x04,
        }
    }

    /// Its bit in the BMC's list of what it accepts.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self.id()
    }

    /// The one with this number in the session header.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.id() == id)
    }

    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Password => "password",
        }
    }

    /// Whether it shows that the packet was changed on its way.
    #[must_use]
    pub const fn covers_message(self) -> bool {
        match self {
            Self::Md5 => true,
            Self::Password => false,
        }
    }

    /// The code of one packet. `password` has at most 16 bytes; what is behind them does not count.
    #[must_use]
    pub fn code(self, password: &[u8], session: u32, sequence: u32, message: &[u8]) -> [u8; LEN] {
        let mut key = [0; LEN];
        key.iter_mut().zip(password).for_each(|(to, from)| *to = *from);
        match self {
            Self::Password => key,
            Self::Md5 => {
                let mut md5 = Md5::new();
                let (session, sequence) = (session.to_le_bytes(), sequence.to_le_bytes());
                for part in [key.as_slice(), &session, message, &sequence, &key] {
                    md5.update(part);
                }
                md5.finalize().into()
            }
        }
    }

    /// Whether `code` is the code of that packet, in constant time.
    #[must_use]
    pub fn verifies(
        self,
        code: &[u8; LEN],
        password: &[u8],
        session: u32,
        sequence: u32,
        message: &[u8],
    ) -> bool {
        self.code(password, session, sequence, message).ct_eq(code).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Python: `p = b"secret".ljust(16, b"\0"); hashlib.md5(p + bytes.fromhex("a4a3a2a1") + m + bytes.fromhex(
    /// "04030201") + p)` with m = `20b030810402dc0100009c`, DCMI Get Power Reading with number 1.
    #[test]
    fn md5_computes_the_worked_example() {
        let message = hex::decode("20b030810402dc0100009c").unwrap();
        let code = Authentication::Md5.code(b"secret", 0xA1A2_A3A4, 0x0102_0304, &message);
        assert_eq!(hex::encode(code), "f84b2b01677fa7f5cc3beff7e7d6a5e7");
        assert!(Authentication::Md5.verifies(&code, b"secret", 0xA1A2_A3A4, 0x0102_0304, &message));
        for (password, session, sequence) in [
            (b"secreu".as_slice(), 0xA1A2_A3A4, 0x0102_0304),
            (b"secret", 0xA1A2_A3A5, 0x0102_0304),
            (b"secret", 0xA1A2_A3A4, 0x0102_0305),
        ] {
            assert!(!Authentication::Md5.verifies(&code, password, session, sequence, &message));
        }
        assert!(!Authentication::Md5.verifies(&code, b"secret", 0xA1A2_A3A4, 0x0102_0304, &message[1..]));
    }

    #[test]
    fn a_straight_password_is_filled_with_zeros() {
        let code = Authentication::Password.code(b"secret", 1, 2, &[3]);
        assert_eq!(&code, b"secret\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(Authentication::Password.code(&[7; 20], 1, 2, &[3]), [7; 16]);
    }

    #[test]
    fn numbers_and_bits_are_those_of_the_specification() {
        // Get Channel Authentication Capabilities: bit 2 is MD5, bit 4 the straight password.
        assert_eq!((Authentication::Md5.bit(), Authentication::Password.bit()), (0x04, 0x10));
        for id in 0..=0xff {
            assert!(Authentication::from_id(id).is_none_or(|how| how.id() == id));
        }
    }
}
