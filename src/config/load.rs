//! From paths to what the files say: reads the main file and what it includes, and limits of single values.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use garde::Validate;
use serde::de::DeserializeOwned;

use super::field::{Field, List};
use super::files;
use super::leaf::{FilePath, Name};
use super::node::{self, Node, Value};
use super::problem::{Fault, Mark, Problems};
use super::reader;
use super::schema::{Datacenter, File, Host, Included, Meter, Poll, Probe, Service, Tenant};

/// Most files in one configuration.
const MAX_FILES: usize = 10_000;

/// All files of one configuration, in order of reading.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// The defaults of polling, from the main file.
    pub(super) poll: Field<Poll>,
    /// What clients may have read, from the main file.
    pub(super) probe: Field<Probe>,
    /// The main file first.
    pub(super) parts: Vec<Part>,
    /// Whether a file or list could not be read at all: then a name that leads nowhere may stand there.
    pub(super) incomplete: bool,
}

/// The lists of one file.
#[derive(Debug)]
pub(super) struct Part {
    /// The folder that its relative paths start from.
    pub(super) folder: PathBuf,
    pub(super) datacenters: List<Datacenter>,
    pub(super) meters: List<Meter>,
    pub(super) hosts: List<Host>,
    pub(super) tenants: List<Tenant>,
    pub(super) services: List<Service>,
}

/// Reads the main file and its includes.
pub(super) fn documents(path: &Path, problems: &RefCell<Problems>) -> Documents {
    let Some(file) = read::<File>(path, None, problems) else { return Documents::default() };
    let folder = folder(path);
    let (included, broken) = included(path, &folder, &file.include, problems);
    let File { poll, include: _, datacenters, meters, hosts, tenants, services, probe } = file;
    let mut parts = vec![Part { folder, datacenters, meters, hosts, tenants, services }];
    parts.extend(included);
    let incomplete = broken
        || parts
            .iter()
            .any(|part| matches!(part.datacenters, Field::Bad) || matches!(part.meters, Field::Bad));
    Documents { poll, probe, parts, incomplete }
}

fn folder(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

fn included(
    main: &Path,
    base: &Path,
    patterns: &List<FilePath>,
    problems: &RefCell<Problems>,
) -> (Vec<Part>, bool) {
    let mut seen: HashSet<PathBuf> = main.canonicalize().into_iter().collect();
    let (mut parts, mut broken) = (Vec::new(), false);
    for (FilePath(pattern), at) in patterns.items() {
        let paths = files::expand(base, pattern).unwrap_or_else(|fault| {
            problems.borrow_mut().fault(at, fault);
            Vec::new()
        });
        if paths.is_empty() {
            let what = format!("`include` matches no file: {}", base.join(pattern).display());
            problems.borrow_mut().warn(at, what, "add one, or remove the entry");
        }
        for path in paths {
            if path.canonicalize().is_ok_and(|real| !seen.insert(real)) {
                let what = format!("`include` reads {} a second time", path.display());
                problems.borrow_mut().error(at, what, "narrow the pattern so that each file is read once");
                continue;
            }
            if parts.len() >= MAX_FILES {
                let what = format!("`include` names more than {MAX_FILES} files");
                problems.borrow_mut().error(at, what, "put several meters into one file");
                return (parts, broken);
            }
            let Some(file) = read::<Included>(&path, Some(at), problems) else {
                broken = true;
                continue;
            };
            let Included { datacenters, meters, hosts, tenants, services } = file;
            parts.push(Part { folder: folder(&path), datacenters, meters, hosts, tenants, services });
        }
    }
    (parts, broken)
}

/// Reads one file as `T`, and checks the limits of its values. `named_at` is where it is included.
fn read<T: DeserializeOwned + Validate<Context = ()>>(
    path: &Path,
    named_at: Option<Mark>,
    problems: &RefCell<Problems>,
) -> Option<T> {
    let report = |at: Mark, fault: Fault| problems.borrow_mut().fault(at, fault);
    let file = problems.borrow_mut().add_file(path);
    let bytes = files::read_config(path)
        .map_err(|Fault { what, fix }| match named_at {
            Some(at) => report(at, Fault::new(format!("`include` names {}: {what}", path.display()), fix)),
            None => report(Mark::whole(file), Fault::new(what, fix)),
        })
        .ok()?;
    let text = String::from_utf8(bytes).map_err(|error| report(bad_byte(file, &error), not_text())).ok()?;
    let node = node::parse(&text, file).map_err(|(at, fault)| report(at, fault)).ok()?;
    if matches!(node.value, Value::Null) {
        report(
            Mark::new(file, 1, 1),
            Fault::new("the file is empty", "write at least `meters` and `hosts` into it"),
        );
        return None;
    }
    name_owners(&node, problems);
    let value: T = reader::read(&node, problems)?;
    if let Err(limits) = value.validate() {
        for (path, error) in limits.iter() {
            let path = path.to_string();
            let key = path.rsplit('.').next().unwrap_or_default();
            let Fault { what, fix } = limit(error.message());
            report(node.place(&path), Fault::new(format!("`{key}` {what}"), fix));
        }
    }
    Some(value)
}

fn not_text() -> Fault {
    Fault::new("this byte is not UTF-8", "save the file as UTF-8")
}

/// The place of the first byte that is not UTF-8.
fn bad_byte(file: u16, error: &std::string::FromUtf8Error) -> Mark {
    let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
    let good = String::from_utf8_lossy(good);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    let column = good.rsplit('\n').next().unwrap_or_default().chars().count();
    Mark::new(file, number(good.matches('\n').count()), number(column))
}

/// garde's own messages say what, but not what to do.
fn limit(message: &str) -> Fault {
    if let Some(least) = message.strip_prefix("lower than ") {
        return Fault::new(format!("is lower than {least}"), format!("write {least} or more"));
    }
    if let Some(most) = message.strip_prefix("greater than ") {
        return Fault::new(format!("is greater than {most}"), format!("write {most} or less"));
    }
    Fault::from(message)
}

/// Tells the collector which lines belong to which entry of the lists, so that every error names its device.
fn name_owners(node: &Node, problems: &RefCell<Problems>) {
    let Value::Map(entries) = &node.value else { return };
    for (key, value) in entries {
        problems.borrow_mut().owner(key.at, None);
        if key.name == "probe" {
            name_owners(value, problems);
        }
    }
    let mut problems = problems.borrow_mut();
    for (key, list) in entries {
        let (noun, name_key) = match key.name.as_str() {
            "datacenters" => ("data centre", "name"),
            "meters" => ("meter", "name"),
            "hosts" => ("host", "name"),
            "tenants" => ("tenant", "project_id"),
            "services" => ("service", "name"),
            "modules" => ("module", "name"),
            _ => continue,
        };
        let Value::List(items) = &list.value else { continue };
        for (number, item) in items.iter().enumerate() {
            let name = entry_name(item, name_key).unwrap_or_else(|| format!("number {}", number + 1));
            problems.owner(item.at, Some(format!("{noun} {name}")));
        }
    }
}

/// The name of an entry, if it is a good one.
fn entry_name(item: &Node, key: &str) -> Option<String> {
    let Value::Map(entries) = &item.value else { return None };
    let (_, value) = entries.iter().find(|(entry, _)| entry.name == key)?;
    match &value.value {
        Value::Text(text) | Value::Number(text) => Name::try_from(text.clone()).ok().map(|Name(name)| name),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    }
}
