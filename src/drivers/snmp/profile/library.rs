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

    fn parse(text: &str) -> Result<Self, String> {
        let raw: RawProfile = profiles::parse(text)?;
        check::profile(raw).map_err(|all| all.join("; "))
    }
}

impl Library<Profile> {
    /// The profile with the longest `sysObjectID` prefix of `id`.
    #[must_use]
    pub fn for_sys_object_id(&self, id: &Oid) -> Option<&Arc<Profile>> {
        let prefixes = self.iter().flat_map(|p| p.sys_object_ids.iter().map(move |prefix| (prefix, p)));
        let fits = prefixes.filter(|(prefix, _)| id.after(prefix).is_some());
        fits.max_by_key(|(prefix, _)| prefix.arcs().len()).map(|(_, profile)| profile)
    }

    /// Every probe with its profile, in order of preference.
    pub fn probes(&self) -> impl Iterator<Item = (&Oid, &Arc<Profile>)> {
        let (fallback, special): (Vec<_>, Vec<_>) = self.iter().partition(|profile| profile.fallback);
        special
            .into_iter()
            .chain(fallback)
            .flat_map(|profile| profile.probes.iter().map(move |probe| (probe, profile)))
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

    fn parse(text: &str) -> Result<Profile, String> {
        <Profile as profiles::Profile>::parse(text)
    }

    #[test]
    fn the_longest_prefix_wins() {
        let mut profiles = Profiles::built_in();
        let name =
            |profiles: &Profiles, id: &str| profiles.snmp.for_sys_object_id(&oid(id)).map(|p| p.name.clone());
        assert_eq!(name(&profiles, "1.3.6.1.4.1.318.1.3.4.6").as_deref(), Some("apc-rpdu2"));
        assert_eq!(name(&profiles, "1.3.6.1.4.1.534.6.6.7.1").as_deref(), Some("eaton-epdu"));
        assert_eq!(name(&profiles, "1.3.6.1.4.1.318.1.3.4.60"), None);
        profiles.add("own.yaml", GOOD).unwrap();
        assert_eq!(name(&profiles, "1.3.6.1.4.1.318.1.3.4.60").as_deref(), Some("own"));
        assert_eq!(name(&profiles, "1.3.6.1.4.1.318.1.3.4.6").as_deref(), Some("apc-rpdu2"));
    }

    #[test]
    fn no_embedded_profile_files_apparent_power_as_power() {
        // The columns of VA in the three MIBs.
        let va =
            ["26.4.3.1.16", "26.6.3.1.8", "12.1.18.0", "7.3.4.1.3", "7.3.5.1.3", "7.5.5.1.2", "7.6.5.1.2"];
        let mut seen = 0;
        for value in Profiles::built_in().snmp.iter().flat_map(|p| p.groups.clone()).flat_map(|g| g.values) {
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
            ("name: [".into(), ""),
            (String::new(), "protocol"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{text}\n{error}\n{expected}");
        }
        // All mistakes at once.
        let error = parse(&with("[{quantity: a, scalar: b}, {quantity: power}]")).unwrap_err();
        assert!(error.contains("value 1 (a)") && error.contains("value 2 (power)"), "{error}");
    }
}
