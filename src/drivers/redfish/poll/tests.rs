//! Looking again, with the clock in hand. All else about polls is in `tests/drivers_redfish.rs`.

#![allow(clippy::disallowed_methods, reason = "the web server's start is waited for")]

#[allow(dead_code, reason = "shared with the integration tests")]
#[path = "../../../../tests/redfish/nginx.rs"]
mod nginx;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::super::{Login, Trust};
use super::*;
use crate::model::ManualClock;

fn put(tree: &Path, path: &str, document: &Value) {
    let folder = tree.join("redfish/v1").join(path);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("index.json"), document.to_string()).unwrap();
}

fn link(path: &str) -> Value {
    json!({ "@odata.id": format!("/redfish/v1/{path}") })
}

fn put_server(tree: &Path, model: &str) {
    put(tree, "", &json!({ "Chassis": link("Chassis") }));
    put(tree, "Chassis", &json!({ "Members": [link("Chassis/A")] }));
    put(tree, "Chassis/A", &json!({ "Model": model, "Power": link("Chassis/A/Power") }));
    put(tree, "Chassis/A/Power", &json!({ "PowerControl": [{ "PowerConsumedWatts": 100 }] }));
}

/// The model that each of `polls` polls names, if any. Each must read the server's 100 W.
async fn models(driver: &mut Redfish, polls: usize) -> Vec<Option<String>> {
    let mut models = Vec::new();
    for _ in 0..polls {
        let batch = driver.poll().await.unwrap();
        assert_eq!(batch.readings[0].measure.value(), 100.0);
        models.push(batch.identity.map(|identity| identity.model));
    }
    models
}

#[tokio::test]
async fn a_bmc_is_looked_through_again_after_hours_a_little_with_each_poll() {
    let tree = tempfile::tempdir().unwrap();
    put_server(tree.path(), "first");
    let bmc = nginx::Nginx::serve(tree.path());
    let settings = Settings {
        url: bmc.url.clone(),
        credentials: Some((nginx::USER.to_owned(), nginx::PASSWORD.to_owned().into())),
        login: Login::Basic,
        trust: Trust::CaFile(bmc.ca_file()),
        request_timeout: Duration::from_secs(10),
        telemetry: false,
        stream: false,
    };
    let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(1)));
    let mut driver = Redfish::new(settings, clock.clone()).unwrap();
    assert_eq!(models(&mut driver, 2).await, [Some("first".to_owned()), None]);

    put_server(tree.path(), "second");
    clock.advance(REFRESH - Duration::from_secs(1));
    assert_eq!(models(&mut driver, 2).await, [None, None]);
    clock.advance(Duration::from_secs(1));
    // Five resources (root, Systems, Chassis, A, Power), two a poll.
    assert_eq!(models(&mut driver, 4).await, [None, None, Some("second".to_owned()), None]);

    // A BMC that restarts may show an empty collection: what was known stays known.
    put(tree.path(), "Chassis", &json!({ "Members": [] }));
    clock.advance(REFRESH);
    assert_eq!(models(&mut driver, 4).await, [None, None, None, None]);
    put_server(tree.path(), "third");
    clock.advance(REFRESH_INCOMPLETE);
    assert_eq!(models(&mut driver, 3).await, [None, None, Some("third".to_owned())]);
}
