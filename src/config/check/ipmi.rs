//! BMCs over IPMI: over the network, or the machine's own.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::Check;
use super::meters::DEFAULT_RETRIES;
use crate::config::field::Field;
use crate::config::leaf::{Endpoint, FilePath, Label};
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::{self, Device, Ipmi, IpmiInBand, Secret};

const DEFAULT_IPMI_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_IPMI_PORT: u16 = 623;
/// Most bytes of a user name and of a password that IPMI 2.0 has room for, and of a password of IPMI 1.5.
const MAX_IPMI_USER: usize = 16;
const MAX_IPMI_SECRET: usize = 20;
const MAX_IPMI_LEGACY_SECRET: usize = 16;

impl Check<'_> {
    pub(super) fn ipmi(
        &mut self,
        raw: &schema::Ipmi,
        at: Mark,
        folder: &Path,
        timeout: Duration,
    ) -> Option<Device> {
        if raw.device.is_absent() {
            self.ipmi_over_lan(raw, at, folder, timeout).map(Device::Ipmi)
        } else {
            self.ipmi_in_band(raw, at, folder, timeout).map(Device::IpmiInBand)
        }
    }

    fn ipmi_in_band(
        &mut self,
        raw: &schema::Ipmi,
        at: Mark,
        folder: &Path,
        timeout: Duration,
    ) -> Option<IpmiInBand> {
        let foreign = [
            ("address", raw.address.is_absent()),
            ("username", raw.username.is_absent()),
            ("password_file", raw.password_file.is_absent()),
            ("password_env", raw.password_env.is_absent()),
            ("bmc_key_file", raw.bmc_key_file.is_absent()),
            ("bmc_key_env", raw.bmc_key_env.is_absent()),
            ("privilege", raw.privilege.is_absent()),
            ("user_lookup", raw.user_lookup.is_absent()),
            ("cipher_suites", raw.cipher_suites.is_absent()),
            ("allow_ipmi_1_5", raw.allow_ipmi_1_5.is_absent()),
            ("keep_session", raw.keep_session.is_absent()),
            ("retries", raw.retries.is_absent()),
        ];
        self.refuse(&foreign, at, "BMCs over the network only", "remove it, or `device`");
        let request_timeout =
            self.deadline(&raw.timeout, DEFAULT_IPMI_TIMEOUT, ("the poll's `timeout`", timeout));
        let (FilePath(device), place) = raw.device.located()?;
        let device = folder.join(device);
        self.bmcs.push((device.display().to_string(), place));
        Some(IpmiInBand {
            device,
            readings: raw.readings.get().copied().unwrap_or_default(),
            quirks: raw.quirks.items().map(|(quirk, _)| *quirk).collect(),
            request_timeout,
        })
    }

    fn ipmi_over_lan(
        &mut self,
        raw: &schema::Ipmi,
        at: Mark,
        folder: &Path,
        timeout: Duration,
    ) -> Option<Ipmi> {
        let address =
            self.need(&raw.address, at, "address", "write the address of the BMC, such as 10.0.0.1");
        let username = self.need(&raw.username, at, "username", "IPMI needs the name of a user");
        let username = username.filter(|Label(name)| {
            let fits = name.len() <= MAX_IPMI_USER;
            if !fits {
                let place = raw.username.located().map_or(at, |(_, place)| place);
                self.error(
                    place,
                    "`username` is longer than 16 bytes",
                    "choose one that IPMI 2.0 has room for",
                );
            }
            fits
        });
        let password = self.needed_secret(folder, "password", (&raw.password_file, &raw.password_env), at);
        let password = password.and_then(|secret| self.ipmi_secret(secret, "password", at));
        let allow_ipmi_1_5: Vec<_> = raw.allow_ipmi_1_5.items().map(|(how, _)| *how).collect();
        let password = password.filter(|secret| {
            let fits = allow_ipmi_1_5.is_empty()
                || secret.value.expose_secret().len() <= MAX_IPMI_LEGACY_SECRET;
            if !fits {
                let fix = "shorten it on the BMC and here: IPMI 1.5, which `allow_ipmi_1_5` allows, has room for 16 bytes";
                self.error(at, "the `password` is longer than 16 bytes", fix);
            }
            fits
        });
        let keyed = !raw.bmc_key_file.is_absent() || !raw.bmc_key_env.is_absent();
        let bmc_key = self.secret(folder, "bmc_key", &raw.bmc_key_file, &raw.bmc_key_env);
        // A broken key has been reported: leaving it out would be another login than the file asks for.
        let bmc_key = if keyed { Some(self.ipmi_secret(bmc_key?, "bmc_key", at)?) } else { None };
        let outer = ("the poll's `timeout`", timeout);
        let request_timeout = self.deadline(&raw.timeout, DEFAULT_IPMI_TIMEOUT, outer);
        let cipher_suites = match &raw.cipher_suites {
            Field::Absent => vec![types::CipherSuite::Seventeen, types::CipherSuite::Three],
            Field::Bad | Field::Is(..) => raw.cipher_suites.items().map(|(suite, _)| suite.0).collect(),
        };
        let (Endpoint((host, port)), Label(username)) = (address?, username?);
        let address = format!("{host}:{}", port.unwrap_or(DEFAULT_IPMI_PORT));
        let place = raw.address.located().map_or(at, |(_, place)| place);
        self.bmcs.push((address.to_ascii_lowercase(), place));
        Some(Ipmi {
            address,
            username: username.clone(),
            password: password?,
            bmc_key,
            privilege: raw.privilege.get().copied().unwrap_or_default(),
            user_lookup: raw.user_lookup.get().copied().unwrap_or_default(),
            cipher_suites,
            allow_ipmi_1_5,
            readings: raw.readings.get().copied().unwrap_or_default(),
            keep_session: raw.keep_session.get().copied().unwrap_or_default(),
            quirks: raw.quirks.items().map(|(quirk, _)| *quirk).collect(),
            request_timeout,
            retries: raw.retries.get().copied().unwrap_or(DEFAULT_RETRIES),
        })
    }

    /// Checks that no BMC is read by two meters: it has few sessions, and all its readings come over one.
    pub(super) fn one_meter_a_bmc(&self) {
        let mut first = BTreeMap::new();
        for (address, at) in &self.bmcs {
            if let Some(other) = first.get(address) {
                let place = self.problems.borrow().describe(*other, *at);
                let what = format!("the BMC {address} is read by another meter, {place}");
                self.error(
                    *at,
                    what,
                    "keep one of the two: a BMC has few sessions, and one tells everything",
                );
            } else {
                first.insert(address, *at);
            }
        }
    }

    /// A secret that IPMI has room for. Its value is not shown.
    fn ipmi_secret(&self, secret: Secret, key: &str, at: Mark) -> Option<Secret> {
        let text = secret.value.expose_secret();
        let digits = text.strip_prefix("0x").filter(|_| key == "bmc_key");
        let (bytes, whole) = digits.map_or((text.len(), true), |digits| {
            (digits.len().div_ceil(2), digits.len() % 2 == 0 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        });
        if !whole {
            self.error(at, format!("the `{key}` is not hexadecimal"), "write pairs of digits behind 0x");
            return None;
        }
        if bytes > MAX_IPMI_SECRET {
            let fix = "shorten it on the BMC and here: IPMI 2.0 has room for 20 bytes";
            self.error(at, format!("the `{key}` is longer than 20 bytes"), fix);
            return None;
        }
        Some(secret)
    }
}
