//! Claims about the store. Long, since all are made of the same few meters.

use super::*;
use crate::model::{
    Accuracy, ChannelInfo, Earlier, EnergyCounter, ErrorKind, Identity, Joules, Measure, PowerWindow,
    Quantity, Reading,
};

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

fn id<T>(make: impl Fn(&str) -> Result<T, crate::model::ids::IdError>, text: &str) -> T {
    make(text).unwrap()
}

fn store() -> (Store, MeterIndex) {
    store_with(None)
}

fn store_with(accuracy: Option<Ratio>) -> (Store, MeterIndex) {
    let meter = id(MeterId::new, "pdu-a");
    let s = Store::new(vec![MeterSettings {
        id: meter.clone(),
        datacenter: id(DatacenterId::new, "dc1"),
        driver: "snmp",
        address: "127.0.0.1:161".into(),
        accuracy,
        stale_after: Duration::from_secs(30),
        max_gap: Duration::from_secs(30),
    }]);
    let index = s.find(&meter).unwrap();
    (s, index)
}

fn power(channel: &str, watts: f64) -> Reading {
    Reading::measured(id(ChannelId::new, channel), Measure::Power(Watts::new(watts).unwrap()))
}

fn batch(readings: Vec<Reading>) -> Batch {
    Batch { readings, ..Batch::default() }
}

fn fresh(s: &Store, channel: &str, now: Moment) -> Option<f64> {
    let mut found = None;
    s.each(|m| {
        found = m
            .channels()
            .iter()
            .find(|c| c.id().as_str() == channel)
            .and_then(|c| m.fresh(c, Quantity::Power, now));
    });
    found
}

#[test]
fn a_stale_reading_vanishes_and_its_energy_stays() {
    let (s, m) = store();
    s.apply(m, &batch(vec![power("outlet/1", 100.0)]), at(10));
    s.apply(m, &batch(vec![power("outlet/1", 100.0)]), at(20));
    assert_eq!(fresh(&s, "outlet/1", at(50)), Some(100.0));
    assert_eq!(fresh(&s, "outlet/1", at(51)), None);
    s.each(|m| {
        let c = &m.channels()[0];
        assert_eq!(c.integrated(), Some(Microjoules(1_000_000_000)));
        assert_eq!(m.unmeasured(c, at(60)), Some(Duration::from_secs(40)));
    });
}

#[test]
fn an_outlet_that_a_poll_leaves_out_goes_stale_alone() {
    let (s, m) = store();
    s.apply(m, &batch(vec![power("outlet/1", 100.0), power("outlet/2", 50.0)]), at(10));
    s.apply(m, &batch(vec![power("outlet/1", 100.0)]), at(41));
    assert_eq!(fresh(&s, "outlet/1", at(41)), Some(100.0));
    assert_eq!(fresh(&s, "outlet/2", at(41)), None);
}

#[test]
fn a_failed_poll_takes_the_meter_down_and_keeps_fresh_values() {
    let (s, m) = store();
    s.apply(m, &batch(vec![power("input", 100.0)]), at(10));
    s.fail(m, &PollError::new(ErrorKind::Timeout, "no answer", "check the cable"), at(20));
    s.each(|m| {
        assert!(!m.is_up(at(20)));
        assert_eq!(m.error().map(|e| e.kind), Some(ErrorKind::Timeout));
    });
    assert_eq!(fresh(&s, "input", at(20)), Some(100.0));
}

#[test]
fn both_origins_of_energy_are_visible() {
    let (s, m) = store();
    let counter = |kwh: f64| {
        let c = EnergyCounter {
            total: Joules::from_kilowatt_hours(kwh).unwrap(),
            quantum: Joules::new(3600.0).unwrap(),
            modulus: None,
        };
        Reading::measured(id(ChannelId::new, "input"), Measure::Energy(c))
    };
    s.apply(m, &batch(vec![power("input", 3600.0), counter(5.0)]), at(0));
    s.apply(m, &batch(vec![power("input", 3600.0), counter(5.01)]), at(10));
    s.each(|m| {
        let c = &m.channels()[0];
        assert_eq!(c.integrated(), Some(Microjoules(36_000_000_000)));
        // 5.01 kWh = 18.036 MJ
        assert_eq!(c.counted(), Some(Microjoules(18_036_000_000_000)));
    });
}

#[test]
fn a_feed_is_priced_between_readings() {
    let (s, m) = store();
    let feed = s.track(&id(MeterId::new, "pdu-a"), &id(ChannelId::new, "outlet/3")).unwrap();
    assert_eq!(s.frontier(feed), None);
    s.apply(m, &batch(vec![power("outlet/3", 60.0)]), at(10));
    s.apply(m, &batch(vec![power("outlet/3", 60.0)]), at(20));
    assert_eq!(s.energy(feed, at(12), at(17)), Some(Microjoules(300_000_000)));
    assert_eq!(s.power(feed, at(20)), Some(Watts::new(60.0).unwrap()));
    assert_eq!(s.power(feed, at(90)), None);
}

/// A channel's track, fed with (second, watts, counter in joules) where each may be missing; steps of the counter: 1 kJ.
fn fed(polls: &[(u64, Option<f64>, Option<f64>)]) -> (Store, FeedIndex) {
    let (s, m) = store();
    let feed = s.track(&id(MeterId::new, "pdu-a"), &id(ChannelId::new, "input")).unwrap();
    for (second, watts, counted) in polls {
        let counter = counted.map(|total| {
            let (total, quantum) = (Joules::new(total).unwrap(), Joules::new(1000.0).unwrap());
            Reading::measured(
                id(ChannelId::new, "input"),
                Measure::Energy(EnergyCounter { total, quantum, modulus: None }),
            )
        });
        s.apply(
            m,
            &batch(watts.map(|w| power("input", w)).into_iter().chain(counter).collect()),
            at(*second),
        );
    }
    (s, feed)
}

fn joules(j: u128) -> Option<Microjoules> {
    Some(Microjoules(j * 1_000_000))
}

#[test]
fn a_gap_shorter_than_the_counters_steps_is_unknown_and_not_nothing() {
    // 100 W for 60 s without readings: the counter, in steps of 1 kJ, saw 6 of them at most.
    let (s, feed) = fed(&[
        (0, Some(100.0), Some(5000.0)),
        (60, Some(100.0), Some(11_000.0)),
        (70, Some(100.0), Some(12_000.0)),
    ]);
    assert_eq!(s.energy(feed, at(0), at(60)), None);
    assert_eq!(s.energy(feed, at(60), at(70)), joules(1000));
}

#[test]
fn what_a_counter_saw_in_a_gap_is_not_booked_after_it() {
    // The first reading after the gap lacks the counter; another feed may have filled the gap meanwhile.
    let (s, feed) = fed(&[
        (0, Some(100.0), Some(5000.0)),
        (1000, Some(100.0), None),
        (1010, Some(100.0), Some(106_000.0)),
        (1020, Some(100.0), Some(107_000.0)),
    ]);
    assert_eq!(s.energy(feed, at(0), at(1000)), None);
    assert_eq!(s.energy(feed, at(1000), at(1020)), joules(2000));
}

#[test]
fn a_poll_without_power_moves_no_energy_and_hides_none() {
    // The counter appears in a poll that lacks the power.
    let (s, feed) = fed(&[
        (0, Some(500.0), None),
        (10, None, Some(5000.0)),
        (20, Some(500.0), Some(10_000.0)),
        (30, Some(500.0), Some(15_000.0)),
    ]);
    assert_eq!(s.energy(feed, at(0), at(10)), joules(5000));
    assert_eq!(s.energy(feed, at(0), at(30)), joules(15_000));
}

#[test]
fn a_meter_that_stops_telling_power_is_followed_by_its_counter() {
    let mut polls = vec![(0, Some(2000.0), Some(0.0)), (10, Some(2000.0), Some(20_000.0))];
    polls.extend((2..20).map(|n| (n * 10, None, Some(n as f64 * 20_000.0))));
    let (s, feed) = fed(&polls);
    assert_eq!(s.energy(feed, at(0), at(190)), joules(380_000));
}

#[test]
fn a_meter_without_power_readings_is_read_by_its_counter() {
    let (s, feed) = fed(&[
        (0, None, Some(0.0)),
        (10, None, Some(1000.0)),
        (20, None, Some(1000.0)),
        (30, None, Some(3000.0)),
    ]);
    assert_eq!(s.energy(feed, at(0), at(20)), joules(1000));
    assert_eq!(s.energy(feed, at(0), at(30)), joules(3000));
}

#[test]
fn a_hostile_device_cannot_fill_the_memory() {
    let (s, m) = store();
    s.track(&id(MeterId::new, "pdu-a"), &id(ChannelId::new, "outlet/9999")).unwrap();
    for n in 0..10_000 {
        s.apply(m, &batch(vec![power(&format!("outlet/{n}"), 1.0)]), at(10));
    }
    s.each(|m| assert_eq!(m.channels().len(), 4096 + 1, "what a feed names is always let in"));
}

#[test]
fn a_reading_that_nothing_on_earth_draws_is_no_reading() {
    let (s, m) = store();
    let total = Joules::new(1e300).unwrap();
    let counter = EnergyCounter { total, quantum: Joules::new(1.0).unwrap(), modulus: None };
    let absurd = Reading::measured(id(ChannelId::new, "input"), Measure::Energy(counter));
    s.apply(m, &batch(vec![power("input", 1000.0)]), at(0));
    s.apply(m, &batch(vec![power("input", 1e300), absurd]), at(10));
    s.apply(m, &batch(vec![power("input", 1000.0)]), at(20));
    s.each(|m| {
        assert_eq!(m.channels()[0].integrated(), Some(Microjoules(20_000_000_000)));
        assert_eq!(m.channels()[0].counted(), None);
    });
}

#[test]
fn a_building_that_has_drawn_more_than_64_bits_hold_is_counted_on() {
    let (s, m) = store();
    let counter = |gwh: f64| {
        let (total, quantum) = (Joules::from_kilowatt_hours(gwh * 1e6).unwrap(), Joules::new(3.6e6).unwrap());
        Reading::measured(
            id(ChannelId::new, "input"),
            Measure::Energy(EnergyCounter { total, quantum, modulus: None }),
        )
    };
    s.apply(m, &batch(vec![counter(20.0)]), at(0));
    s.apply(m, &batch(vec![counter(20.001)]), at(3600));
    // 20.001 GWh = 72,003,600 MJ
    s.each(|m| assert_eq!(m.channels()[0].counted(), Some(Microjoules(72_003_600_000_000_000_000))));
}

#[test]
fn identity_lands_in_the_info_labels() {
    let (s, m) = store();
    let identity = Identity { vendor: "APC".into(), model: "AP8853".into(), ..Identity::default() };
    s.apply(m, &Batch { readings: vec![], identity: Some(identity), ..Batch::default() }, at(1));
    s.each(|m| assert!(m.info().as_str().contains(r#"vendor="APC",model="AP8853""#)));
}

#[test]
fn what_a_device_sent_between_polls_counts_at_its_own_moment_and_what_is_out_of_order_does_not() {
    let (s, m) = store();
    s.apply(m, &batch(vec![power("input", 100.0)]), at(10));
    let earlier = |second: u64, watts: f64| Earlier { at: at(second), readings: vec![power("input", watts)] };
    // 9 s lies before what is known, 20 s is the poll itself: neither may count.
    let earlier = vec![earlier(9, 1e6), earlier(12, 300.0), earlier(14, 100.0), earlier(20, 1e6)];
    s.apply(m, &Batch { earlier, ..batch(vec![power("input", 100.0)]) }, at(20));
    // 2 s from 100 to 300 W, 2 s back to 100 W, 6 s at 100 W: 400 + 400 + 600 J.
    s.each(|m| assert_eq!(m.channels()[0].integrated(), Some(Microjoules(1_400_000_000))));
}

#[test]
fn what_was_received_while_a_poll_was_handed_over_counts_with_the_next() {
    let (s, m) = store();
    let earlier = |second: u64, watts: f64| Earlier { at: at(second), readings: vec![power("input", watts)] };
    let apply = |earlier: Vec<Earlier>, now| s.apply(m, &Batch { earlier, ..Batch::default() }, at(now));
    apply(vec![earlier(10, 100.0)], 13);
    // 12 s lies before the last poll, but after all that is known.
    apply(vec![earlier(12, 300.0), earlier(14, 100.0)], 20);
    s.each(|m| {
        assert_eq!(m.channels()[0].integrated(), Some(Microjoules(800_000_000)));
        assert_eq!((m.last_good(), m.is_up(at(20))), (Some(at(20)), true));
    });
}

#[test]
fn a_devices_own_window_is_shown_while_fresh_and_goes_with_the_poll_that_lacks_it() {
    let (s, m) = store();
    let channel = id(ChannelId::new, "input");
    let average = Some(Watts::new(240.0).unwrap());
    let length = Duration::from_mins(20);
    let window = PowerWindow { channel, name: "reporting", length, average, minimum: None, maximum: None };
    let shown = |now| {
        let mut shown = Vec::new();
        s.each(|m| shown.extend(m.windows(now).map(|w| (w.labels.as_str().to_owned(), w.window.average))));
        shown
    };
    s.apply(m, &Batch { windows: vec![window], ..Batch::default() }, at(10));
    let labels = r#"datacenter="dc1",meter="pdu-a",channel="input",window="reporting""#.to_owned();
    assert_eq!(shown(at(40)), [(labels, average)]);
    assert_eq!(shown(at(41)), []);
    s.apply(m, &batch(vec![]), at(20));
    assert_eq!(shown(at(21)), []);
}

#[test]
fn an_error_is_the_class_of_the_meter_and_half_a_step_and_the_operator_knows_the_class_better() {
    let say = |share: f64, step: f64| Batch {
        channels: vec![ChannelInfo {
            channel: id(ChannelId::new, "outlet/1"),
            name: "web".into(),
            accuracy: Some(Accuracy { share: Ratio::new(share).unwrap(), step: Watts::new(step).unwrap() }),
        }],
        ..batch(vec![power("outlet/1", 200.0), power("outlet/2", 200.0), power("outlet/3", 0.0)])
    };
    let errors = |s: &Store| {
        let mut errors = Vec::new();
        s.each(|m| errors.extend(m.channels().iter().map(|c| m.error_ratio(c, at(10)).map(Ratio::get))));
        errors
    };
    // 1 % of 200 W are 2 W, half of 10 W are 5: 7 W of 200. Who says nothing is not exact, but unknown; so is 0 W.
    let (s, m) = store();
    s.apply(m, &say(0.01, 10.0), at(10));
    assert_eq!(errors(&s), [Some(0.035), None, None]);
    s.each(|m| assert!(m.channels()[0].info().unwrap().as_str().contains("name=\"web\"")));
    // What was said stays until something else is said.
    s.apply(m, &batch(vec![power("outlet/1", 100.0)]), at(10));
    assert_eq!(errors(&s)[0], Some(0.06));
    let (s, m) = store_with(Some(Ratio::new(0.005).unwrap()));
    s.apply(m, &say(0.01, 10.0), at(10));
    // 1 W and half a step; nothing but 1 W where no step is known.
    assert_eq!(errors(&s), [Some(0.03), Some(0.005), None]);
}

#[test]
fn a_reader_that_comes_late_begins_at_the_last_reading_and_one_that_goes_leaves_nothing() {
    let (s, m) = store();
    for second in [10, 20] {
        s.apply(m, &batch(vec![power("outlet/1", 100.0)]), at(second));
    }
    let (meter, channel) = (id(MeterId::new, "pdu-a"), id(ChannelId::new, "outlet/1"));
    let late = s.track(&meter, &channel).unwrap();
    assert_eq!((s.start(late), s.frontier(late)), (Some(at(20)), Some(at(20))));
    s.apply(m, &batch(vec![power("outlet/1", 100.0)]), at(30));
    assert_eq!(s.energy(late, at(20), at(30)), Some(Microjoules(1_000_000_000)));
    assert_eq!(s.energy(late, at(10), at(30)), None);
    s.untrack(late);
    assert_eq!((s.tracked(late), s.frontier(late)), (None, None));
    let next = s.track(&meter, &channel).unwrap();
    assert_eq!(next, late, "its place is taken again");
    assert_eq!(s.tracked(next), Some((meter, channel)));
}

fn settings(name: &str, address: &str) -> MeterSettings {
    MeterSettings {
        id: id(MeterId::new, name),
        datacenter: id(DatacenterId::new, "dc1"),
        driver: "snmp",
        address: address.into(),
        accuracy: None,
        stale_after: Duration::from_secs(30),
        max_gap: Duration::from_secs(30),
    }
}

/// What each channel has integrated, in order.
fn integrated(s: &Store) -> Vec<(String, Option<u128>)> {
    let mut all = Vec::new();
    s.each(|m| {
        all.extend(m.channels().iter().map(|c| (m.settings().id.to_string(), c.integrated().map(|e| e.0))))
    });
    all
}

#[test]
fn a_meter_that_stays_keeps_its_place_and_one_that_goes_leads_nowhere() {
    let s = Store::new(vec![settings("a", "1"), settings("b", "1")]);
    let (a, b) = (s.find(&id(MeterId::new, "a")).unwrap(), s.find(&id(MeterId::new, "b")).unwrap());
    let feed = s.track(&id(MeterId::new, "b"), &id(ChannelId::new, "input")).unwrap();
    for (meter, second) in [(a, 10), (b, 10), (a, 20), (b, 20)] {
        s.apply(meter, &batch(vec![power("input", 100.0)]), at(second));
    }
    s.reconfigure(vec![settings("c", "1"), settings("a", "1")], |_| false, at(20));
    assert_eq!(s.find(&id(MeterId::new, "a")), Some(a));
    assert_eq!(integrated(&s), [("a".to_owned(), Some(1_000_000_000))]);
    assert_eq!(s.energy(feed, at(10), at(20)), Some(Microjoules(1_000_000_000)), "until it is released");
    s.release_removed(at(20));
    s.reconfigure(vec![settings("c", "1"), settings("a", "1"), settings("d", "1")], |_| false, at(20));
    // The place of b is d's now, and nobody takes the one for the other.
    s.apply(b, &batch(vec![power("input", 100.0)]), at(25));
    assert_eq!((s.energy(feed, at(10), at(20)), s.find(&id(MeterId::new, "b"))), (None, None));
    assert_eq!(integrated(&s), [("a".to_owned(), Some(1_000_000_000))]);

    // What comes back goes on where it was, and what was drawn meanwhile is nobody's.
    s.reconfigure(vec![settings("b", "1")], |_| false, at(20));
    let b = s.find(&id(MeterId::new, "b")).unwrap();
    assert_eq!(integrated(&s), [("b".to_owned(), None)]);
    s.apply(b, &batch(vec![power("input", 100.0)]), at(40));
    s.apply(b, &batch(vec![power("input", 100.0)]), at(50));
    assert_eq!(integrated(&s), [("b".to_owned(), Some(2_000_000_000))]);
}

fn counted(s: &Store) -> Option<u128> {
    let mut found = None;
    s.each(|m| found = m.channels()[0].counted().map(|e| e.0));
    found
}

fn counter(joules: f64) -> Reading {
    let counter = EnergyCounter {
        total: Joules::new(joules).unwrap(),
        quantum: Joules::new(1.0).unwrap(),
        modulus: None,
    };
    Reading::measured(id(ChannelId::new, "input"), Measure::Energy(counter))
}

#[test]
fn another_device_of_the_same_name_goes_on_with_the_account_and_begins_its_counter() {
    let s = Store::new(vec![settings("a", "1")]);
    let a = s.find(&id(MeterId::new, "a")).unwrap();
    s.apply(a, &batch(vec![counter(500.0), power("input", 10.0)]), at(10));
    s.apply(a, &batch(vec![counter(600.0), power("input", 10.0)]), at(20));
    assert_eq!(counted(&s), Some(600_000_000));
    s.reconfigure(vec![settings("a", "2")], |_| true, at(20));
    // A step of 200 J that it did not draw.
    s.apply(a, &batch(vec![counter(800.0), power("input", 10.0)]), at(30));
    assert_eq!(counted(&s), Some(600_000_000));
    s.apply(a, &batch(vec![counter(900.0), power("input", 10.0)]), at(40));
    assert_eq!((counted(&s), integrated(&s)[0].1), (Some(700_000_000), Some(300_000_000)));
}

#[test]
fn the_time_in_which_a_meter_is_off_is_neither_energy_nor_unmeasured() {
    let (s, m) = store();
    let unmeasured = |now| {
        let mut time = None;
        s.each(|m| time = m.unmeasured(&m.channels()[0], now));
        time
    };
    s.apply(m, &batch(vec![power("input", 100.0)]), at(10));
    s.apply(m, &batch(vec![power("input", 100.0)]), at(20));
    // A gap of 40 s is open when it is switched off.
    s.set_enabled(m, false, at(60));
    let gap = Some(Duration::from_secs(40));
    assert_eq!((unmeasured(at(60)), unmeasured(at(600))), (gap, gap));
    s.apply(m, &batch(vec![power("input", 100.0)]), at(70));
    s.each(|m| assert!(!m.is_up(at(70)) && m.fresh(&m.channels()[0], Quantity::Power, at(20)).is_none()));
    s.set_enabled(m, true, at(600));
    s.apply(m, &batch(vec![power("input", 100.0)]), at(610));
    s.apply(m, &batch(vec![power("input", 100.0)]), at(620));
    assert_eq!((unmeasured(at(620)), integrated(&s)[0].1), (gap, Some(2_000_000_000)));
    s.each(|m| assert!(m.is_up(at(620))));
}
