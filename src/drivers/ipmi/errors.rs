//! What went wrong, in the device's terms and with the fix: session faults and completion codes become [`PollError`]s
//! here only.

use super::Settings;
use super::authcode::Authentication;
use super::commands::{Code, No};
use super::privilege::{Need, Privilege};
use super::session::{Fault, Step};
use super::wire::setup::Status;
use crate::model::{ErrorKind, PollError};

/// What can stop a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The session is gone, or never came.
    Session(Fault),
    /// The BMC lets only a higher level do this, which may be had in another session.
    Privilege(Need),
    /// There is no way to the device at all.
    Other(PollError),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Privilege(need) => Self::Privilege(need),
            other => Self::Session(other),
        }
    }
}

impl Trouble {
    /// For people. `settings` are only read for what a message may show: no secret goes in.
    pub fn explain(self, settings: &Settings) -> PollError {
        match self {
            Self::Session(fault) => session(&fault, settings),
            Self::Privilege(need) => session(&Fault::Privilege(need), settings),
            Self::Other(error) => error,
        }
    }
}

fn session(fault: &Fault, settings: &Settings) -> PollError {
    match fault {
        Fault::Silence(step) => silence(*step, settings),
        Fault::Refused(step, status) => refused(*step, *status, settings),
        Fault::NoSuite(offered) => PollError::new(
            ErrorKind::Auth,
            format!("the BMC offers none of the cipher suites {}, but {}", allowed(settings), list(offered)),
            "allow one that it offers in `cipher_suites`, or update its firmware; a suite that worked before is never \
             given up for a weaker one without a restart of this program",
        ),
        Fault::OtherSuite => PollError::new(
            ErrorKind::Protocol,
            "the BMC chose other algorithms than it was asked for",
            "update its firmware, or allow only the suite that it supports in `cipher_suites`",
        ),
        Fault::LegacyOnly(accepted) => legacy_only(accepted),
        Fault::Denied(step, code) => denied(*step, *code, settings),
        Fault::OtherTerms => PollError::new(
            ErrorKind::Protocol,
            "the BMC opened a session of IPMI 1.5 with another authentication than it was asked for, or without an id",
            "update its firmware, or allow the other authentication only in `allow_ipmi_1_5`",
        ),
        Fault::NotRaised(level, code) => PollError::new(
            ErrorKind::Auth,
            format!("the BMC does not raise the session to {} ({code:02X}h)", level.name()),
            "give the user this privilege level on the LAN channel, or ask for less with `privilege`",
        ),
        Fault::Privilege(_) => nothing("a command", No::Code(Code::PRIVILEGE), settings),
        Fault::Password => PollError::new(
            ErrorKind::Auth,
            format!("the BMC's key exchange was not made with our password for user {:?}", settings.user),
            "check `username` and the password; if both are right, something else answers at this address",
        ),
        Fault::BmcKey => PollError::new(
            ErrorKind::Auth,
            "the BMC's last key exchange message was not made with our BMC key (K_G)",
            "set `bmc_key_file` to the key that the BMC has, or leave it out where it has none",
        ),
        Fault::Interface(why) => PollError::new(
            ErrorKind::Unreachable,
            format!("the kernel's IPMI device failed: {why}"),
            "look at the kernel's log for ipmi; if the BMC hangs, restart it",
        ),
        Fault::NoRandom => PollError::new(
            ErrorKind::Unreachable,
            "this machine's operating system gives no random numbers",
            "look at this machine: nothing is wrong with the BMC",
        ),
    }
}

fn legacy_only(accepted: &[Authentication]) -> PollError {
    let names: Vec<_> = accepted.iter().map(|how| how.name().to_lowercase()).collect();
    let cause = "the BMC says that it speaks IPMI 1.5 only, and is silent where IPMI 2.0 opens a session";
    let fix = if names.is_empty() {
        "update its firmware; it offers no authentication that this program has".to_owned()
    } else {
        let names = names.join(", ");
        format!(
            "update its firmware; or allow what it offers, which encrypts nothing: `allow_ipmi_1_5: [{names}]`"
        )
    };
    PollError::new(ErrorKind::Protocol, cause, fix)
}

fn allowed(settings: &Settings) -> String {
    list(&settings.suites.iter().map(|suite| suite.id()).collect::<Vec<_>>())
}

fn list(suites: &[u8]) -> String {
    if suites.is_empty() {
        return "none that it names".to_owned();
    }
    suites.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}

fn silence(step: Step, settings: &Settings) -> PollError {
    let tries = settings.retries.saturating_add(1);
    let (cause, fix) = match step {
        Step::Greeting => (
            format!("no answer from {} after {tries} requests", settings.address),
            "check address and port (UDP 623), that IPMI over LAN is switched on in the BMC, and firewalls",
        ),
        Step::Open => (
            "the BMC answers, but not when a session is to be opened".to_owned(),
            "it may speak IPMI 1.5 only: update its firmware; otherwise restart the BMC",
        ),
        Step::Challenge => (
            format!("the BMC went silent when user {:?} was named to IPMI 1.5", settings.user),
            "check that the user exists on the BMC and may use IPMI over LAN",
        ),
        Step::Activation => (
            "the BMC went silent when a session of IPMI 1.5 was to be activated".to_owned(),
            "check the password: BMCs meet a wrong one with silence",
        ),
        Step::Rakp1 => (
            format!("the BMC went silent when user {:?} was named", settings.user),
            "check that the user exists on the BMC and may use IPMI over LAN",
        ),
        Step::Rakp3 => (
            "the BMC went silent at the end of the key exchange".to_owned(),
            "check the password: some BMCs meet a wrong one with silence",
        ),
        Step::Command => (
            format!("the session with {} went silent", settings.address),
            "nothing to do once: a new session is opened; if it stays, the BMC is overloaded or restarting",
        ),
    };
    // It answered just before: this is how IPMI 1.5 refuses a password, and too many of those lock the user out.
    let kind = if step == Step::Activation { ErrorKind::Auth } else { ErrorKind::Timeout };
    PollError::new(kind, cause, fix)
}

fn refused(step: Step, status: Status, settings: &Settings) -> PollError {
    let (user, level) = (&settings.user, settings.privilege.first().name());
    match status {
        Status::NO_RESOURCES | Status(0x0b) => PollError::new(
            ErrorKind::Busy,
            format!("the BMC has no free session: {}", status.name()),
            "close sessions of other tools, or wait: a BMC drops silent ones after a minute",
        ),
        Status::UNAUTHORISED_NAME => PollError::new(
            ErrorKind::Auth,
            format!("the BMC does not know user {user:?}, or does not let it in over LAN: {}", status.name()),
            "check `username`, and that this user is enabled for IPMI over LAN at this privilege level",
        ),
        Status::UNAUTHORISED_ROLE | Status::INVALID_ROLE => PollError::new(
            ErrorKind::Auth,
            format!("the BMC does not grant {level} to user {user:?}: {}", status.name()),
            "give the user this privilege level on the LAN channel, or ask for less with `privilege`",
        ),
        Status::INVALID_CHECK_VALUE => PollError::new(
            ErrorKind::Auth,
            format!("the BMC refused the password of user {user:?}: {}", status.name()),
            "check the password",
        ),
        other => PollError::new(
            if step == Step::Open || other.refuses_suite() { ErrorKind::Protocol } else { ErrorKind::Busy },
            format!("the BMC refused to open a session: {} ({:02X}h)", other.name(), other.0),
            "look at the BMC's log; `ipmitool -I lanplus -C 17` (or 3) against the same address shows it too",
        ),
    }
}

/// IPMI v1.5 sections 18.14 and 18.15.
fn denied(step: Step, code: u8, settings: &Settings) -> PollError {
    let (user, level) = (&settings.user, settings.privilege.first().name());
    match (step, code) {
        (Step::Activation, 0x81..=0x83) | (_, 0xc0 | 0xc4) => PollError::new(
            ErrorKind::Busy,
            format!("the BMC has no free session of IPMI 1.5 ({code:02X}h)"),
            "close sessions of other tools, or wait: a BMC drops silent ones after a minute",
        ),
        (Step::Challenge, 0x81 | 0x82) => PollError::new(
            ErrorKind::Auth,
            format!("the BMC does not know user {user:?} ({code:02X}h)"),
            "check `username`, and that this user is enabled for IPMI over LAN",
        ),
        (Step::Activation, 0x86) => PollError::new(
            ErrorKind::Auth,
            format!("the BMC does not grant {level} to user {user:?} ({code:02X}h)"),
            "give the user this privilege level on the LAN channel, or ask for less with `privilege`",
        ),
        (_, code) => PollError::new(
            ErrorKind::Auth,
            format!(
                "the BMC refused user {user:?} a session of IPMI 1.5: {} ({code:02X}h)",
                Code(code).name()
            ),
            "check the password, and which authentication the BMC allows this user on the LAN channel",
        ),
    }
}

/// Why a command gave nothing, in words that fit behind a colon.
pub fn why(no: No) -> String {
    match no {
        No::Code(code) => format!("{} ({:02X}h)", code.name(), code.0),
        No::Malformed => "an empty or broken answer".to_owned(),
        No::NotMeasuring => "the BMC is not measuring".to_owned(),
    }
}

/// The error of a poll that brought nothing since a command gave nothing.
pub fn nothing(what: &str, no: No, settings: &Settings) -> PollError {
    let cause = format!("{what}: {}", why(no));
    match no {
        No::Code(Code::PRIVILEGE) => PollError::new(
            ErrorKind::Auth,
            cause,
            format!(
                "the BMC lets user {:?} read this at a higher level only: {} (Supermicro X10 and others need that)",
                settings.user,
                match settings.privilege {
                    Privilege::Auto => "give it operator or administrator on the LAN channel",
                    Privilege::User | Privilege::Operator | Privilege::Administrator =>
                        "give it the level and set `privilege` to operator or administrator",
                }
            ),
        ),
        No::Code(code) if code.passes() => {
            PollError::new(ErrorKind::Busy, cause, "nothing to do once: the BMC is busy or restarting")
        }
        No::Code(_) | No::Malformed | No::NotMeasuring => PollError::new(
            ErrorKind::NoReading,
            cause,
            "meter the host over Redfish or at the PDU, or try `readings: sensors`",
        ),
    }
}
