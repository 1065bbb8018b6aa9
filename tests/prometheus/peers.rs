//! A real node exporter and a real Prometheus, each on a port and folder of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running program; ends with this value.
pub struct Peer {
    process: Child,
    pub address: String,
    pub dir: TempDir,
}

impl Peer {
    /// A node exporter whose page has `metrics` besides its own.
    pub fn node_exporter(metrics: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("own.prom"), metrics).unwrap();
        Self::start("prometheus-node-exporter", dir, |port, dir| {
            vec![
                format!("--web.listen-address=127.0.0.1:{port}"),
                format!("--collector.textfile.directory={}", dir.display()),
                "--no-collector.rapl".into(),
                "--no-collector.hwmon".into(),
            ]
        })
    }

    /// A Prometheus that scrapes `target` each second.
    pub fn prometheus(target: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: [{{job_name: node, static_configs: [{{targets: \
             ['{target}']}}]}}]\n"
        );
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        Self::start("prometheus", dir, |port, dir| {
            vec![
                format!("--web.listen-address=127.0.0.1:{port}"),
                format!("--config.file={}/prometheus.yml", dir.display()),
                format!("--storage.tsdb.path={}/data", dir.display()),
            ]
        })
    }

    /// An SNMP exporter with `modules` as its configuration.
    pub fn snmp_exporter(modules: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("snmp.yml"), modules).unwrap();
        Self::start("prometheus-snmp-exporter", dir, |port, dir| {
            vec![
                format!("--web.listen-address=127.0.0.1:{port}"),
                format!("--config.file={}/snmp.yml", dir.display()),
            ]
        })
    }

    fn start(name: &str, dir: TempDir, arguments: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        // Another test may take the free port first: then the program ends, and another port is tried.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(program(name));
            command.args(arguments(port, dir.path())).stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = command.spawn().unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            while process.try_wait().unwrap().is_none() && Instant::now() < deadline {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { process, address: format!("127.0.0.1:{port}"), dir };
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ended = process.kill();
        }
        panic!("{name} does not serve");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is missing; `make test` installs it (Debian package {name})"))
}
