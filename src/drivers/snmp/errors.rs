//! What went wrong, in the device's terms and with the fix: the library's errors become [`PollError`]s here only.

use async_snmp::v3::ReportStatus;
use async_snmp::{Error, ErrorStatus};

use super::{Auth, Settings};
use crate::model::{ErrorKind, PollError};

const AGENT_ERROR_FIX: &str =
    "look at the device's log; with `snmpget` against the same address the error shows too";

/// Maps an error of the library. `settings` are only read for what a message may show: no secret goes in.
pub fn map(error: &Error, settings: &Settings) -> PollError {
    match error.exchange_source() {
        Error::SharedOperation { source } => map(source, settings),
        Error::Timeout { .. } | Error::ConstructionTimeout { .. } => timeout(settings, 1),
        Error::Network { source, .. } => PollError::new(
            ErrorKind::Unreachable,
            format!("no way to {}: {source}", settings.address),
            "check the address, the route and the firewall of this machine",
        ),
        Error::Auth { .. } => PollError::new(
            ErrorKind::Auth,
            "the reply does not bear the signature of our authentication password",
            "check the authentication protocol and password; if both are right, something else answers at this address",
        ),
        Error::Report { status, .. } => report(status, settings),
        Error::Snmp { status, .. } => status_error(*status),
        Error::Closed { .. } => PollError::new(
            ErrorKind::Busy,
            "the shared UDP socket was closed",
            "nothing to do: it is opened again with the next poll",
        ),
        Error::WalkAborted { reason, .. } => PollError::new(
            ErrorKind::Protocol,
            format!("the agent's walk does not come to an end: {reason}"),
            "update the device's firmware; lowering `max_oids` to 1 makes walks go step by step (GETNEXT)",
        ),
        Error::OutboundMessageTooLarge { .. } => PollError::new(
            ErrorKind::Protocol,
            "the request does not fit into the message size that the agent allows",
            "lower `max_oids`",
        ),
        // The library's list may grow; whatever else it finds wrong is wrong with the message.
        other => PollError::new(
            ErrorKind::Protocol,
            format!("not an SNMP reply that can be used ({})", other.kind()),
            "check that an SNMP agent of this version answers at this address and port",
        ),
    }
}

/// Silence after a request that was sent so many times.
pub fn timeout(settings: &Settings, sent: usize) -> PollError {
    let cause = format!("no answer from {} after {sent} requests", settings.address);
    let fix = match &settings.auth {
        Auth::V1(_) | Auth::V2c(_) => {
            "check address and port, the community (a wrong one is met with silence), that the agent allows this \
             machine, and that it answers from the address asked"
        }
        Auth::V3 { privacy: Some(_), .. } => {
            "check address and port, that the agent allows this machine, and the privacy protocol and password (many \
             agents meet a wrong one with silence; DES is not supported, choose AES)"
        }
        Auth::V3 { privacy: None, .. } => "check address and port, and that the agent allows this machine",
    };
    PollError::new(ErrorKind::Timeout, cause, fix)
}

fn report(status: &ReportStatus, settings: &Settings) -> PollError {
    let user = match &settings.auth {
        Auth::V3 { user, .. } => user.as_str(),
        Auth::V1(_) | Auth::V2c(_) => "",
    };
    let auth = |cause: String, fix: &str| PollError::new(ErrorKind::Auth, cause, fix);
    match status {
        ReportStatus::UnknownUserName { .. } => auth(
            format!("the device does not know the SNMPv3 user {user:?}"),
            "check `user`, or create this user on the device",
        ),
        ReportStatus::WrongDigest { .. } => auth(
            format!("the device refused the authentication of SNMPv3 user {user:?}"),
            "check the authentication password and protocol",
        ),
        ReportStatus::DecryptionError { .. } => auth(
            format!("the device could not decrypt what SNMPv3 user {user:?} sent"),
            "check the privacy password and protocol (DES is not supported, choose AES)",
        ),
        ReportStatus::UnsupportedSecurityLevel { .. } => auth(
            format!("the device does not let SNMPv3 user {user:?} in at this security level"),
            "set authentication and privacy exactly as the device has them for this user",
        ),
        ReportStatus::NotInTimeWindow { .. } | ReportStatus::UnknownEngineId { .. } => PollError::new(
            ErrorKind::Busy,
            format!("the device's SNMPv3 engine is not in step with us: {status}"),
            "nothing to do once: the engine is learned anew with the next poll; if it stays, two devices share an \
             engine ID or the device loses its boot counter",
        ),
        other => PollError::new(
            ErrorKind::Protocol,
            format!("the device answered with an SNMPv3 report: {other}"),
            "check the context name and the user's access on the device",
        ),
    }
}

fn status_error(status: ErrorStatus) -> PollError {
    match status {
        ErrorStatus::NoAccess | ErrorStatus::AuthorizationError => PollError::new(
            ErrorKind::Auth,
            format!("the device does not let us read: {status}"),
            "give this community or user a view of the whole tree, read-only",
        ),
        ErrorStatus::ResourceUnavailable => {
            PollError::new(ErrorKind::Busy, "the device is busy: resourceUnavailable", AGENT_ERROR_FIX)
        }
        ErrorStatus::TooBig => PollError::new(
            ErrorKind::Protocol,
            "the device answers tooBig even to a request for one variable",
            "update or restart the device",
        ),
        other => PollError::new(
            ErrorKind::Protocol,
            format!("the device answered with error {other}"),
            AGENT_ERROR_FIX,
        ),
    }
}
