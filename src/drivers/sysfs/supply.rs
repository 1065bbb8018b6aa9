//! Batteries and plugs of laptops and small machines.
//!
//! Source: Documentation/ABI/testing/sysfs-class-power: µW, µV, µA. A battery's power counts only while it is discharged:
//! then it is what the machine draws; while it is charged it is what goes into the battery.

use std::path::Path;

use super::attribute;
use super::sensor::{Condition, Found, Source, Value, Wanted, channel};
use crate::model::{Quality, Quantity};

const MICRO: f64 = 1e6;

/// Finds every supply of the machine itself, not those of mice and headsets.
pub(super) fn find(root: &Path, found: &mut Found) {
    for (name, folder) in attribute::entries(&root.join("class/power_supply")) {
        if attribute::text(&folder.join("scope")).is_ok_and(|scope| scope == "Device") {
            continue;
        }
        let kind = attribute::name(&folder.join("type"));
        match kind.as_str() {
            "Battery" | "UPS" => battery(&name, &folder, found),
            "Mains" => plug("mains", &name, &folder, Quality::Measured, found),
            // A USB port shows what was agreed with the charger, not what flows.
            kind if kind.starts_with("USB") => plug("usb", &name, &folder, Quality::Estimated, found),
            _other => {}
        }
    }
}

fn battery(name: &str, folder: &Path, found: &mut Found) {
    let Some(channel) = channel(&format!("battery/{name}")) else { return };
    let value =
        |file: &str, quantity| Value { unsigned: true, ..Value::of(folder.join(file), quantity, MICRO) };
    let discharging = || Some(Condition { file: folder.join("status"), wanted: Wanted::Is("Discharging") });
    let has = |file: &str| folder.join(file).exists();
    let (volts, amperes) = (value("voltage_now", Quantity::Voltage), value("current_now", Quantity::Current));
    if has("power_now") {
        found.add(&channel, discharging(), Source::Value(value("power_now", Quantity::Power)));
    } else if has("voltage_now") && has("current_now") {
        let (amperes, volts) = (amperes.clone(), volts.clone());
        found.add(&channel, discharging(), Source::Product { amperes, volts });
    }
    if has("voltage_now") {
        found.add(&channel, None, Source::Value(volts));
    }
    if has("current_now") {
        found.add(&channel, None, Source::Value(amperes));
    }
    let model = [attribute::name(&folder.join("manufacturer")), attribute::name(&folder.join("model_name"))];
    found.name(&channel, model.join(" ").trim().to_owned(), None);
}

fn plug(kind: &str, name: &str, folder: &Path, quality: Quality, found: &mut Found) {
    let Some(channel) = channel(&format!("{kind}/{name}")) else { return };
    let online = folder.join("online");
    let plugged = online.exists().then(|| Condition { file: online.clone(), wanted: Wanted::IsNot("0") });
    for (file, quantity) in [("voltage_now", Quantity::Voltage), ("current_now", Quantity::Current)] {
        let file = folder.join(file);
        if file.exists() {
            let value = Value { unsigned: true, quality, ..Value::of(file, quantity, MICRO) };
            found.add(&channel, plugged.clone(), Source::Value(value));
        }
    }
}
