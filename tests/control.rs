//! The running exporter under its operator's hands: a configuration read anew, devices switched off and on, and who may do so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]

#[path = "control/guard.rs"]
mod guard;
#[path = "control/reload.rs"]
mod reload;
#[path = "control/rig.rs"]
mod rig;
#[path = "control/switch.rs"]
mod switch;

#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/page.rs"]
mod page;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/process.rs"]
mod process;
