//! Fuzz target of JSON profiles: any text is a profile or an error on one line; and a profile reads any answer without harm.
//!
//! An input is a profile and an answer, divided by a line of `---`.

#![allow(clippy::panic, reason = "that is how a run fails")]

use std::collections::HashSet;

use super::Profile;
use crate::drivers::http::read;
use crate::drivers::profiles::Profile as _;

/// Runs one input.
pub fn http(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (profile, answer) = input.split_once("\n---\n").unwrap_or((input, "{}"));
    let profile = match Profile::parse(profile) {
        Ok(profile) => profile,
        Err(error) => {
            assert!(!error.contains('\n'), "{error}");
            return;
        }
    };
    let Ok(answer) = serde_json::from_str::<serde_json::Value>(answer) else { return };
    let answers: Vec<_> = profile.requests.iter().map(|_| Some(answer.clone())).collect();
    let mut memory = read::Memory::default();
    for _ in 0..2 {
        let mut seen = HashSet::new();
        for traced in read::readings(&profile, &answers, &mut memory) {
            let reading = traced.reading;
            assert!(reading.measure.value().is_finite());
            assert!(seen.insert((reading.channel, reading.measure.quantity())), "twice");
        }
    }
}
