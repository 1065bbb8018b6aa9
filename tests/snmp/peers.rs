//! Real SNMP agents for the tests: snmpsim, which plays recordings, and net-snmp's snmpd. Each on a free port of the
//! loopback, ended by its own process id.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tempfile::TempDir;
use wattribute::drivers::Driver;
use wattribute::drivers::Profiles;
use wattribute::drivers::snmp::{self, Auth, Settings, Shared};
use wattribute::model::{Batch, ErrorKind, PollError, SystemClock};

/// A running agent.
pub struct Peer {
    child: Child,
    pub address: String,
    _dir: TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// snmpsim with a folder of recordings: the community or SNMPv3 context is the file's name without its ending.
/// Its SNMPv3 user is `simulator`, SHA `auctoritas`, AES `privatus`.
pub fn snmpsim(recordings: &Path) -> Peer {
    let root = std::env::var_os("WATTRIBUTE_PEERS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers"), PathBuf::from);
    let python = root.join("venv/bin/python");
    assert!(python.exists(), "{} is missing: `make test` installs it (PyPI snmpsim)", python.display());
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    // Walks of a whole table need a longer queue than snmpsim's own.
    let program = "from snmpsim.datafile import DataFile; DataFile.max_queue_entries = 100000\n\
                   from snmpsim.commands.responder import main; main()";
    // As root it insists on being told whom to run as; otherwise it must not be told.
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    let user: &[&str] = if root { &["--process-user=root", "--process-group=root"] } else { &[] };
    let child = Command::new(python)
        .args(["-c", program, "--logging-method=null"])
        .args(user)
        .args([
            "--v3-engine-id=auto",
            "--v3-user=simulator",
            "--v3-auth-proto=SHA",
            "--v3-auth-key=auctoritas",
        ])
        .args(["--v3-priv-proto=AES", "--v3-priv-key=privatus"])
        .arg(format!("--cache-dir={}", dir.path().display()))
        .arg(format!("--data-dir={}", recordings.display()))
        .arg(format!("--agent-udpv4-endpoint={address}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Peer { child, address, _dir: dir }
}

/// net-snmp's snmpd with `lines` in its configuration.
pub fn snmpd(lines: &str) -> Peer {
    snmpd_at(&free_address(), lines)
}

/// The same at an address that was free a moment ago.
pub fn snmpd_at(address: &str, lines: &str) -> Peer {
    let dir = tempfile::tempdir().unwrap();
    let address = address.to_owned();
    let conf = dir.path().join("snmpd.conf");
    std::fs::write(&conf, format!("agentaddress udp:{address}\n{lines}\n")).unwrap();
    let child = Command::new("snmpd")
        .args(["-f", "-Ln", "-C", "-I", "-smux", "-c"])
        .arg(&conf)
        .arg("-p")
        .arg(dir.path().join("pid"))
        .env("SNMP_PERSISTENT_DIR", dir.path().join("state"))
        .env("MIBS", "")
        .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("snmpd is missing: `make test` installs it (Debian package snmpd)");
    Peer { child, address, _dir: dir }
}

fn free_address() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

pub fn shared() -> Arc<Shared> {
    Arc::new(Shared::new(Profiles::built_in().snmp, Arc::new(SystemClock::new())))
}

pub fn settings(address: &str, auth: Auth) -> Settings {
    Settings {
        address: address.to_owned(),
        auth,
        profile: None,
        request_timeout: Duration::from_secs(2),
        retries: 1,
        max_oids: 20,
    }
}

pub fn v2c(community: &str) -> Auth {
    Auth::V2c(SecretString::from(community.to_owned()))
}

pub fn open(settings: Settings, shared: &Arc<Shared>) -> Box<dyn Driver> {
    snmp::open(settings, Arc::clone(shared)).unwrap()
}

/// Polls once, as soon as the peer is up: a time-out is tried again until the peer had 20 s to start.
pub async fn first_poll(settings: &Settings, shared: &Arc<Shared>) -> Result<Batch, PollError> {
    let tries = async {
        loop {
            match open(settings.clone(), shared).poll().await {
                Err(error) if error.kind == ErrorKind::Timeout => {}
                other => return other,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), tries).await.expect("the peer never came up")
}

/// Waits until the peer answers `settings`.
pub async fn up(settings: &Settings, shared: &Arc<Shared>) {
    first_poll(settings, shared).await.unwrap();
}
