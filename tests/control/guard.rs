//! The web configuration against other people's programs: promtool reads it, curl and openssl speak TLS by it, a real Prometheus
//! scrapes by it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::process::{Program, free_address, get};
use crate::rig::{ADMIN, SCRAPER, ask, authorization, start, users};

const CONFIG: &str = "meters: [{name: this, sysfs: {}}]\nhosts: [{name: h, feeds: [this/input]}]\n";

/// An authority with a certificate for the server and one for a client, as files.
fn certificates(dir: &Path) {
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    fs::write(dir.join("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    for (name, of) in [("server", "127.0.0.1"), ("client", "prometheus")] {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new([of.to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, of);
        let cert = leaf.signed_by(&key, &issuer).unwrap();
        fs::write(dir.join(format!("{name}.pem")), cert.pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn run(dir: &Path, program: &str, arguments: &[&str]) -> Output {
    let output =
        Command::new(program).current_dir(dir).args(arguments).stdin(std::process::Stdio::null()).output();
    output.unwrap_or_else(|e| panic!("{program} is missing ({e}); `make test` installs it"))
}

/// The status that curl is answered with; 0 if it gets no answer.
fn curl(dir: &Path, at: SocketAddr, arguments: &[&str]) -> u16 {
    let url = format!("https://{at}/-/healthy");
    let usual = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", &url];
    let output = run(dir, "curl", &[arguments, &usual[..]].concat());
    String::from_utf8(output.stdout).unwrap().parse().unwrap_or_default()
}

fn web(dir: &Path, text: &str) -> String {
    fs::write(dir.join("wattribute.yaml"), CONFIG).unwrap();
    fs::write(dir.join("web.yml"), text).unwrap();
    let promtool = run(dir, "promtool", &["check", "web-config", "web.yml"]);
    assert!(promtool.status.success(), "{}", String::from_utf8_lossy(&promtool.stderr));
    format!("--web.config.file={}", dir.join("web.yml").display())
}

const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_openssl_come_in_by_tls_and_password_only() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    certificates(dir);
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: deny\n";
    let web_file = web(dir, &format!("{TLS}  min_version: TLS13\n{headers}{}", users()));
    let exporter = start(&dir.join("wattribute.yaml"), &["--web.enable-lifecycle", &web_file]).await;
    let at = exporter.address;
    let user = format!("{}:{}", SCRAPER.0, SCRAPER.1);
    assert_eq!(curl(dir, at, &["--cacert", "ca.pem", "-u", &user]), 200);
    assert_eq!(curl(dir, at, &["--cacert", "ca.pem", "-u", "prometheus:wrong"]), 401);
    assert_eq!(curl(dir, at, &["--cacert", "ca.pem"]), 401);
    assert_eq!(curl(dir, at, &["-u", &user]), 0, "curl does not know the authority");
    assert_eq!(curl(dir, at, &["--cacert", "ca.pem", "--tls-max", "1.2", "-u", &user]), 0);
    let connect = at.to_string();
    let said =
        run(dir, "openssl", &["s_client", "-connect", &connect, "-CAfile", "ca.pem", "-alpn", "http/1.1"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for words in ["Verify return code: 0 (ok)", "TLSv1.3", "ALPN protocol: http/1.1"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let url = format!("https://{at}/metrics");
    let page = run(dir, "curl", &["-s", "-i", "--cacert", "ca.pem", "-u", &user, &url]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(
        page.to_lowercase().contains("x-frame-options: deny") && page.contains("wattribute_build_info"),
        "{page}"
    );

    // Plain HTTP is no handshake, and one that never comes holds nobody up.
    assert_eq!(get(at, "/-/healthy", "").await.status, 0);
    let _silent = tokio::net::TcpStream::connect(at).await.unwrap();
    assert_eq!(curl(dir, at, &["--cacert", "ca.pem", "-u", &user]), 200);

    // Read anew: clients show certificates from now on, and TLS 1.2 will do.
    let client = format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n");
    web(dir, &client);
    let url = format!("https://{at}/-/reload");
    let reload = run(
        dir,
        "curl",
        &["-s", "-X", "POST", "-w", "%{http_code}", "--cacert", "ca.pem", "-u", &user, &url],
    );
    assert_eq!(String::from_utf8_lossy(&reload.stdout), "200");
    assert_eq!(curl(dir, at, &["--cacert", "ca.pem"]), 0);
    let shown = ["--cacert", "ca.pem", "--cert", "client.pem", "--key", "client.key", "--tls-max", "1.2"];
    assert_eq!(curl(dir, at, &shown), 200);

    // A key of another certificate, and the door stays as it is.
    web(dir, TLS);
    fs::write(dir.join("web.yml"), TLS.replace("server.key", "client.key")).unwrap();
    let reload = run(dir, "curl", &[&shown[..], &["-s", "-X", "POST", &url]].concat());
    let said = String::from_utf8_lossy(&reload.stdout).into_owned();
    assert!(said.contains("name the key that belongs to the certificate"), "{said}");
    assert_eq!(curl(dir, at, &shown), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_does_not_pay_for_bcrypt_and_a_guess_does() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // So dear that fifty of them would take a minute and more in a test build.
    let hash = bcrypt::hash(SCRAPER.1, 9).unwrap();
    let web_file = web(dir, &format!("basic_auth_users:\n  {}: {hash}\n", SCRAPER.0));
    let exporter = start(&dir.join("wattribute.yaml"), &[&web_file]).await;
    let healthy = async |user| {
        let began = Instant::now();
        let status = ask(exporter.address, "GET /-/healthy", &authorization(user), "").await.status;
        (status, began.elapsed())
    };
    let (status, first) = healthy(SCRAPER).await;
    assert_eq!(status, 200);
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let (status, took) = healthy(SCRAPER).await;
        assert_eq!(status, 200);
        fastest = fastest.min(took);
    }
    let (wrong, guess) = healthy((SCRAPER.0, "guess")).await;
    let (unknown, stranger) = healthy(ADMIN).await;
    assert_eq!((wrong, unknown), (401, 401));
    println!("first {first:?}, then {fastest:?}, a guess {guess:?}, a stranger {stranger:?}");
    assert!(fastest < guess / 4 && fastest < stranger / 4, "{fastest:?} {guess:?} {stranger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_by_password_and_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    certificates(dir);
    let client = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
    let web_file = web(dir, &format!("{TLS}{client}{}", users()));
    let exporter = start(&dir.join("wattribute.yaml"), &[&web_file]).await;
    let at = free_address();
    let job = |name: &str, word: &str| {
        format!(
            "  - job_name: {name}\n    scheme: https\n    basic_auth: {{username: {}, password: {word}}}\n    \
             tls_config: {{ca_file: ca.pem, cert_file: client.pem, key_file: client.key}}\n    \
             static_configs: [{{targets: ['{}']}}]\n",
            SCRAPER.0, exporter.address
        )
    };
    let jobs = format!("{}{}", job("right", SCRAPER.1), job("wrong", "guess"));
    let config = format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{jobs}");
    fs::write(dir.join("prometheus.yml"), config).unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()))
        .arg(format!("--web.listen-address={at}"));
    let mut prometheus = Program::start(command);
    let ups = async |_: &Program| {
        let answer = get(at, "/api/v1/query?query=up", "").await;
        let answer: Value = serde_json::from_slice(&answer.body).ok()?;
        let of = |job: &str| {
            let results = answer["data"]["result"].as_array()?;
            results.iter().find(|r| r["metric"]["job"] == job)?["value"][1].as_str().map(str::to_owned)
        };
        (of("right")? == "1" && of("wrong")? == "0").then_some(())
    };
    prometheus.until("one up, the other down", ups).await;
}
