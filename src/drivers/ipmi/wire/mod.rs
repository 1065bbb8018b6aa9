//! Bytes of IPMI over LAN, both ways, as pure functions. Nothing here knows of sessions over time, sockets or clocks.
//!
//! - [`message`]: a command and its reply with their checksums;
//! - [`bridge`]: a command that the BMC passes on to another controller;
//! - [`packet`]: RMCP and the session headers around it, sealing and opening;
//! - [`setup`]: Open Session and RAKP 1 to 4;
//! - [`legacy`]: what opens a session of IPMI 1.5.

pub mod bridge;
pub mod bytes;
pub mod legacy;
pub mod message;
pub mod packet;
pub mod setup;
