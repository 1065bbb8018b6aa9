//! What a discovery finds: a channel, and the files that its values stand in.

use std::path::{Path, PathBuf};

use super::attribute::{self, Trouble};
use crate::model::{Accuracy, ChannelId, ChannelInfo, Measure, Quality, Quantity};

/// One quantity of one channel.
#[derive(Debug, Clone)]
pub(super) struct Sensor {
    pub(super) channel: ChannelId,
    /// What must hold for its value to mean anything.
    pub(super) condition: Option<Condition>,
    pub(super) source: Source,
}

/// Where a value stands.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// In the first of these files that has one.
    Value(Value),
    /// Nowhere: the product of a current and a voltage that flow one way only.
    Product { amperes: Value, volts: Value },
    /// In a counter of energy, microjoules; with what it goes up to.
    Counter { file: PathBuf, range: Option<u64> },
}

/// A number in a file.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) files: Vec<PathBuf>,
    pub(super) quantity: Quantity,
    /// How many of the file's units make one of ours.
    pub(super) per_unit: f64,
    /// Whether a sign only says which way it flows.
    pub(super) unsigned: bool,
    pub(super) quality: Quality,
}

/// What a file must say.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) file: PathBuf,
    pub(super) wanted: Wanted,
}

/// See [`Condition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This.
    Is(&'static str),
    /// Anything else.
    IsNot(&'static str),
}

/// What was found, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) sensors: Vec<Sensor>,
    pub(super) infos: Vec<ChannelInfo>,
}

impl Found {
    /// Adds what a channel is called, unless that is nothing.
    pub(super) fn name(&mut self, channel: &ChannelId, name: String, accuracy: Option<Accuracy>) {
        if !name.is_empty() || accuracy.is_some() {
            self.infos.push(ChannelInfo { channel: channel.clone(), name, accuracy });
        }
    }

    pub(super) fn add(&mut self, channel: &ChannelId, condition: Option<Condition>, source: Source) {
        self.sensors.push(Sensor { channel: channel.clone(), condition, source });
    }
}

impl Condition {
    pub(super) fn holds(&self) -> Result<bool, Trouble> {
        let text = attribute::text(&self.file)?;
        Ok(match self.wanted {
            Wanted::Is(wanted) => text == wanted,
            Wanted::IsNot(other) => text != other,
        })
    }
}

impl Value {
    /// The number in one file, `per_unit` of whose units make one of ours.
    pub(super) fn of(file: PathBuf, quantity: Quantity, per_unit: f64) -> Self {
        Self { files: vec![file], quantity, per_unit, unsigned: false, quality: Quality::Measured }
    }

    /// The value in base units.
    pub(super) fn read(&self) -> Result<f64, Trouble> {
        let mut trouble = Trouble::Gone;
        for file in &self.files {
            match attribute::number(file) {
                Ok(number) => {
                    let number = if self.unsigned { number.saturating_abs() } else { number };
                    #[expect(clippy::cast_precision_loss, reason = "53 bits hold 9 GW to the microwatt")]
                    return Ok(number as f64 / self.per_unit);
                }
                Err(worse) => trouble = worse,
            }
        }
        Err(trouble)
    }

    /// The same as a measure; one that cannot be is none.
    pub(super) fn measure(&self) -> Result<Measure, Trouble> {
        let zero = crate::model::Joules::ZERO;
        Measure::from_base_units(self.quantity, self.read()?, zero, None).map_err(|_| Trouble::NoValue)
    }
}

/// A channel's name out of what a device calls itself: no control characters, not too long.
pub(super) fn channel(name: &str) -> Option<ChannelId> {
    ChannelId::new(name).ok()
}

/// Where a symbolic link points to: the last part of it, such as a device's address.
pub(super) fn link_name(link: &Path) -> Option<String> {
    let target = std::fs::read_link(link).ok()?;
    Some(target.file_name()?.to_str()?.to_owned())
}
