//! Minutes of power by utilisation: few numbers that fade, so that a changed machine is learned anew.

use serde::{Deserialize, Serialize};

/// How fast the past fades.
const HALF_LIFE_SECONDS: f64 = 6.0 * 3600.0;
/// Bins of equal width.
const BINS: usize = 20;
/// A bin that has faded to this little is empty.
const LEAST_SECONDS: f64 = 1.0;
/// How far off a reading may pull a bin's mean, in mean deviations: a burst of errors is not what the machine draws.
const PULL: f64 = 3.0;
/// No power is steadier than this share of itself, or than a tenth of a watt.
const STEADIEST: f64 = 0.002;
/// How steady the first reading of a bin is taken to be.
const FIRST: f64 = 0.02;
/// More than any machine draws, W.
const MOST_WATTS: f64 = 1e7;

/// What was seen at one range of utilisation.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Bin {
    /// For how long, s, faded.
    pub seconds: f64,
    /// Mean busy share, 0 to 1.
    pub busy: f64,
    /// Mean power, W.
    pub power: f64,
    /// Mean absolute deviation of power, W.
    pub deviation: f64,
}

impl Bin {
    fn take(&mut self, busy: f64, power: f64, seconds: f64) {
        if self.seconds < LEAST_SECONDS {
            *self = Self { seconds, busy, power, deviation: steadiest(power, FIRST) };
            return;
        }
        let share = seconds / (self.seconds + seconds);
        let most = PULL * self.deviation;
        let off = (power - self.power).clamp(-most, most);
        self.seconds += seconds;
        self.busy += share * (busy - self.busy);
        self.power += share * off;
        self.deviation += share * (off.abs() - self.deviation);
        self.deviation = self.deviation.max(steadiest(self.power, STEADIEST));
    }

    fn is_possible(&self) -> bool {
        let within = |value: f64, most: f64| (0.0..=most).contains(&value);
        within(self.seconds, f64::MAX)
            && within(self.busy, 1.0)
            && within(self.power, MOST_WATTS)
            && within(self.deviation, MOST_WATTS)
    }
}

fn steadiest(power: f64, share: f64) -> f64 {
    (power * share).max(0.1)
}

/// All of them, from no load to full load.
#[derive(Debug, Clone, Default)]
pub(super) struct Bins([Bin; BINS]);

impl Bins {
    /// Takes a mean over some time; all that was before fades by as much.
    pub(super) fn take(&mut self, busy: f64, power: f64, seconds: f64) {
        let fade = (-seconds / HALF_LIFE_SECONDS).exp2();
        for bin in &mut self.0 {
            bin.seconds *= fade;
        }
        if let Some(bin) = self.at(busy) {
            bin.take(busy, power, seconds);
        }
    }

    /// Those that hold anything, by load.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Bin> {
        self.0.iter().filter(|bin| bin.seconds >= LEAST_SECONDS)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// As they were kept; what cannot be true is left out.
    pub(super) fn resume(kept: &[Bin]) -> Self {
        let mut bins = Self::default();
        for bin in kept.iter().filter(|bin| bin.is_possible()) {
            if let Some(place) = bins.at(bin.busy) {
                *place = *bin;
            }
        }
        bins
    }

    fn at(&mut self, busy: f64) -> Option<&mut Bin> {
        let width = 1.0 / f64::from(u8::try_from(BINS).unwrap_or(u8::MAX));
        let past = |n: u8| busy < width * f64::from(n);
        let n = (1u8..).zip(&self.0).position(|(n, _)| past(n)).unwrap_or(BINS - 1);
        self.0.get_mut(n)
    }
}
