//! Frames of Modbus TCP: a header with a number that comes back with the answer, and a length.

use super::Frame;

/// Header without the unit: transaction, protocol, length.
const HEADER: usize = 6;
/// The longest of what the length counts: the unit, and the longest answer of the standard.
const MAX_LENGTH: usize = 254;

/// The bytes are no Modbus TCP, so that nobody knows where the next frame begins: the connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came is not Modbus TCP")]
pub struct NotModbus;

/// A question as it goes out.
#[must_use]
pub fn encode(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + 1 + pdu.len());
    frame.extend(transaction.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX).to_be_bytes());
    frame.push(unit);
    frame.extend(pdu);
    frame
}

/// Takes the next whole frame from the front of `bytes`; none if it is not there yet.
///
/// # Errors
/// If the header cannot be one.
pub fn next_frame(bytes: &mut Vec<u8>) -> Result<Option<Frame>, NotModbus> {
    let [t0, t1, p0, p1, l0, l1, ..] = bytes.as_slice() else { return Ok(None) };
    let (transaction, protocol) = (u16::from_be_bytes([*t0, *t1]), u16::from_be_bytes([*p0, *p1]));
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    if protocol != 0 || !(2..=MAX_LENGTH).contains(&length) {
        return Err(NotModbus);
    }
    let Some([unit, pdu @ ..]) = bytes.get(HEADER..HEADER + length) else { return Ok(None) };
    let frame = Frame { transaction: Some(transaction), unit: *unit, pdu: pdu.to_vec() };
    bytes.drain(..HEADER + length);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_and_one_after_the_other() {
        assert_eq!(encode(0x0102, 7, &[4, 0, 0x34, 0, 2]), [1, 2, 0, 0, 0, 6, 7, 4, 0, 0x34, 0, 2]);
        let first = encode(1, 1, &[0x84, 2]);
        let second = encode(2, 1, &[4, 2, 0, 9]);
        let mut bytes = Vec::new();
        for byte in &first[..first.len() - 1] {
            bytes.push(*byte);
            assert_eq!(next_frame(&mut bytes), Ok(None));
        }
        bytes.push(2);
        bytes.extend(&second);
        assert_eq!(next_frame(&mut bytes).unwrap().unwrap().pdu, [0x84, 2]);
        assert_eq!(next_frame(&mut bytes).unwrap().unwrap().transaction, Some(2));
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_header_that_cannot_be_one_ends_the_connection() {
        assert_eq!(next_frame(&mut b"HTTP/1.1 400".to_vec()), Err(NotModbus));
        assert_eq!(next_frame(&mut vec![0, 1, 0, 0, 0, 1, 1]), Err(NotModbus));
        assert_eq!(next_frame(&mut vec![0, 1, 0, 0, 1, 0, 1]), Err(NotModbus));
    }
}
