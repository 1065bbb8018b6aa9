//! A module with a target: who that is, whether it may be read, and the driver that reads it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::app::Shared;
use crate::app::plan::{DriverPlan, ModulePlan};
use crate::app::target;
use crate::drivers::ipmi::{self, KeepSession};
use crate::drivers::{Driver, modbus, redfish};
use crate::http::Refusal;
use crate::model::{ErrorKind, Host, PollError, Target};

/// A BMC that has shown its total may take this part of a probe's time to tell of its sensors, reading them takes as much
/// at most, and who made it again: the rest is for logging in, so that what was read is not lost to the deadline.
const LEARNING_PART: u32 = 4;

impl ModulePlan {
    /// The protocol's own port.
    pub(super) const fn usual_port(&self) -> u16 {
        match &self.driver {
            DriverPlan::Ipmi(_) | DriverPlan::IpmiInBand(..) => 623,
            DriverPlan::Redfish(_) => 443,
            DriverPlan::Snmp(_) => 161,
            DriverPlan::Modbus(_) => 502,
            DriverPlan::Http(_) => 80,
            // The configuration has no such modules.
            DriverPlan::Serial(_)
            | DriverPlan::Command(_)
            | DriverPlan::Sysfs(_)
            | DriverPlan::Prometheus(_) => 0,
        }
    }

    /// What a client named.
    ///
    /// # Errors
    /// `Wrong` with what to write instead.
    pub(super) fn target(&self, text: &str) -> Result<Target, Refusal> {
        let lower = text.get(..8).map(str::to_ascii_lowercase);
        let inner = match (&self.driver, lower.as_deref()) {
            (DriverPlan::Redfish(_), Some("https://")) => {
                let rest = text.get(8..).unwrap_or_default();
                rest.strip_suffix('/').unwrap_or(rest)
            }
            (_, _) if text.contains("://") => {
                let fix = match &self.driver {
                    DriverPlan::Redfish(_) => "HOST, HOST:PORT or https://HOST",
                    DriverPlan::Ipmi(_)
                    | DriverPlan::IpmiInBand(..)
                    | DriverPlan::Snmp(_)
                    | DriverPlan::Modbus(_)
                    | DriverPlan::Serial(_)
                    | DriverPlan::Command(_)
                    | DriverPlan::Sysfs(_)
                    | DriverPlan::Http(_)
                    | DriverPlan::Prometheus(_) => "HOST or HOST:PORT",
                };
                return Err(Refusal::Wrong(format!(
                    "`target` is an address of another protocol; write {fix}."
                )));
            }
            (_, _) => text,
        };
        Target::parse(inner).map_err(|error| Refusal::Wrong(format!("`target` {error}.")))
    }

    /// Whether `host` at `address` may be read at `port`.
    pub(super) fn permits(&self, host: &Host, address: IpAddr, port: u16) -> bool {
        self.targets.iter().any(|pattern| pattern.permits(host, address, port, self.usual_port()))
    }

    /// Whether there is an address at which it may be.
    pub(super) fn could_permit(&self, host: &Host, port: u16) -> bool {
        self.targets.iter().any(|pattern| pattern.could_permit(host, port, self.usual_port()))
    }
}

/// The driver of `module` for `host` at `address`, which has `limit` for its one poll. Names are not resolved again.
///
/// # Errors
/// As the driver's `open`.
pub(super) fn open(
    module: &ModulePlan,
    host: &Host,
    address: SocketAddr,
    limit: Duration,
    shared: &Shared,
) -> Result<Box<dyn Driver>, PollError> {
    match &module.driver {
        DriverPlan::Ipmi(settings) => {
            let mut settings = ipmi::Settings::clone(settings);
            settings.address = address.to_string();
            settings.request_timeout = patience(settings.request_timeout, settings.retries, limit);
            settings.learning = limit / LEARNING_PART;
            // Closed below, once, whatever came of the poll.
            settings.keep_session = KeepSession::ByPolls;
            target::open(&DriverPlan::Ipmi(Arc::new(settings)), shared)
        }
        // The configuration refuses such a module: whoever names a target must not be shown what is this machine's own.
        DriverPlan::IpmiInBand(..)
        | DriverPlan::Serial(_)
        | DriverPlan::Command(_)
        | DriverPlan::Sysfs(_)
        | DriverPlan::Http(_)
        | DriverPlan::Prometheus(_) => Err(PollError::new(
            ErrorKind::Unreachable,
            "this module reads what no target stands for",
            "define a meter in place of the module",
        )),
        DriverPlan::Redfish(settings) => {
            let mut settings = settings.clone();
            settings.url = format!("https://{host}:{}", address.port());
            settings.request_timeout = settings.request_timeout.min(limit);
            // One poll has no past to hear of.
            (settings.telemetry, settings.stream) = (false, false);
            redfish::open_at(settings, address.ip(), shared.redfish_sessions())
        }
        DriverPlan::Modbus(settings) => {
            let mut settings = settings.clone();
            settings.address = modbus::Address::Tcp(address.to_string());
            settings.request_timeout = patience(settings.request_timeout, settings.retries, limit);
            settings.poll_timeout = limit;
            target::open(&DriverPlan::Modbus(settings), shared)
        }
        DriverPlan::Snmp(settings) => {
            let mut settings = settings.clone();
            settings.address = address.to_string();
            settings.request_timeout = patience(settings.request_timeout, settings.retries, limit);
            target::open(&DriverPlan::Snmp(settings), shared)
        }
    }
}

/// How long one try of a request may wait, so that one that is never answered, all its tries together, costs half of the
/// time: what was read before it is not lost, and silence is told as such.
fn patience(request: Duration, retries: u32, limit: Duration) -> Duration {
    request.min(limit / 2 / retries.saturating_add(1))
}
