//! The exporter under load: simulated devices in this process, the real exporter in its own. Run: `make load-ipmi`,
//! `make load-redfish`, `make load-snmp`, `make compare-ipmi`, `make compare-snmp`, `make compare-libvirt`; what it gave: `docs/performance.md`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
#![allow(clippy::disallowed_methods, reason = "a load is measured by the machine's own clock")]

mod compare;
mod exporter;
mod ipmi;
mod libvirt;
mod redfish;
mod snmp;

#[allow(dead_code, reason = "shared with the libvirt source's tests")]
#[path = "../../tests/libvirt/peer.rs"]
mod peer;

use std::time::Duration;

use clap::Parser;
use wattribute::sim::ipmi::Suite;

use ipmi::Load;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Loads the exporter with simulated devices and says what that cost and what came of it
#[derive(Debug, Parser)]
struct Arguments {
    /// What to load with
    #[arg(value_enum, default_value_t = What::Ipmi)]
    what: What,
    /// Devices; 10,000 over IPMI, 500 over Redfish, 2,000 and 10,000 over SNMP, 1,000 and 200 to compare
    #[arg(long)]
    count: Option<u32>,
    /// From one poll of a device to the next, ms; 1 s, and 5 s where SNMP gets lost
    #[arg(long)]
    interval: Option<u64>,
    /// How long each load is measured, s
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How often the page is asked for while CPU time is measured, s
    #[arg(long, default_value_t = 15)]
    scrape: u64,
    /// Cipher suites, one load for each
    #[arg(long, value_delimiter = ',', default_value = "3,17")]
    suites: Vec<u8>,
    /// Shares of devices that never answer, percent, one load for each
    #[arg(long, value_delimiter = ',', default_value = "0,10,50")]
    silent: Vec<u32>,
    /// Print one JSON object for each load instead of a table
    #[arg(long)]
    json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// BMCs over IPMI
    Ipmi,
    /// BMCs over Redfish
    Redfish,
    /// PDUs over SNMP that lose and delay, and many meters of two values
    Snmp,
    /// PDUs over SNMP, with Debian's prometheus-snmp-exporter and with this one
    CompareSnmp,
    /// BMCs over IPMI, with Debian's prometheus-ipmi-exporter and with this one
    Compare,
    /// Domains of libvirtd's test driver, with Debian's prometheus-libvirt-exporter and with this one
    CompareLibvirt,
}

fn main() {
    let arguments = Arguments::parse();
    match arguments.what {
        What::Ipmi => {
            for suite in &arguments.suites {
                for silent in &arguments.silent {
                    show(&ipmi::run(&load(&arguments, 10_000, *suite, *silent)), arguments.json);
                }
            }
        }
        What::Redfish => {
            let load = load(&arguments, 500, 3, 0);
            let count = usize::try_from(load.count).unwrap();
            show(&redfish::run(count, load.interval, load.measure, load.scrape), arguments.json);
        }
        What::Snmp => {
            let lossy = snmp::Load {
                loss: 0.2,
                delay: Duration::from_millis(300),
                interval: interval(&arguments, 5000),
                ..of_snmp(&arguments, snmp::Kind::Pdu, 2_000)
            };
            show(&snmp::run(&lossy), arguments.json);
            show(&snmp::run(&of_snmp(&arguments, snmp::Kind::Two, 10_000)), arguments.json);
        }
        What::CompareSnmp => {
            show(&snmp::compare(&of_snmp(&arguments, snmp::Kind::Pdu, 200)), arguments.json);
        }
        What::CompareLibvirt => {
            let measure = Duration::from_secs(arguments.seconds);
            show(&libvirt::compare(arguments.count.unwrap_or(1_000), measure), arguments.json);
        }
        What::Compare => show(&compare::run(&load(&arguments, 1_000, 3, 0)), arguments.json),
    }
}

fn interval(arguments: &Arguments, usual: u64) -> Duration {
    Duration::from_millis(arguments.interval.unwrap_or(usual))
}

fn of_snmp(arguments: &Arguments, kind: snmp::Kind, count: u32) -> snmp::Load {
    snmp::Load {
        kind,
        count: arguments.count.unwrap_or(count),
        loss: 0.0,
        delay: Duration::ZERO,
        interval: interval(arguments, 1000),
        measure: Duration::from_secs(arguments.seconds),
        scrape: Duration::from_secs(arguments.scrape),
    }
}

fn load(arguments: &Arguments, count: u32, suite: u8, silent: u32) -> Load {
    let suite = match suite {
        3 => Suite::Three,
        17 => Suite::Seventeen,
        other => panic!("suite {other}: only 3 and 17 are simulated"),
    };
    Load {
        count: arguments.count.unwrap_or(count),
        silent: f64::from(silent) / 100.0,
        suite,
        interval: interval(arguments, 1000),
        measure: Duration::from_secs(arguments.seconds),
        scrape: Duration::from_secs(arguments.scrape),
        verify: Duration::from_secs(5),
    }
}

fn show(outcome: &impl serde::Serialize, json: bool) {
    if json {
        println!("{}", serde_json::to_string(outcome).unwrap());
        return;
    }
    let fields = serde_json::to_value(outcome).unwrap();
    println!();
    for (name, value) in fields.as_object().unwrap() {
        let value = value.as_f64().map_or_else(|| value.to_string(), |number| format!("{number:.2}"));
        println!("{name:>30}  {}", value.trim_end_matches(".00"));
    }
}
