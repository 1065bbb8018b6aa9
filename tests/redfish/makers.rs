//! Small trees of our own, one for each maker's ways and each way to build a machine, with every number worked out by
//! hand. The trees are in `makers/`: a file holds all resources of one BMC, by path.

use std::path::Path;

use serde_json::{Map, Value};
use tempfile::TempDir;
use wattribute::drivers::Driver;
use wattribute::drivers::redfish::{Login, Trust, open};
use wattribute::model::{Batch, Identity, PowerWindow, SystemSummary};

use crate::nginx::Nginx;
use crate::trees::lay_out;
use crate::{lines, settings};

/// Polls after which the details of every tree here are known: two resources a poll, after the first.
const POLLS: usize = 40;

/// Lays out one of the trees.
pub fn tree(name: &str) -> TempDir {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/redfish/makers/{name}.json"));
    let resources: Map<String, Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let resources: Vec<(&str, Vec<u8>)> =
        resources.iter().map(|(path, resource)| (path.as_str(), resource.to_string().into())).collect();
    lay_out(&resources)
}

/// What a BMC shows once it was looked through: the last of several polls, with the last identity.
pub async fn settled(driver: &mut Box<dyn Driver>) -> Batch {
    let mut last: Batch = driver.poll().await.unwrap();
    for _ in 0..POLLS {
        let batch = driver.poll().await.unwrap();
        let (identity, system) =
            (batch.identity.clone().or(last.identity), batch.system.clone().or(last.system));
        last = Batch { identity, system, ..batch };
    }
    assert_eq!(lines(&driver.poll().await.unwrap()), lines(&last), "it is not looked through yet");
    last
}

/// The same of one of the trees.
async fn settled_tree(name: &str) -> Batch {
    let tree = tree(name);
    let bmc = Nginx::serve(tree.path());
    settled(&mut open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Basic)).unwrap()).await
}

/// Every window as `channel name seconds average minimum maximum`.
pub fn windows(batch: &Batch) -> Vec<String> {
    let line = |w: &PowerWindow| {
        let [average, minimum, maximum] =
            [w.average, w.minimum, w.maximum].map(|w| w.map_or("-".to_owned(), |w| w.get().to_string()));
        format!("{} {} {} {average} {minimum} {maximum}", w.channel, w.name, w.length.as_secs_f64().round())
    };
    batch.windows.iter().map(line).collect()
}

fn who(batch: &Batch) -> [&str; 5] {
    let Identity { vendor, model, serial, firmware, profile } = batch.identity.as_ref().unwrap();
    [vendor, model, serial, firmware, profile]
}

fn none() -> [&'static str; 0] {
    []
}

#[tokio::test]
async fn a_poll_asks_once_for_each_resource_and_seldom_for_what_seldom_changes() {
    for (name, want) in [
        ("inspur", vec!["Chassis/1/Power"]),
        ("idrac9", vec!["EnvironmentMetrics", "System.Embedded.1/Power", "Thermal"]),
        ("ilo5", vec!["Chassis/1/Power", "Thermal"]),
        ("openbmc", vec!["EnvironmentMetrics", "Power", "power_total_power", "inlet", "power_cpu0"]),
    ] {
        let tree = tree(name);
        let bmc = Nginx::serve(tree.path());
        let mut driver = open(settings(&bmc.url, Trust::CaFile(bmc.ca_file()), Login::Session)).unwrap();
        for _ in 0..POLLS {
            driver.poll().await.unwrap();
        }
        driver.close().await;
        let log = bmc.log_up_to("DELETE").await;
        let asked: Vec<&String> = log.iter().rev().skip(1).take(want.len()).collect();
        for what in &want {
            let end = format!("{what} 200");
            assert_eq!(
                asked.iter().filter(|line| line.ends_with(&end)).count(),
                1,
                "{name} {what} {asked:#?}"
            );
        }
        let meters = log.iter().filter(|line| line.contains("PowerMeter")).count();
        assert_eq!(meters, usize::from(name == "ilo5"), "{log:#?}");
    }
}

#[tokio::test]
async fn idrac_has_its_service_tag_in_the_sku_and_ratings_among_its_readings() {
    let batch = settled_tree("idrac9").await;
    // EnvironmentMetrics' 312 W before PowerControl's 310; 4181.375 kWh x 3.6e6 = 15,052,950,000 J. PSU.Slot.1 shows 1540 W,
    // which is 1.1 x 1400 W: its rating. The inlet is filed under SystemBoard.
    assert_eq!(
        lines(&batch),
        [
            "input power 312",
            "input energy 15052950000",
            "psu/PSU.Slot.1 voltage 230",
            "psu/PSU.Slot.2 power 160.5",
            "psu/PSU.Slot.2 voltage 231",
            "inlet temperature 22",
        ]
    );
    // IntervalInMin 1 is 60 s.
    assert_eq!(windows(&batch), ["input reporting 60 309 306 318"]);
    assert_eq!(who(&batch), ["Dell", "PowerEdge R650", "7XK2Q13", "6.10.30.20", "redfish idrac"]);
    let system = SystemSummary {
        hostname: "r650-1".to_owned(),
        processor_model: "Example CPU 8358".to_owned(),
        processors: Some(2),
        cores: Some(64),
        threads: Some(128),
        memory_bytes: Some(549_755_813_888), // 512 x 2^30
    };
    assert_eq!(batch.system, Some(system));
}

#[tokio::test]
async fn ilo_4_has_its_total_beside_power_control_and_a_phantom_supply() {
    let batch = settled_tree("ilo4").await;
    // PowerControl has no PowerConsumedWatts; Power itself has: 287 W. The second supply has firmware 0.00: an empty bay.
    assert_eq!(lines(&batch), ["input power 287", "psu/0 voltage 229"]);
    // 20 minutes are 1200 s; PowerMeter sums up a day.
    assert_eq!(windows(&batch), ["input reporting 1200 281 277 344", "input 24h 86400 274 260 402"]);
    assert_eq!(who(&batch), ["HP", "ProLiant DL360p Gen8", "CZ0000001A", "iLO 4 v2.70", "redfish ilo4"]);
    let system = batch.system.unwrap();
    assert_eq!((system.processors, system.cores), (Some(2), None));
    assert_eq!(system.processor_model, "Example CPU E5-2600");
    assert_eq!(system.memory_bytes, Some(68_719_476_736)); // 64 x 2^30
}

#[tokio::test]
async fn ilo_5_keeps_a_day_of_power_in_a_resource_of_its_own() {
    let batch = settled_tree("ilo5").await;
    // LastPowerOutputWatts is output: no reading of what a supply takes in.
    assert_eq!(
        lines(&batch),
        ["input power 198", "psu/0 voltage 231", "psu/1 voltage 232", "inlet temperature 21"]
    );
    assert_eq!(windows(&batch), ["input reporting 1200 201 195 260", "input 24h 86400 207 190 311"]);
    assert_eq!(who(&batch), ["HPE", "ProLiant DL380 Gen10", "CZ0000002B", "iLO 5 v2.72", "redfish ilo5"]);
}

#[tokio::test]
async fn xcc_lists_parts_beside_the_whole_each_with_its_window() {
    let batch = settled_tree("xcc").await;
    // 256 W is the server; 96 W and 18 W are in it already.
    assert_eq!(
        lines(&batch),
        [
            "input power 256",
            "control/cpu-sub-system-power power 96",
            "control/memory-sub-system-power power 18",
            "psu/0 power 130",
            "psu/0 voltage 230",
            "psu/1 power 126",
            "psu/1 voltage 230",
            "inlet temperature 24",
        ]
    );
    assert_eq!(
        windows(&batch),
        ["input reporting 3600 250 231 320", "control/cpu-sub-system-power reporting 3600 95 90 140"]
    );
    assert_eq!(who(&batch)[4], "redfish xcc");
}

#[tokio::test]
async fn supermicro_has_a_stub_of_the_newer_model() {
    let batch = settled_tree("supermicro").await;
    // The watts are a string; the second supply is not there.
    assert_eq!(
        lines(&batch),
        ["input power 241", "psu/0 power 122", "psu/0 voltage 228", "inlet temperature 26"]
    );
    assert_eq!(windows(&batch), ["input reporting 300 240 235 250"]);
    assert_eq!(who(&batch)[4], "redfish supermicro");
}

#[tokio::test]
async fn openbmc_may_have_its_total_in_a_sensor_alone() {
    let batch = settled_tree("openbmc").await;
    // PowerControl is empty; the sensor is known by its name, power_total_power. The supply's sensor is off, and volts of rails
    // are nobody's.
    assert_eq!(
        lines(&batch),
        ["input power 187.25", "inlet temperature 20.5", "sensor/power_cpu0 power 64.5"]
    );
    assert_eq!(who(&batch), ["", "", "", "2.14.0", "redfish openbmc"]);
}

#[tokio::test]
async fn cimc_gives_no_length_to_its_window() {
    let batch = settled_tree("cimc").await;
    // IntervalInMin 0: average, least and most of nobody knows which time.
    assert_eq!(lines(&batch), ["input power 333", "psu/1 power 168", "psu/2 power 165"]);
    assert_eq!(windows(&batch), none());
    assert_eq!(who(&batch)[4], "redfish cimc");
}

#[tokio::test]
async fn irmc_has_total_and_supplies_under_its_own_key() {
    let batch = settled_tree("irmc").await;
    // PSU1 shows 0 W, its sensor 112; PSU2's sensor shows 0 W with 230 V at its input, which is no measurement. So the supplies
    // have no sum, and ChassisPowerConsumption's 214 W are the total. Its average has no length.
    assert_eq!(
        lines(&batch),
        [
            "input power 214",
            "psu/0 power 112",
            "psu/0 voltage 230",
            "psu/1 voltage 230",
            "inlet temperature 23",
        ]
    );
    assert_eq!(windows(&batch), none());
    assert_eq!(who(&batch)[4], "redfish irmc");
}

#[tokio::test]
async fn inspur_has_its_total_under_a_key_of_its_own() {
    let batch = settled_tree("inspur").await;
    assert_eq!(lines(&batch), ["input power 278"]);
    assert_eq!(who(&batch), ["Inspur", "NF5280M5", "2190001", "", "redfish inspur"]);
}

#[tokio::test]
async fn huawei_has_its_supplies_watts_under_its_own_key() {
    let batch = settled_tree("huawei").await;
    // 101 + 99.5 = 200.5 W.
    assert_eq!(
        lines(&batch),
        [
            "input power 200.5",
            "psu/0 power 101",
            "psu/0 voltage 226",
            "psu/1 power 99.5",
            "psu/1 voltage 227",
        ]
    );
    assert_eq!(who(&batch)[4], "redfish huawei");
}

#[tokio::test]
async fn ami_counts_in_twelfths_of_a_minute_and_from_zero() {
    let batch = settled_tree("ami").await;
    // No PowerConsumedWatts: the only supply's 152 W. 1/12 minute is 5 s; the least of 0 W is of a reset.
    assert_eq!(lines(&batch), ["input power 152", "psu/0 power 152", "psu/0 voltage 230"]);
    assert_eq!(windows(&batch), ["input reporting 5 148 - 301"]);
    assert_eq!(who(&batch)[4], "redfish ami");
}

#[tokio::test]
async fn a_gpu_baseboard_is_part_of_its_server() {
    let batch = settled_tree("hgx").await;
    // The server's 4210 W hold everything else. GPU_SXM_2's 0 W are not measured; its 12.5 kWh x 3.6e6 = 45,000,000 J. CPU1 is
    // not there, DIMM2 has only a temperature, Core_0 is a piece of a processor, HGX_FabricManager_0 is no system.
    assert_eq!(
        lines(&batch),
        [
            "input power 4210",
            "chassis/HGX_Chassis_0/input power 2650.5",
            "gpu/GPU_SXM_1 power 612.5",
            "gpu/GPU_SXM_1 temperature 57.25",
            "gpu/GPU_SXM_1 energy 912345678",
            "gpu/GPU_SXM_2 energy 45000000",
            "cpu/CPU0 power 151.5",
            "cpu/CPU0 temperature 48",
            "accelerator/FPGA_0 power 18",
            "memory/DIMM1 power 6.25",
            "memory/DIMM1 temperature 39",
        ]
    );
    assert_eq!(who(&batch), ["AMI", "DGXH100", "D1", "24.09.17", "redfish ami-viking"]);
    let system = batch.system.unwrap();
    assert_eq!((system.processors, system.cores), (Some(2), Some(112)));
    assert_eq!(system.memory_bytes, Some(2_199_023_255_552)); // 2048 x 2^30
}

#[tokio::test]
async fn an_enclosure_and_its_blades_are_never_one_total() {
    let batch = settled_tree("enclosure").await;
    // The enclosure lists the blades' systems, but the blades hold them: two servers, so nothing is `input`. The enclosure is the
    // sum of its supplies, 510 + 490 = 1000 W. Blade 2 has no reading, and the supplies it lists are not its own.
    assert_eq!(
        lines(&batch),
        [
            "chassis/Enclosure/input power 1000",
            "chassis/Enclosure/psu/1 power 510",
            "chassis/Enclosure/psu/1 voltage 230",
            "chassis/Enclosure/psu/2 power 490",
            "chassis/Enclosure/psu/2 voltage 231",
            "chassis/Blade1/input power 330",
            "chassis/Blade2/psu/1 power 510",
            "chassis/Blade2/psu/2 power 490",
        ]
    );
    assert_eq!(batch.system, None);
    assert_eq!(who(&batch), ["Example", "EX-16", "", "", "redfish"]);
}

#[tokio::test]
async fn nodes_in_one_chassis_have_an_input_each() {
    let batch = settled_tree("twin").await;
    // Neither node's entry is the whole, which is the sum of the supplies, 215 + 205 = 420 W. A node's processors are not the node.
    assert_eq!(
        lines(&batch),
        [
            "input power 420",
            "system/NodeA/input power 201",
            "system/NodeB/input power 178.5",
            "control/node-b-cpu power 70",
            "psu/1 power 215",
            "psu/1 voltage 230",
            "psu/2 power 205",
            "psu/2 voltage 230",
            "system/NodeA/cpu/1 power 88",
        ]
    );
    assert_eq!(windows(&batch), ["system/NodeA/input reporting 600 199 - -"]);
    assert_eq!(batch.system, None);
    assert_eq!(who(&batch), ["Example", "EX-T2", "T1", "", "redfish"]);
}

#[tokio::test]
async fn sensors_stand_in_where_the_resources_are_silent() {
    let batch = settled_tree("sensors").await;
    // 0.734 kW = 734 W; 1,250,500 Wh = 1250.5 kWh x 3.6e6 = 4,501,800,000 J; 42.5 % = 0.425. The intake, not the ambient, is the
    // inlet. Outputs, rails, what is switched off and watts in degrees are no readings.
    assert_eq!(
        lines(&batch),
        [
            "input power 734",
            "input temperature 30",
            "input humidity 0.425",
            "inlet temperature 21.5",
            "input energy 4501800000",
            "sensor/GpuTray energy 5000000",
            "sensor/Psu1In power 740",
            "sensor/Psu1Volts voltage 231.5",
            "sensor/Nic power 14.5",
        ]
    );
}
