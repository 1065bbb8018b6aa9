//! Profiles: what is known of families of devices, as data. Those in `profiles/` are in the binary; an operator's folder adds to them
//! and takes the place of those of the same name. What a profile may say is each driver's own business.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::{http, modbus, snmp};
use crate::model::{ErrorKind, PollError};

/// The largest profile file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A profile of one protocol.
pub trait Profile: Sized + std::fmt::Debug {
    /// What stands behind `protocol:` in its file, and the name of its folder.
    const PROTOCOL: &'static str;

    /// Its name: in the configuration, the `profile` label and messages.
    fn name(&self) -> &str;

    /// What a file's text says.
    ///
    /// # Errors
    /// Every mistake with its place.
    fn understand(text: &str) -> Result<Self, Vec<String>>;

    /// Reads a file's text.
    ///
    /// # Errors
    /// Every mistake with its place, on one line, joined by `; `.
    fn parse(text: &str) -> Result<Self, String> {
        Self::understand(text).map_err(|all| one_line(&all))
    }
}

/// Mistakes as one line of a message: they quote the file, which may hold any character.
fn one_line(mistakes: &[String]) -> String {
    mistakes.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A profile file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ProfileError {
    /// The file.
    pub file: String,
    /// What is wrong and where in it.
    pub problem: String,
}

/// All profiles of one protocol: an operator's own, then those in the binary.
#[derive(Debug, Clone)]
pub struct Library<P> {
    all: Vec<Arc<P>>,
    own: usize,
    /// Names of the operator's files that cannot be used. What they should replace must not be read by anything else.
    refused: HashMap<String, ProfileError>,
}

impl<P> Default for Library<P> {
    fn default() -> Self {
        Self { all: Vec::new(), own: 0, refused: HashMap::new() }
    }
}

impl<P: Profile> Library<P> {
    /// Those in the binary: names and texts of files.
    fn built_in(files: &[(&str, &str)], refused: &mut Vec<ProfileError>) -> Self {
        let mut library = Self::default();
        for (file, text) in files {
            match P::parse(text) {
                Ok(profile) => library.all.push(Arc::new(profile)),
                Err(problem) => refused.push(ProfileError { file: (*file).to_owned(), problem }),
            }
        }
        library
    }

    /// Takes an operator's file: its profile replaces the one of the same name in the binary.
    ///
    /// # Errors
    /// If it cannot be used; then nothing of its name is.
    pub fn add(&mut self, file: &str, text: &str, name: Option<&str>) -> Result<(), ProfileError> {
        let refuse = |problem: String| ProfileError { file: file.to_owned(), problem };
        let added = P::parse(text).map_err(refuse).and_then(|profile| {
            let mut own = self.all.iter().take(self.own).map(|p| p.name());
            if own.any(|name| name == profile.name()) || self.refused.contains_key(profile.name()) {
                return Err(refuse(format!(
                    "another file of this folder has the name {} too",
                    profile.name()
                )));
            }
            Ok(profile)
        });
        match added {
            Ok(profile) => {
                self.all.retain(|old| old.name() != profile.name());
                self.all.insert(self.own, Arc::new(profile));
                self.own += 1;
                Ok(())
            }
            Err(error) => {
                if let Some(name) = name {
                    self.refuse(name, &error);
                }
                Err(error)
            }
        }
    }

    /// Nothing is read by this name: its file cannot be used.
    fn refuse(&mut self, name: &str, why: &ProfileError) {
        self.own -= self.all.iter().take(self.own).filter(|p| p.name() == name).count();
        self.all.retain(|old| old.name() != name);
        self.refused.insert(name.to_owned(), why.clone());
    }

    /// The profile of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<P>> {
        self.all.iter().find(|profile| profile.name() == name)
    }

    /// The profile of this name, for a meter whose operator chose it.
    ///
    /// # Errors
    /// `NoReading` if there is none, or its file cannot be used.
    pub fn chosen(&self, name: &str) -> Result<Arc<P>, PollError> {
        if let Some(profile) = self.named(name) {
            return Ok(Arc::clone(profile));
        }
        Err(match self.refused.get(name) {
            Some(why) => PollError::new(
                ErrorKind::NoReading,
                format!("profile {name:?} cannot be used: {why}"),
                "correct the file and start again",
            ),
            None => PollError::new(
                ErrorKind::NoReading,
                format!("there is no profile {name:?} for {}", P::PROTOCOL),
                self.advice(name),
            ),
        })
    }

    /// What to do about a name that is none.
    #[must_use]
    pub fn advice(&self, name: &str) -> String {
        let mut near: Vec<(f64, &str)> =
            self.all.iter().map(|p| (strsim::jaro_winkler(name, p.name()), p.name())).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near: Vec<&str> = near.into_iter().take(3).map(|(_, name)| name).collect();
        format!(
            "did you mean {}? `wattribute profile list` shows all; docs/profiles.md shows how to write another",
            near.join(", ")
        )
    }

    /// Whether a device that is read by the profile `name`, or by whichever fits where that is none, is read by `other` the
    /// same way.
    #[must_use]
    pub fn reads_as(&self, other: &Self, name: Option<&str>) -> bool {
        // Profiles hold compiled expressions, which do not compare. What they are derived to show is all that they hold.
        let shown = |library: &Self| match name {
            Some(name) => format!("{:?} {:?}", library.named(name), library.refused.get(name)),
            None => format!("{:?}", library.all),
        };
        shown(self) == shown(other)
    }

    /// All profiles, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<P>> {
        self.all.iter()
    }

    /// The names, for messages: `a, b, c`.
    #[must_use]
    pub fn names(&self) -> String {
        self.all.iter().map(|p| p.name()).collect::<Vec<_>>().join(", ")
    }
}

/// Every profile there is.
#[derive(Debug, Clone, Default)]
pub struct Profiles {
    /// Of SNMP devices.
    pub snmp: Library<snmp::Profile>,
    /// Of Modbus devices.
    pub modbus: Library<modbus::Profile>,
    /// Of JSON devices.
    pub http: Library<http::Profile>,
    refused: Vec<ProfileError>,
}

/// What was taken from an operator's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Of which protocol.
    pub protocol: &'static str,
    /// The profile's name.
    pub name: String,
}

/// What every profile file begins with.
#[derive(Debug, Deserialize)]
struct Head {
    protocol: Option<String>,
    name: Option<String>,
}

impl Profiles {
    /// Those in the binary.
    #[must_use]
    pub fn built_in() -> Self {
        let mut refused = Vec::new();
        Self {
            snmp: Library::built_in(snmp::BUILT_IN, &mut refused),
            modbus: Library::built_in(modbus::BUILT_IN, &mut refused),
            http: Library::built_in(http::BUILT_IN, &mut refused),
            refused,
        }
    }

    /// Those in the binary and those of an operator's folder: `*.yaml` and `*.yml` in it and in its folders. What is wrong with one
    /// file is no reason not to read devices by the others.
    #[must_use]
    pub fn load(dir: Option<&Path>) -> Self {
        let mut profiles = Self::built_in();
        let Some(dir) = dir else { return profiles };
        for file in profiles.files(dir, true) {
            let name = file.display().to_string();
            let added = read(&file).and_then(|text| profiles.add(&name, &text));
            profiles.refused.extend(added.err());
        }
        profiles
    }

    /// Takes an operator's file.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn add(&mut self, file: &str, text: &str) -> Result<Added, ProfileError> {
        let wrong = |problem: String| ProfileError { file: file.to_owned(), problem };
        let head: Head = parse(text).map_err(|problem: Vec<String>| {
            let error = wrong(one_line(&problem));
            self.refuse_unread(file, text, &error);
            error
        })?;
        let name = head.name.as_deref();
        match head.protocol.as_deref() {
            Some(snmp::Profile::PROTOCOL) => take(&mut self.snmp, file, text, name),
            Some(modbus::Profile::PROTOCOL) => take(&mut self.modbus, file, text, name),
            Some(http::Profile::PROTOCOL) => take(&mut self.http, file, text, name),
            Some(other) => {
                Err(wrong(format!("protocol: {other:?} has no profiles; write snmp, modbus or http")))
            }
            None => Err(wrong("`protocol` is missing; write snmp, modbus or http".to_owned())),
        }
    }

    /// A file that is not even YAML takes the place of others all the same: of which, its lines say, or its name.
    fn refuse_unread(&mut self, file: &str, text: &str, why: &ProfileError) {
        let said = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            Some(value.split('#').next()?.trim().trim_matches(['"', '\''])).filter(|value| !value.is_empty())
        };
        let stem = || Path::new(file).file_stem().and_then(|stem| stem.to_str());
        let Some(name) = said("name").or_else(stem) else { return };
        let is = |protocol: &str| said("protocol").is_none_or(|said| said == protocol);
        if is(snmp::Profile::PROTOCOL) {
            self.snmp.refuse(name, why);
        }
        if is(modbus::Profile::PROTOCOL) {
            self.modbus.refuse(name, why);
        }
        if is(http::Profile::PROTOCOL) {
            self.http.refuse(name, why);
        }
    }

    /// What is wrong with files that cannot be used.
    #[must_use]
    pub fn refused(&self) -> &[ProfileError] {
        &self.refused
    }

    /// The profile files of a folder, in order.
    fn files(&mut self, dir: &Path, deeper: bool) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(why) => {
                let problem = format!("cannot be read: {why}; check --profiles.dir and who may read it");
                self.refused.push(ProfileError { file: dir.display().to_string(), problem });
                return Vec::new();
            }
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() && deeper {
                files.extend(self.files(&path, false));
            } else if path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml") {
                files.push(path);
            }
        }
        files
    }
}

fn take<P: Profile>(
    library: &mut Library<P>,
    file: &str,
    text: &str,
    name: Option<&str>,
) -> Result<Added, ProfileError> {
    library.add(file, text, name)?;
    Ok(Added { protocol: P::PROTOCOL, name: name.unwrap_or_default().to_owned() })
}

/// The JSON Schema of a profile, whatever its protocol: the one that `protocol` names.
#[must_use]
pub fn json_schema() -> String {
    let of = |protocol: &str, schema: schemars::Schema| {
        let mut schema = schema;
        if let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
            properties.insert("protocol".to_owned(), serde_json::json!({ "const": protocol }));
        }
        let needed = schema.get_mut("required").and_then(serde_json::Value::as_array_mut);
        if let Some(needed) = needed
            && !needed.iter().any(|key| key == "protocol")
        {
            needed.push("protocol".into());
        }
        // Each names what it repeats by itself.
        let text = serde_json::to_string(&schema).unwrap_or_default();
        let own = text.replace("#/$defs/", &format!("#/$defs/{protocol}/$defs/"));
        serde_json::from_str::<serde_json::Value>(&own).unwrap_or_default()
    };
    let schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wattribute profile",
        "description": "How to read one family of devices.",
        "type": "object",
        "required": ["protocol", "name", "about", "channels"],
        "properties": { "protocol": { "enum": ["http", "modbus", "snmp"] } },
        "oneOf": [{ "$ref": "#/$defs/http" }, { "$ref": "#/$defs/modbus" }, { "$ref": "#/$defs/snmp" }],
        "$defs": {
            "http": of("http", http::schema()),
            "modbus": of("modbus", modbus::schema()),
            "snmp": of("snmp", snmp::profile::schema()),
        },
    });
    format!("{schema:#}")
}

/// The longest piece of a file that a message shows.
const MAX_SHOWN: usize = 40;

/// Text as what a profile may say; the message is one line, and ends with what stands at the mistake.
pub(in crate::drivers) fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Vec<String>> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location();
        let stands = place.and_then(|place| stands_at(text, place.line(), place.column()));
        let said = error.without_snippet().to_string();
        vec![match stands {
            Some(stands) => format!("{said}, where `{stands}` stands"),
            None => said,
        }]
    })
}

/// The word at a line and column, both from 1.
fn stands_at(text: &str, line: u64, column: u64) -> Option<String> {
    let before = |place: u64| usize::try_from(place.checked_sub(1)?).ok();
    let rest = text.lines().nth(before(line)?)?.chars().skip(before(column)?);
    let word = rest.take_while(|c| !matches!(c, ',' | '}' | ']' | '#')).filter(|c| !c.is_control());
    let word: String = word.take(MAX_SHOWN).collect();
    Some(word.trim().to_owned()).filter(|word| !word.is_empty())
}

/// The text of a profile's file.
///
/// # Errors
/// If it cannot be read, or is no profile by its size.
pub fn read(path: &Path) -> Result<String, ProfileError> {
    let wrong = |problem: String| ProfileError { file: path.display().to_string(), problem };
    let size = std::fs::metadata(path).map_err(|e| wrong(format!("cannot be read: {e}")))?.len();
    if size > MAX_FILE_BYTES {
        return Err(wrong("it is larger than 1 MiB".to_owned()));
    }
    std::fs::read_to_string(path).map_err(|e| wrong(format!("cannot be read: {e}")))
}

#[cfg(test)]
#[path = "profiles_tests.rs"]
mod tests;
