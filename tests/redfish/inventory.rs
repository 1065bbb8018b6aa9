//! What says what there is, and is asked for again only if it has changed.

use std::sync::Arc;
use std::time::Duration;

use wattribute::drivers::Driver;
use wattribute::drivers::redfish::{Login, open_with};
use wattribute::model::{Identity, ManualClock, Moment, OpenSessions};

use crate::bmc::{Bmc, Fault, Tags};
use crate::faults::{assert_next_is_right, ready, trusted};
use crate::input;

/// A BMC with such tags that was polled once, and the clock by which it is looked at again every two hours.
async fn tagged(tags: Tags) -> (Bmc, Box<dyn Driver>, Arc<ManualClock>) {
    let bmc = Bmc::start().await;
    bmc.set_tags(tags);
    let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(1)));
    let mut driver = open_with(trusted(&bmc, Login::Basic), clock.clone(), OpenSessions::default()).unwrap();
    driver.poll().await.unwrap();
    bmc.take_asked();
    (bmc, driver, clock)
}

/// Everything is looked at again, two resources a poll; the identities that came of it.
async fn looks_again(driver: &mut Box<dyn Driver>, clock: &ManualClock) -> Vec<Identity> {
    clock.advance(Duration::from_secs(2 * 3600));
    let mut found = Vec::new();
    for _ in 0..12 {
        found.extend(driver.poll().await.unwrap().identity);
    }
    found
}

#[tokio::test]
async fn inventory_that_has_not_changed_is_not_sent_again() {
    let (bmc, mut driver, clock) = tagged(Tags::Honest).await;
    assert_eq!(bmc.unchanged(), 0);
    let known = looks_again(&mut driver, &clock).await;
    // Root, Systems, Chassis, two chassis, a system, a manager, PowerSubsystem, the list of supplies and three of them.
    // Readings are always sent.
    assert_eq!((known.len(), bmc.unchanged()), (1, 12), "{:?}", bmc.take_asked());
    // A change is seen.
    let file = crate::trees::own_tree().join("redfish/v1/Systems/1/index.json");
    let mut system: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    system["Model"] = "EX-3U".into();
    bmc.put("/redfish/v1/Systems/1", system);
    assert_eq!(
        looks_again(&mut driver, &clock).await,
        [Identity { model: "EX-3U".into(), ..known[0].clone() }]
    );
    // Where something is gone, no copy is believed.
    bmc.fault("EnvironmentMetrics", Fault::Status(404, String::new()));
    let before = bmc.unchanged();
    driver.poll().await.unwrap();
    assert_next_is_right(&bmc, &mut driver).await;
    assert_eq!(bmc.unchanged(), before);
}

#[tokio::test]
async fn tags_that_change_each_time_cost_nothing() {
    let counts = async |tags| {
        let (bmc, mut driver, clock) = tagged(tags).await;
        let mut counts = Vec::new();
        for _ in 0..4 {
            looks_again(&mut driver, &clock).await;
            counts.push(bmc.take_asked().len());
        }
        counts
    };
    assert_eq!(counts(Tags::Fickle).await, counts(Tags::None).await);
}

#[tokio::test]
async fn not_modified_is_no_reading_and_none_of_another_resource() {
    // Nothing was known of the reading, so that nothing can be unchanged.
    let (bmc, mut driver) = ready(Login::Basic).await;
    bmc.fault("EnvironmentMetrics", Fault::Status(304, String::new()));
    // PowerControl's 410 W stand in for the total.
    assert_eq!(input(&driver.poll().await.unwrap()), Some(410.0));
    assert_next_is_right(&bmc, &mut driver).await;

    let (bmc, mut driver, clock) = tagged(Tags::Honest).await;
    bmc.fault("Systems/1", Fault::Status(304, "ETag: \"of another resource\"\r\n".to_owned()));
    assert_eq!(looks_again(&mut driver, &clock).await.len(), 1);
    // Asked for once more, without conditions.
    assert_eq!(bmc.asked("GET /redfish/v1/Systems/1"), 2);
}
