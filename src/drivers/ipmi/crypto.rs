//! The cryptography of RMCP+: what each cipher suite computes over which bytes. Pure; random numbers are passed in.
//!
//! Formulas: IPMI v2.0 sections 13.28 to 13.32. A key is at most 20 bytes where a person chose it (password, K_G), and
//! HMAC pads keys with zeros itself, so the zero padding that the specification asks for needs no code.

use aes::Aes128;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of an AES block, and of the initialisation vector.
pub const BLOCK: usize = 16;

/// A cipher suite: authentication, integrity and confidentiality together. Those without one of the three, with MD5
/// or with RC4 do not exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// 3: RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128.
    Sha1,
    /// 17: RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    Sha256,
}

impl Suite {
    /// Its number in IPMI.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Sha1 => 3,
            Self::Sha256 => 17,
        }
    }

    /// Numbers of its authentication, integrity and confidentiality algorithms.
    #[must_use]
    pub const fn algorithms(self) -> [u8; 3] {
        match self {
            Self::Sha1 => [0x01, 0x01, 0x01],
            Self::Sha256 => [0x03, 0x04, 0x01],
        }
    }

    /// Bytes of a RAKP key exchange code: the whole digest.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Bytes kept of the digest in RAKP 4 and behind every packet.
    #[must_use]
    pub const fn code_len(self) -> usize {
        match self {
            Self::Sha1 => 12,
            Self::Sha256 => 16,
        }
    }
}

/// A digest of at most 32 bytes.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; 32],
    len: usize,
}

impl Digest {
    fn new(from: &[u8]) -> Self {
        let mut bytes = [0; 32];
        let len = from.len().min(bytes.len());
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Self { bytes, len }
    }

    /// All of it.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Its first bytes.
    #[must_use]
    pub fn first(&self, bytes: usize) -> &[u8] {
        self.as_slice().get(..bytes).unwrap_or_default()
    }

    /// Whether `code` is exactly its first `bytes` bytes, in constant time.
    #[must_use]
    pub fn is(&self, code: &[u8], bytes: usize) -> bool {
        let own = self.first(bytes);
        !own.is_empty() && own.ct_eq(code).into()
    }
}

/// An HMAC with its key set up once.
#[derive(Clone)]
pub enum Keyed {
    /// HMAC-SHA1.
    Sha1(Hmac<Sha1>),
    /// HMAC-SHA256.
    Sha256(Hmac<Sha256>),
}

impl Keyed {
    /// With `key`, of which at most 64 bytes count; no key here is longer.
    #[must_use]
    pub fn new(suite: Suite, key: &[u8]) -> Self {
        let mut block = [0; 64];
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        match suite {
            Suite::Sha1 => Self::Sha1(Hmac::new(&block.into())),
            Suite::Sha256 => Self::Sha256(Hmac::new(&block.into())),
        }
    }

    /// The code over all parts in this order.
    #[must_use]
    pub fn over(&self, parts: &[&[u8]]) -> Digest {
        match self {
            Self::Sha1(mac) => {
                let mut mac = mac.clone();
                parts.iter().for_each(|part| mac.update(part));
                Digest::new(&mac.finalize().into_bytes())
            }
            Self::Sha256(mac) => {
                let mut mac = mac.clone();
                parts.iter().for_each(|part| mac.update(part));
                Digest::new(&mac.finalize().into_bytes())
            }
        }
    }
}

/// What both sides know once RAKP 2 is there.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Our session id (SID_M).
    pub console: u32,
    /// The BMC's session id (SID_C).
    pub managed: u32,
    /// Our random number (R_M).
    pub console_random: [u8; 16],
    /// The BMC's (R_C).
    pub managed_random: [u8; 16],
    /// The BMC's GUID.
    pub guid: [u8; 16],
    /// The role byte as sent in RAKP 1.
    pub role: u8,
    /// User name, at most 16 bytes.
    pub user: Vec<u8>,
}

impl Exchange {
    /// Role, length of the name, name.
    fn tail(&self) -> Vec<u8> {
        let len = u8::try_from(self.user.len()).unwrap_or(u8::MAX);
        [&[self.role, len], self.user.as_slice()].concat()
    }

    /// The key exchange code that RAKP 2 must bear.
    #[must_use]
    pub fn rakp2(&self, suite: Suite, password: &[u8]) -> Digest {
        Keyed::new(suite, password).over(&[
            &self.console.to_le_bytes(),
            &self.managed.to_le_bytes(),
            &self.console_random,
            &self.managed_random,
            &self.guid,
            &self.tail(),
        ])
    }

    /// The key exchange code of RAKP 3.
    #[must_use]
    pub fn rakp3(&self, suite: Suite, password: &[u8]) -> Digest {
        Keyed::new(suite, password).over(&[&self.managed_random, &self.console.to_le_bytes(), &self.tail()])
    }

    /// The session's keys. `key` is K_G, or the password where there is none.
    #[must_use]
    pub fn keys(&self, suite: Suite, key: &[u8]) -> Keys {
        let sik = Keyed::new(suite, key).over(&[&self.console_random, &self.managed_random, &self.tail()]);
        let sik = Keyed::new(suite, sik.as_slice());
        let (k1, k2) = (sik.over(&[&[1; 20]]), sik.over(&[&[2; 20]]));
        let mut aes = [0; 16];
        aes.iter_mut().zip(k2.as_slice()).for_each(|(to, from)| *to = *from);
        Keys { suite, sik, k1: Keyed::new(suite, k1.as_slice()), aes: Aes128::new(&aes.into()) }
    }

    /// The integrity check value that RAKP 4 must bear.
    #[must_use]
    pub fn rakp4(&self, keys: &Keys) -> Digest {
        keys.sik.over(&[&self.console_random, &self.managed.to_le_bytes(), &self.guid])
    }
}

/// Keys of one session.
#[derive(Clone)]
pub struct Keys {
    suite: Suite,
    sik: Keyed,
    k1: Keyed,
    aes: Aes128,
}

impl Keys {
    /// The suite they belong to.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Integrity code over a packet, cut to its length.
    #[must_use]
    pub fn code(&self, covered: &[u8]) -> Digest {
        Digest::new(self.k1.over(&[covered]).first(self.suite.code_len()))
    }

    /// Whether `code` is the code over `covered`, in constant time.
    #[must_use]
    pub fn verifies(&self, covered: &[u8], code: &[u8]) -> bool {
        self.k1.over(&[covered]).is(code, self.suite.code_len())
    }

    /// Initialisation vector and encrypted message.
    #[must_use]
    pub fn encrypt(&self, message: &[u8], iv: [u8; BLOCK]) -> Vec<u8> {
        let mut plain = message.to_vec();
        let pad = (BLOCK - (message.len() + 1) % BLOCK) % BLOCK;
        plain.extend((1..).take(pad));
        plain.push(u8::try_from(pad).unwrap_or(0));
        let cipher = cbc::Encryptor::inner_iv_init(self.aes.clone(), &iv.into());
        [iv.to_vec(), cipher.encrypt_padded_vec::<NoPadding>(&plain)].concat()
    }

    /// The message within an encrypted payload; none if it is not one.
    #[must_use]
    pub fn decrypt(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let (iv, encrypted) = payload.split_first_chunk::<BLOCK>()?;
        let cipher = cbc::Decryptor::inner_iv_init(self.aes.clone(), &(*iv).into());
        let mut plain = cipher.decrypt_padded_vec::<NoPadding>(encrypted).ok()?;
        let pad = usize::from(plain.pop()?);
        let len = plain.len().checked_sub(pad)?;
        if pad > BLOCK || !plain.get(len..)?.iter().zip(1u8..).all(|(byte, wanted)| *byte == wanted) {
            return None;
        }
        plain.truncate(len);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worked example: every value below comes from Python's hmac and hashlib with the formulas of the
    /// specification, for password `secret` and user `monitor`.
    fn exchange() -> Exchange {
        let counting = |from: u8| std::array::from_fn(|i| from + u8::try_from(i).unwrap());
        Exchange {
            console: 0x0102_0304,
            managed: 0xA1A2_A3A4,
            console_random: counting(0x00),
            managed_random: counting(0x10),
            guid: counting(0x20),
            role: 0x12,
            user: b"monitor".to_vec(),
        }
    }

    fn hex(digest: Digest) -> String {
        hex::encode(digest.as_slice())
    }

    #[test]
    fn suite_3_computes_the_worked_example() {
        let (e, suite) = (exchange(), Suite::Sha1);
        assert_eq!(hex(e.rakp2(suite, b"secret")), "534f211760fa089f2cf575b2574022b52b927b8d");
        assert_eq!(hex(e.rakp3(suite, b"secret")), "828225da51a5e387b451cfba7d827cbc70c660e8");
        let keys = e.keys(suite, b"secret");
        assert!(e.rakp4(&keys).is(&hex::decode("4dc5734f3b6ed4deee9d071b").unwrap(), 12));
    }

    #[test]
    fn suite_17_computes_the_worked_example() {
        let (e, suite) = (exchange(), Suite::Sha256);
        assert_eq!(
            hex(e.rakp2(suite, b"secret")),
            "7ae56d247e9c2d55084697ec6ee96a288fe7d3b11fadb8b46878119190d3a5ab"
        );
        assert_eq!(
            hex(e.rakp3(suite, b"secret")),
            "d5642feb455170f3adab0ee039a10894015f1cb0a2c32c33ff139b7341dd9ae3"
        );
        let keys = e.keys(suite, b"secret");
        assert!(e.rakp4(&keys).is(&hex::decode("01951ac8e585bf22690004865dafe7d8").unwrap(), 16));
    }

    #[test]
    fn a_code_cut_short_or_empty_is_not_the_code() {
        let digest = exchange().rakp2(Suite::Sha1, b"secret");
        let all = digest.as_slice().to_vec();
        assert!(digest.is(&all, 20));
        assert!(!digest.is(&all[..19], 20));
        assert!(!digest.is(&[], 20));
        assert!(!digest.is(&[], 0));
    }

    #[test]
    fn every_length_survives_the_cipher_and_bad_padding_does_not() {
        let keys = exchange().keys(Suite::Sha256, b"secret");
        for len in 0..64 {
            let message: Vec<u8> = (0..len).collect();
            let sealed = keys.encrypt(&message, [7; 16]);
            assert_eq!(sealed.len() % BLOCK, 0);
            assert_eq!(keys.decrypt(&sealed).as_deref(), Some(message.as_slice()));
        }
        assert_eq!(keys.decrypt(&[0; 15]), None);
        assert_eq!(keys.decrypt(&[0; 16]), None, "no block behind the vector");
        assert_eq!(keys.decrypt(&[0; 33]), None);
    }
}
