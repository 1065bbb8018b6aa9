//! The Prometheus driver: a real node exporter's page, a real Prometheus before it, and sources that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]
#![allow(missing_docs)]

#[path = "prometheus/faults.rs"]
mod faults;
#[path = "prometheus/files.rs"]
mod files;
#[path = "ipmi/peers.rs"]
#[allow(dead_code, reason = "only the BMC is needed")]
mod ipmi_peers;
#[path = "prometheus/peers.rs"]
mod peers;
#[path = "prometheus/recipes.rs"]
mod recipes;
#[path = "prometheus/servers.rs"]
mod servers;
#[path = "snmp/peers.rs"]
#[allow(dead_code, reason = "only the agent is needed")]
mod snmp_peers;
#[path = "http/server.rs"]
#[allow(dead_code, reason = "it has more than is needed here")]
mod web;

use std::sync::Arc;
use std::time::{Duration, Instant};

use wattribute::drivers::Driver;
use wattribute::drivers::channels::Template;
use wattribute::drivers::prometheus::{self, Access, Pick, Series, Settings, Source, Trust};
use wattribute::model::{Batch, Clock, PollError, Quality, Quantity, SystemClock};

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn settings(source: Source, series: Vec<Series>) -> Settings {
    Settings {
        source,
        access: Access::Open,
        trust: Trust::WebPki,
        headers: Vec::new(),
        request_timeout: Duration::from_secs(20),
        max_age: Duration::from_secs(60),
        series,
    }
}

fn page(url: &str, series: Vec<Series>) -> Settings {
    settings(Source::Page(url.to_owned()), series)
}

fn server(address: &str, series: Vec<Series>) -> Settings {
    settings(Source::Server(format!("http://{address}")), series)
}

fn open(settings: Settings) -> Box<dyn Driver> {
    prometheus::open(settings, clock()).unwrap()
}

fn of(pick: Pick, quantity: Quantity, channel: &str) -> Series {
    Series {
        pick,
        quantity,
        channel: Template::parse(channel).unwrap(),
        scale: 1.0,
        step: 1.0,
        wraps_at: None,
        quality: Quality::Measured,
    }
}

fn metric(name: &str, labels: &[(&str, &str)]) -> Pick {
    let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Pick::Metric { name: name.to_owned(), labels, patterns: Vec::new() }
}

/// Every reading as `channel quantity value`, those of earlier moments too, in order of channels.
fn lines(batch: &Batch) -> Vec<String> {
    let earlier = batch.earlier.iter().flat_map(|earlier| &earlier.readings);
    let mut lines: Vec<String> = earlier
        .chain(&batch.readings)
        .map(|r| format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value()))
        .collect();
    lines.sort();
    lines
}

/// Polls until `good` holds of the outcome.
async fn until(
    driver: &mut Box<dyn Driver>,
    good: impl Fn(&Result<Batch, PollError>) -> bool,
) -> Result<Batch, PollError> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let result = driver.poll().await;
        if good(&result) {
            return result;
        }
        assert!(Instant::now() < deadline, "{result:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
