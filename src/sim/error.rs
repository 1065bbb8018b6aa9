//! Why the simulated data centre could not start.

use std::path::PathBuf;

/// What stood in the way.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or a unix socket could not be made. A socket's path may hold about 100 bytes at most.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No loopback port could be had.
    #[error("listen on 127.0.0.1: {0}")]
    Listen(#[from] std::io::Error),
    /// A certificate could not be made.
    #[error("make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS refused what was made.
    #[error("set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// An SNMP agent could not be started.
    #[error("start an SNMP agent: {0}")]
    Snmp(#[from] Box<async_snmp::Error>),
    /// An SNMP password was refused.
    #[error("SNMP user: {0}")]
    SnmpUser(#[from] async_snmp::CryptoError),
}

impl StartError {
    /// Names the file in an error about it.
    pub(super) fn at(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        |source| Self::File { path: path.into(), source }
    }
}
