//! A meter that sends twenty values a second, fetched once a second: not a joule is lost between the polls.

use std::sync::Arc;
use std::time::Duration;

use wattribute::drivers::serial::{self, Measuring, Protocol};
use wattribute::model::{ChannelId, Clock, DatacenterId, MeterId, Quantity, SystemClock};
use wattribute::store::{MeterSettings, Store};

use super::rig::{self, settings};

const CYCLE: Duration = Duration::from_millis(50);
/// A minute of them.
const LINES: usize = 1200;

#[tokio::test]
async fn twenty_values_a_second_lose_no_joule_between_polls() {
    let lines = format!("lines={LINES}");
    let peer = rig::on_a_pty("lmg", &["sent=DIR/sent", &lines]);
    let measuring = Measuring { channels: vec![1], quantities: vec![Quantity::Power], cycle: CYCLE };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let settings = settings(&peer.address, Protocol::Lmg450(measuring));
    let mut meter = serial::open(settings, Arc::clone(&clock)).unwrap();
    let id = MeterId::new("lmg").unwrap();
    let store = Store::new(vec![MeterSettings {
        id: id.clone(),
        datacenter: DatacenterId::new("default").unwrap(),
        driver: "serial",
        address: String::new(),
        accuracy: None,
        stale_after: Duration::from_secs(10),
        max_gap: Duration::from_secs(10),
    }]);
    let index = store.find(&id).unwrap();
    let mut polls = tokio::time::interval(Duration::from_secs(1));
    let mut values: Vec<f64> = Vec::new();
    let mut longest = Duration::ZERO;
    while values.len() < LINES {
        polls.tick().await;
        let begun = clock.now();
        let batch = meter.poll().await.unwrap();
        store.apply(index, &batch, clock.now());
        if !values.is_empty() {
            longest = longest.max(clock.now().since(begun));
        }
        let readings = batch.earlier.iter().flat_map(|e| &e.readings).chain(&batch.readings);
        let drawn = readings.filter(|r| r.channel.as_str() == "channel/1");
        values.extend(drawn.map(|r| r.measure.value()));
    }
    let sent = std::fs::read_to_string(peer.dir.path().join("sent")).unwrap();
    let sent: Vec<f64> = sent.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(values, sent, "every value once, in order");
    // Each value is the mean of the cycle before it: from the first to the last value, all but the first count.
    let exact: f64 = sent[1..].iter().map(|watts| watts * CYCLE.as_secs_f64()).sum();
    let mut integrated = None;
    store.each(|meter| {
        let channel = ChannelId::new("channel/1").unwrap();
        let found = meter.channels().iter().find(|c| *c.id() == channel).unwrap();
        integrated = found.integrated().map(|energy| energy.joules());
    });
    let integrated = integrated.unwrap();
    println!("{integrated:.3} J of {exact:.3} J, longest poll {longest:?}");
    assert!((integrated - exact).abs() < 300.0 * CYCLE.as_secs_f64(), "{integrated} J of {exact} J");
}
