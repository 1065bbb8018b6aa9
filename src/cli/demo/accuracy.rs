//! The exporter's account against the simulator's truth, VM by VM. Pure.

use std::collections::BTreeMap;

use super::query::Series;
use crate::sim::world::Truth;

/// VMs that draw less than this are left out, W: a share of almost nothing says nothing.
const FLOOR_WATTS: f64 = 1.0;
/// The shortest stretch of samples that is compared, seconds.
const SHORTEST_SECONDS: f64 = 10.0;
/// The account may run behind the wall clock (polls, settling, scraping) by this much, seconds.
const MAX_DELAY_SECONDS: f64 = 5.0;

/// How the account compares.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Accuracy {
    /// VMs compared.
    pub vms: usize,
    /// Longest stretch compared, seconds.
    pub seconds: f64,
    /// How far the account ran behind the clock, seconds: the one delay of all VMs that fits best.
    pub delay_seconds: f64,
    /// The VM with the largest error relative to its true joules, and that error.
    pub worst_ratio: (String, f64),
    /// The VM with the largest error in mean watts, and that error.
    pub worst_watts: (String, f64),
}

/// Seconds and joules, oldest first.
type Samples = Vec<(f64, f64)>;

/// One VM on one host over the stretch in which the exporter counted it.
struct Stretch {
    vm: (String, String),
    from: f64,
    to: f64,
    joules: f64,
}

/// Compares; none if no VM has a stretch worth it. `series` are the samples of the workloads' energy counters, `seconds`
/// turns Unix seconds into the world's, `truth` gives the true account at a second, `name` names a VM by its UUID.
pub(super) fn compare(
    series: &[Series],
    seconds: impl Fn(f64) -> f64,
    truth: impl Fn(f64) -> Truth,
    name: impl Fn(&str) -> String,
) -> Option<Accuracy> {
    let stretches = stretches(series, seconds);
    let delay_seconds = best_delay(&stretches, &truth);
    let mut accuracy = Accuracy {
        vms: 0,
        seconds: 0.0,
        delay_seconds,
        worst_ratio: (String::new(), 0.0),
        worst_watts: (String::new(), 0.0),
    };
    for stretch in &stretches {
        let length = stretch.to - stretch.from;
        let true_joules = true_joules(stretch, delay_seconds, &truth);
        if true_joules / length < FLOOR_WATTS {
            continue;
        }
        accuracy.vms += 1;
        accuracy.seconds = accuracy.seconds.max(length);
        let error = (stretch.joules - true_joules).abs();
        let called = || format!("{} on {}", name(&stretch.vm.0), stretch.vm.1);
        if error / true_joules >= accuracy.worst_ratio.1 {
            accuracy.worst_ratio = (called(), error / true_joules);
        }
        if error / length >= accuracy.worst_watts.1 {
            accuracy.worst_watts = (called(), error / length);
        }
    }
    (accuracy.vms > 0).then_some(accuracy)
}

/// Sums the parts of each VM on each host, from the first moment that all of them have to the last.
fn stretches(series: &[Series], seconds: impl Fn(f64) -> f64) -> Vec<Stretch> {
    let mut parts: BTreeMap<(String, String), Vec<Samples>> = BTreeMap::new();
    for one in series {
        let vm = (one.label("workload").to_owned(), one.label("host").to_owned());
        parts.entry(vm).or_default().push(one.samples());
    }
    let mut found = Vec::new();
    for (vm, parts) in parts {
        let firsts = parts.iter().filter_map(|p| p.first()).map(|s| s.0);
        let lasts = parts.iter().filter_map(|p| p.last()).map(|s| s.0);
        let (from, to) = (firsts.fold(f64::MIN, f64::max), lasts.fold(f64::MAX, f64::min));
        let at = |part: &[(f64, f64)], t: f64| part.iter().find(|s| s.0 == t).map(|s| s.1);
        let counted: Option<f64> = parts.iter().map(|p| Some(at(p, to)? - at(p, from)?)).sum();
        if let Some(joules) = counted.filter(|_| to - from >= SHORTEST_SECONDS) {
            found.push(Stretch { vm, from: seconds(from), to: seconds(to), joules });
        }
    }
    found
}

fn true_joules(stretch: &Stretch, delay: f64, truth: &impl Fn(f64) -> Truth) -> f64 {
    let at = |t: f64| truth((t - delay).max(0.0)).vms.get(&stretch.vm).map_or(0.0, |v| v.joules());
    at(stretch.to) - at(stretch.from)
}

/// The one delay, in steps of 0.1 s, at which the account of all VMs together fits the truth best. Errors are summed as
/// they are, not squared: one VM that pays too much must stand out, not drag the delay along.
fn best_delay(stretches: &[Stretch], truth: &impl Fn(f64) -> Truth) -> f64 {
    let misfit = |delay: f64| -> f64 {
        stretches.iter().map(|s| (s.joules - true_joules(s, delay, truth)).abs()).sum()
    };
    let steps = std::iter::successors(Some(0.0), |d| Some(d + 0.1)).take_while(|d| *d <= MAX_DELAY_SECONDS);
    let fits = steps.map(|delay| (delay, misfit(delay)));
    fits.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0.0, |(delay, _)| delay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::world::World;

    /// Samples of both parts of every VM as an exporter would give that runs `delay` seconds behind and counts `factor`
    /// times the truth for the VM on compute-1 with the given index.
    fn account(world: &World, delay: f64, off: Option<(usize, f64)>) -> Vec<Series> {
        let mut series = Vec::new();
        for (vm, host) in world.truth(40.0).vms.keys() {
            let factor = off.filter(|(i, _)| world.vms()[*i].uuid == *vm).map_or(1.0, |(_, factor)| factor);
            for part in ["idle", "dynamic"] {
                let values: Vec<_> = (10..=40)
                    .map(|t| {
                        let truth = world.truth(f64::from(t) - delay);
                        let vm = truth.vms.get(&(vm.clone(), host.clone())).copied().unwrap_or_default();
                        let joules = if part == "idle" { vm.idle_joules } else { vm.dynamic_joules };
                        serde_json::json!([1000.0 + f64::from(t), (joules * factor).to_string()])
                    })
                    .collect();
                let labels = serde_json::json!({ "workload": vm, "host": host, "part": part });
                series.push(
                    serde_json::from_value(serde_json::json!({ "metric": labels, "values": values }))
                        .unwrap(),
                );
            }
        }
        series
    }

    fn compared(world: &World, series: &[Series]) -> Accuracy {
        compare(series, |unix| unix - 1000.0, |t| world.truth(t), str::to_owned).unwrap()
    }

    #[test]
    fn a_true_account_has_no_error_however_late_it_is() {
        let world = World::new(1);
        for delay in [0.0, 1.3] {
            let found = compared(&world, &account(&world, delay, None));
            assert!((found.delay_seconds - delay).abs() < 1e-9 && found.vms > 20, "{found:?}");
            assert!(found.worst_ratio.1 < 1e-9 && found.worst_watts.1 < 1e-6, "{found:?}");
            assert!((found.seconds - 30.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_vm_that_pays_a_tenth_too_much_is_named() {
        let world = World::new(1);
        let found = compared(&world, &account(&world, 0.0, Some((0, 1.1))));
        assert!(found.worst_ratio.0.starts_with(&world.vms()[0].uuid), "{found:?}");
        assert!((found.worst_ratio.1 - 0.1).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn nothing_counted_is_nothing_compared() {
        assert_eq!(compare(&[], |s| s, |_| Truth::default(), str::to_owned), None);
    }
}
