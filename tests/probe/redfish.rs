//! A Redfish BMC over TLS, well and unwell, that counts its sessions.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::bmc::{Bmc, Fault};
use crate::exporter::{Probing, certificate};
use crate::nginx::PASSWORD;
use crate::process::get;

const OPENMETRICS: &str = "Accept: application/openmetrics-text; version=1.0.0\r\n";

/// `host:port` of the BMC.
fn target(bmc: &Bmc) -> String {
    bmc.url.trim_start_matches("https://").to_owned()
}

async fn start() -> (Bmc, Probing) {
    let bmc = Bmc::start().await;
    let probing = Probing::start(certificate(&bmc)).await;
    (bmc, probing)
}

/// Waits until the BMC was asked for something like `what`.
async fn asked(bmc: &Bmc, what: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while bmc.asked(what) == 0 {
        assert!(std::time::Instant::now() < deadline, "nobody asked for {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_holds_the_one_device_and_its_session_is_closed() {
    let (bmc, probing) = start().await;
    for (round, spelled) in [target(&bmc), bmc.url.clone(), format!("{}/", bmc.url)].iter().enumerate() {
        bmc.set_watts(123.5);
        let answer = probing.probe("redfish", spelled, "").await;
        assert!(answer.success(), "{}", answer.response.text());
        assert_eq!(answer.watts("input"), Some(123.5));
        let info = answer.page.of("wattribute_meter_info").next().unwrap();
        assert_eq!((info.label("driver"), info.label("meter")), ("redfish", target(&bmc).as_str()));
        assert!(answer.page.samples.iter().all(|s| !s.labels.contains_key("datacenter")));
        assert!(
            answer.page.of("wattribute_meter_energy_joules_total").all(|s| s.label("origin") == "device")
        );
        assert_eq!(bmc.sessions(), (round + 1, round + 1, 0), "closed before the answer");
    }
    let answer = probing.probe("redfish", &target(&bmc), "").await;
    let (said, good) = promtool(&answer.response.body);
    assert!(good, "{said}");
    let open = probing.probe("redfish", &target(&bmc), OPENMETRICS).await;
    assert!(
        open.response.head.contains("application/openmetrics-text; version=1.0.0"),
        "{}",
        open.response.head
    );
    assert!(open.response.text().ends_with("# EOF\n"));
    // Nothing of it stands among the exporter's own series but the count.
    let own = probing.exporter.page().await;
    assert_eq!(own.of("wattribute_meter_power_watts").count(), 0);
    let polls = own.find("wattribute_polls_total", &[("driver", "redfish"), ("result", "ok")]).unwrap();
    assert_eq!(polls.value, "5");
}

fn promtool(page: &[u8]) -> (String, bool) {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing; `make test` installs it (Debian package prometheus)");
    child.stdin.take().unwrap().write_all(page).unwrap();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_at_once_share_one_session_and_one_page() {
    let (bmc, probing) = start().await;
    bmc.fault("GET /redfish/v1/Chassis/Main/EnvironmentMetrics", Fault::Late);
    let (first, target) = (target(&bmc), target(&bmc));
    let all = async {
        tokio::join!(
            probing.probe("redfish", &first, ""),
            probing.probe("redfish", &first, ""),
            probing.probe("redfish", &first, OPENMETRICS),
        )
    };
    let late = async {
        asked(&bmc, "EnvironmentMetrics").await;
        // The others have long been there: they were sent together.
        sleep(Duration::from_millis(300)).await;
        bmc.release();
    };
    let ((one, two, three), ()) = tokio::join!(all, late);
    assert_eq!(one.response.body, two.response.body);
    assert_eq!((one.watts("input"), three.watts("input")), (Some(100.0), Some(100.0)));
    assert_eq!(bmc.sessions(), (1, 1, 0));
    assert_eq!(probing.probe("redfish", &target, "").await.watts("input"), Some(100.0));
    assert_eq!(bmc.sessions(), (2, 2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_is_kept_and_the_session_closed_all_the_same() {
    let (bmc, probing) = start().await;
    bmc.fault("GET /redfish/v1/Chassis/Main/EnvironmentMetrics", Fault::Silence);
    let answer = probing.probe("redfish", &target(&bmc), "X-Prometheus-Scrape-Timeout-Seconds: 2\r\n").await;
    assert_eq!(answer.result(), Some("timeout"), "{}", answer.response.text());
    println!("answered after {:?} of 2 s", answer.took);
    assert!(answer.took < Duration::from_secs(2), "{:?}", answer.took);
    bmc.until_sessions(|sessions| sessions == (1, 1, 0)).await;
    // A login that is answered too late is given back, too.
    bmc.fault("POST", Fault::Late);
    let answer = probing.probe("redfish", &target(&bmc), "X-Prometheus-Scrape-Timeout-Seconds: 1\r\n").await;
    assert_eq!(answer.result(), Some("timeout"));
    bmc.release();
    bmc.until_sessions(|sessions| sessions == (2, 2, 0)).await;
    assert!(probing.probe("redfish", &target(&bmc), "").await.success());
    assert_eq!(bmc.sessions(), (3, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_leaves_no_session() {
    let (bmc, probing) = start().await;
    bmc.fault("GET /redfish/v1/Chassis/Main/EnvironmentMetrics", Fault::Silence);
    let mut stream = TcpStream::connect(probing.address()).await.unwrap();
    let request = format!("GET /probe?module=redfish&target={} HTTP/1.1\r\nHost: x\r\n\r\n", target(&bmc));
    stream.write_all(request.as_bytes()).await.unwrap();
    asked(&bmc, "EnvironmentMetrics").await;
    assert_eq!(bmc.sessions(), (1, 0, 1));
    drop(stream);
    let hung_up = std::time::Instant::now();
    bmc.until_sessions(|sessions| sessions == (1, 1, 0)).await;
    assert!(hung_up.elapsed() < Duration::from_secs(3), "long before its deadline: {:?}", hung_up.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_exporter_leaves_no_session() {
    let (bmc, mut probing) = start().await;
    bmc.fault("GET /redfish/v1/Chassis/Main/EnvironmentMetrics", Fault::Silence);
    let mut stream = TcpStream::connect(probing.address()).await.unwrap();
    let request = format!("GET /probe?module=redfish&target={} HTTP/1.1\r\nHost: x\r\n\r\n", target(&bmc));
    stream.write_all(request.as_bytes()).await.unwrap();
    asked(&bmc, "EnvironmentMetrics").await;
    let (status, took) = probing.exporter.program.terminate().await;
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    assert_eq!(bmc.sessions(), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_failure_is_a_page_that_says_so() {
    let (mut bmc, probing) = start().await;
    let at = target(&bmc);
    bmc.fault("POST", Fault::Status(401, String::new()));
    assert_eq!(probing.probe("redfish", &at, "").await.result(), Some("auth"));
    bmc.fault("POST", Fault::Status(503, String::new()));
    assert_eq!(probing.probe("redfish", &at, "").await.result(), Some("busy"));
    // A request that broke is sent once more.
    bmc.fault("GET /redfish/v1/", Fault::Garbage);
    bmc.fault("GET /redfish/v1/", Fault::Garbage);
    assert_eq!(probing.probe("redfish", &at, "").await.result(), Some("protocol"));
    let other = Bmc::start().await;
    assert_eq!(probing.probe("redfish", &target(&other), "").await.result(), Some("tls"));
    bmc.stop().await;
    assert_eq!(probing.probe("redfish", &at, "").await.result(), Some("unreachable"));
    // Names that lead nowhere are the device's failure, too.
    assert_eq!(probing.probe("redfish", "bmc.invalid", "").await.result(), Some("unreachable"));
    let path = format!("/probe?module=redfish&target={at}&debug=true");
    let why = get(probing.address(), &path, "").await;
    assert!(why.text().contains("(redfish): no connection to 127.0.0.1"), "{}", why.text());
    assert!(!why.text().contains(PASSWORD));
    assert!(!probing.exporter.program.output().contains(PASSWORD));
}
