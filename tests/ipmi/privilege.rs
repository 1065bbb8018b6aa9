//! The least privilege that works: found by asking, kept, and never more than that; and how a user is looked up.

use std::time::Duration;

use wattribute::drivers::ipmi::{Authentication, KeepSession, Lookup, Privilege, Readings, Settings};
use wattribute::model::{ErrorKind, Quantity};

use super::peers::{Bmc, Simulator, open, settings, shared};
use super::real::{first_poll, simulator_shows};
use super::value;

fn auto(bmc: &Bmc) -> Settings {
    Settings {
        privilege: Privilege::Auto,
        request_timeout: Duration::from_millis(300),
        ..settings(&bmc.address, "admin", "password")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_asks_for_no_more_than_the_bmc_wants() {
    let mut bmc = Bmc::start();
    for (dcmi, sensors, level, sessions) in
        [(2, 2, "user", 1), (3, 2, "operator", 2), (4, 2, "administrator", 3), (3, 4, "administrator", 3)]
    {
        bmc.set("dcmilevel", dcmi);
        bmc.set("sensorlevel", sensors);
        let before = bmc.opened();
        let mut driver = open(auto(&bmc), &shared());
        // All in the first poll, and then the same session goes on.
        let batch = driver.poll().await.unwrap();
        assert_eq!(batch.identity.clone().unwrap().profile, format!("dcmi, cipher suite 17, as {level}"));
        assert_eq!(value(&batch, "input", Quantity::Power), Some(245.0));
        for _ in 0..3 {
            assert_eq!(driver.poll().await.unwrap().readings.len(), 4, "{level}");
        }
        assert_eq!(bmc.opened() - before, sessions, "{level}");
        driver.close().await;
        bmc.all_closed(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_worked_is_remembered_by_rare_polls() {
    let mut bmc = Bmc::start();
    bmc.set("dcmilevel", 3);
    let settings = Settings { keep_session: KeepSession::No, readings: Readings::Dcmi, ..auto(&bmc) };
    let mut driver = open(settings, &shared());
    for sessions in [2, 3, 4] {
        driver.poll().await.unwrap();
        assert_eq!(bmc.opened(), sessions);
    }
    bmc.all_closed(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_have_more_is_read_as_one_and_not_asked_again() {
    let mut bmc = Bmc::start();
    bmc.set("dcmilevel", 3);
    bmc.set("limit", 2);
    for (lookup, deaf) in [(Lookup::Name, 0), (Lookup::Name, 1), (Lookup::NameAndPrivilege, 0)] {
        bmc.set("deaf", deaf);
        let before = bmc.opened();
        let mut driver = open(Settings { lookup, ..auto(&bmc) }, &shared());
        let batch = driver.poll().await.unwrap();
        let profile = "sensor Sys Power (dcmi: insufficient privilege level), cipher suite 17, as user";
        assert_eq!(batch.identity.unwrap().profile, profile);
        for _ in 0..3 {
            driver.poll().await.unwrap();
        }
        // One before the refusal, one after it.
        assert_eq!(bmc.opened() - before, 2);
        driver.close().await;
    }
    // Where only DCMI is wanted, it is said what the user lacks.
    let mut driver = open(Settings { readings: Readings::Dcmi, ..auto(&bmc) }, &shared());
    let error = driver.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth, "{error}");
    assert!(error.fix.contains("give it operator or administrator on the LAN channel"), "{error}");
    driver.close().await;
    bmc.all_closed(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_helps_nothing_is_given_back() {
    let mut bmc = Bmc::start();
    bmc.set("dcmilevel", 5);
    let mut driver = open(auto(&bmc), &shared());
    let batch = driver.poll().await.unwrap();
    let profile = "sensor Sys Power (dcmi: insufficient privilege level), cipher suite 17, as user";
    assert_eq!(batch.identity.unwrap().profile, profile);
    for _ in 0..3 {
        driver.poll().await.unwrap();
    }
    assert_eq!(bmc.opened(), 4, "a user's, an operator's, an administrator's, and a user's again");
    driver.close().await;
    bmc.all_closed(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_in_the_configuration_is_never_left() {
    let mut bmc = Bmc::start();
    bmc.set("dcmilevel", 3);
    let mut driver = open(Settings { privilege: Privilege::User, ..auto(&bmc) }, &shared());
    let batch = driver.poll().await.unwrap();
    let profile = "sensor Sys Power (dcmi: insufficient privilege level), cipher suite 17";
    assert_eq!(batch.identity.unwrap().profile, profile);
    assert_eq!(bmc.opened(), 1);
    driver.close().await;
}

/// ipmi_sim gives DCMI to administrators only. Over IPMI 2.0 it lets every user be one, so what a user may not is seen in
/// IPMI 1.5.
#[tokio::test(flavor = "multi_thread")]
async fn ipmi_sim_is_read_at_the_least_level_that_it_gives() {
    let simulator = Simulator::legacy("md5");
    for (user, password, input, profile) in [
        (
            "monitor",
            "m0nitor-pass",
            300.0,
            "sensor System Power (dcmi: insufficient privilege level), IPMI 1.5 (MD5), as user",
        ),
        ("admin", "secret", 275.0, "dcmi, IPMI 1.5 (MD5), as administrator"),
    ] {
        simulator.watts(275, 300);
        let settings = Settings {
            privilege: Privilege::Auto,
            legacy: vec![Authentication::Md5],
            request_timeout: Duration::from_millis(500),
            ..settings(&simulator.address, user, password)
        };
        let batch = simulator_shows(&settings, 300.0).await;
        assert_eq!(value(&batch, "input", Quantity::Power), Some(input));
        assert_eq!(batch.identity.unwrap().profile, profile);
    }
}

/// By name alone a user is found at every level that it may have; by name and level ipmi_sim finds it at its own only.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_name_at_any_level_and_by_both_at_its_own() {
    let simulator = Simulator::start();
    for (lookup, privilege, found) in [
        (Lookup::Name, Privilege::User, true),
        (Lookup::Name, Privilege::Administrator, true),
        (Lookup::NameAndPrivilege, Privilege::Administrator, true),
        (Lookup::NameAndPrivilege, Privilege::User, false),
    ] {
        let settings = Settings {
            lookup,
            privilege,
            request_timeout: Duration::from_millis(500),
            readings: Readings::Sensors,
            ..settings(&simulator.address, "admin", "secret")
        };
        if found {
            first_poll(&settings).await;
        } else {
            let mut driver = open(settings, &shared());
            let error = driver.poll().await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Auth, "{lookup:?} {privilege:?} {error}");
        }
    }
}
