//! A device that misbehaves: after each fault the next good reading is right.

use std::time::{Duration, Instant};

use wattribute::drivers::http::Settings;
use wattribute::model::{Batch, ErrorKind, PollError};

use super::server::{Reply, Request, Server, json, reply};
use super::{lines, open, settings};

const REPORT: &str = "{\"power\": 5, \"relay\": true}";

/// The requests for values alone: what describes is asked once.
async fn device(answer: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (Server, Settings) {
    let polls = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |request: &Request, _| {
        if request.target != "/report" {
            return reply("404 Not Found", "", "");
        }
        answer(polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    })
    .await;
    let settings = Settings {
        profile: Some("mystrom".to_owned()),
        request_timeout: Duration::from_millis(500),
        ..settings(&server.url)
    };
    (server, settings)
}

/// A first poll that brings `fault`, and the next one.
async fn after(fault: Reply) -> (Result<Batch, PollError>, Vec<String>) {
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_broken = std::sync::Arc::clone(&broken);
    let bad = move || is_broken.load(std::sync::atomic::Ordering::Relaxed);
    let (_server, settings) = device(move |_| if bad() { fault.clone() } else { json(REPORT) }).await;
    let mut driver = open(settings);
    let first = driver.poll().await;
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    (first, lines(&driver.poll().await.unwrap()))
}

#[tokio::test]
async fn after_every_fault_the_next_reading_is_right() {
    let good = json("{\"power\": 99, \"relay\": true}");
    let cut = Reply { bytes: good.bytes[..good.bytes.len() - 4].to_vec(), close: true, ..Reply::default() };
    let late = Reply { wait: Duration::from_secs(1), ..good.clone() };
    let large = json(&format!("{{\"power\": 99, \"x\": \"{}\"}}", "y".repeat(300_000)));
    let deep = json(&"[".repeat(100_000));
    for (name, fault, kind) in [
        ("late", late, ErrorKind::Timeout),
        ("cut", cut, ErrorKind::Protocol),
        ("large", large, ErrorKind::Protocol),
        ("deep", deep, ErrorKind::Protocol),
        ("no JSON", json("<html>"), ErrorKind::Protocol),
        (
            "no HTTP",
            Reply { bytes: b"\x01\x02\x03\r\n\r\n".to_vec(), close: true, ..Reply::default() },
            ErrorKind::Protocol,
        ),
        ("gone", reply("404 Not Found", "", ""), ErrorKind::Protocol),
        ("moved", reply("302 Found", "Location: http://127.0.0.1:1/x\r\n", ""), ErrorKind::Protocol),
        ("busy", reply("503 Service Unavailable", "", ""), ErrorKind::Busy),
        ("locked", reply("401 Unauthorized", "", ""), ErrorKind::Auth),
        ("null", json("{\"power\": null}"), ErrorKind::NoReading),
        ("text", json("{\"power\": \"12 W\"}"), ErrorKind::NoReading),
        ("negative", json("{\"power\": -3}"), ErrorKind::NoReading),
        ("another shape", json("[1, 2]"), ErrorKind::NoReading),
    ] {
        let (first, next) = after(fault).await;
        let error = first.unwrap_err();
        assert_eq!(error.kind, kind, "{name}: {error}");
        assert!(!error.fix.is_empty() && error.to_string().len() < 600, "{name}: {error}");
        assert_eq!(next, ["input power 5"], "{name}");
    }
}

/// An answer that comes twice must not be that of the next request.
#[tokio::test]
async fn a_duplicate_is_not_the_next_answer() {
    let (_server, settings) = device(|n| {
        let body = format!("{{\"power\": {}, \"relay\": true}}", n + 1);
        let once = json(&body).bytes;
        Reply { bytes: [once.clone(), once].concat(), ..Reply::default() }
    })
    .await;
    let mut driver = open(settings);
    for poll in 1..=5 {
        assert_eq!(lines(&driver.poll().await.unwrap()), [format!("input power {poll}")]);
        // The second copy arrives while nobody waits for it.
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_poll_that_is_given_up_leaves_nothing_behind() {
    let wait = |n| Duration::from_millis(if n == 0 { 200 } else { 0 });
    let (_server, settings) =
        device(move |n| Reply { wait: wait(n), ..json(&format!("{{\"power\": {n}}}")) }).await;
    let mut driver = open(settings);
    assert!(tokio::time::timeout(Duration::from_millis(50), driver.poll()).await.is_err());
    let begun = Instant::now();
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 1"]);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn one_connection_serves_all_polls_and_nobody_is_unreachable() {
    let (server, settings) = device(|_| json(REPORT)).await;
    let mut driver = open(settings.clone());
    for _ in 0..3 {
        driver.poll().await.unwrap();
    }
    assert_eq!(server.requests().iter().filter(|r| r.target == "/report").count(), 3);
    drop(server);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = open(Settings { url: format!("http://{nobody}"), ..settings }).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

/// Both counters of a two-way meter must be there, once they were: 100 - 40 kWh must not leap to 100 kWh.
#[tokio::test]
async fn what_is_taken_off_a_counter_does_not_vanish() {
    let status = |n: usize| match n {
        1 => "{\"switch:0\": {\"apower\": 1, \"aenergy\": {\"total\": 100}}}",
        2 => {
            "{\"switch:0\": {\"apower\": 1, \"aenergy\": {\"total\": 100}, \"ret_aenergy\": {\"total\": null}}}"
        }
        _ => {
            "{\"switch:0\": {\"apower\": 1, \"aenergy\": {\"total\": 100}, \"ret_aenergy\": {\"total\": 40}}}"
        }
    };
    let polls = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |request: &Request, _| match request.target.as_str() {
        "/rpc/Shelly.GetStatus" => json(status(polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed))),
        _ => reply("404 Not Found", "", ""),
    })
    .await;
    let mut driver = open(Settings { profile: Some("shelly-gen2".to_owned()), ..settings(&server.url) });
    let energy = "switch/0 energy 216000".to_owned();
    assert_eq!(lines(&driver.poll().await.unwrap()), ["switch/0 power 1".to_owned(), energy.clone()]);
    assert_eq!(lines(&driver.poll().await.unwrap()), ["switch/0 power 1"]);
    assert_eq!(lines(&driver.poll().await.unwrap()), ["switch/0 power 1"]);
    assert_eq!(lines(&driver.poll().await.unwrap()), ["switch/0 power 1".to_owned(), energy]);
}

/// Tasmota takes its password in the query, and refuses it with a good status.
#[tokio::test]
async fn a_password_in_the_query_is_in_no_message() {
    let server = Server::start(|request: &Request, _| {
        if request.target.contains("user=admin&password=hunter2+%26") {
            json("{\"StatusSNS\": {\"Time\": \"2026-11-22T10:00:00\", \"ENERGY\": {\"Power\": 7}}}")
        } else {
            json("{\"WARNING\": \"Need user=<username>&password=<password>\"}")
        }
    })
    .await;
    let with =
        |password: &str| Settings { password: Some(password.to_owned().into()), ..settings(&server.url) };
    assert_eq!(lines(&open(with("hunter2 &")).poll().await.unwrap()), ["input power 7"]);
    let error = open(with("hunter3")).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth, "{error}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone =
        Settings { url: format!("http://{nobody}"), profile: Some("tasmota".to_owned()), ..with("hunter3") };
    let error = open(gone).poll().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
}

#[tokio::test]
async fn a_device_that_nobody_knows_is_told_which_profiles_there_are() {
    let server = Server::start(|_, _| json("{\"hello\": 1}")).await;
    let error = open(settings(&server.url)).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading);
    assert!(error.fix.contains("shelly-gen1, shelly-gen2, tasmota"), "{error}");
    assert!(server.requests().len() <= 12, "{:?}", server.requests());
}
