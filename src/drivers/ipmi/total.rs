//! The power of the whole machine: by DCMI where it works.

use std::time::Duration;

use super::Readings;
use super::commands::{No, app, dcmi};
use super::errors::Trouble;
use super::link::Ask;
use super::reading::Poll;
use crate::model::{Moment, Watts};

/// How long DCMI is believed not to work before it is tried again.
const REST: Duration = Duration::from_secs(300);

/// Where the total comes from.
#[derive(Default)]
pub enum Total {
    /// DCMI was not asked yet.
    #[default]
    Unknown,
    /// DCMI gave a reading: from now on it is the total.
    Works,
    /// DCMI gave none, and is tried again at this moment.
    Rests(No, Moment),
}

impl Total {
    /// Whether the total is found: no sensor stands in for it any more.
    pub const fn is_found(&self) -> bool {
        matches!(self, Self::Works)
    }

    /// The total by DCMI, or why there is none.
    ///
    /// # Errors
    /// If the session fails.
    pub async fn read(&mut self, bmc: &mut dyn Ask, poll: Poll<'_>) -> Result<Result<Watts, No>, Trouble> {
        let now = poll.clock.now();
        match self {
            Self::Rests(no, until) if now < *until && poll.settings.readings == Readings::Auto => {
                return Ok(Err(*no));
            }
            Self::Unknown | Self::Works | Self::Rests(..) => {}
        }
        let reply = bmc.ask(dcmi::get_power_reading()).await?;
        let value = match dcmi::PowerReading::parse(&reply) {
            Ok(power) if !power.active => Err(No::NotMeasuring),
            Ok(power) if power.current == 0 && !is_off(bmc).await? => Err(No::NotMeasuring),
            Ok(power) => Watts::new(f64::from(power.current)).map_err(|_| No::Malformed),
            Err(no) => Err(no),
        };
        *self = match (&value, &self) {
            (Ok(_), _) | (Err(_), Self::Works) => Self::Works,
            (Err(No::Code(code)), Self::Unknown | Self::Rests(..)) if code.passes() => Self::Unknown,
            (Err(no), Self::Unknown | Self::Rests(..)) => Self::Rests(*no, now + REST),
        };
        Ok(value)
    }

    /// Where the total comes from and why, in words; `by_sensor` says which sensor it is where none else gives it.
    pub fn source(&self, by_sensor: &str) -> String {
        match self {
            Self::Works => "dcmi".to_owned(),
            Self::Unknown => by_sensor.to_owned(),
            Self::Rests(No::Malformed, _) => format!("{by_sensor} (dcmi: broken answer)"),
            Self::Rests(No::NotMeasuring, _) => format!("{by_sensor} (dcmi: not measuring)"),
            Self::Rests(No::Code(code), _) => format!("{by_sensor} (dcmi: {})", code.name()),
        }
    }
}

/// Whether the BMC says that the machine is off: only then are 0 W a reading.
///
/// # Errors
/// If the session fails.
pub async fn is_off(bmc: &mut dyn Ask) -> Result<bool, Trouble> {
    let reply = bmc.ask(app::get_chassis_status()).await?;
    Ok(app::is_on(&reply) == Ok(false))
}
