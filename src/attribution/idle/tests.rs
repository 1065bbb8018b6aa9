//! Claims about the learner: whatever curve and weather, it is near, and says how near.

use super::*;

/// Deterministic noise, -1 to 1.
fn noise(n: u32) -> f64 {
    let mixed = n.wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(2_246_822_519);
    f64::from(mixed) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// Minutes of a host: busy share and power.
fn learned(minutes: impl IntoIterator<Item = (f64, f64)>) -> IdleLearner {
    let mut learner = IdleLearner::default();
    for (busy, power) in minutes {
        for _ in 0..6 {
            learner.learn(Watts::new(power).unwrap(), busy, Duration::from_secs(10));
        }
    }
    learner
}

fn estimate(learner: &IdleLearner) -> (f64, f64, f64) {
    let known = learner.estimate().unwrap();
    (known.power.get(), known.lower.get(), known.upper.get())
}

/// A day of load between two levels that wanders and jumps.
fn load(low: f64, high: f64) -> impl Iterator<Item = f64> {
    (0..1440u32).map(move |n| {
        let wave = 0.5 + 0.35 * (f64::from(n) / 140.0).sin() + 0.15 * noise(n);
        low + (high - low) * wave
    })
}

fn linear(busy: f64) -> f64 {
    100.0 + 200.0 * busy
}

#[test]
fn nothing_is_known_before_the_first_interval() {
    assert_eq!(IdleLearner::default().estimate(), None);
    let mut learner = IdleLearner::default();
    learner.learn(Watts::new(90.0).unwrap(), f64::NAN, Duration::from_secs(10));
    learner.learn(Watts::new(90.0).unwrap(), 0.5, Duration::ZERO);
    assert_eq!(learner.estimate(), None);
}

#[test]
fn the_first_interval_brings_the_usual_share() {
    let mut learner = IdleLearner::default();
    learner.learn(Watts::new(65.0).unwrap(), 0.5, Duration::from_secs(10));
    // 0.3 of full power at rest: 65 W at half load are 100 W at full and 30 W at none.
    assert!((estimate(&learner).0 - 30.0).abs() < 1e-9);
}

#[test]
fn steady_load_is_not_called_idle() {
    let (power, lower, upper) = estimate(&learned((0..1440).map(|n| (0.4, 180.0 + noise(n)))));
    assert!((70.0..130.0).contains(&power), "{power}");
    assert!(lower < 60.0 && upper > 120.0, "and it is said that nobody knows: {lower} to {upper}");
}

#[test]
fn an_idle_host_is_seen_to_be_idle() {
    let (power, lower, upper) = estimate(&learned((0..60).map(|n| (0.01, 102.0 + noise(n)))));
    assert!((power - 100.0).abs() < 2.0, "{power}");
    assert!(lower > 90.0 && upper < 104.0, "{lower} to {upper}");
}

#[test]
fn a_host_whose_load_varies_is_learned_to_a_watt_or_two() {
    let minutes = load(0.02, 0.6).zip(0..).map(|(b, n)| (b, linear(b) + 2.0 * noise(n)));
    let (power, lower, upper) = estimate(&learned(minutes));
    assert!((power - 100.0).abs() < 3.0, "{power}");
    assert!(lower <= 100.0 && upper >= 100.0 && upper - lower < 20.0, "{lower} to {upper}");
}

#[test]
fn a_host_that_never_idles_is_extrapolated_and_less_sure() {
    let (power, lower, upper) = estimate(&learned(load(0.5, 0.9).map(|b| (b, linear(b)))));
    assert!((power - 100.0).abs() < 12.0, "{power}");
    assert!(lower < 90.0 && upper > 110.0, "{lower} to {upper}");
}

#[test]
fn a_bent_curve_is_followed() {
    for bend in [0.6, 0.8, 1.3] {
        let curve = move |b: f64| 100.0 + 200.0 * b.powf(bend);
        let (power, lower, upper) = estimate(&learned(load(0.0, 0.7).map(|b| (b, curve(b)))));
        assert!((power - 100.0).abs() < 3.0, "{bend}: {power}");
        assert!(lower <= 100.5 && upper >= 99.5, "{bend}: {lower} to {upper}");
    }
}

#[test]
fn a_curve_of_eleven_points_is_followed_too() {
    // As benchmarks publish them: watts at 0, 10 ... 100 % load.
    let points = [50.0, 62.0, 72.0, 81.0, 91.0, 103.0, 117.0, 136.0, 160.0, 185.0, 210.0];
    let curve = move |b: f64| {
        let steps = points.windows(2).zip(0..);
        let step = steps.filter(|(_, n)| f64::from(*n) <= b * 10.0).last();
        step.map_or(points[0], |(ends, n)| ends[0] + (b * 10.0 - f64::from(n)) * (ends[1] - ends[0]))
    };
    let (power, lower, _) = estimate(&learned(load(0.0, 0.5).map(|b| (b, curve(b)))));
    assert!((power - 50.0).abs() < 3.0 && lower < 50.0, "{power}");
}

#[test]
fn outliers_hardly_move_it() {
    let clean = load(0.02, 0.6).map(|b| (b, linear(b)));
    let odd = load(0.02, 0.6).zip(0u32..).map(|(b, n)| match n % 40 {
        0 => (b, 0.0),
        20 => (b, 2500.0),
        _ => (b, linear(b)),
    });
    let (a, b) = (estimate(&learned(clean)).0, estimate(&learned(odd)).0);
    assert!((a - b).abs() < 6.0, "{a} and {b}");
}

#[test]
fn fans_that_step_up_are_learned_within_a_day() {
    let before = load(0.02, 0.6).map(|b| (b, linear(b)));
    let after = load(0.02, 0.6).map(|b| (b, linear(b) + 30.0));
    let (power, ..) = estimate(&learned(before.chain(after)));
    assert!((power - 130.0).abs() < 6.0, "{power}");
}

#[test]
fn the_estimate_never_exceeds_what_was_seen_and_is_never_negative() {
    let (falling, _, upper) = estimate(&learned(load(0.0, 1.0).map(|b| (b, 200.0 - 50.0 * b))));
    assert!(falling <= 175.0 && upper <= 175.0, "{falling}, {upper}");
    let (steep, lower, _) = estimate(&learned(load(0.5, 0.7).map(|b| (b, 2000.0 * b - 900.0))));
    assert!(steep >= 0.0 && lower >= 0.0, "{steep}, {lower}");
    let (nothing, ..) = estimate(&learned(load(0.0, 0.7).map(|b| (b, 0.0))));
    assert!(nothing.abs() < 1e-9);
}

#[test]
fn what_it_knows_can_be_kept_and_goes_on() {
    let learner = learned(load(0.02, 0.6).map(|b| (b, linear(b))));
    let text = serde_json::to_string(&learner.state()).unwrap();
    assert!(text.len() < 4000, "{} bytes", text.len());
    let mut resumed = IdleLearner::resume(&serde_json::from_str(&text).unwrap());
    assert_eq!(estimate(&resumed), estimate(&learner));
    let mut learner = learner;
    for one in [&mut resumed, &mut learner] {
        one.learn(Watts::new(140.0).unwrap(), 0.2, Duration::from_secs(120));
    }
    assert_eq!(estimate(&resumed), estimate(&learner));
}

#[test]
fn what_cannot_be_true_is_not_resumed() {
    let good = Bin { seconds: 60.0, busy: 0.1, power: 120.0, deviation: 1.0 };
    let bad = [
        Bin { seconds: f64::NAN, ..good },
        Bin { busy: 1.5, ..good },
        Bin { power: -1.0, ..good },
        Bin { power: 1e9, ..good },
        Bin { deviation: f64::INFINITY, ..good },
    ];
    let state = IdleState { bins: bad.repeat(1000) };
    assert_eq!(IdleLearner::resume(&state).estimate(), None);
    assert_eq!(IdleLearner::resume(&IdleState { bins: vec![good] }).state().bins, [good]);
}
