//! BMCs for the tests: `bmc.py` on pyghmi's packets, and OpenIPMI's `ipmi_sim`. Each on a free port of the loopback, ended
//! by its own process id.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;
use wattribute::drivers::Driver;
use wattribute::drivers::ipmi::{self, KeepSession, Lookup, Privilege, Readings, Settings, Shared, Suite};
use wattribute::model::SystemClock;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ipmi")
}

pub fn free_address() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

/// The BMC of `bmc.py`.
pub struct Bmc {
    child: Child,
    input: ChildStdin,
    done: Receiver<()>,
    pub address: String,
    opened: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

impl Bmc {
    pub fn start() -> Self {
        let root = std::env::var_os("WATTRIBUTE_PEERS")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers"), PathBuf::from);
        let python = root.join("venv/bin/python");
        assert!(python.exists(), "{} is missing: `make test` installs it (PyPI pyghmi)", python.display());
        let address = free_address();
        let mut child = Command::new(python)
            .arg(folder().join("bmc.py"))
            .arg(port(&address))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (opened, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (tell, done) = channel();
        let counts = (Arc::clone(&opened), Arc::clone(&closed));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                match line.as_str() {
                    "opened" => drop(counts.0.fetch_add(1, Ordering::SeqCst)),
                    "closed" => drop(counts.1.fetch_add(1, Ordering::SeqCst)),
                    "up" | "done" => drop(tell.send(())),
                    other => panic!("bmc.py says {other}"),
                }
            }
        });
        let bmc = Self { child, input, done, address, opened, closed };
        bmc.done.recv_timeout(Duration::from_secs(20)).expect("bmc.py never came up: PyPI pyghmi is needed");
        bmc
    }

    /// Turns one of its knobs.
    pub fn set(&mut self, knob: &str, value: impl std::fmt::Display) {
        writeln!(self.input, "{knob} {value}").unwrap();
        self.done.recv_timeout(Duration::from_secs(10)).expect("bmc.py died");
    }

    /// Sessions opened up to now.
    pub fn opened(&mut self) -> usize {
        // It answers in order: what it said before this has been counted.
        self.set("sync", 0);
        self.opened.load(Ordering::SeqCst)
    }

    pub fn closed(&mut self) -> usize {
        self.set("sync", 0);
        self.closed.load(Ordering::SeqCst)
    }

    /// Waits until as many sessions were closed as were opened, at least `least`.
    pub async fn all_closed(&mut self, least: usize) {
        for _ in 0..500 {
            if self.opened() >= least && self.opened() == self.closed() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (opened, closed) = (self.opened(), self.closed());
        panic!("{opened} opened, {closed} closed");
    }
}

impl Drop for Bmc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// OpenIPMI's simulator with DCMI and four sensors: user `admin`, password `secret`; `monitor` of level user.
pub struct Simulator {
    child: Child,
    dir: TempDir,
    pub address: String,
    /// Where a machine of QEMU can plug this BMC in, TCP.
    pub interface_port: u16,
}

impl Simulator {
    pub fn start() -> Self {
        // Without a GUID it speaks no IPMI 2.0.
        Self::speaking("none md5", "guid a123456789abcdefa123456789abcdef\n")
    }

    /// One that speaks IPMI 1.5 only, with these authentications.
    pub fn legacy(authentications: &str) -> Self {
        Self::speaking(authentications, "")
    }

    /// One with further lines for its LAN channel.
    pub fn speaking(authentications: &str, lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o", &at("dcmi.so")])
            .arg(folder().join("dcmi.c"))
            .output()
            .expect("cc is missing: `make test` installs it (Debian package gcc)");
        let why = String::from_utf8_lossy(&built.stderr);
        assert!(
            built.status.success(),
            "Debian package libopenipmi-dev is needed (`make test` installs it): {why}"
        );
        let address = free_address();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let interface_port = free.local_addr().unwrap().port();
        drop(free);
        let lan = format!(
            "name \"bmc\"\nloadlib \"{}\" \"{}\"\nserial 15 127.0.0.1 {interface_port} codec VM\nstartlan 1\naddr 127.0.0.1 {}\npriv_limit admin\n\
             allowed_auths_user {authentications}\nallowed_auths_operator {authentications}\n\
             allowed_auths_admin {authentications}\n{lines}endlan\n\
             user 2 true \"admin\" \"secret\" admin 10\nuser 3 true \"monitor\" \"m0nitor-pass\" user 10\n",
            at("dcmi.so"),
            at("watts"),
            port(&address)
        );
        std::fs::write(at("lan.conf"), lan).unwrap();
        std::fs::write(at("bmc.emu"), commands(&at("sensor"))).unwrap();
        std::fs::create_dir(at("state")).unwrap();
        let child = Command::new("ipmi_sim")
            .args(["-n", "-c", &at("lan.conf"), "-f", &at("bmc.emu"), "-s", &at("state")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ipmi_sim is missing: `make test` installs it (Debian package openipmi)");
        let simulator = Self { child, dir, address, interface_port };
        simulator.watts(245, 240);
        simulator
    }

    /// What DCMI and the power sensor (in steps of 4 W) show from now on.
    pub fn watts(&self, dcmi: u32, sensor: u32) {
        for (name, value) in [("watts", dcmi), ("sensor", sensor)] {
            // Replaced in one step, so that nobody reads half a number.
            let (new, name) = (self.dir.path().join("new"), self.dir.path().join(name));
            std::fs::write(&new, format!("{value}\n")).unwrap();
            std::fs::rename(new, name).unwrap();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// ipmi_sim's commands for a BMC with sensors for power, a supply's input, the inlet, and a supply's output current.
fn commands(sensor_file: &str) -> String {
    let mut out = String::from("mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x0157 0xf02\n");
    let mask = "000111111000000";
    // Number, entity, sensor type, unit, M, exponent nibble, name, raw value.
    let sensors = [
        (1, 0x07, 0x0b, 6, 4, 0x0, "System Power", 0),
        (2, 0x0a, 0x0b, 6, 4, 0x0, "PS1 Input Power", 58),
        (3, 0x37, 0x01, 1, 1, 0x0, "Inlet Temp", 24),
        (4, 0x0a, 0x03, 5, 1, 0xf, "PS1 Curr Out", 11),
    ];
    for (number, entity, kind, unit, m, exponent, name, raw) in sensors {
        if number == 1 {
            out += &format!("sensor_add 0x20 0 1 {kind} 1 poll 100 file \"{sensor_file}\" div=4\n");
        } else {
            out +=
                &format!("sensor_add 0x20 0 {number} {kind} 1\nsensor_set_value 0x20 0 {number} {raw} 0\n");
        }
        let mut body = vec![0x20, 0, number, entity, 1, 0x7f, 0x68, kind, 1, 0, 0, 0, 0, 0, 0];
        body.extend([0, unit, 0, 0, m, 0, 0, 0, 0, exponent << 4]);
        body.extend([0; 17]);
        body.push(0xc0 | u8::try_from(name.len()).unwrap());
        body.extend(name.bytes());
        let mut record = vec![0, 0, 0x51, 1, u8::try_from(body.len()).unwrap()];
        record.extend(body);
        let bytes: Vec<_> = record.iter().map(|byte| format!("0x{byte:02x}")).collect();
        out += &format!("main_sdr_add 0x20 {}\n", bytes.join(" "));
        out += &format!(
            "sensor_set_event_support 0x20 0 {number} enable scanning per-state {mask} {mask} {mask} {mask}\n"
        );
    }
    out + &satellite(mask) + "mc_enable 0x20\nmc_enable 0x2c\n"
}

/// Another controller on the same bus, with a sensor in steps of 2 W.
fn satellite(mask: &str) -> String {
    let name = "Node 2 Power";
    let mut record = vec![0, 0, 0x51, 1, 43 + u8::try_from(name.len()).unwrap()];
    record.extend([0x2c, 0, 1, 7, 2, 0x7f, 0x68, 0x0b, 1, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 2]);
    record.extend([0; 22]);
    record.push(0xc0 | u8::try_from(name.len()).unwrap());
    record.extend(name.bytes());
    let bytes: Vec<_> = record.iter().map(|byte| format!("0x{byte:02x}")).collect();
    format!(
        "mc_add 0x2c 0 no-device-sdrs 0x23 9 8 0x9f 0x0157 0xf02\nsensor_add 0x2c 0 1 0x0b 1\n\
         sensor_set_value 0x2c 0 1 61 0\nmain_sdr_add 0x20 {}\n\
         sensor_set_event_support 0x2c 0 1 enable scanning per-state {mask} {mask} {mask} {mask}\n",
        bytes.join(" ")
    )
}

pub fn shared() -> Arc<Shared> {
    Arc::new(Shared::new(Arc::new(SystemClock::new())))
}

pub fn settings(address: &str, user: &str, password: &str) -> Settings {
    Settings {
        address: address.to_owned(),
        user: user.to_owned(),
        password: password.to_owned().into(),
        bmc_key: None,
        privilege: Privilege::User,
        lookup: Lookup::Name,
        suites: vec![Suite::Sha256, Suite::Sha1],
        legacy: Vec::new(),
        readings: Readings::Auto,
        quirks: Vec::new(),
        request_timeout: Duration::from_secs(2),
        retries: 2,
        learning: Duration::from_secs(10),
        keep_session: KeepSession::ByPolls,
    }
}

pub fn open(settings: Settings, shared: &Arc<Shared>) -> Box<dyn Driver> {
    ipmi::open(settings, Arc::clone(shared)).unwrap()
}
