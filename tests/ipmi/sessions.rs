//! Who is let in and how: passwords, keys, cipher suites, full tables; and that every session is given back.

use std::time::Duration;

use wattribute::drivers::ipmi::{self, KeepSession, Privilege, Readings, Settings, Suite};
use wattribute::model::{ErrorKind, PollError, Quantity};

use super::network::{Act, Network, Rig, kind};
use super::peers::{Bmc, open, settings, shared};
use super::value;

fn brief(bmc: &Bmc) -> Settings {
    Settings {
        readings: Readings::Dcmi,
        request_timeout: Duration::from_millis(300),
        ..settings(&bmc.address, "admin", "password")
    }
}

async fn refused(settings: Settings) -> PollError {
    let mut driver = open(settings, &shared());
    let error = driver.poll().await.unwrap_err();
    driver.close().await;
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_apart_and_never_printed() {
    let bmc = Bmc::start();
    let secret = |text: &str| text.to_owned().into();
    for suite in [Suite::Sha1, Suite::Sha256] {
        let good = Settings { suites: vec![suite], ..brief(&bmc) };
        for (settings, cause, fix) in [
            (
                Settings { password: secret("hunter2"), ..good.clone() },
                "not made with our password for user \"admin\"",
                "check `username` and the password",
            ),
            (
                Settings { user: "nobody".into(), ..good.clone() },
                "does not know user \"nobody\"",
                "check `username`",
            ),
            (
                Settings { bmc_key: Some(secret("hunter2-key")), ..good.clone() },
                "not made with our BMC key",
                "leave it out where it has none",
            ),
        ] {
            let error = refused(settings.clone()).await;
            assert_eq!(error.kind, ErrorKind::Auth, "{error}");
            assert!(error.cause.contains(cause), "{error}");
            assert!(error.fix.contains(fix), "{error}");
            assert!(!format!("{error} {error:?} {settings:?}").contains("hunter2"), "{error}");
        }
        let mut driver = open(good, &shared());
        assert_eq!(driver.poll().await.unwrap().readings.len(), 1, "the right ones are let in");
        driver.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_session_table_is_busy_until_a_session_is_free() {
    let mut bmc = Bmc::start();
    bmc.set("slots", 4);
    let mut others = Vec::new();
    for _ in 0..4 {
        // Other programs: this one never takes more than its own places.
        let mut other = open(brief(&bmc), &shared());
        other.poll().await.unwrap();
        others.push(other);
    }
    let mut driver = open(brief(&bmc), &shared());
    for _ in 0..3 {
        let error = driver.poll().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy, "{error}");
        assert!(error.cause.contains("no free session"), "{error}");
    }
    // The others are not disturbed by it, and dropping one gives its place back.
    for other in &mut others {
        other.poll().await.unwrap();
    }
    drop(others.pop());
    let tries = async { while driver.poll().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), tries).await.expect("the place was never given back");
    driver.close().await;
    for mut other in others {
        other.close().await;
    }
    bmc.all_closed(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_suite_of_those_allowed_and_offered_is_used() {
    let mut bmc = Bmc::start();
    let (three, seventeen) = (Suite::Sha1, Suite::Sha256);
    for (offered, allowed, used) in [
        ("3,17", vec![seventeen, three], "17"),
        ("3,17", vec![three, seventeen], "3"),
        ("3,17", vec![three], "3"),
        ("3", vec![seventeen, three], "3"),
        ("17", vec![three, seventeen], "17"),
        // A BMC that lists nothing is asked for one after the other.
        ("hidden3", vec![seventeen, three], "3"),
        ("hidden17", vec![three, seventeen], "17"),
    ] {
        bmc.set("suites", offered);
        let mut driver = open(Settings { suites: allowed, ..brief(&bmc) }, &shared());
        let profile = driver.poll().await.unwrap().identity.unwrap().profile;
        assert_eq!(profile, format!("dcmi, cipher suite {used}"), "{offered}");
        driver.close().await;
    }
    for offered in ["3", "hidden3"] {
        bmc.set("suites", offered);
        let error = refused(Settings { suites: vec![seventeen], ..brief(&bmc) }).await;
        assert!(matches!(error.kind, ErrorKind::Auth | ErrorKind::Protocol), "{error}");
        assert!(error.cause.contains("cipher suite"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weaker_suite_is_never_taken_once_a_better_one_has_worked() {
    let mut bmc = Bmc::start();
    let mut driver = open(brief(&bmc), &shared());
    driver.poll().await.unwrap();
    bmc.set("suites", "3");
    bmc.set("forget", 0);
    let error = driver.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth, "{error}");
    assert!(error.fix.contains("never given up for a weaker one"), "{error}");
    bmc.set("suites", "3,17");
    driver.poll().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_bmc_is_asked_again_on_the_same_session() {
    let mut rig = Rig::new().await;
    rig.good("the start").await;
    rig.bmc.set("busy", 3);
    rig.good("three times busy").await;
    rig.bmc.set("busy", 4);
    let error = rig.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy, "{error}");
    rig.good("busy").await;
    assert_eq!(rig.bmc.opened(), 1);
    rig.end(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_dropped_at_any_moment_gives_its_session_back() {
    let mut rig = Rig::new().await;
    rig.good("the start").await;
    drop(rig.driver);
    rig.bmc.all_closed(1).await;
    // Dropped while the last message of the setup is awaited: the BMC has a session that nobody uses.
    let network = Network::to(&rig.bmc.address).await;
    let (reached, mut heard) = tokio::sync::mpsc::unbounded_channel();
    network.behave(move |reply| {
        if kind(reply) != 0x15 {
            return Act::Pass;
        }
        let _ = reached.send(());
        Act::Drop
    });
    let settings = Settings { address: network.address.clone(), ..brief(&rig.bmc) };
    let mut driver = open(settings, &shared());
    tokio::select! {
        result = driver.poll() => panic!("{result:?}"),
        _ = heard.recv() => {}
    }
    drop(driver);
    rig.bmc.all_closed(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rare_polls_open_and_close_their_own_session() {
    let mut bmc = Bmc::start();
    let mut driver = open(Settings { keep_session: KeepSession::No, ..brief(&bmc) }, &shared());
    for polls in 1..=3 {
        assert_eq!(value(&driver.poll().await.unwrap(), "input", Quantity::Power), Some(245.0));
        bmc.all_closed(polls).await;
        assert_eq!(bmc.opened(), polls);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_level_is_raised_where_it_is_asked_for() {
    let mut bmc = Bmc::start();
    for privilege in [Privilege::Operator, Privilege::Administrator] {
        let mut driver = open(Settings { privilege, ..brief(&bmc) }, &shared());
        driver.poll().await.unwrap();
        driver.close().await;
    }
    bmc.all_closed(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_with_a_key_of_its_own_wants_that_key() {
    let mut bmc = Bmc::start();
    bmc.set("kg", "key-of-the-bmc");
    let error = refused(brief(&bmc)).await;
    assert_eq!((error.kind, error.cause.contains("K_G")), (ErrorKind::Auth, true), "{error}");
    let text = "key-of-the-bmc".to_owned();
    let digits = format!("0x{}", hex::encode(&text));
    for key in [text, digits] {
        let mut driver = open(Settings { bmc_key: Some(key.into()), ..brief(&bmc) }, &shared());
        driver.poll().await.unwrap();
        driver.close().await;
    }
}

#[test]
fn what_ipmi_has_no_room_for_is_said_at_once() {
    let shared =
        std::sync::Arc::new(ipmi::Shared::new(std::sync::Arc::new(wattribute::model::SystemClock::new())));
    let good = settings("bmc-1:623", "admin", "password");
    let refused = |settings: Settings| ipmi::open(settings, std::sync::Arc::clone(&shared)).err().unwrap();
    for (settings, says) in [
        (Settings { address: "bmc-1".into(), ..good.clone() }, "is not an address"),
        (Settings { user: "a".repeat(17), ..good.clone() }, "more than 16 bytes"),
        (Settings { password: "hunter2".repeat(3).into(), ..good.clone() }, "more than 20 bytes"),
        (Settings { bmc_key: Some("0xhunter2".to_owned().into()), ..good.clone() }, "is not one"),
        (Settings { suites: Vec::new(), ..good.clone() }, "no cipher suite"),
    ] {
        let error = refused(settings);
        assert!(error.cause.contains(says), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
