//! What is asked rarely, or only where nothing better is: DCMI's windows, and its temperatures of the air inlet.

use std::time::Duration;

use super::commands::dcmi::{self, Period};
use super::errors::Trouble;
use super::link::Ask;
use super::reading::Poll;
use super::wire::bridge::Via;
use super::wire::message::Request;
use crate::model::{ChannelId, Measure, Moment, PowerWindow, Reading};

/// How often windows are asked for: they move slowly.
const WINDOWS_EVERY: Duration = Duration::from_secs(60);
/// How long a BMC without them, or without inlet temperatures, is left alone.
const REST: Duration = Duration::from_secs(3600);
/// Entities of the air inlet: IPMI's, which is to be preferred, and DCMI's.
const INLET: [u8; 2] = [0x37, 0x40];

/// The windows of one BMC.
#[derive(Default)]
pub struct Windows {
    /// None before it was asked.
    periods: Option<Vec<Period>>,
    /// As last read.
    read: Vec<PowerWindow>,
    due: Option<Moment>,
}

impl Windows {
    /// As last read, not longer ago than about a minute.
    pub fn read(&self) -> &[PowerWindow] {
        &self.read
    }

    /// Asks for them, where it is time to.
    ///
    /// # Errors
    /// If the session fails.
    pub async fn ask(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        controller: Option<Via>,
    ) -> Result<(), Trouble> {
        let now = poll.clock.now();
        if self.due.is_some_and(|due| now < due) || !poll.may_learn() {
            return Ok(());
        }
        // Those of before are too old, whatever comes; a BMC that goes silent over it is left alone.
        self.read.clear();
        self.due = Some(now + REST);
        if self.periods.is_none() {
            let reply = bmc.ask(dcmi::get_periods()).await?;
            self.periods = Some(dcmi::periods(&reply).unwrap_or_default());
        }
        let Ok(channel) = ChannelId::new("input") else { return Ok(()) };
        let mut read = Vec::new();
        for period in self.periods.iter().flatten() {
            let reply = bmc.ask(Request { via: controller, ..dcmi::get_enhanced(*period) }).await?;
            let window = dcmi::PowerReading::parse(&reply).ok();
            read.extend(window.and_then(|power| power.window(&channel, period.name(), period.length())));
        }
        if !read.is_empty() {
            self.due = Some(now + WINDOWS_EVERY);
        }
        self.read = read;
        Ok(())
    }
}

/// The air inlet by DCMI.
#[derive(Default)]
pub struct Inlet {
    /// The entity that answers.
    entity: Option<u8>,
    due: Option<Moment>,
}

impl Inlet {
    /// Reads it, as `inlet/1` and so on, where it is not known to be absent.
    ///
    /// # Errors
    /// If the session fails.
    pub async fn read(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        readings: &mut Vec<Reading>,
    ) -> Result<(), Trouble> {
        let now = poll.clock.now();
        if self.due.is_some_and(|due| now < due) {
            return Ok(());
        }
        self.due = Some(now + REST);
        for entity in INLET.into_iter().filter(|one| self.entity.is_none_or(|known| known == *one)) {
            let reply = bmc.ask(dcmi::get_temperatures(entity)).await?;
            let temperatures = dcmi::temperatures(&reply).unwrap_or_default();
            if temperatures.is_empty() {
                continue;
            }
            (self.entity, self.due) = (Some(entity), None);
            readings.extend(temperatures.into_iter().filter_map(|(number, celsius)| {
                let channel = ChannelId::new(&format!("inlet/{number}")).ok()?;
                Some(Reading::measured(channel, Measure::Temperature(celsius)))
            }));
            break;
        }
        Ok(())
    }
}
