//! The JSON driver: every profile on answers as the makers' documents show them, passwords with lighttpd and nginx, and a device that
//! misbehaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]
#![allow(missing_docs)]

#[path = "http/daemon.rs"]
mod daemon;
#[path = "http/faults.rs"]
mod faults;
#[path = "http/profiles.rs"]
mod profiles;
#[path = "http/server.rs"]
#[allow(dead_code, reason = "it has more than is needed here")]
mod server;

use std::sync::Arc;
use std::time::Duration;

use daemon::{Daemon, PASSWORD, USER};
use wattribute::drivers::http::{self, Settings, Shared, Trust};
use wattribute::drivers::{Driver, Profiles};
use wattribute::model::{Batch, Clock, ErrorKind, ManualClock, Moment};

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        profile: None,
        user: None,
        password: None,
        trust: Trust::WebPki,
        request_timeout: Duration::from_secs(10),
    }
}

fn shared() -> Shared {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(1)));
    Shared::new(Profiles::built_in().http, clock)
}

fn open(settings: Settings) -> Box<dyn Driver> {
    http::open(settings, shared()).unwrap()
}

/// Every reading as `channel quantity value`, in the batch's order.
fn lines(batch: &Batch) -> Vec<String> {
    let line = |r: &wattribute::model::Reading| {
        format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value())
    };
    batch.readings.iter().map(line).collect()
}

fn with_password(daemon: &Daemon, password: &str) -> Settings {
    Settings { password: Some(password.to_owned().into()), ..settings(&daemon.url) }
}

#[tokio::test]
async fn lighttpd_lets_in_by_digest_and_one_challenge_serves_many_polls() {
    for algorithm in ["SHA-256", "MD5"] {
        let daemon = Daemon::lighttpd("shelly-gen2", algorithm);
        let mut driver = open(with_password(&daemon, PASSWORD));
        for _ in 0..3 {
            assert!(lines(&driver.poll().await.unwrap()).contains(&"switch/0 power 100.5".to_owned()));
        }
        let log = log_with(&daemon, 6).await;
        let refused = log.lines().filter(|line| line.starts_with("401")).count();
        assert_eq!(refused, 1, "{algorithm}: {log}");
    }
}

/// lighttpd writes a line after it has answered.
async fn log_with(daemon: &Daemon, least: usize) -> String {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let log = std::fs::read_to_string(daemon.dir.path().join("access.log")).unwrap_or_default();
        if log.lines().count() >= least || std::time::Instant::now() > deadline {
            return log;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_auth_and_is_not_told() {
    let daemon = Daemon::lighttpd("shelly-gen2", "SHA-256");
    let error = open(with_password(&daemon, "hunter2")).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth, "{error}");
    assert!(error.cause.starts_with("user \"admin\" is refused (401 for /rpc/Shelly.GetStatus)"), "{error}");
    assert!(!error.to_string().contains("hunter2"));
    let error = open(settings(&daemon.url)).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.cause.starts_with("the meter asks for credentials"), "{error}");
}

#[tokio::test]
async fn nginx_lets_in_by_basic_over_https_that_is_trusted() {
    let daemon = Daemon::nginx("netio");
    let netio = |trust: Trust, password: &str| Settings {
        profile: Some("netio".to_owned()),
        user: Some(USER.to_owned()),
        trust,
        ..with_password(&daemon, password)
    };
    for trust in [Trust::Fingerprint(daemon.fingerprint), Trust::CaFile(daemon.dir.path().join("tls.crt"))] {
        let batch = open(netio(trust, PASSWORD)).poll().await.unwrap();
        assert!(lines(&batch).contains(&"outlet/1 power 92".to_owned()), "{batch:?}");
    }
    let error = open(netio(Trust::WebPki, PASSWORD)).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Tls);
    assert!(error.cause.contains(&hex::encode(daemon.fingerprint)), "{error}");
    let error = open(netio(Trust::Fingerprint(daemon.fingerprint), "hunter2")).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    // Without a profile the device does not say what it is.
    let nobody = Settings { trust: Trust::Fingerprint(daemon.fingerprint), ..settings(&daemon.url) };
    let error = open(nobody).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.fix.contains("netio") && error.fix.contains("shelly-gen2"), "{error}");
}
