//! Fuzz target of profiles: any text is a profile that can be planned, or an error on one line.

#![allow(clippy::panic, reason = "that is how a run fails")]

use super::Profile;
use crate::drivers::modbus::plan::Plan;
use crate::drivers::profiles::Profile as _;

/// Runs one input.
pub fn modbus_profile(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Profile::parse(text) {
        Ok(profile) => {
            assert!(!profile.name.is_empty() && !profile.values.is_empty());
            for plan in [&profile, &profile.turned_round()].map(Plan::new) {
                assert!(
                    plan.blocks().iter().all(|block| (1..=profile.max_registers).contains(&block.span.count))
                );
            }
        }
        Err(error) => assert!(!error.contains('\n'), "{error}"),
    }
}
