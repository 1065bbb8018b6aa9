//! Redfish over HTTPS: BMCs of servers.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::{Driver, Kind};
use crate::model::PollError;

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "redfish", about: "BMCs over Redfish (HTTPS, JSON)" };

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Login {
    /// A session token, deleted on shutdown.
    #[default]
    Session,
    /// HTTP Basic with every request.
    Basic,
}

/// How the BMC's certificate is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// The public certificate authorities.
    #[default]
    WebPki,
    /// Only the authorities in this PEM file.
    CaFile(PathBuf),
    /// Only the certificate whose SHA-256 digest this is.
    Fingerprint([u8; 32]),
}

/// All that the driver needs to know of one BMC.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://host[:port]`, without a path.
    pub url: String,
    /// User name and password; none where the service asks for none.
    pub credentials: Option<(String, SecretString)>,
    /// How to log in with them.
    pub login: Login,
    /// How the certificate is trusted.
    pub trust: Trust,
    /// The longest a single request may take. The whole poll has a deadline of its own.
    pub request_timeout: Duration,
}

/// Builds the driver; reads the CA file, opens no connection.
///
/// # Errors
/// `Tls` when the CA file cannot be read or used.
pub fn open(settings: Settings) -> Result<Box<dyn Driver>, PollError> {
    let _ = settings;
    todo!()
}
