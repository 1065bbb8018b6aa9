//! A real Prometheus that finds two BMCs itself and has them read, by the example of `deploy/`.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::exporter::Probing;
use crate::peers::Bmc;
use crate::process::{Program, free_address, get, in_repository};

async fn values(at: SocketAddr, query: &str) -> Vec<(String, String)> {
    let answer = get(at, &format!("/api/v1/query?query={query}"), "").await;
    let data = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default()["data"].clone();
    let results = data["result"].as_array().cloned().unwrap_or_default();
    let mut values: Vec<_> = results
        .iter()
        .map(|r| {
            let labels = format!(
                "{} {} {}",
                r["metric"]["datacenter"].as_str().unwrap_or_default(),
                r["metric"]["instance"].as_str().unwrap_or_default(),
                r["metric"]["meter"].as_str().unwrap_or_default()
            );
            (labels, r["value"][1].as_str().unwrap().to_owned())
        })
        .collect();
    values.sort();
    values
}

#[test]
fn the_example_is_one_that_prometheus_takes() {
    let check = Command::new("promtool")
        .args(["check", "config"])
        .arg(in_repository("deploy/prometheus-probe.yml"))
        .output()
        .expect("promtool is missing; `make test` installs it (Debian package prometheus)");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_has_two_bmcs_read_that_it_found_itself() {
    let (mut one, mut two) = (Bmc::start(), Bmc::start());
    one.set("watts", 245);
    two.set("watts", 321);
    let probing = Probing::start("").await;
    let dir = tempfile::tempdir().unwrap();
    let example = fs::read_to_string(in_repository("deploy/prometheus-probe.yml")).unwrap();
    let config = example
        .replace("[10.0.0.11, 10.0.0.12]", &format!("['{}', '{}']", one.address, two.address))
        .replace("module: [bmc]", "module: [ipmi]")
        .replace("localhost:9797", &probing.address().to_string())
        .replace("scrape_interval: 30s", "scrape_interval: 1s")
        .replace("scrape_timeout: 10s", "scrape_timeout: 1s");
    let file = dir.path().join("prometheus.yml");
    fs::write(&file, config).unwrap();
    let at = free_address();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={at}"));
    let mut prometheus = Program::start(command);

    let row = |bmc: &Bmc| format!("dc1 {0} {0}", bmc.address);
    let mut expected = vec![(row(&one), "245".to_owned()), (row(&two), "321".to_owned())];
    expected.sort();
    prometheus
        .until("both BMCs' watts", async |_| {
            let watts = values(at, "wattribute_meter_power_watts%7Bchannel%3D%22input%22%7D").await;
            (watts == expected).then_some(())
        })
        .await;
    let success = values(at, "probe_success").await;
    assert_eq!(success.iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>(), ["1", "1"]);
    drop(prometheus);
    one.all_closed(1).await;
    two.all_closed(1).await;
}
