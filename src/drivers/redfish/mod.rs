//! Redfish over HTTPS: BMCs of servers, and PDUs.
//!
//! # Channels
//!
//! | channel | what |
//! | --- | --- |
//! | `input` | what the server takes in; see `select::Source` for where the total comes from |
//! | `inlet` | the temperature of the air that comes in |
//! | `psu/<Id>` | one power supply's input; `MemberId` in the older `Power` resource |
//! | `control/<name>` | a part of the server that `PowerControl` lists beside the whole: processors, memory ... |
//! | `gpu/<Id>`, `cpu/<Id>`, `accelerator/<Id>`, `memory/<Id>` | a processor or memory module that measures itself |
//! | `sensor/<Id>` | a sensor whose reading stands nowhere else |
//! | `system/<Id>/...` | `input` and parts of each of several systems in one chassis |
//! | `chassis/<Id>/...` | the same for each further chassis with power of its own |
//! | `mains/<Id>`, `branch/<Id>`, `outlet/<Id>` ... | circuits and outlets of power equipment, see `equipment` |
//!
//! If a BMC shows several chassis with power, the only one that holds a computer system is the server; if there are
//! several of those, or none, each is `chassis/<Id>/...` and there is no `input`. Names keep letters, digits, `.` and
//! `_`; anything else is `-`. Where ids or names are missing or not unique, the last part of the resource's path stands
//! in, then the place in the list.
//!
//! # One poll
//!
//! `client` (session, statuses) over `wire` (one exchange, limits) over `tls` reads resources; `copies` spares what has not
//! changed. `discover` asks once in a while what there is and keeps it in `draft`; `plan` makes of it which resources are
//! polled, with `topology` (which chassis is the server), `extras` (what stands beside its total) and `quirks` (whose BMC it
//! is). `reader` asks for them. `resources`, `sensors`, `thermal` and `oem` are their shapes, read by `lenient`; `select`,
//! `energy`, `extras` and `windows` make readings of them. `equipment` does all of that for PDUs and the like, with `expand`
//! to read a list and its members at once; `telemetry` adds what was measured between polls. Polls write nothing but the
//! session.

mod client;
mod copies;
mod discover;
mod draft;
mod energy;
mod equipment;
mod expand;
mod extras;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod hostile;
mod lenient;
mod names;
mod oem;
mod origin;
mod plan;
mod poll;
mod quirks;
mod reader;
mod resources;
mod select;
mod sensors;
mod services;
mod session;
mod summary;
mod telemetry;
mod thermal;
mod topology;
mod windows;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::{Driver, Kind};
use crate::model::{Clock, OpenSessions, PollError, SystemClock, secret};
pub use crate::web::Trust;

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
    /// Whether metric reports are read where the BMC has them.
    pub telemetry: bool,
    /// Whether a stream of metric reports is kept open where the BMC has one.
    pub stream: bool,
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        // Taken apart, so that a new setting cannot be forgotten here.
        let Self { url, credentials, login, trust, request_timeout, telemetry, stream } = self;
        let user = |of: &Option<(String, SecretString)>| of.as_ref().map(|(user, _)| user.clone());
        let password =
            |of: &'_ Option<(String, SecretString)>| of.as_ref().map(|(_, password)| password.clone());
        (url, login, trust, request_timeout)
            == (&other.url, &other.login, &other.trust, &other.request_timeout)
            && (telemetry, stream) == (&other.telemetry, &other.stream)
            && user(credentials) == user(&other.credentials)
            && secret::are_same(password(credentials).as_ref(), password(&other.credentials).as_ref())
    }
}

/// Builds the driver; reads the CA file, opens no connection.
///
/// # Errors
/// `Tls` when the CA file cannot be read or used, `Unreachable` when the URL is not one of https.
pub fn open(settings: Settings) -> Result<Box<dyn Driver>, PollError> {
    open_counted(settings, OpenSessions::default())
}

/// As [`open`], and counts open sessions in `sessions`.
///
/// # Errors
/// As [`open`].
pub fn open_counted(settings: Settings, sessions: OpenSessions) -> Result<Box<dyn Driver>, PollError> {
    open_with(settings, Arc::new(SystemClock::new()), sessions)
}

/// As [`open_counted`], for a BMC that is at `at` whatever the name in its URL leads to: that name is for the certificate only.
///
/// # Errors
/// As [`open`].
pub fn open_at(settings: Settings, at: IpAddr, sessions: OpenSessions) -> Result<Box<dyn Driver>, PollError> {
    let driver = poll::Redfish::new(settings, Arc::new(SystemClock::new()))?;
    Ok(Box::new(driver.pinned(at)?.count_in(sessions)))
}

/// As [`open_counted`], with the clock by which readings of earlier moments are dated: that of whoever takes the batches.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    settings: Settings,
    clock: Arc<dyn Clock>,
    sessions: OpenSessions,
) -> Result<Box<dyn Driver>, PollError> {
    Ok(Box::new(poll::Redfish::new(settings, clock)?.count_in(sessions)))
}
