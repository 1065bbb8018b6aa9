//! How many threads a plan needs.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use super::plan::{DriverPlan, Plan};
use crate::drivers::ipmi::Readings;

/// CPU time of a sample of a hypervisor.
const SAMPLE: Duration = Duration::from_micros(200);
/// How much of a thread's time polls may take: the rest is for requests, the ledger, and bad days.
const SHARE: f64 = 0.4;

/// Threads that `plan` is run by: one, unless that would be too busy. Most of the work is a short answer to a datagram: a
/// second thread takes part in it by being woken for every few of them, which costs more than it helps.
#[must_use]
pub fn workers(plan: &Plan) -> usize {
    let meters = plan.meters.iter().map(|meter| (cost(&meter.driver), meter.timing.interval));
    let sources = plan.sources.iter().map(|source| (SAMPLE, source.timing.interval));
    let busy = |(cost, interval): (Duration, Duration)| cost.div_duration_f64(interval);
    threads(meters.chain(sources).map(busy).sum(), available_parallelism().map_or(1, NonZero::get))
}

/// Threads for polls that would keep this many of them `busy`; at least one, at most `most`.
fn threads(busy: f64, most: usize) -> usize {
    let mut share = 0.0;
    let enough = (1..most).find(|_| {
        share += SHARE;
        busy <= share
    });
    enough.unwrap_or(most.max(1))
}

/// CPU time of a poll, roughly: `docs/performance.md`.
fn cost(driver: &DriverPlan) -> Duration {
    Duration::from_micros(match driver {
        DriverPlan::Ipmi(settings) => ipmi(settings.readings),
        DriverPlan::IpmiInBand(_, settings) => ipmi(settings.readings),
        DriverPlan::Redfish(_) => 250,
        DriverPlan::Snmp(_)
        | DriverPlan::Modbus(_)
        | DriverPlan::Serial(_)
        | DriverPlan::Command(_)
        | DriverPlan::Sysfs(_) => 50,
        DriverPlan::Http(_) | DriverPlan::Prometheus(_) => 250,
    })
}

/// The same of IPMI, microseconds.
const fn ipmi(readings: Readings) -> u64 {
    match readings {
        Readings::Dcmi => 20,
        Readings::Auto | Readings::Oem | Readings::Sensors => 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_does_until_polls_would_take_two_fifths_of_it() {
        for (busy, most, wanted) in [
            (0.0, 64, 1),
            // 10,000 BMCs a second by DCMI; 1,500 over Redfish.
            (0.2, 64, 1),
            (0.375, 64, 1),
            (0.5, 64, 2),
            (1.0, 64, 3),
            (1000.0, 8, 8),
            (1000.0, 1, 1),
            (f64::INFINITY, 4, 4),
        ] {
            assert_eq!(threads(busy, most), wanted, "{busy} of {most}");
        }
    }
}
