//! SNMP v1, v2c and v3: PDUs, UPSes and meters, by profiles (device knowledge as YAML in `profiles/snmp/`).

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::{Driver, Kind};
use crate::model::PollError;

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "snmp", about: "PDUs, UPSes and meters over SNMP v1, v2c and v3" };

/// Version and secrets.
#[derive(Debug, Clone)]
pub enum Auth {
    /// SNMPv1 with a community.
    V1(SecretString),
    /// SNMPv2c with a community.
    V2c(SecretString),
    /// SNMPv3, user-based security model.
    V3 {
        /// User name.
        user: String,
        /// Authentication; none is `noAuthNoPriv`.
        auth: Option<(AuthProtocol, SecretString)>,
        /// Privacy; needs authentication.
        privacy: Option<(PrivacyProtocol, SecretString)>,
        /// Context name, empty for the default.
        context: String,
    },
}

/// SNMPv3 authentication protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthProtocol {
    /// HMAC-MD5-96.
    Md5,
    /// HMAC-SHA-96.
    Sha,
    /// HMAC-SHA-224.
    Sha224,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-384.
    Sha384,
    /// HMAC-SHA-512.
    Sha512,
}

/// SNMPv3 privacy protocols. DES is not among them: the library's does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivacyProtocol {
    /// AES-128.
    Aes128,
    /// AES-192.
    Aes192,
    /// AES-256.
    Aes256,
}

/// All that the driver needs to know of one agent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`; 161 is filled in by the configuration.
    pub address: String,
    /// Version and secrets.
    pub auth: Auth,
    /// The profile's name where the operator fixes it; otherwise the device is asked.
    pub profile: Option<String>,
    /// The longest one request may wait for its reply.
    pub request_timeout: Duration,
    /// How often a request is sent again.
    pub retries: u32,
    /// Most variables in one request; small agents die of more.
    pub max_oids: usize,
}

/// Builds the driver; sends nothing yet. UDP sockets are shared by all SNMP devices through `Shared`.
///
/// # Errors
/// If the address cannot be resolved or the profile is not known.
pub fn open(settings: Settings, shared: Arc<Shared>) -> Result<Box<dyn Driver>, PollError> {
    let _ = (settings, shared);
    todo!()
}

/// What all SNMP devices share: the sockets and the profiles.
#[derive(Debug, Default)]
pub struct Shared {}
