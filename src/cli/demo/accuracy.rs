//! The exporter's account against the simulator's truth, VM by VM. Pure.

use std::collections::BTreeMap;

use super::query::Series;
use crate::sim::world::Truth;

/// VMs that draw less than this are left out, W: a share of almost nothing says nothing.
const FLOOR_WATTS: f64 = 1.0;
/// The shortest stretch of samples that is compared, seconds.
const SHORTEST_SECONDS: f64 = 10.0;

/// How the account compares.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Accuracy {
    /// VMs compared.
    pub vms: usize,
    /// Longest stretch compared, seconds.
    pub seconds: f64,
    /// How far the account of the slowest host ran behind the clock at the end, seconds.
    pub delay_seconds: f64,
    /// The VM with the largest error relative to its true joules, and that error.
    pub worst_ratio: (String, f64),
    /// The VM with the largest error in mean watts, and that error.
    pub worst_watts: (String, f64),
}

/// Seconds and joules, oldest first.
type Samples = Vec<(f64, f64)>;

/// One VM on one host over the stretch that the exporter has settled, seconds of the world.
struct Stretch {
    vm: (String, String),
    from: f64,
    to: f64,
    /// How far the end was behind the clock.
    delay: f64,
    joules: f64,
}

/// Compares; none if no VM has a stretch worth it. `series` are the samples of the workloads' energy counters, `settled`
/// those of the times up to which each host is settled, `seconds` turns Unix seconds into the world's, `truth` gives the
/// true account at a second, `name` names a VM by its UUID.
pub(super) fn compare(
    series: &[Series],
    settled: &[Series],
    seconds: impl Fn(f64) -> f64,
    truth: impl Fn(f64) -> Truth,
    name: impl Fn(&str) -> String,
) -> Option<Accuracy> {
    let mut accuracy = Accuracy {
        vms: 0,
        seconds: 0.0,
        delay_seconds: 0.0,
        worst_ratio: (String::new(), 0.0),
        worst_watts: (String::new(), 0.0),
    };
    for stretch in &stretches(series, settled, seconds) {
        let length = stretch.to - stretch.from;
        let true_joules = true_joules(stretch, &truth);
        if true_joules / length < FLOOR_WATTS {
            continue;
        }
        accuracy.vms += 1;
        accuracy.seconds = accuracy.seconds.max(length);
        accuracy.delay_seconds = accuracy.delay_seconds.max(stretch.delay);
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

/// Sums the parts of each VM on each host, from the first moment that all of them have to the last. The counters of a scrape
/// hold what was settled then, which is a little less than all until then.
fn stretches(series: &[Series], settled: &[Series], seconds: impl Fn(f64) -> f64) -> Vec<Stretch> {
    let until: BTreeMap<&str, Samples> = settled.iter().map(|s| (s.label("host"), s.samples())).collect();
    let mut parts: BTreeMap<(String, String), Vec<Samples>> = BTreeMap::new();
    for one in series {
        let vm = (one.label("workload").to_owned(), one.label("host").to_owned());
        parts.entry(vm).or_default().push(one.samples());
    }
    let at = |part: &[(f64, f64)], t: f64| part.iter().find(|s| s.0 == t).map(|s| s.1);
    let stretch = |(vm, parts): ((String, String), Vec<Samples>)| {
        let firsts = parts.iter().filter_map(|p| p.first()).map(|s| s.0);
        let lasts = parts.iter().filter_map(|p| p.last()).map(|s| s.0);
        let (from, to) = (firsts.fold(f64::MIN, f64::max), lasts.fold(f64::MAX, f64::min));
        let joules: f64 = parts.iter().map(|p| Some(at(p, to)? - at(p, from)?)).sum::<Option<f64>>()?;
        let host = until.get(vm.1.as_str())?;
        let (begin, end) = (at(host, from)?, at(host, to)?);
        let long_enough = end - begin >= SHORTEST_SECONDS;
        let delay = to - end;
        long_enough.then(|| Stretch { vm, from: seconds(begin), to: seconds(end), delay, joules })
    };
    parts.into_iter().filter_map(stretch).collect()
}

fn true_joules(stretch: &Stretch, truth: &impl Fn(f64) -> Truth) -> f64 {
    let at = |t: f64| truth(t.max(0.0)).vms.get(&stretch.vm).map_or(0.0, |v| v.joules());
    at(stretch.to) - at(stretch.from)
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

    /// The times up to which each host was settled.
    fn settled(world: &World, delay: f64) -> Vec<Series> {
        let hosts: std::collections::BTreeSet<_> =
            world.truth(40.0).vms.keys().map(|(_, h)| h.clone()).collect();
        let one = |host| {
            let values: Vec<_> = (10..=40)
                .map(|t| {
                    serde_json::json!([1000.0 + f64::from(t), (1000.0 + f64::from(t) - delay).to_string()])
                })
                .collect();
            serde_json::from_value(serde_json::json!({ "metric": { "host": host }, "values": values }))
                .unwrap()
        };
        hosts.into_iter().map(one).collect()
    }

    fn compared(world: &World, delay: f64, off: Option<(usize, f64)>) -> Accuracy {
        let (series, settled) = (account(world, delay, off), settled(world, delay));
        compare(&series, &settled, |unix| unix - 1000.0, |t| world.truth(t), str::to_owned).unwrap()
    }

    #[test]
    fn a_true_account_has_no_error_however_late_it_is() {
        let world = World::new(1);
        for delay in [0.0, 1.3] {
            let found = compared(&world, delay, None);
            assert!((found.delay_seconds - delay).abs() < 1e-9 && found.vms > 20, "{found:?}");
            assert!(found.worst_ratio.1 < 1e-9 && found.worst_watts.1 < 1e-6, "{found:?}");
            assert!((found.seconds - 30.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_vm_that_pays_a_tenth_too_much_is_named() {
        let world = World::new(1);
        let found = compared(&world, 0.0, Some((0, 1.1)));
        assert!(found.worst_ratio.0.starts_with(&world.vms()[0].uuid), "{found:?}");
        assert!((found.worst_ratio.1 - 0.1).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn nothing_counted_is_nothing_compared() {
        assert_eq!(compare(&[], &[], |s| s, |_| Truth::default(), str::to_owned), None);
    }
}
