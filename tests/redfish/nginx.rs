//! A tree of Redfish resources served by nginx over HTTPS, as a BMC: Basic authentication or one session.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

pub const USER: &str = "root";
pub const PASSWORD: &str = "calvin-of-the-test";

/// A self-signed certificate for 127.0.0.1, its key, and its fingerprint.
pub struct Certificate {
    pub pem: String,
    pub key_pem: String,
    pub fingerprint: [u8; 32],
}

pub fn certificate() -> Certificate {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let fingerprint = Sha256::digest(cert.der()).into();
    Certificate { pem: cert.pem(), key_pem: signing_key.serialize_pem(), fingerprint }
}

/// A running nginx; ends with this value.
pub struct Nginx {
    _process: Process,
    dir: TempDir,
    pub url: String,
    pub certificate: Certificate,
}

impl Nginx {
    /// Serves `tree`, a folder that holds `redfish/v1/.../index.json`.
    pub fn serve(tree: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let certificate = certificate();
        fs::write(dir.path().join("tls.crt"), &certificate.pem).unwrap();
        fs::write(dir.path().join("tls.key"), &certificate.key_pem).unwrap();
        fs::write(dir.path().join("htpasswd"), format!("{USER}:{{PLAIN}}{PASSWORD}\n")).unwrap();
        // Another test may take the free port first: then nginx ends, and another port is tried.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            fs::write(dir.path().join("nginx.conf"), configuration(port, tree, dir.path())).unwrap();
            if let Some(process) = Process::start(dir.path()) {
                let url = format!("https://127.0.0.1:{port}");
                return Self { _process: process, dir, url, certificate };
            }
        }
        panic!("nginx does not serve: {:?}", fs::read_to_string(dir.path().join("error.log")));
    }

    /// The certificate as a file, to trust it.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("tls.crt")
    }

    /// One line a request, `connection method path status`, once one that contains `last` is there: nginx writes a
    /// line after it has answered.
    pub async fn log_up_to(&self, last: &str) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = fs::read_to_string(self.dir.path().join("access.log")).unwrap();
            if log.lines().any(|line| line.contains(last)) {
                return log.lines().map(str::to_owned).collect();
            }
            assert!(Instant::now() < deadline, "no {last} in {log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

struct Process(Child);

impl Process {
    /// Starts nginx; none if it ended, or did not say that it listens.
    fn start(dir: &Path) -> Option<Self> {
        let mut command = Command::new(program());
        command.arg("-p").arg(dir).args(["-c", "nginx.conf", "-e", "error.log"]);
        let mut process = Self(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(10);
        while process.0.try_wait().unwrap().is_none() && Instant::now() < deadline {
            // nginx writes its process id once all its sockets are bound.
            if fs::metadata(dir.join("nginx.pid")).is_ok_and(|file| file.len() > 0) {
                return Some(process);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM through kill(1): SIGKILL would leave the worker process behind.
        let _sent = Command::new("kill").arg(self.0.id().to_string()).stderr(Stdio::null()).status();
        let _ended = self.0.wait();
    }
}

/// nginx from PATH, or from where Debian puts it, which users seldom have in PATH.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join("nginx"))
        .find(|file| file.is_file())
        .expect("nginx is missing; `make test` installs it (Debian package nginx)")
}

fn configuration(port: u16, tree: &Path, dir: &Path) -> String {
    // Started by root, nginx would give its workers a user who may not read a temporary folder.
    let user = if fs::metadata(dir).unwrap().uid() == 0 { "user root;" } else { "" };
    let (tree, dir) = (tree.display(), dir.display());
    format!(
        r#"
{user} worker_processes 1; pid {dir}/nginx.pid; daemon off;
events {{ worker_connections 100; }}
http {{
  log_format short '$connection $request_method $request_uri $status';
  access_log {dir}/access.log short;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  default_type application/json;
  ssl_certificate {dir}/tls.crt; ssl_certificate_key {dir}/tls.key;
  # Basic with the right password, or the token of the one session.
  map $http_x_auth_token $realm {{ "the-token" off; default redfish; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    root {tree};
    location = /redfish/v1 {{ try_files /redfish/v1/index.json =404; }}
    location = /redfish/v1/ {{ try_files /redfish/v1/index.json =404; }}
    location = /redfish/v1/SessionService/Sessions {{
      add_header X-Auth-Token the-token; add_header Location /redfish/v1/SessionService/Sessions/7;
      if ($request_method = POST) {{ return 201 '{{}}'; }}
      return 405;
    }}
    location = /redfish/v1/SessionService/Sessions/7 {{
      if ($http_x_auth_token != the-token) {{ return 401; }}
      if ($request_method = DELETE) {{ return 204; }}
      return 405;
    }}
    location / {{
      auth_basic $realm; auth_basic_user_file {dir}/htpasswd;
      rewrite ^(.*)/$ $1;
      try_files $uri/index.json $uri =404;
    }}
  }}
}}
"#
    )
}
