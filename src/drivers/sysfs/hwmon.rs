//! hwmon chips that measure power, energy or current: the ACPI power meter, PMBus supplies, shunts, graphics cards.
//!
//! Source: Documentation/hwmon/sysfs-interface.rst: µW, µJ, mV, mA, thousandths of a degree. Chips that only know voltages
//! and temperatures (mainboards, disks, network cards) say nothing about power, and are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::attribute;
use super::sensor::{Condition, Found, Source, Value, Wanted, channel, link_name};
use crate::model::{Accuracy, Quantity, Ratio, Watts};

/// The ACPI power meter's name for itself.
const ACPI_METER: &str = "power_meter";

/// What a sensor of a chip measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Power,
    Energy,
    Current,
    Voltage,
    Temperature,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Power, Self::Energy, Self::Current, Self::Voltage, Self::Temperature];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Energy => "energy",
            Self::Current => "curr",
            Self::Voltage => "in",
            Self::Temperature => "temp",
        }
    }

    /// Whether a chip that has it is one of ours.
    const fn counts(self) -> bool {
        match self {
            Self::Power | Self::Energy | Self::Current => true,
            Self::Voltage | Self::Temperature => false,
        }
    }
}

/// Finds the sensors of every chip.
pub(super) fn find(root: &Path, found: &mut Found) {
    for (_, folder) in attribute::entries(&root.join("class/hwmon")) {
        // Older drivers keep their attributes with the device.
        let folder = if sensors(&folder).is_empty() { folder.join("device") } else { folder };
        chip(&folder, found);
    }
}

/// The channel of each ACPI power meter.
pub(super) fn is_acpi_meter(channel: &str) -> bool {
    channel.starts_with(ACPI_METER)
}

fn chip(folder: &Path, found: &mut Found) {
    let sensors = sensors(folder);
    if !sensors.keys().any(|(kind, _)| kind.counts()) || is_power_supply(folder) {
        return;
    }
    let inside = folder.file_name().is_some_and(|name| name == "device");
    let (named, device) = if inside {
        let above = folder.parent().unwrap_or(folder);
        (if folder.join("name").exists() { folder } else { above }, folder.to_owned())
    } else {
        (folder, folder.join("device"))
    };
    let mut base = attribute::name(&named.join("name"));
    if let Some(address) = link_name(&device) {
        base = format!("{base}@{address}");
    }
    for ((kind, number), suffixes) in &sensors {
        let stem = format!("{}{number}", kind.prefix());
        let label = attribute::name(&folder.join(format!("{stem}_label")));
        let Some(channel) = channel(&format!("{base}/{}", rail(&label).unwrap_or(&stem))) else { continue };
        let fault = format!("{stem}_fault");
        let condition = suffixes
            .contains("fault")
            .then(|| Condition { file: folder.join(fault), wanted: Wanted::Is("0") });
        found.add(&channel, condition, source(folder, *kind, &stem, suffixes));
        if *kind == Kind::Power {
            let oem = attribute::name(&folder.join(format!("{stem}_oem_info")));
            let name = if label.is_empty() { oem } else { label };
            found.name(&channel, name, accuracy(&folder.join(format!("{stem}_accuracy"))));
        } else {
            found.name(&channel, label, None);
        }
    }
}

fn source(folder: &Path, kind: Kind, stem: &str, suffixes: &BTreeSet<String>) -> Source {
    let file = |suffix: &str| folder.join(format!("{stem}_{suffix}"));
    let value = |quantity, per_unit| Source::Value(Value::of(file("input"), quantity, per_unit));
    match kind {
        Kind::Power => {
            // The mean of an interval says more of energy than an instant does.
            let files: Vec<PathBuf> =
                ["average", "input"].iter().filter(|s| suffixes.contains(**s)).map(|s| file(s)).collect();
            Source::Value(Value { files, ..Value::of(PathBuf::new(), Quantity::Power, 1e6) })
        }
        Kind::Energy => Source::Counter { file: file("input"), range: None },
        Kind::Current => value(Quantity::Current, 1e3),
        Kind::Voltage => value(Quantity::Voltage, 1e3),
        Kind::Temperature => value(Quantity::Temperature, 1e3),
    }
}

/// The sensors of a chip that have a value, each with the attributes it has.
fn sensors(folder: &Path) -> BTreeMap<(Kind, u32), BTreeSet<String>> {
    let mut sensors: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for (name, _) in attribute::entries(folder) {
        if let Some((kind, number, suffix)) = parse(&name) {
            sensors.entry((kind, number)).or_default().insert(suffix.to_owned());
        }
    }
    sensors
        .retain(|(kind, _), has| has.contains("input") || (*kind == Kind::Power && has.contains("average")));
    sensors
}

/// `power1_average` into kind, number and the rest.
fn parse(name: &str) -> Option<(Kind, u32, &str)> {
    let (stem, suffix) = name.split_once('_')?;
    let digits = stem.find(|c: char| c.is_ascii_digit())?;
    let (prefix, number) = stem.split_at_checked(digits)?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.prefix() == prefix)?;
    Some((kind, number.parse().ok()?, suffix))
}

/// `vin`, `iin`, `pin` and `vout1`, `iout1`, `pout1` are one point each, by PMBus' own names.
fn rail(label: &str) -> Option<&str> {
    let rail = label.strip_prefix(['v', 'i', 'p'])?;
    let digits = rail.strip_prefix("in").or_else(|| rail.strip_prefix("out"))?;
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(rail)
}

/// Batteries show themselves here as well: they are read where they are at home.
fn is_power_supply(folder: &Path) -> bool {
    [folder.join("device/uevent"), folder.join("uevent")]
        .iter()
        .any(|file| attribute::text(file).is_ok_and(|text| text.contains("POWER_SUPPLY_NAME=")))
}

/// `90.5%`: how much of the truth it shows, by ACPI; what is left of it may be wrong.
fn accuracy(file: &Path) -> Option<Accuracy> {
    let text = attribute::text(file).ok()?;
    let share: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
    if !(share > 0.0 && share <= 100.0) {
        return None;
    }
    // Rounded, since 100 - 99.9 is not 0.1 in binary.
    let off = ((100.0 - share) * 1e4).round() / 1e6;
    Some(Accuracy { share: Ratio::new(off).ok()?, step: Watts::ZERO })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_known_by_their_names() {
        assert_eq!(parse("power1_average"), Some((Kind::Power, 1, "average")));
        assert_eq!(parse("in0_input"), Some((Kind::Voltage, 0, "input")));
        assert_eq!(parse("power1_average_interval"), Some((Kind::Power, 1, "average_interval")));
        for other in ["name", "fan1_input", "intrusion0_alarm", "power_state", "temp1", "in99999999999_input"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_rails_of_a_supply_are_one_point_each() {
        assert_eq!(rail("pin"), Some("in"));
        assert_eq!(rail("vout12"), Some("out12"));
        for other in ["PPT", "vddgfx", "inlet", "pinch", ""] {
            assert_eq!(rail(other), None, "{other}");
        }
    }
}
