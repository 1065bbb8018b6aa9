//! How to read one family of JSON devices, as a file says it.

use serde::Deserialize;

use crate::drivers::profiles;

/// How to read one family of JSON devices.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    protocol: String,
    /// Its name.
    pub name: String,
    /// One line for people.
    pub about: String,
}

impl profiles::Profile for Profile {
    const PROTOCOL: &'static str = "http";

    fn name(&self) -> &str {
        &self.name
    }

    fn parse(text: &str) -> Result<Self, String> {
        let profile: Self = profiles::parse(text)?;
        debug_assert_eq!(profile.protocol, <Self as profiles::Profile>::PROTOCOL, "chosen by it");
        Ok(profile)
    }
}
