//! What the values mean together: names are unique, references lead somewhere, secrets can be read, defaults filled in.
//! Turns the documents into a [`Config`]; an entry with an error is left out of it, and the error is reported.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Env;
use super::field::Field;
use super::files::{Checked, Files, Pem};
use super::leaf::{EnvName, FilePath, Name, Span};
use super::load::{Documents, Part};
use super::problem::{Mark, Problems, nearest};
use super::types::{ChannelRef, Config, Datacenter, Meter, ModbusPort, Origin, Pool, Secret};
use crate::model::{DatacenterId, MeterId};

mod cgroup;
mod command;
mod datacenters;
mod feeds;
mod hosts;
mod http;
mod ipmi;
mod meters;
mod modbus;
mod model;
mod pool;
mod probe;
mod prometheus;
mod serial;
mod services;
mod sysfs;
mod tenants;

pub(crate) use pool::pool_of;

/// What every check needs: where errors go, what is known, and the world outside.
struct Check<'a> {
    problems: &'a RefCell<Problems>,
    env: Env<'a>,
    files: Files,
    /// Names of data centres.
    datacenters: BTreeMap<DatacenterId, Mark>,
    /// Names of meters, broken ones included, and where they stand.
    meters: BTreeMap<MeterId, (Mark, Option<DatacenterId>)>,
    /// From one poll of a meter to the next, of those that are good.
    intervals: BTreeMap<MeterId, Duration>,
    /// Addresses that are read over IPMI, and where.
    bmcs: Vec<(String, Mark)>,
    /// Serial ports with Modbus, and where first.
    modbus_ports: Vec<(ModbusPort, Mark)>,
    /// Serial ports and device servers, whether Modbus is spoken there, and where they are named.
    lines: Vec<(String, bool, Mark)>,
    /// Channels that are named, and where first.
    channels: RefCell<BTreeMap<ChannelRef, Mark>>,
    /// Whether names that lead nowhere may stand in what could not be read.
    incomplete: bool,
    /// How many more wrong names get a suggestion.
    hints: Cell<u32>,
}

/// Checks everything. With errors reported, the result is only what is left.
pub(super) fn config(documents: &Documents, env: Env<'_>, problems: &RefCell<Problems>) -> Config {
    let mut check = Check {
        problems,
        env,
        files: Files::default(),
        datacenters: BTreeMap::new(),
        meters: BTreeMap::new(),
        intervals: BTreeMap::new(),
        bmcs: Vec::new(),
        modbus_ports: Vec::new(),
        lines: Vec::new(),
        channels: RefCell::default(),
        incomplete: documents.incomplete,
        hints: Cell::new(100),
    };
    let defaults = meters::defaults(&check, &documents.poll);
    check.collect_datacenters(documents);
    check.name_meters(documents);
    let meters: Vec<Meter> =
        documents.parts.iter().flat_map(|part| check.part_meters(part, &defaults)).collect();
    check.intervals = meters.iter().map(|m| (m.id.clone(), m.poll.interval)).collect();
    let datacenters = check.all_datacenters(documents);
    let hosts = check.all_hosts(documents, &defaults);
    check.pools(documents, &datacenters, &hosts);
    let tenants = check.all_tenants(documents);
    let services = check.all_services(documents);
    let probe = check.probe(documents);
    if documents.parts.iter().all(|part| part.meters.is_absent() && part.hosts.is_absent())
        && documents.probe.is_absent()
        && !problems.borrow().any()
    {
        let fix = "write at least `meters` and `hosts` into it";
        check.error(Mark::new(0, 1, 1), "the configuration names no meter and no host", fix);
    }
    // Of meters that are wrong anyway nothing more is said.
    if !problems.borrow().any() {
        check.one_meter_a_bmc();
        check.one_meter_a_line();
    }
    let place = |(channel, mark)| (channel, problems.borrow().place(mark));
    let channels = check.channels.into_inner().into_iter().map(place).collect();
    Config { datacenters, meters, hosts, tenants, services, probe, channels, warnings: Vec::new() }
}

impl Check<'_> {
    fn error(&self, at: Mark, what: impl Into<String>, fix: impl Into<String>) {
        self.problems.borrow_mut().error(at, what, fix);
    }

    /// The value of a key that must be there.
    fn need<'f, T>(&self, field: &'f Field<T>, at: Mark, key: &str, fix: &str) -> Option<&'f T> {
        if field.is_absent() && !self.problems.borrow().was_meant(at, key) {
            self.error(at, format!("`{key}` is missing"), fix);
        }
        field.get()
    }

    /// A length of time, unless the reader or its limits have refused it.
    fn span(&self, field: &Field<Span>) -> Option<(Duration, Mark)> {
        field
            .located()
            .filter(|(_, at)| !self.problems.borrow().stands_at(*at))
            .map(|(span, at)| (span.0, at))
    }

    /// Says that a name was taken before.
    fn twice(&self, at: Mark, name: &str, first: Mark) {
        let place = self.problems.borrow().describe(first, at);
        self.error(
            at,
            format!("`{name}` is defined twice, first {place}"),
            "rename or remove one of the two",
        );
    }

    /// The data centre of an entry: the one it names, or the only one there is.
    fn datacenter_of(&self, field: &Field<Name>, at: Mark) -> Option<DatacenterId> {
        let known = || self.datacenters.keys().map(DatacenterId::as_str);
        match field {
            Field::Is(Name(name), place) => {
                let id = DatacenterId::new(name).ok()?;
                if self.datacenters.contains_key(&id) {
                    return Some(id);
                }
                if self.incomplete {
                    return None;
                }
                let or = nearest(name, known())
                    .map_or_else(String::new, |near| format!(", or did you mean `{near}`?"));
                let fix = format!("define it under `datacenters`{or}");
                self.error(*place, format!("`datacenter` names `{name}`, which is not defined"), fix);
                None
            }
            Field::Bad => None,
            Field::Absent if self.datacenters.len() > 1 => {
                let names = known().take(10).collect::<Vec<_>>().join(", ");
                self.error(
                    at,
                    "`datacenter` is missing, and there are several",
                    format!("add one of {names}"),
                );
                None
            }
            Field::Absent => self.datacenters.keys().next().cloned(),
        }
    }

    /// Checks that a channel's meter exists and stands in the same data centre as who refers to it.
    fn channel(&self, channel: &ChannelRef, at: Mark, datacenter: Option<&DatacenterId>) -> bool {
        self.channels.borrow_mut().entry(channel.clone()).or_insert(at);
        let Some((_, place)) = self.meters.get(&channel.meter) else {
            if self.incomplete {
                return false;
            }
            // Comparing with every name is slow: past some wrong ones the same mistake is behind them all.
            let hints = self.hints.get();
            self.hints.set(hints.saturating_sub(1));
            let known = self.meters.keys().map(MeterId::as_str).take(if hints > 0 { usize::MAX } else { 0 });
            let or = nearest(channel.meter.as_str(), known).map_or_else(
                || ", or correct the name".to_owned(),
                |near| format!(", or did you mean `{near}/{}`?", channel.channel),
            );
            let fix = format!("define it under `meters`{or}");
            self.error(
                at,
                format!("`{channel}` refers to meter `{}`, which is not defined", channel.meter),
                fix,
            );
            return false;
        };
        match (place, datacenter) {
            (Some(theirs), Some(ours)) if theirs != ours => {
                let what = format!("`{channel}` is a meter of data centre {theirs}, not of {ours}");
                self.error(at, what, "refer to a meter of the same data centre, or correct one `datacenter`");
                false
            }
            _ => true,
        }
    }

    /// The secret that `KEY_file` or `KEY_env` leads to; none, without an error, if neither is there.
    fn secret(
        &mut self,
        folder: &Path,
        key: &str,
        file: &Field<FilePath>,
        variable: &Field<EnvName>,
    ) -> Option<Secret> {
        match (file.located(), variable.located()) {
            (Some(_), Some((_, at))) => {
                let what = format!("`{key}_file` and `{key}_env` both stand here");
                self.error(at, what, "keep one of the two");
                None
            }
            (Some((FilePath(path), at)), None) => {
                let path = folder.join(path);
                let Checked { value, exposed } =
                    self.file_result(at, &format!("{key}_file"), |files| files.secret(&path))?;
                if exposed {
                    let what = format!("`{key}_file`: everyone on this machine may read {}", path.display());
                    self.problems.borrow_mut().warn(at, what, format!("chmod o-r {}", path.display()));
                }
                Some(Secret { value, origin: Origin::File(path) })
            }
            (None, Some((EnvName(name), at))) => match (self.env)(name) {
                Some(value) if !value.is_empty() => {
                    Some(Secret { value: value.into(), origin: Origin::Env(name.clone()) })
                }
                found => {
                    let state = if found.is_some() { "empty" } else { "not set" };
                    let what = format!("`{key}_env`: the environment variable {name} is {state}");
                    self.error(at, what, "set it where this program is started");
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// As [`Check::secret`], but one of the two must be there.
    fn needed_secret(
        &mut self,
        folder: &Path,
        key: &str,
        (file, variable): (&Field<FilePath>, &Field<EnvName>),
        at: Mark,
    ) -> Option<Secret> {
        if variable.is_absent() {
            let fix = format!("name a file that holds it, or a variable with `{key}_env`");
            self.need(file, at, &format!("{key}_file"), &fix);
        }
        self.secret(folder, key, file, variable)
    }

    /// The full path of a PEM file that holds what it should.
    fn pem(&mut self, folder: &Path, key: &str, path: &FilePath, at: Mark, kind: Pem) -> Option<PathBuf> {
        let path = folder.join(&path.0);
        let Checked { value: (), exposed } = self.file_result(at, key, |files| files.pem(&path, kind))?;
        if exposed && kind == Pem::Key {
            let what = format!("`{key}`: everyone on this machine may read {}", path.display());
            self.problems.borrow_mut().warn(at, what, format!("chmod o-r {}", path.display()));
        }
        Some(path)
    }

    fn file_result<T>(
        &mut self,
        at: Mark,
        key: &str,
        read: impl FnOnce(&mut Files) -> Result<T, super::problem::Fault>,
    ) -> Option<T> {
        read(&mut self.files)
            .map_err(|fault| self.error(at, format!("`{key}`: {}", fault.what), fault.fix))
            .ok()
    }
}

/// The good entries of one list in all files, with their folder and place.
fn entries<'d, T: 'd>(
    documents: &'d Documents,
    list: fn(&Part) -> &super::field::List<T>,
) -> impl Iterator<Item = (&'d T, Mark, &'d Path)> {
    documents
        .parts
        .iter()
        .flat_map(move |part| list(part).items().map(|(item, at)| (item, at, part.folder.as_path())))
}

/// The list of data centres must be complete before anything refers to it.
impl Check<'_> {
    fn collect_datacenters(&mut self, documents: &Documents) {
        for (datacenter, _, _) in entries(documents, |part| &part.datacenters) {
            let Some((Name(name), at)) = datacenter.name.located() else { continue };
            let Ok(id) = DatacenterId::new(name) else { continue };
            match self.datacenters.get(&id) {
                Some(first) => self.twice(at, name, *first),
                None => {
                    self.datacenters.insert(id, at);
                }
            }
        }
        let none = documents.parts.iter().all(|part| part.datacenters.is_absent());
        if let (true, Ok(id)) = (none, DatacenterId::new(DEFAULT_DATACENTER)) {
            self.datacenters.insert(id, Mark::whole(0));
        }
    }

    fn all_datacenters(&self, documents: &Documents) -> Vec<Datacenter> {
        let defined: Vec<_> = entries(documents, |part| &part.datacenters)
            .filter_map(|(raw, at, _)| self.datacenter(raw, at))
            .collect();
        if !defined.is_empty() {
            return defined;
        }
        let unnamed = self.datacenters.keys().cloned();
        unnamed
            .map(|id| Datacenter {
                id,
                emission_factors: Vec::new(),
                price: None,
                model: None,
                pool: Pool::default(),
                facility: Vec::new(),
            })
            .collect()
    }
}

/// The data centre of those who define none.
const DEFAULT_DATACENTER: &str = "default";
