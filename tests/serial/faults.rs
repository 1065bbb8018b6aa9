//! Lines that are silent, wrong, late, taken, forbidden or gone: each with its words, and the next good value is right.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wattribute::drivers::Driver;
use wattribute::drivers::serial::line::Address;
use wattribute::drivers::serial::{Asking, Measuring, PowerSign, Protocol, Settings};
use wattribute::model::{Batch, ErrorKind, Quantity};

use super::rig::{self, Peer, lines, open, settings, value};

fn short(peer: &Peer, protocol: Protocol, milliseconds: u64) -> Settings {
    Settings { timeout: Duration::from_millis(milliseconds), ..settings(&peer.address, protocol) }
}

fn all() -> [Protocol; 8] {
    let quantities = vec![Quantity::Power];
    [
        Protocol::WattsUp,
        Protocol::Lmg450(Measuring { channels: vec![1], quantities, cycle: Duration::from_millis(50) }),
        Protocol::Iec62056(Asking::default()),
        Protocol::Iec62056Push,
        Protocol::Dsmr,
        Protocol::Sml(PowerSign::Auto),
        Protocol::Megatec(None),
        Protocol::EatonXcp,
    ]
}

#[tokio::test]
async fn silence_is_told_as_silence() {
    for protocol in all() {
        let peer = rig::on_a_pty("silent", &[]);
        let error = open(short(&peer, protocol.clone(), 400)).poll().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout, "{protocol:?}: {error}");
        assert!(error.cause.starts_with("nothing came over /"), "{error}");
        assert!(error.fix.contains("check the cable"), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_rate_is_told_by_the_bytes_that_make_no_sense() {
    for protocol in all() {
        let peer = rig::on_a_pty("garbage", &[]);
        let settings = short(&peer, protocol.clone(), 600);
        let set = settings.line.to_string();
        let error = open(settings).poll().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol, "{protocol:?}: {error}");
        assert!(error.cause.contains(" bytes came over /"), "{error}");
        assert!(error.fix.contains(&format!("it is set to {set}")), "{error}");
        assert!(error.fix.contains("check rate and parity (this protocol is usually"), "{error}");
    }
}

#[tokio::test]
async fn every_answer_is_late_and_belongs_to_its_own_question() {
    let peer = rig::on_a_pty("megatec", &["delay=1.5"]);
    let rated = Some(wattribute::model::Watts::new(100.0).unwrap());
    // Each poll ends before the answer comes; the load in per cent is the number of the question.
    let mut meter = open(short(&peer, Protocol::Megatec(rated), 1000));
    let (mut seen, begun) = (Vec::new(), Instant::now());
    while seen.len() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{seen:?}");
        match meter.poll().await {
            Ok(batch) => seen.extend(powers(&batch)),
            Err(error) => assert_eq!(error.kind, ErrorKind::Timeout, "{error}"),
        }
    }
    assert_eq!(seen, [1.0, 2.0, 3.0, 4.0]);
}

fn powers(batch: &Batch) -> Vec<f64> {
    let readings = batch.earlier.iter().flat_map(|e| &e.readings).chain(&batch.readings);
    readings.filter(|r| r.measure.quantity() == Quantity::Power).map(|r| r.measure.value()).collect()
}

#[tokio::test]
async fn an_answer_that_is_given_up_is_never_taken_for_the_next() {
    // The first answer comes half a second after it was given up.
    let peer = rig::on_a_pty("megatec", &["late=3.5"]);
    let rated = Some(wattribute::model::Watts::new(100.0).unwrap());
    let mut meter = open(settings(&peer.address, Protocol::Megatec(rated)));
    let error = meter.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    assert_eq!(powers(&meter.poll().await.unwrap()), [2.0]);
    assert_eq!(powers(&meter.poll().await.unwrap()), [3.0]);
}

#[tokio::test]
async fn meters_that_are_always_late_are_read_right() {
    for (kind, protocol, name) in [
        ("d0", Protocol::Iec62056(Asking::default()), "input power"),
        ("xcp", Protocol::EatonXcp, "output power"),
        (
            "lmg",
            Protocol::Lmg450(Measuring {
                channels: vec![1],
                quantities: vec![Quantity::Power],
                cycle: Duration::from_millis(100),
            }),
            "channel/1 power",
        ),
        ("wattsup", Protocol::WattsUp, "input power"),
    ] {
        let peer = rig::on_a_pty(kind, &["delay=1.5", "watts=DIR/watts"]);
        peer.set_watts(100.0);
        let mut meter = open(short(&peer, protocol, 1000));
        for watts in [200.0, 300.0] {
            let first = at_last(meter.as_mut()).await;
            peer.set_watts(watts);
            let begun = Instant::now();
            loop {
                let got = value(&at_last(meter.as_mut()).await, name);
                if got == watts {
                    break;
                }
                assert_eq!(got, value(&first, name), "{kind}: neither the old nor the new value");
                assert!(begun.elapsed() < Duration::from_secs(20), "{kind} stays at {got}");
            }
        }
    }
}

/// Polls until a value comes.
async fn at_last(meter: &mut dyn Driver) -> Vec<String> {
    let begun = Instant::now();
    loop {
        match meter.poll().await {
            Ok(batch) => return lines(&batch),
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
        }
    }
}

#[tokio::test]
async fn an_adapter_that_is_unplugged_is_told_and_comes_back() {
    let options = ["watts=DIR/watts"];
    let mut peer = rig::on_a_pty("dsmr", &options);
    peer.set_watts(100.0);
    let path = peer.dir.path().to_owned();
    let Address::Device(link) = peer.address.clone() else { panic!("a path") };
    let mut meter =
        open(Settings { timeout: Duration::from_secs(2), ..settings(&peer.address, Protocol::Dsmr) });
    assert_eq!(value(&lines(&meter.poll().await.unwrap()), "input power"), 100.0);
    // Pulled out: the process behind the pty ends, and its name goes with it.
    let kept = std::mem::replace(&mut peer, rig::on_a_pty("silent", &[]));
    std::fs::remove_file(&link).unwrap();
    drop(kept);
    let begun = Instant::now();
    let gone = loop {
        match meter.poll().await {
            Err(error) => break error,
            Ok(_) => assert!(begun.elapsed() < Duration::from_secs(5), "still there"),
        }
    };
    assert_eq!(gone.kind, ErrorKind::Unreachable, "{gone}");
    assert!(gone.cause.contains("went away") || gone.cause.contains("there is no device"), "{gone}");
    assert!(!path.exists());
    let error = meter.poll().await.unwrap_err();
    assert!(error.cause.starts_with("there is no device"), "{error}");
    assert!(error.fix.contains("plug the adapter in"), "{error}");
    // Plugged in again, under the same name.
    let back = rig::on_a_pty("dsmr", &options);
    back.set_watts(250.0);
    let Address::Device(new) = &back.address else { panic!("a path") };
    std::fs::create_dir_all(&path).unwrap();
    std::os::unix::fs::symlink(new, &link).unwrap();
    assert_eq!(value(&at_last(meter.as_mut()).await, "input power"), 250.0);
    std::fs::remove_dir_all(&path).unwrap();
}

#[tokio::test]
async fn a_port_that_another_program_has_names_that_program() {
    let peer = rig::on_a_pty("dsmr", &[]);
    let Address::Device(link) = &peer.address else { panic!("a path") };
    // flock(1) holds the port as minicom, screen and our library do.
    let mut holder = std::process::Command::new("flock")
        .args(["--exclusive"])
        .arg(link)
        .args(["sleep", "30"])
        .spawn()
        .expect("flock is missing: `make test` installs it (Debian package util-linux)");
    let begun = Instant::now();
    let error = loop {
        let polled = open(short(&peer, Protocol::Dsmr, 500)).poll().await;
        match polled {
            Err(error) if error.kind == ErrorKind::Busy => break error,
            _early => assert!(begun.elapsed() < Duration::from_secs(5), "never busy"),
        }
        sleep(Duration::from_millis(50)).await;
    };
    assert!(error.cause.contains("is in use by") && error.cause.contains("flock (process"), "{error}");
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[tokio::test]
async fn a_port_that_may_not_be_opened_names_the_group() {
    let peer = rig::on_a_pty("dsmr", &[]);
    let Address::Device(link) = &peer.address else { panic!("a path") };
    let tty = std::fs::canonicalize(link).unwrap();
    std::fs::set_permissions(&tty, std::fs::Permissions::from_mode(0)).unwrap();
    if std::fs::File::open(&tty).is_ok() {
        println!("this user may open everything: what a refusal says is not tested");
        return;
    }
    let error = open(short(&peer, Protocol::Dsmr, 500)).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.cause.contains("may not open"), "{error}");
}

#[tokio::test]
async fn what_is_no_port_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (path, want) in [
        (file.path().to_owned(), "is no serial port"),
        (PathBuf::from("/dev/null"), "is no serial port"),
        (PathBuf::from("/dev/serial/by-id/none-of-this-name"), "there is no device"),
    ] {
        let settings = settings(&Address::Device(path), Protocol::Dsmr);
        let error = open(settings).poll().await.unwrap_err();
        assert!(error.cause.contains(want), "{error}");
        assert_eq!(error.kind, ErrorKind::Unreachable);
    }
}

#[tokio::test]
async fn a_device_server_that_hangs_up_is_connected_anew() {
    let peer = rig::over_tcp("dsmr", &["watts=DIR/watts"]);
    peer.set_watts(100.0);
    let mut meter = open(short(&peer, Protocol::Dsmr, 2000));
    assert_eq!(value(&at_last(meter.as_mut()).await, "input power"), 100.0);
    meter.close().await;
    // The same driver, begun anew.
    peer.set_watts(200.0);
    assert_eq!(value(&at_last(meter.as_mut()).await, "input power"), 200.0);
}
