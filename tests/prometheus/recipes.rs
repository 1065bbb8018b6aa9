//! The recipes of the driver's page: all are good configurations, and those whose exporters run here read what these really show.

use std::fs;
use std::time::Duration;

use wattribute::app::plan;
use wattribute::app::plan::DriverPlan;
use wattribute::config;
use wattribute::model::{Batch, PollError};

use super::ipmi_peers::Bmc;
use super::peers::Peer;
use super::snmp_peers::snmpd;
use super::web::{Server, reply};
use super::{Settings, Source, lines, open, until};

/// The meters of every example in the page, with their names.
fn recipes() -> Vec<(String, Settings)> {
    let page = include_str!("../../docs/drivers/prometheus.md");
    let mut recipes = Vec::new();
    for block in page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("main.yaml");
        fs::write(dir.path().join("mimir.token"), "secret").unwrap();
        fs::write(&file, block.replace("/etc/wattribute/", "")).unwrap();
        let env = |name: &str| (name == "RELAY_PASSWORD").then(|| "secret".to_owned());
        let config = config::load(&file, &env).unwrap_or_else(|errors| panic!("{errors}\n{block}"));
        for meter in plan(&config).meters {
            let DriverPlan::Prometheus(settings) = meter.driver else { panic!("{block}") };
            recipes.push((meter.settings.id.to_string(), settings));
        }
    }
    recipes
}

/// The recipe of a meter for a page elsewhere.
fn recipe(name: &str, page: String) -> Settings {
    let (_, mut settings) = recipes().into_iter().find(|(meter, _)| meter == name).unwrap();
    settings.source = Source::Page(page);
    settings
}

#[test]
fn every_recipe_is_a_good_configuration() {
    let names: Vec<String> = recipes().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "cpu-1",
            "handed-in",
            "compute-1-sensors",
            "bmc-1",
            "pdu-a",
            "server-7",
            "node-3",
            "site-2",
            "row-4"
        ]
    );
}

#[test]
fn what_stands_in_a_pages_query_is_in_no_message() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("main.yaml");
    let series = "[{metric: p, quantity: power, channel: input}]";
    let meter =
        format!("{{name: m, prometheus: {{page: 'http://x:9/metrics?token=hunter2', series: {series}}}}}");
    fs::write(&file, format!("meters: [{meter}]\n")).unwrap();
    let env = |_: &str| None;
    let config = config::load(&file, &env).unwrap();
    let meter = plan(&config).meters.remove(0);
    assert_eq!(meter.settings.address, "http://x:9/metrics");
}

/// 57 and 31 tens of watts; 1234.5 and 40 kWh.
#[tokio::test]
async fn a_pdu_by_snmp_exporter() {
    let table = "1.3.6.1.4.1.318.1.1.26.4.3.1";
    let agent = snmpd(&format!(
        "rocommunity public 127.0.0.1\noverride .{table}.5.1 integer 57\noverride .{table}.5.2 integer 31\n\
         override .{table}.9.1 integer 12345\noverride .{table}.9.2 integer 400"
    ));
    let index = "indexes: [{labelname: rPDU2DeviceStatusIndex, type: gauge}]";
    let exporter = Peer::snmp_exporter(&format!(
        "apc_rpdu2:\n  version: 2\n  auth: {{community: public}}\n  walk: [{table}.5, {table}.9]\n  metrics:\n  \
         - {{name: rPDU2DeviceStatusPower, oid: {table}.5, type: gauge, help: p, {index}}}\n  \
         - {{name: rPDU2DeviceStatusEnergy, oid: {table}.9, type: gauge, help: e, {index}}}\n"
    ));
    let page = format!("http://{}/snmp?target={}&module=apc_rpdu2", exporter.address, agent.address);
    let mut settings = recipe("pdu-a", page);
    settings.request_timeout = Duration::from_secs(20);
    let batch: Result<Batch, PollError> = until(&mut open(settings), Result::is_ok).await;
    assert_eq!(
        lines(&batch.unwrap()),
        ["input/1 energy 4444200000", "input/1 power 570", "input/2 energy 144000000", "input/2 power 310"]
    );
}

/// The BMC's DCMI says 245 W, its sensor 244 W, and 24 degrees.
#[tokio::test]
async fn a_bmc_by_ipmi_exporter() {
    let bmc = Bmc::start();
    let exporter = Peer::ipmi_exporter();
    let page = format!("http://{}/ipmi?target={}", exporter.address, bmc.address);
    let batch = until(&mut open(recipe("bmc-1", page)), Result::is_ok).await.unwrap();
    assert_eq!(
        lines(&batch),
        ["input power 245", "sensor/Inlet-Temp temperature 24", "sensor/Sys-Power power 244"]
    );
}

/// The page is that of an exporter of ours with two meters.
#[tokio::test]
async fn another_wattribute() {
    let own = include_str!("relay.prom");
    let server =
        Server::start(move |_, _| reply("200 OK", "Content-Type: text/plain; version=0.0.4\r\n", own)).await;
    let batch = open(recipe("site-2", server.url.clone())).poll().await.unwrap();
    assert_eq!(
        lines(&batch),
        ["bmc-1:input power 301.5", "pdu-a:outlet-7 energy 3600000", "pdu-a:outlet-7 power 120"]
    );
}

#[tokio::test]
async fn a_machine_by_node_exporter() {
    let node = Peer::node_exporter(
        "node_rapl_package_joules_total{index=\"0\",path=\"/sys/x\"} 12.5\n\
         node_rapl_dram_joules_total{index=\"0\",path=\"/sys/z\"} 2\n\
         node_hwmon_power_average_watt{chip=\"power_meter_acpi000d:00\",sensor=\"power1\"} 250.5\n",
    );
    let batch =
        open(recipe("compute-1-sensors", format!("http://{}/metrics", node.address))).poll().await.unwrap();
    assert_eq!(
        lines(&batch),
        ["dram/0 energy 2", "package/0 energy 12.5", "power_meter_acpi000d:00/power1 power 250.5"]
    );
}
