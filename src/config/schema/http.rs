//! Keys of `http` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::bounds::between;
use crate::config::field::Field;
use crate::config::leaf::{EnvName, FilePath, Fingerprint, Label, Span};

/// JSON meters over HTTP: Shelly, Tasmota and similar.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Http {
    /// `http://HOST`, `http://HOST:PORT` or https; perhaps with the path of a proxy in front of the device's own.
    #[schemars(required, extend("examples" = ["http://10.0.0.5"]))]
    pub(in crate::config) url: Field<String>,
    /// Profile that reads it, such as `shelly-gen2`. Default: the device is asked what it is.
    pub(in crate::config) profile: Field<Label>,
    /// User name. Default: the one that devices of the profile have.
    pub(in crate::config) username: Field<Label>,
    /// File that holds the password. Without a password nobody logs in.
    pub(in crate::config) password_file: Field<FilePath>,
    /// Environment variable that holds the password.
    pub(in crate::config) password_env: Field<EnvName>,
    /// PEM file with the authorities that may sign the certificate, for https. Default: the public ones.
    pub(in crate::config) ca_file: Field<FilePath>,
    /// Instead of `ca_file`: SHA-256 digest of the certificate itself, `sha256:AB:CD:...`.
    pub(in crate::config) fingerprint: Field<Fingerprint>,
    /// Deadline of one request, at most that of the poll. Default 3s, or that of the poll where it is shorter.
    #[garde(custom(between(10, 600_000)))]
    pub(in crate::config) timeout: Field<Span>,
}
