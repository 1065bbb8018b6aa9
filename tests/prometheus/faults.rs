//! Pages that are large, cut, foreign or protected; after each the next good reading is right.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wattribute::model::{ErrorKind, Quantity};

use super::web::{Reply, Server, reply};
use super::{Access, lines, metric, of, open, page};

fn text(body: &str) -> Reply {
    reply("200 OK", "Content-Type: text/plain; version=0.0.4\r\n", body)
}

fn power() -> Vec<super::Series> {
    vec![of(metric("p", &[]), Quantity::Power, "{a}")]
}

#[tokio::test]
async fn a_page_of_100_000_lines_is_read_within_its_limits() {
    let mut body = String::new();
    for n in 0..100_000 {
        writeln!(body, "other_metric_with_a_long_name_total{{instance=\"node-{n}\",mode=\"idle\",x=\"a \\\"b\\\"\"}} {n}.5").unwrap();
    }
    body.push_str("p{a=\"x\"} 7\n");
    let size = body.len();
    let whole = text(&body);
    let server = Server::start(move |_, _| whole.clone()).await;
    let mut driver = open(page(&server.url, power()));
    let begun = Instant::now();
    assert_eq!(lines(&driver.poll().await.unwrap()), ["x power 7"]);
    println!("100,001 lines, {size} bytes: {:?} in this build", begun.elapsed());
}

#[tokio::test]
async fn after_every_fault_the_next_reading_is_right() {
    let good = text("p{a=\"x\"} 99\n");
    let cut = Reply { bytes: good.bytes[..good.bytes.len() - 3].to_vec(), close: true, ..Reply::default() };
    let late = Reply { wait: Duration::from_secs(1), ..good.clone() };
    let open_metrics = |body: &str| reply("200 OK", "Content-Type: application/openmetrics-text\r\n", body);
    for (name, fault, kind) in [
        ("late", late, ErrorKind::Timeout),
        ("cut", cut, ErrorKind::Protocol),
        ("without its end mark", open_metrics("p{a=\"x\"} 99\n"), ErrorKind::Protocol),
        ("a page for people", text("<html>\n"), ErrorKind::Protocol),
        ("gone", reply("404 Not Found", "", "p{a=\"x\"} 99\n"), ErrorKind::Protocol),
        ("moved", reply("301 Moved", "Location: /metrics\r\n", ""), ErrorKind::Protocol),
        ("locked", reply("401 Unauthorized", "", ""), ErrorKind::Auth),
        ("no number", text("p{a=\"x\"} NaN\n"), ErrorKind::NoReading),
        ("endless", text("p{a=\"x\"} +Inf\n"), ErrorKind::NoReading),
        ("no line end", text("# HELP p x\np{a=\"x\"} 9"), ErrorKind::NoReading),
        ("without the label", text("p 9\n"), ErrorKind::Protocol),
        ("twice", text("p{a=\"x\"} 9\np{a=\"x\",b=\"\"} 9\n"), ErrorKind::Protocol),
    ] {
        let broken = Arc::new(AtomicBool::new(true));
        let bad = Arc::clone(&broken);
        let server =
            Server::start(
                move |_, _| {
                    if bad.load(Ordering::Relaxed) { fault.clone() } else { text("p{a=\"x\"} 5\n") }
                },
            )
            .await;
        let mut settings = page(&server.url, power());
        settings.request_timeout = Duration::from_millis(500);
        let mut driver = open(settings);
        let error = driver.poll().await.map(|batch| lines(&batch)).unwrap_err();
        assert_eq!(error.kind, kind, "{name}: {error}");
        broken.store(false, Ordering::Relaxed);
        assert_eq!(lines(&driver.poll().await.unwrap()), ["x power 5"], "{name}");
    }
}

#[tokio::test]
async fn a_token_and_headers_are_sent_and_told_to_nobody() {
    let server = Server::start(|request, _| {
        let head = request.head.to_ascii_lowercase();
        if head.contains("authorization: bearer top-secret") && head.contains("x-scope-orgid: dc1") {
            text("p{a=\"x\"} 5\n")
        } else {
            reply("403 Forbidden", "", "")
        }
    })
    .await;
    let mut settings = page(&server.url, power());
    settings.headers = vec![("X-Scope-OrgID".to_owned(), "dc1".to_owned())];
    settings.access = Access::Bearer("top-secret".to_owned().into());
    assert_eq!(lines(&open(settings.clone()).poll().await.unwrap()), ["x power 5"]);
    assert!(!format!("{settings:?}").contains("top-secret"));
    settings.access = Access::Bearer("hunter2".to_owned().into());
    let error = open(settings).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(
        error.cause.starts_with("the token is refused") && !error.to_string().contains("hunter2"),
        "{error}"
    );
}
