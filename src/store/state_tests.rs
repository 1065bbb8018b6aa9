//! What was counted goes on after a restart, and the time without the exporter is nobody's energy.

use std::time::Duration;

use super::*;
use crate::model::{
    Batch, ChannelId, DatacenterId, Earlier, EnergyCounter, Joules, Measure, MeterId, Microjoules, Reading,
    Watts,
};
use crate::store::{Channel, MeterSettings};

const DAY: Duration = Duration::from_secs(86_400);

fn at(seconds: u64) -> Moment {
    Moment::ZERO + DAY + Duration::from_secs(seconds)
}

fn meter(name: &str) -> MeterId {
    MeterId::new(name).unwrap()
}

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn store(meters: &[&str]) -> Store {
    let settings = |name: &&str| MeterSettings {
        id: meter(name),
        datacenter: DatacenterId::new("dc1").unwrap(),
        driver: "snmp",
        address: String::new(),
        accuracy: None,
        stale_after: Duration::from_secs(30),
        max_gap: Duration::from_secs(30),
    };
    Store::new(meters.iter().map(settings).collect())
}

fn watts(name: &str, watts: f64) -> Reading {
    Reading::measured(channel(name), Measure::Power(Watts::new(watts).unwrap()))
}

fn counter(name: &str, joules: f64) -> Reading {
    let [total, quantum] = [joules, 1.0].map(|j| Joules::new(j).unwrap());
    Reading::measured(channel(name), Measure::Energy(EnergyCounter { total, quantum, modulus: None }))
}

fn apply(store: &Store, name: &str, seconds: u64, readings: Vec<Reading>) {
    let batch = Batch { readings, ..Batch::default() };
    store.apply(store.find(&meter(name)).unwrap(), &batch, at(seconds));
}

/// A new store of `meters` that goes on from what `old` keeps at `kept`, started `away` later at `now` of a new clock.
fn restarted(old: &Store, kept: u64, away: u64, now: u64, meters: &[&str]) -> Store {
    let bytes = postcard::to_stdvec(&old.kept(at(kept))).unwrap();
    let new = store(meters);
    let past = Past { now: at(now), away: Duration::from_secs(away) };
    new.resume(postcard::from_bytes(&bytes).unwrap(), &past);
    new
}

/// Integrated and counted energy, J, and unmeasured seconds at `now`.
fn told(store: &Store, name: &str, now: u64) -> (Option<f64>, Option<f64>, Option<u64>) {
    let mut told = (None, None, None);
    store.each(|m| {
        if let Some(c) = m.channels().iter().find(|c| c.id().as_str() == name) {
            let joules = |energy: Option<Microjoules>| energy.map(Microjoules::joules);
            let unmeasured = m.unmeasured(c, at(now)).map(|time| time.as_secs());
            told = (joules(c.integrated()), joules(c.counted()), unmeasured);
        }
    });
    told
}

#[test]
fn energy_goes_on_and_the_time_away_is_unmeasured_and_not_bridged() {
    let old = store(&["m"]);
    for second in [0, 10, 20] {
        apply(&old, "m", second, vec![watts("input", 100.0)]);
    }
    // Kept 4 s after the last reading, started 3 s later, read first after 1 s more.
    let new = restarted(&old, 24, 3, 1000, &["m"]);
    assert_eq!(told(&new, "input", 1000), (None, None, None), "nothing is shown that was not read");
    apply(&new, "m", 1001, vec![watts("input", 100.0)]);
    assert_eq!(told(&new, "input", 1001), (Some(2000.0), None, Some(8)));
    apply(&new, "m", 1011, vec![watts("input", 100.0)]);
    assert_eq!(told(&new, "input", 1011), (Some(3000.0), None, Some(8)));
}

#[test]
fn a_counter_of_the_device_goes_on_with_what_it_counted_meanwhile() {
    let old = store(&["m"]);
    apply(&old, "m", 0, vec![counter("input", 5000.0)]);
    apply(&old, "m", 10, vec![counter("input", 6000.0)]);
    let new = restarted(&old, 10, 60, 0, &["m"]);
    apply(&new, "m", 1, vec![counter("input", 9000.0)]);
    assert_eq!(told(&new, "input", 1).1, Some(9000.0));
    // One that began anew meanwhile counts from there.
    let new = restarted(&new, 1, 60, 0, &["m"]);
    apply(&new, "m", 1, vec![counter("input", 100.0)]);
    apply(&new, "m", 2, vec![counter("input", 150.0)]);
    assert_eq!(told(&new, "input", 2).1, Some(9050.0));
}

#[test]
fn a_feed_is_known_from_its_first_reading_on_and_gains_nothing_while_the_exporter_was_away() {
    let old = store(&["m"]);
    apply(&old, "m", 0, vec![watts("input", 100.0), counter("input", 0.0)]);
    apply(&old, "m", 10, vec![watts("input", 100.0), counter("input", 1000.0)]);
    let new = restarted(&old, 10, 1000, 0, &["m"]);
    let feed = new.track(&meter("m"), &channel("input")).unwrap();
    apply(&new, "m", 5, vec![watts("input", 100.0), counter("input", 101_000.0)]);
    apply(&new, "m", 15, vec![watts("input", 100.0), counter("input", 102_000.0)]);
    assert_eq!(new.energy(feed, at(5), at(15)), Some(Microjoules(1_000_000_000)));
    assert_eq!(new.start(feed), Some(at(5)));
}

#[test]
fn a_clock_that_was_set_back_makes_no_time_away() {
    let old = store(&["m"]);
    apply(&old, "m", 0, vec![watts("input", 100.0)]);
    let new = restarted(&old, 0, 0, 500, &["m"]);
    apply(&new, "m", 501, vec![watts("input", 100.0)]);
    assert_eq!(told(&new, "input", 501), (Some(0.0), None, Some(1)));
}

#[test]
fn a_channel_that_is_not_seen_again_is_kept_on_over_further_restarts() {
    let old = store(&["m"]);
    apply(&old, "m", 0, vec![watts("input", 100.0), watts("outlet/1", 50.0)]);
    apply(&old, "m", 10, vec![watts("input", 100.0), watts("outlet/1", 50.0)]);
    let second = restarted(&old, 10, 10, 0, &["m"]);
    apply(&second, "m", 20, vec![watts("input", 100.0)]);
    assert_eq!(told(&second, "outlet/1", 20), (None, None, None));
    let third = restarted(&second, 30, 10, 0, &["m"]);
    apply(&third, "m", 5, vec![watts("outlet/1", 50.0)]);
    // Away 10 s, then unseen for 30 s, away 10 s, and 5 s to the reading.
    assert_eq!(told(&third, "outlet/1", 5), (Some(500.0), None, Some(55)));
}

#[test]
fn a_meter_that_is_not_configured_is_kept_until_it_is() {
    let old = store(&["m", "n"]);
    for name in ["m", "n"] {
        apply(&old, name, 0, vec![watts("input", 100.0)]);
        apply(&old, name, 10, vec![watts("input", 100.0)]);
    }
    let without = restarted(&old, 10, 1, 0, &["n"]);
    let again = restarted(&without, 10_000, 1, 0, &["n", "m"]);
    apply(&again, "m", 2, vec![watts("input", 100.0)]);
    let mut told = Vec::new();
    again.each(|m| {
        told.extend(
            m.channels().iter().filter_map(Channel::integrated).map(|e| (m.settings().id.to_string(), e)),
        );
    });
    assert_eq!(told, [("m".to_owned(), Microjoules(1_000_000_000))]);
}

#[test]
fn what_a_device_remembers_of_counted_times_does_not_count_again() {
    let old = store(&["m"]);
    apply(&old, "m", 0, vec![watts("input", 100.0)]);
    apply(&old, "m", 10, vec![watts("input", 100.0)]);
    // 5 s away: by the new clock the last reading was at 995, which the device has records around.
    let new = restarted(&old, 10, 5, 1000, &["m"]);
    let earlier = [985, 995, 998].map(|s| Earlier { at: at(s), readings: vec![watts("input", 100.0)] });
    let batch =
        Batch { earlier: earlier.to_vec(), readings: vec![watts("input", 100.0)], ..Batch::default() };
    new.apply(new.find(&meter("m")).unwrap(), &batch, at(1001));
    // From the reading at 998 on the device tells; the 3 s before are not known.
    assert_eq!(told(&new, "input", 1001), (Some(1300.0), None, Some(3)));
}
