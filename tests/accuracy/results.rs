//! Every method over every trace.

use super::score::{Reading, Score, score};
use super::trace::Trace;
use super::{ours, rivals, traces, truth};

/// Whose a method is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Published,
    /// A formula of others with more than its program feeds it.
    Stretched,
}

/// A column.
pub struct Method {
    pub name: &'static str,
    pub kind: Kind,
}

/// What came out.
pub struct Results {
    pub traces: Vec<Trace>,
    /// Ours, the default first; then others'.
    pub methods: Vec<Method>,
    /// By trace, then by method.
    pub scores: Vec<Vec<Score>>,
}

impl Results {
    /// Runs everything.
    pub fn new(seed: u64) -> Self {
        let traces = traces::all(seed);
        let of_ours = ours::ALL.iter().map(|s| Method { name: s.name, kind: Kind::Ours });
        let of_others = rivals::ALL.iter().map(|r| Method {
            name: r.name,
            kind: if r.published { Kind::Published } else { Kind::Stretched },
        });
        let methods = of_ours.chain(of_others).collect();
        let scores = traces.iter().map(scores).collect();
        Self { traces, methods, scores }
    }

    /// A method's mean error over all traces.
    pub fn mean(&self, method: usize, reading: Reading) -> f64 {
        let sum: f64 = self.scores.iter().map(|s| s[method].error[reading as usize]).sum();
        sum / self.scores.len() as f64
    }

    /// The method with the least mean error among those that `counts`.
    pub fn best(&self, reading: Reading, counts: impl Fn(&Method) -> bool) -> usize {
        let among = (0..self.methods.len()).filter(|m| counts(&self.methods[*m]));
        among.min_by(|a, b| self.mean(*a, reading).total_cmp(&self.mean(*b, reading))).unwrap()
    }
}

fn scores(trace: &Trace) -> Vec<Score> {
    let truth = truth::truth(trace);
    let ours = ours::run(trace);
    let others = rivals::ALL.iter().map(|r| (r.run)(trace));
    ours.into_iter().chain(others).map(|given| score(trace, &truth, &given)).collect()
}
