//! Whether two secrets are the same one: what a reload of the configuration asks. Nothing else looks into a secret here.

use secrecy::{ExposeSecret as _, SecretString};

/// Whether `one` is `other`.
#[must_use]
pub fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

/// Whether both are there and the same, or neither is.
#[must_use]
pub fn are_same(one: Option<&SecretString>, other: Option<&SecretString>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
