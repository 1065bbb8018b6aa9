//! Modules of `/probe`: each is the section of a meter without its address, checked as a meter's is, with an allow-list.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::field::{Field, List};
use crate::config::leaf::{Endpoint, HttpsUrl, Name, TargetPattern};
use crate::config::load::Documents;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::{Module, Probe};
use crate::model::Pattern;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_CONCURRENCY: u32 = 100;
/// The host that a module's device has before a client names one: of the addresses that are nobody's (RFC 5737).
const STAND_IN: &str = "192.0.2.0";

impl Check<'_> {
    /// Checks the modules. None where there is nothing to read or nobody may be: then `/probe` is off.
    pub(super) fn probe(&mut self, documents: &Documents) -> Option<Probe> {
        let (raw, at) = documents.probe.located()?;
        let folder = documents.parts.first().map(|part| part.folder.clone()).unwrap_or_default();
        self.need(&raw.modules, at, "modules", "define at least one way to read a device");
        let mut names: BTreeMap<&str, Mark> = BTreeMap::new();
        let mut modules = Vec::new();
        for (module, at) in raw.modules.items() {
            if let Some((Name(name), at)) = module.name.located()
                && let Some(first) = names.insert(name, at)
            {
                self.twice(at, name, first);
            }
            modules.extend(self.module(module, at, &folder, &raw.targets));
        }
        let concurrency = raw.concurrency.get().copied().unwrap_or(DEFAULT_CONCURRENCY);
        (!modules.is_empty()).then_some(Probe { concurrency, modules })
    }

    fn module(
        &mut self,
        raw: &schema::Module,
        at: Mark,
        folder: &Path,
        common: &List<TargetPattern>,
    ) -> Option<Module> {
        let name = self.need(&raw.name, at, "name", "give the module a name");
        let timeout = self.span(&raw.timeout).map_or(DEFAULT_TIMEOUT, |(timeout, _)| timeout);
        let meter = self.stand_in(raw);
        let known = self.bmcs.len();
        let device = if is_silent(raw) {
            let fix = "add one of `http`, `ipmi`, `modbus`, `redfish`, `snmp`";
            self.error(at, "no protocol is given", fix);
            None
        } else {
            self.device(&meter, at, folder, timeout)
        };
        // The stand-in is no BMC that a meter, or another module, must not read.
        self.bmcs.truncate(known);
        let list = if raw.targets.is_absent() { common } else { &raw.targets };
        if list.is_absent() {
            let what = "no `targets` say whom clients may have read, so this module is off";
            let fix = "add `targets` to it or to `probe`, such as [10.0.0.0/24]";
            self.problems.borrow_mut().warn(at, what, fix);
        }
        let targets: Vec<Pattern> = list.items().map(|(TargetPattern(pattern), _)| pattern.clone()).collect();
        let place = self.problems.borrow().place(at);
        let (Name(name), device) = (name?, device?);
        (!targets.is_empty()).then(|| Module { name: name.clone(), place, timeout, targets, device })
    }

    /// The module as a meter: with an address that nobody has in the place of those that clients will name.
    fn stand_in(&self, raw: &schema::Module) -> schema::Meter {
        let (mut ipmi, mut redfish, mut snmp) = (raw.ipmi.clone(), raw.redfish.clone(), raw.snmp.clone());
        let mut modbus = raw.modbus.clone();
        let endpoint = |at| Field::Is(Endpoint((STAND_IN.to_owned(), None)), at);
        if let Field::Is(ipmi, at) = &mut ipmi {
            self.no_address("address", &ipmi.address);
            self.no_address("device", &ipmi.device);
            ipmi.device = Field::Absent;
            ipmi.address = endpoint(*at);
        }
        if let Field::Is(redfish, at) = &mut redfish {
            self.no_address("url", &redfish.url);
            redfish.url = Field::Is(HttpsUrl(format!("https://{STAND_IN}")), *at);
        }
        if let Field::Is(snmp, at) = &mut snmp {
            self.no_address("address", &snmp.address);
            snmp.address = endpoint(*at);
        }
        let mut http = raw.http.clone();
        if let Field::Is(http, at) = &mut http {
            self.no_address("url", &http.url);
            // Whose certificate is to be trusted, speaks HTTPS.
            let plain = http.ca_file.is_absent() && http.fingerprint.is_absent();
            let scheme = if plain { "http" } else { "https" };
            http.url = Field::Is(format!("{scheme}://{STAND_IN}"), *at);
        }
        if let Field::Is(modbus, at) = &mut modbus {
            self.no_address("tcp", &modbus.tcp);
            self.no_address("rtu", &modbus.rtu);
            self.no_address("rtu_over_tcp", &modbus.rtu_over_tcp);
            (modbus.rtu, modbus.rtu_over_tcp) = (Field::Absent, Field::Absent);
            modbus.tcp = endpoint(*at);
        }
        schema::Meter { ipmi, redfish, snmp, modbus, http, ..schema::Meter::default() }
    }

    fn no_address<T>(&self, key: &str, field: &Field<T>) {
        if let Some((_, at)) = field.located() {
            self.error(
                at,
                format!("`{key}` stands in a module"),
                "remove it: each request names its `target`",
            );
        }
    }
}

/// Whether a module says no protocol. What is this machine's own, no target stands for.
fn is_silent(raw: &schema::Module) -> bool {
    raw.http.is_absent()
        && raw.ipmi.is_absent()
        && raw.modbus.is_absent()
        && raw.redfish.is_absent()
        && raw.snmp.is_absent()
}
