//! Every profile on a device's answers, recognised without being named: all readings, worked out by hand from the answers.

use wattribute::drivers::http;
use wattribute::model::Batch;

use super::server::Server;
use super::{lines, open, settings, shared};

async fn poll(folder: &str) -> Batch {
    let server = Server::folder(folder).await;
    let mut driver = open(settings(&server.url));
    let first = driver.poll().await.unwrap_or_else(|error| panic!("{folder}: {error}"));
    let second = driver.poll().await.unwrap();
    assert_eq!(first.readings, second.readings, "{folder}");
    assert!(second.identity.is_none(), "asked once an hour");
    first
}

fn identity(batch: &Batch) -> String {
    let who = batch.identity.as_ref().unwrap();
    [&who.profile, &who.vendor, &who.model, &who.serial, &who.firmware].map(String::as_str).join(" | ")
}

fn names(batch: &Batch) -> Vec<String> {
    batch.channels.iter().map(|info| format!("{} {:?}", info.channel, info.name)).collect()
}

/// Energy of the first: (1234.567 - 34.567) Wh x 3600; of the second there is nothing to take off: 10 Wh. Its temperature is null.
#[tokio::test]
async fn shelly_of_the_second_generation() {
    let batch = poll("shelly-gen2").await;
    assert_eq!(
        lines(&batch),
        [
            "switch/0 power 100.5",
            "switch/0 voltage 230.1",
            "switch/0 current 0.45",
            "switch/0 power_factor 0.97",
            "switch/0 frequency 50",
            "switch/0 energy 4320000",
            "switch/0 temperature 45.2",
            "switch/1 power 0",
            "switch/1 voltage 230",
            "switch/1 current 0",
            "switch/1 energy 36000",
        ]
    );
    assert_eq!(identity(&batch), "shelly-gen2 | Shelly | SNSW-102P16EU | A8032AB636EC | 1.1.0");
    assert_eq!(names(&batch), ["switch/0 \"Rack 1 A\""]);
}

/// L2 feeds back, L3 says null and has no power in either direction. 107.75 Wh x 3600 = 387900 J; 2776.175 Wh = 9994230 J;
/// 2.5 Wh = 9000 J; back went 5 Wh = 18000 J and 571.584 Wh = 2057702.4 J.
#[tokio::test]
async fn shelly_with_three_phases() {
    let batch = poll("shelly-pro3em").await;
    let all = lines(&batch);
    for want in [
        "em/0 power 2484.782",
        "em/0 apparent_power 2486.7",
        "em/0 current 11.083",
        "em/0 energy 387900",
        "em/0/L1 power 951.2",
        "em/0/L1 energy 361800",
        "export/em/0 power 0",
        "export/em/0 energy 18000",
        "export/em/0/L1 power 0",
        "em/0/L2 power 0",
        "em/0/L2 energy 0",
        "export/em/0/L2 power 951.1",
        "export/em/0/L2 energy 18000",
        "em/0/L2 current 4.027",
        "em/0/L3 voltage 236.402",
        "em/0/L3 energy 26100",
        "em1/0 power 951.2",
        "em1/0 energy 9994230",
        "export/em1/0 power 0",
        "export/em1/0 energy 2057702.4",
        "pm1/0 power 40",
        "pm1/0 energy 9000",
    ] {
        assert!(all.iter().any(|line| line == want), "{want}: {all:#?}");
    }
    assert!(!all.iter().any(|line| line.contains("em/0/L3 power ") || line.starts_with("export/pm1")));
}

/// meters count watt-minutes (600 x 60 J), emeters watt-hours (12345.6 x 3600 J; back 2.5 x 3600 J). The second emeter is not valid.
#[tokio::test]
async fn shelly_of_the_first_generation() {
    let batch = poll("shelly-gen1").await;
    assert_eq!(
        lines(&batch),
        [
            "meter/0 power 12.5",
            "meter/0 energy 36000",
            "emeter/0 power 106.98",
            "emeter/0 voltage 237.62",
            "emeter/0 current 0.8",
            "emeter/0 power_factor 0.56",
            "emeter/0 energy 44444160",
            "export/emeter/0 power 0",
            "export/emeter/0 energy 9000",
            "input power 106.98",
            "export power 0",
            "device temperature 31.5",
        ]
    );
    assert_eq!(names(&batch), ["meter/0 \"Pump\"", "emeter/0 \"Phase A\"", "export/emeter/0 \"Phase A\""]);
}

/// 12.345 kWh x 3.6 MJ = 44.442 MJ.
#[tokio::test]
async fn tasmota_with_one_meter() {
    let batch = poll("tasmota").await;
    assert_eq!(
        lines(&batch),
        [
            "input power 57",
            "input apparent_power 60",
            "input power_factor 0.95",
            "input voltage 231",
            "input current 0.26",
            "input frequency 50",
            "input energy 44442000",
        ]
    );
    assert_eq!(identity(&batch), "tasmota | Tasmota | ESP8266EX | 2C:3A:E8:00:00:01 | 14.3.0(tasmota)");
    assert_eq!(names(&batch), ["input \"Rack fan\""]);
}

/// 100 + 200 + 50 W; 1.5 + 2.25 + 0.25 = 4 kWh.
#[tokio::test]
async fn tasmota_with_three_phases_adds_up() {
    let all = lines(&poll("tasmota-3").await);
    for want in [
        "input power 350",
        "input energy 14400000",
        "input frequency 50",
        "line/1 power 100",
        "line/2 voltage 231",
        "line/3 energy 900000",
        "line/3 power_factor 0.83",
    ] {
        assert!(all.iter().any(|line| line == want), "{want}: {all:#?}");
    }
    assert!(!all.iter().any(|line| line.starts_with("input voltage") || line.starts_with("input current")));
}

/// 7123.4567 kWh = 25,644,444,120 J; back 0.5 kWh = 1,800,000 J.
#[tokio::test]
async fn tasmota_with_an_sml_script() {
    assert_eq!(
        lines(&poll("tasmota-sml").await),
        ["input power 0", "input energy 25644444120", "export power 413", "export energy 1800000"]
    );
}

/// The counter that cannot be reset is read where there is one: 9000 Wh. Currents are in mA.
#[tokio::test]
async fn netio() {
    let batch = poll("netio").await;
    assert_eq!(
        lines(&batch),
        [
            "input power 113",
            "input voltage 239.1",
            "input current 0.5",
            "input power_factor 0.95",
            "input frequency 50.1",
            "input energy 8110800",
            "outlet/1 power 92",
            "outlet/1 current 0.4",
            "outlet/1 power_factor 0.96",
            "outlet/1 energy 32400000",
            "outlet/2 power 21",
            "outlet/2 current 0.1",
            "outlet/2 power_factor 0.9",
            "outlet/2 energy 619200",
        ]
    );
    // Loads are whole watts: half a watt may be off.
    let step = batch.channels.iter().find(|info| info.channel.as_str() == "outlet/1").unwrap();
    assert_eq!((step.name.as_str(), step.accuracy.unwrap().step.get()), ("server 1", 1.0));
}

/// The house feeds 900.5 W back, since L3 does so with 1117.75 W. 0.25 kWh = 900000 J.
#[tokio::test]
async fn homewizard() {
    let batch = poll("homewizard").await;
    assert_eq!(
        lines(&batch),
        [
            "input power 0",
            "input frequency 49.969",
            "input energy 364208400",
            "export power 900.5",
            "export energy 900000",
            "phase/L1 power 217.25",
            "phase/L1 voltage 230.75",
            "phase/L1 current 0.999",
            "export/L1 power 0",
            "phase/L2 power 0",
            "export/L2 power 0",
            "phase/L3 power 0",
            "phase/L3 current 4.8",
            "export/L3 power 1117.75",
        ]
    );
    assert_eq!(identity(&batch), "homewizard | HomeWizard | HWE-KWH3 | 3c39e7aabbcc | 4.19");
}

#[tokio::test]
async fn mystrom_and_fronius() {
    assert_eq!(
        lines(&poll("mystrom").await),
        ["input power 51.63", "input energy 86400.5", "input temperature 22.5"]
    );
    // 2208 Wh, and 5 Wh back.
    assert_eq!(
        lines(&poll("fronius").await),
        [
            "meter/0 power 53.3",
            "meter/0 apparent_power 784.5",
            "meter/0 power_factor 0.07",
            "meter/0 frequency 50",
            "meter/0 energy 7948800",
            "export/meter/0 power 0",
            "export/meter/0 energy 18000",
            "meter/0/L1 power 60",
            "meter/0/L1 voltage 230.5",
            "meter/0/L1 current 1.2",
            "export/meter/0/L1 power 0",
        ]
    );
}

#[tokio::test]
async fn a_trace_says_where_each_number_stood() {
    let server = Server::folder("shelly-gen2").await;
    let trace = http::trace(settings(&server.url), shared()).await.unwrap();
    assert_eq!(trace.identity.unwrap().profile, "shelly-gen2");
    let energy = &trace.readings[5];
    assert_eq!(energy.source, "/rpc/Shelly.GetStatus switch:0/aenergy/total - switch:0/ret_aenergy/total");
    assert_eq!(energy.raw, "1234.567 - 34.567");
}
