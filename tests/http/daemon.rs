//! Servers that others wrote, with passwords: lighttpd (Digest) and nginx (Basic over HTTPS), each on a port and folder of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use md5::{Digest as _, Md5};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use sha2::Sha256;
use tempfile::TempDir;

pub const USER: &str = "admin";
pub const PASSWORD: &str = "quite \"secret\" ü";
const REALM: &str = "shelly, test";

/// A running server; ends with this value.
pub struct Daemon {
    process: Child,
    pub url: String,
    pub dir: TempDir,
    pub fingerprint: [u8; 32],
}

impl Daemon {
    /// lighttpd with `answers` of a device behind Digest authentication by `algorithm` (`MD5`, `SHA-256`).
    pub fn lighttpd(answers: &str, algorithm: &str) -> Self {
        let plain = format!("{USER}:{REALM}:{PASSWORD}");
        let hash = match algorithm {
            "MD5" => hex::encode(Md5::digest(plain.as_bytes())),
            _ => hex::encode(Sha256::digest(plain.as_bytes())),
        };
        let dir = tree(answers);
        fs::write(dir.path().join("users"), format!("{USER}:{REALM}:{hash}\n")).unwrap();
        let root = dir.path().display().to_string();
        Self::start(dir, [0; 32], "http", "lighttpd", |port| {
            let conf = format!(
                "server.modules = (\"mod_auth\", \"mod_authn_file\", \"mod_accesslog\")\n\
                 server.document-root = \"{root}/tree\"\nserver.port = {port}\nserver.bind = \"127.0.0.1\"\n\
                 server.errorlog = \"{root}/error.log\"\naccesslog.filename = \"{root}/access.log\"\naccesslog.format = \"%s %U\"\n\
                 mimetype.assign = (\"\" => \"application/json\")\n\
                 auth.backend = \"htdigest\"\nauth.backend.htdigest.userfile = \"{root}/users\"\n\
                 auth.require = (\"/rpc\" => (\"method\" => \"digest\", \"algorithm\" => \"{algorithm}\", \"realm\" => \"{REALM}\", \
                 \"require\" => \"valid-user\"))\n"
            );
            fs::write(Path::new(&root).join("conf"), conf).unwrap();
            vec!["-D".into(), "-f".into(), format!("{root}/conf")]
        })
    }

    /// nginx with `answers` of a device over HTTPS behind Basic authentication.
    pub fn nginx(answers: &str) -> Self {
        let dir = tree(answers);
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(dir.path().join("tls.crt"), cert.pem()).unwrap();
        fs::write(dir.path().join("tls.key"), signing_key.serialize_pem()).unwrap();
        fs::write(dir.path().join("htpasswd"), format!("{USER}:{{PLAIN}}{PASSWORD}\n")).unwrap();
        let fingerprint = Sha256::digest(cert.der()).into();
        // Started by root, nginx would give its workers a user who may not read a temporary folder.
        let user = if fs::metadata(dir.path()).unwrap().uid() == 0 { "user root;" } else { "" };
        let root = dir.path().display().to_string();
        Self::start(dir, fingerprint, "https", "nginx", |port| {
            let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {root}/{name};"))
                .concat();
            let conf = format!(
                "{user} daemon off; master_process off; pid {root}/pid; events {{}}\nhttp {{ {temp} access_log {root}/access.log;\n\
                 server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {root}/tls.crt; ssl_certificate_key {root}/tls.key;\n\
                 root {root}/tree; default_type application/json; auth_basic x; auth_basic_user_file {root}/htpasswd; }} }}\n"
            );
            fs::write(Path::new(&root).join("conf"), conf).unwrap();
            vec!["-e".into(), format!("{root}/error.log"), "-c".into(), format!("{root}/conf")]
        })
    }

    fn start(
        dir: TempDir,
        fingerprint: [u8; 32],
        scheme: &str,
        name: &str,
        arguments: impl Fn(u16) -> Vec<String>,
    ) -> Self {
        // Another test may take the free port first: then the server ends, and another port is tried.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(program(name));
            let mut process = command.args(arguments(port)).stderr(Stdio::null()).spawn().unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            while process.try_wait().unwrap().is_none() && Instant::now() < deadline {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { process, url: format!("{scheme}://127.0.0.1:{port}"), dir, fingerprint };
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ended = process.kill();
        }
        panic!("{name} does not serve: {:?}", fs::read_to_string(dir.path().join("error.log")));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The answers of a device as a tree of files, so that a web server shows them at their paths.
fn tree(answers: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/answers").join(answers);
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().replace('_', "/");
        let to = dir.path().join("tree").join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
    dir
}

/// A program from PATH, or from where Debian puts those that users seldom have in PATH.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is missing; `make test` installs it (Debian package {name})"))
}
