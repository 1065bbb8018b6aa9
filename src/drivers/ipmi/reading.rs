//! What one poll reads of a BMC, in a session that somebody else keeps: its total (`total`), its sensors, and who it is.

use std::time::Duration;

use super::commands::sensor;
use super::commands::{Code, No};
use super::errors::{self, Trouble};
use super::identity;
use super::link::Ask;
use super::points::{Point, points};
use super::repository::Repository;
use super::total::{Total, is_off};
use super::{Readings, Settings};
use crate::model::{
    Batch, ChannelId, Clock, ErrorKind, Identity, Measure, Moment, PollError, Reading, Watts,
};

/// How long sensors are believed to be the same ones, unless one of them vanishes.
const SENSORS_HOLD: Duration = Duration::from_secs(3600);

/// What one poll is made with.
#[derive(Clone, Copy)]
pub struct Poll<'a> {
    /// Of this BMC.
    pub settings: &'a Settings,
    /// The time.
    pub clock: &'a dyn Clock,
    /// When the poll began.
    pub begun: Moment,
    /// How the session is protected, for people.
    pub protection: &'a str,
}

impl Poll<'_> {
    /// Whether there is time left to learn what no reading depends on.
    pub fn may_learn(&self) -> bool {
        self.clock.now().since(self.begun) < self.settings.learning
    }
}

/// What is known of a BMC over its polls.
#[derive(Default)]
pub struct Reader {
    total: Total,
    repository: Repository,
    checked: Option<Moment>,
    points: Vec<Point>,
    asked_fru: bool,
    maker: Option<Identity>,
    told: Option<Identity>,
}

impl Reader {
    /// A new session: the repository may have changed while nobody looked.
    pub const fn reopened(&mut self) {
        self.checked = None;
    }

    /// Reads the BMC once.
    ///
    /// # Errors
    /// If the session fails before there is a reading, or there is none.
    pub async fn read(&mut self, bmc: &mut dyn Ask, poll: Poll<'_>) -> Result<Batch, Trouble> {
        let mut readings = Vec::new();
        let mut no = None;
        match poll.settings.readings {
            Readings::Auto | Readings::Dcmi => match self.total.read(bmc, poll).await? {
                Ok(power) => readings.extend(reading("input", Measure::Power(power))),
                Err(why) => no = Some(why),
            },
            Readings::Sensors => {}
        }
        let mut alive = true;
        match poll.settings.readings {
            Readings::Auto | Readings::Sensors => match self.sensors(bmc, poll, &mut readings).await {
                // A BMC that hangs on one sensor keeps what it said before.
                Err(Trouble::Session(_)) if !readings.is_empty() => alive = false,
                other => other?,
            },
            Readings::Dcmi => {}
        }
        if readings.is_empty() {
            return Err(Trouble::Other(nothing(no, poll.settings)));
        }
        // Nobody's watts depend on a name.
        let identity = if alive { self.identify(bmc, poll).await.unwrap_or(None) } else { None };
        Ok(Batch { readings, identity, ..Batch::default() })
    }

    /// Learns what sensors there are, for a while, and reads those that are known.
    async fn sensors(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        readings: &mut Vec<Reading>,
    ) -> Result<(), Trouble> {
        let now = poll.clock.now();
        if self.checked.is_none_or(|checked| now.since(checked) > SENSORS_HOLD) {
            self.repository.check(bmc).await?;
            self.checked = Some(poll.clock.now());
        }
        if self.repository.is_learning() {
            while self.repository.is_learning() && (readings.is_empty() || poll.may_learn()) {
                self.repository.step(bmc).await?;
            }
            if !self.repository.is_learning() {
                self.points = points(self.repository.sensors());
            }
        }
        let mut total = None;
        for point in &self.points {
            let reply = bmc.ask(sensor::get_reading(point.sensor.number, point.sensor.lun)).await?;
            match sensor::reading(&reply) {
                Ok(raw) => {
                    let value = raw.and_then(|raw| point.sensor.factors.value(raw));
                    let Some(measure) = value.and_then(|value| point.sensor.unit.measure(value).ok()) else {
                        continue;
                    };
                    if let (true, Measure::Power(power)) = (point.total, measure) {
                        total = Some(power);
                    }
                    readings.push(Reading::measured(point.channel.clone(), measure));
                }
                // Its repository says otherwise than the BMC: it is asked again whether it has changed.
                Err(No::Code(Code::NOT_PRESENT)) => self.checked = None,
                Err(_) => {}
            }
        }
        self.total_by_sensor(bmc, total, readings).await
    }

    /// The total by a sensor, where DCMI does not give one.
    async fn total_by_sensor(
        &self,
        bmc: &mut dyn Ask,
        total: Option<Watts>,
        readings: &mut Vec<Reading>,
    ) -> Result<(), Trouble> {
        let Some(power) = total else { return Ok(()) };
        if self.total.is_found() || power == Watts::ZERO && !is_off(bmc).await? {
            return Ok(());
        }
        readings.extend(reading("input", Measure::Power(power)));
        Ok(())
    }

    /// Who the BMC says it is, when that is new.
    async fn identify(&mut self, bmc: &mut dyn Ask, poll: Poll<'_>) -> Result<Option<Identity>, Trouble> {
        let maker = match &self.maker {
            Some(maker) => maker.clone(),
            None => {
                // A BMC that is slow or hangs over its FRU is not asked for it again.
                let fru = !std::mem::replace(&mut self.asked_fru, true);
                let patience = if fru { poll.settings.learning } else { Duration::ZERO };
                let maker = identity::ask(bmc, patience).await?;
                self.maker.insert(maker).clone()
            }
        };
        let identity = Identity { profile: self.profile(poll), ..maker };
        if self.told.as_ref() == Some(&identity) {
            return Ok(None);
        }
        self.told = Some(identity.clone());
        Ok(Some(identity))
    }

    /// Where the total comes from and why, and how it is protected.
    fn profile(&self, poll: Poll<'_>) -> String {
        let by_sensor = self
            .points
            .iter()
            .find(|point| point.total)
            .map_or_else(|| "no total".to_owned(), |point| format!("sensor {}", point.sensor.name));
        format!("{}, {}", self.total.source(&by_sensor), poll.protection)
    }
}

/// The error of a poll that brought no reading.
fn nothing(no: Option<No>, settings: &Settings) -> PollError {
    match (no, settings.readings) {
        (Some(no), Readings::Dcmi) => errors::nothing("DCMI Get Power Reading", no, settings),
        (Some(no), Readings::Auto | Readings::Sensors) => {
            errors::nothing("no sensor has a reading, and DCMI Get Power Reading", no, settings)
        }
        (None, _) => PollError::new(
            ErrorKind::NoReading,
            "none of the BMC's sensors has a reading in watts, volts, amperes or of the inlet's temperature",
            "set `readings` to auto, or meter the host over Redfish or at the PDU",
        ),
    }
}

/// A measured reading of a channel whose name is known to be one.
pub fn reading(channel: &str, measure: Measure) -> Option<Reading> {
    Some(Reading::measured(ChannelId::new(channel).ok()?, measure))
}
