//! Every family of a VM: gauges of those that are there, counters also of those that left a moment ago.

use std::time::Duration;

use super::super::catalog::{self, Family};
use super::super::encode::{Encoder, Value};
use super::{present, shown};
use crate::attribution::host::HostAccount;
use crate::attribution::ledger::Ledger;
use crate::attribution::workload::WorkloadAccount;
use crate::model::Moment;
use crate::workloads::{DiskIo, State, Traffic, WorkloadKind};

type Vm<'a> = (&'a HostAccount, &'a WorkloadAccount);

/// Writes all families of VMs.
pub(super) fn write(page: &mut Encoder, ledger: &Ledger, now: Moment) {
    let is_vm = |(_, workload): &Vm<'_>| workload.info().kind == WorkloadKind::Vm;
    let there: Vec<_> = present(ledger, now).filter(is_vm).collect();
    let shown: Vec<_> = shown(ledger, now).filter(is_vm).collect();
    let mut state = page.family(&catalog::VM_STATE);
    for (workload, is) in there.iter().filter_map(|(_, w)| Some((w, w.state()?))) {
        state.sample_with(workload.labels(), state_label(is), 1u32);
    }
    let mut address = page.family(&catalog::VM_ADDRESS_INFO);
    there.iter().flat_map(|(_, w)| w.address_labels()).for_each(|labels| address.info(labels));
    each(page, &catalog::VM_VCPUS, &there, |(_, w)| Some(w.held().vcpus));
    each(page, &catalog::VM_CPU_HERTZ, &there, |(host, _)| Some(u64::from(host.node()?.mhz?) * 1_000_000));
    each(page, &catalog::VM_CPU_ALLOCATED_CPUS, &there, |(_, w)| w.observed().latest().cpu_allocated);
    each(page, &catalog::VM_CPU_SECONDS_TOTAL, &shown, |(_, w)| {
        w.cpu_total().map(|cpu| Duration::from_nanos(cpu.0))
    });
    memory_and_disks(page, &there);
    counters(page, &shown);
}

fn memory_and_disks(page: &mut Encoder, there: &[Vm<'_>]) {
    each(page, &catalog::VM_MEMORY_BYTES, there, |(_, w)| Some(w.held().memory_kib.saturating_mul(1024)));
    each(page, &catalog::VM_RESIDENT_MEMORY_BYTES, there, |(_, w)| {
        w.observed().latest().resident_memory_bytes
    });
    each(page, &catalog::VM_USED_MEMORY_BYTES, there, |(_, w)| w.observed().latest().used_memory_bytes);
    each(page, &catalog::VM_DISK_CAPACITY_BYTES, there, |(_, w)| {
        w.observed().latest().disk.map(|disk| disk.capacity)
    });
    each(page, &catalog::VM_DISK_ALLOCATED_BYTES, there, |(_, w)| {
        w.observed().latest().disk.map(|disk| disk.taken)
    });
}

fn counters(page: &mut Encoder, shown: &[Vm<'_>]) {
    type OfTraffic = fn(Traffic) -> u64;
    type OfIo = fn(DiskIo) -> u64;
    let network: [(_, OfTraffic); 4] = [
        (&catalog::VM_NETWORK_RECEIVE_BYTES_TOTAL, |t| t.received_bytes),
        (&catalog::VM_NETWORK_TRANSMIT_BYTES_TOTAL, |t| t.sent_bytes),
        (&catalog::VM_NETWORK_RECEIVE_PACKETS_TOTAL, |t| t.received_packets),
        (&catalog::VM_NETWORK_TRANSMIT_PACKETS_TOTAL, |t| t.sent_packets),
    ];
    for (family, of) in network {
        each(page, family, shown, |(_, w)| w.observed().network().map(of));
    }
    let io: [(_, OfIo); 4] = [
        (&catalog::VM_DISK_READ_BYTES_TOTAL, |io| io.read_bytes),
        (&catalog::VM_DISK_WRITTEN_BYTES_TOTAL, |io| io.written_bytes),
        (&catalog::VM_DISK_READS_TOTAL, |io| io.reads),
        (&catalog::VM_DISK_WRITES_TOTAL, |io| io.writes),
    ];
    for (family, of) in io {
        each(page, family, shown, |(_, w)| w.observed().io().map(of));
    }
}

/// One family: a sample of each VM of which its value is known.
fn each<V: Into<Value>>(
    page: &mut Encoder,
    family: &'static Family,
    vms: &[Vm<'_>],
    of: impl Fn(&Vm<'_>) -> Option<V>,
) {
    let mut family = page.family(family);
    for vm in vms {
        if let Some(value) = of(vm) {
            family.sample(vm.1.labels(), value);
        }
    }
}

const fn state_label(state: State) -> &'static str {
    match state {
        State::NoState => "state=\"nostate\"",
        State::Running => "state=\"running\"",
        State::Blocked => "state=\"blocked\"",
        State::Paused => "state=\"paused\"",
        State::ShuttingDown => "state=\"shutdown\"",
        State::ShutOff => "state=\"shutoff\"",
        State::Crashed => "state=\"crashed\"",
        State::Suspended => "state=\"pmsuspended\"",
    }
}
