//! One measured point as the store sees it: its latest values, its energy, and what its device says of it.

use std::time::Duration;

use super::energy::{Account, DeviceCounter, Drawn, Integral, Step};
use crate::model::{
    Accuracy, ChannelId, EnergyCounter, LabelSet, Measure, Microjoules, Moment, Quality, Quantity, Reading,
    Watts,
};

mod state;

pub use state::ChannelState;

/// More than any building draws. A garbled reading must not fill a counter that can never fall.
const MAX_WATTS: f64 = 1e9;
/// More than mankind draws in a week, and still exact to a kilojoule.
const MAX_JOULES: f64 = 1e18;

/// The latest value of one quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latest {
    /// The value in its base unit.
    pub measure: Measure,
    /// When it was read.
    pub at: Moment,
    /// How it came to be.
    pub quality: Quality,
}

/// What is said of a channel beside its values.
#[derive(Debug)]
struct Said {
    /// `datacenter`, `meter`, `channel`, `name`, rendered; none if nobody named it.
    info: Option<LabelSet>,
    accuracy: Option<Accuracy>,
}

/// One measured point.
#[derive(Debug)]
pub struct Channel {
    id: ChannelId,
    labels: LabelSet,
    /// What the device, or its profile, says of it; most channels have nothing to say.
    said: Option<Box<Said>>,
    latest: [Option<Latest>; Quantity::ALL.len()],
    pub(super) integral: Integral,
    device: Option<DeviceCounter>,
    /// The counter's next value is no continuation of its last one.
    renewed: bool,
    pub(super) account: Account,
    pub(super) tracks: Vec<usize>,
    /// Up to when the account is told.
    settled: Option<Moment>,
    /// This poll's power, with the power before it, and counter, until both are accounted.
    power_in: Option<(Option<Watts>, Watts)>,
    counter_in: Option<EnergyCounter>,
}

impl Channel {
    pub(super) fn new(id: ChannelId, labels: LabelSet, tracks: Vec<usize>) -> Self {
        Self {
            id,
            labels,
            said: None,
            latest: [None; Quantity::ALL.len()],
            integral: Integral::default(),
            device: None,
            renewed: false,
            account: Account::default(),
            tracks,
            settled: None,
            power_in: None,
            counter_in: None,
        }
    }

    /// Has other labels, and what its device says of it is to be told anew.
    pub(super) fn relabel(&mut self, labels: LabelSet) {
        self.labels = labels;
        self.said = None;
    }

    /// Another device is behind it from now on.
    pub(super) const fn renew(&mut self) {
        self.renewed = true;
    }

    /// Its readers have gone, and its values with them.
    pub(super) fn forget(&mut self) {
        self.tracks.clear();
        for latest in &mut self.latest {
            *latest = None;
        }
    }

    /// Nobody reads it from now on, or somebody does again: what lies between is neither bridged nor unmeasured.
    pub(super) fn pause(&mut self, now: Moment, max_gap: Duration) {
        self.integral.pause(now, max_gap);
        self.renewed = true;
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &ChannelId {
        &self.id
    }

    /// `datacenter`, `meter`, `channel`, rendered.
    #[must_use]
    pub const fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// The info series' labels, rendered; none if the device has no name for it.
    #[must_use]
    pub fn info(&self) -> Option<&LabelSet> {
        self.said.as_ref()?.info.as_ref()
    }

    /// How far its power may be off, as far as its device or profile says.
    #[must_use]
    pub fn accuracy(&self) -> Option<Accuracy> {
        self.said.as_ref()?.accuracy
    }

    pub(super) fn say(&mut self, info: Option<LabelSet>, accuracy: Option<Accuracy>) {
        let silent = info.is_none() && accuracy.is_none();
        self.said = (!silent).then(|| Box::new(Said { info, accuracy }));
    }

    /// The latest value of `quantity`, fresh or not.
    #[must_use]
    pub fn latest(&self, quantity: Quantity) -> Option<&Latest> {
        self.latest.get(slot(quantity))?.as_ref()
    }

    /// When it was last read, whatever the quantity.
    #[must_use]
    pub fn last_read(&self) -> Option<Moment> {
        self.latest.iter().flatten().map(|l| l.at).max()
    }

    /// Energy by integration of its power; none if it has had no power reading.
    #[must_use]
    pub fn integrated(&self) -> Option<Microjoules> {
        self.latest(Quantity::Power).map(|_| self.integral.total())
    }

    /// Energy by the device's own counter, unwrapped; none if it has none.
    #[must_use]
    pub fn counted(&self) -> Option<Microjoules> {
        self.device.as_ref().map(DeviceCounter::total)
    }
}

/// A quantity's place in [`Channel::latest`].
const fn slot(quantity: Quantity) -> usize {
    match quantity {
        Quantity::Power => 0,
        Quantity::ApparentPower => 1,
        Quantity::Voltage => 2,
        Quantity::Current => 3,
        Quantity::PowerFactor => 4,
        Quantity::Frequency => 5,
        Quantity::Temperature => 6,
        Quantity::Humidity => 7,
        Quantity::Flow => 8,
        Quantity::Energy => 9,
    }
}

impl Channel {
    /// Takes one reading, unless it cannot be. Power and counter wait for [`Self::settle`], since they may come in any order; true for the
    /// first of them.
    pub(super) fn take(&mut self, reading: &Reading, now: Moment) -> bool {
        if !is_plausible(&reading.measure) {
            return false;
        }
        let waited = self.power_in.is_some() || self.counter_in.is_some();
        match reading.measure {
            Measure::Power(w) => self.power_in = Some((self.power(), w)),
            Measure::Energy(c) => self.counter_in = Some(c),
            Measure::ApparentPower(_)
            | Measure::Voltage(_)
            | Measure::Current(_)
            | Measure::PowerFactor(_)
            | Measure::Frequency(_)
            | Measure::Temperature(_)
            | Measure::Humidity(_)
            | Measure::Flow(_) => {}
        }
        if let Some(place) = self.latest.get_mut(slot(reading.measure.quantity())) {
            *place = Some(Latest { measure: reading.measure, at: now, quality: reading.quality });
        }
        !waited && (self.power_in.is_some() || self.counter_in.is_some())
    }

    /// Accounts the power and counter of one poll; gives whether the energy since the last time is known, none if that is
    /// still to be told.
    pub(super) fn settle(&mut self, now: Moment, max_gap: Duration) -> Option<bool> {
        let silence = self.integral.silence(now);
        let power_in = self.power_in.take();
        let known_power = match power_in {
            Some((before, power)) => Some(before.map_or(power, |b| if b > power { b } else { power })),
            None => self.power(),
        };
        let counted = self.counter_in.take().map(|c| self.count(c, now, known_power));
        let drawn = match (power_in, silence) {
            (Some((_, power)), _) => {
                self.integral.advance(now, power, max_gap).map_or(Drawn::Gap, Drawn::Bridged)
            }
            // The next power reading will tell of this time too.
            (None, Some(silence)) if silence <= max_gap => {
                if matches!(counted, Some(Step::First | Step::Broken)) {
                    self.account.lose_counter();
                }
                return None;
            }
            (None, Some(_)) => Drawn::Lost,
            (None, None) => Drawn::Never,
        };
        let device = counted.and_then(|step| self.device.as_ref().map(|d| (step, d)));
        let known = self.account.advance(drawn, device);
        if known.is_some() {
            self.settled = Some(now);
        }
        known
    }

    /// Up to when its account is told; none before its first reading.
    pub(super) const fn settled(&self) -> Option<Moment> {
        self.settled
    }

    fn power(&self) -> Option<Watts> {
        match self.latest(Quantity::Power)?.measure {
            Measure::Power(w) => Some(w),
            _ => None,
        }
    }

    fn count(&mut self, counter: EnergyCounter, now: Moment, power: Option<Watts>) -> Step {
        let renewed = std::mem::take(&mut self.renewed);
        if let Some(device) = self.device.as_mut() {
            if renewed { device.renew(counter, now) } else { device.advance(counter, now, power) }
        } else {
            self.device = Some(DeviceCounter::new(counter, now));
            Step::First
        }
    }
}

const fn is_plausible(measure: &Measure) -> bool {
    match measure {
        Measure::Power(w) => w.get() <= MAX_WATTS,
        Measure::Energy(c) => c.total.get() <= MAX_JOULES,
        Measure::ApparentPower(_)
        | Measure::Voltage(_)
        | Measure::Current(_)
        | Measure::PowerFactor(_)
        | Measure::Frequency(_)
        | Measure::Temperature(_)
        | Measure::Humidity(_)
        | Measure::Flow(_) => true,
    }
}
