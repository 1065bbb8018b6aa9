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
    pub mod curve;
    pub mod load;
    pub mod ours;
    pub mod random;
    pub mod rivals;
    pub mod score;
    pub mod trace;
    pub mod traces;
    pub mod truth;
}

use accuracy::score::{Score, score};
use accuracy::{ours, rivals, traces, truth};

#[test]
fn probe() {
    let begun = std::time::SystemTime::now();
    let mut sums = vec![[0.0; 3]; 16];
    let mut n = 0.0;
    for trace in traces::all() {
        let truth = truth::truth(&trace);
        let mut all: Vec<(&str, Score)> = Vec::new();
        for (s, g) in ours::ALL.iter().zip(ours::run(&trace)) {
            all.push((s.name, score(&trace, &truth, &g)));
        }
        for r in &rivals::ALL {
            all.push((r.name, score(&trace, &truth, &(r.run)(&trace))));
        }
        println!("== {} {:?}", trace.name, begun.elapsed());
        for (i, (name, s)) in all.iter().enumerate() {
            for k in 0..3 {
                sums[i][k] += s.error[k];
            }
            println!(
                "{name:34} {:6.2} {:6.2} {:6.2}  worst {:6.1} {:8} unassigned {:5.1} sum {:6.2}",
                s.error[0] * 100.0,
                s.error[1] * 100.0,
                s.error[2] * 100.0,
                s.worst.1 * 100.0,
                s.worst.0,
                s.unassigned * 100.0,
                s.sum * 100.0
            );
        }
        n += 1.0;
    }
    println!("mean");
    for (i, s) in sums.iter().enumerate() {
        println!("{i:2} {:6.2} {:6.2} {:6.2}", s[0] / n * 100.0, s[1] / n * 100.0, s[2] / n * 100.0);
    }
}
