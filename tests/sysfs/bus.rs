//! A sensor behind a bus that hangs, and the machine that the tests run on.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::time::timeout;
use wattribute::drivers::sysfs::{self, Settings};
use wattribute::model::{ErrorKind, SystemClock};

use crate::{Host, lines};

/// A pipe that nobody writes to holds its reader up, as a sensor behind a dead bus does.
#[tokio::test]
async fn a_sensor_that_hangs_costs_its_poll_and_no_later_one() {
    let mut host = Host::of("acpi_meter");
    host.poll().await;
    let file = host.path("devices/ACPI000D:00/power1_average");
    std::fs::remove_file(&file).unwrap();
    mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for _ in 0..3 {
        assert!(timeout(Duration::from_millis(100), host.poll_after(1)).await.is_err());
    }
    // The bus comes back with what it had to say long ago; the next poll tells only what is so now.
    let stuck = file.clone();
    let writer = std::thread::spawn(move || {
        let mut pipe = std::fs::OpenOptions::new().write(true).open(&stuck).unwrap();
        std::fs::rename(&stuck, stuck.with_extension("old")).unwrap();
        std::fs::write(&stuck, "250000000\n").unwrap();
        pipe.write_all(b"1000000\n").unwrap();
    });
    let said = lines(&timeout(Duration::from_secs(20), host.poll_after(1)).await.unwrap().unwrap());
    writer.join().unwrap();
    assert!(said.contains(&"power_meter@ACPI000D:00/power1 power 250".to_owned()), "{said:?}");
}

/// Whatever this machine has: a virtual one has nothing, and then that is what must be said.
#[tokio::test]
async fn this_machine_is_read_whatever_it_has() {
    let settings = Settings { root: PathBuf::from(sysfs::ROOT) };
    let mut driver = sysfs::open(settings, Arc::new(SystemClock::new())).unwrap();
    for _ in 0..2 {
        let began = Instant::now();
        match driver.poll().await {
            Ok(batch) => eprintln!("{:?}: {:#?}", began.elapsed(), lines(&batch)),
            Err(error) => {
                eprintln!("{:?}: {error}", began.elapsed());
                assert!(matches!(error.kind, ErrorKind::NoReading | ErrorKind::Auth), "{error}");
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("feed: {:?}", sysfs::feed(std::path::Path::new(sysfs::ROOT)));
}

/// What a poll costs of a machine with two sockets: five counters of two files each.
#[tokio::test]
async fn a_poll_is_cheap() {
    let mut host = Host::of("intel_2_sockets");
    host.poll().await;
    let began = Instant::now();
    for _ in 0..200 {
        host.poll_after(1).await.unwrap();
    }
    let each = began.elapsed() / 200;
    eprintln!("{each:?} a poll");
    assert!(each < Duration::from_millis(20), "{each:?}");
}
