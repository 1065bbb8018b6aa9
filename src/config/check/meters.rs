//! Meters: one protocol each, times that fit together, and credentials that are complete.

use std::path::Path;
use std::time::Duration;

use humantime::format_duration;

use super::datacenters::label;
use super::{Check, entries};
use crate::config::field::Field;
use crate::config::files::Pem;
use crate::config::leaf::{
    Endpoint, EnvName, FilePath, Fingerprint, HttpsUrl, Label, Name, Privacy, Share, Span,
};
use crate::config::load::{Documents, Part};
use crate::config::problem::Mark;
use crate::config::schema::{self, Version};
use crate::config::types::{Device, Meter, Poll, Redfish, Secret, Snmp, SnmpAuth, Trust};
use crate::model::MeterId;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_REDFISH_TIMEOUT: Duration = Duration::from_secs(3);
const DEFAULT_SNMP_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_SNMP_PORT: u16 = 161;
pub(super) const DEFAULT_RETRIES: u32 = 2;
const DEFAULT_MAX_OIDS: u32 = 48;

/// What `poll` says for all meters.
#[derive(Debug)]
pub(super) struct Defaults {
    pub(super) interval: Duration,
    timeout: Duration,
    stale_after: Option<Duration>,
    max_gap: Option<Duration>,
}

/// The four times of a meter or of `poll`, as the file says them.
struct Times<'a> {
    interval: &'a Field<Span>,
    timeout: &'a Field<Span>,
    stale_after: &'a Field<Span>,
    max_gap: &'a Field<Span>,
}

/// Reads `poll`, and checks that its times fit together.
pub(super) fn defaults(check: &Check<'_>, poll: &Field<schema::Poll>) -> Defaults {
    let mut defaults =
        Defaults { interval: DEFAULT_INTERVAL, timeout: DEFAULT_TIMEOUT, stale_after: None, max_gap: None };
    let Some((raw, at)) = poll.located() else { return defaults };
    let times = Times {
        interval: &raw.interval,
        timeout: &raw.timeout,
        stale_after: &raw.stale_after,
        max_gap: &raw.max_gap,
    };
    let poll = check.poll(&times, &defaults, at);
    defaults.interval = poll.interval;
    defaults.timeout = check.span(&raw.timeout).map_or(DEFAULT_TIMEOUT, |_| poll.timeout);
    defaults.stale_after = check.span(&raw.stale_after).map(|_| poll.stale_after);
    defaults.max_gap = check.span(&raw.max_gap).map(|_| poll.max_gap);
    defaults
}

impl Check<'_> {
    /// Names every meter first, so that references in any file find it, then checks those of `part`.
    pub(super) fn name_meters(&mut self, documents: &Documents) {
        for (raw, at, _) in entries(documents, |part| &part.meters) {
            let datacenter = self.datacenter_of(&raw.datacenter, at);
            let Some((Name(name), at)) = raw.name.located() else { continue };
            let Ok(id) = MeterId::new(name) else { continue };
            match self.meters.get(&id) {
                Some((first, _)) => self.twice(at, name, *first),
                None => {
                    self.meters.insert(id, (at, datacenter));
                }
            }
        }
    }

    /// Checks the meters of one file.
    pub(super) fn part_meters(&mut self, part: &Part, defaults: &Defaults) -> Vec<Meter> {
        part.meters.items().filter_map(|(raw, at)| self.meter(raw, at, &part.folder, defaults)).collect()
    }

    fn meter(&mut self, raw: &schema::Meter, at: Mark, folder: &Path, defaults: &Defaults) -> Option<Meter> {
        let name = self.need(&raw.name, at, "name", "give the meter a name");
        let id = name.and_then(|Name(name)| MeterId::new(name).ok());
        let times = Times {
            interval: &raw.interval,
            timeout: &raw.timeout,
            stale_after: &raw.stale_after,
            max_gap: &raw.max_gap,
        };
        let poll = self.poll(&times, defaults, at);
        let device = self.device(raw, at, folder, poll.timeout);
        let (_, datacenter) = self.meters.get(&id.clone()?)?;
        let place = self.problems.borrow().place(at);
        let accuracy = raw.accuracy.get().map(|Share(accuracy)| *accuracy);
        Some(Meter { id: id?, place, datacenter: datacenter.clone()?, poll, accuracy, device: device? })
    }

    /// Fills in defaults and checks that the times fit together. A default deadline is cut to a shorter interval.
    fn poll(&self, times: &Times<'_>, defaults: &Defaults, at: Mark) -> Poll {
        let own = self.span(times.interval);
        let (interval, interval_at) = own.unwrap_or((defaults.interval, at));
        let timeout = match self.span(times.timeout) {
            Some((timeout, at)) => {
                self.at_most(("timeout", timeout, at), ("`interval`", interval));
                timeout
            }
            None => defaults.timeout.min(interval),
        };
        let at_least = |key: &str, field: &Field<Span>, default: Option<Duration>| {
            let (value, at) = self.span(field).or(default.map(|value| (value, interval_at)))?;
            if value < interval {
                let (value, least) = (format_duration(value), format_duration(interval));
                let what = format!("`{key}` is {value}, shorter than `interval`, {least}");
                self.error(at, what, format!("set `{key}` to {least} or more"));
            }
            Some(value)
        };
        let stale_after = at_least("stale_after", times.stale_after, defaults.stale_after);
        let max_gap = at_least("max_gap", times.max_gap, defaults.max_gap);
        let usual = interval.saturating_mul(3);
        Poll {
            interval,
            timeout,
            stale_after: stale_after.unwrap_or(usual),
            max_gap: max_gap.unwrap_or(usual),
        }
    }

    /// Checks that one time is at most another.
    pub(super) fn at_most(&self, (key, value, at): (&str, Duration, Mark), (other, most): (&str, Duration)) {
        if value > most {
            let (value, most) = (format_duration(value), format_duration(most));
            let what = format!("`{key}` is {value}, longer than {other}, {most}");
            self.error(at, what, format!("set it to {most} or less"));
        }
    }

    /// A deadline within another one: what the file says, or the default cut to fit.
    pub(super) fn deadline(
        &self,
        field: &Field<Span>,
        default: Duration,
        outer: (&str, Duration),
    ) -> Duration {
        let Some((value, at)) = self.span(field) else { return default.min(outer.1) };
        self.at_most(("timeout", value, at), outer);
        value
    }

    /// The one protocol of a meter.
    pub(super) fn device(
        &mut self,
        raw: &schema::Meter,
        at: Mark,
        folder: &Path,
        timeout: Duration,
    ) -> Option<Device> {
        let protocols = [
            ("command", raw.command.is_absent()),
            ("http", raw.http.is_absent()),
            ("ipmi", raw.ipmi.is_absent()),
            ("modbus", raw.modbus.is_absent()),
            ("prometheus", raw.prometheus.is_absent()),
            ("redfish", raw.redfish.is_absent()),
            ("serial", raw.serial.is_absent()),
            ("snmp", raw.snmp.is_absent()),
            ("sysfs", raw.sysfs.is_absent()),
        ];
        let given: Vec<&str> =
            protocols.iter().filter(|(_, absent)| !absent).map(|(name, _)| *name).collect();
        match given.as_slice() {
            [] => {
                self.error(
                    at,
                    "no protocol is given",
                    format!("add one of {}", quoted(protocols.iter().map(|(name, _)| *name))),
                );
                None
            }
            [_] => {
                macro_rules! of {
                    ($key:ident, $kind:expr) => {
                        raw.$key
                            .located()
                            .and_then(|(one, at)| self.$key(one, at, folder, timeout))
                            .map($kind)
                    };
                }
                of!(ipmi, |device| device)
                    .or_else(|| of!(command, Device::Command))
                    .or_else(|| of!(http, Device::Http))
                    .or_else(|| of!(modbus, Device::Modbus))
                    .or_else(|| of!(prometheus, Device::Prometheus))
                    .or_else(|| of!(redfish, Device::Redfish))
                    .or_else(|| of!(serial, Device::Serial))
                    .or_else(|| of!(snmp, Device::Snmp))
                    .or_else(|| of!(sysfs, Device::Sysfs))
            }
            [first, second] => {
                let what = format!("both `{first}` and `{second}` are given");
                self.error(at, what, "keep one; define a second meter for the other");
                None
            }
            [_, _, ..] => {
                let what = format!("`{}` are all given", given.join("`, `"));
                self.error(at, what, "keep one; define further meters for the others");
                None
            }
        }
    }

    fn redfish(
        &mut self,
        raw: &schema::Redfish,
        at: Mark,
        folder: &Path,
        timeout: Duration,
    ) -> Option<Redfish> {
        let url = self.need(&raw.url, at, "url", "write the address of the BMC, such as https://10.0.0.1");
        let keys = (&raw.password_file, &raw.password_env);
        let credentials = self.credentials(&raw.username, keys, at, folder);
        let trust = self.trust(&raw.ca_file, &raw.fingerprint, folder);
        let outer = ("the poll's `timeout`", timeout);
        let request_timeout = self.deadline(&raw.timeout, DEFAULT_REDFISH_TIMEOUT, outer);
        let login = raw.login.get().copied().unwrap_or_default();
        let HttpsUrl(url) = url?;
        let telemetry = raw.telemetry.get().copied().unwrap_or_default();
        let stream = raw.stream.get().copied().unwrap_or_default();
        Some(Redfish {
            url: url.clone(),
            credentials,
            login,
            trust: trust?,
            request_timeout,
            telemetry,
            stream,
        })
    }

    /// User and password, of which neither stands alone; none where there are none, or one is wrong.
    pub(super) fn credentials(
        &mut self,
        username: &Field<Label>,
        (file, variable): (&Field<FilePath>, &Field<EnvName>),
        at: Mark,
        folder: &Path,
    ) -> Option<(String, Secret)> {
        let no_password = file.is_absent() && variable.is_absent();
        match username {
            Field::Absent if no_password => None,
            Field::Absent => {
                self.error(at, "a password without `username`", "add `username`");
                None
            }
            Field::Bad => None,
            Field::Is(Label(user), _) => {
                let secret = self.needed_secret(folder, "password", (file, variable), at);
                secret.map(|secret| (user.clone(), secret))
            }
        }
    }

    /// How a certificate is trusted.
    pub(super) fn trust(
        &mut self,
        ca_file: &Field<FilePath>,
        fingerprint: &Field<Fingerprint>,
        folder: &Path,
    ) -> Option<Trust> {
        match (ca_file, fingerprint) {
            (Field::Absent, Field::Absent) => Some(Trust::WebPki),
            (Field::Is(path, at), Field::Absent) => {
                self.pem(folder, "ca_file", path, *at, Pem::Certificates).map(Trust::CaFile)
            }
            (Field::Absent, Field::Is(Fingerprint(digest), _)) => Some(Trust::Fingerprint(*digest)),
            (Field::Is(_, at), Field::Is(..) | Field::Bad) => {
                self.error(*at, "both `ca_file` and `fingerprint` are given", "keep one of the two");
                None
            }
            (Field::Bad, _) | (_, Field::Bad) => None,
        }
    }

    fn snmp(&mut self, raw: &schema::Snmp, at: Mark, folder: &Path, timeout: Duration) -> Option<Snmp> {
        let address =
            self.need(&raw.address, at, "address", "write the address of the device, such as 10.0.0.9");
        let auth = match raw.version {
            Field::Absent | Field::Is(Version::V2c, _) => self.community(raw, at, folder).map(SnmpAuth::V2c),
            Field::Is(Version::V1, _) => self.community(raw, at, folder).map(SnmpAuth::V1),
            Field::Is(Version::V3, _) => self.user_security(raw, at, folder),
            Field::Bad => None,
        };
        let outer = ("the poll's `timeout`", timeout);
        let request_timeout = self.deadline(&raw.timeout, DEFAULT_SNMP_TIMEOUT, outer);
        let Endpoint((host, port)) = address?;
        Some(Snmp {
            address: format!("{host}:{}", port.unwrap_or(DEFAULT_SNMP_PORT)),
            auth: auth?,
            profile: raw.profile.get().map(|Label(profile)| profile.clone()),
            request_timeout,
            retries: raw.retries.get().copied().unwrap_or(DEFAULT_RETRIES),
            max_oids: raw.max_oids.get().copied().unwrap_or(DEFAULT_MAX_OIDS),
        })
    }

    fn community(&mut self, raw: &schema::Snmp, at: Mark, folder: &Path) -> Option<Secret> {
        let foreign = [
            ("user", raw.user.is_absent()),
            ("auth", raw.auth.is_absent()),
            ("privacy", raw.privacy.is_absent()),
            ("context", raw.context.is_absent()),
        ];
        self.refuse(&foreign, at, "version 3 only", "add `version: 3`, or remove it");
        self.needed_secret(folder, "community", (&raw.community_file, &raw.community_env), at)
    }

    /// Says of every key that is there that it belongs elsewhere.
    pub(super) fn refuse(&self, keys: &[(&str, bool)], at: Mark, belongs: &str, fix: &str) {
        for (key, _) in keys.iter().filter(|(_, absent)| !absent) {
            self.error(at, format!("`{key}` is for {belongs}"), fix);
        }
    }

    fn user_security(&mut self, raw: &schema::Snmp, at: Mark, folder: &Path) -> Option<SnmpAuth> {
        let foreign = [
            ("community_file", raw.community_file.is_absent()),
            ("community_env", raw.community_env.is_absent()),
        ];
        self.refuse(
            &foreign,
            at,
            "versions 1 and 2c only",
            "remove it; version 3 uses `user`, `auth` and `privacy`",
        );
        let user = self.need(&raw.user, at, "user", "version 3 needs the name of a user");
        let auth = raw.auth.located().map(|(auth, at)| {
            let protocol =
                self.need(&auth.protocol, at, "protocol", "write md5, sha, sha224, sha256, sha384 or sha512");
            let secret =
                self.needed_secret(folder, "password", (&auth.password_file, &auth.password_env), at);
            Some((*protocol?, secret?))
        });
        let privacy = raw.privacy.located().map(|(privacy, at)| {
            if raw.auth.is_absent() {
                self.error(
                    at,
                    "`privacy` without `auth`",
                    "add `auth`; SNMP encrypts only what is authenticated",
                );
            }
            let protocol = self.need(&privacy.protocol, at, "protocol", "write aes128, aes192 or aes256");
            let secret =
                self.needed_secret(folder, "password", (&privacy.password_file, &privacy.password_env), at);
            let (Privacy(protocol), secret) = (protocol?, secret?);
            Some((*protocol, secret))
        });
        let Label(user) = user?;
        let context = label(&raw.context);
        // A broken part has been reported: leaving it out would be a weaker login than the file asks for.
        Some(SnmpAuth::V3 { user: user.clone(), auth: whole(auth)?, privacy: whole(privacy)?, context })
    }
}

/// Names for people: `` `a`, `b` ``.
fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What is absent is fine, what is broken is not.
fn whole<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        None => Some(None),
        Some(inner) => inner.map(Some),
    }
}
