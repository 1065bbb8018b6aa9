//! Power that nobody measures: what a host is taken to draw by a power model and the utilisation of its CPUs. Pure; the
//! formulas, their sources and figures stand in `docs/attribution.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::host::HostAccount;
use super::models::power_factor::hundredths;
use crate::model::{DatacenterId, Moment, PowerModel, Ratio, Watts};

/// Utilisation where nobody in the whole data centre knows any: the usual assumption, of Cloud Carbon Footprint among others.
const UNKNOWN_UTILISATION: Ratio = Ratio::HALF;

/// What a power model may look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Busy share of the CPUs over the interval, 0 to 1.
    pub utilisation: Ratio,
    /// Logical CPUs; none where nobody told.
    pub cpus: Option<u32>,
}

impl Load {
    /// A load of which utilisation may not be known: then it is the estate's, or half.
    #[must_use]
    pub fn new(own: Option<Ratio>, estate: Option<Ratio>, cpus: Option<u32>) -> Self {
        Self { utilisation: own.or(estate).unwrap_or(UNKNOWN_UTILISATION), cpus }
    }
}

/// What `model` says that a host draws under `load`; none for watts of each virtual CPU where nobody knows how many there are.
#[must_use]
pub fn power(model: &PowerModel, load: Load) -> Option<Watts> {
    let u = load.utilisation.get().clamp(0.0, 1.0);
    match model {
        PowerModel::Banded(rated) => Some(rated.scaled(power_factor(load.utilisation))),
        PowerModel::Linear { idle, max } => Some(between(*idle, *max, u)),
        PowerModel::Curve(points) => {
            let tenth = (u * 10.0).floor();
            // The last piece ends at full load.
            let piece = points.windows(2).zip(0u8..).find(|(_, n)| f64::from(*n) >= tenth.min(9.0))?.0;
            let [from, to] = piece else { return None };
            Some(between(*from, *to, u * 10.0 - tenth.min(9.0)))
        }
        PowerModel::PerVcpu { min, max, vcpus } => {
            let count = Ratio::new(f64::from(vcpus.or(load.cpus)?)).ok()?;
            Some(between(*min, *max, u).scaled(count))
        }
    }
}

/// The power factor of the band that `utilisation` is in: a share of rated power, not the cosine of a phase.
#[must_use]
pub fn power_factor(utilisation: Ratio) -> Ratio {
    // In whole nanoseconds of a second, so that a bound is met exactly.
    let busy = Duration::try_from_secs_f64(utilisation.get()).map_or(u128::MAX, |busy| busy.as_nanos());
    let hundredths = hundredths(busy, Duration::from_secs(1).as_nanos());
    Ratio::new(f64::from(hundredths) / 100.0).unwrap_or(Ratio::ONE)
}

/// The point at `share` (0 to 1) of the straight line from `low` to `high`.
fn between(low: Watts, high: Watts, share: f64) -> Watts {
    let part = |share: f64| Ratio::new(share.clamp(0.0, 1.0)).unwrap_or(Ratio::ZERO);
    low.scaled(part(1.0 - share)) + high.scaled(part(share))
}

/// Mean utilisation of each data centre's hosts that know theirs, by their CPUs: for those that do not.
#[derive(Debug, Default)]
pub(super) struct Estate(BTreeMap<DatacenterId, (f64, f64)>);

impl Estate {
    /// As the hosts know it at `now`; empty where no host asks.
    pub(super) fn of(hosts: &[HostAccount], now: Moment) -> Self {
        let mut estate = Self::default();
        if hosts.iter().any(HostAccount::is_modelled) {
            for (host, (utilisation, cpus)) in hosts.iter().filter_map(|h| Some((h, h.utilisation(now)?))) {
                let (busy, all) = estate.0.entry(host.host().datacenter.clone()).or_default();
                *busy += utilisation.get() * f64::from(cpus);
                *all += f64::from(cpus);
            }
        }
        estate
    }

    /// The mean of one data centre; none where no host of it knows.
    pub(super) fn mean(&self, of: &DatacenterId) -> Option<Ratio> {
        let (busy, all) = self.0.get(of).filter(|(_, all)| *all > 0.0)?;
        Ratio::new(busy / all).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn watts(value: f64) -> Watts {
        Watts::new(value).unwrap()
    }

    fn at(model: &PowerModel, utilisation: f64, cpus: Option<u32>) -> Option<f64> {
        power(model, Load { utilisation: Ratio::new(utilisation).unwrap(), cpus }).map(Watts::get)
    }

    /// Points of a published SPECpower result have such a shape: 58 W at active idle, 98 W at 10 %, 20 W more for each tenth.
    fn curve() -> PowerModel {
        let watts_of = |n: u8| if n == 0 { 58.0 } else { 78.0 + 20.0 * f64::from(n) };
        PowerModel::Curve(Box::new(std::array::from_fn(|n| watts(watts_of(u8::try_from(n).unwrap())))))
    }

    #[test]
    fn upper_bounds_belong_to_their_band() {
        let factor = |u: f64| power_factor(Ratio::new(u).unwrap()).get();
        assert_eq!([0.0, 0.05, 0.0501, 0.15].map(factor), [0.30, 0.30, 0.42, 0.42]);
        assert_eq!([0.55, 0.56, 0.95, 0.951, 1.0].map(factor), [0.61, 0.68, 0.91, 1.0, 1.0]);
        assert_eq!(factor(1.7), 1.0, "more than all is all");
        // 500 W at 30 %: 0.51 x 500.
        assert_eq!(at(&PowerModel::Banded(watts(500.0)), 0.3, None), Some(255.0));
    }

    #[test]
    fn a_line_goes_from_idle_to_max() {
        let line = PowerModel::Linear { idle: watts(60.0), max: watts(300.0) };
        // 60 + 240 x 0.25.
        assert_eq!([0.0, 0.25, 1.0, 2.0].map(|u| at(&line, u, None).unwrap()), [60.0, 120.0, 300.0, 300.0]);
    }

    #[test]
    fn a_curve_goes_through_its_points_and_straight_between_them() {
        let known = [(0.0, 58.0), (0.05, 78.0), (0.1, 98.0), (0.25, 128.0), (1.0, 278.0)];
        for (u, watts) in known {
            let said = at(&curve(), u, None).unwrap();
            assert!((said - watts).abs() < 1e-9, "{u}: {said}");
        }
    }

    #[test]
    fn watts_of_a_vcpu_count_for_each_and_for_none_where_nobody_knows_how_many() {
        let of = |vcpus| PowerModel::PerVcpu { min: watts(0.74), max: watts(3.5), vcpus };
        // 4 x (0.74 + 0.5 x 2.76) = 4 x 2.12.
        assert!((at(&of(None), 0.5, Some(4)).unwrap() - 8.48).abs() < 1e-9);
        assert!((at(&of(Some(2)), 0.5, Some(4)).unwrap() - 4.24).abs() < 1e-9);
        assert_eq!(at(&of(None), 0.5, None), None);
    }

    #[test]
    fn what_a_host_does_not_know_the_estate_does_and_else_it_is_half() {
        let ratio = |r| Some(Ratio::new(r).unwrap());
        let known = |own, estate| Load::new(own, estate, None).utilisation.get();
        assert_eq!(known(ratio(0.2), ratio(0.7)), 0.2);
        assert_eq!(known(None, ratio(0.7)), 0.7);
        assert_eq!(known(None, None), 0.5);
    }

    proptest! {
        #[test]
        fn more_load_never_takes_less_power(a in 0.0f64..1.2, b in 0.0f64..1.2) {
            let models = [
                curve(),
                PowerModel::Banded(watts(500.0)),
                PowerModel::Linear { idle: watts(60.0), max: watts(300.0) },
                PowerModel::PerVcpu { min: watts(0.74), max: watts(3.5), vcpus: Some(8) },
            ];
            for model in &models {
                let (low, high) = (at(model, a.min(b), None).unwrap(), at(model, a.max(b), None).unwrap());
                prop_assert!(low <= high + 1e-9, "{model:?}: {low} W, then {high} W");
            }
        }
    }
}
