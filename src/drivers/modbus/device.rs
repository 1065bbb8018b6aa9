//! One meter over time: what to ask, what it says, who it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::errors::Place;
use super::line::Line;
use super::pace::Terms;
use super::plan::Plan;
use super::profile::{Profile, Span, Text, Value};
use super::read::{Found, Mounting, Outcome, Registers, read};
use super::wire::pdu::{Answer, Request, text_of};
use crate::drivers::{Trace, Traced};
use crate::model::{
    Accuracy, Batch, ChannelId, ChannelInfo, Clock, ErrorKind, Identity, Moment, PollError, Quantity, Ratio,
    Reading, Watts,
};

/// How long what a meter does not have is not asked for again, nor who it is: a meter that has just started may lack much.
const REFRESH_AFTER: Duration = Duration::from_secs(600);

/// What is known of a meter.
pub struct Device {
    place: Place,
    terms: Terms,
    mounting: Mounting,
    profile: Arc<Profile>,
    line: Arc<Mutex<Line>>,
    clock: Arc<dyn Clock>,
    plan: Plan,
    planned_at: Moment,
    /// Which of several places of a channel's quantity is read: the first that had a value.
    chosen: HashMap<(ChannelId, Quantity), usize>,
    /// Texts that have been asked for; none where the device has none.
    texts: Vec<(Text, Option<String>)>,
    /// Whether what is known of who it is was handed over.
    told: bool,
}

impl Device {
    /// Nothing known yet.
    pub fn new(
        place: Place,
        terms: Terms,
        mounting: Mounting,
        profile: Arc<Profile>,
        line: Arc<Mutex<Line>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let plan = Plan::new(&profile, mounting.invert);
        let planned_at = clock.now();
        let (chosen, texts) = (HashMap::new(), Vec::new());
        Self { place, terms, mounting, profile, line, clock, plan, planned_at, chosen, texts, told: false }
    }

    /// Reads the meter once.
    ///
    /// # Errors
    /// If it does not answer, or has no reading to give.
    pub async fn poll(&mut self) -> Result<Batch, PollError> {
        let begun = self.clock.now();
        let found = self.values().await?;
        let readings = self.readings(&found)?;
        self.learn_texts(begun).await;
        let mut batch = Batch {
            readings: readings.into_iter().map(|(_, reading)| reading).collect(),
            ..Batch::default()
        };
        if !self.told {
            batch.identity = Some(self.identity());
            batch.channels = self.channels();
            self.told = true;
        }
        Ok(batch)
    }

    /// Reads the meter once and tells of every value.
    ///
    /// # Errors
    /// As [`Device::poll`], but a meter without any reading is none.
    pub async fn trace(&mut self) -> Result<Trace, PollError> {
        let begun = self.clock.now();
        let found = self.values().await?;
        let readings = self.readings(&found).unwrap_or_default();
        self.learn_texts(begun).await;
        let identity = Some(self.identity());
        let mut trace = Trace { identity, channels: self.channels(), ..Trace::default() };
        for (index, (value, found)) in self.profile.values.iter().zip(&found).enumerate() {
            match readings.iter().find(|(of, _)| *of == index) {
                Some((_, reading)) => {
                    let (source, raw) = (source(found), raw(found));
                    trace.readings.push(Traced { reading: reading.clone(), source, raw });
                }
                None => trace.dropped.push(describe(value, found)),
            }
        }
        Ok(trace)
    }

    async fn ask(&self, request: Request) -> Result<Answer, PollError> {
        let mut line = self.line.lock().await;
        line.ask(self.place.unit, request, &self.terms).await.map_err(|fault| self.place.fault(fault))
    }

    /// Every value of the profile, in its order.
    async fn values(&mut self) -> Result<Vec<Found>, PollError> {
        if self.clock.now().since(self.planned_at) >= REFRESH_AFTER {
            self.forget();
        }
        let mut registers = Registers::default();
        let mut next = 0;
        while let Some(block) = self.plan.blocks().get(next) {
            let span = block.span;
            match self.ask(read_request(span)).await? {
                Answer::Registers(words) => {
                    registers.add(span, words);
                    next += 1;
                }
                Answer::Exception(exception) if exception.is_about_registers() => self.plan.split(span),
                Answer::Exception(exception) => {
                    return Err(self.place.exception(exception, span.table.function(), &self.profile.name));
                }
                Answer::Echoed | Answer::Objects(_) => next += 1,
            }
        }
        if self.plan.blocks().is_empty() {
            self.forget();
            return Err(self.place.no_registers(&self.profile.name));
        }
        Ok(self.profile.values.iter().map(|value| read(value, &registers, &self.mounting)).collect())
    }

    fn forget(&mut self) {
        // What had no value, perhaps because the meter had just started, may have one now. Two energy counters of one channel
        // differ, so there the first that was read stays.
        self.chosen.retain(|(_, quantity), _| *quantity == Quantity::Energy);
        self.plan = Plan::new(&self.profile, self.mounting.invert);
        self.planned_at = self.clock.now();
        self.texts.clear();
        self.told = false;
    }

    /// The readings, each with the place of its value in the profile.
    fn readings(&mut self, found: &[Found]) -> Result<Vec<(usize, Reading)>, PollError> {
        let mut readings = Vec::new();
        for (index, (value, found)) in self.profile.values.iter().zip(found).enumerate() {
            let Outcome::Value(measure) = found.outcome else { continue };
            let key = (value.channel.clone(), value.quantity);
            if *self.chosen.entry(key).or_insert(index) == index {
                let (channel, quality) = (value.channel.clone(), value.quality);
                readings.push((index, Reading { channel, measure, quality }));
            }
        }
        let misread: Vec<_> =
            self.profile.values.iter().zip(found).filter(|(_, found)| is_misread(found)).collect();
        if let Some((value, found)) = misread.first().filter(|_| misread.len() > readings.len()) {
            return Err(PollError::new(
                ErrorKind::Protocol,
                format!(
                    "{}; {} values of profile {} cannot be what they are said to be",
                    describe(value, found),
                    misread.len(),
                    self.profile.name
                ),
                "choose the profile of this very model; in a profile of your own check `type`, `word_order` and `register`",
            ));
        }
        if readings.is_empty() {
            return Err(self.nothing(found));
        }
        Ok(readings)
    }

    fn nothing(&self, found: &[Found]) -> PollError {
        let mut all = self.profile.values.iter().zip(found);
        let delivered = all.clone().any(|(_, found)| matches!(found.outcome, Outcome::Negative(_)));
        let first = all.next().map(|(value, found)| describe(value, found)).unwrap_or_default();
        let fix = if delivered {
            "its current transformers are turned round: turn them, or set `invert: true`"
        } else {
            "check that the meter is connected to the mains it measures; in a profile of your own check `type` and \
             `word_order`: NaN everywhere is a sign of wrong ones"
        };
        let name = &self.profile.name;
        let cause = format!("profile {name} fits, but none of its {} values is there ({first})", found.len());
        PollError::new(ErrorKind::NoReading, cause, fix)
    }

    /// Asks for the texts that are not known yet, as long as half of the poll's time is left: readings come first.
    async fn learn_texts(&mut self, begun: Moment) {
        let profile = Arc::clone(&self.profile);
        let ident = &profile.identity;
        let names = profile.channels.iter().filter_map(|channel| channel.name.as_ref());
        let lists = [&ident.vendor, &ident.model, &ident.serial, &ident.firmware];
        for text in lists.into_iter().flatten().chain(names) {
            if self.texts.iter().any(|(known, _)| known == text) {
                continue;
            }
            if self.clock.now().since(begun) > self.terms.poll_timeout / 2 {
                return;
            }
            let Ok(asked) = self.text(*text).await else { return };
            self.told = false;
            self.texts.extend(asked);
        }
    }

    /// What stands at `text`, and what came along with it.
    async fn text(&self, text: Text) -> Result<Vec<(Text, Option<String>)>, PollError> {
        let span = match text {
            Text::Characters(span) | Text::Number(span, ..) => span,
            Text::Object(object) => {
                // The basic objects come together, and so do the regular ones.
                let (code, first) = if object < 3 { (1, 0) } else { (2, 3) };
                let answer = self.ask(Request::Identify { code, object: first }).await?;
                let objects = if let Answer::Objects(objects) = answer { objects } else { Vec::new() };
                let some = |text: String| Some(text).filter(|text| !text.is_empty());
                let mut all: Vec<_> =
                    objects.into_iter().map(|(id, text)| (Text::Object(id), some(text))).collect();
                if !all.iter().any(|(known, _)| *known == text) {
                    all.push((text, None));
                }
                return Ok(all);
            }
        };
        let words = match self.ask(read_request(span)).await? {
            Answer::Registers(words) => words,
            Answer::Exception(_) | Answer::Echoed | Answer::Objects(_) => return Ok(vec![(text, None)]),
        };
        let said = match text {
            Text::Characters(_) | Text::Object(_) => {
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
                Some(text_of(&bytes)).filter(|text| !text.is_empty())
            }
            Text::Number(_, kind, order) => kind
                .read(&words, order)
                .filter(|number| !kind.never_means_a_value(*number))
                .map(|number| number.to_string()),
        };
        Ok(vec![(text, said)])
    }

    fn said(&self, places: &[Text]) -> String {
        let said = places.iter().find_map(|text| {
            let (_, said) = self.texts.iter().find(|(known, _)| known == text)?;
            said.clone()
        });
        said.unwrap_or_default()
    }

    fn identity(&self) -> Identity {
        let ident = &self.profile.identity;
        let vendor = self.said(&ident.vendor);
        Identity {
            vendor: if vendor.is_empty() { self.profile.vendor.clone() } else { vendor },
            model: self.said(&ident.model),
            serial: self.said(&ident.serial),
            firmware: self.said(&ident.firmware),
            profile: self.profile.name.clone(),
        }
    }

    fn channels(&self) -> Vec<ChannelInfo> {
        let step = |id: &ChannelId| {
            let power =
                self.profile.values.iter().find(|v| v.channel == *id && v.quantity == Quantity::Power)?;
            let watts =
                if power.kind.is_real() { 0.0 } else { power.scale.stretch(1.0) * self.mounting.ratio };
            Watts::new(watts).ok()
        };
        let accuracy = |share: Option<Ratio>, id: &ChannelId| {
            let (share, step) = (share?, step(id)?);
            Some(Accuracy { share, step })
        };
        let info = self.profile.channels.iter().map(|channel| ChannelInfo {
            channel: channel.id.clone(),
            name: channel.name.map(|text| self.said(&[text])).unwrap_or_default(),
            accuracy: accuracy(channel.accuracy, &channel.id),
        });
        info.filter(|info| !info.name.is_empty() || info.accuracy.is_some()).collect()
    }
}

const fn read_request(span: Span) -> Request {
    Request::Read { table: span.table, start: span.start, count: span.count }
}

const fn is_misread(found: &Found) -> bool {
    matches!(found.outcome, Outcome::Unbelievable(_))
}

/// `input 52`, or `input 801 + input 805`.
fn source(found: &Found) -> String {
    let table = |span: &Span| if span.table.function() == 4 { "input" } else { "holding" };
    let all: Vec<String> = found.spans.iter().map(|span| format!("{} {}", table(span), span.start)).collect();
    all.join(" + ")
}

/// `4481 A800 = 1037.25`.
fn raw(found: &Found) -> String {
    let one = |(words, number): &(Vec<u16>, super::number::Number)| {
        let words: Vec<String> = words.iter().map(|word| format!("{word:04X}")).collect();
        format!("{} = {number}", words.join(" "))
    };
    found.numbers.iter().map(one).collect::<Vec<_>>().join(" + ")
}

/// One line about a value that gave no reading.
fn describe(value: &Value, found: &Found) -> String {
    let what = format!("{} of {}", value.quantity.name(), value.channel);
    let place = format!("register {} ({}) has {}", source(found), value.kind.name(), raw(found));
    match found.outcome {
        Outcome::Value(_) => format!("{what}: {place}, but another place has it too"),
        Outcome::NotThere => format!("{what}: the meter does not have it"),
        Outcome::NoValue => format!("{what}: {place}, which means no value"),
        Outcome::Negative(total) => format!("{what}: {place}, so {total}, which is delivered, not drawn"),
        Outcome::Unbelievable(total) => format!("{what}: {place}, so {total}, which cannot be"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::transport::Address;
    use super::*;
    use crate::drivers::modbus::wire::pdu::Table;
    use crate::drivers::profiles::Profile as _;
    use crate::model::ManualClock;

    const TWO_PLACES: &str = "protocol: modbus\nname: own\nabout: a meter\ndefaults: {type: u16}\nchannels:\n\
        - {channel: input, values: [{quantity: power, register: 0}, {quantity: power, register: 1}, \
           {quantity: energy, register: 2, scale: 1}, {quantity: energy, register: 3, scale: 1}]}\n";

    fn device() -> Device {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Moment::ZERO));
        let address = Address::Tcp("127.0.0.1:1".into());
        let line = Arc::new(Mutex::new(Line::new(address.clone(), Arc::clone(&clock))));
        let timeout = Duration::from_secs(1);
        let terms =
            Terms { request_timeout: timeout, retries: 0, poll_timeout: timeout, pause: Duration::ZERO };
        let profile = Arc::new(Profile::parse(TWO_PLACES).unwrap());
        let mounting = Mounting { invert: false, ratio: 1.0 };
        Device::new(Place { address, unit: 1 }, terms, mounting, profile, line, clock)
    }

    #[test]
    fn a_meter_that_has_just_started_is_not_read_at_its_second_best_place_for_ever() {
        const NONE: u16 = u16::MAX;
        let mut device = device();
        let readings = |device: &mut Device, words: [u16; 4]| {
            let mut registers = Registers::default();
            registers.add(Span { table: Table::Holding, start: 0, count: 4 }, words.to_vec());
            let values = device.profile.values.iter();
            let found: Vec<Found> = values.map(|v| read(v, &registers, &device.mounting)).collect();
            let readings = device.readings(&found).unwrap();
            readings.iter().map(|(_, reading)| reading.measure.value()).collect::<Vec<_>>()
        };
        assert_eq!(readings(&mut device, [NONE, 20, NONE, 40]), [20.0, 40.0]);
        assert_eq!(readings(&mut device, [10, 21, 30, 41]), [21.0, 41.0], "not from poll to poll");
        device.forget();
        assert_eq!(readings(&mut device, [11, 22, 31, 42]), [11.0, 42.0], "but energy stays");
    }
}
