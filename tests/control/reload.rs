//! Reading the configuration anew: what did not change goes on, no counter falls, and a bad file changes nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Exporter, Program, Response};
use crate::rig::{
    ADMIN, Room, ask, authorization, open_to_its_operator, scrape, settled, start, until, users, value,
};

async fn reload(exporter: &Exporter) -> Response {
    ask(exporter.address, "POST /-/reload", &authorization(ADMIN), "").await
}

/// Numbers that come again with each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Some of six meters of a reader program, each with a host, tuned at random.
fn extra(dice: &mut Dice) -> String {
    let (mut meters, mut hosts) = ("meters:\n".to_owned(), "hosts:\n".to_owned());
    for n in 0..6 {
        if dice.roll(3) == 0 && n > 0 {
            continue;
        }
        let (interval, watts) = (1000 * (1 + dice.roll(3)), 50 + 50 * dice.roll(2));
        writeln!(
            meters,
            "  - {{name: x{n}, interval: {interval}ms, timeout: {interval}ms, command: {{run: [sh, -c, 'while :; do echo {watts}; sleep 0.1; done'], \
             format: csv, readings: [{{from: 1, channel: input, quantity: power}}]}}}}"
        )
        .unwrap();
        writeln!(hosts, "  - {{name: h{n}, feeds: [x{n}/input], idle_power: {} W}}", 10 + dice.roll(3))
            .unwrap();
    }
    format!("{meters}{hosts}")
}

#[tokio::test(flavor = "multi_thread")]
async fn over_fifty_reloads_sessions_stay_and_no_counter_falls() {
    let room = Room::open().await;
    let mut dice = Dice(42);
    room.change(&extra(&mut dice), |base| base);
    let mut exporter = open_to_its_operator(&room).await;
    let page = until(&mut exporter, "all settled", settled).await;
    let opened = room.opened();
    assert_eq!(opened, 8, "one login a BMC");

    let mut highest: BTreeMap<String, f64> = page.counters();
    let mut polls = 0.0;
    for round in 0..50 {
        let idle = 80 + dice.roll(20);
        room.change(&extra(&mut dice), |base| {
            let price = format!("price: {{currency: EUR, value: 0.{}}}", 10 + dice.roll(80));
            base.replacen("    facility:\n", &format!("    {price}\n    facility:\n"), 1)
                // The account of this host changes, and none of its meters.
                .replacen("idle_power: ", &format!("idle_power: {idle} W # "), 1)
        });
        let answer = reload(&exporter).await;
        assert_eq!((answer.status, answer.text()), (200, ""), "round {round}");
        let page = scrape(exporter.address).await;
        for (name, value) in page.counters() {
            let before = highest.entry(name.clone()).or_insert(value);
            assert!(value >= *before, "round {round}: {name} fell from {before} to {value}");
            *before = value;
        }
        polls = value(&page, "wattribute_polls_total", &[("driver", "redfish"), ("result", "ok")]).unwrap();
    }
    assert_eq!(room.opened(), opened, "no BMC was logged in to anew");
    until(&mut exporter, "BMCs are still read", |page| {
        value(page, "wattribute_polls_total", &[("driver", "redfish"), ("result", "ok")]).unwrap() > polls
    })
    .await;
    // What was there in the last round and in none before starts, too.
    until(&mut exporter, "x0 is read", |page| {
        value(page, "wattribute_meter_up", &[("meter", "x0")]) == Some(1.0)
    })
    .await;

    let (status, _) = exporter.program.terminate().await;
    assert!(status.success());
    let stopped = room.sim.stop().await;
    assert_eq!(stopped.left_open, vec![], "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_that_changed_is_logged_out_and_in_and_its_neighbours_are_not() {
    let room = Room::open().await;
    let mut exporter = open_to_its_operator(&room).await;
    let page = until(&mut exporter, "all settled", settled).await;
    let name = room.sim.world().hosts()[0].name.clone();
    let energy = [("meter", format!("bmc-{name}"))];
    let energy: Vec<(&str, &str)> = energy
        .iter()
        .map(|(k, v)| (*k, v.as_str()))
        .chain([("channel", "input"), ("origin", "integrated")])
        .collect();
    let joules = "wattribute_meter_energy_joules_total";
    let before = value(&page, joules, &energy).unwrap();

    room.change("tenants: []\n", |base| {
        base.replacen(
            &format!("  - name: bmc-{name}\n"),
            &format!("  - name: bmc-{name}\n    interval: 1s\n    timeout: 1s\n"),
            1,
        )
    });
    assert_eq!(reload(&exporter).await.status, 200);
    let counters = room.sim.counters(&format!("bmc-{name}")).unwrap();
    assert!(
        value(&scrape(exporter.address).await, joules, &energy).unwrap() >= before,
        "goes on where it was"
    );
    exporter.program.until("logged in anew", async |_| (counters.opened() == 2).then_some(())).await;
    assert_eq!(
        (counters.closed(), room.opened()),
        (1, 9),
        "its old session was given back, the others' stay"
    );

    // Removed with the feed that names it, and back again: the account goes on.
    let highest = value(&scrape(exporter.address).await, joules, &energy).unwrap();
    room.change("tenants: []\n", |base| {
        let lines = base.lines().filter(|line| !line.contains(&format!("- name: bmc-{name}")));
        let without: String = lines.map(|line| format!("{line}\n")).collect();
        // Its settings stand on the line after its name.
        let at = room.sim.bmc(0).unwrap().to_string();
        let without: String =
            without.lines().filter(|line| !line.contains(&at)).map(|line| format!("{line}\n")).collect();
        without.replace(&format!(", bmc-{name}/input"), "").replace(&format!("bmc-{name}/input, "), "")
    });
    let answer = reload(&exporter).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let page = scrape(exporter.address).await;
    assert_eq!(value(&page, "wattribute_meter_up", &energy[..1]), None);
    assert_eq!(counters.held(), 0);
    room.change("tenants: []\n", |base| base);
    assert_eq!(reload(&exporter).await.status, 200);
    let page = until(&mut exporter, "it is back", |page| value(page, joules, &energy).is_some()).await;
    assert!(value(&page, joules, &energy).unwrap() >= highest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_leaves_the_old_one_running_and_says_all_that_is_wrong() {
    let room = Room::open().await;
    let mut exporter = open_to_its_operator(&room).await;
    let page = until(&mut exporter, "all settled", settled).await;
    let good = "wattribute_config_last_reload_successful";
    let read = "wattribute_config_last_reload_success_timestamp_seconds";
    let first = value(&page, read, &[]).unwrap();
    assert_eq!(value(&page, good, &[]), Some(1.0));

    room.change("metres: []\nmeters:\n  - {name: x}\n", |base| {
        base.replacen("interval: 2s", "interval: 2", 1)
    });
    let answer = reload(&exporter).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().starts_with("failed to reload config: "), "{}", answer.text());
    for words in ["changing.yaml:3:", "extra.yaml:1:1", "did you mean `meters`?", "extra.yaml:3:"] {
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
        assert!(exporter.program.output().contains(words), "{words} is not in the log");
    }
    let page = scrape(exporter.address).await;
    assert_eq!((value(&page, good, &[]), value(&page, read, &[])), (Some(0.0), Some(first)));
    assert!(settled(&page), "all goes on");
    assert_eq!(room.opened(), 8);

    // The users' file is part of it.
    room.change("tenants: []\n", |base| base);
    let web = room.dir.path().join("web.yml");
    fs::write(&web, "basic_auth_users: {admin: right-admin-word}\n").unwrap();
    let answer = reload(&exporter).await;
    assert!(answer.status == 500 && answer.text().contains("web.yml:1:"), "{}", answer.text());
    assert!(!answer.text().contains("right-admin-word"));

    fs::write(&web, users()).unwrap();
    let pid = i32::try_from(exporter.program.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    until(&mut exporter, "SIGHUP", |page| {
        value(page, good, &[]) == Some(1.0) && value(page, read, &[]).unwrap() > first
    })
    .await;
    assert_eq!(room.opened(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_or_profile_restarts_what_it_reads_and_nothing_else() {
    let room = Room::open().await;
    let profiles = room.dir.path().join("profiles");
    fs::create_dir(&profiles).unwrap();
    let dir = format!("--profiles.dir={}", profiles.display());
    let mut exporter = start(&room.config, &["--web.enable-lifecycle", &dir]).await;
    until(&mut exporter, "all settled", settled).await;
    let asked = |device: &str| room.sim.counters(device).unwrap().requests();
    let log = |program: &Program| program.output();

    // A wrong password for all BMCs: each is logged out, and refused.
    let config = fs::read_to_string(&room.config).unwrap();
    let (_, secret) = config.split_once("password_file: \"").expect("the BMCs' password stands in a file");
    let secret = room.dir.path().join(secret.split('"').next().unwrap());
    let right = fs::read_to_string(&secret).unwrap();
    fs::write(&secret, "another").unwrap();
    assert_eq!(ask(exporter.address, "POST /-/reload", "", "").await.status, 200);
    let name = room.sim.world().hosts()[0].name.clone();
    let bmc = room.sim.counters(&format!("bmc-{name}")).unwrap();
    assert_eq!(bmc.held(), 0);
    until(&mut exporter, "refused", |page| {
        value(page, "wattribute_polls_total", &[("driver", "redfish"), ("result", "auth")]).unwrap() >= 8.0
    })
    .await;
    fs::write(&secret, right).unwrap();
    assert_eq!(ask(exporter.address, "PUT /-/reload", "", "").await.status, 200);
    exporter.program.until("logged in", async |_| (bmc.held() == 1).then_some(())).await;

    // A profile that breaks changes nothing, and one that says another thing is followed.
    let before = asked("pdu-a");
    let profile =
        fs::read_to_string(crate::process::in_repository("profiles/modbus/schneider-iem3000.yaml")).unwrap();
    fs::write(profiles.join("mine.yaml"), profile.replacen("values:", "valus:", 1)).unwrap();
    let answer = ask(exporter.address, "POST /-/reload", "", "").await;
    assert!(answer.status == 500 && answer.text().contains("mine.yaml"), "{}", answer.text());
    assert!(log(&exporter.program).contains("mine.yaml"));
    let is_up = |page: &crate::page::Page| {
        page.of("wattribute_meter_up").all(|s| s.label("driver") != "modbus" || s.value == "1")
    };
    let cooling =
        |page: &crate::page::Page| value(page, "wattribute_facility_power_watts", &[("point", "cooling")]);
    let page =
        until(&mut exporter, "the building is read on", |page| is_up(page) && cooling(page).is_some()).await;
    let watts = cooling(&page).unwrap();
    let twice = profile.replace("scale: 1000", "scale: 2000");
    assert_ne!(twice, profile);
    fs::write(profiles.join("mine.yaml"), twice).unwrap();
    assert_eq!(ask(exporter.address, "POST /-/reload", "", "").await.status, 200);
    until(&mut exporter, "the building is read by it", |page| cooling(page).is_some_and(|w| w > watts * 1.6))
        .await;
    fs::remove_file(profiles.join("mine.yaml")).unwrap();
    assert_eq!(ask(exporter.address, "POST /-/reload", "", "").await.status, 200);
    until(&mut exporter, "the building is read as before", |page| {
        cooling(page).is_some_and(|w| w > 0.0 && w < watts * 1.6)
    })
    .await;
    assert!(asked("pdu-a") > before);
    assert_eq!(bmc.held(), 1);
}
