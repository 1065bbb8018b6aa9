//! The checkpoint: what is counted, in one file, so that counters go on over a restart.
//!
//! Lives here: the file's form ([`frame`]), the folder it stands in ([`folder`]), the sections that parts put into it, and how
//! writing fares ([`health`]). Does not live here: what is kept, which each part knows itself (`store`, `attribution`), nor who
//! writes when (`app::keep`).

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub mod folder;
pub mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod health;

pub use folder::{Folder, Found, OpenError, Refused};
pub use frame::{Frame, FrameError};
pub use health::Health;

/// What one part of the exporter keeps: one section of the file.
pub trait Book: Serialize + DeserializeOwned {
    /// The section's name.
    const NAME: &'static str;
    /// Which form this is; another one is refused, never guessed at. Raise it with each change of what is kept.
    const VERSION: u16;
}

/// Why a section cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// Of another version of the exporter.
    #[error("its section {name} has version {found}, this exporter reads version {known}")]
    Version {
        /// Which section.
        name: &'static str,
        /// What it has.
        found: u16,
        /// What is read.
        known: u16,
    },
    /// Not what was written, although the checksum holds.
    #[error("its section {name} cannot be read")]
    Corrupt {
        /// Which section.
        name: &'static str,
    },
    /// It cannot be written.
    #[error("section {name} cannot be written: {cause}")]
    Write {
        /// Which section.
        name: &'static str,
        /// What the encoder says.
        cause: String,
    },
}

/// Sections by name. Those that nobody knows are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sections(BTreeMap<String, Vec<u8>>);

impl Sections {
    /// Puts a book in, in place of the one before.
    ///
    /// # Errors
    /// `Write` if it cannot be encoded, which is a bug.
    pub fn put<B: Book>(&mut self, book: &B) -> Result<(), SectionError> {
        let head = B::VERSION.to_le_bytes().to_vec();
        let bytes = postcard::to_extend(book, head)
            .map_err(|e| SectionError::Write { name: B::NAME, cause: e.to_string() })?;
        self.0.insert(B::NAME.to_owned(), bytes);
        Ok(())
    }

    /// Takes a book out; none if there is none.
    ///
    /// # Errors
    /// If it is there and cannot be used.
    pub fn take<B: Book>(&mut self) -> Result<Option<B>, SectionError> {
        let Some(bytes) = self.0.remove(B::NAME) else { return Ok(None) };
        let corrupt = SectionError::Corrupt { name: B::NAME };
        let Some((version, body)) = bytes.split_first_chunk::<2>() else { return Err(corrupt) };
        let found = u16::from_le_bytes(*version);
        if found != B::VERSION {
            return Err(SectionError::Version { name: B::NAME, found, known: B::VERSION });
        }
        match postcard::take_from_bytes(body) {
            Ok((book, [])) => Ok(Some(book)),
            Ok(_) | Err(_) => Err(corrupt),
        }
    }

    /// Puts bytes in under a name, in place of those before.
    pub fn insert(&mut self, name: &str, bytes: Vec<u8>) {
        self.0.insert(name.to_owned(), bytes);
    }

    /// The bytes under a name; none if there are none.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Notes(Vec<String>);

    impl Book for Notes {
        const NAME: &'static str = "notes";
        const VERSION: u16 = 3;
    }

    fn sections() -> Sections {
        let mut sections = Sections::default();
        sections.put(&Notes(vec!["a".to_owned()])).unwrap();
        sections
    }

    #[test]
    fn a_book_comes_back_as_it_was_and_a_missing_one_is_none() {
        assert_eq!(sections().take::<Notes>(), Ok(Some(Notes(vec!["a".to_owned()]))));
        assert_eq!(Sections::default().take::<Notes>(), Ok(None));
    }

    #[test]
    fn a_section_of_another_version_is_named_and_not_guessed_at() {
        let mut other = sections();
        other.insert("notes", vec![4, 0, 1, 1, b'a']);
        let error = other.take::<Notes>().unwrap_err();
        assert_eq!(error.to_string(), "its section notes has version 4, this exporter reads version 3");
    }

    #[test]
    fn a_section_that_is_cut_or_too_long_or_lies_about_its_length_is_refused() {
        let refused = Err(SectionError::Corrupt { name: "notes" });
        for bytes in
            [&[][..], &[3], &[3, 0, 1, 1], &[3, 0, 1, 1, b'a', 0], &[3, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]]
        {
            let mut other = Sections::default();
            other.insert("notes", bytes.to_vec());
            assert_eq!(other.take::<Notes>(), refused, "{bytes:?}");
        }
    }
}
