//! A meter's `prometheus` section, checked.

use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Secret, Trust};
use crate::model::Quantity;

/// Series of a Prometheus server or of another exporter.
#[derive(Debug, Clone)]
pub struct Prometheus {
    /// Who is asked.
    pub source: PrometheusSource,
    /// How to be let in.
    pub access: PrometheusAccess,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// How the certificate is trusted, for https.
    pub trust: Trust,
    /// Deadline of one request; at most the poll's.
    pub request_timeout: Duration,
    /// A sample that is older is no reading; none for the default, which depends on the meter's times.
    pub max_age: Option<Duration>,
    /// What is read; never empty.
    pub series: Vec<PrometheusSeries>,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrometheusSource {
    /// A server: its address, without a slash at the end.
    Server(String),
    /// An exporter: the address of its page.
    Page(String),
    /// A file that holds such a page.
    File(PathBuf),
}

/// How to be let in.
#[derive(Debug, Clone)]
pub enum PrometheusAccess {
    /// Nobody asks.
    Open,
    /// User and password.
    Basic(String, Secret),
    /// A token.
    Bearer(Secret),
}

/// Series that become channels.
#[derive(Debug, Clone)]
pub struct PrometheusSeries {
    /// Which ones.
    pub pick: PrometheusPick,
    /// What they measure.
    pub quantity: Quantity,
    /// The channel's name, with labels in braces; the braces pair.
    pub channel: String,
    /// Number to base unit, above 0.
    pub scale: f64,
    /// The least difference that it shows, in its own unit, above 0.
    pub step: f64,
    /// Where a counter begins anew, in its own unit, above 0.
    pub wraps_at: Option<f64>,
    /// Whether it is measured.
    pub quality: PrometheusQuality,
}

/// Which series.
#[derive(Debug, Clone)]
pub enum PrometheusPick {
    /// What a PromQL expression gives.
    Query(String),
    /// Series of one metric.
    Metric {
        /// Its name.
        name: String,
        /// Labels with their values.
        labels: Vec<(String, String)>,
        /// Labels with expressions that match their values as a whole.
        patterns: Vec<(String, Regex)>,
    },
}

/// How a value came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrometheusQuality {
    /// A sensor measured it.
    #[default]
    Measured,
    /// It was computed from a model, a setting or a rating.
    Estimated,
}
