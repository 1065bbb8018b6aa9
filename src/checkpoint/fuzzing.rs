//! Target `checkpoint`: any bytes as a file. What is read must be what it writes, and never more than the file held.

use super::Frame;

/// Reads `input` as a file; then as the content of a good file, so that the checksum does not keep everything out.
pub fn checkpoint(input: &[u8]) {
    if let Ok(frame) = Frame::decode(input) {
        assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
    }
    let mut good = Frame::default();
    good.sections.insert("fuzz", input.to_vec());
    assert_eq!(Frame::decode(&good.encode()), Ok(good));
}
