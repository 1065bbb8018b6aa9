//! One meter as the store sees it: its channels, and what it says of itself. Long, since polls, readers, reloads and switches all
//! meet here; what a channel does stands in `channel.rs`.

use std::collections::HashMap;
use std::time::Duration;

use super::MeterSettings;
use super::channel::Channel;
use super::track::Track;
use crate::model::{
    Accuracy, Batch, ChannelId, ChannelInfo, Identity, LabelSet, Measure, Moment, PollError, PowerWindow,
    Quality, Quantity, Ratio, Reading, SystemSummary, Watts,
};

mod state;

pub use state::MeterState;

/// The most channels one meter may have: a hostile device must not fill the memory.
const MAX_CHANNELS: usize = 4096;

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
    enabled: bool,
    labels: LabelSet,
    info: LabelSet,
    identity: Identity,
    system: Option<System>,
    windows: Vec<Windowed>,
    channels: Vec<Channel>,
    by_id: HashMap<ChannelId, usize>,
    /// One for each reader of a channel's past, since each forgets at its own pace; none where a reader has gone.
    tracks: Vec<Option<(ChannelId, Track)>>,
    /// Scratch of one poll, kept for its allocation.
    touched: Vec<usize>,
    last_good: Option<Moment>,
    /// When the newest reading was taken: not after the last good poll, which may have brought only earlier ones.
    last_taken: Option<Moment>,
    last_error: Option<(Moment, PollError)>,
    /// What goes on once its channel is seen.
    waiting: Option<state::Waiting>,
}

impl Meter {
    pub(super) fn new(settings: MeterSettings) -> Self {
        let identity = Identity::default();
        Self {
            enabled: true,
            labels: labels(&settings),
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
            waiting: None,
            settings,
        }
    }

    /// What the configuration says of it from `now` on. Where it is `another` device, nothing that the one before said of itself stays, and
    /// its counter begins a new account; the energy so far goes on.
    pub(super) fn reconfigure(&mut self, settings: MeterSettings, another: bool, now: Moment) {
        if another {
            self.identity = Identity::default();
            self.system = None;
            self.windows.clear();
            self.last_error = None;
            self.channels.iter_mut().for_each(Channel::renew);
        }
        if settings == self.settings && !another {
            return;
        }
        // A gap that was too long to be bridged stays one, whatever the new limit.
        let max_gap = self.settings.max_gap;
        self.channels.iter_mut().for_each(|channel| channel.integral.close_gap(now, max_gap));
        self.labels = labels(&settings);
        self.info = info_labels(&settings, &self.identity);
        self.windows.clear();
        self.system = self.system.take().map(|known| system(&settings, &known.summary));
        for channel in &mut self.channels {
            let labels = channel_labels(&settings, channel.id());
            channel.relabel(labels);
        }
        self.settings = settings;
    }

    /// What its device kept of the time before `now` is not wanted.
    pub(super) fn begin_at(&mut self, now: Moment) {
        self.last_taken = self.last_taken.max(Some(now));
    }

    /// See [`super::Store::set_enabled`].
    pub(super) fn set_enabled(&mut self, enabled: bool, now: Moment) {
        if self.enabled == enabled {
            return;
        }
        self.enabled = enabled;
        self.pause(now);
    }

    /// Takes leave of the configuration: its energy stands, and its readers have gone.
    pub(super) fn leave(&mut self, now: Moment) {
        self.enabled = true;
        self.pause(now);
        self.tracks.clear();
        self.channels.iter_mut().for_each(Channel::forget);
    }

    fn pause(&mut self, now: Moment) {
        let max_gap = self.settings.max_gap;
        self.channels.iter_mut().for_each(|channel| channel.pause(now, max_gap));
        self.unmiss_waiting();
        self.windows.clear();
        (self.last_good, self.last_error) = (None, None);
        // What the device itself kept of the time in which it was off is not wanted either.
        self.last_taken = Some(now);
    }

    /// Whether it is polled; otherwise somebody has switched it off.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
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

    /// Whether it is on, the last poll was good and its readings are still fresh at `now`.
    #[must_use]
    pub fn is_up(&self, now: Moment) -> bool {
        self.enabled
            && self.last_error.is_none()
            && self.last_good.is_some_and(|at| now.since(at) <= self.settings.stale_after)
    }

    /// The value of a quantity, if it is fresh at `now`.
    #[must_use]
    pub fn fresh(&self, channel: &Channel, quantity: Quantity, now: Moment) -> Option<f64> {
        let latest = channel.latest(quantity)?;
        self.is_fresh(latest.at, now).then(|| latest.measure.value())
    }

    fn is_fresh(&self, at: Moment, now: Moment) -> bool {
        self.enabled && now.since(at) <= self.settings.stale_after
    }

    /// How far a channel's power may be off: by the operator's word for its class, else by the device's or its profile's.
    #[must_use]
    pub fn accuracy(&self, channel: &Channel) -> Option<Accuracy> {
        let said = channel.accuracy();
        match self.settings.accuracy {
            Some(share) => Some(Accuracy { share, step: said.map_or(Watts::ZERO, |said| said.step) }),
            None => said,
        }
    }

    /// The largest error of a channel's power as a share of it, where that is known and the power fresh and not 0.
    #[must_use]
    pub fn error_ratio(&self, channel: &Channel, now: Moment) -> Option<Ratio> {
        let power = Watts::new(self.fresh(channel, Quantity::Power, now)?).ok()?;
        self.accuracy(channel)?.share_of(power)
    }

    /// Time without power readings on a channel that has had one.
    #[must_use]
    pub fn unmeasured(&self, channel: &Channel, now: Moment) -> Option<Duration> {
        channel.latest(Quantity::Power).map(|_| channel.integral.unmeasured(now, self.settings.max_gap))
    }

    /// A reader's track of a channel. One of a channel that has been read begins at its last reading.
    pub(super) fn track(&mut self, channel: &ChannelId) -> usize {
        let free = self.tracks.iter().position(Option::is_none);
        let index = free.unwrap_or(self.tracks.len());
        let mut track = Track::default();
        if let Some(known) = self.by_id.get(channel).and_then(|i| self.channels.get_mut(*i)) {
            known.tracks.push(index);
            if let Some(at) = known.settled() {
                track.push(at, known.account.total(), false);
            }
        }
        let track = Some((channel.clone(), track));
        match self.tracks.get_mut(index) {
            Some(place) => *place = track,
            None => self.tracks.push(track),
        }
        index
    }

    /// Lets go of a track whose reader has gone.
    pub(super) fn untrack(&mut self, track: usize) {
        let Some((id, _)) = self.tracks.get_mut(track).and_then(Option::take) else { return };
        if let Some(known) = self.by_id.get(&id).and_then(|i| self.channels.get_mut(*i)) {
            known.tracks.retain(|of| *of != track);
        }
    }

    /// Which channel a track is of.
    pub(super) fn tracked(&self, track: usize) -> Option<&ChannelId> {
        self.tracks.get(track)?.as_ref().map(|(id, _)| id)
    }

    /// Channels that someone reads the energy of, but this meter does not have, although it has answered.
    pub fn missing_feeds(&self) -> impl Iterator<Item = &ChannelId> {
        let answered = self.last_good.is_some();
        self.tracks
            .iter()
            .flatten()
            .map(|(id, _)| id)
            .filter(move |id| answered && !self.by_id.contains_key(*id))
    }

    pub(super) fn track_at(&self, track: usize) -> Option<&Track> {
        self.tracks.get(track)?.as_ref().map(|(_, t)| t)
    }

    pub(super) fn forget_before(&mut self, track: usize, until: Moment) {
        if let Some(Some((_, t))) = self.tracks.get_mut(track) {
            t.forget_before(until);
        }
    }

    pub(super) fn feed_power(&self, track: usize, now: Moment) -> Option<Watts> {
        let id = self.tracked(track)?;
        let channel = self.channels.get(*self.by_id.get(id)?)?;
        let latest = channel.latest(Quantity::Power)?;
        match latest.measure {
            Measure::Power(w) if self.is_fresh(latest.at, now) => Some(w),
            _ => None,
        }
    }

    /// The largest error of a feed's power, where that is known.
    pub(super) fn feed_error(&self, track: usize, now: Moment) -> Option<Watts> {
        let id = self.tracked(track)?;
        let channel = self.channels.get(*self.by_id.get(id)?)?;
        Some(self.accuracy(channel)?.error_of(self.feed_power(track, now)?))
    }

    /// Whether the device itself only estimates a feed's power; none before its first reading.
    pub(super) fn feed_quality(&self, track: usize) -> Option<Quality> {
        let id = self.tracked(track)?;
        let channel = self.channels.get(*self.by_id.get(id)?)?;
        channel.latest(Quantity::Power).or_else(|| channel.latest(Quantity::Energy)).map(|l| l.quality)
    }

    pub(super) fn fail(&mut self, error: &PollError, now: Moment) {
        if self.enabled {
            self.last_error = Some((now, error.clone()));
        }
    }

    pub(super) fn apply(&mut self, batch: &Batch, now: Moment) {
        if !self.enabled {
            // Of a poll that was under way when it was switched off.
            return;
        }
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
        batch.channels.iter().for_each(|info| self.say(info));
        self.last_good = Some(now);
        self.last_error = None;
    }

    /// Takes what the device says of a channel, whether or not it has shown a value yet.
    fn say(&mut self, said: &ChannelInfo) {
        let Some(channel) = self.channel(&said.channel).and_then(|index| self.channels.get_mut(index)) else {
            return;
        };
        let info = LabelSet::new(&[
            ("datacenter", self.settings.datacenter.as_str()),
            ("meter", self.settings.id.as_str()),
            ("channel", said.channel.as_str()),
            ("name", &said.name),
        ]);
        channel.say((!said.name.is_empty()).then_some(info), said.accuracy);
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
                if let Some(Some((_, track))) = self.tracks.get_mut(*track) {
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
        if self.channels.len() >= MAX_CHANNELS && !self.tracks.iter().flatten().any(|(of, _)| of == id) {
            return None;
        }
        let index = self.channels.len();
        if index == 0 {
            // Most meters are BMCs with one channel, and there may be ten thousand of them: no room for four at once.
            self.channels.reserve_exact(1);
        }
        let labels = channel_labels(&self.settings, id);
        let of_it = |track: &Option<(ChannelId, Track)>| track.as_ref().is_some_and(|(of, _)| of == id);
        let tracks = (0..).zip(&self.tracks).filter(|(_, track)| of_it(track)).map(|(i, _)| i).collect();
        let mut channel = Channel::new(id.clone(), labels, tracks);
        if let Some((state, past)) = self.take_waiting(id) {
            channel.resume(&state, &past);
        }
        self.channels.push(channel);
        self.by_id.insert(id.clone(), index);
        Some(index)
    }
}

fn labels(settings: &MeterSettings) -> LabelSet {
    LabelSet::new(&[
        ("datacenter", settings.datacenter.as_str()),
        ("meter", settings.id.as_str()),
        ("driver", settings.driver),
    ])
}

fn channel_labels(settings: &MeterSettings, channel: &ChannelId) -> LabelSet {
    LabelSet::new(&[
        ("datacenter", settings.datacenter.as_str()),
        ("meter", settings.id.as_str()),
        ("channel", channel.as_str()),
    ])
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
