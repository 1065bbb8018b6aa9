//! Devices, hosts and data centres off and on, seen from the API, the metrics, the page for people, and the devices.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{
    ADMIN, Room, SCRAPER, ask, authorization, json, open_to_its_operator, scrape, settled, start, switch,
    until, value,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_off_is_not_polled_holds_no_session_and_is_not_down() {
    let room = Room::open().await;
    let mut exporter = open_to_its_operator(&room).await;
    let address = exporter.address;
    until(&mut exporter, "all settled", settled).await;
    let name = room.sim.world().hosts()[0].name.clone();
    let bmc = format!("bmc-{name}");
    let counters = room.sim.counters(&bmc).unwrap();
    let of_bmc = [("meter", bmc.as_str())];

    let answer = switch(address, &format!("devices/{bmc}"), false).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(json(&answer)["data"]["enabled"], false);
    assert_eq!(
        (counters.opened(), counters.held()),
        (1, 0),
        "the session is given back by the time of the answer"
    );
    let asked = counters.requests();
    let page = scrape(address).await;
    assert_eq!(value(&page, "wattribute_meter_enabled", &of_bmc), Some(0.0));
    for name in ["wattribute_meter_up", "wattribute_meter_power_watts"] {
        assert!(page.of(name).all(|sample| sample.label("meter") != bmc), "{name}");
    }
    let input = [of_bmc[0], ("channel", "input")];
    let energy = [input[0], input[1], ("origin", "integrated")];
    let unmeasured = value(&page, "wattribute_meter_unmeasured_seconds_total", &input).unwrap();
    let joules = value(&page, "wattribute_meter_energy_joules_total", &energy).unwrap();
    let people = ask(address, "GET /", &authorization(SCRAPER), "").await;
    assert!(people.text().contains("switched off") && people.text().contains(", 1 off"), "{}", people.text());

    // Off stays off, over a reload too, and off twice is off.
    assert_eq!(switch(address, &format!("devices/{bmc}"), false).await.status, 200);
    assert_eq!(ask(address, "POST /-/reload", &authorization(ADMIN), "").await.status, 200);
    let until_others = |page: &crate::page::Page| {
        value(page, "wattribute_polls_total", &[("driver", "redfish"), ("result", "ok")]).unwrap() > 40.0
    };
    let page = until(&mut exporter, "others are polled on", until_others).await;
    assert_eq!(value(&page, "wattribute_meter_enabled", &of_bmc), Some(0.0));
    assert_eq!(value(&page, "wattribute_meter_unmeasured_seconds_total", &input), Some(unmeasured));
    assert_eq!(counters.requests(), asked, "nobody asks it");
    let device =
        json(&ask(address, &format!("GET /api/v1/devices/{bmc}"), &authorization(SCRAPER), "").await);
    assert_eq!(
        (&device["data"]["enabled"], &device["data"]["up"]),
        (&false.into(), &serde_json::Value::Null)
    );

    assert_eq!(switch(address, &format!("devices/{bmc}"), true).await.status, 200);
    let page =
        until(&mut exporter, "it is up", |page| value(page, "wattribute_meter_up", &of_bmc) == Some(1.0))
            .await;
    assert_eq!((counters.opened(), counters.held()), (2, 1));
    let again = value(&page, "wattribute_meter_energy_joules_total", &energy).unwrap();
    // A few hundred watts, and a second or two since it is on: what it drew meanwhile is not counted.
    assert!((joules..joules + 2000.0).contains(&again), "{joules} {again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_and_a_whole_data_centre_are_switched() {
    let room = Room::open().await;
    let mut exporter = open_to_its_operator(&room).await;
    let address = exporter.address;
    until(&mut exporter, "all settled", settled).await;
    let name = room.sim.world().hosts()[0].name.clone();
    let host = [("host", name.as_str())];
    let hypervisor = room.sim.counters(&format!("libvirt-{name}")).unwrap();
    assert!(hypervisor.held() >= 1, "one for CPU time, and one for all that may be slow");

    assert_eq!(switch(address, &format!("hosts/{name}"), false).await.status, 200);
    let page = until(&mut exporter, "it is off", |page| {
        value(page, "wattribute_host_enabled", &host) == Some(0.0)
            && value(page, "wattribute_hypervisor_up", &host).is_none()
    })
    .await;
    exporter.program.until("libvirt is left", async |_| (hypervisor.held() == 0).then_some(())).await;
    let joules = |page: &crate::page::Page| page.sum("wattribute_host_energy_joules_total", &host);
    let stands = joules(&page);
    let bmc = format!("bmc-{name}");
    assert_eq!(
        value(&page, "wattribute_meter_up", &[("meter", &bmc)]),
        Some(1.0),
        "its meters are devices of their own"
    );
    let hosts = json(&ask(address, "GET /api/v1/hosts", &authorization(SCRAPER), "").await);
    let this = hosts["data"].as_array().unwrap().iter().find(|h| h["name"] == *name).unwrap();
    assert_eq!(
        (&this["enabled"], &this["hypervisor"]["up"]),
        (&false.into(), &serde_json::Value::Null),
        "{this:#}"
    );
    let other = hosts["data"].as_array().unwrap().iter().find(|h| h["name"] != *name).unwrap();
    assert!(other["power_watts"].as_f64().unwrap() > 10.0 && other["enabled"] == true, "{other:#}");

    assert_eq!(switch(address, "datacenters/demo", false).await.status, 200);
    let page = until(&mut exporter, "all is off", |page| {
        page.of("wattribute_meter_enabled").chain(page.of("wattribute_host_enabled")).all(|s| s.value == "0")
    })
    .await;
    assert_eq!(page.of("wattribute_meter_up").count(), 0);
    let held = || {
        (0..8)
            .map(|h| room.sim.counters(&format!("bmc-{}", room.sim.world().hosts()[h].name)).unwrap().held())
    };
    assert_eq!(held().sum::<u64>(), 0);
    assert_eq!(joules(&page), stands);

    assert_eq!(switch(address, "datacenters/demo", true).await.status, 200);
    let page = until(&mut exporter, "all is up", settled).await;
    assert_eq!(value(&page, "wattribute_host_enabled", &host), Some(0.0), "this one was switched by itself");
    assert_eq!(switch(address, &format!("hosts/{name}"), true).await.status, 200);
    until(&mut exporter, "its energy goes on", |page| joules(page) > stands).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_switches_and_the_counters() {
    let room = Room::open().await;
    let mut exporter = open_to_its_operator(&room).await;
    until(&mut exporter, "all settled", settled).await;
    let name = room.sim.world().hosts()[0].name.clone();
    let (bmc, other) = (format!("bmc-{name}"), room.sim.world().hosts()[1].name.clone());
    assert_eq!(switch(exporter.address, &format!("devices/{bmc}"), false).await.status, 200);
    assert_eq!(switch(exporter.address, &format!("hosts/{other}"), false).await.status, 200);
    let before = scrape(exporter.address).await;
    let (status, _) = exporter.program.terminate().await;
    assert!(status.success());

    let mut exporter = open_to_its_operator(&room).await;
    let page = until(&mut exporter, "all others are up", |page| {
        page.of("wattribute_meter_up").filter(|s| s.value == "1").count() == 14
    })
    .await;
    assert_eq!(value(&page, "wattribute_meter_enabled", &[("meter", &bmc)]), Some(0.0));
    assert_eq!(value(&page, "wattribute_host_enabled", &[("host", &other)]), Some(0.0));
    assert_eq!(room.sim.counters(&bmc).unwrap().opened(), 1, "nobody logged in to it");
    let joules =
        |page: &crate::page::Page| page.sum("wattribute_host_energy_joules_total", &[("host", &name)]);
    until(&mut exporter, "counters go on", |page| joules(page) >= joules(&before)).await;
    assert_eq!(switch(exporter.address, &format!("devices/{bmc}"), true).await.status, 200);
    until(&mut exporter, "it is up", |page| {
        value(page, "wattribute_meter_up", &[("meter", &bmc)]) == Some(1.0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_switches_and_says_so_in_few_words() {
    let room = Room::open().await;
    let exporter = open_to_its_operator(&room).await;
    let address = exporter.address;
    let (admin, put) = (authorization(ADMIN), "PUT /api/v1/devices/pdu-a/enabled");
    for (request, fields, body, status, words) in [
        (put, "", "false", 401, "Unauthorized"),
        ("GET /api/v1/devices", "", "", 401, "Unauthorized"),
        ("GET /metrics", "", "", 401, "Unauthorized"),
        ("GET /-/healthy", "", "", 401, "Unauthorized"),
        ("POST /-/reload", "", "", 401, "Unauthorized"),
        (put, &admin, "", 400, "write {\\\"enabled\\\": false}"),
        (put, &admin, "{\"enabled\": \"no\"}", 400, "write {\\\"enabled\\\": false}"),
        ("PUT /api/v1/devices/pdu-c/enabled", &admin, "true", 404, "did you mean pdu-a, pdu-b"),
        ("PUT /api/v1/hosts/zzzzz/enabled", &admin, "true", 404, "there is no host"),
        ("PUT /api/v1/datacenters/dem/enabled", &admin, "true", 404, "did you mean demo?"),
        ("GET /api/v1/devices/pdu-c", &admin, "", 404, "did you mean pdu-a"),
        ("POST /api/v1/devices/pdu-a/enabled", &admin, "true", 405, ""),
        (put, &admin, &"x".repeat(5000), 413, ""),
        ("POST /-/reload", &format!("{admin}Sec-Fetch-Site: cross-site\r\n"), "", 403, "Another site"),
        (put, &admin, "true", 200, "\"enabled\":true"),
    ] {
        let answer = ask(address, request, fields, body).await;
        assert_eq!(answer.status, status, "{request} {body}: {}", answer.text());
        assert!(answer.text().contains(words), "{request}: {}", answer.text());
        assert_eq!(
            status == 401,
            answer.head.to_lowercase().contains("www-authenticate: basic"),
            "{}",
            answer.head
        );
    }
    // A body that does not come holds nobody up.
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!("{put} HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n{admin}\r\nt");
    slow.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(ask(address, put, &admin, "true").await.status, 200);
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");

    // Without users nobody is an operator, and without the flag nobody is asked.
    for (arguments, words) in
        [(&["--web.enable-admin-api"][..], "basic_auth_users"), (&[], "--web.enable-admin-api")]
    {
        let exporter = start(&room.config, arguments).await;
        let answer = ask(exporter.address, put, "", "false").await;
        assert!(answer.status == 403 && answer.text().contains(words), "{}", answer.text());
        assert_eq!(ask(exporter.address, "GET /api/v1/devices", "", "").await.status, 200);
        assert_eq!(ask(exporter.address, "POST /-/reload", "", "").await.status, 403);
    }
}
