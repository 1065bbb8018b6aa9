//! Energy meters over Modbus TCP, RTU and RTU over TCP, by profiles (device knowledge as YAML in `profiles/modbus/`).
//!
//! - `wire/`: questions, answers and their frames, pure;
//! - `line`: one question at a time on a line that several meters share, and no answer for another question than its own; `owed`
//!   and `pace`: what makes that sure; `transport`: where a line is;
//! - `profile/`, `plan`, `number`, `read`: from a profile to requests, and from registers to readings, pure;
//! - `device`: one meter over time; `errors`: what went wrong, in words.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Mutex;

use self::device::Device;
use self::errors::Place;
use self::line::Line;
use self::pace::Terms;
use self::read::Mounting;
use super::profiles::Library;
use super::{Driver, Kind, Trace};
use crate::model::{Batch, BoxFuture, Clock, PollError};

mod device;
mod errors;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod line;
mod number;
mod owed;
mod pace;
mod plan;
pub(crate) mod profile;
mod read;
mod transport;
mod wire;

pub use profile::{Profile, schema};
pub use transport::Address;

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "modbus", about: "Energy meters over Modbus TCP and RTU" };

/// Files of the profiles in the binary, with their texts.
pub const BUILT_IN: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/modbus.rs"));

/// Every Modbus profile there is.
pub type Profiles = Library<Profile>;

/// All that the driver needs to know of one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The line.
    pub address: Address,
    /// The meter's number on it.
    pub unit: u8,
    /// The profile that reads it.
    pub profile: String,
    /// How long one try of a request may take.
    pub request_timeout: Duration,
    /// How often a request is sent again.
    pub retries: u32,
    /// How long a whole poll may take.
    pub poll_timeout: Duration,
    /// The least time between an answer and the next request on the line.
    pub pause: Duration,
    /// The current transformers are turned round.
    pub invert: bool,
    /// Power, current and energy count this many times; above 0.
    pub ratio: f64,
}

/// What all Modbus meters share: lines, profiles and the clock.
pub struct Shared {
    profiles: Profiles,
    clock: Arc<dyn Clock>,
    /// Lines in use. A line goes when its last meter does.
    lines: Arc<Lock<HashMap<Address, Weak<Mutex<Line>>>>>,
}

impl Shared {
    /// With these profiles; opens nothing yet.
    #[must_use]
    pub fn new(profiles: Profiles, clock: Arc<dyn Clock>) -> Self {
        Self { profiles, clock, lines: Arc::default() }
    }

    /// The same lines and clock, with other profiles.
    #[must_use]
    pub fn with_profiles(&self, profiles: Profiles) -> Self {
        Self { profiles, clock: Arc::clone(&self.clock), lines: Arc::clone(&self.lines) }
    }

    fn line(&self, address: &Address) -> Arc<Mutex<Line>> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(address).and_then(Weak::upgrade) {
            return line;
        }
        // Clients of `/probe` may name any number of them.
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Mutex::new(Line::new(address.clone(), Arc::clone(&self.clock))));
        lines.insert(address.clone(), Arc::downgrade(&line));
        line
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("profiles", &self.profiles.names()).finish_non_exhaustive()
    }
}

/// Builds the driver; opens nothing yet.
///
/// # Errors
/// If the profile is not known.
pub fn open(settings: &Settings, shared: &Shared) -> Result<Box<dyn Driver>, PollError> {
    let profile = shared.profiles.chosen(&settings.profile)?;
    Ok(Box::new(Modbus(device(settings, profile, shared))))
}

/// Reads a meter once by `profile`, whatever `settings` say of one, and tells of every value: for people who write profiles.
///
/// # Errors
/// If the meter does not answer. One that answers without a single value is none.
pub async fn trace(
    settings: &Settings,
    profile: Arc<Profile>,
    clock: Arc<dyn Clock>,
) -> Result<Trace, PollError> {
    let shared = Shared::new(Profiles::default(), clock);
    device(settings, profile, &shared).trace().await
}

fn device(settings: &Settings, profile: Arc<Profile>, shared: &Shared) -> Device {
    let terms = Terms {
        request_timeout: settings.request_timeout,
        retries: settings.retries,
        poll_timeout: settings.poll_timeout,
        pause: settings.pause,
    };
    let place = Place { address: settings.address.clone(), unit: settings.unit };
    let mounting = Mounting { invert: settings.invert, ratio: settings.ratio };
    Device::new(place, terms, mounting, profile, shared.line(&settings.address), Arc::clone(&shared.clock))
}

struct Modbus(Device);

impl Driver for Modbus {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(self.0.poll())
    }
}
