//! libvirt over its own remote protocol (XDR on a unix socket, TCP or TLS), without the C library.
//!
//! ```text
//! transport (bytes) -> client (frames, matching, keepalive) -> link (typed calls) -> ask (who is asked for, and how)
//!                                                  source (one sample) <- ask for CPU times; errand <- ask for the rest
//! ```
//!
//! `xdr`, `protocol`, `stats`, `node`, `xml` and `details` are pure: bytes in, values out. `quarantine` and `descriptions` keep
//! the books.
//! Only reading: the driver is opened read-only, and no procedure here changes a domain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Source;
use crate::model::{Clock, PollError};

mod ask;
mod budget;
mod client;
mod descriptions;
mod details;
mod errand;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod link;
mod node;
mod protocol;
mod quarantine;
mod source;
mod stats;
mod transport;
mod xdr;
mod xml;

#[cfg(test)]
mod tests;

/// Value of the `driver` label.
pub const NAME: &str = "libvirt";

/// Where libvirtd listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A unix socket; the read-only one is enough.
    Unix(PathBuf),
    /// Plain TCP, `host:port`. Loopback or a trusted network only.
    Tcp(String),
    /// TLS.
    Tls {
        /// `host:port`.
        endpoint: String,
        /// Authorities that may sign the server's certificate, PEM.
        ca_file: PathBuf,
        /// Our certificate and key, PEM, where the server asks for one.
        identity: Option<(PathBuf, PathBuf)>,
    },
}

/// All that the source needs to know of one hypervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where libvirtd listens.
    pub address: Address,
    /// The driver's URI at the server: `qemu:///system`.
    pub uri: String,
    /// The longest one call may take. A whole sample takes at most three times as long, so give it that.
    pub call_timeout: Duration,
}

/// Builds the source; opens no connection yet.
///
/// # Errors
/// `Tls` when a certificate or key file cannot be read or used.
pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Box<dyn Source>, PollError> {
    let transport = transport::Transport::new(&settings.address)?;
    let gate = ask::Gate::new(transport, settings.uri, link::Events::Wanted);
    Ok(Box::new(source::Libvirt::new(gate, settings.call_timeout, clock)))
}
