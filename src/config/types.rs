//! The checked configuration: what may run. Units and durations are parsed, defaults filled in, includes merged,
//! references known to lead somewhere, secrets loaded. `app::plan` turns it into what drivers and sources take. Only
//! data, so that the whole of it can be read in one place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

mod cgroup;
mod command;
mod feeds;
mod http;
mod modbus;
mod model;
mod prometheus;
pub mod serial;
mod services;
mod sysfs;
mod tenants;

pub use cgroup::{Cgroups, Hypervisor, Kernel, Kubernetes, KubernetesWhom, Processes, ProcessesBy};
pub use command::{Command, CommandFormat, CommandReading};
pub use feeds::{Feed, PowerFactor};
pub use http::Http;
pub use modbus::{Modbus, ModbusLine, ModbusParity, ModbusPort};
pub use model::{Division, Model, Pool, Weighting};
pub use prometheus::{
    Prometheus, PrometheusAccess, PrometheusPick, PrometheusQuality, PrometheusSeries, PrometheusSource,
};
pub use serial::Serial;
pub use services::{Member, Service};
pub use sysfs::Sysfs;
pub use tenants::{Tenant, TenantLabel};

use super::problem::{Place, Problem};
pub use crate::model::{Basis, Component, Point};
use crate::model::{ChannelId, DatacenterId, GramsPerKilowattHour, HostId, MeterId, Pattern, Ratio, Watts};

/// A whole configuration without errors.
#[derive(Debug, Clone)]
pub struct Config {
    /// Data centres in the order of the files; never empty: without any there is one named `default`.
    pub datacenters: Vec<Datacenter>,
    /// Meters in the order of the files.
    pub meters: Vec<Meter>,
    /// Hosts in the order of the files.
    pub hosts: Vec<Host>,
    /// Tenants in the order of the files.
    pub tenants: Vec<Tenant>,
    /// Services in the order of the files.
    pub services: Vec<Service>,
    /// Devices that are read when a client asks for them; none where that is off.
    pub probe: Option<Probe>,
    /// Where the channels that hosts and facility points name are named, for what only the device can tell.
    pub channels: BTreeMap<ChannelRef, Place>,
    /// What is allowed but should be looked at: a secret that everyone may read, an include without files.
    pub warnings: Vec<Problem>,
}

/// A building with its own facility meters, grid zone and prices.
#[derive(Debug, Clone, PartialEq)]
pub struct Datacenter {
    /// Its name.
    pub id: DatacenterId,
    /// Emission factors of its electricity.
    pub emission_factors: Vec<EmissionFactor>,
    /// Price of its electricity, where given.
    pub price: Option<Price>,
    /// How the energy of its hosts is divided; none for the default.
    pub model: Option<Model>,
    /// With whose energy that of its hosts is pooled, where they stand in a cluster.
    pub pool: Pool,
    /// Points of the building, each with the channels that add up to it; only those that are configured.
    pub facility: Vec<(Point, Vec<ChannelRef>)>,
}

/// Emissions caused by a kilowatt-hour.
#[derive(Debug, Clone, PartialEq)]
pub struct EmissionFactor {
    /// By place or by contract.
    pub basis: Basis,
    /// The factor.
    pub value: GramsPerKilowattHour,
    /// Who says so; may be empty.
    pub source: String,
    /// How near to the building the source looks (`national`, `regional`, `supplier`); may be empty.
    pub tier: String,
}

/// Price of a kilowatt-hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// In units of the currency, per kilowatt-hour; finite and not negative.
    pub per_kilowatt_hour: f64,
    /// ISO 4217 code.
    pub currency: String,
}

/// A channel of a meter that is configured. Written `METER/CHANNEL`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelRef {
    /// The meter.
    pub meter: MeterId,
    /// Its channel; only the device can tell whether it has it.
    pub channel: ChannelId,
}

impl std::fmt::Display for ChannelRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.meter, self.channel)
    }
}

/// A device to poll.
#[derive(Debug, Clone)]
pub struct Meter {
    /// Its name.
    pub id: MeterId,
    /// Where it is defined.
    pub place: Place,
    /// Where it stands.
    pub datacenter: DatacenterId,
    /// How often and how patiently it is polled.
    pub poll: Poll,
    /// How far off its power may be, where the operator says.
    pub accuracy: Option<Ratio>,
    /// How it is spoken to.
    pub device: Device,
}

/// Devices that are read when a client asks for them.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Most probes under way at once.
    pub concurrency: u32,
    /// Ways to read a device, in the order of the file; not empty.
    pub modules: Vec<Module>,
}

/// A way to read a device that a client names.
#[derive(Debug, Clone)]
pub struct Module {
    /// The value of the `module` parameter.
    pub name: String,
    /// Where it is defined.
    pub place: Place,
    /// Deadline of a probe whose client names none.
    pub timeout: Duration,
    /// Whom clients may have read by it; not empty.
    pub targets: Vec<Pattern>,
    /// How the device is spoken to. Its address is nobody's: each probe puts its own there.
    pub device: Device,
}

/// How a device is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// From the start of one poll to the start of the next.
    pub interval: Duration,
    /// Deadline of one whole poll; at most `interval`.
    pub timeout: Duration,
    /// A reading older than this is shown no more; at least `interval`.
    pub stale_after: Duration,
    /// Power is not assumed over gaps longer than this; at least `interval`.
    pub max_gap: Duration,
}

/// The protocol of a meter and what it needs.
#[derive(Debug, Clone)]
pub enum Device {
    /// A BMC over IPMI.
    Ipmi(Ipmi),
    /// A BMC over the kernel's IPMI device.
    IpmiInBand(IpmiInBand),
    /// A BMC over Redfish.
    Redfish(Redfish),
    /// A PDU, UPS or meter over SNMP.
    Snmp(Snmp),
    /// Energy meters over Modbus TCP and RTU.
    Modbus(Modbus),
    /// Wattmeters and electricity meters on a serial port.
    Serial(Serial),
    /// Any reader program that prints lines.
    Command(Command),
    /// This machine's own sensors: RAPL, hwmon, ACPI, batteries.
    Sysfs(Sysfs),
    /// JSON meters over HTTP: Shelly, Tasmota and similar.
    Http(Http),
    /// Series of a Prometheus server or of another exporter.
    Prometheus(Prometheus),
}

/// A secret and where it came from, which messages may name. Debug prints only the origin.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The secret itself.
    pub value: SecretString,
    /// Where it was read.
    pub origin: Origin,
}

/// Where a secret came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This file.
    File(PathBuf),
    /// The environment variable of this name.
    Env(String),
}

/// A BMC over IPMI.
#[derive(Debug, Clone)]
pub struct Ipmi {
    /// `host:port`, an IPv6 address in brackets.
    pub address: String,
    /// User name, at most 16 bytes.
    pub username: String,
    /// Password, at most 20 bytes.
    pub password: Secret,
    /// The BMC's own key (K_G), where it has one.
    pub bmc_key: Option<Secret>,
    /// Level that is asked for.
    pub privilege: Privilege,
    /// How the BMC finds the user.
    pub user_lookup: UserLookup,
    /// Cipher suites that may be used, best first; not empty.
    pub cipher_suites: Vec<CipherSuite>,
    /// Sessions of IPMI 1.5 that may be used, best first; empty for none.
    pub allow_ipmi_1_5: Vec<IpmiLegacy>,
    /// Where readings come from.
    pub readings: IpmiReadings,
    /// Whether the session is kept between polls.
    pub keep_session: KeepSession,
    /// What the BMC does against the specification.
    pub quirks: Vec<IpmiQuirk>,
    /// Deadline of one try of a request; at most the poll's.
    pub request_timeout: Duration,
    /// How often a request is sent again.
    pub retries: u32,
}

/// Privilege level of an IPMI session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Privilege {
    /// The least that works.
    #[default]
    Auto,
    /// Reads.
    User,
    /// Operates the machine.
    Operator,
    /// May do everything.
    Administrator,
}

/// Cipher suite of an IPMI session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CipherSuite {
    /// 3: SHA-1 and AES-128.
    Three,
    /// 17: SHA-256 and AES-128.
    Seventeen,
}

/// How a BMC finds an IPMI user in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserLookup {
    /// By name.
    #[default]
    Name,
    /// By name and the level that is asked for.
    NameAndPrivilege,
}

/// Authentication of an IPMI 1.5 session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpmiLegacy {
    /// A keyed MD5 digest of each packet.
    Md5,
    /// The password in each packet.
    Password,
}

/// Where an IPMI meter's readings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpmiReadings {
    /// DCMI where it works, and sensors.
    #[default]
    Auto,
    /// DCMI only.
    Dcmi,
    /// The maker's own commands only.
    Oem,
    /// Sensors only.
    Sensors,
}

/// The machine's own BMC, over the kernel's IPMI device.
#[derive(Debug, Clone)]
pub struct IpmiInBand {
    /// The device.
    pub device: PathBuf,
    /// Where readings come from.
    pub readings: IpmiReadings,
    /// What the BMC does against the specification.
    pub quirks: Vec<IpmiQuirk>,
    /// Deadline of a request; at most the poll's.
    pub request_timeout: Duration,
}

/// Whether an IPMI session is kept between polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeepSession {
    /// Where that costs the BMC less than opening one for each poll.
    #[default]
    Auto,
    /// However rare the polls are.
    Always,
    /// Never: each poll opens and closes its own.
    Never,
}

/// What a BMC does against the specification, where nothing in its answers tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IpmiQuirk {
    /// DCMI's "measuring" flag is never set (OpenBMC): watts above 0 count all the same.
    InactiveDcmi,
    /// Sensors are said not to be scanned, yet have readings (Dell R410, R610; HP rx3600).
    IgnoreScanningDisabled,
    /// Sensors with numbers are marked as discrete.
    DiscreteReading,
}

/// A Redfish service.
#[derive(Debug, Clone)]
pub struct Redfish {
    /// `https://host[:port]`, without a slash at the end.
    pub url: String,
    /// User name and password; none where the service asks for none.
    pub credentials: Option<(String, Secret)>,
    /// How to log in.
    pub login: Login,
    /// How the certificate is trusted.
    pub trust: Trust,
    /// Deadline of one request; at most the poll's.
    pub request_timeout: Duration,
    /// Whether metric reports are read.
    pub telemetry: Telemetry,
    /// Whether a stream of metric reports is kept open.
    pub stream: bool,
}

/// Whether a Redfish service's metric reports are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Telemetry {
    /// Never.
    #[default]
    Off,
    /// Where the service has them.
    Auto,
}

/// How to log in to a Redfish service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    /// A session, closed on shutdown.
    #[default]
    Session,
    /// User name and password with every request.
    Basic,
}

/// How the certificate of a device is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The public certificate authorities.
    WebPki,
    /// Only the authorities in this PEM file, which holds at least one certificate.
    CaFile(PathBuf),
    /// Only the certificate with this SHA-256 digest.
    Fingerprint([u8; 32]),
}

/// An SNMP agent.
#[derive(Debug, Clone)]
pub struct Snmp {
    /// `host:port`, an IPv6 address in brackets.
    pub address: String,
    /// Version and secrets.
    pub auth: SnmpAuth,
    /// The profile that reads it; otherwise the device is asked what it is.
    pub profile: Option<String>,
    /// Deadline of one request; at most the poll's.
    pub request_timeout: Duration,
    /// How often a request is sent again.
    pub retries: u32,
    /// Most variables in one request.
    pub max_oids: u32,
}

/// SNMP version and secrets.
#[derive(Debug, Clone)]
pub enum SnmpAuth {
    /// Version 1 with a community.
    V1(Secret),
    /// Version 2c with a community.
    V2c(Secret),
    /// Version 3, user-based security model.
    V3 {
        /// User name.
        user: String,
        /// Authentication, where used.
        auth: Option<(AuthProtocol, Secret)>,
        /// Privacy, where used; never without authentication.
        privacy: Option<(PrivacyProtocol, Secret)>,
        /// Context name; empty is the default context.
        context: String,
    },
}

/// SNMPv3 authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthProtocol {
    /// HMAC-MD5-96.
    Md5,
    /// HMAC-SHA-96.
    Sha,
    /// HMAC-SHA-224.
    Sha224,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-384.
    Sha384,
    /// HMAC-SHA-512.
    Sha512,
}

/// SNMPv3 privacy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivacyProtocol {
    /// AES-128.
    Aes128,
    /// AES-192.
    Aes192,
    /// AES-256.
    Aes256,
}

/// A physical server, storage node, switch or manager.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its name.
    pub id: HostId,
    /// Where it is defined.
    pub place: Place,
    /// Where it stands.
    pub datacenter: DatacenterId,
    /// What it is for.
    pub component: Component,
    /// Its rack; may be empty.
    pub rack: String,
    /// Its cluster; may be empty.
    pub cluster: String,
    /// What it draws, in order of preference; never empty.
    pub feeds: Vec<Feed>,
    /// How long a feed may be silent before the next one counts; none for as long as its meters' `stale_after`.
    pub fallback_after: Option<Duration>,
    /// What it draws when nothing runs on it.
    pub idle: Idle,
    /// How its energy is divided.
    pub division: Division,
    /// How its resources are over-allocated.
    pub overcommit: Overcommit,
    /// Who says what runs on it.
    pub hypervisor: Option<Hypervisor>,
}

/// What a host draws when nothing runs on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Idle {
    /// This much.
    Power(Watts),
    /// The least that was seen.
    Learned,
    /// All power is dynamic.
    None,
}

/// Allocation ratios: how much of a resource the scheduler may hand out for each one that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overcommit {
    /// vCPUs for each logical CPU.
    pub cpu: Ratio,
    /// Bytes of guest memory for each byte.
    pub memory: Ratio,
}

/// A libvirt daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Libvirt {
    /// The driver's URI at the daemon.
    pub uri: String,
    /// Where it listens.
    pub address: LibvirtAddress,
    /// From the start of one sample to the start of the next.
    pub interval: Duration,
    /// Deadline of one call; at most `interval`.
    pub call_timeout: Duration,
}

/// Where a libvirt daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LibvirtAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// Plain TCP, `host:port`.
    Tcp(String),
    /// TLS.
    Tls {
        /// `host:port`.
        endpoint: String,
        /// Authorities that may sign its certificate, PEM.
        ca_file: PathBuf,
        /// Our certificate and key, PEM.
        identity: Option<(PathBuf, PathBuf)>,
    },
}
