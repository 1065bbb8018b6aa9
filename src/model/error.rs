//! Why a poll failed: a closed kind, which feeds the `result` label, and a message that names cause and fix.

use std::fmt;

/// The closed list of reasons. [`ErrorKind::label`] is the value of the `result` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// No answer within the deadline.
    Timeout,
    /// No connection: refused, no route, name not found.
    Unreachable,
    /// The device refused the credentials. Retried after a long pause, since BMCs lock accounts.
    Auth,
    /// The TLS handshake or the check of the certificate failed.
    Tls,
    /// The device answered with something that is not its protocol, or more of it than allowed.
    Protocol,
    /// The device answered well, but has no reading to give.
    NoReading,
    /// The device is there but not ready: restarting, or its session table is full.
    Busy,
}

impl ErrorKind {
    /// Every kind, so that counters can start at 0.
    pub const ALL: [Self; 7] = [
        Self::Timeout,
        Self::Unreachable,
        Self::Auth,
        Self::Tls,
        Self::Protocol,
        Self::NoReading,
        Self::Busy,
    ];

    /// The value of the `result` label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Auth => "auth",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::NoReading => "no_reading",
            Self::Busy => "busy",
        }
    }
}

/// A poll that brought no batch. Shown to people as `DEVICE (DRIVER ADDRESS): cause; fix`, where the caller adds
/// the device. Neither part may ever hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollError {
    /// Which of the closed reasons.
    pub kind: ErrorKind,
    /// What went wrong, in the device's own terms.
    pub cause: String,
    /// What a person should do about it.
    pub fix: String,
}

impl PollError {
    /// Puts the three parts together.
    pub fn new(kind: ErrorKind, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { kind, cause: cause.into(), fix: fix.into() }
    }
}

impl fmt::Display for PollError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.fix)
    }
}

impl std::error::Error for PollError {}
