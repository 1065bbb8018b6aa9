//! `/probe` of the real binary: against BMCs that others wrote and one that misbehaves, scraped by a real Prometheus. What
//! the devices count of opened and closed sessions shows that nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]

#[path = "probe/exporter.rs"]
mod exporter;
#[path = "probe/ipmi.rs"]
mod ipmi;
#[path = "probe/prometheus.rs"]
mod prometheus;
#[path = "probe/redfish.rs"]
mod redfish;
#[path = "probe/requests.rs"]
mod requests;

#[allow(dead_code, reason = "shared with the Redfish driver's tests")]
#[path = "redfish/bmc.rs"]
mod bmc;
#[allow(dead_code, reason = "shared with the Redfish driver's tests")]
#[path = "redfish/nginx.rs"]
mod nginx;
#[allow(dead_code, reason = "shared with the exporter's tests")]
#[path = "exporter/page.rs"]
mod page;
#[allow(dead_code, reason = "shared with the IPMI driver's tests")]
#[path = "ipmi/peers.rs"]
mod peers;
#[allow(dead_code, reason = "shared with the exporter's tests")]
#[path = "exporter/process.rs"]
mod process;

#[allow(dead_code, reason = "shared with the SNMP driver's tests")]
#[path = "snmp/peers.rs"]
mod snmp;

/// Where the Redfish BMC finds its resources.
mod trees {
    pub fn own_tree() -> std::path::PathBuf {
        crate::process::in_repository("tests/redfish/server")
    }
}
