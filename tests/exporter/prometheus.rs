//! A real Prometheus that scrapes the exporter and evaluates our rules.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::datacenter::simulation_for;
use crate::process::{Exporter, Program, free_address, get, in_repository};

async fn api(at: SocketAddr, path: &str) -> Value {
    let answer = get(at, &format!("/api/v1/{path}"), "").await;
    serde_json::from_slice::<Value>(&answer.body).unwrap_or_default()["data"].clone()
}

/// The values of an instant query.
async fn values(at: SocketAddr, query: &str) -> Vec<f64> {
    let data = api(at, &format!("query?query={query}")).await;
    let results = data["result"].as_array().cloned().unwrap_or_default();
    results.iter().map(|r| r["value"][1].as_str().unwrap().parse().unwrap()).collect()
}

/// Our rules, evaluated each second: some groups have a minute otherwise.
fn often(dir: &Path) -> PathBuf {
    let rules = dir.join("rules");
    fs::create_dir(&rules).unwrap();
    for entry in fs::read_dir(in_repository("rules")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&entry).unwrap();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("interval:"));
            let text: String = lines.map(|line| format!("{line}\n")).collect();
            fs::write(rules.join(entry.file_name().unwrap()), text).unwrap();
        }
    }
    rules
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_it_and_every_rule_evaluates() {
    let dir = tempfile::tempdir().unwrap();
    let (address, at) = (free_address(), free_address());
    let sim = simulation_for(dir.path(), address, often(dir.path())).await;
    let exporter = Exporter::start_with(&sim.config, &address.to_string(), &[]).await;
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", sim.prometheus.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={at}"));
    let mut prometheus = Program::start(command);

    prometheus.until("up == 1", async |_| (values(at, "up").await == [1.0]).then_some(())).await;
    // The first few seconds of a window of five minutes extrapolate, each series from its own start.
    let pue = prometheus
        .until("a PUE from 1 to 3", async |_| {
            let pue = *values(at, "datacenter:pue:ratio_rate5m").await.first()?;
            (1.0..3.0).contains(&pue).then_some(pue)
        })
        .await;
    println!("PUE {pue:.3}");
    // Every rule has been evaluated once, without an error.
    let rules = prometheus
        .until("every rule evaluated", async |_| {
            let groups = api(at, "rules").await["groups"].as_array().cloned().unwrap_or_default();
            let rules: Vec<Value> =
                groups.iter().flat_map(|g| g["rules"].as_array().unwrap().clone()).collect();
            (!rules.is_empty() && rules.iter().all(|r| r["health"] != "unknown")).then_some(rules)
        })
        .await;
    println!("{} rules", rules.len());
    assert!(rules.len() > 20, "{} rules", rules.len());
    for rule in &rules {
        assert_eq!((&rule["health"], rule.get("lastError")), (&"ok".into(), None), "{rule:#}");
    }
    assert_eq!(values(at, "up").await, [1.0], "{}", exporter.program.output());
    // A page that Prometheus refuses in part would tell here.
    assert_eq!(values(at, "scrape_samples_scraped%20-%20scrape_samples_post_metric_relabeling").await, [0.0]);
    let said = prometheus.output();
    assert!(!said.contains("Error on ingesting") && !said.contains("level=error"), "{said}");
}
