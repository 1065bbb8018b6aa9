//! What stands beside the total, on a BMC that misbehaves: it never costs the total.

use serde_json::{Value, json};
use wattribute::drivers::Driver;
use wattribute::drivers::redfish::Login;

use crate::bmc::{Bmc, Fault};
use crate::faults::open_driver;
use crate::{input, lines};

/// A BMC whose look is over, so that polls ask for the total, then its inlet and its two processors.
async fn settled() -> (tempfile::TempDir, Bmc, Box<dyn Driver>) {
    let tree = crate::makers::tree("beside");
    let bmc = Bmc::serving(tree.path().to_owned()).await;
    let mut driver = open_driver(&bmc, Login::Basic);
    for _ in 0..10 {
        assert_eq!(input(&driver.poll().await.unwrap()), Some(100.0));
    }
    let all = ["cpu/CPU1 power 60", "cpu/CPU2 power 70", "inlet temperature 21", "input power 100"];
    assert_eq!(sorted(&driver.poll().await.unwrap()), all);
    (tree, bmc, driver)
}

fn sorted(batch: &wattribute::model::Batch) -> Vec<String> {
    let mut lines = lines(batch);
    lines.sort();
    lines
}

#[tokio::test]
async fn what_stands_beside_the_total_never_costs_the_total() {
    for fault in [
        Fault::Silence,
        Fault::Drip,
        Fault::HangUp,
        Fault::Truncated,
        Fault::Garbage,
        Fault::Oversized,
        Fault::Page,
        Fault::Status(500, String::new()),
        Fault::Status(503, String::new()),
        Fault::Status(404, String::new()),
        Fault::Twice,
        Fault::TwiceLater,
    ] {
        let (_tree, bmc, mut driver) = settled().await;
        bmc.fault("Thermal", fault.clone());
        bmc.set_watts(250.0);
        assert_eq!(input(&driver.poll().await.unwrap()), Some(250.0), "{fault:?}");
        bmc.set_watts(251.0);
        // A second copy of an answer is met by the next request, which may be the next poll's first.
        if let Ok(batch) = driver.poll().await {
            assert_eq!(input(&batch), Some(251.0), "{fault:?}");
        } else {
            assert_eq!(fault, Fault::TwiceLater);
        }
        let all = ["cpu/CPU1 power 60", "cpu/CPU2 power 70", "inlet temperature 21", "input power 251"];
        let mut last = Vec::new();
        for _ in 0..10 {
            last = sorted(&driver.poll().await.unwrap());
        }
        assert_eq!(last, all, "{fault:?}");
    }
}

#[tokio::test]
async fn a_slow_bmc_shows_what_stands_beside_the_total_in_turn() {
    let (_tree, bmc, mut driver) = settled().await;
    // Three polls, of which each meets one silent resource and has no time for those after it.
    let mut shown = std::collections::BTreeSet::new();
    for what in ["Thermal", "CPU2/EnvironmentMetrics", "Thermal"] {
        bmc.fault(what, Fault::Silence);
        let batch = driver.poll().await.unwrap();
        assert_eq!(input(&batch), Some(100.0));
        shown.extend(sorted(&batch));
    }
    assert!(shown.contains("cpu/CPU1 power 60"), "{shown:?}");
}

#[tokio::test]
async fn a_processor_that_goes_away_leaves_no_reading_and_no_error() {
    let (tree, bmc, mut driver) = settled().await;
    let cpu = tree.path().join("redfish/v1/Systems/1/Processors/CPU2");
    std::fs::remove_dir_all(cpu).unwrap();
    for _ in 0..20 {
        let batch = driver.poll().await.unwrap();
        assert_eq!(sorted(&batch), ["cpu/CPU1 power 60", "inlet temperature 21", "input power 100"]);
    }
    let asked = bmc.asked("CPU2/EnvironmentMetrics");
    driver.poll().await.unwrap();
    assert_eq!(bmc.asked("CPU2/EnvironmentMetrics"), asked, "it is not asked for any more");
}

#[tokio::test]
async fn what_goes_away_before_all_is_known_is_looked_for_at_once() {
    let tree = crate::makers::tree("beside");
    let bmc = Bmc::serving(tree.path().to_owned()).await;
    let mut driver = open_driver(&bmc, Login::Basic);
    assert_eq!(input(&driver.poll().await.unwrap()), Some(100.0));
    // Other firmware: the total stands elsewhere now.
    let link = |path: &str| json!({ "@odata.id": path });
    let (chassis, power) = ("/redfish/v1/Chassis/1", "/redfish/v1/Chassis/1/Power");
    let links = json!({ "ComputerSystems": [link("/redfish/v1/Systems/1")] });
    bmc.put(chassis, json!({ "Id": "1", "Power": link(power), "Links": links }));
    bmc.put(power, json!({ "PowerControl": [{ "PowerConsumedWatts": 130 }] }));
    bmc.put("/redfish/v1/Chassis/1/EnvironmentMetrics", Value::Null);
    driver.poll().await.unwrap_err();
    assert_eq!(input(&driver.poll().await.unwrap()), Some(130.0));
}
