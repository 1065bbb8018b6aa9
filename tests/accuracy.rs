//! How near the attribution is to the truth: traces of hosts and guests whose true joules are known, our models through
//! the real store and ledger, and the published formulas of others beside them. What comes out is written to
//! `docs/accuracy.md`; `make accuracy` writes it anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod accuracy {
    pub mod claims;
    pub mod curve;
    pub mod load;
    pub mod ours;
    pub mod page;
    pub mod random;
    pub mod results;
    pub mod rivals;
    pub mod score;
    pub mod trace;
    pub mod traces;
    pub mod truth;
}

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use accuracy::page;
use accuracy::results::{Kind, Results};
use accuracy::score::Reading;

/// Run once for all tests. That every joule is somewhere, to the microjoule, is asserted on the way. The first is the
/// page's; the others have other loads, so that nothing hangs on a seed.
static RUNS: LazyLock<Vec<Results>> = LazyLock::new(|| {
    std::thread::scope(|scope| {
        let runs: Vec<_> = [0, 1, 2].map(|seed| scope.spawn(move || Results::new(seed))).into();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
});
static RESULTS: LazyLock<&Results> = LazyLock::new(|| &RUNS[0]);

/// Compares `actual` with the file `path` in the repository; with `WATTRIBUTE_BLESS=1` rewrites it.
fn golden(path: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("WATTRIBUTE_BLESS").is_some_and(|bless| bless == "1") {
        fs::write(&file, actual).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    let differs = expected.lines().zip(actual.lines()).find(|(e, a)| e != a);
    assert!(expected == actual, "{path} is out of date, run `make accuracy`: {differs:?}");
}

#[test]
fn the_pages_say_what_the_code_computes() {
    golden("docs/accuracy.md", &page::page(&RESULTS, &RUNS[1..]));
    golden("docs/accuracy.svg", &page::picture(&RESULTS));
    golden("docs/accuracy.csv", &page::figures(&RESULTS));
}

#[test]
fn the_default_is_nearest_to_the_truth_in_the_mean_over_all_traces() {
    for results in &*RUNS {
        let best = results.best(Reading::Reserved, |m| !m.name.starts_with("idle-dynamic"));
        let (ours, other) = (results.mean(0, Reading::Reserved), results.mean(best, Reading::Reserved));
        assert!(ours < other, "{}: {other:.4}, ours {ours:.4}", results.methods[best].name);
    }
}

#[test]
fn for_every_reading_of_the_truth_one_of_our_models_is_nearest() {
    for reading in Reading::ALL {
        let best = RESULTS.best(reading, |_| true);
        assert!(RESULTS.methods[best].kind == Kind::Ours, "{}", RESULTS.methods[best].name);
    }
}

#[test]
fn of_our_models_nothing_is_lost_but_what_the_meter_misses() {
    for (trace, scores) in RESULTS.traces.iter().zip(&RESULTS.scores) {
        let ours = scores.iter().zip(&RESULTS.methods).filter(|(_, m)| m.kind == Kind::Ours);
        let sums: Vec<f64> = ours.map(|(s, _)| s.sum).collect();
        assert!(sums.iter().all(|s| (s - sums[0]).abs() < 1e-9), "{}: {sums:?}", trace.name);
        assert!((sums[0] - 1.0).abs() < 0.01, "{}: the meter itself is off: {}", trace.name, sums[0]);
    }
}
