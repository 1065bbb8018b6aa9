//! The libvirt source against a real libvirtd with real QEMU guests, and against a server that misbehaves.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

#[path = "libvirt/details.rs"]
mod details;
#[path = "libvirt/fake.rs"]
mod fake;
#[path = "libvirt/faults.rs"]
mod faults;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/page.rs"]
mod page;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "libvirt/peer.rs"]
mod peer;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/process.rs"]
mod process;
#[path = "libvirt/real.rs"]
mod real;
#[path = "libvirt/slow.rs"]
mod slow;

use std::sync::Arc;
use std::time::Duration;

use wattribute::model::{Clock, SystemClock};
use wattribute::workloads::libvirt::{self, Address, Settings};
use wattribute::workloads::{Source, Usage, Workload};

/// A source of `qemu:///system` at `address`.
fn source(address: Address, call_timeout: Duration) -> Box<dyn Source> {
    source_of(address, "qemu:///system", call_timeout)
}

fn source_of(address: Address, uri: &str, call_timeout: Duration) -> Box<dyn Source> {
    source_by(address, uri, call_timeout, Arc::new(SystemClock::new()))
}

fn source_by(address: Address, uri: &str, call_timeout: Duration, clock: Arc<dyn Clock>) -> Box<dyn Source> {
    libvirt::open(Settings { address, uri: uri.into(), call_timeout }, clock).unwrap()
}

/// The workload that the hypervisor calls `name`.
fn find<'a>(usage: &'a Usage, name: &str) -> &'a Workload {
    usage.workloads.iter().find(|w| w.info.domain == name).unwrap_or_else(|| panic!("no {name} in {usage:?}"))
}
