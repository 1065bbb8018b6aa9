//! One meter as the store sees it: its channels with their latest values, energy and labels. Long, since what a poll changes is
//! private to one place.

use std::collections::HashMap;
use std::time::Duration;

use super::MeterSettings;
use super::energy::{Account, DeviceCounter, Drawn, Integral, Step};
use super::track::Track;
use crate::model::{
    Batch, ChannelId, EnergyCounter, Identity, LabelSet, Measure, Microjoules, Moment, PollError,
    PowerWindow, Quality, Quantity, Reading, SystemSummary, Watts,
};

/// The most channels one meter may have: a hostile device must not fill the memory.
const MAX_CHANNELS: usize = 4096;

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

/// One measured point.
#[derive(Debug)]
pub struct Channel {
    id: ChannelId,
    labels: LabelSet,
    latest: [Option<Latest>; Quantity::ALL.len()],
    integral: Integral,
    device: Option<DeviceCounter>,
    account: Account,
    tracks: Vec<usize>,
    /// This poll's power, with the power before it, and counter, until both are accounted.
    power_in: Option<(Option<Watts>, Watts)>,
    counter_in: Option<EnergyCounter>,
}

impl Channel {
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

/// A window of a channel's power, with its labels.
#[derive(Debug)]
pub struct Windowed {
    /// `datacenter`, `meter`, `channel`, `window`, rendered.
    pub labels: LabelSet,
    /// What the device says.
    pub window: PowerWindow,
}

/// The machine a BMC sits in, with its labels.
#[derive(Debug)]
pub struct System {
    /// `datacenter`, `meter`, rendered.
    pub labels: LabelSet,
    /// The info series' labels, rendered.
    pub info: LabelSet,
    /// What the BMC says.
    pub summary: SystemSummary,
}

/// One meter.
#[derive(Debug)]
pub struct Meter {
    settings: MeterSettings,
    labels: LabelSet,
    info: LabelSet,
    identity: Identity,
    system: Option<System>,
    windows: Vec<Windowed>,
    channels: Vec<Channel>,
    by_id: HashMap<ChannelId, usize>,
    /// One for each reader of a channel's past, since each forgets at its own pace.
    tracks: Vec<(ChannelId, Track)>,
    /// Scratch of one poll, kept for its allocation.
    touched: Vec<usize>,
    last_good: Option<Moment>,
    /// When the newest reading was taken: not after the last good poll, which may have brought only earlier ones.
    last_taken: Option<Moment>,
    last_error: Option<(Moment, PollError)>,
}

impl Meter {
    pub(super) fn new(settings: MeterSettings) -> Self {
        let identity = Identity::default();
        Self {
            labels: LabelSet::new(&[
                ("datacenter", settings.datacenter.as_str()),
                ("meter", settings.id.as_str()),
                ("driver", settings.driver),
            ]),
            info: info_labels(&settings, &identity),
            identity,
            system: None,
            windows: Vec::new(),
            channels: Vec::new(),
            by_id: HashMap::new(),
            tracks: Vec::new(),
            touched: Vec::new(),
            last_good: None,
            last_taken: None,
            last_error: None,
            settings,
        }
    }

    /// What the configuration says of it.
    #[must_use]
    pub const fn settings(&self) -> &MeterSettings {
        &self.settings
    }

    /// `datacenter`, `meter`, `driver`, rendered.
    #[must_use]
    pub const fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// The info series' labels, rendered.
    #[must_use]
    pub const fn info(&self) -> &LabelSet {
        &self.info
    }

    /// Who the device says it is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it says of the machine it sits in.
    #[must_use]
    pub const fn system(&self) -> Option<&System> {
        self.system.as_ref()
    }

    /// Its own windows of power, as long as they are fresh at `now`.
    pub fn windows(&self, now: Moment) -> impl Iterator<Item = &Windowed> {
        let fresh = self.last_good.is_some_and(|at| now.since(at) <= self.settings.stale_after);
        self.windows.iter().filter(move |_| fresh)
    }

    /// Its channels, in order of first sight.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// When the last good poll ended; none before the first.
    #[must_use]
    pub const fn last_good(&self) -> Option<Moment> {
        self.last_good
    }

    /// The error of the last poll, none if it was good.
    #[must_use]
    pub fn error(&self) -> Option<&PollError> {
        self.last_error.as_ref().map(|(_, e)| e)
    }

    /// Whether the last poll was good and its readings are still fresh at `now`.
    #[must_use]
    pub fn is_up(&self, now: Moment) -> bool {
        self.last_error.is_none()
            && self.last_good.is_some_and(|at| now.since(at) <= self.settings.stale_after)
    }

    /// The value of a quantity, if it is fresh at `now`.
    #[must_use]
    pub fn fresh(&self, channel: &Channel, quantity: Quantity, now: Moment) -> Option<f64> {
        let latest = channel.latest(quantity)?;
        (now.since(latest.at) <= self.settings.stale_after).then(|| latest.measure.value())
    }

    /// Time without power readings on a channel that has had one.
    #[must_use]
    pub fn unmeasured(&self, channel: &Channel, now: Moment) -> Option<Duration> {
        channel.latest(Quantity::Power).map(|_| channel.integral.unmeasured(now, self.settings.max_gap))
    }

    pub(super) fn track(&mut self, channel: &ChannelId) -> usize {
        let track = self.tracks.len();
        self.tracks.push((channel.clone(), Track::default()));
        if let Some(known) = self.by_id.get(channel).and_then(|i| self.channels.get_mut(*i)) {
            known.tracks.push(track);
        }
        track
    }

    /// Channels that someone reads the energy of, but this meter does not have, although it has answered.
    pub fn missing_feeds(&self) -> impl Iterator<Item = &ChannelId> {
        let answered = self.last_good.is_some();
        self.tracks.iter().map(|(id, _)| id).filter(move |id| answered && !self.by_id.contains_key(*id))
    }

    pub(super) fn track_at(&self, track: usize) -> Option<&Track> {
        self.tracks.get(track).map(|(_, t)| t)
    }

    pub(super) fn forget_before(&mut self, track: usize, until: Moment) {
        if let Some((_, t)) = self.tracks.get_mut(track) {
            t.forget_before(until);
        }
    }

    pub(super) fn feed_power(&self, track: usize, now: Moment) -> Option<Watts> {
        let (id, _) = self.tracks.get(track)?;
        let channel = self.channels.get(*self.by_id.get(id)?)?;
        let latest = channel.latest(Quantity::Power)?;
        match latest.measure {
            Measure::Power(w) if now.since(latest.at) <= self.settings.stale_after => Some(w),
            _ => None,
        }
    }

    /// Whether the device itself only estimates a feed's power; none before its first reading.
    pub(super) fn feed_quality(&self, track: usize) -> Option<Quality> {
        let (id, _) = self.tracks.get(track)?;
        let channel = self.channels.get(*self.by_id.get(id)?)?;
        channel.latest(Quantity::Power).or_else(|| channel.latest(Quantity::Energy)).map(|l| l.quality)
    }

    pub(super) fn fail(&mut self, error: &PollError, now: Moment) {
        self.last_error = Some((now, error.clone()));
    }

    pub(super) fn apply(&mut self, batch: &Batch, now: Moment) {
        if let Some(identity) = &batch.identity
            && *identity != self.identity
        {
            self.identity = identity.clone();
            self.info = info_labels(&self.settings, identity);
        }
        if let Some(summary) = &batch.system
            && self.system.as_ref().is_none_or(|known| known.summary != *summary)
        {
            self.system = Some(system(&self.settings, summary));
        }
        self.take_windows(&batch.windows);
        for earlier in &batch.earlier {
            // Later than what is known already, and not of the future: energy is integrated forwards.
            if self.last_taken.is_none_or(|known| earlier.at > known) && earlier.at < now {
                self.take(&earlier.readings, earlier.at);
            }
        }
        if !batch.readings.is_empty() {
            self.take(&batch.readings, now);
        }
        self.last_good = Some(now);
        self.last_error = None;
    }

    fn take_windows(&mut self, windows: &[PowerWindow]) {
        // The labels of windows that are still the same ones are kept: most polls only bring new watts.
        let same = |known: &Windowed, new: &PowerWindow| {
            known.window.channel == new.channel && known.window.name == new.name
        };
        if self.windows.len() == windows.len() && self.windows.iter().zip(windows).all(|(k, w)| same(k, w)) {
            for (known, new) in self.windows.iter_mut().zip(windows) {
                known.window.clone_from(new);
            }
            return;
        }
        let labelled = windows.iter().take(MAX_CHANNELS).map(|window| Windowed {
            labels: LabelSet::new(&[
                ("datacenter", self.settings.datacenter.as_str()),
                ("meter", self.settings.id.as_str()),
                ("channel", window.channel.as_str()),
                ("window", window.name),
            ]),
            window: window.clone(),
        });
        self.windows = labelled.collect();
    }

    fn take(&mut self, readings: &[Reading], now: Moment) {
        let mut touched = std::mem::take(&mut self.touched);
        for reading in readings {
            if let Some(index) = self.channel(&reading.channel)
                && let Some(channel) = self.channels.get_mut(index)
                && channel.take(reading, now)
            {
                touched.push(index);
            }
        }
        let max_gap = self.settings.max_gap;
        for index in touched.drain(..) {
            let Some(channel) = self.channels.get_mut(index) else { continue };
            let Some(known) = channel.settle(now, max_gap) else { continue };
            for track in &channel.tracks {
                if let Some((_, track)) = self.tracks.get_mut(*track) {
                    track.push(now, channel.account.total(), known);
                }
            }
        }
        self.touched = touched;
        self.last_taken = Some(now);
    }

    /// Finds or makes a channel; none once there are too many, unless a feed names it.
    fn channel(&mut self, id: &ChannelId) -> Option<usize> {
        if let Some(index) = self.by_id.get(id) {
            return Some(*index);
        }
        if self.channels.len() >= MAX_CHANNELS && !self.tracks.iter().any(|(of, _)| of == id) {
            return None;
        }
        let index = self.channels.len();
        if index == 0 {
            // Most meters are BMCs with one channel, and there may be ten thousand of them: no room for four at once.
            self.channels.reserve_exact(1);
        }
        self.channels.push(Channel {
            id: id.clone(),
            labels: LabelSet::new(&[
                ("datacenter", self.settings.datacenter.as_str()),
                ("meter", self.settings.id.as_str()),
                ("channel", id.as_str()),
            ]),
            latest: [None; Quantity::ALL.len()],
            integral: Integral::default(),
            device: None,
            account: Account::default(),
            tracks: (0..).zip(&self.tracks).filter(|(_, (of, _))| of == id).map(|(i, _)| i).collect(),
            power_in: None,
            counter_in: None,
        });
        self.by_id.insert(id.clone(), index);
        Some(index)
    }
}

impl Channel {
    /// Takes one reading, unless it cannot be. Power and counter wait for [`Self::settle`], since they may come in any order; true for the
    /// first of them.
    fn take(&mut self, reading: &Reading, now: Moment) -> bool {
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
    fn settle(&mut self, now: Moment, max_gap: Duration) -> Option<bool> {
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
        self.account.advance(drawn, device)
    }

    fn power(&self) -> Option<Watts> {
        match self.latest(Quantity::Power)?.measure {
            Measure::Power(w) => Some(w),
            _ => None,
        }
    }

    fn count(&mut self, counter: EnergyCounter, now: Moment, power: Option<Watts>) -> Step {
        if let Some(device) = self.device.as_mut() {
            device.advance(counter, now, power)
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

fn system(settings: &MeterSettings, summary: &SystemSummary) -> System {
    let place = [("datacenter", settings.datacenter.as_str()), ("meter", settings.id.as_str())];
    let [datacenter, meter] = place;
    System {
        labels: LabelSet::new(&place),
        info: LabelSet::new(&[
            datacenter,
            meter,
            ("hostname", &summary.hostname),
            ("processor_model", &summary.processor_model),
        ]),
        summary: summary.clone(),
    }
}

fn info_labels(settings: &MeterSettings, identity: &Identity) -> LabelSet {
    LabelSet::new(&[
        ("datacenter", settings.datacenter.as_str()),
        ("meter", settings.id.as_str()),
        ("driver", settings.driver),
        ("vendor", &identity.vendor),
        ("model", &identity.model),
        ("serial", &identity.serial),
        ("firmware", &identity.firmware),
        ("profile", &identity.profile),
    ])
}
