//! RMCP and session headers as a BMC reads and writes them. IPMI v2.0 section 13.6.

use super::crypto::Keys;

const RMCP: [u8; 4] = [0x06, 0x00, 0xff, 0x07];

/// What came in, nothing of it believed yet.
pub(super) enum Packet<'a> {
    /// An IPMI message outside of sessions.
    Outside(&'a [u8]),
    /// Open Session and RAKP, by payload type.
    Setup(u8, &'a [u8]),
    /// A sealed message to a session of ours.
    Sealed(Sealed<'a>),
}

pub(super) struct Sealed<'a> {
    /// Our id.
    pub session: u32,
    pub sequence: u32,
    payload: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Packet<'a> {
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let whole = datagram.strip_prefix(&RMCP)?;
        match whole {
            [0x00, rest @ ..] => {
                let (len, message) = rest.get(8..)?.split_first()?;
                Some(Self::Outside(message.get(..usize::from(*len))?))
            }
            [0x06, kind, rest @ ..] => {
                let (head, rest) = rest.split_first_chunk::<10>()?;
                let [a, b, c, d, e, f, g, h, l0, l1] = *head;
                let payload = rest.get(..usize::from(u16::from_le_bytes([l0, l1])))?;
                match kind {
                    0xc0 => Some(Self::Sealed(Sealed {
                        session: u32::from_le_bytes([a, b, c, d]),
                        sequence: u32::from_le_bytes([e, f, g, h]),
                        payload,
                        whole,
                    })),
                    0x10 | 0x12 | 0x14 => Some(Self::Setup(*kind, payload)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl Sealed<'_> {
    /// The message, if its code fits.
    pub fn open(&self, keys: &Keys) -> Option<Vec<u8>> {
        let at = self.whole.len().checked_sub(keys.suite.code_bytes())?;
        let (covered, code) = self.whole.split_at_checked(at)?;
        if !keys.k1.fits(covered, code) {
            return None;
        }
        keys.decrypt(self.payload)
    }
}

/// A message outside of sessions.
pub(super) fn outside(message: &[u8], out: &mut Vec<u8>) {
    out.extend(RMCP);
    out.extend([0; 9]);
    out.push(u8::try_from(message.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(message);
}

/// A message of session setup.
pub(super) fn setup(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend(RMCP);
    out.extend([0x06, kind]);
    out.extend([0; 8]);
    out.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(payload);
}

/// A sealed message to the console's session.
pub(super) fn seal(
    keys: &Keys,
    console: u32,
    sequence: u32,
    iv: [u8; 16],
    message: &[u8],
    out: &mut Vec<u8>,
) {
    out.extend(RMCP);
    out.extend([0x06, 0xc0]);
    out.extend(console.to_le_bytes());
    out.extend(sequence.to_le_bytes());
    let len = 16 + message.len() / 16 * 16 + 16;
    out.extend(u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
    keys.encrypt(iv, message, out);
    // Head and payload have a multiple of 4 bytes, and so have two bytes of padding with the two that follow.
    out.extend([0xff, 0xff, 0x02, 0x07]);
    let covered = out.get(RMCP.len()..).unwrap_or_default().to_vec();
    keys.k1.append(&[&covered], keys.suite.code_bytes(), out);
}
