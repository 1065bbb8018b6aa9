//! What is switched off, by name: meters, hosts, whole data centres. Kept over reloads and restarts; a name that is not
//! configured at the moment keeps its switch, since an included file may be missing for a while.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::http::Switch;
use crate::model::{DatacenterId, HostId, MeterId};

/// Most names of a kind: more than anybody configures.
const MAX_NAMES: usize = 1_000_000;

/// What is off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    meters: BTreeSet<String>,
    hosts: BTreeSet<String>,
    datacenters: BTreeSet<String>,
}

/// What was kept cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is switched off cannot be read ({0}); everything is on")]
pub struct Unreadable(String);

impl Switches {
    /// As bytes to keep.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        // Sets of text cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From such bytes.
    ///
    /// # Errors
    /// If they are not such.
    pub fn load(bytes: &[u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(bytes).map_err(|why| Unreadable(why.to_string()))
    }

    /// Switches one; gives whether that changed anything.
    pub(super) fn set(&mut self, what: Switch, name: &str, on: bool) -> bool {
        let names = match what {
            Switch::Device => &mut self.meters,
            Switch::Host => &mut self.hosts,
            Switch::Datacenter => &mut self.datacenters,
        };
        if on {
            return names.remove(name);
        }
        names.len() < MAX_NAMES && names.insert(name.to_owned())
    }

    /// Whether a meter that stands there is on.
    #[must_use]
    pub fn is_meter_on(&self, meter: &MeterId, datacenter: &DatacenterId) -> bool {
        !self.meters.contains(meter.as_str()) && !self.datacenters.contains(datacenter.as_str())
    }

    /// Whether a host that stands there is on.
    #[must_use]
    pub fn is_host_on(&self, host: &HostId, datacenter: &DatacenterId) -> bool {
        !self.hosts.contains(host.as_str()) && !self.datacenters.contains(datacenter.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_kept_and_works_once() {
        let (meter, host) = (MeterId::new("m").unwrap(), HostId::new("h").unwrap());
        let datacenter = DatacenterId::new("dc").unwrap();
        let mut switches = Switches::default();
        assert!(switches.set(Switch::Device, "m", false) && !switches.set(Switch::Device, "m", false));
        assert!(!switches.is_meter_on(&meter, &datacenter) && switches.is_host_on(&host, &datacenter));
        assert!(switches.set(Switch::Datacenter, "dc", false));
        assert!(switches.set(Switch::Device, "m", true));
        assert!(!switches.is_meter_on(&meter, &datacenter), "its building is off");
        assert!(!switches.is_host_on(&host, &datacenter));
        assert_eq!(Switches::load(&switches.save()), Ok(switches));
        assert_eq!(Switches::load(b"{}"), Ok(Switches::default()));
        assert!(Switches::load(b"[1").is_err());
    }
}
