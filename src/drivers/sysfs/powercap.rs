//! Powercap zones: RAPL of Intel and AMD processors, and what else counts energy there.
//!
//! Source: Documentation/ABI/testing/sysfs-class-powercap. A zone is named `CONTROL:N[:M...]` after its control type and its
//! place in the tree; `name` says what it is: `package-0`, `package-0-die-1`, below it `core`, `uncore`, `dram`; `psys` or
//! `psys-1` beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::attribute;
use super::sensor::{Found, Source, Value, channel};
use crate::model::Quantity;

/// RAPL by registers of the processor ...
const RAPL: &str = "intel-rapl";
/// ... and the same counters by memory.
const RAPL_BY_MEMORY: &str = "intel-rapl-mmio";

/// Finds every zone that counts energy or shows power.
pub(super) fn find(root: &Path, found: &mut Found) {
    let zones: Vec<_> = attribute::entries(&root.join("class/powercap"))
        .into_iter()
        .filter(|(id, _)| id.contains(':'))
        .map(|(id, folder)| (id, attribute::name(&folder.join("name")), folder))
        .collect();
    let names: BTreeMap<&str, &str> = zones.iter().map(|(id, name, _)| (&**id, &**name)).collect();
    let mut taken = BTreeSet::new();
    // The registers first: what memory shows of them beside is the same again.
    let by_memory = |id: &str| id.starts_with(RAPL_BY_MEMORY);
    for late in [false, true] {
        for (id, name, folder) in zones.iter().filter(|(id, ..)| by_memory(id) == late) {
            let Some(channel) = channel_name(id, &names).as_deref().and_then(channel) else { continue };
            if !taken.insert(channel.clone()) {
                continue;
            }
            let energy = folder.join("energy_uj");
            let power = folder.join("power_uw");
            if energy.exists() {
                let range =
                    attribute::count(&folder.join("max_energy_range_uj")).ok().filter(|range| *range > 0);
                found.add(&channel, None, Source::Counter { file: energy, range });
            } else if power.exists() {
                found.add(&channel, None, Source::Value(Value::of(power, Quantity::Power, 1e6)));
            } else {
                continue;
            }
            found.name(&channel, name.clone(), None);
        }
    }
}

/// `package/0/dram` from the names of a zone and of those it lies in; none if one of them has no name.
fn channel_name(id: &str, names: &BTreeMap<&str, &str>) -> Option<String> {
    let (control, _) = id.split_once(':')?;
    let mut parts = Vec::new();
    // The zone itself, and each that it lies in: `intel-rapl:0:1`, then `intel-rapl:0`.
    let mut zone = Some(id);
    while let Some(id) = zone.filter(|id| id.contains(':')) {
        let name = *names.get(id).filter(|name| !name.is_empty())?;
        parts.push(if control.starts_with(RAPL) { name.replace('-', "/") } else { name.to_owned() });
        zone = id.rsplit_once(':').map(|(outer, _)| outer);
    }
    if !control.starts_with(RAPL) {
        parts.push(control.to_owned());
    }
    parts.reverse();
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_called_by_what_it_is_and_what_it_lies_in() {
        let names = BTreeMap::from([
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "dram"),
            ("intel-rapl:1", "package-1-die-0"),
            ("intel-rapl:2", "psys-1"),
            ("arm-scmi:0", "soc-power"),
            ("intel-rapl:4:0", "core"),
        ]);
        let name = |id| channel_name(id, &names);
        assert_eq!(name("intel-rapl:0").unwrap(), "package/0");
        assert_eq!(name("intel-rapl:0:0").unwrap(), "package/0/dram");
        assert_eq!(name("intel-rapl:1").unwrap(), "package/1/die/0");
        assert_eq!(name("intel-rapl:2").unwrap(), "psys/1");
        assert_eq!(name("arm-scmi:0").unwrap(), "arm-scmi/soc-power");
        assert_eq!(name("intel-rapl:4:0"), None, "nobody knows what it lies in");
        assert_eq!(name("intel-rapl"), None);
    }
}
