//! Claims about energy: the integral, the device's counter, and the account made of both.

use super::*;
use proptest::prelude::*;

const GAP: Duration = Duration::from_secs(30);

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

fn watts(w: f64) -> Watts {
    Watts::new(w).unwrap()
}

fn joules(j: u64) -> Microjoules {
    Microjoules(u128::from(j) * 1_000_000)
}

fn counter(total: f64, quantum: f64, modulus: Option<f64>) -> EnergyCounter {
    EnergyCounter {
        total: Joules::new(total).unwrap(),
        quantum: Joules::new(quantum).unwrap(),
        modulus: modulus.map(|m| Joules::new(m).unwrap()),
    }
}

#[test]
fn a_ramp_is_a_trapezoid() {
    let mut i = Integral::default();
    assert_eq!(i.advance(at(0), watts(100.0), GAP), None);
    // (100 W + 200 W) / 2 x 10 s = 1500 J
    assert_eq!(i.advance(at(10), watts(200.0), GAP), Some(joules(1500)));
    assert_eq!(i.total(), joules(1500));
}

#[test]
fn a_long_gap_is_counted_and_not_bridged() {
    let mut i = Integral::default();
    i.advance(at(0), watts(100.0), GAP);
    assert_eq!(i.unmeasured(at(30), GAP), Duration::ZERO);
    assert_eq!(i.unmeasured(at(31), GAP), Duration::from_secs(31), "an open gap counts while it grows");
    assert_eq!(i.advance(at(100), watts(100.0), GAP), None);
    assert_eq!(i.unmeasured(at(100), GAP), Duration::from_secs(100));
    assert_eq!(i.total(), Microjoules::ZERO);
    assert_eq!(i.advance(at(110), watts(100.0), GAP), Some(joules(1000)));
}

#[test]
fn rounding_does_not_drift() {
    let mut i = Integral::default();
    // A third of a watt every millisecond for 3,000 s: 1,000 J, though each step is 333.3 µJ.
    for ms in 0..=3_000_000u64 {
        i.advance(Moment::from_nanos(ms * 1_000_000), watts(1.0 / 3.0), GAP);
    }
    assert!(i.total().0.abs_diff(1_000_000_000) <= 1, "{:?}", i.total());
}

#[test]
fn a_counter_that_wraps_goes_on() {
    let modulus = 4_294_967_296.0 * 3600.0;
    let mut c = DeviceCounter::new(counter(modulus - 3600.0, 3600.0, Some(modulus)), at(0));
    assert_eq!(
        c.advance(counter(7200.0, 3600.0, Some(modulus)), at(10), None),
        Step::Counted(joules(10_800))
    );
}

#[test]
fn a_counter_that_is_reset_never_falls_and_invents_nothing() {
    let mut c = DeviceCounter::new(counter(1e6, 1.0, Some(1e12)), at(0));
    let before = c.total();
    assert_eq!(c.advance(counter(0.0, 1.0, Some(1e12)), at(10), None), Step::Broken);
    assert_eq!(c.total(), before);
    assert_eq!(c.advance(counter(500.0, 1.0, Some(1e12)), at(20), None), Step::Counted(joules(500)));
    assert_eq!(c.total(), before + joules(500));
}

#[test]
fn a_counter_that_trembles_by_a_step_counts_nothing_twice() {
    let mut c = DeviceCounter::new(counter(1e6, 3600.0, None), at(0));
    let before = c.total();
    for n in 1..1000 {
        c.advance(counter(if n % 2 == 0 { 1e6 } else { 1e6 - 3600.0 }, 3600.0, None), at(n * 10), None);
    }
    assert_eq!(c.total(), before);
    c.advance(counter(1e6 + 3600.0, 3600.0, None), at(10_000), None);
    assert_eq!(c.total(), before + joules(3600));
}

#[test]
fn a_leap_that_no_power_explains_is_not_believed() {
    let mut c = DeviceCounter::new(counter(1e6, 1.0, None), at(0));
    assert_eq!(c.advance(counter(9e12, 1.0, None), at(10), Some(watts(300.0))), Step::Broken);
    assert_eq!(c.advance(counter(1e6, 1.0, None), at(20), Some(watts(300.0))), Step::Broken);
    assert_eq!(
        c.advance(counter(1e6 + 3000.0, 1.0, None), at(30), Some(watts(300.0))),
        Step::Counted(joules(3000))
    );
}

/// A channel read every `dt` seconds at constant power, its counter in steps of `quantum` joules; the counter shows
/// `shown(true joules)`.
fn run(power: f64, quantum: f64, seconds: u64, dt: u64, shown: impl Fn(f64) -> f64) -> Vec<Microjoules> {
    let (mut integral, mut account) = (Integral::default(), Account::default());
    let mut device: Option<DeviceCounter> = None;
    (0..=seconds / dt)
        .map(|n| {
            let now = at(n * dt);
            let c = counter((shown(power * (n * dt) as f64) / quantum).floor() * quantum, quantum, None);
            let step = integral.advance(now, watts(power), GAP);
            let counted = match device.as_mut() {
                None => Step::First,
                Some(d) => d.advance(c, now, Some(watts(power))),
            };
            let d = device.get_or_insert_with(|| DeviceCounter::new(c, now));
            account.advance(step.map_or(Drawn::Gap, Drawn::Bridged), Some((counted, d)));
            account.total()
        })
        .collect()
}

#[test]
fn a_coarse_counter_keeps_the_integrals_shape() {
    // 100 W, 0.1 kWh steps: one step an hour. The account follows the integral, 1 kJ each 10 s.
    let totals = run(100.0, 360_000.0, 7200, 10, |j| j);
    assert_eq!(totals[1], joules(1000));
    assert_eq!(totals[720], joules(720_000));
}

#[test]
fn the_account_follows_a_counter_that_knows_better() {
    // The power reading is 10 % high; the counter (1 kJ steps) is right: after 2 hours at a shown 500 W the account is
    // 0.9 x 500 W x 7200 s = 3,240,000 J, within one step.
    let totals = run(500.0, 1000.0, 7200, 10, |j| j * 0.9);
    assert!(totals[720].0.abs_diff(joules(3_240_000).0) <= joules(1000).0, "{:?}", totals[720]);
    assert!(totals.windows(2).all(|w| w[0] <= w[1]));
}

#[test]
fn a_frozen_counter_takes_nothing_away() {
    let totals = run(500.0, 1000.0, 3600, 10, |_| 0.0);
    // 500 W x 3600 s, all of it: what was held back is released when the counter is found to be frozen.
    assert_eq!(totals[360], joules(1_800_000));
}

#[test]
fn a_gap_is_filled_by_what_the_device_counted() {
    let (mut i, mut a) = (Integral::default(), Account::default());
    let mut d = DeviceCounter::new(counter(0.0, 10.0, None), at(0));
    assert_eq!(i.advance(at(0), watts(100.0), GAP), None);
    a.advance(Drawn::Gap, Some((Step::First, &d)));
    let step = d.advance(counter(50_000.0, 10.0, None), at(500), Some(watts(100.0)));
    assert_eq!(i.advance(at(500), watts(100.0), GAP), None, "the integral itself bridges nothing");
    assert_eq!(
        a.advance(Drawn::Gap, Some((step, &d))),
        Some(true),
        "the device knows what the readings missed"
    );
    assert_eq!(a.total(), joules(50_000));
}

proptest! {
    #[test]
    fn nothing_ever_falls(readings in prop::collection::vec((1u64..100, 0.0f64..2000.0, 0.0f64..1e7), 1..60)) {
        let (mut i, mut a) = (Integral::default(), Account::default());
        let mut d: Option<DeviceCounter> = None;
        let (mut now, mut last) = (0, (Microjoules::ZERO, Microjoules::ZERO, Microjoules::ZERO, Duration::ZERO));
        for (dt, power, shown) in readings {
            now += dt;
            let step = i.advance(at(now), watts(power), GAP);
            let c = counter(shown, 360.0, Some(1e7));
            let counted = d.as_mut().map_or(Step::First, |d| d.advance(c, at(now), Some(watts(power))));
            let device = d.get_or_insert_with(|| DeviceCounter::new(c, at(now)));
            a.advance(step.map_or(Drawn::Gap, Drawn::Bridged), Some((counted, device)));
            let this = (i.total(), device.total(), a.total(), i.unmeasured(at(now), GAP));
            prop_assert!(this.0 >= last.0 && this.1 >= last.1 && this.2 >= last.2 && this.3 >= last.3);
            last = this;
        }
    }
}

#[test]
fn a_gap_that_was_unmeasured_stays_so_when_longer_ones_may_be_bridged() {
    let mut integral = Integral::default();
    let short = Duration::from_secs(3);
    integral.advance(at(0), watts(100.0), short);
    integral.close_gap(at(2), short);
    assert_eq!(integral.unmeasured(at(4), short), Duration::from_secs(4), "not closed: it was none yet");
    integral.close_gap(at(4), short);
    let longer = Duration::from_secs(10);
    assert_eq!(integral.unmeasured(at(5), longer), Duration::from_secs(4));
    assert_eq!(integral.advance(at(6), watts(100.0), longer), None);
    assert_eq!(
        (integral.unmeasured(at(6), longer), integral.total()),
        (Duration::from_secs(6), Microjoules::ZERO)
    );
}
