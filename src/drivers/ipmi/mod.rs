//! IPMI over LAN (RMCP+, IPMI v2.0): power and sensors of BMCs by DCMI and by their sensor repository.
//!
//! - `wire/`, `crypto`: bytes, pure; `session/`: one session without I/O;
//! - `transport`: the few UDP sockets that all BMCs share; `link`: a session driven over them;
//! - `commands/`: what is asked and what the replies mean, pure; `repository`: the sensors a BMC has, learned step by
//!   step; `points`: which of them are read; `identity`: who made it; `device`: one BMC over time; `errors`: what went
//!   wrong, in the device's terms.
//!
//! IPMI v1.5 sessions, suites without authentication or encryption, and access from the host itself are not here.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

use self::device::Device;
use self::transport::Sockets;
use super::{Driver, Kind};
use crate::model::{Clock, ErrorKind, PollError};

pub mod commands;
pub mod crypto;
mod device;
mod errors;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod identity;
mod link;
mod points;
mod repository;
pub mod session;
mod transport;
pub mod wire;

pub use crypto::Suite;

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "ipmi", about: "BMCs over IPMI 2.0 (RMCP+): DCMI power and sensors" };

/// Longest user name, bytes.
const MAX_USER: usize = 16;
/// Longest password and K_G, bytes.
const MAX_SECRET: usize = 20;

/// What a session may do. Readings need no more than `User` on most BMCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Read.
    User,
    /// Read, and operate the machine.
    Operator,
    /// Everything.
    Administrator,
}

impl Privilege {
    /// Its number in IPMI.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::User => 2,
            Self::Operator => 3,
            Self::Administrator => 4,
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }
}

/// Where readings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readings {
    /// The total by DCMI where it works, else from a sensor; and every electrical sensor.
    Auto,
    /// The total by DCMI only: one request a poll.
    Dcmi,
    /// Sensors only.
    Sensors,
}

/// All that the driver needs to know of one BMC.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`; 623 is filled in by the configuration.
    pub address: String,
    /// User name.
    pub user: String,
    /// Password.
    pub password: SecretString,
    /// The BMC's own key K_G where it has one: text, or `0x` and hexadecimal digits.
    pub bmc_key: Option<SecretString>,
    /// Asked for.
    pub privilege: Privilege,
    /// Cipher suites that may be used, best first; not empty.
    pub suites: Vec<Suite>,
    /// Where readings come from.
    pub readings: Readings,
    /// The longest one try of a request may wait for its reply.
    pub request_timeout: Duration,
    /// How often a request is sent again.
    pub retries: u32,
    /// How long a poll that already has a reading may go on learning sensors.
    pub learning: Duration,
    /// Whether the session outlives the poll; false where polls are so rare that the BMC would drop it in between.
    pub keep_session: bool,
}

/// Who logs in.
pub struct Login {
    user: String,
    password: SecretString,
    bmc_key: Option<SecretSlice<u8>>,
    privilege: Privilege,
}

impl Login {
    /// Checks user, password and key of `settings`.
    ///
    /// # Errors
    /// `Auth` if one of them is longer than IPMI allows, or the key is not hexadecimal behind `0x`.
    pub fn new(settings: &Settings) -> Result<Self, PollError> {
        let refuse = |cause: String, fix: &str| Err(PollError::new(ErrorKind::Auth, cause, fix));
        if settings.user.len() > MAX_USER {
            return refuse(
                format!("the user name {:?} has more than 16 bytes", settings.user),
                "IPMI 2.0 allows 16: correct `username`",
            );
        }
        if settings.password.expose_secret().len() > MAX_SECRET {
            return refuse(
                "the password has more than 20 bytes".to_owned(),
                "IPMI 2.0 allows 20: give the BMC's user a shorter one",
            );
        }
        let bmc_key = settings.bmc_key.as_ref().map(|key| {
            let text = key.expose_secret();
            text.strip_prefix("0x").map_or_else(|| Ok(text.as_bytes().to_vec()), hex::decode)
        });
        let bmc_key = match bmc_key.transpose() {
            Ok(key) if key.as_ref().is_none_or(|key| key.len() <= MAX_SECRET) => key,
            Ok(_) | Err(_) => {
                return refuse(
                    "the BMC key (K_G) is not one".to_owned(),
                    "write up to 20 bytes of text, or 0x and up to 40 hexadecimal digits",
                );
            }
        };
        Ok(Self {
            user: settings.user.clone(),
            password: settings.password.clone(),
            // A key of zeros is the same as none.
            bmc_key: bmc_key.filter(|key| key.iter().any(|byte| *byte != 0)).map(SecretSlice::from),
            privilege: settings.privilege,
        })
    }

    fn password(&self) -> &[u8] {
        self.password.expose_secret().as_bytes()
    }

    fn bmc_key(&self) -> Option<&[u8]> {
        self.bmc_key.as_ref().map(ExposeSecret::expose_secret)
    }
}

/// Where random numbers come from.
pub trait Random: Send + Sync {
    /// Fills `bytes`; false if there are none, and then `bytes` must not be used.
    #[must_use]
    fn fill(&self, bytes: &mut [u8]) -> bool;
}

/// The operating system's.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        getrandom::fill(bytes).is_ok()
    }
}

/// What all BMCs share: the sockets, the clock, random numbers.
pub struct Shared {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    sockets: Sockets,
}

impl Shared {
    /// Opens no socket yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, random: Arc::new(SystemRandom), sockets: Sockets::default() }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ipmi::Shared").finish_non_exhaustive()
    }
}

/// Builds the driver; sends nothing yet. A name is resolved whenever a session is opened.
///
/// # Errors
/// If the address is not `host:port`, no suite is allowed, or user, password or key are longer than IPMI allows.
pub fn open(settings: Settings, shared: Arc<Shared>) -> Result<Box<dyn Driver>, PollError> {
    let port = settings.address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        return Err(PollError::new(
            ErrorKind::Unreachable,
            format!("{:?} is not an address", settings.address),
            "write host:port, an IPv6 address in brackets",
        ));
    }
    if settings.suites.is_empty() {
        return Err(PollError::new(ErrorKind::Auth, "no cipher suite is allowed", "allow 17, 3 or both"));
    }
    let login = Arc::new(Login::new(&settings)?);
    Ok(Box::new(Device::new(settings, login, shared)))
}
