//! Pools: all hosts of a cluster take part in one, by the one model that has a meaning there.

use std::collections::BTreeMap;

use super::{Check, entries};
use crate::config::leaf::Name;
use crate::config::load::Documents;
use crate::config::problem::Mark;
use crate::config::types::{Datacenter, Host, Model, Pool};
use crate::model::DatacenterId;

/// With whose energy a host's is pooled: as it says, or as its data centre does, where it stands in a cluster.
pub(crate) fn pool_of(host: &Host, datacenters: &[Datacenter]) -> Pool {
    let of_all = || datacenters.iter().find(|d| d.id == host.datacenter).map(|d| d.pool);
    match host.division.pool {
        Some(said) => said,
        None if host.cluster.is_empty() => Pool::Host,
        None => of_all().unwrap_or_default(),
    }
}

impl Check<'_> {
    /// Checks that every cluster is pooled as a whole, or not at all.
    pub(super) fn pools(&self, documents: &Documents, datacenters: &[Datacenter], hosts: &[Host]) {
        let marks: BTreeMap<&str, Mark> = entries(documents, |part| &part.hosts)
            .filter_map(|(raw, at, _)| raw.name.get().map(|Name(name)| (name.as_str(), at)))
            .collect();
        let mut alone: BTreeMap<(&DatacenterId, &str), &Host> = BTreeMap::new();
        for host in hosts.iter().filter(|h| pool_of(h, datacenters) == Pool::Host) {
            alone.entry((&host.datacenter, &host.cluster)).or_insert(host);
        }
        for host in hosts.iter().filter(|h| pool_of(h, datacenters) == Pool::Cluster) {
            let Some(at) = marks.get(host.id.as_str()).copied() else { continue };
            let of_all = || datacenters.iter().find(|d| d.id == host.datacenter).and_then(|d| d.model);
            if host.division.model.or_else(of_all) != Some(Model::PowerFactorVcores) {
                let what = "`pool: cluster` without `model: power-factor-vcores`";
                self.error(at, what, "write that model, or `pool: host`");
            }
            if host.cluster.is_empty() {
                self.error(
                    at,
                    "`pool: cluster` without a cluster",
                    "name its `cluster`, or write `pool: host`",
                );
            } else if let Some(other) = alone.get(&(&host.datacenter, host.cluster.as_str())) {
                let what = format!("cluster {} is pooled, but not its host {}", host.cluster, other.id);
                self.error(at, what, "write `pool: cluster` for all of its hosts, or for none");
            }
            if !host.division.gpus.is_empty() {
                let what = "`gpus` of a host whose energy is pooled";
                self.error(at, what, "remove `gpus`, which are given to their VMs, or write `pool: host`");
            }
        }
    }
}
