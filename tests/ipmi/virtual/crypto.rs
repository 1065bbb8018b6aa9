//! The BMC's side of RMCP+'s cryptography, written from IPMI v2.0 sections 13.28 to 13.32 apart from the driver's.

use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// HMAC by cipher suite number.
pub fn hmac(suite: u8, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let message = parts.concat();
    if suite == 3 {
        let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
        mac.update(&message);
        mac.finalize().into_bytes().to_vec()
    } else {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(&message);
        mac.finalize().into_bytes().to_vec()
    }
}

/// Bytes of a packet's integrity code.
pub const fn code_len(suite: u8) -> usize {
    if suite == 3 { 12 } else { 16 }
}

pub fn encrypt(key: &[u8], iv: [u8; 16], message: &[u8]) -> Vec<u8> {
    let mut plain = message.to_vec();
    let mut pad = 0u8;
    while !(plain.len() + 1).is_multiple_of(16) {
        pad += 1;
        plain.push(pad);
    }
    plain.push(pad);
    let cipher = cbc::Encryptor::<Aes128>::new_from_slices(key, &iv).unwrap();
    [iv.to_vec(), cipher.encrypt_padded_vec::<NoPadding>(&plain)].concat()
}

pub fn decrypt(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let cipher = cbc::Decryptor::<Aes128>::new_from_slices(key, &payload[..16]).unwrap();
    let mut plain = cipher.decrypt_padded_vec::<NoPadding>(&payload[16..]).unwrap();
    let pad = usize::from(plain.pop().unwrap());
    plain.truncate(plain.len() - pad);
    plain
}
