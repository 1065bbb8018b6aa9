//! IPMI BMCs that others wrote, and who never answers.

use std::net::UdpSocket;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::exporter::Probing;
use crate::peers::{Bmc, Simulator};

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_is_read_by_address_or_name_and_its_session_closed() {
    let mut bmc = Bmc::start();
    bmc.set("watts", 245);
    let probing = Probing::start("").await;
    let port = bmc.address.rsplit_once(':').unwrap().1.to_owned();
    for (round, host) in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"].iter().enumerate() {
        let answer = probing.probe("ipmi", &format!("{host}:{port}"), "").await;
        assert!(answer.success(), "{host}: {}", answer.response.text());
        assert_eq!(answer.watts("input"), Some(245.0), "{host}");
        let info = answer.page.of("wattribute_meter_info").next().unwrap();
        assert_eq!((info.label("vendor"), info.label("serial")), ("ACME", "S-4711"), "{info:?}");
        assert!(answer.page.of("wattribute_meter_temperature_celsius").count() > 0);
        bmc.all_closed(round + 1).await;
        assert_eq!(bmc.opened(), round + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_deadline_still_gives_what_was_read() {
    let mut bmc = Bmc::start();
    // Get SDR is never answered, so that sensors cannot be learned; DCMI is.
    bmc.set("mute", 0x23);
    let probing = Probing::start("").await;
    let answer = probing.probe("ipmi", &bmc.address, "X-Prometheus-Scrape-Timeout-Seconds: 4\r\n").await;
    println!("after {:?}:\n{}", answer.took, answer.response.text());
    assert!(answer.took < Duration::from_secs(4), "{:?}", answer.took);
    assert_eq!(answer.watts("input"), Some(245.0), "{}", answer.response.text());
    bmc.set("mute", -1);
    bmc.all_closed(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_deadline_nor_a_client_that_hangs_up_leaves_a_session() {
    let mut bmc = Bmc::start();
    // DCMI Get Power Reading is never answered.
    bmc.set("mute", 0x02);
    let probing = Probing::start("").await;
    let answer = probing.probe("ipmi", &bmc.address, "X-Prometheus-Scrape-Timeout-Seconds: 2\r\n").await;
    assert_eq!(answer.result(), Some("timeout"), "{}", answer.response.text());
    assert!(answer.took < Duration::from_secs(2), "{:?}", answer.took);
    bmc.all_closed(1).await;

    let mut stream = TcpStream::connect(probing.address()).await.unwrap();
    let request = format!("GET /probe?module=ipmi&target={} HTTP/1.1\r\nHost: x\r\n\r\n", bmc.address);
    let before = bmc.opened();
    stream.write_all(request.as_bytes()).await.unwrap();
    for _ in 0..1000 {
        if bmc.opened() > before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stream);
    bmc.all_closed(before + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_leaves_no_session() {
    let mut bmc = Bmc::start();
    let probing = Probing::start("").await;
    assert_eq!(probing.probe("sim", &bmc.address, "").await.result(), Some("auth"));
    assert_eq!((bmc.opened(), bmc.closed()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn openipmis_simulator_is_read_again_and_again() {
    let simulator = Simulator::start();
    let probing = Probing::start("").await;
    // Its table has fewer places than this: a session that was left behind would show.
    for round in 0..40 {
        let answer = probing.probe("sim", &simulator.address, "").await;
        assert_eq!(answer.watts("input"), Some(245.0), "round {round}: {}", answer.response.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_answers_costs_the_deadline_and_no_more() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let probing = Probing::start("").await;
    for (module, fields, most) in [
        ("ipmi", "X-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n", 1.5),
        ("pdu", "X-Prometheus-Scrape-Timeout-Seconds: 1\r\n", 1.0),
        // Nonsense is no deadline: the module's holds.
        ("pdu", "X-Prometheus-Scrape-Timeout-Seconds: -1\r\n", 1.5),
        ("pdu", "X-Prometheus-Scrape-Timeout-Seconds: nan\r\n", 1.5),
    ] {
        let answer = probing.probe(module, &target, fields).await;
        assert_eq!(answer.result(), Some("timeout"), "{module}");
        assert!(answer.took.as_secs_f64() < most, "{module}: {:?}", answer.took);
    }
}
