//! What a client may ask, and what it is told otherwise.

use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use crate::exporter::Probing;
use crate::process::{Exporter, get, in_repository, wattribute};
use crate::snmp::snmpsim;

#[tokio::test(flavor = "multi_thread")]
async fn without_an_allow_list_it_is_off_and_says_how_to_switch_it_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("wattribute.yaml");
    fs::write(&config, "hosts: [{name: h, feeds: [{rated: 500 W}]}]\n").unwrap();
    let exporter = Exporter::start(&config).await;
    let answer = get(exporter.address, "/probe?target=127.0.0.1&module=x", "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("`modules`") && answer.text().contains("`targets`"), "{}", answer.text());
    assert!(!get(exporter.address, "/", "").await.text().contains("/probe"));

    let text = "probe: {modules: [{name: pdu, snmp: {community_env: PROBE_COMMUNITY}}]}\n";
    fs::write(&config, text).unwrap();
    let mut check = wattribute(&["check"]);
    let said = check.arg(&config).env("PROBE_COMMUNITY", "public").output().unwrap();
    let warned = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.success() && warned.contains("so this module is off; add `targets`"), "{warned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_wrongly_is_told_what_to_write() {
    let probing = Probing::with("", "targets: [10.0.0.0/24, '*.bmc.example', '[2001:db8::/64]:161']").await;
    for (query, status, word) in [
        ("", 400, "`target` is missing"),
        ("?module=pdu", 400, "`target` is missing"),
        ("?target=10.0.0.1", 400, "`module` is missing"),
        ("?target=10.0.0.1&target=10.0.0.2&module=pdu", 400, "given twice"),
        ("?target=10.0.0.1&module=nope", 400, "there is: chain, ipmi, pdu, redfish, sim"),
        ("?target=0x7f.1&module=pdu", 400, "ends in a number"),
        ("?target=2130706433&module=pdu", 400, "ends in a number"),
        ("?target=u:p%4010.0.0.1&module=pdu", 400, "holds a user"),
        ("?target=b%C3%BCcher.bmc.example&module=pdu", 400, "xn--"),
        ("?target=%FF&module=pdu", 400, "xn--"),
        ("?target=https://10.0.0.1&module=pdu", 400, "another protocol"),
        ("?target=http://10.0.0.1&module=redfish", 400, "another protocol"),
        ("?target=https://10.0.0.1/redfish&module=redfish", 400, "is no host"),
        ("?target=10.0.0.1%0d%0aX:%20y&module=pdu", 400, "`target`"),
        ("?target=10.0.0.1:0&module=pdu", 400, "port"),
        ("?target=10.0.1.1&module=pdu", 403, "probe.targets"),
        ("?target=127.0.0.1&module=pdu", 403, "127.0.0.1:161"),
        ("?target=10.0.0.1:22&module=pdu", 403, "10.0.0.1:22"),
        ("?target=::ffff:127.0.0.1&module=pdu", 403, "127.0.0.1:161"),
        ("?target=[2001:db8::1]&module=redfish", 403, "[2001:db8::1]:443"),
        // Resolves to this machine, which is not on the list.
        ("?target=localhost&module=pdu", 403, "localhost:161"),
        // Not below itself, and no network is on the list for this port.
        ("?target=bmc.example:22&module=pdu", 403, "bmc.example:22"),
    ] {
        let answer = get(probing.address(), &format!("/probe{query}"), "").await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        assert!(answer.text().contains(word) && answer.text().ends_with(".\n"), "{query}: {}", answer.text());
        assert!(answer.head.to_ascii_lowercase().contains("content-type: text/plain"), "{}", answer.head);
    }
    assert!(get(probing.address(), "/", "").await.text().contains("href=\"/probe\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_cap_who_asks_is_sent_away_and_may_come_again() {
    let probing = Probing::with("", "concurrency: 1\n  targets: ['127.0.0.0/8:*']").await;
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let (slow, refused) = tokio::join!(probing.probe("ipmi", &target, ""), async {
        // Once the first datagram is there, the only slot is taken.
        let arrived = tokio::task::spawn_blocking(move || silent.recv_from(&mut [0; 1500]).map(|_| silent));
        let _silent = arrived.await.unwrap().unwrap();
        get(probing.address(), "/probe?module=pdu&target=127.0.0.2:9", "").await
    });
    assert_eq!(slow.result(), Some("timeout"));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.head.to_ascii_lowercase().contains("retry-after: 1"), "{}", refused.head);
    assert_eq!(probing.probe("pdu", "127.0.0.2:9", "").await.response.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pdu_is_read_by_its_profile() {
    let pdu = snmpsim(&in_repository("tests/snmp"));
    let probing = Probing::start("").await;
    // As soon as it is up.
    let answer = loop {
        let answer = probing.probe("chain", &pdu.address, "").await;
        if answer.result() != Some("timeout") {
            break answer;
        }
    };
    // Device power in hundredths of kW: 57 -> 570 W; outlet 1 in W.
    assert_eq!((answer.watts("input"), answer.watts("outlet/1")), (Some(570.0), Some(212.0)));
    let info = answer.page.of("wattribute_meter_info").next().unwrap();
    assert_eq!(info.label("profile"), "apc-rpdu2");
    let energy: Vec<_> = answer.page.of("wattribute_meter_energy_joules_total").collect();
    assert!(!energy.is_empty() && energy.iter().all(|s| s.label("origin") == "device"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_of_targets_that_were_answered() {
    let probing = Probing::start("").await;
    let silent: Vec<_> = (0..60).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let targets: Vec<_> = silent.iter().map(|s| s.local_addr().unwrap().to_string()).collect();
    let open_files = async || probing.exporter.page().await.find("process_open_fds", &[]).unwrap().number();
    let round = async |targets: &[String]| {
        let fields = "X-Prometheus-Scrape-Timeout-Seconds: 0.5\r\n";
        let module = |n: usize| if n.is_multiple_of(2) { "pdu" } else { "ipmi" };
        let asked = targets.iter().enumerate().map(|(n, t)| probing.probe(module(n), t, fields));
        for answer in futures_util::future::join_all(asked).await {
            assert_eq!(answer.result(), Some("timeout"));
        }
    };
    // The sockets that all devices share are opened now.
    round(&targets[..20]).await;
    let before = open_files().await;
    round(&targets).await;
    round(&targets).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while open_files().await > before {
        assert!(std::time::Instant::now() < deadline, "{} files, {before} before", open_files().await);
    }
    let page = probing.exporter.page().await;
    let series = page.samples.iter().filter(|s| s.labels.values().any(|v| v.starts_with("127.0.0.1:")));
    assert_eq!(series.count(), 0);
}
