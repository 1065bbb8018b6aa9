//! Serial meters against programs that speak their protocols over real pseudo terminals and sockets, what others read of the same
//! bytes, and every misfortune of a serial line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]
#![allow(missing_docs)]

#[path = "serial/faults.rs"]
mod faults;
#[path = "serial/joules.rs"]
mod joules;
#[path = "serial/kinds.rs"]
mod kinds;
#[path = "serial/rig.rs"]
mod rig;
