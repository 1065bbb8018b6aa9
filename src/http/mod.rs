//! The HTTP server: `/metrics`, `/probe`, the API, health, and a page for people.
//!
//! Lives here: routes, limits, who may come in, and the accept loop. Does not live here: what the pages say. [`Pages`] and
//! [`Control`] are all that this layer knows of the rest; it never sees the store or the ledger. HTTP/1, plain or over TLS, on a
//! socket that the caller has bound.

use std::sync::Arc;

use bytes::Bytes;

use crate::exposition::Format;

mod api;
mod auth;
mod deadline;
mod landing;
mod path;
mod probe;
mod routes;
mod serve;
mod tls;

pub use api::{Channel, Control, Device, Host, Hypervisor, Switch, Unknown};
pub use auth::{Caller, Gate, Web};
pub use path::{MetricsPath, PathError};
pub use probe::{Ask, Probes, Refusal};
pub use routes::{Access, guarded_router, router};
pub use serve::{Limits, serve, serve_through};
pub use tls::{ClientCertificate, TlsSettings, server as tls_server};

/// Where the pages come from. `metrics` and `status` may block for as long as rendering takes (they are called where that is
/// allowed), but never on a device.
pub trait Pages: Send + Sync {
    /// The metrics page, compressed if `gzip`.
    fn metrics(&self, format: Format, gzip: bool) -> Bytes;
    /// What the page for people shows.
    fn status(&self) -> Status;
    /// Whether the first energy has been settled, so that a scrape finds what it should. Must not block.
    fn ready(&self) -> bool;
    /// Who reads devices that clients name; none where that is off.
    fn probes(&self) -> Option<Arc<dyn Probes>> {
        None
    }
    /// Who sees and changes what runs; none before it does.
    fn control(&self) -> Option<Arc<dyn Control>> {
        None
    }
}

/// The exporter as a person wants to see it at a glance.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Release of the running build.
    pub version: String,
    /// Commit of the running build; empty if unknown.
    pub revision: String,
    /// Time since it started, seconds.
    pub uptime_seconds: f64,
    /// Every meter.
    pub devices: Vec<DeviceStatus>,
    /// Every hypervisor.
    pub hypervisors: Vec<DeviceStatus>,
}

/// One meter or hypervisor.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The driver or source that reads it.
    pub driver: String,
    /// Where it is, without credentials.
    pub address: String,
    /// Whether it is monitored; otherwise somebody has switched it off.
    pub enabled: bool,
    /// Whether its latest poll brought readings.
    pub up: bool,
    /// Age of its latest reading, seconds; none if there was never one.
    pub age_seconds: Option<f64>,
    /// Its latest error with the fix, without secrets.
    pub error: Option<String>,
}
