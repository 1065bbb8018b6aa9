//! Trees of resources over a real web server: every watt worked out by hand.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use wattribute::drivers::redfish::{Login, Trust, open};
use wattribute::model::{ErrorKind, Identity, Measure};

use crate::makers::{settled, windows};
use crate::nginx::Nginx;
use crate::{lines, settings};

pub fn own_tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/redfish/server")
}

/// `redfish/` of the recordings, or one line that says that there are none.
pub fn recordings() -> Option<PathBuf> {
    let folder =
        std::env::var_os("WATTRIBUTE_RECORDINGS").map(|folder| PathBuf::from(folder).join("redfish"));
    if folder.is_none() {
        println!("WATTRIBUTE_RECORDINGS is not set: the trees of other makers are not tried");
    }
    folder
}

pub fn identity(said: [&str; 5]) -> Identity {
    let [vendor, model, serial, firmware, profile] = said.map(str::to_owned);
    Identity { vendor, model, serial, firmware, profile }
}

/// A folder in which `redfish/v1/PATH/index.json` is laid out from `resources`.
pub fn lay_out(resources: &[(&str, Vec<u8>)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, body) in resources {
        let folder = dir.path().join("redfish/v1").join(path);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("index.json"), body).unwrap();
    }
    dir
}

fn link(path: &str) -> Value {
    json!({ "@odata.id": format!("/redfish/v1/{path}") })
}

fn members(paths: &[&str]) -> Vec<u8> {
    json!({ "Members": paths.iter().map(|p| link(p)).collect::<Vec<_>>() }).to_string().into_bytes()
}

fn root() -> Vec<u8> {
    json!({ "Chassis": link("Chassis"), "Systems": link("Systems") }).to_string().into_bytes()
}

#[tokio::test]
async fn our_own_tree_reads_as_written() {
    let bmc = Nginx::serve(&own_tree());
    let mut driver = open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic)).unwrap();
    let batch = driver.poll().await.unwrap();
    // EnvironmentMetrics before PowerControl (410 W); LifetimeReading 9876.543 kWh x 3.6e6 = 35,555,554,800 J;
    // PSU1 4938 kWh x 3.6e6 = 17,776,800,000 J; PSU2's power is a string, its current null; PSU3's bay is empty;
    // memory's 0 W is none with the server on; the older list of supplies is not used beside the newer one.
    assert_eq!(
        lines(&batch),
        [
            "input power 412.5",
            "input apparent_power 420",
            "input power_factor 0.98",
            "input temperature 24.5",
            "input energy 35555554800",
            "control/cpu-sub-system-power power 180",
            "psu/PSU1 power 205.5",
            "psu/PSU1 voltage 230.1",
            "psu/PSU1 current 0.9",
            "psu/PSU1 frequency 50",
            "psu/PSU1 energy 17776800000",
            "psu/PSU2 power 207",
            "psu/PSU2 voltage 229.8",
        ]
    );
    assert_eq!(batch.identity, Some(identity(["Example", "EX-2U Gen2", "S-4711", "2.18.0", "redfish"])));
    let quanta: Vec<f64> = batch
        .readings
        .iter()
        .filter_map(|r| if let Measure::Energy(e) = r.measure { Some(e.quantum.get()) } else { None })
        .collect();
    // 9876.543 kWh shows thousandths: 3600 J; 4938 kWh shows whole ones: 3.6 MJ.
    assert_eq!(quanta, [3600.0, 3_600_000.0]);
}

#[tokio::test]
async fn later_polls_read_the_same_over_one_connection_and_ask_for_little() {
    let bmc = Nginx::serve(&own_tree());
    let mut driver = open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Session)).unwrap();
    let first = driver.poll().await.unwrap();
    let second = driver.poll().await.unwrap();
    assert_eq!(lines(&first), lines(&second));
    assert_eq!(second.identity, None);
    driver.close().await;
    let log = bmc.log_up_to("DELETE").await;
    let connections: HashSet<_> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(connections.len(), 1, "{log:#?}");
    let requests: Vec<&str> = log.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    let posts = requests.iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!((requests[1], posts), ("POST /redfish/v1/SessionService/Sessions 201", 1));
    // EnvironmentMetrics, the metrics of two supplies, and Power for its parts; then the same again, and goodbye.
    let (last, polls) = requests.split_last().unwrap();
    assert_eq!(*last, "DELETE /redfish/v1/SessionService/Sessions/7 204");
    assert_eq!(polls[polls.len() - 4..], polls[polls.len() - 8..polls.len() - 4], "{log:#?}");
    assert!(polls[polls.len() - 4].contains("EnvironmentMetrics"), "{log:#?}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_as_such() {
    let bmc = Nginx::serve(&own_tree());
    let mut wrong = settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic);
    wrong.credentials = Some(("root".to_owned(), "Tr0ub4dor".to_owned().into()));
    let error = open(wrong).unwrap().poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth, "{error}");
    assert!(error.cause.contains("root") && !error.to_string().contains("Tr0ub4dor"), "{error}");
    let mut none = settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic);
    none.credentials = None;
    assert_eq!(open(none).unwrap().poll().await.unwrap_err().kind, ErrorKind::Auth);
}

#[tokio::test]
async fn resources_that_move_are_found_again() {
    let resources = |name: &str, watts: u32| {
        [
            ("".to_owned(), root()),
            ("Chassis".to_owned(), members(&[&format!("Chassis/{name}")])),
            (
                format!("Chassis/{name}"),
                json!({ "Power": link(&format!("Chassis/{name}/P")) }).to_string().into(),
            ),
            (
                format!("Chassis/{name}/P"),
                json!({ "PowerControl": [{ "PowerConsumedWatts": watts }] }).to_string().into(),
            ),
        ]
    };
    let dir = {
        let first = resources("A", 100);
        lay_out(&first.iter().map(|(p, b): &(String, Vec<u8>)| (p.as_str(), b.clone())).collect::<Vec<_>>())
    };
    let bmc = Nginx::serve(dir.path());
    let mut driver = open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic)).unwrap();
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 100"]);
    fs::remove_dir_all(dir.path().join("redfish/v1/Chassis/A")).unwrap();
    for (path, body) in resources("B", 200) {
        let folder = dir.path().join("redfish/v1").join(path);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("index.json"), body).unwrap();
    }
    assert_eq!(driver.poll().await.unwrap_err().kind, ErrorKind::NoReading);
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 200"]);
}

#[tokio::test]
async fn the_dmtf_rack_server_reads_as_published() {
    let Some(recordings) = recordings() else { return };
    let dir = lay_out(&[]);
    fs::create_dir_all(dir.path().join("redfish")).unwrap();
    std::os::unix::fs::symlink(recordings.join("public-rackmount1"), dir.path().join("redfish/v1")).unwrap();
    let bmc = Nginx::serve(dir.path());
    let mut driver =
        open(settings(&bmc.url, Trust::Fingerprint(bmc.certificate.fingerprint), Login::Basic)).unwrap();
    let batch = settled(&mut driver).await;
    // EnvironmentMetrics.PowerWatts 374 W (PowerControl says 344); Bay1's 937.4 W is over 1.1 x 400 W = 440 W, so it
    // is no reading; its 325,675 kWh x 3.6e6 = 1,172,430,000,000 J; Bay2 is Absent. The chassis counts no energy itself, its
    // sensor TotalEnergy shows 325,675 kWh too. ThermalMetrics' intake is 24.8, Thermal's would be 25. CPU1 has metrics of its own,
    // FPGA1 has none, the memory modules have temperatures alone. Sensors whose excerpts stand elsewhere are not read.
    assert_eq!(
        lines(&batch),
        [
            "input power 374",
            "input temperature 39",
            "psu/Bay1 voltage 230.2",
            "psu/Bay1 current 5.19",
            "psu/Bay1 frequency 60",
            "psu/Bay1 energy 1172430000000",
            "inlet temperature 24.8",
            "input energy 1172430000000",
            "cpu/CPU1 power 12.87",
            "cpu/CPU1 temperature 44",
        ]
    );
    // IntervalInMin 30 is 1800 s.
    assert_eq!(windows(&batch), ["input reporting 1800 319 271 489"]);
    let said = ["Contoso", "3500", "437XR1138R2", "1.45.455b66-rev4", "redfish"];
    assert_eq!(batch.identity, Some(identity(said)));
    let system = batch.system.unwrap();
    assert_eq!((system.processors, system.cores, system.threads), (Some(2), Some(8), Some(16)));
    // 96 GiB x 2^30
    assert_eq!((system.hostname.as_str(), system.memory_bytes), ("web483", Some(103_079_215_104)));
}

#[tokio::test]
async fn a_dell_server_reads_as_recorded() {
    let Some(recordings) = recordings() else { return };
    let sample = |name: &str| fs::read(recordings.join("telegraf-samples/dell").join(name)).unwrap();
    let dir = lay_out(&[
        ("", root()),
        ("Chassis", members(&["Chassis/System.Embedded.1"])),
        ("Chassis/System.Embedded.1", sample("dell_chassis.json")),
        ("Chassis/System.Embedded.1/Power", sample("dell_power.json")),
        ("Chassis/System.Embedded.1/Thermal", sample("dell_thermal.json")),
        ("Systems", sample("dell_available_systems.json")),
        ("Systems/System.Embedded.1", sample("dell_systems.json")),
    ]);
    let bmc = Nginx::serve(dir.path());
    let mut driver = open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic)).unwrap();
    let batch = settled(&mut driver).await;
    // PowerConsumedWatts 429; the supply's PowerInputWatts 900 is at least 1.1 x 750 W = 825 W: its rating. Thermal lists a
    // processor alone.
    assert_eq!(lines(&batch), ["input power 429", "psu/PSU.Slot.1 voltage 206"]);
    // IntervalInMin 1 is 60 s.
    assert_eq!(windows(&batch), ["input reporting 60 426 425 436"]);
    let Identity { vendor, profile, .. } = batch.identity.unwrap();
    assert!(vendor.starts_with("Dell") && profile == "redfish idrac", "{vendor} {profile}");
    assert_eq!(batch.system.unwrap().hostname, "tpa-hostname");
}

#[tokio::test]
async fn an_hpe_server_reads_as_recorded() {
    let Some(recordings) = recordings() else { return };
    let sample = |name: &str| fs::read(recordings.join("telegraf-samples/hp").join(name)).unwrap();
    let dir = lay_out(&[
        ("", root()),
        ("Chassis", members(&["Chassis/1"])),
        ("Chassis/1", sample("hp_chassis.json")),
        ("Chassis/1/Power", sample("hp_power.json")),
        ("Chassis/1/Thermal", sample("hp_thermal.json")),
        ("Systems", members(&["Systems/1"])),
        ("Systems/1", sample("hp_systems.json")),
    ]);
    let bmc = Nginx::serve(dir.path());
    let mut driver = open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic)).unwrap();
    let batch = settled(&mut driver).await;
    // PowerConsumedWatts 221; the supplies show only LastPowerOutputWatts, which is output, beside 205 V of input. 01-Inlet
    // Ambient is 19.
    assert_eq!(
        lines(&batch),
        ["input power 221", "psu/0 voltage 205", "psu/1 voltage 205", "inlet temperature 19"]
    );
    // IntervalInMin 20 is 1200 s; the recording has no PowerMeter.
    assert_eq!(windows(&batch), ["input reporting 1200 221 220 252"]);
    let said = ["HPE", "ProLiant DL360 Gen10", "MXQ93003RB", "", "redfish ilo5"];
    assert_eq!(batch.identity, Some(identity(said)));
    let system = batch.system.unwrap();
    // 384 GiB x 2^30
    assert_eq!((system.processors, system.memory_bytes), (Some(2), Some(412_316_860_416)));
    assert_eq!(system.processor_model, "Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz");
}

#[tokio::test]
async fn an_hpe_server_of_the_newer_model_has_no_total_that_can_be_believed() {
    let Some(recordings) = recordings() else { return };
    let sample = |name: &str| fs::read(recordings.join("telegraf-samples/hp").join(name)).unwrap();
    let supply = "Chassis/1/PowerSubsystem/PowerSupplies/PowerSupply1";
    let dir = lay_out(&[
        ("", root()),
        ("Chassis", members(&["Chassis/1"])),
        ("Chassis/1", sample("hp_chassis_subsys.json")),
        ("Chassis/1/PowerSubsystem", sample("power_subsys/hp_power_subsys.json")),
        ("Chassis/1/PowerSubsystem/PowerSupplies", sample("power_subsys/hp_power_subsys_psu.json")),
        (supply, sample("power_subsys/hp_power_subsys_psu_1.json")),
        (&format!("{supply}/Metrics"), sample("power_subsys/hp_power_subsys_metrics.json")),
        ("Chassis/1/ThermalSubsystem", sample("thermal_subsys/hp_thermal_subsys.json")),
        ("Chassis/1/ThermalSubsystem/ThermalMetrics", sample("thermal_subsys/hp_thermal_metrics.json")),
    ]);
    let bmc = Nginx::serve(dir.path());
    let mut driver = open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic)).unwrap();
    // 937.4 W of a supply of 400 W, as in the mockup above. ThermalMetrics' intake is 19.
    assert_eq!(
        lines(&settled(&mut driver).await),
        [
            "psu/Bay1 voltage 230.2",
            "psu/Bay1 current 5.19",
            "psu/Bay1 frequency 60",
            "psu/Bay1 energy 1172430000000",
            "inlet temperature 19",
        ]
    );
}

#[tokio::test]
async fn broken_power_resources_are_said_to_be_broken() {
    let Some(recordings) = recordings() else { return };
    for (maker, name) in [("dell", "dell_powerinvalid.json"), ("hp", "hp_powerinvalid.json")] {
        let dir = lay_out(&[
            ("", root()),
            ("Chassis", members(&["Chassis/1"])),
            ("Chassis/1", json!({ "Power": link("Chassis/1/Power") }).to_string().into()),
            (
                "Chassis/1/Power",
                fs::read(recordings.join("telegraf-samples").join(maker).join(name)).unwrap(),
            ),
        ]);
        let bmc = Nginx::serve(dir.path());
        let mut driver = open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic)).unwrap();
        let error = driver.poll().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol, "{error}");
        assert!(error.cause.contains("/redfish/v1/Chassis/1/Power"), "{error}");
    }
}
