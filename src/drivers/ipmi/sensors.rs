//! The sensors of one BMC over its polls: learned, and read one by one.

use std::time::Duration;

use super::commands::record::Sensor;
use super::commands::sensor::{self, Factors, Scanning};
use super::commands::{Code, No};
use super::errors::Trouble;
use super::identity::Who;
use super::link::Ask;
use super::points::{Discrete, Point, is_inlet, points};
use super::quirks::Quirk;
use super::reading::Poll;
use super::repository::Repository;
use super::wire::bridge::Via;
use super::wire::message::Request;
use crate::model::{Measure, Moment, Reading, Watts};

/// How long sensors are believed to be the same ones, unless one of them vanishes.
const HOLD: Duration = Duration::from_secs(3600);

/// What is known of them.
#[derive(Default)]
pub struct Sensors {
    repository: Repository,
    checked: Option<Moment>,
    points: Vec<Point>,
    /// Controllers that were asked and have not answered: the BMC passes on what they never get.
    silent: Vec<Via>,
}

impl Sensors {
    /// The repository may have changed.
    pub const fn doubt(&mut self) {
        self.checked = None;
    }

    /// Where Intel Node Manager is, if the repository says so.
    pub fn node_manager(&self) -> Option<Via> {
        self.repository.node_manager()
    }

    /// Whether all are known, and none of them stands in the air inlet.
    pub fn have_no_inlet(&self) -> bool {
        let inlet = |point: &Point| point.sensor.unit.is_temperature() && is_inlet(&point.sensor);
        self.repository.is_known() && !self.repository.is_learning() && !self.points.iter().any(inlet)
    }

    /// Which one is the total, for people.
    pub fn total_in_words(&self) -> String {
        let total = self.points.iter().find(|point| point.total);
        total.map_or_else(|| "no total".to_owned(), |point| format!("sensor {}", point.sensor.name))
    }

    /// Learns what sensors there are, for a while, and reads those that are known; `total` becomes the machine's power,
    /// if one of them shows it.
    ///
    /// # Errors
    /// If the session fails.
    pub async fn read(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        who: &mut Who,
        readings: &mut Vec<Reading>,
        total: &mut Option<Watts>,
    ) -> Result<(), Trouble> {
        self.learn(bmc, poll, who, readings.is_empty()).await?;
        let scanning = if poll.settings.quirks.contains(&Quirk::IgnoreScanningDisabled) {
            Scanning::Ignored
        } else {
            Scanning::Believed
        };
        for point in &self.points {
            if let Some(via) = point.sensor.via {
                if self.silent.contains(&via) {
                    continue;
                }
                self.silent.push(via);
            }
            let value = value(bmc, &point.sensor, scanning).await?;
            self.silent.retain(|via| Some(*via) != point.sensor.via);
            match value {
                Ok(value) => {
                    let Some(measure) = value.and_then(|value| point.sensor.unit.measure(value).ok()) else {
                        continue;
                    };
                    if let (true, Measure::Power(power)) = (point.total, measure) {
                        *total = Some(power);
                    }
                    readings.push(Reading::measured(point.channel.clone(), measure));
                }
                // Its repository says otherwise than the BMC: it is asked again whether it has changed.
                Err(No::Code(Code::NOT_PRESENT)) => self.checked = None,
                Err(_) => {}
            }
        }
        Ok(())
    }

    async fn learn(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        who: &mut Who,
        to_the_end: bool,
    ) -> Result<(), Trouble> {
        let now = poll.clock.now();
        if self.checked.is_none_or(|checked| now.since(checked) > HOLD) {
            self.repository.check(bmc).await?;
            self.checked = Some(poll.clock.now());
        }
        if !self.repository.is_learning() {
            return Ok(());
        }
        while self.repository.is_learning() && (to_the_end || poll.may_learn()) {
            self.repository.step(bmc).await?;
        }
        if !self.repository.is_learning() {
            let discrete = if poll.settings.quirks.contains(&Quirk::DiscreteReading)
                || who.vendor(bmc).await?.marks_numbers_as_discrete()
            {
                Discrete::Read
            } else {
                Discrete::Skipped
            };
            self.points = points(self.repository.sensors(), discrete);
            self.silent.clear();
        }
        Ok(())
    }
}

/// What the sensor shows, in its unit; `None` if it has no reading now.
async fn value(
    bmc: &mut dyn Ask,
    sensor: &Sensor,
    scanning: Scanning,
) -> Result<Result<Option<f64>, No>, Trouble> {
    let to_owner = |request| Request { via: sensor.via, ..request };
    let reply = bmc.ask(to_owner(sensor::get_reading(sensor.number, sensor.lun))).await?;
    let raw = match sensor::reading(&reply, scanning) {
        Ok(Some(raw)) => raw,
        Ok(None) => return Ok(Ok(None)),
        Err(no) => return Ok(Err(no)),
    };
    if !sensor.each_reading {
        return Ok(Ok(sensor.factors.value(raw)));
    }
    let reply = bmc.ask(to_owner(sensor::get_factors(sensor.number, sensor.lun, raw))).await?;
    Ok(Factors::parse(&reply, sensor.factors.format).map(|factors| factors.value(raw)))
}
