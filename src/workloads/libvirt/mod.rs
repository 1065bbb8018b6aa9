//! libvirt over its own remote protocol (XDR on a unix socket, TCP or TLS), without the C library.
//!
//! ```text
//! transport (bytes) -> client (frames, matching, keepalive) -> link (typed calls) -> cpu (who is asked, and how)
//!                                                                                 \-> source (one sample)
//! ```
//!
//! `xdr`, `protocol`, `stats` and `xml` are pure: bytes in, values out. `quarantine` and `descriptions` keep the books.
//! Only reading: the driver is opened read-only, and no procedure here changes a domain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Source;
use crate::model::{Clock, PollError};

mod budget;
mod client;
mod cpu;
mod descriptions;
mod error;
mod link;
mod protocol;
mod quarantine;
mod source;
mod stats;
mod transport;
mod xdr;
mod xml;

#[cfg(test)]
mod tests;
