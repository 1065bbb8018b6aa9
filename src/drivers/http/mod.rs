//! JSON meters over HTTP: Shelly, Tasmota and similar, by profiles.
//!
//! `profile` is what a file may say, `identify` finds the profile of a device that nobody named, `read` makes readings of answers, and
//! `poll` asks for them over `crate::web`.

mod identify;
mod poll;
mod profile;
mod read;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

#[cfg(any(test, fuzzing))]
pub(crate) use profile::fuzzing;
pub use profile::{Profile, schema};

use super::profiles::Library;
use super::{Driver, Kind, Trace};
use crate::model::{Clock, PollError, secret};
pub use crate::web::Trust;

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "http", about: "JSON meters over HTTP: Shelly, Tasmota and similar" };

/// Files of the profiles in the binary, with their texts.
pub const BUILT_IN: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/http.rs"));

/// All that the driver needs to know of one meter.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http://host[:port]` or `https://host[:port]`, perhaps with a path in front of the device's own.
    pub url: String,
    /// The profile that reads it; none to ask the device what it is.
    pub profile: Option<String>,
    /// User name; none for the profile's own.
    pub user: Option<String>,
    /// Password; none where the device asks for none.
    pub password: Option<SecretString>,
    /// How the certificate is trusted, for https.
    pub trust: Trust,
    /// The longest a single request may take. The whole poll has a deadline of its own.
    pub request_timeout: Duration,
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        // Taken apart, so that a new setting cannot be forgotten here.
        let Self { url, profile, user, password, trust, request_timeout } = self;
        (url, profile, user) == (&other.url, &other.profile, &other.user)
            && (trust, request_timeout) == (&other.trust, &other.request_timeout)
            && secret::are_same(password.as_ref(), other.password.as_ref())
    }
}

/// What the meters of this kind share.
#[derive(Clone)]
pub struct Shared {
    profiles: Arc<Library<Profile>>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// With these profiles; `clock` says when names are asked anew.
    #[must_use]
    pub fn new(profiles: Library<Profile>, clock: Arc<dyn Clock>) -> Self {
        Self { profiles: Arc::new(profiles), clock }
    }

    /// The same clock, with other profiles.
    #[must_use]
    pub fn with_profiles(&self, profiles: Library<Profile>) -> Self {
        Self::new(profiles, Arc::clone(&self.clock))
    }
}

/// Builds the driver; reads the CA file, opens no connection.
///
/// # Errors
/// `Tls` when the CA file cannot be used, `Unreachable` for an address that is none, `NoReading` if there is no such profile.
pub fn open(settings: Settings, shared: Shared) -> Result<Box<dyn Driver>, PollError> {
    Ok(Box::new(poll::Http::new(settings, None, shared)?))
}

/// As [`open`], for a device that is at `at` whatever the name in its address leads to.
///
/// # Errors
/// As [`open`].
pub fn open_at(settings: Settings, at: IpAddr, shared: Shared) -> Result<Box<dyn Driver>, PollError> {
    Ok(Box::new(poll::Http::new(settings, Some(at), shared)?))
}

/// Reads a device once and says where each number stood.
///
/// # Errors
/// As [`open`], and as a poll.
pub async fn trace(settings: Settings, shared: Shared) -> Result<Trace, PollError> {
    poll::Http::new(settings, None, shared)?.trace().await
}
