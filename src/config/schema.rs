//! What the file may say: every key, its meaning, its limits. The doc comments and limits are what editors show through
//! the JSON Schema. What the values mean together is in `check`. Long because it is the whole file format in one place.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::{between, host_idle, some};
use super::field::{Field, List};
use super::leaf::{
    Channel, CipherSuite, Currency, Endpoint, EnvName, FilePath, Fingerprint, HttpsUrl, IdlePower, Intensity,
    Label, Name, Privacy, Share, Span, TargetPattern,
};
mod cgroup;
mod command;
pub(super) mod feeds;
mod http;
mod modbus;
mod model;
pub(super) mod prometheus;
pub(super) mod serial;
mod services;
mod sysfs;
mod tenants;

use super::types::{
    AuthProtocol, Basis, Component, IpmiLegacy, IpmiQuirk, IpmiReadings, KeepSession, Login, Model, Pool,
    Privilege, Telemetry, UserLookup, Weighting,
};
pub(super) use cgroup::{Cgroups, Kubernetes, Processes};
pub(super) use command::{
    Command, CommandFormat, CommandMode, CommandQuality, CommandQuantity, CommandReading,
};
pub(super) use feeds::Feed;
pub(super) use http::Http;
pub(super) use modbus::Modbus;
pub(super) use model::{Gpu, Rapl};
pub(super) use prometheus::Prometheus;
pub(super) use serial::Serial;
pub(super) use services::{Member, Service};
pub(super) use sysfs::Sysfs;
pub(super) use tenants::Tenant;

/// Configuration of wattribute.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "wattribute")]
#[garde(allow_unvalidated)]
pub(super) struct File {
    /// How meters are polled, unless a meter says otherwise.
    #[garde(dive)]
    pub(super) poll: Field<Poll>,
    /// Further files, as patterns relative to this file: `meters.d/*.yaml`. They may hold the lists below.
    pub(super) include: List<FilePath>,
    /// Buildings. Without any there is one, named `default`.
    #[garde(dive)]
    pub(super) datacenters: List<Datacenter>,
    /// Devices to poll.
    #[garde(dive)]
    pub(super) meters: List<Meter>,
    /// Physical servers, storage nodes, switches and managers.
    #[garde(dive)]
    pub(super) hosts: List<Host>,
    /// Names of projects, and who owns VMs without metadata.
    #[garde(dive)]
    pub(super) tenants: List<Tenant>,
    /// What workloads work for.
    #[garde(dive)]
    pub(super) services: List<Service>,
    /// Devices that are read when a client asks for them, at /probe.
    #[garde(dive)]
    pub(super) probe: Field<Probe>,
}

/// A file named by `include`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Included {
    #[garde(dive)]
    pub(super) datacenters: List<Datacenter>,
    #[garde(dive)]
    pub(super) meters: List<Meter>,
    #[garde(dive)]
    pub(super) hosts: List<Host>,
    #[garde(dive)]
    pub(super) tenants: List<Tenant>,
    #[garde(dive)]
    pub(super) services: List<Service>,
}

/// How meters are polled, unless a meter says otherwise.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Poll {
    /// From the start of one poll to the start of the next, 50 ms to 1 h. Default 10s.
    #[garde(custom(between(50, 3_600_000)))]
    pub(super) interval: Field<Span>,
    /// Deadline of one whole poll, at most `interval`. Default 5s, or `interval` where that is shorter.
    #[garde(custom(between(10, 3_600_000)))]
    pub(super) timeout: Field<Span>,
    /// A reading older than this is shown no more; at least `interval`. Default 3 times `interval`.
    #[garde(custom(between(50, 86_400_000)))]
    pub(super) stale_after: Field<Span>,
    /// Energy is not integrated over gaps longer than this, but counted as unmeasured; at least `interval`. Default
    /// 3 times `interval`.
    #[garde(custom(between(50, 86_400_000)))]
    pub(super) max_gap: Field<Span>,
}

/// A building with its own facility meters, grid zone and prices.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Datacenter {
    /// Its name: the `datacenter` label.
    #[schemars(required)]
    pub(super) name: Field<Name>,
    /// Emission factors of its electricity: at most one by location and one by market.
    #[garde(dive)]
    pub(super) emission_factors: List<EmissionFactor>,
    /// Price of its electricity.
    #[garde(dive)]
    pub(super) price: Field<Price>,
    /// How the energy of its hosts is divided, unless a host says otherwise. Default `idle-dynamic`.
    pub(super) model: Field<Model>,
    /// `cluster` pools the energy of its hosts that stand in one, unless a host says otherwise. Default `host`.
    pub(super) pool: Field<Pool>,
    /// Which channels meter the building.
    #[garde(dive)]
    pub(super) facility: Field<Facility>,
}

/// Emissions caused by a kilowatt-hour.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct EmissionFactor {
    /// `location`: the grid the building stands on; `market`: what the contract says.
    #[schemars(required)]
    pub(super) basis: Field<Basis>,
    /// Grams of CO2e per kilowatt-hour, such as `380 g/kWh`.
    #[schemars(required)]
    pub(super) value: Field<Intensity>,
    /// Who says so, such as `UBA 2025`.
    pub(super) source: Field<Label>,
    /// How near to the building the source looks, such as `national`, `regional` or `supplier`.
    pub(super) tier: Field<Label>,
}

/// Price of a kilowatt-hour.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Price {
    /// In units of the currency, per kilowatt-hour.
    #[schemars(required)]
    #[garde(range(min = 0.0, max = 1_000_000.0))]
    pub(super) value: Field<f64>,
    /// ISO 4217 code, such as `EUR`.
    #[schemars(required)]
    pub(super) currency: Field<Currency>,
}

/// Channels at the points of a building. The channels of a point add up.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Facility {
    /// What comes from the grid.
    pub(super) utility: Field<Channels>,
    /// What own generators make.
    pub(super) generator: Field<Channels>,
    /// What goes into the UPSes.
    pub(super) ups_in: Field<Channels>,
    /// What comes out of the UPSes.
    pub(super) ups_out: Field<Channels>,
    /// What IT equipment draws.
    pub(super) it: Field<Channels>,
    /// What cooling draws.
    pub(super) cooling: Field<Channels>,
    /// What lighting draws.
    pub(super) lighting: Field<Channels>,
    /// What the rest of the building draws.
    pub(super) building: Field<Channels>,
    /// What own renewable sources make.
    pub(super) renewable: Field<Channels>,
    /// Heat given to others, as energy.
    pub(super) reused: Field<Channels>,
}

/// One channel, or a list of channels that add up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$kind", rename_all = "lowercase")]
#[schemars(rename = "Channels", untagged)]
pub(super) enum Channels {
    /// `METER/CHANNEL`.
    Text(Channel),
    /// Channels that add up.
    List(Vec<Field<Channel>>),
}

/// A device to poll, with exactly one protocol.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["command"]}, {"required": ["http"]}, {"required": ["ipmi"]}, {"required": ["modbus"]}, {"required": ["prometheus"]}, {"required": ["redfish"]}, {"required": ["serial"]}, {"required": ["snmp"]}, {"required": ["sysfs"]}]))]
#[garde(allow_unvalidated)]
pub(super) struct Meter {
    /// Its name: the `meter` label, and what stands before the `/` in references to its channels.
    #[schemars(required)]
    pub(super) name: Field<Name>,
    /// Where it stands. May be left out where there is one data centre.
    pub(super) datacenter: Field<Name>,
    /// As `poll.interval`, for this meter.
    #[garde(custom(between(50, 3_600_000)))]
    pub(super) interval: Field<Span>,
    /// As `poll.timeout`, for this meter.
    #[garde(custom(between(10, 3_600_000)))]
    pub(super) timeout: Field<Span>,
    /// As `poll.stale_after`, for this meter.
    #[garde(custom(between(50, 86_400_000)))]
    pub(super) stale_after: Field<Span>,
    /// As `poll.max_gap`, for this meter.
    #[garde(custom(between(50, 86_400_000)))]
    pub(super) max_gap: Field<Span>,
    /// How far off the meter's power may be by its class, such as `0.5 %` or `0.005`: replaces what its profile says.
    pub(super) accuracy: Field<Share>,
    /// A BMC over IPMI.
    #[garde(dive)]
    pub(super) ipmi: Field<Ipmi>,
    /// A BMC over Redfish.
    #[garde(dive)]
    pub(super) redfish: Field<Redfish>,
    /// A PDU, UPS or meter over SNMP.
    #[garde(dive)]
    pub(super) snmp: Field<Snmp>,
    /// Energy meters over Modbus TCP and RTU.
    #[garde(dive)]
    pub(super) modbus: Field<Modbus>,
    /// Wattmeters and electricity meters on a serial port.
    #[garde(dive)]
    pub(super) serial: Field<Serial>,
    /// Any reader program that prints lines.
    #[garde(dive)]
    pub(super) command: Field<Command>,
    /// This machine's own sensors: RAPL, hwmon, ACPI, batteries.
    #[garde(dive)]
    pub(super) sysfs: Field<Sysfs>,
    /// JSON meters over HTTP: Shelly, Tasmota and similar.
    #[garde(dive)]
    pub(super) http: Field<Http>,
    /// Series of a Prometheus server or of another exporter.
    #[garde(dive)]
    pub(super) prometheus: Field<Prometheus>,
}

/// A BMC over IPMI.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Ipmi {
    /// `HOST` or `HOST:PORT`; the port is 623 unless given.
    pub(super) address: Field<Endpoint>,
    /// In place of `address`: the kernel's IPMI device on this machine, such as `/dev/ipmi0`. Nobody logs in.
    pub(super) device: Field<FilePath>,
    /// User name, at most 16 bytes; the level `user` is enough on most BMCs.
    pub(super) username: Field<Label>,
    /// File that holds the password, at most 20 bytes.
    pub(super) password_file: Field<FilePath>,
    /// Environment variable that holds the password.
    pub(super) password_env: Field<EnvName>,
    /// File that holds the BMC's own key (K_G), where it has one: text, or `0x` and hexadecimal digits.
    pub(super) bmc_key_file: Field<FilePath>,
    /// Environment variable that holds the BMC's own key (K_G).
    pub(super) bmc_key_env: Field<EnvName>,
    /// Privilege level that is asked for: `auto` (default), which is `user` and, only where the BMC refuses power or sensors
    /// to it, the next that works; or `user`, `operator` or `administrator` and nothing else.
    pub(super) privilege: Field<Privilege>,
    /// How the BMC finds the user: by `name` (default), or by `name_and_privilege` where one name is there several times.
    pub(super) user_lookup: Field<UserLookup>,
    /// Cipher suites that may be used, best first: 17 and 3. Default `[17, 3]`.
    #[garde(custom(some))]
    pub(super) cipher_suites: List<CipherSuite>,
    /// Sessions of IPMI 1.5 that may be used where the BMC has no IPMI 2.0 or none of the cipher suites, best first: `md5`
    /// and `password`. They encrypt nothing, `password` not even the password. Default: none.
    pub(super) allow_ipmi_1_5: List<IpmiLegacy>,
    /// `auto` (default): the total by DCMI where it works, else by the maker's own command, else by a sensor, and every
    /// electrical sensor. `dcmi`: only the total by DCMI, one request a poll. `oem`: only the maker's commands. `sensors`:
    /// only sensors.
    pub(super) readings: Field<IpmiReadings>,
    /// `auto` (default): the session stays open between polls up to 5 minutes apart, kept alive where they are more than 45s
    /// apart. `always`: however far apart. `never`: each poll opens and closes its own.
    pub(super) keep_session: Field<KeepSession>,
    /// What the BMC does against the specification: `inactive_dcmi`, `ignore_scanning_disabled`, `discrete_reading`.
    pub(super) quirks: List<IpmiQuirk>,
    /// Deadline of one try of a request, at most that of the poll. Default 1s, or that of the poll where it is shorter.
    #[garde(custom(between(10, 600_000)))]
    pub(super) timeout: Field<Span>,
    /// How often a request is sent again. Default 2.
    #[garde(range(min = 0, max = 10))]
    pub(super) retries: Field<u32>,
}

/// A BMC over Redfish (HTTPS).
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Redfish {
    /// `https://HOST` or `https://HOST:PORT`, without a path.
    #[schemars(required)]
    pub(super) url: Field<HttpsUrl>,
    /// User name; a read-only account is enough. Without it nobody logs in.
    pub(super) username: Field<Label>,
    /// File that holds the password.
    pub(super) password_file: Field<FilePath>,
    /// Environment variable that holds the password.
    pub(super) password_env: Field<EnvName>,
    /// `session` (default): one session, closed on shutdown. `basic`: the password with every request.
    pub(super) login: Field<Login>,
    /// PEM file with the authorities that may sign the certificate. Default: the public ones.
    pub(super) ca_file: Field<FilePath>,
    /// Instead of `ca_file`: SHA-256 digest of the certificate itself, `sha256:AB:CD:...`.
    pub(super) fingerprint: Field<Fingerprint>,
    /// Deadline of one request, at most that of the poll. Default 3s, or that of the poll where it is shorter.
    #[garde(custom(between(10, 600_000)))]
    pub(super) timeout: Field<Span>,
    /// `auto`: read the metric reports of the BMC's telemetry service, where it has any. Default `off`.
    pub(super) telemetry: Field<Telemetry>,
    /// Keep a stream of metric reports open beside the polls, where the BMC offers one (server-sent events). Default false.
    pub(super) stream: Field<bool>,
}

/// A PDU, UPS or meter over SNMP.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Snmp {
    /// `HOST` or `HOST:PORT`; the port is 161 unless given.
    #[schemars(required)]
    pub(super) address: Field<Endpoint>,
    /// `1`, `2c` or `3`. Default `2c`.
    pub(super) version: Field<Version>,
    /// File that holds the community (versions 1 and 2c).
    pub(super) community_file: Field<FilePath>,
    /// Environment variable that holds the community.
    pub(super) community_env: Field<EnvName>,
    /// User name (version 3).
    pub(super) user: Field<Label>,
    /// Authentication (version 3).
    #[garde(dive)]
    pub(super) auth: Field<SnmpAuth>,
    /// Privacy (version 3); needs `auth`.
    #[garde(dive)]
    pub(super) privacy: Field<SnmpPrivacy>,
    /// Context name (version 3). Default: the default context.
    pub(super) context: Field<Label>,
    /// Profile that reads it, such as `apc-rpdu2`. Default: the device is asked what it is.
    pub(super) profile: Field<Label>,
    /// Deadline of one request, at most that of the poll. Default 1s, or that of the poll where it is shorter.
    #[garde(custom(between(10, 600_000)))]
    pub(super) timeout: Field<Span>,
    /// How often a request is sent again. Default 2.
    #[garde(range(min = 0, max = 10))]
    pub(super) retries: Field<u32>,
    /// Most variables in one request; an agent that takes fewer is noticed. Default 48.
    #[garde(range(min = 1, max = 500))]
    pub(super) max_oids: Field<u32>,
}

/// SNMP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Version {
    #[serde(rename = "1")]
    V1,
    #[serde(rename = "2c")]
    V2c,
    #[serde(rename = "3")]
    V3,
}

/// Both `3` and `"3"` are understood, as both are written.
impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"enum": [1, "1", "2c", 3, "3"]})
    }
}

/// SNMPv3 authentication.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct SnmpAuth {
    /// Hash.
    #[schemars(required)]
    pub(super) protocol: Field<AuthProtocol>,
    /// File that holds the password.
    pub(super) password_file: Field<FilePath>,
    /// Environment variable that holds the password.
    pub(super) password_env: Field<EnvName>,
}

/// SNMPv3 privacy.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct SnmpPrivacy {
    /// Cipher. DES is not supported.
    #[schemars(required)]
    pub(super) protocol: Field<Privacy>,
    /// File that holds the password.
    pub(super) password_file: Field<FilePath>,
    /// Environment variable that holds the password.
    pub(super) password_env: Field<EnvName>,
}

/// Devices that are read when a client asks for them, at `/probe?target=HOST&module=NAME`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Probe {
    /// Whom clients may have read, unless a module says otherwise. Without it /probe is off.
    #[garde(custom(some))]
    pub(super) targets: List<TargetPattern>,
    /// Most probes under way at once, 1 to 10000. Default 100.
    #[garde(range(min = 1, max = 10_000))]
    pub(super) concurrency: Field<u32>,
    /// Ways to read a device.
    #[schemars(required, length(min = 1))]
    #[garde(custom(some), dive)]
    pub(super) modules: List<Module>,
}

/// A way to read a device that a client names: exactly one protocol, without the address.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["http"]}, {"required": ["ipmi"]}, {"required": ["modbus"]}, {"required": ["redfish"]}, {"required": ["snmp"]}]))]
#[garde(allow_unvalidated)]
pub(super) struct Module {
    /// Its name: the `module` parameter.
    #[schemars(required)]
    pub(super) name: Field<Name>,
    /// Deadline of a probe whose client names none, 100 ms to 2 min. Default 10s.
    #[garde(custom(between(100, 120_000)))]
    pub(super) timeout: Field<Span>,
    /// Instead of `probe.targets`, for this module.
    #[garde(custom(some))]
    pub(super) targets: List<TargetPattern>,
    /// A BMC over IPMI, as in `meters`, without `address`.
    #[schemars(schema_with = "without_address::<Ipmi>")]
    #[garde(dive)]
    pub(super) ipmi: Field<Ipmi>,
    /// A BMC over Redfish, as in `meters`, without `url`.
    #[schemars(schema_with = "without_address::<Redfish>")]
    #[garde(dive)]
    pub(super) redfish: Field<Redfish>,
    /// A PDU, UPS or meter over SNMP, as in `meters`, without `address`.
    #[schemars(schema_with = "without_address::<Snmp>")]
    #[garde(dive)]
    pub(super) snmp: Field<Snmp>,
    /// An energy meter over Modbus TCP, as in `meters`, without its address.
    #[schemars(schema_with = "without_address::<Modbus>")]
    #[garde(dive)]
    pub(super) modbus: Field<Modbus>,
    /// A JSON meter over HTTP, as in `meters`, without `url`.
    #[schemars(schema_with = "without_address::<Http>")]
    #[garde(dive)]
    pub(super) http: Field<Http>,
}

/// A protocol of a meter without the keys that say where the meter is.
fn without_address<T: JsonSchema>(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = T::json_schema(generator);
    for key in ["address", "url", "tcp", "rtu", "rtu_over_tcp"] {
        if let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
            properties.remove(key);
        }
        if let Some(required) = schema.get_mut("required").and_then(serde_json::Value::as_array_mut) {
            required.retain(|name| name != key);
        }
    }
    schema
}

/// A physical server, storage node, switch or manager.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Host {
    /// Its name: the `host` label.
    #[schemars(required)]
    pub(super) name: Field<Name>,
    /// Where it stands. May be left out where there is one data centre.
    pub(super) datacenter: Field<Name>,
    /// What it is for. Default `compute`.
    pub(super) component: Field<Component>,
    /// Its rack.
    pub(super) rack: Field<Label>,
    /// Its cluster.
    pub(super) cluster: Field<Label>,
    /// What it draws, in order of preference: the first entry that has a fresh reading counts.
    #[schemars(required, length(min = 1))]
    #[garde(custom(some), dive)]
    pub(super) feeds: List<Feed>,
    /// How long a feed may be silent before the next one counts, 1 s to 1 day and at least the `interval` of its meters.
    /// Default: their `stale_after`.
    #[garde(custom(between(1000, 86_400_000)))]
    pub(super) fallback_after: Field<Span>,
    /// What it draws when nothing runs on it: a power, `learned` (default) or `none`.
    #[garde(custom(host_idle))]
    pub(super) idle_power: Field<IdlePower>,
    /// How its energy is divided. Default: as its data centre says.
    pub(super) model: Field<Model>,
    /// `cluster` divides the energy of all hosts of its cluster over all their VMs, with the model `power-factor-vcores`.
    /// Default: as its data centre says, or `host`.
    pub(super) pool: Field<Pool>,
    /// Meters of its processors and memory, for the model `rapl-weighted`.
    #[garde(dive)]
    pub(super) rapl: Field<Rapl>,
    /// GPUs that are metered by themselves and given to the VMs that have them.
    #[garde(custom(some), dive)]
    pub(super) gpus: List<Gpu>,
    /// What a second of work is: `cpu-time` (default), or `cycles` where every VM's are counted.
    pub(super) weighting: Field<Weighting>,
    /// What a hardware thread does while its sibling is busy too, of what it does alone, 0.5 to 1. Default 1.
    #[garde(range(min = 0.5, max = 1.0))]
    pub(super) smt_factor: Field<f64>,
    /// Allocation ratios of the scheduler.
    #[garde(dive)]
    pub(super) overcommit: Field<Overcommit>,
    /// Who says what runs on it.
    #[garde(dive)]
    pub(super) hypervisor: Field<Hypervisor>,
}

/// Allocation ratios: what the scheduler hands out for each one that is there.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Overcommit {
    /// vCPUs for each logical CPU. Default 1.
    #[garde(range(min = 0.01, max = 1_000.0))]
    pub(super) cpu: Field<f64>,
    /// Guest memory for each byte of memory. Default 1.
    #[garde(range(min = 0.01, max = 1_000.0))]
    pub(super) memory: Field<f64>,
}

/// Who says what runs on a host: `libvirt`, `cgroups`, both of one machine, or `processes`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Hypervisor {
    /// A libvirt daemon.
    #[garde(dive)]
    pub(super) libvirt: Field<Libvirt>,
    /// This machine's control groups; beside `libvirt` all but virtual machines.
    #[garde(dive)]
    pub(super) cgroups: Field<Cgroups>,
    /// This machine's processes, where control groups do not tell who is who.
    #[garde(dive)]
    pub(super) processes: Field<Processes>,
}

/// A libvirt daemon, reached by one of `socket` (default), `tcp` and `tls`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct Libvirt {
    /// The driver's URI at the daemon. Default `qemu:///system`.
    pub(super) uri: Field<Label>,
    /// Unix socket; the read-only one is enough. Default `/run/libvirt/libvirt-sock-ro`.
    pub(super) socket: Field<FilePath>,
    /// Plain TCP, `HOST` or `HOST:PORT` (16509). Only on loopback or a trusted network.
    pub(super) tcp: Field<Endpoint>,
    /// TLS.
    #[garde(dive)]
    pub(super) tls: Field<LibvirtTls>,
    /// From the start of one sample to the start of the next, 50 ms to 1 h. Default `poll.interval`.
    #[garde(custom(between(50, 3_600_000)))]
    pub(super) interval: Field<Span>,
    /// Deadline of one call, at most `interval`. Default 2s, or `interval` where that is shorter.
    #[garde(custom(between(10, 3_600_000)))]
    pub(super) timeout: Field<Span>,
}

/// A libvirt daemon over TLS.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct LibvirtTls {
    /// `HOST` or `HOST:PORT` (16514).
    #[schemars(required)]
    pub(super) endpoint: Field<Endpoint>,
    /// PEM file with the authorities that may sign its certificate.
    #[schemars(required)]
    pub(super) ca_file: Field<FilePath>,
    /// PEM file with our certificate, where the daemon asks for one.
    pub(super) cert_file: Field<FilePath>,
    /// PEM file with its key.
    pub(super) key_file: Field<FilePath>,
}
