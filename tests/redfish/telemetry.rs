//! Metric reports and the stream of events, at a BMC that has both and may misbehave.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wattribute::drivers::Driver;
use wattribute::drivers::redfish::{Login, Settings, Trust, open_with};
use wattribute::model::{Batch, Clock, ErrorKind, ManualClock, Moment, OpenSessions, Reading, SystemClock};

use crate::bmc::{Bmc, Fault};
use crate::{input, lines, settings};

const REPORT: &str = "/redfish/v1/TelemetryService/MetricReports/Power";
const SUPPLY: &str = "/redfish/v1/Chassis/Main/PowerSubsystem/PowerSupplies/PSU1/Metrics";
const POWER: &str = "/redfish/v1/Chassis/Main/EnvironmentMetrics#/PowerWatts/Reading";

/// The server of the tree, with reports and a stream.
async fn bmc() -> Bmc {
    let bmc = Bmc::start().await;
    let root = std::fs::read(crate::trees::own_tree().join("redfish/v1/index.json")).unwrap();
    let mut root: Value = serde_json::from_slice(&root).unwrap();
    root["TelemetryService"] = json!({ "@odata.id": "/redfish/v1/TelemetryService" });
    root["EventService"] = json!({ "@odata.id": "/redfish/v1/EventService" });
    bmc.put("/redfish/v1/", root);
    bmc.put(
        "/redfish/v1/TelemetryService",
        json!({ "ServiceEnabled": true, "MetricReports": { "@odata.id": "/redfish/v1/TelemetryService/MetricReports" } }),
    );
    let members = json!({ "Members": [{ "@odata.id": REPORT }, { "@odata.id": format!("{REPORT}/other") }] });
    bmc.put("/redfish/v1/TelemetryService/MetricReports", members);
    bmc.put(&format!("{REPORT}/other"), report(&[("/redfish/v1/Other#/Reading", "1".to_owned(), 0)]));
    bmc.put(REPORT, report(&[]));
    bmc.put(
        "/redfish/v1/EventService",
        json!({ "ServerSentEventUri": "/redfish/v1/SSE",
        "SSEFilterPropertiesSupported": { "EventFormatType": true } }),
    );
    bmc
}

/// Values at seconds after noon of the BMC's day.
fn report(values: &[(&str, String, u64)]) -> Value {
    let value = |(property, value, second): &(&str, String, u64)| {
        let time = format!("2001-02-03T12:{:02}:{:02}Z", second / 60, second % 60);
        json!({ "MetricId": "x", "MetricProperty": property, "MetricValue": value, "Timestamp": time })
    };
    json!({ "MetricValues": values.iter().map(value).collect::<Vec<_>>() })
}

fn driver(bmc: &Bmc, telemetry: bool, stream: bool, clock: Arc<dyn Clock>, limit: u64) -> Box<dyn Driver> {
    let trust = Trust::Fingerprint(bmc.certificate.fingerprint);
    let request_timeout = Duration::from_millis(limit);
    let settings =
        Settings { telemetry, stream, request_timeout, ..settings(&bmc.url, trust, Login::Session) };
    open_with(settings, clock, OpenSessions::default()).unwrap()
}

/// The watts of `input` at earlier moments.
fn earlier(batch: &Batch) -> Vec<f64> {
    let watts = batch.earlier.iter().flat_map(|e| &e.readings).filter(|r| r.channel.as_str() == "input");
    watts.map(|r| r.measure.value()).collect()
}

#[tokio::test]
async fn a_report_says_what_was_between_two_polls() {
    let bmc = bmc().await;
    let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(100)));
    let mut driver = driver(&bmc, true, false, clock.clone(), 5000);
    assert!(driver.poll().await.unwrap().earlier.is_empty());
    clock.advance(Duration::from_secs(10));
    let mut values: Vec<_> = (1..=10).map(|second| (POWER, format!("{}", 200 + second), second)).collect();
    values.push((POWER, "N/A".to_owned(), 10));
    values.push((POWER, String::new(), 10));
    bmc.put(REPORT, report(&values));
    let batch = driver.poll().await.unwrap();
    // The tenth is of now, and now is asked for itself: the report lacks temperature and energy.
    assert_eq!(earlier(&batch), (201..=209).map(f64::from).collect::<Vec<_>>());
    let seconds: Vec<u64> = batch.earlier.iter().map(|e| e.at.since(Moment::ZERO).as_secs()).collect();
    assert_eq!(seconds, (101..=109).collect::<Vec<_>>());
    assert_eq!(input(&batch), Some(100.0));
    // The same report again says nothing, and the one about nothing that is known is not asked for again.
    clock.advance(Duration::from_secs(10));
    bmc.take_asked();
    let batch = driver.poll().await.unwrap();
    assert!(batch.earlier.is_empty());
    assert_eq!((bmc.asked(REPORT), bmc.asked("/other")), (1, 0));
}

#[tokio::test]
async fn a_report_with_all_of_a_resource_stands_in_for_it_while_it_is_new() {
    let bmc = bmc().await;
    let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(100)));
    let mut driver = driver(&bmc, true, false, clock.clone(), 5000);
    let first = driver.poll().await.unwrap();
    assert!(lines(&first).contains(&"psu/PSU1 power 205.5".to_owned()));
    let name = |pointer: &str| format!("{SUPPLY}#/{pointer}/Reading");
    let names = ["InputPowerWatts", "InputVoltage", "InputCurrentAmps", "FrequencyHz", "EnergykWh"].map(name);
    let all = |watts: &str, second| {
        let values = [watts, "231", "1.5", "49.9", "4939"].map(str::to_owned);
        report(&names.iter().map(String::as_str).zip(values).map(|(n, v)| (n, v, second)).collect::<Vec<_>>())
    };
    bmc.put(REPORT, all("333", 10));
    clock.advance(Duration::from_secs(10));
    bmc.take_asked();
    let batch = driver.poll().await.unwrap();
    assert_eq!(bmc.asked(SUPPLY), 0);
    let lines = lines(&batch);
    for line in [
        "psu/PSU1 power 333",
        "psu/PSU1 voltage 231",
        "psu/PSU1 current 1.5",
        "psu/PSU1 frequency 49.9",
        // 4939 kWh x 3.6e6 J/kWh
        "psu/PSU1 energy 17780400000",
        "psu/PSU2 power 207",
        "input power 100",
    ] {
        assert!(lines.contains(&line.to_owned()), "{line} in {lines:?}");
    }
    // It stands still, so that the supply is asked itself.
    clock.advance(Duration::from_secs(10));
    let batch = driver.poll().await.unwrap();
    assert_eq!(bmc.asked(SUPPLY), 1);
    assert!(crate::lines(&batch).contains(&"psu/PSU1 power 205.5".to_owned()));
    // It goes on, but without all of it.
    clock.advance(Duration::from_secs(10));
    bmc.put(REPORT, report(&[(&names[0], "444".to_owned(), 30)]));
    driver.poll().await.unwrap();
    assert_eq!(bmc.asked(SUPPLY), 2);
}

/// One of the makers' trees with a report, looked through; ten seconds later the report says `values`.
async fn reported(maker: &str, values: &[(&str, String, u64)]) -> (Bmc, Batch) {
    let tree = crate::makers::tree(maker);
    let bmc = Bmc::serving(tree.path().to_owned()).await;
    let root = std::fs::read(tree.path().join("redfish/v1/index.json")).unwrap();
    let mut root: Value = serde_json::from_slice(&root).unwrap();
    root["TelemetryService"] = json!({ "@odata.id": "/redfish/v1/TelemetryService" });
    bmc.put("/redfish/v1/", root);
    bmc.put(
        "/redfish/v1/TelemetryService",
        json!({ "MetricReports": { "@odata.id": "/redfish/v1/TelemetryService/MetricReports" } }),
    );
    bmc.put("/redfish/v1/TelemetryService/MetricReports", json!({ "Members": [{ "@odata.id": REPORT }] }));
    bmc.put(REPORT, report(&[]));
    let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(100)));
    let mut driver = driver(&bmc, true, false, clock.clone(), 5000);
    // All is known by then, and the report is not yet given up.
    for _ in 0..10 {
        driver.poll().await.unwrap();
    }
    clock.advance(Duration::from_secs(10));
    bmc.put(REPORT, report(values));
    bmc.take_asked();
    let batch = driver.poll().await.unwrap();
    (bmc, batch)
}

/// Every reading of an earlier moment as `channel value @second`.
fn before(batch: &Batch) -> Vec<String> {
    let line = |at: Moment, r: &Reading| {
        format!("{} {} @{}", r.channel, r.measure.value(), at.since(Moment::ZERO).as_secs())
    };
    batch.earlier.iter().flat_map(|e| e.readings.iter().map(|r| line(e.at, r))).collect()
}

#[tokio::test]
async fn what_stands_beside_the_total_is_taken_from_reports_too() {
    let cpu = "/redfish/v1/Systems/1/Processors/CPU1/EnvironmentMetrics#/PowerWatts/Reading";
    let inlet = "/redfish/v1/Chassis/1/Thermal#/Temperatures/0/ReadingCelsius";
    let values = [(cpu, 61, 9), (cpu, 62, 10), (inlet, 23, 10)];
    let values = values.map(|(property, value, second)| (property, value.to_string(), second));
    let (bmc, batch) = reported("beside", &values).await;
    // Both are in the report, the second processor is not.
    let asked = [bmc.asked("CPU1"), bmc.asked("Thermal"), bmc.asked("CPU2/EnvironmentMetrics")];
    assert_eq!(asked, [0, 0, 1]);
    let mut now = lines(&batch);
    now.sort();
    assert_eq!(now, ["cpu/CPU1 power 62", "cpu/CPU2 power 70", "inlet temperature 23", "input power 100"]);
    assert_eq!(before(&batch), ["cpu/CPU1 61 @109"]);
}

#[tokio::test]
async fn a_makers_own_total_is_followed_in_reports_too() {
    let total = "/redfish/v1/Chassis/1/Power#/Oem/Public/TotalPower";
    let values = [(total, "301".to_owned(), 9), (total, "302".to_owned(), 10)];
    let (_bmc, batch) = reported("inspur", &values).await;
    assert_eq!(before(&batch), ["input 301 @109"]);
}

#[tokio::test]
async fn a_telemetry_service_that_is_off_or_broken_costs_no_reading() {
    let quiet = async |prepare: &dyn Fn(&Bmc)| {
        let bmc = bmc().await;
        prepare(&bmc);
        let clock = Arc::new(SystemClock::new());
        let mut driver = driver(&bmc, true, false, clock, 5000);
        for _ in 0..3 {
            assert_eq!(input(&driver.poll().await.unwrap()), Some(100.0));
        }
        bmc.asked("MetricReports")
    };
    assert_eq!(
        quiet(&|bmc| bmc.put("/redfish/v1/TelemetryService", json!({ "ServiceEnabled": false }))).await,
        0
    );
    assert_eq!(quiet(&|bmc| bmc.put("/redfish/v1/TelemetryService", Value::Null)).await, 0);
    assert_eq!(quiet(&|bmc| bmc.fault("TelemetryService", Fault::Status(500, String::new()))).await, 0);
    assert_eq!(
        quiet(&|bmc| bmc.put("/redfish/v1/TelemetryService/MetricReports", json!({ "Members": 7 }))).await,
        1
    );
    // The list, the report that is broken, and the one that is about nothing.
    assert_eq!(quiet(&|bmc| bmc.fault(REPORT, Fault::Page)).await, 3);
}

#[tokio::test]
async fn a_report_over_which_the_bmc_hangs_is_left_alone_after_three_polls() {
    let bmc = bmc().await;
    let mut driver = driver(&bmc, true, false, Arc::new(SystemClock::new()), 1000);
    bmc.put("/redfish/v1/TelemetryService/MetricReports", json!({ "Members": [{ "@odata.id": REPORT }] }));
    driver.poll().await.unwrap();
    for _ in 0..3 {
        bmc.fault(REPORT, Fault::Silence);
        assert_eq!(driver.poll().await.unwrap_err().kind, ErrorKind::Timeout);
    }
    assert_eq!(input(&driver.poll().await.unwrap()), Some(100.0));
    assert_eq!(bmc.asked(REPORT), 3);
}

/// Polls until `enough` of all that was said at earlier moments, with a deadline.
async fn heard(driver: &mut Box<dyn Driver>, enough: impl Fn(&[f64]) -> bool) -> Vec<f64> {
    let (mut heard, mut last) = (Vec::new(), Moment::ZERO);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !enough(&heard) {
        assert!(Instant::now() < deadline, "{heard:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let batch = driver.poll().await.unwrap();
        assert_eq!(input(&batch), Some(100.0));
        for moment in &batch.earlier {
            assert!(moment.at >= last, "{:?} before {last:?}", moment.at);
            last = moment.at;
        }
        heard.extend(earlier(&batch));
    }
    heard
}

fn event(watts: u64, second: u64) -> Vec<u8> {
    format!("id: {second}\ndata: {}\n\n", report(&[(POWER, watts.to_string(), second)])).into_bytes()
}

#[tokio::test]
async fn events_of_the_stream_become_readings_of_their_moments() {
    let bmc = bmc().await;
    let mut driver = driver(&bmc, false, true, Arc::new(SystemClock::new()), 5000);
    driver.poll().await.unwrap();
    bmc.say(b": hello\n\n");
    for second in 1..=50 {
        bmc.say(&event(second, second));
    }
    assert_eq!(
        heard(&mut driver, |heard| heard.len() >= 50).await,
        (1..=50).map(f64::from).collect::<Vec<_>>()
    );
    assert_eq!((bmc.asked("SSE"), bmc.asked("$filter=EventFormatType%20eq%20MetricReport")), (1, 1));
    assert_eq!(bmc.asked("MetricReports"), 0);
    // One session serves polls and stream, and is given back.
    driver.close().await;
    assert_eq!(bmc.sessions(), (1, 1, 0));
}

#[tokio::test]
async fn garbage_copies_and_disorder_on_the_stream_become_no_reading() {
    let bmc = bmc().await;
    let mut driver = driver(&bmc, false, true, Arc::new(SystemClock::new()), 5000);
    driver.poll().await.unwrap();
    bmc.say(&event(10, 10));
    bmc.say(b"data: {\"MetricValues\": [7, null, {}]}\n\ndata: not json\n\n\xff\xfe\x00\n\n");
    bmc.say(b"data: {\"Events\": [{\"EventType\": \"Alert\"}]}\n\n");
    bmc.say(&event(999, 10));
    bmc.say(&event(20, 20));
    bmc.say(&event(20, 20));
    bmc.say(&event(30, 30));
    assert_eq!(heard(&mut driver, |heard| heard.contains(&30.0)).await, [10.0, 20.0, 30.0]);
    // Long overtaken.
    bmc.say(&event(998, 11));
    bmc.say(&event(40, 40));
    assert_eq!(heard(&mut driver, |heard| heard.contains(&40.0)).await, [40.0]);
}

#[tokio::test]
async fn a_stream_that_ends_in_an_event_or_says_too_much_is_opened_again() {
    let bmc = bmc().await;
    let mut driver = driver(&bmc, false, true, Arc::new(SystemClock::new()), 5000);
    driver.poll().await.unwrap();
    let half = event(999, 5);
    bmc.say(&event(1, 1));
    bmc.say(&half[..half.len() - 1]);
    bmc.end_stream();
    bmc.say(&event(2, 6));
    assert_eq!(heard(&mut driver, |heard| heard.contains(&2.0)).await, [1.0, 2.0]);
    assert_eq!(bmc.asked("SSE"), 2);
    // A line of more than half a megabyte.
    for _ in 0..9 {
        bmc.say(&[b'x'; 64 << 10]);
    }
    bmc.say(b"\n\n");
    bmc.end_stream();
    bmc.say(&event(3, 7));
    assert_eq!(heard(&mut driver, |heard| heard.contains(&3.0)).await, [3.0]);
    assert_eq!(bmc.asked("SSE"), 3);
}

#[tokio::test]
async fn a_silent_stream_is_given_up_and_one_that_is_refused_costs_no_reading() {
    let bmc = bmc().await;
    // Silent for 20 times 100 ms.
    let mut driver = driver(&bmc, false, true, Arc::new(SystemClock::new()), 100);
    bmc.fault("SSE", Fault::Page);
    let deadline = Instant::now() + Duration::from_secs(30);
    while bmc.asked("SSE") < 3 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
        // A busy machine may be late once; no answer is ever wrong.
        if let Ok(batch) = driver.poll().await {
            assert_eq!((input(&batch), earlier(&batch)), (Some(100.0), vec![]));
        }
    }
}
