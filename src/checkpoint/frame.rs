//! The form of the file, as pure functions.
//!
//! ```text
//! magic      16 bytes   "wattribute state"
//! version     4 bytes   little endian, as all numbers here
//! checksum    4 bytes   CRC-32 (IEEE) of all that follows
//! length      8 bytes   of the body
//! body:       8 bytes   when it was written, milliseconds since the Unix epoch
//!             4 bytes   how many sections, and of each
//!                       2 bytes length of its name, the name, 8 bytes length, its bytes
//! ```

use super::Sections;

/// The first bytes of every checkpoint.
const MAGIC: &[u8; 16] = b"wattribute state";
/// This form.
const VERSION: u32 = 1;
/// The largest file that is read or written: a million workloads.
pub const MAX_BYTES: u64 = 1 << 30;

/// All that a checkpoint holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// When its counters stood so, milliseconds since the Unix epoch.
    pub written_unix_millis: u64,
    /// What the parts keep.
    pub sections: Sections,
}

/// Why bytes are no checkpoint that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// Another program's.
    #[error("it is no checkpoint of wattribute")]
    Foreign,
    /// A later exporter's, or one whose version was damaged.
    #[error("it has version {0} of the form, this exporter reads version {VERSION}")]
    Version(u32),
    /// Its end is missing, or it has more than that.
    #[error("it is {found} bytes long and should be {should}")]
    Length {
        /// How long it is.
        found: u64,
        /// How long it says that it is.
        should: u64,
    },
    /// Some of its bytes are not what was written.
    #[error("its checksum does not fit its content")]
    Checksum,
    /// The checksum holds, but the sections do not add up.
    #[error("its sections do not add up")]
    Sections,
}

impl Frame {
    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = self.written_unix_millis.to_le_bytes().to_vec();
        let sections = self.sections.0.iter().filter_map(|(name, bytes)| {
            // Names are ours, and short.
            Some((u16::try_from(name.len()).ok()?, u64::try_from(bytes.len()).ok()?, name, bytes))
        });
        body.reserve(
            self.sections.0.iter().map(|(name, bytes)| name.len() + bytes.len() + 10).sum::<usize>() + 4,
        );
        let mut count = 0u32;
        body.extend_from_slice(&count.to_le_bytes());
        for (name_length, length, name, bytes) in sections {
            body.extend_from_slice(&name_length.to_le_bytes());
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(&length.to_le_bytes());
            body.extend_from_slice(bytes);
            count += 1;
        }
        if let Some(place) = body.get_mut(8..12) {
            place.copy_from_slice(&count.to_le_bytes());
        }
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX).to_le_bytes();
        let mut file = Vec::with_capacity(body.len() + HEAD);
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(&checksum(&length, &body).to_le_bytes());
        file.extend_from_slice(&length);
        file.extend_from_slice(&body);
        file
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// If it is anything but a whole and undamaged checkpoint of this version.
    pub fn decode(file: &[u8]) -> Result<Self, FrameError> {
        if file.is_empty() {
            return Err(FrameError::Empty);
        }
        // One cut inside the magic is ours, but for its end.
        let begins = file.len().min(MAGIC.len());
        if file.get(..begins) != MAGIC.get(..begins) {
            return Err(FrameError::Foreign);
        }
        let found = u64::try_from(file.len()).unwrap_or(u64::MAX);
        let mut bytes = Bytes(file.get(MAGIC.len()..).unwrap_or_default());
        let head = (|| Some((bytes.u32()?, bytes.u32()?, bytes.array::<8>()?)))();
        let Some((version, sum, length)) = head else {
            return Err(FrameError::Length { found, should: u64::try_from(HEAD).unwrap_or(u64::MAX) });
        };
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let should = u64::from_le_bytes(length).saturating_add(HEAD as u64);
        if found != should {
            return Err(FrameError::Length { found, should });
        }
        if checksum(&length, bytes.0) != sum {
            return Err(FrameError::Checksum);
        }
        body(bytes).ok_or(FrameError::Sections)
    }
}

/// Bytes before the body.
const HEAD: usize = 32;

fn checksum(length: &[u8; 8], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(length);
    sum.update(body);
    sum.finalize()
}

fn body(mut bytes: Bytes<'_>) -> Option<Frame> {
    let mut frame = Frame { written_unix_millis: bytes.u64()?, sections: Sections::default() };
    for _ in 0..bytes.u32()? {
        let length = u16::from_le_bytes(bytes.array()?);
        let name = std::str::from_utf8(bytes.take(usize::from(length))?).ok()?;
        let length = usize::try_from(bytes.u64()?).ok()?;
        frame.sections.insert(name, bytes.take(length)?.to_vec());
    }
    bytes.0.is_empty().then_some(frame)
}

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let mut sections = Sections::default();
        sections.insert("ledger", vec![1, 0, 7, 8, 9]);
        sections.insert("later than us", vec![0; 40]);
        Frame { written_unix_millis: 1_795_000_000_123, sections }
    }

    #[test]
    fn a_frame_comes_back_as_it_was_with_the_sections_that_nobody_knows() {
        assert_eq!(Frame::decode(&frame().encode()), Ok(frame()));
        assert_eq!(Frame::decode(&Frame::default().encode()), Ok(Frame::default()));
    }

    #[test]
    fn a_file_cut_at_any_byte_is_refused() {
        let file = frame().encode();
        for cut in 0..file.len() {
            let error = Frame::decode(&file[..cut]).unwrap_err();
            let wanted = if cut == 0 { "it is empty" } else { "bytes long and should be" };
            assert!(error.to_string().contains(wanted), "{cut}: {error}");
        }
        let longer = [file, vec![0]].concat();
        assert!(matches!(Frame::decode(&longer), Err(FrameError::Length { .. })));
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let file = frame().encode();
        for bit in 0..file.len() * 8 {
            let mut bent = file.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::decode(&bent).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_of_foreign_and_newer_files() {
        let newer = {
            let mut file = frame().encode();
            file[16] = 2;
            file
        };
        for (file, wanted) in [
            (&b"# HELP up\n"[..], "it is no checkpoint of wattribute"),
            (
                b"wattribute states the obvious, in a file of its own",
                "of the form, this exporter reads version 1",
            ),
            (&newer, "it has version 2 of the form, this exporter reads version 1"),
        ] {
            let error = Frame::decode(file).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn sections_that_do_not_add_up_are_refused_although_the_checksum_holds() {
        let bent = |change: fn(&mut Vec<u8>)| {
            let mut body = frame().encode().split_off(HEAD);
            change(&mut body);
            let length = (body.len() as u64).to_le_bytes();
            let sum = checksum(&length, &body).to_le_bytes();
            Frame::decode(&[&MAGIC[..], &VERSION.to_le_bytes(), &sum, &length, &body].concat())
        };
        assert_eq!(bent(|_| {}), Ok(frame()));
        for change in [
            (|body| body[8] = 3) as fn(&mut Vec<u8>),
            |body| body[8] = 1,
            |body| body[14] = 0xff,
            |body| body[12] = 0xff,
            |body| body.truncate(11),
            |body| body[27..35].fill(0xff),
        ] {
            assert_eq!(bent(change), Err(FrameError::Sections));
        }
    }
}
