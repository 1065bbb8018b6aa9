//! Why a call brought nothing, and how that is told to people.

use std::time::Duration;

use super::protocol::{Procedure, RemoteError};
use super::xdr::XdrError;
use crate::model::{ErrorKind, PollError};

/// libvirt's numbers for refused credentials: authentication failed, unavailable, cancelled; operation and access
/// denied.
const AUTH_CODES: [i32; 5] = [45, 79, 80, 29, 88];

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// No answer within the deadline.
    Timeout(Procedure, Duration),
    /// No connection within the deadline.
    ConnectTimeout(Duration),
    /// No connection.
    Unreachable(String),
    /// The connection ended while the call was open, or before.
    Closed(String),
    /// TLS handshake or certificate.
    Tls(String),
    /// Every way to authenticate that the server offers is closed to us.
    Auth(String),
    /// The server spoke something else than the protocol.
    Protocol(String),
    /// The server answered with an error.
    Refused(Procedure, RemoteError),
    /// Too many earlier calls are still open at the server to ask more of it.
    Busy(usize),
}

impl CallError {
    /// A reply that cannot be read.
    #[must_use]
    pub fn unreadable(procedure: Procedure, error: XdrError) -> Self {
        Self::Protocol(format!("its answer to {} cannot be read: {error}", procedure.about()))
    }
}

impl From<CallError> for PollError {
    fn from(error: CallError) -> Self {
        const GUEST: &str =
            "see whether libvirtd hangs or a guest's QEMU is stopped (`virsh list` on the host)";
        match error {
            CallError::Timeout(procedure, after) => Self::new(
                ErrorKind::Timeout,
                format!("libvirtd did not answer within {after:?} when asked for {}", procedure.about()),
                GUEST,
            ),
            CallError::ConnectTimeout(after) => Self::new(
                ErrorKind::Timeout,
                format!("no libvirtd within {after:?}"),
                "check address, firewall and whether libvirtd is overloaded",
            ),
            CallError::Unreachable(cause) => Self::new(
                ErrorKind::Unreachable,
                cause,
                "check that libvirtd listens there and that this user may open the socket",
            ),
            CallError::Closed(cause) => Self::new(
                ErrorKind::Unreachable,
                format!("libvirtd closed the connection: {cause}"),
                "it is restarting, or its log says why",
            ),
            CallError::Tls(cause) => Self::new(
                ErrorKind::Tls,
                cause,
                "check ca_file, the server name in its certificate, and our certificate",
            ),
            CallError::Auth(cause) => Self::new(
                ErrorKind::Auth,
                cause,
                "use the read-only socket (libvirt-sock-ro), or set auth_unix_ro, auth_tcp or auth_tls to \"none\"",
            ),
            CallError::Protocol(cause) => Self::new(
                ErrorKind::Protocol,
                cause,
                "check that the address is libvirtd's (or virtqemud's), not another service's",
            ),
            CallError::Refused(procedure, RemoteError { code, message }) => {
                let cause = format!("libvirtd refused {}: {message} (error {code})", procedure.about());
                if AUTH_CODES.contains(&code) {
                    Self::new(ErrorKind::Auth, cause, "let this user read domains (polkit, libvirtd.conf)")
                } else {
                    Self::new(ErrorKind::Protocol, cause, "check `uri` and libvirtd's log")
                }
            }
            CallError::Busy(open) => {
                Self::new(ErrorKind::Busy, format!("libvirtd still works on {open} earlier calls"), GUEST)
            }
        }
    }
}
