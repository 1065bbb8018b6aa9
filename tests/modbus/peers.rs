//! pymodbus servers on free ports of the loopback or on serial lines of the test's own, each ended by its own process id.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wattribute::drivers::modbus::Address;
use wattribute::drivers::serial::line::Line;

/// A running process.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with registers from map files.
pub struct Peer {
    _server: Process,
    _line: Option<(Process, TempDir)>,
    /// The port it listens on; 0 on a serial line.
    pub port: u16,
    /// Where the driver finds it.
    pub address: Address,
}

/// How a server is reached.
#[derive(Clone, Copy)]
pub enum Way {
    Tcp,
    RtuOverTcp,
    Rtu,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modbus")
}

/// A server with these units, each with the registers of `maps/NAME.map`.
pub fn serve(way: Way, units: &[(u8, &str)]) -> Peer {
    let root = std::env::var_os("WATTRIBUTE_PEERS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers"), PathBuf::from);
    let python = root.join("venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing: `make test` installs it (PyPI pymodbus, pyserial)",
        python.display()
    );
    let (line, mode, place) = match way {
        Way::Tcp => (None, "tcp", "0".to_owned()),
        Way::RtuOverTcp => (None, "rtutcp", "0".to_owned()),
        Way::Rtu => {
            let (socat, dir) = two_ended_line();
            let far = dir.path().join("far").display().to_string();
            (Some((socat, dir)), "rtu", far)
        }
    };
    let maps = folder().join("maps");
    let units: Vec<String> = units
        .iter()
        .map(|(unit, name)| format!("{unit}={}", maps.join(name).with_extension("map").display()))
        .collect();
    let mut child = Command::new(python)
        .arg(folder().join("peer.py"))
        .args([mode, &place])
        .args(&units)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let server = Process(child);
    let ready = BufReader::new(out).lines().map_while(Result::ok).find(|line| line.starts_with("ready "));
    let ready = ready.expect("the server did not start: is pymodbus in the venv? `make test` installs it");
    let port = ready.trim_start_matches("ready ").parse().unwrap_or(0);
    let address = match way {
        Way::Tcp => Address::Tcp(format!("127.0.0.1:{port}")),
        Way::RtuOverTcp => Address::RtuOverTcp(format!("127.0.0.1:{port}")),
        Way::Rtu => {
            let dir = line.as_ref().map(|(_, dir)| dir.path().join("near")).unwrap();
            Address::Rtu(dir, Line::at(9600))
        }
    };
    Peer { _server: server, _line: line, port, address }
}

/// Two pseudo terminals tied together: `near` and `far` in a folder.
fn two_ended_line() -> (Process, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let end = |name: &str| format!("pty,raw,echo=0,link={}", dir.path().join(name).display());
    let child = Command::new("socat")
        .args([end("near"), end("far")])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("socat is missing: `make test` installs it (Debian package socat)");
    let socat = Process(child);
    let begun = Instant::now();
    while !(dir.path().join("near").exists() && dir.path().join("far").exists()) {
        assert!(begun.elapsed() < Duration::from_secs(10), "socat made no line");
        std::thread::yield_now();
    }
    (socat, dir)
}

/// What `mbpoll` reads from a TCP server: the registers of `kind` (its word for table and type) from `register` on.
pub fn mbpoll(port: u16, kind: &str, register: u16, count: u16, big: bool) -> Vec<f64> {
    let mut command = Command::new("mbpoll");
    command.args(["-1", "-0", "-m", "tcp", "-p", &port.to_string(), "-a", "1", "-t", kind]);
    command.args(["-r", &register.to_string(), "-c", &count.to_string()]);
    if big {
        command.arg("-B");
    }
    let out = command
        .arg("127.0.0.1")
        .output()
        .expect("mbpoll is missing: `make test` installs it (Debian package mbpoll)");
    let text = String::from_utf8_lossy(&out.stdout);
    let values =
        text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]:")?.1.trim().parse().ok());
    let values: Vec<f64> = values.collect();
    assert_eq!(values.len(), usize::from(count), "{text}");
    values
}
