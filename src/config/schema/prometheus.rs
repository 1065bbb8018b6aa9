//! Keys of `prometheus` in a meter.

use std::collections::BTreeMap;

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::bounds::{between, some};
use crate::config::field::{Field, List};
use crate::config::leaf::{EnvName, FilePath, Fingerprint, Label, Span};
use crate::config::types::PrometheusQuality;

/// Words with values, such as labels.
pub(in crate::config) type Words = Field<BTreeMap<String, Field<String>>>;

/// Series of a Prometheus server or of another exporter.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["server"]}, {"required": ["page"]}, {"required": ["file"]}]))]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Prometheus {
    /// Address of a Prometheus server, or of what answers its queries, such as `http://prometheus:9090`.
    pub(in crate::config) server: Field<String>,
    /// Instead: address of an exporter's page, such as `http://node-1:9100/metrics`.
    pub(in crate::config) page: Field<String>,
    /// Instead: a file that holds such a page, as programs write it for node_exporter's textfile collector.
    pub(in crate::config) file: Field<FilePath>,
    /// User name.
    pub(in crate::config) username: Field<Label>,
    /// File that holds the password.
    pub(in crate::config) password_file: Field<FilePath>,
    /// Environment variable that holds the password.
    pub(in crate::config) password_env: Field<EnvName>,
    /// Instead of user and password: file that holds a token.
    pub(in crate::config) bearer_token_file: Field<FilePath>,
    /// Environment variable that holds the token.
    pub(in crate::config) bearer_token_env: Field<EnvName>,
    /// Headers of every request, such as `X-Scope-OrgID`. No secrets.
    pub(in crate::config) headers: Words,
    /// PEM file with the authorities that may sign the certificate, for https. Default: the public ones.
    pub(in crate::config) ca_file: Field<FilePath>,
    /// Instead of `ca_file`: SHA-256 digest of the certificate itself, `sha256:AB:CD:...`.
    pub(in crate::config) fingerprint: Field<Fingerprint>,
    /// Deadline of one request, at most that of the poll. Default 3s, or that of the poll where it is shorter.
    #[garde(custom(between(10, 600_000)))]
    pub(in crate::config) timeout: Field<Span>,
    /// A sample that is older, by its own time, is no reading; 1 s to 1 h. Default 2m, or the meter's `stale_after` where that is longer.
    #[garde(custom(between(1000, 3_600_000)))]
    pub(in crate::config) max_age: Field<Span>,
    /// What is read.
    #[schemars(required, length(min = 1, max = 100))]
    #[garde(custom(some), dive)]
    pub(in crate::config) series: List<Series>,
}

/// Series that become channels.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["query"]}, {"required": ["metric"]}]))]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Series {
    /// PromQL that gives an instant vector; with `server` only.
    pub(in crate::config) query: Field<String>,
    /// Instead: the series of this metric.
    pub(in crate::config) metric: Field<String>,
    /// Labels that they must have, with their values.
    pub(in crate::config) labels: Words,
    /// Labels with regular expressions that must match their values as a whole.
    pub(in crate::config) patterns: Words,
    /// What they measure.
    #[schemars(required, extend("enum" = ["power", "apparent_power", "voltage", "current", "power_factor", "frequency", "temperature", "humidity", "flow", "energy"]))]
    pub(in crate::config) quantity: Field<String>,
    /// The channel's name, with labels in braces: `psu/{name}`.
    #[schemars(required)]
    pub(in crate::config) channel: Field<String>,
    /// Number to base unit (W VA V A ratio Hz Cel ratio m3/s J). Default 1.
    #[garde(custom(positive))]
    pub(in crate::config) scale: Field<f64>,
    /// For energy: the least difference that it shows, in its own unit. Default 1.
    #[garde(custom(positive))]
    pub(in crate::config) step: Field<f64>,
    /// For energy: where the counter begins anew, in its own unit. Default: it does not.
    #[garde(custom(positive))]
    pub(in crate::config) wraps_at: Field<f64>,
    /// `measured` (default), or `estimated` where a model or a setting says it.
    pub(in crate::config) quality: Field<PrometheusQuality>,
}

fn positive(field: &Field<f64>, (): &()) -> garde::Result {
    match field.get() {
        Some(value) if !(value.is_finite() && *value > 0.0) => {
            Err(garde::Error::new(format!("is {value}; write a number above 0")))
        }
        _ => Ok(()),
    }
}
