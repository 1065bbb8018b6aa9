//! Energy counters of BMCs: which of several numbers is the counter, and how fine its step is.
//!
//! A wrong choice is worse than none here, since the difference of two counters is billed: see [`Counters::read`].

use std::collections::{HashMap, HashSet};

use super::resources::Excerpt;
use crate::model::units::JOULES_PER_KILOWATT_HOUR;
use crate::model::{ChannelId, EnergyCounter, Joules};

/// The coarsest step that BMCs count in, kWh; also what is assumed when a number says nothing about its step.
const COARSEST_KWH: f64 = 1.0;
/// The finest step that is believed, kWh.
const FINEST_KWH: f64 = 0.001;
/// The step assumed for counters in joules, J. They are sums over samples about a second apart, so that single joules
/// in them mean nothing.
const JOULE_COUNTER_STEP: f64 = 1000.0;
/// More decimals than this come from a conversion or from binary fractions, not from the counter.
const MOST_DECIMALS: usize = 6;

/// The numbers that a BMC may keep for one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    KilowattHoursLifetime,
    KilowattHours,
    JoulesLifetime,
    Joules,
}

/// What keeps the counter. A change of it would be another counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    /// The resource of the chassis, supply or part.
    Resource,
    /// A sensor.
    Sensor,
}

#[derive(Debug, Clone, Copy)]
struct Choice {
    keeper: Keeper,
    source: Source,
    finest: f64,
}

/// What is remembered of each channel's counter.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters(HashMap<ChannelId, Choice>);

impl Counters {
    /// Forgets all other channels.
    pub(super) fn keep_only(&mut self, channels: &HashSet<ChannelId>) {
        self.0.retain(|channel, _| channels.contains(channel));
    }

    /// The counter of `channel`, if it can be trusted to be one.
    ///
    /// `LifetimeReading` is preferred, since `ResetMetrics` sets `Reading` back. Once a number has been chosen for a
    /// channel it stays: were the lifetime one missing for a moment and `Reading` taken instead, the way back would
    /// look like years of energy in one second. A counter at 0 is not reported: many BMCs show 0 for what they do not
    /// count, and until it moves the integral of power is all there is to know.
    pub(super) fn read(
        &mut self,
        channel: &ChannelId,
        keeper: Keeper,
        kwh: &Excerpt,
        joules: &Excerpt,
    ) -> Option<EnergyCounter> {
        let shown = |source| {
            match source {
                Source::KilowattHoursLifetime => kwh.lifetime,
                Source::KilowattHours => kwh.reading,
                Source::JoulesLifetime => joules.lifetime,
                Source::Joules => joules.reading,
            }
            .filter(|value| *value > 0.0)
        };
        let known = self.0.get(channel).copied();
        let source = match known {
            Some(choice) if choice.keeper != keeper => return None,
            Some(choice) => choice.source,
            None => {
                [Source::KilowattHoursLifetime, Source::KilowattHours, Source::JoulesLifetime, Source::Joules]
                    .into_iter()
                    .find(|source| shown(*source).is_some())?
            }
        };
        let value = shown(source)?;
        let (total, step) = match source {
            Source::KilowattHoursLifetime | Source::KilowattHours => {
                (value * JOULES_PER_KILOWATT_HOUR, step_kwh(value) * JOULES_PER_KILOWATT_HOUR)
            }
            Source::JoulesLifetime | Source::Joules => (value, JOULE_COUNTER_STEP),
        };
        let finest = known.map_or(step, |choice| choice.finest.min(step));
        let counter = EnergyCounter {
            total: Joules::new(total).ok()?,
            quantum: Joules::new(finest).ok()?,
            modulus: None,
        };
        self.0.insert(channel.clone(), Choice { keeper, source, finest });
        Some(counter)
    }
}

/// The step of a counter that shows `kwh`, as far as its decimals tell.
///
/// A step said too coarse costs a little sharpness in time. A step said too fine would let a counter that stands still
/// be read as a server that draws nothing. So whole numbers are 1 kWh, and decimals that no counter has are 1 kWh too.
fn step_kwh(kwh: f64) -> f64 {
    match decimals(kwh) {
        0 => COARSEST_KWH,
        1 => 0.1,
        2 => 0.01,
        n if n <= MOST_DECIMALS => FINEST_KWH,
        _many => COARSEST_KWH,
    }
}

/// Decimals of the shortest text that is this number; a single-precision number printed as a double counts as single.
fn decimals(value: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "compared with the original right away")]
    let single = value as f32;
    #[expect(clippy::float_cmp, reason = "exactly equal or not from a single-precision number at all")]
    let text = if f64::from(single) == value { single.to_string() } else { value.to_string() };
    text.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kwh(reading: Option<f64>, lifetime: Option<f64>) -> Excerpt {
        Excerpt { reading, lifetime, ..Excerpt::default() }
    }

    fn channel() -> ChannelId {
        ChannelId::new("input").unwrap()
    }

    #[test]
    fn the_step_follows_the_decimals_and_errs_on_the_coarse_side() {
        for (value, want) in [
            (325_675.0, 1.0),
            (12.5, 0.1),
            (12.34, 0.01),
            (12.345, 0.001),
            (12.345_678, 0.001),
            // 0.1 MJ steps: 1/36 kWh, which no number of decimals describes.
            (0.027_777_777_8, 1.0),
            // 12.3 kept in single precision by the BMC.
            (12.300_000_190_734_863, 0.1),
            (0.1 + 0.2, 1.0),
        ] {
            assert_eq!(step_kwh(value), want, "{value}");
        }
    }

    #[test]
    fn the_finest_step_seen_is_kept() {
        let mut counters = Counters::default();
        let quanta: Vec<f64> = [10.0, 10.12, 10.2]
            .map(|v| {
                counters
                    .read(&channel(), Keeper::Resource, &kwh(Some(v), None), &Excerpt::default())
                    .unwrap()
                    .quantum
                    .get()
            })
            .to_vec();
        assert_eq!(quanta, [3_600_000.0, 36_000.0, 36_000.0]);
    }

    #[test]
    fn a_lifetime_counter_is_never_swapped_for_the_resettable_one() {
        let mut counters = Counters::default();
        let none = Excerpt::default();
        let first =
            counters.read(&channel(), Keeper::Resource, &kwh(Some(3.0), Some(5000.0)), &none).unwrap();
        assert_eq!(first.total.get(), 18_000_000_000.0); // 5000 kWh x 3,600,000 J
        assert_eq!(counters.read(&channel(), Keeper::Resource, &kwh(Some(3.0), None), &none), None);
        assert!(counters.read(&channel(), Keeper::Resource, &kwh(None, Some(5000.0)), &none).is_some());
    }

    #[test]
    fn a_counter_at_zero_is_not_a_counter_yet() {
        let mut counters = Counters::default();
        assert_eq!(
            counters.read(&channel(), Keeper::Resource, &kwh(Some(0.0), Some(0.0)), &Excerpt::default()),
            None
        );
        assert_eq!(
            counters.read(&channel(), Keeper::Resource, &kwh(Some(-1.0), None), &Excerpt::default()),
            None
        );
    }

    #[test]
    fn a_counter_never_changes_its_keeper() {
        let mut counters = Counters::default();
        let none = Excerpt::default();
        assert!(counters.read(&channel(), Keeper::Sensor, &kwh(Some(7.0), None), &none).is_some());
        assert_eq!(counters.read(&channel(), Keeper::Resource, &kwh(Some(9000.0), None), &none), None);
        assert!(counters.read(&channel(), Keeper::Sensor, &kwh(Some(8.0), None), &none).is_some());
    }

    #[test]
    fn joules_serve_where_there_are_no_kilowatt_hours() {
        let mut counters = Counters::default();
        let counter = counters
            .read(&channel(), Keeper::Resource, &Excerpt::default(), &kwh(Some(123_456.0), None))
            .unwrap();
        assert_eq!((counter.total.get(), counter.quantum.get()), (123_456.0, 1000.0));
    }
}
