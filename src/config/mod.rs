//! The configuration: YAML files in, a checked [`Config`] out, or every error at once with its place and remedy.
//!
//! ```text
//! text --node--> tree with places --reader, schema--> what the file says --check--> Config: what may run
//! ```
//!
//! Lives here: the schema, its JSON Schema, includes, secrets. Does not live here: what drivers do with it; `app::plan`
//! maps one to the other. Nothing here stops at the first error except text that is not YAML.

use std::cell::RefCell;
use std::path::Path;

mod bounds;
mod check;
mod field;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod leaf;
mod load;
mod node;
mod problem;
mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod types;
mod web;

pub(crate) use check::pool_of;
pub use problem::{Errors, Place, Position, Problem};
pub use types::serial;
pub use types::{
    AuthProtocol, Basis, Cgroups, ChannelRef, CipherSuite, Command, CommandFormat, CommandReading, Component,
    Config, Datacenter, Device, Division, EmissionFactor, Feed, Host, Http, Hypervisor, Idle, Ipmi,
    IpmiInBand, IpmiLegacy, IpmiQuirk, IpmiReadings, KeepSession, Kernel, Kubernetes, KubernetesWhom,
    Libvirt, LibvirtAddress, Login, Member, Meter, Modbus, ModbusLine, ModbusParity, ModbusPort, Model,
    Module, Origin, Overcommit, Point, Poll, Pool, Price, PrivacyProtocol, Privilege, Probe, Processes,
    ProcessesBy, Prometheus, PrometheusAccess, PrometheusPick, PrometheusQuality, PrometheusSeries,
    PrometheusSource, Redfish, Secret, Serial, Service, Snmp, SnmpAuth, Sysfs, Telemetry, Tenant,
    TenantLabel, Trust, UserLookup, Weighting,
};
pub use web::{Web, WebClients, WebTls, load_web};

/// Where environment variables come from: `&|name| std::env::var(name).ok()` in the program.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads the file at `path`, what it includes, and the secrets and certificates they name.
///
/// # Errors
/// Everything that is wrong, at once. Only text that is not YAML hides what follows it in the same file.
pub fn load(path: &Path, env: Env<'_>) -> Result<Config, Errors> {
    let problems = RefCell::new(problem::Problems::default());
    let documents = load::documents(path, &problems);
    let config = check::config(&documents, env, &problems);
    let (errors, warnings) = problems.into_inner().finish();
    if errors.is_empty() { Ok(Config { warnings, ..config }) } else { Err(Errors(errors)) }
}

/// The JSON Schema (draft 2020-12) of the main file, for editors; indented.
#[must_use]
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(schema::File);
    format!("{:#}", schema.as_value())
}
