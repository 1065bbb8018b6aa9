//! From configuration to plan. Pure: nothing is opened, and whatever could be wrong was found by `config`. Long, since
//! it holds the plan's types and the settings of the three drivers of BMCs and PDUs; those of the others stand in `plan/`.

mod command;
mod feeds;
mod http;
mod modbus;
mod model;
mod prometheus;
mod serial;
mod services;
mod sysfs;
mod tenants;
mod workloads;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Config};
use crate::drivers::{self, Kind, ipmi, redfish, snmp};
use crate::inventory::{EmissionFactor, FacilityPoint, Host, Idle, Inventory, Price};
use crate::model::{ChannelId, MeterId, Pattern};
use crate::poller::Timing;
use crate::store::MeterSettings;
use crate::workloads::{SourceIndex, SourceSettings, cgroup, libvirt, process};

/// A hypervisor is down after this many intervals without a sample.
const STALE_INTERVALS: u32 = 3;
/// A sample of a hypervisor may take this many calls' time: the usual one, and those that find a guest that hangs.
const CALLS_PER_SAMPLE: u32 = 3;
/// BMCs drop a session that was silent for a minute: polls that are this near keep it by themselves.
const IPMI_NEAR: Duration = Duration::from_secs(45);
/// Opening and closing a session takes seven exchanges, keeping it alive one every 40 s: polls further apart than this are
/// cheaper with a session of their own, and so are those in which nobody else could use its place.
const IPMI_FAR: Duration = Duration::from_secs(300);

/// How a meter is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum DriverPlan {
    /// Over IPMI.
    Ipmi(Arc<ipmi::Settings>),
    /// Over IPMI, by the kernel's device of this path.
    IpmiInBand(PathBuf, ipmi::Settings),
    /// Over Redfish.
    Redfish(redfish::Settings),
    /// Over SNMP.
    Snmp(snmp::Settings),
    /// Energy meters over Modbus TCP and RTU.
    Modbus(drivers::modbus::Settings),
    /// Wattmeters and electricity meters on a serial port.
    Serial(drivers::serial::Settings),
    /// Any reader program that prints lines.
    Command(drivers::command::Settings),
    /// This machine's own sensors: RAPL, hwmon, ACPI, batteries.
    Sysfs(drivers::sysfs::Settings),
    /// JSON meters over HTTP: Shelly, Tasmota and similar.
    Http(drivers::http::Settings),
    /// Series of a Prometheus server or of another exporter.
    Prometheus(drivers::prometheus::Settings),
}

/// A meter to poll.
#[derive(Debug, Clone)]
pub struct MeterPlan {
    /// Where it is defined, `FILE:LINE`.
    pub defined: String,
    /// What the store needs.
    pub settings: MeterSettings,
    /// When and how long.
    pub timing: Timing,
    /// How it is reached.
    pub driver: DriverPlan,
}

impl MeterPlan {
    /// Whether it is polled as `other` is; where it is defined does not matter.
    #[must_use]
    pub fn runs_as(&self, other: &Self) -> bool {
        let Self { defined: _, settings, timing, driver } = self;
        *settings == other.settings && *timing == other.timing && *driver == other.driver
    }
}

/// A hypervisor to sample.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// Where its host is defined, `FILE:LINE`.
    pub defined: String,
    /// What the usage log needs.
    pub settings: SourceSettings,
    /// When and how long.
    pub timing: Timing,
    /// How it is reached.
    pub reached: Reached,
}

impl SourcePlan {
    /// Whether it is sampled as `other` is; where it is defined does not matter.
    #[must_use]
    pub fn runs_as(&self, other: &Self) -> bool {
        let Self { defined: _, settings, timing, reached } = self;
        *settings == other.settings && *timing == other.timing && *reached == other.reached
    }
}

/// How the workloads of a host are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// By libvirt.
    Libvirt(libvirt::Settings),
    /// By this machine's control groups.
    Cgroups(cgroup::Settings),
    /// Machines by libvirt, all else by control groups.
    Both(libvirt::Settings, cgroup::Settings),
    /// By this machine's processes.
    Processes(process::Settings),
}

/// A way to read devices that clients name.
#[derive(Debug, Clone)]
pub struct ModulePlan {
    /// The value of the `module` parameter.
    pub name: String,
    /// Where it is defined, `FILE:LINE`.
    pub defined: String,
    /// Deadline of a probe whose client names none.
    pub timeout: Duration,
    /// Whom clients may have read.
    pub targets: Vec<Pattern>,
    /// Value of the `driver` label.
    pub kind: &'static str,
    /// How a device is reached, but for its address.
    pub driver: DriverPlan,
}

/// What clients may have read.
#[derive(Debug, Clone)]
pub struct ProbePlan {
    /// Most probes under way at once.
    pub concurrency: usize,
    /// The ways to read a device, in configuration order.
    pub modules: Vec<ModulePlan>,
}

/// Everything that may run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Meters, in configuration order.
    pub meters: Vec<MeterPlan>,
    /// Hypervisors, in the order of their hosts.
    pub sources: Vec<SourcePlan>,
    /// The source of each host of the inventory, in its order.
    pub host_sources: Vec<Option<SourceIndex>>,
    /// The real world.
    pub inventory: Inventory,
    /// What clients may have read; none where that is off.
    pub probe: Option<ProbePlan>,
    /// Where each channel is named that a host or facility point needs, `FILE:LINE`.
    pub named: HashMap<(MeterId, ChannelId), String>,
}

/// Plans what `config` asks for.
#[must_use]
pub fn plan(config: &Config) -> Plan {
    let mut sources = Vec::new();
    let host_sources = config
        .hosts
        .iter()
        .map(|host| {
            let source = workloads::source(host, host.hypervisor.as_ref()?);
            sources.push(source);
            Some(SourceIndex(sources.len() - 1))
        })
        .collect();
    Plan {
        meters: config.meters.iter().map(meter).collect(),
        sources,
        host_sources,
        inventory: inventory(config),
        probe: config.probe.as_ref().map(probe),
        named: config
            .channels
            .iter()
            .map(|(c, place)| ((c.meter.clone(), c.channel.clone()), place.to_string()))
            .collect(),
    }
}

/// How a device is reached, the kind of its driver, and its address for people.
fn device(device: &config::Device, poll: &config::Poll) -> (DriverPlan, Kind, String) {
    match device {
        config::Device::Ipmi(i) => (DriverPlan::Ipmi(Arc::new(ipmi(i, poll))), ipmi::KIND, i.address.clone()),
        config::Device::IpmiInBand(i) => {
            let driver = DriverPlan::IpmiInBand(i.device.clone(), in_band(i, poll));
            (driver, ipmi::KIND, i.device.display().to_string())
        }
        config::Device::Redfish(r) => (DriverPlan::Redfish(redfish(r)), redfish::KIND, r.url.clone()),
        config::Device::Snmp(s) => (DriverPlan::Snmp(snmp(s)), snmp::KIND, s.address.clone()),
        config::Device::Modbus(of) => {
            let (settings, address) = modbus::settings(of, poll);
            (DriverPlan::Modbus(settings), drivers::modbus::KIND, address)
        }
        config::Device::Serial(of) => {
            let (settings, address) = serial::settings(of, poll);
            (DriverPlan::Serial(settings), drivers::serial::KIND, address)
        }
        config::Device::Command(of) => {
            let (settings, address) = command::settings(of, poll);
            (DriverPlan::Command(settings), drivers::command::KIND, address)
        }
        config::Device::Sysfs(of) => {
            let (settings, address) = sysfs::settings(of, poll);
            (DriverPlan::Sysfs(settings), drivers::sysfs::KIND, address)
        }
        config::Device::Http(of) => {
            let (settings, address) = http::settings(of, poll);
            (DriverPlan::Http(settings), drivers::http::KIND, address)
        }
        config::Device::Prometheus(of) => {
            let (settings, address) = prometheus::settings(of, poll);
            (DriverPlan::Prometheus(settings), drivers::prometheus::KIND, address)
        }
    }
}

fn probe(probe: &config::Probe) -> ProbePlan {
    let module = |module: &config::Module| {
        let t = module.timeout;
        let poll = config::Poll { interval: t, timeout: t, stale_after: t, max_gap: t };
        let (driver, kind, _) = device(&module.device, &poll);
        ModulePlan {
            name: module.name.clone(),
            defined: module.place.to_string(),
            timeout: t,
            targets: module.targets.clone(),
            kind: kind.name,
            driver,
        }
    };
    ProbePlan {
        concurrency: usize::try_from(probe.concurrency).unwrap_or(usize::MAX),
        modules: probe.modules.iter().map(module).collect(),
    }
}

fn meter(meter: &config::Meter) -> MeterPlan {
    let (driver, kind, address) = device(&meter.device, &meter.poll);
    MeterPlan {
        defined: meter.place.to_string(),
        settings: MeterSettings {
            id: meter.id.clone(),
            datacenter: meter.datacenter.clone(),
            driver: kind.name,
            address,
            accuracy: meter.accuracy,
            stale_after: meter.poll.stale_after,
            max_gap: meter.poll.max_gap,
        },
        timing: Timing { interval: meter.poll.interval, deadline: meter.poll.timeout },
        driver,
    }
}

fn ipmi(i: &config::Ipmi, poll: &config::Poll) -> ipmi::Settings {
    ipmi::Settings {
        address: i.address.clone(),
        user: i.username.clone(),
        password: i.password.value.clone(),
        bmc_key: i.bmc_key.as_ref().map(|key| key.value.clone()),
        privilege: match i.privilege {
            config::Privilege::Auto => ipmi::Privilege::Auto,
            config::Privilege::User => ipmi::Privilege::User,
            config::Privilege::Operator => ipmi::Privilege::Operator,
            config::Privilege::Administrator => ipmi::Privilege::Administrator,
        },
        lookup: match i.user_lookup {
            config::UserLookup::Name => ipmi::Lookup::Name,
            config::UserLookup::NameAndPrivilege => ipmi::Lookup::NameAndPrivilege,
        },
        suites: i.cipher_suites.iter().map(|suite| cipher_suite(*suite)).collect(),
        legacy: i.allow_ipmi_1_5.iter().map(|how| legacy(*how)).collect(),
        readings: readings(i.readings),
        quirks: i.quirks.iter().map(|quirk| ipmi_quirk(*quirk)).collect(),
        request_timeout: i.request_timeout,
        retries: i.retries,
        // Half of the deadline: the other half is for reading what was learned.
        learning: poll.timeout / 2,
        keep_session: keep_session(i.keep_session, poll.interval),
    }
}

fn in_band(i: &config::IpmiInBand, poll: &config::Poll) -> ipmi::Settings {
    let readings = readings(i.readings);
    ipmi::Settings {
        quirks: i.quirks.iter().map(|quirk| ipmi_quirk(*quirk)).collect(),
        ..ipmi::Settings::in_band(&i.device, readings, i.request_timeout, poll.timeout / 2)
    }
}

const fn readings(readings: config::IpmiReadings) -> ipmi::Readings {
    match readings {
        config::IpmiReadings::Auto => ipmi::Readings::Auto,
        config::IpmiReadings::Dcmi => ipmi::Readings::Dcmi,
        config::IpmiReadings::Oem => ipmi::Readings::Oem,
        config::IpmiReadings::Sensors => ipmi::Readings::Sensors,
    }
}

fn keep_session(wanted: config::KeepSession, interval: Duration) -> ipmi::KeepSession {
    match wanted {
        config::KeepSession::Never => ipmi::KeepSession::No,
        config::KeepSession::Auto | config::KeepSession::Always if interval <= IPMI_NEAR => {
            ipmi::KeepSession::ByPolls
        }
        config::KeepSession::Auto if interval > IPMI_FAR => ipmi::KeepSession::No,
        config::KeepSession::Auto | config::KeepSession::Always => ipmi::KeepSession::ByKeepAlive,
    }
}

const fn ipmi_quirk(quirk: config::IpmiQuirk) -> ipmi::Quirk {
    match quirk {
        config::IpmiQuirk::InactiveDcmi => ipmi::Quirk::InactiveDcmi,
        config::IpmiQuirk::IgnoreScanningDisabled => ipmi::Quirk::IgnoreScanningDisabled,
        config::IpmiQuirk::DiscreteReading => ipmi::Quirk::DiscreteReading,
    }
}

const fn cipher_suite(suite: config::CipherSuite) -> ipmi::Suite {
    match suite {
        config::CipherSuite::Three => ipmi::Suite::Sha1,
        config::CipherSuite::Seventeen => ipmi::Suite::Sha256,
    }
}

const fn legacy(how: config::IpmiLegacy) -> ipmi::Authentication {
    match how {
        config::IpmiLegacy::Md5 => ipmi::Authentication::Md5,
        config::IpmiLegacy::Password => ipmi::Authentication::Password,
    }
}

fn redfish(r: &config::Redfish) -> redfish::Settings {
    redfish::Settings {
        url: r.url.clone(),
        credentials: r.credentials.as_ref().map(|(user, secret)| (user.clone(), secret.value.clone())),
        login: match r.login {
            config::Login::Session => redfish::Login::Session,
            config::Login::Basic => redfish::Login::Basic,
        },
        trust: match &r.trust {
            config::Trust::WebPki => redfish::Trust::WebPki,
            config::Trust::CaFile(path) => redfish::Trust::CaFile(path.clone()),
            config::Trust::Fingerprint(digest) => redfish::Trust::Fingerprint(*digest),
        },
        request_timeout: r.request_timeout,
        telemetry: match r.telemetry {
            config::Telemetry::Off => false,
            config::Telemetry::Auto => true,
        },
        stream: r.stream,
    }
}

fn snmp(s: &config::Snmp) -> snmp::Settings {
    snmp::Settings {
        address: s.address.clone(),
        auth: match &s.auth {
            config::SnmpAuth::V1(community) => snmp::Auth::V1(community.value.clone()),
            config::SnmpAuth::V2c(community) => snmp::Auth::V2c(community.value.clone()),
            config::SnmpAuth::V3 { user, auth, privacy, context } => snmp::Auth::V3 {
                user: user.clone(),
                auth: auth
                    .as_ref()
                    .map(|(protocol, secret)| (auth_protocol(*protocol), secret.value.clone())),
                privacy: privacy
                    .as_ref()
                    .map(|(protocol, secret)| (privacy_protocol(*protocol), secret.value.clone())),
                context: context.clone(),
            },
        },
        profile: s.profile.clone(),
        request_timeout: s.request_timeout,
        retries: s.retries,
        max_oids: usize::try_from(s.max_oids).unwrap_or(usize::MAX),
    }
}

const fn auth_protocol(protocol: config::AuthProtocol) -> snmp::AuthProtocol {
    match protocol {
        config::AuthProtocol::Md5 => snmp::AuthProtocol::Md5,
        config::AuthProtocol::Sha => snmp::AuthProtocol::Sha,
        config::AuthProtocol::Sha224 => snmp::AuthProtocol::Sha224,
        config::AuthProtocol::Sha256 => snmp::AuthProtocol::Sha256,
        config::AuthProtocol::Sha384 => snmp::AuthProtocol::Sha384,
        config::AuthProtocol::Sha512 => snmp::AuthProtocol::Sha512,
    }
}

const fn privacy_protocol(protocol: config::PrivacyProtocol) -> snmp::PrivacyProtocol {
    match protocol {
        config::PrivacyProtocol::Aes128 => snmp::PrivacyProtocol::Aes128,
        config::PrivacyProtocol::Aes192 => snmp::PrivacyProtocol::Aes192,
        config::PrivacyProtocol::Aes256 => snmp::PrivacyProtocol::Aes256,
    }
}

fn inventory(config: &Config) -> Inventory {
    let of_each = || config.datacenters.iter().map(|d| (&d.id, d));
    let factors = of_each().flat_map(|(id, d)| {
        d.emission_factors.iter().map(|f| EmissionFactor {
            datacenter: id.clone(),
            basis: f.basis,
            source: f.source.clone(),
            tier: f.tier.clone(),
            value: f.value,
        })
    });
    let prices = of_each().filter_map(|(id, d)| {
        let price = d.price.as_ref()?;
        Some(Price {
            datacenter: id.clone(),
            currency: price.currency.clone(),
            per_kilowatt_hour: price.per_kilowatt_hour,
        })
    });
    let facility = of_each().flat_map(|(id, d)| {
        d.facility.iter().map(|(point, list)| FacilityPoint {
            datacenter: id.clone(),
            point: *point,
            channels: channels(list),
        })
    });
    Inventory {
        hosts: config.hosts.iter().map(|h| model::divide(host(h), h, config)).collect(),
        facility: facility.collect(),
        factors: factors.collect(),
        prices: prices.collect(),
        tenants: tenants::tenants(&config.tenants),
        services: services::services(config),
    }
}

fn host(h: &config::Host) -> Host {
    Host {
        component: h.component,
        cluster: h.cluster.clone(),
        rack: h.rack.clone(),
        feeds: h.feeds.iter().map(feeds::feed).collect(),
        fallback_after: h.fallback_after,
        idle: match h.idle {
            config::Idle::Power(power) => Idle::Fixed(power),
            config::Idle::Learned => Idle::Learned,
            config::Idle::None => Idle::None,
        },
        cpu_overcommit: h.overcommit.cpu,
        memory_overcommit: h.overcommit.memory,
        ..Host::new(h.id.clone(), h.datacenter.clone())
    }
}

fn channels(list: &[config::ChannelRef]) -> Vec<(MeterId, ChannelId)> {
    list.iter().map(|c| (c.meter.clone(), c.channel.clone())).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
