//! Fuzz target of profiles: any text is a profile or an error that names the file, on one line.

#![allow(clippy::panic, reason = "that is how a run fails")]

use super::library;

/// Runs one input.
pub fn profile(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match library::parse("fuzz.yaml", text) {
        Ok(profile) => assert!(!profile.name.is_empty() && !profile.groups.is_empty()),
        Err(error) => assert!(error.to_string().starts_with("fuzz.yaml: ")),
    }
}
