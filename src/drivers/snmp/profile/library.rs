//! The profiles of SNMP devices, and how the one for a device is found.

use std::sync::Arc;

use super::Profile;
use super::check;
use super::schema::RawProfile;
use crate::drivers::profiles::{self, Library};
use crate::drivers::snmp::oid::Oid;

/// Files of the profiles in the binary, with their texts.
pub const BUILT_IN: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/snmp.rs"));

/// Every SNMP profile there is.
pub type Profiles = Library<Profile>;

impl profiles::Profile for Profile {
    const PROTOCOL: &'static str = "snmp";

    fn name(&self) -> &str {
        &self.name
    }

    fn understand(text: &str) -> Result<Self, Vec<String>> {
        if !text.contains(ID) {
            return parse(text);
        }
        let profile = parse(&text.replace(ID, ".0"))?;
        Ok(Self { template: Some(text.to_owned()), ..profile })
    }
}

/// Stands in an object identifier for the number that follows the profile's prefix in a device's `sysObjectID`.
const ID: &str = ".{id}";

fn parse(text: &str) -> Result<Profile, Vec<String>> {
    let raw: RawProfile = profiles::parse(text)?;
    check::profile(raw)
}

impl Profile {
    /// Whether it is another for each `sysObjectID`.
    #[must_use]
    pub const fn depends_on_id(&self) -> bool {
        self.template.is_some()
    }

    /// The profile for a device whose `sysObjectID` is `id`: the same for most, another where object identifiers depend on it.
    #[must_use]
    pub fn for_device(self: &Arc<Self>, id: Option<&Oid>) -> Arc<Self> {
        let prefixes = self.sys_object_ids.iter();
        let part = id.and_then(|id| {
            let longest =
                prefixes.filter(|prefix| id.after(prefix).is_some()).max_by_key(|p| p.arcs().len())?;
            id.after(longest)?.first()
        });
        let (Some(text), Some(part)) = (&self.template, part) else { return Arc::clone(self) };
        // The text was a profile with another number there, so it is one with this number.
        parse(&text.replace(ID, &format!(".{part}"))).map_or_else(|_| Arc::clone(self), Arc::new)
    }
}

impl Library<Profile> {
    /// The profiles that claim a device by what it says of itself, best first: by `sysObjectID`, longest prefix first, then by
    /// `sysDescr`. Those that are a `fallback` stand in their own list.
    #[must_use]
    pub fn claims(&self, id: Option<&Oid>, descr: &str, fallback: bool) -> Vec<Arc<Profile>> {
        let of_kind = || self.iter().filter(|profile| profile.fallback == fallback);
        let longest = |profile: &Profile| {
            let fits = profile
                .sys_object_ids
                .iter()
                .filter(|prefix| id.is_some_and(|id| id.after(prefix).is_some()));
            fits.map(|prefix| prefix.arcs().len()).max()
        };
        let mut by_id: Vec<(usize, &Arc<Profile>)> =
            of_kind().filter_map(|profile| Some((longest(profile)?, profile))).collect();
        by_id.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        let by_descr =
            of_kind().filter(|p| longest(p).is_none() && p.sys_descr.iter().any(|d| d.matches(descr)));
        by_id.into_iter().map(|(_, profile)| profile).chain(by_descr).cloned().collect()
    }

    /// Every probe with its profile, in order of preference.
    pub fn probes(&self) -> impl Iterator<Item = (&Oid, &Arc<Profile>)> {
        self.iter().flat_map(|profile| profile.probes.iter().map(move |probe| (probe, profile)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::Profiles;

    const GOOD: &str = "protocol: snmp\nname: own\nabout: a meter\nmatch: {sys_object_ids: [1.3.6.1.4.1.318.1.3.4]}\nchannels:\n\
                        - {channel: input, values: [{quantity: power, scalar: 1.3.6.1.9.0}]}\n";

    fn oid(text: &str) -> Oid {
        Oid::parse(text).unwrap()
    }

    #[test]
    fn the_longest_prefix_wins() {
        let mut profiles = Profiles::built_in();
        let names = |profiles: &Profiles, id: &str| -> Vec<String> {
            profiles.snmp.claims(Some(&oid(id)), "", false).iter().map(|p| p.name.clone()).collect()
        };
        assert_eq!(names(&profiles, "1.3.6.1.4.1.318.1.3.4.6")[0], "apc-rpdu2");
        assert_eq!(names(&profiles, "1.3.6.1.4.1.534.6.6.7.1")[0], "eaton-epdu");
        profiles.add("own.yaml", &GOOD.replace("318.1.3.4", "318.1.3.4.60")).unwrap();
        // A prefix ends at an arc: 6 is not the beginning of 60.
        assert_eq!(names(&profiles, "1.3.6.1.4.1.318.1.3.4.60.1")[0], "own");
        assert!(!names(&profiles, "1.3.6.1.4.1.318.1.3.4.6").contains(&"own".to_owned()));
    }

    #[test]
    fn no_profile_in_the_binary_files_apparent_power_as_power() {
        // Columns of VA, by their MIBs; LibreNMS files some of them as power.
        let va = [
            "318.1.1.26.4.3.1.16",
            "318.1.1.26.6.3.1.8",
            "318.1.1.12.1.18.0",
            "318.1.1.32.2.4.1.5",
            "534.6.6.7.3.4.1.3",
            "534.6.6.7.3.5.1.3",
            "534.6.6.7.5.5.1.2",
            "534.6.6.7.6.5.1.2",
            "1718.4.1.3.3.1.5",
            "21239.5.2.3.1.1.10",
            "476.1.42.3.8.30.20.1.90",
        ];
        let mut seen = std::collections::BTreeSet::new();
        for value in Profiles::built_in().snmp.iter().flat_map(|p| p.groups.clone()).flat_map(|g| g.values) {
            let (super::super::Place::Column(oid) | super::super::Place::Scalar(oid)) = &value.place;
            if let Some(known) = va.iter().find(|va| oid.to_string() == format!("1.3.6.1.4.1.{va}")) {
                assert_eq!(value.quantity, crate::model::Quantity::ApparentPower, "{oid}");
                seen.insert(*known);
            }
        }
        assert_eq!(seen.len(), va.len(), "{seen:?}");
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
            (
                with("[{quantity: power, column: 1.3.6, where: [{part: 0}]}]"),
                "value 1 (power), where 1: give what must hold: `is`, `not`, `matches` or `absent`",
            ),
            (
                with("[{quantity: power, column: 1.3.6, where: [{column: 1.3, matches: '('}]}]"),
                "where 1: \"(\" is not a regular expression: unclosed group",
            ),
            (
                with("[{quantity: power, column: 1.3.6, decimals: {}}]"),
                "decimals: give either `column` or `scalar`",
            ),
            (
                with("[{quantity: power, scalar: 1.3.6, valid: [9, 1]}]"),
                "the least, must not be above the second",
            ),
            (with("[{quantity: voltage, scalar: 1.3.6, accuracy: 1%}]"), "accuracy is for power only"),
            (with("[{quantity: voltage, scalar: 1.3.6, reverse: export}]"), "reverse is for power only"),
            (
                with("[{quantity: power, column: 1.3.6, reverse: \"x/{m}\"}]"),
                "value 1 (power): reverse: {m} is not in `vars`",
            ),
            (
                with("[{quantity: power, column: 1.3.6}], vars: {n: {part: 0, text: true}}"),
                "a `part` of the index is a number",
            ),
            (
                with("[{quantity: power, column: 1.3.6}], vars: {n: {column: 1.3, pattern: x}}"),
                "`pattern` needs a group",
            ),
            (
                with("[{quantity: power, column: 1.3.6}], vars: {n: {column: 1.3, map: {a: b}}}"),
                "map: \"a\" is not a whole number",
            ),
            (GOOD.replace("about", "accuracy: 1\nabout"), "accuracy: \"1\" is not a class"),
            (GOOD.replace("about", "limits: {max_oids: 99}\nabout"), "limits.max_oids: must be 1 to 48"),
            (GOOD.replace("channels:", "channels: []\nother:"), "other"),
            ("name: [".into(), ""),
            (String::new(), "unexpected end"),
        ] {
            let error = parse(&text).unwrap_err().join("; ");
            assert!(error.contains(expected), "{text}\n{error}\n{expected}");
        }
        // All mistakes at once.
        let error = parse(&with("[{quantity: a, scalar: b}, {quantity: power}]")).unwrap_err().join("; ");
        assert!(error.contains("value 1 (a)") && error.contains("value 2 (power)"), "{error}");
    }

    #[test]
    fn the_schema_accepts_every_profile_and_refuses_what_is_refused() {
        let schema = serde_json::to_value(super::super::schema()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let accepts =
            |text: &str| validator.is_valid(&serde_saphyr::from_str::<serde_json::Value>(text).unwrap());
        for (file, text) in BUILT_IN {
            let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
            let wrong: Vec<String> =
                validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(wrong.is_empty(), "{file}: {wrong:#?}");
        }
        assert!(accepts(GOOD));
        let with = |values: &str| GOOD.replace("[{quantity: power, scalar: 1.3.6.1.9.0}]", values);
        for wrong in [
            GOOD.replace("own", "My Own"),
            GOOD.replace("protocol: snmp", "protocol: modbus"),
            GOOD.replace("about", "abuot"),
            GOOD.replace("about", "accuracy: good\nabout"),
            GOOD.replace("about", "limits: {max_oids: 0}\nabout"),
            with("[]"),
            with("[{quantity: watts, scalar: 1.3.6}]"),
            with("[{quantity: power}]"),
            with("[{quantity: power, scalar: 1.3.6, column: 1.3.6}]"),
            with("[{quantity: power, scalar: 1.3.6, scale: 0}]"),
            with("[{quantity: power, scalar: 1.3.6, valid: [1]}]"),
            with("[{quantity: power, column: 1.3.6, where: [{part: 0}]}]"),
            with("[{quantity: power, column: 1.3.6, decimals: {}}]"),
        ] {
            assert!(!accepts(&wrong), "{wrong}");
            assert!(profiles::Profile::parse(&wrong).map(|_: Profile| ()).is_err(), "{wrong}");
        }
    }
}
