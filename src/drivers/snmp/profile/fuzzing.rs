//! Fuzz target of profiles: any text is a profile or an error that names the file, on one line.

#![allow(clippy::panic, reason = "that is how a run fails")]

use super::Profile;
use crate::drivers::profiles::Profile as _;

/// Runs one input.
pub fn profile(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Profile::parse(text) {
        Ok(profile) => assert!(!profile.name.is_empty() && !profile.groups.is_empty()),
        Err(error) => assert!(!error.contains('\n'), "{error}"),
    }
}
