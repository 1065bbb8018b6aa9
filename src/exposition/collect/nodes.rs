//! What hosts say that they are: every family of a node, of those heard from.

use super::super::catalog::{self, Family};
use super::super::encode::{Encoder, Value};
use crate::attribution::ledger::Ledger;
use crate::model::{LabelSet, Moment};
use crate::workloads::{Node, Traffic};

/// Writes all families of nodes.
pub(super) fn write(page: &mut Encoder, ledger: &Ledger, now: Moment) {
    let nodes: Vec<(&LabelSet, &Node)> = ledger
        .hosts()
        .iter()
        .filter(|host| host.is_heard(now))
        .filter_map(|host| Some((host.place(), host.node()?)))
        .collect();
    infos(page, ledger, now);
    let bytes_per_second = |bits: u64| bits as f64 / 8.0;
    each(page, &catalog::NODE_CPUS, &nodes, |node| Some(node.cpus));
    each(page, &catalog::NODE_THREADS_PER_CORE, &nodes, |node| {
        Some(node.facts.threads_per_core).filter(|threads| *threads > 0)
    });
    each(page, &catalog::NODE_CPU_HERTZ, &nodes, |node| Some(u64::from(node.mhz?) * 1_000_000));
    each(page, &catalog::NODE_MEMORY_BYTES, &nodes, |node| Some(node.memory_bytes));
    each(page, &catalog::NODE_FREE_MEMORY_BYTES, &nodes, |node| node.free_memory_bytes);
    type Of = fn(Traffic) -> u64;
    let counters: [(_, Of); 4] = [
        (&catalog::NODE_NETWORK_RECEIVE_BYTES_TOTAL, |t| t.received_bytes),
        (&catalog::NODE_NETWORK_TRANSMIT_BYTES_TOTAL, |t| t.sent_bytes),
        (&catalog::NODE_NETWORK_RECEIVE_PACKETS_TOTAL, |t| t.received_packets),
        (&catalog::NODE_NETWORK_TRANSMIT_PACKETS_TOTAL, |t| t.sent_packets),
    ];
    for (family, of) in counters {
        each(page, family, &nodes, |node| node.network.map(of));
    }
    each(page, &catalog::NODE_LINK_BYTES_PER_SECOND, &nodes, |node| {
        node.facts.link_bits_per_second.map(bytes_per_second)
    });
    each(page, &catalog::NODE_DISK_CAPACITY_BYTES, &nodes, |node| node.disk.map(|disk| disk.capacity));
    each(page, &catalog::NODE_DISK_ALLOCATED_BYTES, &nodes, |node| node.disk.map(|disk| disk.taken));
}

/// One family: a sample of each node that knows its value.
fn each<V: Into<Value>>(
    page: &mut Encoder,
    family: &'static Family,
    nodes: &[(&LabelSet, &Node)],
    of: impl Fn(&Node) -> Option<V>,
) {
    let mut family = page.family(family);
    for (place, node) in nodes {
        if let Some(value) = of(node) {
            family.sample(place, value);
        }
    }
}

/// Rendered anew at each page, unlike those of workloads: a host has few.
fn infos(page: &mut Encoder, ledger: &Ledger, now: Moment) {
    let heard = || ledger.hosts().iter().filter(|h| h.is_heard(now)).filter_map(|h| Some((h, h.node()?)));
    let mut info = page.family(&catalog::NODE_INFO);
    for (host, node) in heard() {
        let facts = &node.facts;
        if [&facts.hostname, &facts.architecture, &facts.processor_model].iter().any(|text| !text.is_empty())
        {
            info.info(&LabelSet::new(&[
                ("datacenter", host.host().datacenter.as_str()),
                ("host", host.host().id.as_str()),
                ("hostname", &facts.hostname),
                ("architecture", &facts.architecture),
                ("processor_model", &facts.processor_model),
            ]));
        }
    }
    let mut address = page.family(&catalog::NODE_ADDRESS_INFO);
    for (host, node) in heard() {
        let mut addresses = node.facts.addresses.clone();
        addresses.sort_unstable();
        addresses.dedup();
        for one in addresses {
            address.info(&LabelSet::new(&[
                ("datacenter", host.host().datacenter.as_str()),
                ("host", host.host().id.as_str()),
                ("address", &one.to_string()),
            ]));
        }
    }
}
