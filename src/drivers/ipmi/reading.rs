//! What one poll reads of a BMC, in a session that somebody else keeps: its total (`total`), its sensors, and who it is.

use std::borrow::Cow;

use super::errors::{self, Trouble};
use super::extras::{Inlet, Windows};
use super::identity::Who;
use super::link::Ask;
use super::sensors::Sensors;
use super::total::{Total, is_off};
use super::{Readings, Settings};
use crate::model::{
    Batch, ChannelId, Clock, ErrorKind, Identity, Measure, Moment, PollError, Reading, Watts,
};

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
    sensors: Sensors,
    inlet: Inlet,
    windows: Windows,
    who: Who,
    told: Option<Told>,
}

/// What was told of how a BMC is read. Who it is does not change.
struct Told {
    source: Cow<'static, str>,
    protection: String,
}

impl Reader {
    /// A new session: the repository may have changed while nobody looked.
    pub const fn reopened(&mut self) {
        self.sensors.doubt();
    }

    /// Reads the BMC once.
    ///
    /// # Errors
    /// If the session fails before there is a reading, or there is none.
    pub async fn read(&mut self, bmc: &mut dyn Ask, poll: Poll<'_>) -> Result<Batch, Trouble> {
        let (power, window) = self.total.read(bmc, poll, &mut self.who).await?;
        let mut readings: Vec<Reading> =
            power.and_then(|power| reading("input", Measure::Power(power))).into_iter().collect();
        let mut identity = None;
        // A poll by DCMI alone is the most frequent one by far: it does not carry what it never needs.
        let rest = match poll.settings.readings {
            Readings::Dcmi => Ok(()),
            Readings::Auto | Readings::Oem | Readings::Sensors => {
                Box::pin(self.read_rest(bmc, poll, &mut readings)).await
            }
        };
        match rest {
            Ok(()) if readings.is_empty() => {}
            // Nobody's watts depend on a name.
            Ok(()) => identity = self.identify(bmc, poll).await.unwrap_or(None),
            // A BMC that hangs on one sensor keeps what it said before.
            Err(Trouble::Session(_)) if !readings.is_empty() => {}
            Err(trouble) => return Err(trouble),
        }
        if readings.is_empty() {
            return Err(Trouble::Other(self.nothing(poll.settings)));
        }
        let mut windows: Vec<_> = window.into_iter().collect();
        windows.extend_from_slice(self.windows.read());
        Ok(Batch { readings, windows, identity, ..Batch::default() })
    }

    /// All but the total by DCMI or the maker's command.
    async fn read_rest(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        readings: &mut Vec<Reading>,
    ) -> Result<(), Trouble> {
        let (oem, sensors) = match poll.settings.readings {
            Readings::Auto => (true, true),
            Readings::Oem => (true, false),
            Readings::Sensors => (false, true),
            Readings::Dcmi => (false, false),
        };
        if oem {
            self.total.read_parts(bmc, poll, &mut self.who, readings).await?;
        }
        if sensors {
            let mut total = None;
            let read = self.sensors.read(bmc, poll, &mut self.who, readings, &mut total).await;
            self.total.node_manager = self.sensors.node_manager();
            // Also of a BMC that hung on a later sensor; only of 0 W it must be asked more.
            if read.is_ok() || total != Some(Watts::ZERO) {
                self.total_by_sensor(bmc, total, readings).await?;
            }
            read?;
        }
        if poll.settings.readings == Readings::Auto {
            if self.sensors.have_no_inlet() {
                self.inlet.read(bmc, poll, readings).await?;
            }
            if self.total.is_dcmi() {
                self.windows.ask(bmc, poll, self.total.controller).await?;
            }
        }
        Ok(())
    }

    /// The total by a sensor, where nothing better gives one.
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
        let source = self.total.source(&self.sensors, &self.who);
        if self.told.as_ref().is_some_and(|told| told.source == source && told.protection == poll.protection)
        {
            return Ok(None);
        }
        let identity = Box::pin(self.who.identity(bmc, poll.settings.learning)).await?;
        // Only now is its maker known for sure.
        let source = self.total.source(&self.sensors, &self.who);
        let profile = format!("{source}, {}", poll.protection);
        self.told = Some(Told { source, protection: poll.protection.to_owned() });
        Ok(Some(Identity { profile, ..identity }))
    }

    /// The error of a poll that brought no reading.
    fn nothing(&self, settings: &Settings) -> PollError {
        let what = match settings.readings {
            Readings::Auto => "no sensor has a reading, and DCMI Get Power Reading",
            Readings::Dcmi => "DCMI Get Power Reading",
            Readings::Oem => "the maker's own power command",
            Readings::Sensors => "",
        };
        match (self.total.no(), settings.readings) {
            (Some(no), Readings::Auto | Readings::Dcmi | Readings::Oem) => {
                errors::nothing(what, no, settings)
            }
            (None, Readings::Oem) => PollError::new(
                ErrorKind::NoReading,
                "no power command of this BMC's maker is known",
                "set `readings` to auto",
            ),
            (_, Readings::Sensors) | (None, Readings::Auto | Readings::Dcmi) => PollError::new(
                ErrorKind::NoReading,
                "none of the BMC's sensors has a reading in watts, volts, amperes or of the inlet's temperature",
                "set `readings` to auto, or meter the host over Redfish or at the PDU",
            ),
        }
    }
}

/// A measured reading of a channel whose name is known to be one.
pub fn reading(channel: &str, measure: Measure) -> Option<Reading> {
    Some(Reading::measured(ChannelId::new(channel).ok()?, measure))
}

#[cfg(test)]
mod tests;
