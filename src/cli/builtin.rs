//! What `wattribute serve` runs with where nobody has written a configuration yet: this machine's own sensors, and its control
//! groups as what runs on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{
    Cgroups, ChannelRef, Component, Config, Datacenter, Device, Division, Feed, Host, Hypervisor, Idle,
    Kernel, Meter, Overcommit, Place, Poll, Sysfs,
};
use crate::drivers::sysfs;
use crate::model::ids::IdError;
use crate::model::{DatacenterId, HostId, MeterId, Ratio};
use crate::workloads::cgroup;

/// From one look at the sensors to the next: cheap enough, and a newcomer sees watts at once.
const INTERVAL: Duration = Duration::from_secs(2);

/// A configuration of one meter named `host`, and of one host that is fed by `feed`, if there is any; what runs on it is told by the
/// control groups at `groups`, if there are any.
///
/// # Errors
/// If the machine's name cannot be the name of a host.
pub(super) fn config(
    root: &Path,
    machine: &str,
    feed: Option<sysfs::Feed>,
    groups: Option<&Path>,
) -> Result<Config, IdError> {
    let datacenter = DatacenterId::new("default")?;
    let meter = MeterId::new("host")?;
    let place = Place { file: PathBuf::from("built-in"), line: 1 };
    let host = |feed: sysfs::Feed| -> Result<Host, IdError> {
        let channel = |channel| ChannelRef { meter: meter.clone(), channel };
        Ok(Host {
            id: HostId::new(machine)?,
            place: place.clone(),
            datacenter: datacenter.clone(),
            component: Component::Compute,
            rack: String::new(),
            cluster: String::new(),
            feeds: vec![Feed::Measured(feed.channels.into_iter().map(channel).collect())],
            fallback_after: None,
            division: Division::default(),
            idle: Idle::Learned,
            overcommit: Overcommit { cpu: Ratio::ONE, memory: Ratio::ONE },
            hypervisor: groups.map(|root| Hypervisor::Cgroups(self::groups(root))),
        })
    };
    let hosts = feed.map(host).transpose()?.into_iter().collect();
    let poll = Poll {
        interval: INTERVAL,
        timeout: INTERVAL,
        stale_after: INTERVAL.saturating_mul(3),
        max_gap: INTERVAL.saturating_mul(3),
    };
    Ok(Config {
        datacenters: vec![Datacenter {
            id: datacenter.clone(),
            emission_factors: Vec::new(),
            price: None,
            model: None,
            pool: crate::config::Pool::Host,
            facility: Vec::new(),
        }],
        meters: vec![Meter {
            id: meter.clone(),
            place: place.clone(),
            datacenter: datacenter.clone(),
            poll,
            accuracy: None,
            device: Device::Sysfs(Sysfs { root: root.to_owned() }),
        }],
        hosts,
        tenants: Vec::new(),
        services: Vec::new(),
        probe: None,
        channels: BTreeMap::new(),
        warnings: Vec::new(),
    })
}

/// The control groups at `root`, all of them.
fn groups(root: &Path) -> Cgroups {
    let filter = cgroup::Filter::default();
    Cgroups {
        root: root.to_owned(),
        kernel: Kernel::default(),
        depth: filter.depth,
        include: filter.include,
        exclude: filter.exclude,
        kubernetes: None,
        interval: INTERVAL,
    }
}

/// The same for this machine as it is; says so in the log, and what to do next.
///
/// # Errors
/// As [`config`].
pub(super) fn this_machine(missing: &Path) -> Result<Config, IdError> {
    let root = Path::new(sysfs::ROOT);
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("localhost");
    let feed = sysfs::feed(root);
    tracing::info!(
        "there is no {}: only this machine's own sensors are read, as meter `host`; to meter more, write that file, by \
         docs/configuration.md and `wattribute schema`, and try it with `wattribute check`",
        missing.display()
    );
    match &feed {
        Some(feed) => {
            let channels: Vec<_> = feed.channels.iter().map(|channel| channel.as_str()).collect();
            tracing::info!("host {name} is fed by {}: {}", channels.join(" + "), feed.covers);
        }
        None => tracing::warn!(
            "no sensor that may be read tells what this machine draws, so no host is shown; a BMC, PDU or wattmeter does: \
             name one in a configuration"
        ),
    }
    let groups = Some(Path::new(cgroup::ROOT)).filter(|root| cgroup::is_there(root));
    config(root, name, feed, groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChannelId;

    #[test]
    fn the_host_is_fed_by_what_there_is_and_left_out_where_nothing_is() {
        let feed = sysfs::Feed { channels: vec![ChannelId::new("psys").unwrap()], covers: "all" };
        let groups = Path::new("/sys/fs/cgroup");
        let plan = crate::app::plan(&config(Path::new("/sys"), "node-1", Some(feed), Some(groups)).unwrap());
        assert_eq!(plan.meters.len(), 1);
        assert_eq!(plan.inventory.hosts[0].id.as_str(), "node-1");
        assert_eq!(plan.inventory.hosts[0].feeds.len(), 1);
        assert_eq!(plan.sources.len(), 1);
        let plan = crate::app::plan(&config(Path::new("/sys"), "node-1", None, Some(groups)).unwrap());
        assert_eq!((plan.meters.len(), plan.inventory.hosts.len(), plan.sources.len()), (1, 0, 0));
    }
}
