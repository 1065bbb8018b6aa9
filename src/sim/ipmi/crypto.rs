//! What a BMC computes in cipher suites 3 and 17, straight from IPMI v2.0 sections 13.28 to 13.32. Written apart from the
//! driver's: the formulas are the same, the code is not.

use aes::Aes128;
use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use sha2::Sha256;

/// A cipher suite that a BMC may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// SHA-1 and AES-128.
    Three,
    /// SHA-256 and AES-128.
    Seventeen,
}

impl Suite {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Three, Self::Seventeen];

    /// Its record in Get Channel Cipher Suites: number, authentication, integrity, confidentiality with their tags.
    pub(super) const fn record(self) -> [u8; 5] {
        match self {
            Self::Three => [0xc0, 3, 0x01, 0x41, 0x81],
            Self::Seventeen => [0xc0, 17, 0x03, 0x44, 0x81],
        }
    }

    /// Authentication, integrity and confidentiality algorithm.
    pub(super) const fn algorithms(self) -> [u8; 3] {
        let [_, _, authentication, integrity, confidentiality] = self.record();
        [authentication, integrity & 0x3f, confidentiality & 0x3f]
    }

    /// Bytes of the code behind each packet, and in RAKP 4.
    pub(super) const fn code_bytes(self) -> usize {
        match self {
            Self::Three => 12,
            Self::Seventeen => 16,
        }
    }
}

/// A keyed hash, ready to be used many times.
#[derive(Clone)]
pub(super) enum Mac {
    Three(Hmac<Sha1>),
    Seventeen(Hmac<Sha256>),
}

impl Mac {
    /// Keys here have at most 32 bytes; HMAC fills up with zeros.
    pub fn new(suite: Suite, key: &[u8]) -> Self {
        let block: [u8; 64] = std::array::from_fn(|i| key.get(i).copied().unwrap_or(0));
        match suite {
            Suite::Three => Self::Three(Hmac::new(&block.into())),
            Suite::Seventeen => Self::Seventeen(Hmac::new(&block.into())),
        }
    }

    /// Appends the hash over `parts` to `out`, cut to `bytes`.
    pub fn append(&self, parts: &[&[u8]], bytes: usize, out: &mut Vec<u8>) {
        match self {
            Self::Three(mac) => {
                let digest = parts.iter().fold(mac.clone(), |mac, part| mac.chain_update(part)).finalize();
                out.extend(digest.into_bytes().iter().take(bytes));
            }
            Self::Seventeen(mac) => {
                let digest = parts.iter().fold(mac.clone(), |mac, part| mac.chain_update(part)).finalize();
                out.extend(digest.into_bytes().iter().take(bytes));
            }
        }
    }

    /// The whole hash.
    pub fn over(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        self.append(parts, 32, &mut out);
        out
    }

    /// Whether `code` is the hash over `covered`, cut to its length. A simulator has no secret that timing could tell.
    pub fn fits(&self, covered: &[u8], code: &[u8]) -> bool {
        !code.is_empty() && self.over(&[covered]).get(..code.len()) == Some(code)
    }
}

/// Keys of one session.
#[derive(Clone)]
pub(super) struct Keys {
    pub suite: Suite,
    /// Session integrity key, for RAKP 4.
    pub sik: Mac,
    /// For the code behind each packet.
    pub k1: Mac,
    aes: Aes128,
}

impl Keys {
    /// From the session integrity key.
    pub fn new(suite: Suite, sik: &[u8]) -> Self {
        let sik = Mac::new(suite, sik);
        let k2 = sik.over(&[&[2; 20]]);
        let key: [u8; 16] = std::array::from_fn(|i| k2.get(i).copied().unwrap_or(0));
        let k1 = Mac::new(suite, &sik.over(&[&[1; 20]]));
        Self { suite, sik, k1, aes: Aes128::new(&key.into()) }
    }

    /// AES-CBC with the padding 1, 2, 3 ... and its length: vector and encrypted `message` are appended to `out`.
    pub fn encrypt(&self, iv: [u8; 16], message: &[u8], out: &mut Vec<u8>) {
        out.extend(iv);
        let pad = 15 - message.len() % 16;
        let padding = (1u8..).take(pad).chain(u8::try_from(pad));
        let mut plain = message.iter().copied().chain(padding).peekable();
        let mut block = Block::<Aes128>::from(iv);
        while plain.peek().is_some() {
            block.iter_mut().zip(plain.by_ref()).for_each(|(b, p)| *b ^= p);
            self.aes.encrypt_block(&mut block);
            out.extend(block);
        }
    }

    /// The message in what [`Self::encrypt`] made.
    pub fn decrypt(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let (blocks, rest) = payload.as_chunks::<16>();
        let (first, blocks) = blocks.split_first()?;
        let (mut before, mut plain) = (first, Vec::with_capacity(payload.len()));
        for encrypted in blocks {
            let mut block = Block::<Aes128>::from(*encrypted);
            self.aes.decrypt_block(&mut block);
            plain.extend(block.iter().zip(before).map(|(b, c)| b ^ c));
            before = encrypted;
        }
        let pad = usize::from(plain.pop()?);
        let len = plain.len().checked_sub(pad)?;
        plain.truncate(len);
        (rest.is_empty() && pad < 16).then_some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encrypted_comes_back_whatever_its_length() {
        for suite in Suite::ALL {
            let keys = Keys::new(suite, &[7; 20]);
            for len in 0..64u8 {
                let message: Vec<u8> = (0..len).collect();
                let mut sealed = Vec::new();
                keys.encrypt([9; 16], &message, &mut sealed);
                assert_eq!(sealed.len() % 16, 0);
                assert_eq!(keys.decrypt(&sealed), Some(message));
            }
            assert_eq!(keys.decrypt(&[0; 15]), None);
            assert_eq!(keys.decrypt(&[0; 16]), None);
        }
    }
}
