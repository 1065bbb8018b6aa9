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

pub(super) fn parse(file: &str, text: &str) -> Result<Profile, ProfileError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name: own\nabout: a meter\nmatch: {sys_object_ids: [1.3.6.1.4.1.318.1.3.4]}\nchannels:\n\
                        - {channel: input, values: [{quantity: power, scalar: 1.3.6.1.9.0}]}\n";

    fn oid(text: &str) -> Oid {
        Oid::parse(text).unwrap()
    }

    #[test]
    fn the_embedded_profiles_are_right_and_the_longest_prefix_wins() {
        let mut profiles = Profiles::load(None).unwrap();
        assert_eq!(profiles.names(), "apc-rpdu2, eaton-epdu, ups-mib");
        let name =
            |profiles: &Profiles, id: &str| profiles.for_sys_object_id(&oid(id)).map(|p| p.name.clone());
        assert_eq!(name(&profiles, "1.3.6.1.4.1.318.1.3.4.6").as_deref(), Some("apc-rpdu2"));
        assert_eq!(name(&profiles, "1.3.6.1.4.1.534.6.6.7.1").as_deref(), Some("eaton-epdu"));
        assert_eq!(name(&profiles, "1.3.6.1.4.1.318.1.3.4.60"), None);
        profiles.add(parse("own.yaml", GOOD).unwrap());
        assert_eq!(name(&profiles, "1.3.6.1.4.1.318.1.3.4.60").as_deref(), Some("own"));
        assert_eq!(name(&profiles, "1.3.6.1.4.1.318.1.3.4.6").as_deref(), Some("apc-rpdu2"));
    }

    #[test]
    fn no_embedded_profile_files_apparent_power_as_power() {
        // The columns of VA in the three MIBs.
        let va =
            ["26.4.3.1.16", "26.6.3.1.8", "12.1.18.0", "7.3.4.1.3", "7.3.5.1.3", "7.5.5.1.2", "7.6.5.1.2"];
        let mut seen = 0;
        for value in
            Profiles::load(None).unwrap().iter().flat_map(|p| p.groups.clone()).flat_map(|g| g.values)
        {
            let (super::super::Place::Column(oid) | super::super::Place::Scalar(oid)) = &value.place;
            let is_va = va.iter().any(|end| oid.to_string().ends_with(&format!(".{end}")));
            seen += usize::from(is_va);
            assert_eq!(is_va, value.quantity == crate::model::Quantity::ApparentPower, "{oid}");
        }
        assert_eq!(seen, 8);
    }

    #[test]
    fn every_mistake_names_its_file_and_row() {
        let with = |values: &str| GOOD.replace("[{quantity: power, scalar: 1.3.6.1.9.0}]", values);
        for (text, expected) in [
            (GOOD.replace("own", "My Own"), "name \"My Own\": use lower-case letters, digits and `-`"),
            (
                GOOD.replace("318.1.3.4", "x"),
                "match.sys_object_ids: \"1.3.6.1.4.1.x\" is not an object identifier",
            ),
            (GOOD.replace("input", "\"outlet/{n}\""), "channels entry 1 (outlet/{n}): {n} is not in `vars`"),
            (GOOD.replace("input", "\"unit/{unit}\""), "leave {unit} out"),
            (with("[]"), "channels entry 1 (input): `values` is empty"),
            (
                with("[{quantity: watts, scalar: 1.3.6}]"),
                "value 1 (watts): is not a quantity; use one of power, apparent",
            ),
            (with("[{quantity: power}]"), "value 1 (power): give either `column` or `scalar`"),
            (
                with("[{quantity: power, scalar: 1.3.6, scale: 0}]"),
                "value 1 (power): scale 0 must be above 0",
            ),
            (with("[{quantity: power, scalar: 1.3.6, scale: .nan}]"), "scale NaN must be above 0"),
            (with("[{quantity: energy, scalar: 1.3.6}]"), "energy needs `scale`, the joules of one step"),
            (
                with("[{quantity: power, scalar: 1.3.6, wraps_at_bits: 32}]"),
                "wraps_at_bits is for energy only",
            ),
            (
                with("[{quantity: energy, scale: 1, scalar: 1.3.6, wraps_at_bits: 65}]"),
                "wraps_at_bits must be 1 to 64",
            ),
            (with("[{quantity: power, scalar: 1.3.6}], vars: {n: {part: 0}}"), "a `scalar` has no rows"),
            (
                with("[{quantity: power, column: 1.3.6}], vars: {n: {}}"),
                "vars.n: give either `column` or `part`",
            ),
            (with("[{quantity: power, column: 1.3.6}], vars: {n: {part: 0, map: {}}}"), "`map` is empty"),
            (with("[{quantity: power, scalar: 1.3.6, unit: W}]"), "unknown field"),
            (GOOD.replace("channels:", "channels: []\nother:"), "other"),
            ("name: [".into(), "own.yaml: "),
            (String::new(), "own.yaml: "),
        ] {
            let error = parse("own.yaml", &text).unwrap_err().to_string();
            assert!(
                error.starts_with("own.yaml: ") && error.contains(expected),
                "{text}\n{error}\n{expected}"
            );
        }
        // All mistakes at once.
        let error = parse("own.yaml", &with("[{quantity: a, scalar: b}, {quantity: power}]"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("value 1 (a)") && error.contains("value 2 (power)"), "{error}");
    }

    #[test]
    fn an_operators_profile_takes_the_place_of_an_embedded_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine.yaml"), GOOD.replace("own", "ups-mib")).unwrap();
        std::fs::write(dir.path().join("notes.txt"), "not a profile").unwrap();
        let profiles = Profiles::load(Some(dir.path())).unwrap();
        assert_eq!(profiles.names(), "apc-rpdu2, eaton-epdu, ups-mib");
        assert_eq!(profiles.named("ups-mib").unwrap().about, "a meter");
        // Two files of the operator's with one name are a mistake, in whatever order they are read.
        std::fs::write(dir.path().join("twin.yaml"), GOOD.replace("own", "ups-mib")).unwrap();
        let error = Profiles::load(Some(dir.path())).unwrap_err().to_string();
        assert!(error.contains("twin.yaml: the name ups-mib is already taken by"), "{error}");
        assert!(
            Profiles::load(Some(&dir.path().join("none"))).unwrap_err().problem.starts_with("cannot be read")
        );
    }
}
