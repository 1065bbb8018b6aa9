//! Claims about the tools of this comparison themselves: that the truth is a Shapley value, and that the formulas of
//! others give what their sources give, by hand.

use super::curve::{Curve, Shape};
use super::load::steady;
use super::rivals::{self, Given};
use super::trace::{Guest, METER, Machine, RAPL, SECONDS, Trace};
use super::truth::{shapley, truth};

fn machine(shape: Shape) -> Machine {
    Machine {
        cpus: 10.0,
        memory_gib: 40.0,
        overcommit: 1.0,
        curve: Curve::new(shape),
        rapl: RAPL,
        own: steady(10, 0.1),
        own_memory_gib: 2.0,
    }
}

fn guest(name: &str, vcpus: u32, memory_gib: u32, cpus: f64) -> Guest {
    Guest {
        name: name.to_owned(),
        vcpus,
        memory_gib,
        resident: 0.5,
        heat: 1.0,
        traffic_watts: 0.0,
        stays: vec![(0, SECONDS, 0)],
        load: vec![cpus; SECONDS],
    }
}

/// 10 CPUs of which the host uses 1, `a` 3 of its 4 and `b` 1 of its 2: half of the CPUs, 100 W + 100 W.
fn scene() -> Trace {
    let host = machine(Shape::Linear { idle: 100.0, rise: 200.0 });
    let guests = vec![guest("a", 4, 16, 3.0), guest("b", 2, 8, 1.0)];
    Trace::new("by hand", "", "", vec![host], guests, (METER, 10))
}

fn given(name: &str) -> Given {
    (rivals::ALL.iter().find(|r| r.name == name).unwrap().run)(&scene())
}

/// Watts of each guest, from its joules.
fn watts(given: &Given) -> Vec<f64> {
    given.guests.iter().map(|j| (j / SECONDS as f64 * 1000.0).round() / 1000.0).collect()
}

#[test]
fn on_a_straight_line_load_is_the_truth() {
    let t = truth(&scene());
    let per_second = |j: f64| j / SECONDS as f64;
    // 100 W over 5 busy CPUs: 20 W each. Idle 100 W: a 50 x 4/10 + 50 x 16/40 = 40 W, b 20 W; in equal parts 50 W.
    assert!((per_second(t[0].dynamic) - 60.0).abs() < 1e-9 && (per_second(t[1].dynamic) - 20.0).abs() < 1e-9);
    assert!(
        (per_second(t[0].reserved) - 40.0).abs() < 1e-9 && (per_second(t[1].reserved) - 20.0).abs() < 1e-9
    );
    assert!((per_second(t[0].equal) - 50.0).abs() < 1e-9 && (per_second(t[1].equal) - 50.0).abs() < 1e-9);
}

#[test]
fn the_shapley_value_of_two_is_the_mean_of_both_orders() {
    let host = machine(Shape::Root { idle: 100.0, rise: 100.0 });
    // Alone: 1 CPU is 100 x sqrt(0.1) = 31.623 W, 4 are 63.246 W; both 100 x sqrt(0.5) = 70.711 W.
    // (31.623 + 70.711 - 63.246) / 2 = 19.544 and (63.246 + 70.711 - 31.623) / 2 = 51.167
    let shares = shapley(&host, &[1.0, 4.0], 0);
    assert!((shares[0] - 19.544).abs() < 1e-3 && (shares[1] - 51.167).abs() < 1e-3, "{shares:?}");
}

#[test]
fn shares_add_up_and_like_is_like_and_nothing_is_nothing() {
    let host = machine(Shape::Root { idle: 100.0, rise: 100.0 });
    let loads = [1.0, 2.0, 0.0, 2.0, 0.5];
    let shares = shapley(&host, &loads, 0);
    let whole = host.curve.watts(0.55) - host.curve.idle();
    assert!((shares.iter().sum::<f64>() - whole).abs() < 1e-9);
    assert!((shares[1] - shares[3]).abs() < 1e-9 && shares[2].abs() < 1e-9);
}

#[test]
fn sampled_shares_are_near_the_exact_ones() {
    let host = machine(Shape::Root { idle: 100.0, rise: 100.0 });
    let exact = shapley(&host, &[1.0, 2.0, 0.2, 0.4, 0.5, 1.0, 2.0, 0.2, 0.4, 0.5], 0);
    // One more player who does nothing changes nobody's share, but there are too many to count out.
    let sampled = shapley(&host, &[1.0, 2.0, 0.2, 0.4, 0.5, 1.0, 2.0, 0.2, 0.4, 0.5, 0.0], 7);
    let wrong: f64 = exact.iter().zip(&sampled).map(|(e, s)| (e - s).abs()).sum();
    assert!(wrong / exact.iter().sum::<f64>() < 0.10, "{exact:?} {sampled:?}");
}

#[test]
fn ceems_by_hand() {
    // Without RAPL, 200 W: 180 x 3/5 + 20/2 = 118 W, 180 x 1/5 + 10 = 46 W.
    assert_eq!(watts(&given("CEEMS without RAPL")), [118.0, 46.0]);
    // RAPL: packages 35 + 70 = 105 W, memory 8 + 10 = 18 W: K/(K+D) = 0.853659.
    // 180 x 0.853659 x 3/5 + 180 x 0.146341 x 8/(8 + 4 + 2) + 10 = 117.247
    // 180 x 0.853659 x 1/5 + 180 x 0.146341 x 4/14 + 10 = 48.258
    assert_eq!(watts(&given("CEEMS with RAPL")), [117.247, 48.258]);
}

#[test]
fn kepler_by_hand() {
    // RAPL 123 W, half busy: 61.5 x 3/5 and x 1/5; 61.5 W idle, 12.3 W of the system.
    let g = given("Kepler 0.10 RAPL");
    assert_eq!(watts(&g), [36.9, 12.3]);
    assert!((g.idle / SECONDS as f64 - 61.5).abs() < 1e-6 && (g.system / SECONDS as f64 - 12.3).abs() < 1e-6);
    // Steady power is the least power: all 200 W are idle, in three parts.
    assert_eq!(watts(&given("Kepler 0.9 platform")), [66.667, 66.667]);
}

#[test]
fn leaf_by_hand() {
    // Kepler's idle 61.5 W x (4/10 + 16/40)/2 = 24.6 W, and x 0.2 = 12.3 W, on top of Kepler's own.
    assert_eq!(watts(&given("Leaf")), [61.5, 24.6]);
}

#[test]
fn mrpusa_by_hand() {
    // a: 75 % used, 4 x 0.74 = 2.96; b: 50 %, 2 x 0.61 = 1.22. 200 x 2.96/4.18 = 141.627
    assert_eq!(watts(&given("MRPUSA")), [141.627, 58.373]);
}

#[test]
fn a_meter_shows_what_it_is_made_to_show() {
    let mut host = machine(Shape::Linear { idle: 100.0, rise: 100.0 });
    host.own = (0..SECONDS).map(|s| if s < 60 { 0.0 } else { 5.0 }).collect();
    let late = super::trace::Meter { refresh: 10, window: 20, lag: 5, step: 10.0, ..METER };
    let t = Trace::new("meter", "", "", vec![host], Vec::new(), (late, 10));
    // At 70 s the mean of 45 s to 65 s, of which 5 s at 150 W: 112.5 W; at 80 s 137.5 W; each in steps of 10 W.
    let shown: Vec<f64> = [60, 70, 75, 80, 90].iter().map(|s| t.shown(0, *s)).collect();
    assert_eq!(shown, [100.0, 110.0, 110.0, 140.0, 150.0]);
}

#[test]
fn where_more_is_asked_than_there_is_all_get_the_same_share() {
    let host = machine(Shape::Linear { idle: 100.0, rise: 100.0 });
    let guests = vec![guest("a", 8, 8, 8.0), guest("b", 8, 8, 4.0)];
    let t = Trace::new("crowd", "", "", vec![host], guests, (METER, 10));
    assert!((t.guests[0].load[7] - 6.0).abs() < 1e-9 && (t.guests[1].load[7] - 3.0).abs() < 1e-9);
    assert!((t.wall(0) - 200.0 * SECONDS as f64).abs() < 1e-3);
}
