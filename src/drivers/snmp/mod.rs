//! SNMP v1, v2c and v3: PDUs, UPSes and meters, by profiles (device knowledge as YAML in `profiles/snmp/`).
//!
//! - `profile/`: what a profile says, checked; `discover`, `found`, `rows`, `plan`, `read`: from a profile to a device's readings;
//! - `device`: one agent over time, on a [`session::Session`]; `walk`: its columns; `recording`, `trace`: for people who write profiles;
//! - `wire`, `credentials`, `answers`, `manners`, `pace`, `sockets`, `errors`: that session over UDP, with the library `async-snmp`, which is named nowhere else.

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use secrecy::SecretString;

use self::credentials::Credentials;
use self::device::Device;
use self::manners::Manners;
use self::sockets::Sockets;
use self::wire::UdpSession;
use super::{Driver, Kind, Trace};
use crate::model::{Batch, BoxFuture, Clock, ErrorKind, PollError, secret};

mod answers;
mod credentials;
mod device;
mod discover;
mod errors;
pub mod found;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod manners;
pub mod oid;
mod pace;
pub mod plan;
pub mod profile;
pub mod read;
mod recording;
mod rows;
pub mod session;
mod sockets;
mod trace;
mod walk;
mod wire;

pub use profile::{BUILT_IN, Profile, Profiles};

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

impl PartialEq for Auth {
    fn eq(&self, other: &Self) -> bool {
        fn parts<P: Copy>(of: &Option<(P, SecretString)>) -> (Option<P>, Option<&SecretString>) {
            (of.as_ref().map(|(protocol, _)| *protocol), of.as_ref().map(|(_, password)| password))
        }
        match (self, other) {
            (Self::V1(one), Self::V1(other)) | (Self::V2c(one), Self::V2c(other)) => {
                secret::is_same(one, other)
            }
            (
                Self::V3 { user, auth, privacy, context },
                Self::V3 { user: other, auth: its_auth, privacy: its_privacy, context: its_context },
            ) => {
                let ((one, key), (its, its_key)) = (parts(auth), parts(its_auth));
                let ((cipher, word), (its_cipher, its_word)) = (parts(privacy), parts(its_privacy));
                (user, context, one, cipher) == (other, its_context, its, its_cipher)
                    && secret::are_same(key, its_key)
                    && secret::are_same(word, its_word)
            }
            (Self::V1(_) | Self::V2c(_) | Self::V3 { .. }, _) => false,
        }
    }
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

/// SNMPv3 privacy protocols. DES is not among them: the library's does not work, and it protects nothing any more.
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
#[derive(Debug, Clone, PartialEq)]
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

/// Builds the driver; sends nothing yet. UDP sockets are shared by all SNMP devices through `Shared`. A name is
/// resolved at the first poll and again after each failure, so that a device may move and DNS may be late.
///
/// # Errors
/// If the address is not `host:port`, the credentials are what SNMPv3 forbids, or the profile is not known.
pub fn open(settings: Settings, shared: Arc<Shared>) -> Result<Box<dyn Driver>, PollError> {
    Ok(Box::new(build(settings, shared)?))
}

fn build(settings: Settings, shared: Arc<Shared>) -> Result<Snmp, PollError> {
    let port = settings.address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        return Err(PollError::new(
            ErrorKind::Unreachable,
            format!("{:?} is not an address", settings.address),
            "write host:port, an IPv6 address in brackets",
        ));
    }
    let fixed = match &settings.profile {
        None => None,
        Some(name) => Some(shared.profiles.chosen(name)?),
    };
    let credentials = Credentials::new(&settings.auth)?;
    let device = Device::new(Arc::clone(&shared.profiles), Arc::clone(&shared.clock), fixed);
    let knows_bulk = !matches!(settings.auth, Auth::V1(_));
    let manners = Arc::new(Manners::new(settings.max_oids, knows_bulk));
    let number = shared.devices.fetch_add(1, Ordering::Relaxed);
    Ok(Snmp { settings, credentials, shared, number, tries: 0, session: None, device, manners })
}

/// What all SNMP devices share: the sockets, the profiles and the clock.
pub struct Shared {
    profiles: Arc<Profiles>,
    clock: Arc<dyn Clock>,
    sockets: Arc<Sockets>,
    devices: Arc<AtomicUsize>,
}

impl Shared {
    /// With these profiles; opens no socket yet.
    #[must_use]
    pub fn new(profiles: Profiles, clock: Arc<dyn Clock>) -> Self {
        let profiles = Arc::new(profiles);
        Self { profiles, clock, sockets: Arc::default(), devices: Arc::default() }
    }

    /// The same sockets and clock, with other profiles.
    #[must_use]
    pub fn with_profiles(&self, profiles: Profiles) -> Self {
        Self {
            profiles: Arc::new(profiles),
            clock: Arc::clone(&self.clock),
            sockets: Arc::clone(&self.sockets),
            devices: Arc::clone(&self.devices),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("profiles", &self.profiles.names()).finish_non_exhaustive()
    }
}

/// Polls the agent of `settings` once and keeps where each reading stood.
///
/// # Errors
/// As [`open`] and a poll.
pub async fn trace_agent(settings: Settings, shared: Arc<Shared>) -> Result<Trace, PollError> {
    let mut snmp = build(settings, shared)?;
    let session = snmp.connect().await?;
    let chosen = snmp.settings.profile.as_ref().map(|name| snmp.shared.profiles.chosen(name)).transpose()?;
    trace::trace(&session, &snmp.shared.profiles, chosen, Arc::clone(&snmp.shared.clock)).await
}

/// The same of a recorded device.
///
/// # Errors
/// If the recording cannot be read; as a poll.
pub async fn trace_recording(
    file: &Path,
    chosen: Option<&str>,
    profiles: &Profiles,
    clock: Arc<dyn Clock>,
) -> Result<Trace, PollError> {
    let chosen = chosen.map(|name| profiles.chosen(name)).transpose()?;
    trace::trace(&recording::Recording::open(file)?, profiles, chosen, clock).await
}

struct Snmp {
    settings: Settings,
    credentials: Credentials,
    shared: Arc<Shared>,
    number: usize,
    tries: usize,
    session: Option<UdpSession>,
    device: Device,
    manners: Arc<Manners>,
}

impl Snmp {
    async fn connect(&mut self) -> Result<UdpSession, PollError> {
        let address = self.settings.address.clone();
        let unknown = |why: String| {
            PollError::new(
                ErrorKind::Unreachable,
                format!("{address} cannot be resolved: {why}"),
                "check the name and this machine's DNS",
            )
        };
        let found =
            tokio::net::lookup_host(&self.settings.address).await.map_err(|e| unknown(e.to_string()))?;
        // A name with several addresses may answer at one of them only: each new try takes the next.
        let found: Vec<SocketAddr> = found.collect();
        let peer = self.tries.checked_rem(found.len()).and_then(|place| found.get(place).copied());
        let peer = peer.ok_or_else(|| unknown("it has no address".to_owned()))?;
        self.tries = self.tries.wrapping_add(1);
        let lease = self.shared.sockets.lease(self.number, peer).await?;
        let manners = Arc::clone(&self.manners);
        let clock = Arc::clone(&self.shared.clock);
        UdpSession::connect(&self.settings, &self.credentials, (manners, clock), lease, peer).await
    }
}

impl Driver for Snmp {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(async move {
            // Taken out, so that a poll that fails or is dropped leaves no half-spent session: the next one resolves
            // the name anew and forgets what it believed of the SNMPv3 engine.
            let session = match self.session.take() {
                Some(session) => session,
                None => self.connect().await?,
            };
            let batch = self.device.poll(&session).await?;
            self.session = Some(session);
            Ok(batch)
        })
    }
}

/// Why a word names no protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProtocolError(String);

impl FromStr for AuthProtocol {
    type Err = ProtocolError;
    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        Ok(match text.to_ascii_lowercase().replace('-', "").as_str() {
            "md5" => Self::Md5,
            "sha" | "sha1" => Self::Sha,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => {
                let list = "md5, sha, sha224, sha256, sha384, sha512";
                return Err(ProtocolError(format!(
                    "{text:?} is not an authentication protocol; use one of {list}"
                )));
            }
        })
    }
}

impl FromStr for PrivacyProtocol {
    type Err = ProtocolError;
    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        Ok(match text.to_ascii_lowercase().replace('-', "").as_str() {
            "aes" | "aes128" => Self::Aes128,
            "aes192" => Self::Aes192,
            "aes256" => Self::Aes256,
            "des" | "3des" => {
                return Err(ProtocolError(format!(
                    "{text:?} is not supported, since it protects nothing any more; set the device's user to AES"
                )));
            }
            _ => {
                return Err(ProtocolError(format!(
                    "{text:?} is not a privacy protocol; use one of aes128, aes192, aes256"
                )));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn des_is_refused_with_its_reason() {
        assert_eq!("AES".parse(), Ok(PrivacyProtocol::Aes128));
        assert_eq!("SHA-256".parse(), Ok(AuthProtocol::Sha256));
        let error = "DES".parse::<PrivacyProtocol>().unwrap_err().to_string();
        assert!(error.contains("set the device's user to AES"), "{error}");
    }
}
