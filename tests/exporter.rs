//! The real binary, whole: against a simulated data centre, a real Prometheus, a real libvirtd with QEMU guests, and
//! devices that are wrong in every way that a configuration cannot tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]

#[path = "exporter/books.rs"]
mod books;
#[path = "exporter/datacenter.rs"]
mod datacenter;
#[path = "exporter/hanging.rs"]
mod hanging;
#[path = "exporter/hypervisor.rs"]
mod hypervisor;
#[path = "exporter/inside.rs"]
mod inside;
#[path = "exporter/lives.rs"]
mod lives;
#[path = "exporter/memory.rs"]
mod memory;
#[path = "exporter/page.rs"]
mod page;
#[path = "exporter/paused.rs"]
mod paused;
#[path = "exporter/process.rs"]
mod process;
#[path = "exporter/prometheus.rs"]
mod prometheus;
#[path = "exporter/room.rs"]
mod room;
#[path = "exporter/wrong.rs"]
mod wrong;

#[allow(dead_code, reason = "shared with the Redfish driver's tests")]
#[path = "redfish/nginx.rs"]
mod nginx;
#[allow(dead_code, reason = "shared with the libvirt source's tests")]
#[path = "libvirt/peer.rs"]
mod peer;
#[allow(dead_code, reason = "shared with the serial driver's tests")]
#[path = "serial/rig.rs"]
mod rig;
#[allow(dead_code, reason = "shared with the SNMP driver's tests")]
#[path = "snmp/peers.rs"]
mod snmp;
