//! IPMI over LAN (RMCP+, IPMI v2.0; v1.5 where allowed): power and sensors of BMCs by DCMI and by their sensor repository.
//!
//! - `wire/`, `crypto`, `authcode`: bytes, pure; `session/`: one session without I/O; `privilege`: at which level;
//! - `network`: what carries datagrams; `transport`: the few sockets that all BMCs share; `link`: a session driven over
//!   them; `farewell`: how it is given back; `budget`: how many there may be; `upkeep`: one BMC's session over time;
//! - `commands/`: what is asked and what the replies mean, pure; `repository`: the sensors a BMC has, learned step by
//!   step; `points`: which of them are read;
//! - `reading`: one poll's readings, with `total` (the machine's power), `sensors`, and `extras` (what is asked rarely);
//!   `identity`: who made it, `quirks`: what its maker does differently;
//! - `device`: one BMC over time; `inband`: the machine's own, without a network; `errors`: what went wrong, in the
//!   device's terms.
//!
//! Suites and sessions without authentication are not here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::zeroize::Zeroize as _;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use self::budget::Budget;
use self::device::Device;
use self::network::{Network, Udp};
use self::transport::Sockets;
use self::upkeep::Handshakes;
use super::{Driver, Kind};
use crate::model::{Clock, ErrorKind, OpenSessions, PollError, secret};

pub mod authcode;
mod budget;
pub mod commands;
pub mod crypto;
mod device;
mod errors;
mod extras;
mod farewell;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod identity;
mod inband;
mod link;
pub mod network;
mod points;
pub mod privilege;
mod quirks;
mod reading;
mod repository;
mod sensors;
pub mod session;
mod total;
mod transport;
mod upkeep;
pub mod wire;

pub use authcode::Authentication;
pub use crypto::Suite;
pub use privilege::{Level, Privilege};
pub use quirks::Quirk;

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "ipmi", about: "BMCs over IPMI 2.0 (RMCP+): DCMI power and sensors" };

/// Longest user name, bytes.
const MAX_USER: usize = 16;
/// Longest password and K_G, bytes.
const MAX_SECRET: usize = 20;
/// Longest password of IPMI 1.5, bytes.
const MAX_LEGACY_SECRET: usize = authcode::LEN;

/// How a BMC finds the user in its table. IPMI v2.0 section 13.20.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// By name alone, whatever the user's level: what ipmitool and FreeIPMI ask for by default.
    Name,
    /// By name and the level that is asked for: where one name stands in the table twice.
    NameAndPrivilege,
}

impl Lookup {
    /// The role byte of RAKP 1, which every key is made with.
    const fn role(self, level: Level) -> u8 {
        match self {
            Self::Name => 0x10 | level.id(),
            Self::NameAndPrivilege => level.id(),
        }
    }
}

/// Where readings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readings {
    /// The total by DCMI where it works, else by the maker's own command, else from a sensor; and every electrical sensor.
    Auto,
    /// The total by DCMI only: one request a poll.
    Dcmi,
    /// Power and energy by the maker's own commands only.
    Oem,
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
    /// How the BMC finds the user.
    pub lookup: Lookup,
    /// Cipher suites that may be used, best first; not empty.
    pub suites: Vec<Suite>,
    /// Sessions of IPMI 1.5 that may be used where there is no such suite, best first; empty for none.
    pub legacy: Vec<Authentication>,
    /// Where readings come from.
    pub readings: Readings,
    /// What this BMC does against the specification.
    pub quirks: Vec<Quirk>,
    /// The longest one try of a request may wait for its reply.
    pub request_timeout: Duration,
    /// How often a request is sent again.
    pub retries: u32,
    /// How long a poll that already has a reading may go on learning sensors.
    pub learning: Duration,
    /// Whether and how the session outlives the poll.
    pub keep_session: KeepSession,
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        // Taken apart, so that a new setting cannot be forgotten here.
        let Self {
            address,
            user,
            password,
            bmc_key,
            privilege,
            lookup,
            suites,
            legacy,
            readings,
            quirks,
            ..
        } = self;
        let Self { request_timeout, retries, learning, keep_session, .. } = self;
        (address, user, privilege, lookup, suites)
            == (&other.address, &other.user, &other.privilege, &other.lookup, &other.suites)
            && (legacy, readings, quirks, request_timeout)
                == (&other.legacy, &other.readings, &other.quirks, &other.request_timeout)
            && (retries, learning, keep_session) == (&other.retries, &other.learning, &other.keep_session)
            && secret::is_same(password, &other.password)
            && secret::are_same(bmc_key.as_ref(), other.bmc_key.as_ref())
    }
}

impl Settings {
    /// For the kernel's device `path`: nobody logs in.
    #[must_use]
    pub fn in_band(path: &Path, readings: Readings, request_timeout: Duration, learning: Duration) -> Self {
        Self {
            address: path.display().to_string(),
            user: String::new(),
            password: SecretString::default(),
            bmc_key: None,
            privilege: Privilege::Administrator,
            lookup: Lookup::Name,
            suites: Vec::new(),
            legacy: Vec::new(),
            readings,
            quirks: Vec::new(),
            request_timeout,
            retries: 0,
            learning,
            keep_session: KeepSession::ByPolls,
        }
    }
}

/// What becomes of the session between two polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepSession {
    /// It stays open: polls come often enough.
    ByPolls,
    /// It stays open, and a cheap request is sent before the BMC would drop it.
    ByKeepAlive,
    /// It is closed: each poll opens its own.
    No,
}

/// Who logs in.
pub struct Login {
    user: String,
    password: SecretString,
    bmc_key: Option<SecretSlice<u8>>,
    lookup: Lookup,
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
        if !settings.legacy.is_empty() && settings.password.expose_secret().len() > MAX_LEGACY_SECRET {
            return refuse(
                "the password has more than 16 bytes".to_owned(),
                "IPMI 1.5 allows 16: give the BMC's user a shorter one, or do not allow IPMI 1.5",
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
            lookup: settings.lookup,
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

/// The operating system's, fetched for many packets at once.
#[derive(Default)]
pub struct SystemRandom {
    /// What was fetched and not given away yet. What is given away stays nowhere.
    stock: Mutex<Vec<u8>>,
}

/// Bytes that are fetched at once: initialisation vectors of 64 packets.
const STOCK: usize = 64 * crypto::BLOCK;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        let mut stock = self.stock.lock().unwrap_or_else(PoisonError::into_inner);
        if stock.len() < bytes.len() {
            stock.resize(STOCK.max(bytes.len()), 0);
            if getrandom::fill(&mut stock).is_err() {
                stock.clear();
                return false;
            }
        }
        let rest = stock.len().saturating_sub(bytes.len());
        let Some(given) = stock.get_mut(rest..) else { return false };
        bytes.copy_from_slice(given);
        given.zeroize();
        stock.truncate(rest);
        true
    }
}

/// What all BMCs share: the sockets, the clock, random numbers, and how many sessions there may be.
pub struct Shared {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    sockets: Sockets,
    budget: Budget,
    handshakes: Handshakes,
    sessions: OpenSessions,
}

impl Shared {
    /// Over UDP. Opens no socket yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::over(Arc::new(Udp), clock)
    }

    /// Over `network`. Opens no socket yet.
    #[must_use]
    pub fn over(network: Arc<dyn Network>, clock: Arc<dyn Clock>) -> Self {
        Self {
            random: Arc::new(SystemRandom::default()),
            sockets: Sockets::new(network),
            budget: Budget::new(Arc::clone(&clock)),
            handshakes: Handshakes::default(),
            sessions: OpenSessions::default(),
            clock,
        }
    }

    /// Takes random numbers from `random`, so that a run can be had again.
    #[must_use]
    pub fn draw_from(self, random: Arc<dyn Random>) -> Self {
        Self { random, ..self }
    }

    /// Counts open sessions in `sessions`.
    #[must_use]
    pub fn count_in(self, sessions: OpenSessions) -> Self {
        Self { sessions, ..self }
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
pub fn open(settings: impl Into<Arc<Settings>>, shared: Arc<Shared>) -> Result<Box<dyn Driver>, PollError> {
    let settings = settings.into();
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

/// Builds the driver for the BMC of this very machine, behind the kernel's device `path`; opens nothing yet. Of `settings` what
/// concerns the network is not used.
#[must_use]
pub fn open_in_band(path: PathBuf, settings: Settings, shared: Arc<Shared>) -> Box<dyn Driver> {
    Box::new(inband::Local::new(path, settings, shared))
}
