//! A meter's `http` section, checked.

use std::time::Duration;

use super::{Secret, Trust};

/// A JSON meter.
#[derive(Debug, Clone)]
pub struct Http {
    /// `http://host[:port][/path]` or https, without a slash at the end.
    pub url: String,
    /// The profile that reads it; none to ask the device what it is.
    pub profile: Option<String>,
    /// User name; none for the profile's own.
    pub username: Option<String>,
    /// Password; none where nobody logs in.
    pub password: Option<Secret>,
    /// How the certificate is trusted, for https.
    pub trust: Trust,
    /// Deadline of one request; at most the poll's.
    pub request_timeout: Duration,
}
