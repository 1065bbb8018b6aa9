//! Series of a Prometheus server or of another exporter: what is measured is defined apart from how it is collected.
//!
//! `text` reads an exporter's page, `file` finds one on disk, `query` asks a Prometheus server, `series` makes readings of samples,
//! `poll` does it under `crate::web`.

mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod poll;
mod query;
mod series;
mod text;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::{Driver, Kind};
use crate::drivers::channels::Template;
use crate::model::{Clock, PollError, Quality, Quantity, secret};
pub use crate::web::Trust;

/// This driver's line in the registry.
pub const KIND: Kind =
    Kind { name: "prometheus", about: "Series of a Prometheus server or of another exporter" };

/// All that the driver needs to know of one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Who is asked.
    pub source: Source,
    /// How to be let in.
    pub access: Access,
    /// How the certificate is trusted, for https.
    pub trust: Trust,
    /// Headers of every request, such as `X-Scope-OrgID`. No secrets.
    pub headers: Vec<(String, String)>,
    /// The longest a single request may take. The whole poll has a deadline of its own.
    pub request_timeout: Duration,
    /// A sample older than this is no reading.
    pub max_age: Duration,
    /// What is read.
    pub series: Vec<Series>,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A Prometheus server, or what speaks its query interface: its address.
    Server(String),
    /// An exporter: the address of its page.
    Page(String),
    /// A file that holds such a page.
    File(PathBuf),
}

/// How to be let in.
#[derive(Debug, Clone)]
pub enum Access {
    /// Nobody asks.
    Open,
    /// User and password with every request.
    Basic(String, SecretString),
    /// A token with every request.
    Bearer(SecretString),
}

impl PartialEq for Access {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Open, Self::Open) => true,
            (Self::Basic(user, password), Self::Basic(its, other)) => {
                user == its && secret::is_same(password, other)
            }
            (Self::Bearer(token), Self::Bearer(other)) => secret::is_same(token, other),
            (Self::Open | Self::Basic(..) | Self::Bearer(_), _) => false,
        }
    }
}

/// Series that become channels.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Which ones.
    pub pick: Pick,
    /// What they measure.
    pub quantity: Quantity,
    /// The channel's name, with labels in braces: `psu/{name}`.
    pub channel: Template,
    /// Number to base unit.
    pub scale: f64,
    /// The least difference that it shows, in its own unit.
    pub step: f64,
    /// Where a counter begins anew, in its own unit.
    pub wraps_at: Option<f64>,
    /// Whether it is measured.
    pub quality: Quality,
}

/// Which series.
#[derive(Debug, Clone)]
pub enum Pick {
    /// What a PromQL expression gives; of a server only.
    Query(String),
    /// Series of one metric.
    Metric {
        /// Its name.
        name: String,
        /// Labels with their values.
        labels: Vec<(String, String)>,
        /// Labels with regular expressions that match their values as a whole.
        patterns: Vec<(String, regex::Regex)>,
    },
}

impl PartialEq for Pick {
    fn eq(&self, other: &Self) -> bool {
        type Patterns = Vec<(String, regex::Regex)>;
        let texts =
            |of: &Patterns| of.iter().map(|(l, r)| (l.clone(), r.as_str().to_owned())).collect::<Vec<_>>();
        match (self, other) {
            (Self::Query(one), Self::Query(other)) => one == other,
            (
                Self::Metric { name, labels, patterns },
                Self::Metric { name: other, labels: its_labels, patterns: its_patterns },
            ) => name == other && labels == its_labels && texts(patterns) == texts(its_patterns),
            (Self::Query(_) | Self::Metric { .. }, _) => false,
        }
    }
}

/// Builds the driver; reads the CA file, opens no connection. `clock` dates samples.
///
/// # Errors
/// `Tls` when the CA file cannot be used, `Unreachable` for an address that is none.
pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Box<dyn Driver>, PollError> {
    Ok(Box::new(poll::Prometheus::new(settings, clock)?))
}
