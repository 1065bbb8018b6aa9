//! From the kernel's counters to the store's joules: none is lost, none is made.

use std::sync::Arc;
use std::time::Duration;

use wattribute::model::{ChannelId, Clock as _, DatacenterId, MeterId, Quantity};
use wattribute::store::{MeterIndex, MeterSettings, Store};

use crate::Host;

const FILE: &str = "devices/virtual/powercap/intel-rapl/intel-rapl:1/energy_uj";
/// What the register of package 1 shows before it wraps: its range and one step more.
const MODULUS: u64 = 262_143_328_850 + 61;

fn store() -> (Arc<Store>, MeterIndex) {
    let settings = MeterSettings {
        id: MeterId::new("host").unwrap(),
        datacenter: DatacenterId::new("dc").unwrap(),
        driver: "sysfs",
        address: "/sys".into(),
        accuracy: None,
        stale_after: Duration::from_secs(30),
        max_gap: Duration::from_secs(30),
    };
    let store = Arc::new(Store::new(vec![settings]));
    let index = store.find(&MeterId::new("host").unwrap()).unwrap();
    (store, index)
}

/// Integrated energy, counted energy, power and unmeasured seconds of package 1.
fn shown(store: &Store, host: &Host) -> (f64, f64, f64, f64) {
    let mut shown = None;
    store.each(|meter| {
        let channel = meter.channels().iter().find(|c| c.id().as_str() == "package/1").unwrap();
        shown = Some((
            channel.integrated().unwrap().joules(),
            channel.counted().unwrap().joules(),
            channel.latest(Quantity::Power).unwrap().measure.value(),
            meter.unmeasured(channel, host.clock.now()).unwrap().as_secs_f64(),
        ));
    });
    shown.unwrap()
}

/// A load that jumps, rests at 0 and wraps the register twice: what the store says was drawn is what the register counted,
/// to the microjoule, and the feed has it all.
#[tokio::test]
async fn the_stores_joules_are_the_registers() {
    let mut host = Host::of("intel_2_sockets");
    let (store, index) = store();
    let feed = store.track(&MeterId::new("host").unwrap(), &ChannelId::new("package/1").unwrap()).unwrap();
    let mut counted: u64 = 5_000_000;
    let batch = host.poll().await;
    let start = host.clock.now();
    store.apply(index, &batch, start);
    for n in 0..400u64 {
        // 2.5 kW, 0 W, 35 W in turn, each for a few polls of 2 s; 2.5 kW wraps the register in 105 s.
        let watts = match n / 5 % 3 {
            0 => 2500,
            1 => 0,
            _ => 35,
        };
        counted += watts * 2_000_000;
        host.set(FILE, &(counted % MODULUS).to_string());
        let batch = host.poll_after(2).await.unwrap();
        store.apply(index, &batch, host.clock.now());
    }
    let (integrated, device, power, unmeasured) = shown(&store, &host);
    let truth = (counted - 5_000_000) as f64 / 1e6;
    assert!(truth > 2.0 * 262_143.0, "it wrapped twice: {truth}");
    assert_eq!(device, truth);
    assert_eq!(power, 0.0);
    // The integral begins with the first power, two seconds of 2.5 kW late. Each jump costs it the millisecond in which it is
    // drawn as a line: half of it, of 2.5 kW at most.
    assert!((integrated + 5000.0 - truth).abs() < 80.0 * 1.25, "{integrated} of {truth}");
    assert_eq!(unmeasured, 0.0);
    let fed = store.energy(feed, start, host.clock.now()).unwrap().joules();
    assert!((fed - truth).abs() < 2.0, "{fed} of {truth}");
}

#[tokio::test]
async fn a_gap_is_filled_by_the_register() {
    let mut host = Host::of("intel_2_sockets");
    let (store, index) = store();
    for (seconds, energy) in
        [(0, 5_000_000), (2, 105_000_000), (2, 205_000_000), (100, 3_205_000_000u64), (2, 3_305_000_000)]
    {
        host.set(FILE, &energy.to_string());
        let batch = host.poll_after(seconds).await.unwrap();
        store.apply(index, &batch, host.clock.now());
    }
    let (_, device, power, unmeasured) = shown(&store, &host);
    assert_eq!((device, power), (3300.0, 50.0));
    assert!((99.9..=100.0).contains(&unmeasured), "{unmeasured}: nobody knows its shape");
}
