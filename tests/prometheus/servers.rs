//! A real node exporter, by its page and through a real Prometheus; what stops measuring is no reading.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wattribute::model::{Batch, ErrorKind, Quantity};

use super::peers::Peer;
use super::web::{Server, reply};
use super::{lines, metric, of, open, page, server, until};

/// As a machine's RAPL and power meter would be shown.
const METRICS: &str = "# TYPE node_rapl_package_joules_total counter\n\
                       node_rapl_package_joules_total{index=\"0\",path=\"/sys/x\"} 1234.5\n\
                       node_rapl_package_joules_total{index=\"1\",path=\"/sys/y\"} 99\n\
                       # TYPE node_hwmon_power_average_watt gauge\n\
                       node_hwmon_power_average_watt{chip=\"acpi\",sensor=\"power1\"} 250.5\n\
                       node_hwmon_power_average_watt{chip=\"bad\",sensor=\"power1\"} NaN\n";
const LINES: [&str; 3] = ["acpi/power1 power 250.5", "package/0 energy 1234.5", "package/1 energy 99"];

fn series() -> Vec<super::Series> {
    vec![
        of(metric("node_rapl_package_joules_total", &[]), Quantity::Energy, "package/{index}"),
        of(
            metric("node_hwmon_power_average_watt", &[("sensor", "power1")]),
            Quantity::Power,
            "{chip}/{sensor}",
        ),
    ]
}

#[tokio::test]
async fn a_node_exporters_page_is_read() {
    let node = Peer::node_exporter(METRICS);
    let mut driver = open(page(&format!("http://{}/metrics", node.address), series()));
    assert_eq!(lines(&driver.poll().await.unwrap()), LINES);
    assert_eq!(lines(&driver.poll().await.unwrap()), LINES, "a page without time stamps is of now");
    drop(node);
    assert_eq!(driver.poll().await.unwrap_err().kind, ErrorKind::Unreachable);
}

#[tokio::test]
async fn a_prometheus_gives_each_sample_once_and_nothing_of_the_dead() {
    let node = Peer::node_exporter(METRICS);
    let prometheus = Peer::prometheus(&node.address);
    // Each series is a query of its own: the first scrape may fall between two of them, and what was given once is not
    // given again. A driver that asks after that scrape has all at once.
    until(&mut open(server(&prometheus.address, series())), |result| {
        result.as_ref().is_ok_and(|batch| lines(batch).contains(&LINES[0].to_owned()))
    })
    .await
    .unwrap();
    let mut driver = open(server(&prometheus.address, series()));
    let first = until(&mut driver, Result::is_ok).await.unwrap();
    assert_eq!(lines(&first), LINES);
    // Within the second of a scrape there is nothing new; then each is there once more, and dated.
    let mut news = Vec::new();
    while news.len() < LINES.len() {
        // What comes within a moment of the poll before has no room for a date of its own.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let some = |batch: &Batch| !batch.earlier.is_empty() || !batch.readings.is_empty();
        let batch = until(&mut driver, |result| result.as_ref().is_ok_and(some)).await.unwrap();
        assert!(batch.readings.is_empty(), "{batch:?}");
        news.extend(lines(&batch));
    }
    news.sort();
    assert_eq!(news, LINES);
    // A value that changes is seen.
    fs::write(node.dir.path().join("own.prom"), METRICS.replace("250.5", "260")).unwrap();
    until(&mut driver, |result| {
        result.as_ref().is_ok_and(|batch| lines(batch).contains(&"acpi/power1 power 260".to_owned()))
    })
    .await
    .unwrap();
    drop(node);
    let error = until(&mut driver, Result::is_err).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading, "{error}");
}

/// Series with time stamps of their own get no mark when they end: Prometheus shows them for five minutes more.
#[tokio::test]
async fn a_sample_that_only_grows_old_ends_with_max_age() {
    let first = std::sync::OnceLock::new();
    let exporter = Server::start(move |_, _| {
        let stands = first.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis());
        reply("200 OK", "Content-Type: text/plain; version=0.0.4\r\n", &format!("p{{a=\"x\"}} 7 {stands}\n"))
    })
    .await;
    let prometheus = Peer::prometheus(exporter.url.trim_start_matches("http://"));
    let mut settings = server(&prometheus.address, vec![of(metric("p", &[]), Quantity::Power, "{a}")]);
    settings.max_age = Duration::from_secs(6);
    let mut driver = open(settings.clone());
    assert_eq!(lines(&until(&mut driver, Result::is_ok).await.unwrap()), ["x power 7"]);
    assert_eq!(lines(&driver.poll().await.unwrap()), Vec::<String>::new(), "it was taken before");
    let error = until(&mut driver, Result::is_err).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading, "{error}");
    // By its page it is the same.
    settings.source = super::Source::Page(exporter.url.clone());
    let error = open(settings).poll().await.unwrap_err();
    assert!(error.cause.starts_with("the newest samples are "), "{error}");
}

/// A clock that was far ahead and is set right, or the other way round.
#[tokio::test]
async fn a_source_whose_clock_is_set_is_heard_again() {
    let polls = AtomicUsize::new(0);
    let exporter = Server::start(move |_, _| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let (stamp, watts) = match polls.fetch_add(1, Ordering::Relaxed) {
            0 => (now + 3_600_000, 7),
            n => (now, 7 + n),
        };
        let body = format!("p{{a=\"x\"}} {watts} {stamp}\n");
        reply("200 OK", "Content-Type: text/plain; version=0.0.4\r\n", &body)
    })
    .await;
    let mut driver = open(page(&exporter.url, vec![of(metric("p", &[]), Quantity::Power, "{a}")]));
    assert_eq!(lines(&driver.poll().await.unwrap()), ["x power 7"]);
    assert_eq!(lines(&driver.poll().await.unwrap()), ["x power 8"]);
}

#[tokio::test]
async fn promql_is_asked_as_it_is_written_and_its_errors_are_told() {
    let node = Peer::node_exporter(METRICS);
    let prometheus = Peer::prometheus(&node.address);
    let query = |text: &str| super::Pick::Query(text.to_owned());
    let sum =
        of(query("sum by (job) (node_rapl_package_joules_total) # both"), Quantity::Energy, "cpu/{job}");
    let mut driver = open(server(&prometheus.address, vec![sum]));
    let batch = until(&mut driver, Result::is_ok).await.unwrap();
    assert_eq!(lines(&batch), ["cpu/node energy 1333.5"]);
    let scalar = of(query("vector(5)"), Quantity::Power, "input");
    let mut driver = open(server(&prometheus.address, vec![scalar]));
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 5"]);
    for (text, said) in [("sum(", "says: "), ("up[5m]", "says: "), ("\"text\"", "says: ")] {
        let bad = of(query(text), Quantity::Power, "input");
        let error = open(server(&prometheus.address, vec![bad])).poll().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol);
        assert!(error.cause.contains(said), "{error}");
    }
    // Two series would be one channel.
    let both = of(metric("node_rapl_package_joules_total", &[]), Quantity::Energy, "input");
    let error = open(server(&prometheus.address, vec![both])).poll().await.unwrap_err();
    assert!(error.cause.contains("index=\"0\"") && error.cause.contains("index=\"1\""), "{error}");
    assert!(error.cause.contains("are both energy of channel input"), "{error}");
    // A server that is none.
    let no_server = of(metric("up", &[]), Quantity::Power, "input");
    let error = open(server(&node.address, vec![no_server])).poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol, "{error}");
}
