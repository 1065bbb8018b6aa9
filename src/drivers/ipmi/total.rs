//! The power of the whole machine: by DCMI where it works, else by the maker's own command. Energy and the power of
//! processors and memory, which only the maker's commands tell.

use std::borrow::Cow;
use std::time::Duration;

use super::Readings;
use super::commands::node_manager::{self, Domain};
use super::commands::{No, app, dcmi, dell};
use super::errors::Trouble;
use super::identity::Who;
use super::link::Ask;
use super::quirks::Quirk;
use super::reading::{Poll, reading};
use super::sensors::Sensors;
use super::wire::bridge::Via;
use super::wire::message::Request;
use crate::model::{ChannelId, Measure, PowerWindow, Reading, Watts};

mod source;

use source::Source;

/// How often in a row a BMC that answers DCMI with nothing at times is asked in the next poll again.
const EMPTY_ANSWERS: u8 = 3;

/// Whom the maker's own power command is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Oem {
    /// Dell's BMC.
    Dell,
    /// Intel Node Manager.
    NodeManager(Via),
}

/// Where the total comes from.
#[derive(Default)]
pub struct Total {
    dcmi: Source,
    /// Whether it was asked who answers DCMI's power commands.
    asked_controller: bool,
    /// Who does, where it is not the BMC.
    pub(super) controller: Option<Via>,
    empty_answers: u8,
    oem: Source,
    energy: Source,
    parts: [Source; 2],
    /// What Node Manager's record in the repository says.
    pub(super) node_manager: Option<Via>,
}

impl Total {
    /// Whether the total is found: no sensor stands in for it any more.
    pub const fn is_found(&self) -> bool {
        self.dcmi.works() || self.oem.works()
    }

    /// Whether DCMI is the total.
    pub const fn is_dcmi(&self) -> bool {
        self.dcmi.works()
    }

    /// Why there is no total.
    pub fn no(&self) -> Option<No> {
        self.dcmi.no().or_else(|| self.oem.no())
    }

    /// The total with its window, by DCMI or the maker's command; none where both have none.
    ///
    /// # Errors
    /// If the session fails.
    pub async fn read(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        who: &mut Who,
    ) -> Result<(Option<Watts>, Option<PowerWindow>), Trouble> {
        match poll.settings.readings {
            Readings::Auto | Readings::Dcmi => {
                if let Some((watts, window)) = self.by_dcmi(bmc, poll, who).await? {
                    return Ok((Some(watts), window));
                }
            }
            Readings::Oem | Readings::Sensors => {}
        }
        // Once DCMI has worked, nothing stands in for it.
        match poll.settings.readings {
            Readings::Auto if !self.dcmi.works() => {}
            Readings::Oem => {}
            Readings::Auto | Readings::Dcmi | Readings::Sensors => return Ok((None, None)),
        }
        Ok((Box::pin(self.by_oem(bmc, poll, who)).await?, None))
    }

    async fn by_dcmi(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        who: &mut Who,
    ) -> Result<Option<(Watts, Option<PowerWindow>)>, Trouble> {
        if self.dcmi.rests(poll.clock.now()) && poll.settings.readings == Readings::Auto {
            return Ok(None);
        }
        let mut value = self.ask_dcmi(bmc, poll).await?;
        if value.is_err() && !self.dcmi.works() && Box::pin(self.learn_controller(bmc)).await? {
            value = self.ask_dcmi(bmc, poll).await?;
        }
        let empty = matches!(value, Err(No::Malformed));
        self.empty_answers = if empty { self.empty_answers.saturating_add(1) } else { 0 };
        if empty
            && self.empty_answers < EMPTY_ANSWERS
            && Box::pin(who.vendor(bmc)).await?.answers_dcmi_with_nothing_at_times()
        {
            self.dcmi.again(No::Malformed);
            return Ok(None);
        }
        self.dcmi.note(value.as_ref().err().copied(), poll.clock.now());
        Ok(value.ok())
    }

    async fn ask_dcmi(
        &self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
    ) -> Result<Result<(Watts, Option<PowerWindow>), No>, Trouble> {
        let reply = bmc.ask(Request { via: self.controller, ..dcmi::get_power_reading() }).await?;
        let power = match dcmi::PowerReading::parse(&reply) {
            Ok(power) => power,
            Err(no) => return Ok(Err(no)),
        };
        let believed =
            power.active || power.current > 0 && poll.settings.quirks.contains(&Quirk::InactiveDcmi);
        if !believed || power.current == 0 && !Box::pin(is_off(bmc)).await? {
            return Ok(Err(No::NotMeasuring));
        }
        let length = Duration::from_millis(u64::from(power.period_ms));
        let window = ChannelId::new("input").ok().and_then(|input| power.window(&input, "reporting", length));
        Ok(watts(power.current).map(|watts| (watts, window)))
    }

    /// Asks once who answers DCMI's power commands; true if that is somebody else than was asked.
    async fn learn_controller(&mut self, bmc: &mut dyn Ask) -> Result<bool, Trouble> {
        if std::mem::replace(&mut self.asked_controller, true) {
            return Ok(false);
        }
        let reply = bmc.ask(dcmi::get_controller()).await?;
        self.controller = dcmi::controller(&reply).unwrap_or(None);
        Ok(self.controller.is_some())
    }

    async fn oem(&self, bmc: &mut dyn Ask, who: &mut Who) -> Result<Option<Oem>, Trouble> {
        let vendor = who.vendor(bmc).await?;
        if vendor.has_power_monitor() {
            return Ok(Some(Oem::Dell));
        }
        let usual = vendor.has_node_manager().then_some(node_manager::USUAL);
        Ok(self.node_manager.or(usual).map(Oem::NodeManager))
    }

    async fn by_oem(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        who: &mut Who,
    ) -> Result<Option<Watts>, Trouble> {
        let now = poll.clock.now();
        if self.oem.rests(now) {
            return Ok(None);
        }
        let Some(oem) = self.oem(bmc, who).await? else { return Ok(None) };
        // A BMC that goes silent over it is left alone for a while.
        self.oem.begin(now);
        let power = match oem {
            Oem::Dell => dell::power(&bmc.ask(dell::get_power()).await?),
            Oem::NodeManager(via) => part(bmc, via, Domain::Platform).await?,
        };
        let value = match power {
            Ok(0) if !is_off(bmc).await? => Err(No::NotMeasuring),
            Ok(power) => watts(power),
            Err(no) => Err(no),
        };
        self.oem.note(value.as_ref().err().copied(), now);
        Ok(value.ok())
    }

    /// What only the maker's commands tell: energy of the machine, power of its processors and memory.
    ///
    /// # Errors
    /// If the session fails.
    pub async fn read_parts(
        &mut self,
        bmc: &mut dyn Ask,
        poll: Poll<'_>,
        who: &mut Who,
        readings: &mut Vec<Reading>,
    ) -> Result<(), Trouble> {
        let now = poll.clock.now();
        match self.oem(bmc, who).await? {
            Some(Oem::Dell) if !self.energy.rests(now) => {
                self.energy.begin(now);
                let energy = dell::energy(&bmc.ask(dell::get_energy()).await?);
                self.energy.note(energy.as_ref().err().copied(), now);
                readings.extend(energy.ok().and_then(|energy| reading("input", Measure::Energy(energy))));
            }
            Some(Oem::NodeManager(via)) => {
                let parts = [("cpu", Domain::Processors), ("memory", Domain::Memory)];
                for ((channel, domain), source) in parts.into_iter().zip(&mut self.parts) {
                    if source.rests(now) {
                        continue;
                    }
                    source.begin(now);
                    let power = part(bmc, via, domain).await?;
                    // Parts of a machine that is on draw something.
                    let value =
                        power.and_then(|power| if power == 0 { Err(No::NotMeasuring) } else { watts(power) });
                    source.note(value.as_ref().err().copied(), now);
                    readings.extend(value.ok().and_then(|watts| reading(channel, Measure::Power(watts))));
                }
            }
            Some(Oem::Dell) | None => {}
        }
        Ok(())
    }

    /// Where the total comes from and why, in words; of `sensors` where nothing better gives it.
    pub fn source(&self, sensors: &Sensors, who: &Who) -> Cow<'static, str> {
        if self.dcmi.works() {
            return "dcmi".into();
        }
        let source: Cow<'static, str> = match (self.oem.works(), who.known().has_power_monitor()) {
            (false, _) => sensors.total_in_words().into(),
            (true, true) => "dell".into(),
            (true, false) => "node manager".into(),
        };
        match self.dcmi.why() {
            None => source,
            Some(No::Malformed) => format!("{source} (dcmi: broken answer)").into(),
            Some(No::NotMeasuring) => format!("{source} (dcmi: not measuring)").into(),
            Some(No::Code(code)) => format!("{source} (dcmi: {})", code.name()).into(),
        }
    }
}

async fn part(bmc: &mut dyn Ask, via: Via, domain: Domain) -> Result<Result<u16, No>, Trouble> {
    let request = Request { via: Some(via), ..node_manager::get_power(domain) };
    Ok(node_manager::power(&bmc.ask(request).await?, domain))
}

fn watts(watts: u16) -> Result<Watts, No> {
    Watts::new(f64::from(watts)).map_err(|_| No::Malformed)
}

/// Whether the BMC says that the machine is off: only then are 0 W a reading.
///
/// # Errors
/// If the session fails.
pub async fn is_off(bmc: &mut dyn Ask) -> Result<bool, Trouble> {
    let reply = bmc.ask(app::get_chassis_status()).await?;
    Ok(app::is_on(&reply) == Ok(false))
}
