//! A simulated data centre that speaks the real protocols on loopback: for the demo, for load and for faults.

pub mod endpoint;
pub mod pki;
pub mod redfish;
pub mod snmp;
pub mod world;
