//! All profiles: those in the binary, and an operator's own, which win. Finds the one for a device.

use std::path::Path;
use std::sync::Arc;

use super::Profile;
use super::check;
use super::schema::RawProfile;
use crate::drivers::snmp::oid::Oid;

/// A file's name and its text.
type File<'a> = (&'a str, &'a str);

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        /// The profiles in the binary; generic ones last, since probes are tried in this order.
        const EMBEDDED: &[File<'static>] =
            &[$(($name, include_str!(concat!("../../../../profiles/snmp/", $name)))),+];
    };
}

embedded!["apc-rpdu2.yaml", "eaton-epdu.yaml", "ups-mib.yaml"];

/// The largest profile file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A profile file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ProfileError {
    /// The file.
    pub file: String,
    /// What is wrong and where in it; several mistakes are joined by `; `.
    pub problem: String,
}

/// Every profile there is.
#[derive(Debug, Clone, Default)]
pub struct Profiles(Vec<Arc<Profile>>);

impl Profiles {
    /// The embedded profiles and those in `extra_dir` (`*.yaml`), where a profile takes the place of an embedded one
    /// of the same name.
    ///
    /// # Errors
    /// If the folder or a file cannot be read, or a profile is wrong.
    pub fn load(extra_dir: Option<&Path>) -> Result<Self, ProfileError> {
        let mut profiles = Self::default();
        for (file, text) in EMBEDDED {
            profiles.add(parse(file, text)?);
        }
        if let Some(dir) = extra_dir {
            let mut own = read_dir(dir)?;
            own.sort();
            for (n, (file, text)) in own.iter().enumerate() {
                let profile = parse(file, text)?;
                let again =
                    |(_, other): &&(String, String)| parse("", other).is_ok_and(|p| p.name == profile.name);
                if let Some((twin, _)) = own.iter().take(n).find(again) {
                    let problem = format!("the name {} is already taken by {twin}", profile.name);
                    return Err(ProfileError { file: file.clone(), problem });
                }
                profiles.add(profile);
            }
        }
        Ok(profiles)
    }

    fn add(&mut self, profile: Profile) {
        match self.0.iter_mut().find(|old| old.name == profile.name) {
            Some(old) => *old = Arc::new(profile),
            None => self.0.push(Arc::new(profile)),
        }
    }

    /// The profile of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Profile>> {
        self.0.iter().find(|profile| profile.name == name)
    }

    /// The profile with the longest `sysObjectID` prefix of `id`.
    #[must_use]
    pub fn for_sys_object_id(&self, id: &Oid) -> Option<&Arc<Profile>> {
        let prefixes = self.0.iter().flat_map(|p| p.sys_object_ids.iter().map(move |prefix| (prefix, p)));
        let fits = prefixes.filter(|(prefix, _)| id.after(prefix).is_some());
        fits.max_by_key(|(prefix, _)| prefix.arcs().len()).map(|(_, profile)| profile)
    }

    /// Every probe with its profile, in order of preference.
    pub fn probes(&self) -> impl Iterator<Item = (&Oid, &Arc<Profile>)> {
        self.0.iter().flat_map(|profile| profile.probes.iter().map(move |probe| (probe, profile)))
    }

    /// All profiles.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.0.iter()
    }

    /// The names, for messages: `a, b, c`.
    #[must_use]
    pub fn names(&self) -> String {
        self.0.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn parse(file: &str, text: &str) -> Result<Profile, ProfileError> {
    let wrong = |problem: String| ProfileError { file: file.to_owned(), problem };
    let raw: RawProfile = serde_saphyr::from_str(text).map_err(|e| {
        // The plain message: a snippet of the file has no place in a log line.
        wrong(e.without_snippet().to_string())
    })?;
    check::profile(raw).map_err(|all| wrong(all.join("; ")))
}

fn read_dir(dir: &Path) -> Result<Vec<(String, String)>, ProfileError> {
    let wrong = |path: &Path, why: &dyn std::fmt::Display| ProfileError {
        file: path.display().to_string(),
        problem: format!("cannot be read: {why}"),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| wrong(dir, &e))? {
        let path = entry.map_err(|e| wrong(dir, &e))?.path();
        if path.extension().is_none_or(|ext| ext != "yaml") {
            continue;
        }
        let size = std::fs::metadata(&path).map_err(|e| wrong(&path, &e))?.len();
        if size > MAX_FILE_BYTES {
            return Err(wrong(&path, &"it is larger than 1 MiB"));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| wrong(&path, &e))?;
        files.push((path.display().to_string(), text));
    }
    Ok(files)
}
