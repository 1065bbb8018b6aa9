//! What a reading costs here and in Debian's `prometheus-ipmi-exporter`, which runs FreeIPMI's `ipmi-dcmi` at each scrape: the same
//! simulated BMCs, in one run.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use wattribute::model::{Clock, SystemClock};
use wattribute::sim::ipmi::{self, Suite, checkable_watts};

use crate::exporter::{Program, get, weigh};
use crate::ipmi::{Load, PASSWORD, USER, fleet, secret};

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// Readings of each, and CPU time of one, user and system, children included.
    pub theirs_readings: u64,
    pub theirs_microseconds_per_reading: f64,
    pub ours_readings_per_second: f64,
    pub ours_microseconds_per_reading: f64,
    pub ratio: f64,
}

const CONFIG: &str = "modules:
  load:
    user: USER
    pass: PASSWORD
    driver: LAN_2_0
    privilege: user
    timeout: 10000
    collectors: [dcmi]
";

/// Reads BMCs one after the other with the other exporter for `measure`, then all each second with ours.
pub fn run(load: &Load) -> Comparison {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let bmcs = ipmi::start(fleet(load.count, &[Suite::Three], load.interval), clock.clone()).unwrap();
    let config = dir.path().join("ipmi.yml");
    secret(&config, &CONFIG.replace("USER", USER).replace("PASSWORD", PASSWORD));
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new("prometheus-ipmi-exporter");
    command.arg(format!("--web.listen-address={listen}")).arg(format!("--config.file={}", config.display()));
    let mut program = Program::start(command, dir.path());
    program.until("listening", |_| TcpStream::connect(listen).ok());

    let read = |number: u32, address: SocketAddr| {
        let page = get(listen, &format!("/ipmi?target={address}&module=load"));
        let now = clock.unix_seconds() as u64;
        let line = page.0.lines().find_map(|line| line.strip_prefix("ipmi_dcmi_power_consumption_watts "));
        let watts: f64 = line.unwrap_or_else(|| panic!("no power: {}", page.0)).parse().unwrap();
        let shown = (0..3).any(|before| f64::from(checkable_watts(number, now - before)) == watts);
        assert!(shown, "{address} shows {watts} W");
    };
    read(0, bmcs.addresses[0]);
    let (before, began, mut readings) = (weigh(program.pid()), Instant::now(), 0);
    for (number, address) in (0..).zip(&bmcs.addresses).cycle() {
        if began.elapsed() > load.measure {
            break;
        }
        read(number, *address);
        readings += 1;
    }
    let after = weigh(program.pid());
    drop(program);
    let theirs = after.cpu_seconds + after.children_seconds - before.cpu_seconds - before.children_seconds;
    drop(bmcs);
    fs::remove_file(config).unwrap();

    let ours = crate::ipmi::run(load);
    let theirs_microseconds_per_reading = theirs / readings as f64 * 1e6;
    Comparison {
        theirs_readings: readings,
        theirs_microseconds_per_reading,
        ours_readings_per_second: ours.polls_per_second,
        ours_microseconds_per_reading: ours.cpu_microseconds_per_reading,
        ratio: theirs_microseconds_per_reading / ours.cpu_microseconds_per_reading,
    }
}
