//! Meters of the tests: `peers.py` on a pseudo terminal or a loopback port, ended by its own process id; and the programs that
//! others wrote, with which our readings are compared.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use wattribute::drivers::Driver;
use wattribute::drivers::serial::line::{Address, Format, Line};
use wattribute::drivers::serial::{self, Protocol, Settings};
use wattribute::model::{Batch, SystemClock};

/// A running meter.
pub struct Peer {
    child: Child,
    pub address: Address,
    pub dir: TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Sets what the meter measures from now on.
    pub fn set_watts(&self, watts: f64) {
        let file = self.dir.path().join("watts");
        std::fs::write(file.with_extension("new"), watts.to_string()).unwrap();
        std::fs::rename(file.with_extension("new"), file).unwrap();
    }

    /// The port of a meter behind a device server.
    pub fn tcp_port(&self) -> &str {
        match &self.address {
            Address::Tcp(address) => address.rsplit_once(':').unwrap().1,
            Address::Device(path) => panic!("{} is no port", path.display()),
        }
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serial")
}

/// A meter on a pseudo terminal. `DIR` in an option stands for the meter's own folder.
pub fn on_a_pty(kind: &str, options: &[&str]) -> Peer {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("tty");
    let where_ = link.display().to_string();
    start(kind, &where_, options, dir, |_| Address::Device(link.clone()))
}

/// A meter behind a serial device server.
pub fn over_tcp(kind: &str, options: &[&str]) -> Peer {
    let dir = tempfile::tempdir().unwrap();
    start(kind, "tcp:", options, dir, |port| Address::Tcp(format!("127.0.0.1:{port}")))
}

fn start(kind: &str, at: &str, options: &[&str], dir: TempDir, address: impl Fn(u16) -> Address) -> Peer {
    let own = dir.path().display().to_string();
    let mut child = Command::new("python3")
        .arg(scripts().join("peers.py"))
        .args([kind, at])
        .args(options.iter().map(|option| option.replace("DIR", &own)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is missing: `make test` installs it (Debian package python3-venv)");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("peers.py {kind}: {line:?}"));
    Peer { address: address(port.parse().unwrap()), child, dir }
}

/// Settings as the configuration makes them of `protocol` without further keys.
pub fn settings(address: &Address, protocol: Protocol) -> Settings {
    let line = match &protocol {
        Protocol::WattsUp | Protocol::Dsmr => Line::at(115_200),
        Protocol::Lmg450(_) => Line { rts_cts: true, ..Line::at(57_600) },
        Protocol::Iec62056(_) => Line { format: Format::SEVEN_EVEN_ONE, ..Line::at(300) },
        Protocol::Iec62056Push => Line { format: Format::SEVEN_EVEN_ONE, ..Line::at(2400) },
        Protocol::Sml(_) => Line::at(9600),
        Protocol::Megatec(_) => Line::at(2400),
        Protocol::EatonXcp => Line::at(19_200),
    };
    let timeout = Duration::from_secs(8);
    Settings { address: address.clone(), line, software_parity: false, rts: None, protocol, timeout }
}

pub fn open(settings: Settings) -> Box<dyn Driver> {
    serial::open(settings, Arc::new(SystemClock::new())).unwrap()
}

/// Every reading as `channel quantity value`, in the batch's order; where it has none of now, those before.
pub fn lines(batch: &Batch) -> Vec<String> {
    let latest = batch.earlier.last().map(|earlier| &earlier.readings);
    let readings =
        if batch.readings.is_empty() { latest.unwrap_or(&batch.readings) } else { &batch.readings };
    let line = |r: &wattribute::model::Reading| {
        format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value())
    };
    readings.iter().map(line).collect()
}

/// The value of a line that begins with `name`.
pub fn value(lines: &[String], name: &str) -> f64 {
    let found = lines.iter().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("no {name:?} in {lines:?}")).trim().parse().unwrap()
}

/// What a Python library reads, as `NAME VALUE`.
pub fn oracle(arguments: &[&str]) -> Vec<String> {
    let root = std::env::var_os("WATTRIBUTE_PEERS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers"), PathBuf::from);
    let python = root.join("venv/bin/python");
    assert!(python.exists(), "{} is missing: `make test` installs it", python.display());
    let run = Command::new(python).arg(scripts().join("oracle.py")).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "`make test` installs dsmr_parser and iec62056-21 from PyPI: {said}");
    String::from_utf8(run.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What libsml reads of a file, frame by frame, as `CODE VALUE UNIT`.
pub fn libsml(file: &Path, dir: &Path) -> Vec<Vec<String>> {
    let program = dir.join("oracle");
    let built = Command::new("gcc")
        .args(["-O1", "-o"])
        .arg(&program)
        .arg(scripts().join("oracle.c"))
        .args(["-lsml", "-luuid", "-lm"])
        .output()
        .expect("gcc is missing: `make test` installs it (Debian package build-essential)");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(
        built.status.success(),
        "`make test` installs libsml (Debian packages libsml-dev, uuid-dev): {said}"
    );
    let run = Command::new(program).arg(file).output().unwrap();
    assert!(run.status.success());
    let text = String::from_utf8(run.stdout).unwrap();
    let frames = text.split("end\n").filter(|frame| !frame.is_empty());
    frames.map(|frame| frame.lines().map(str::to_owned).collect()).collect()
}
