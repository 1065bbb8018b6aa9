//! Readings: what one poll of one meter says. A value that the device does not have is no reading; it is never 0.

use std::time::Duration;

use super::clock::Moment;
use super::ids::ChannelId;
use super::units::{Amperes, Celsius, CubicMetresPerSecond, Hertz, Joules, Ratio, VoltAmperes, Volts, Watts};

/// What is measured, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quantity {
    /// Real power, W.
    Power,
    /// Apparent power, VA.
    ApparentPower,
    /// Voltage, V.
    Voltage,
    /// Current, A.
    Current,
    /// Power factor, 0 to 1.
    PowerFactor,
    /// Frequency, Hz.
    Frequency,
    /// Temperature, degrees Celsius.
    Temperature,
    /// Relative humidity of the air, 0 to 1.
    Humidity,
    /// Flow of a heat carrier, m3/s.
    Flow,
    /// A counter of energy kept by the device, J.
    Energy,
}

impl Quantity {
    /// Every quantity, in order of exposition.
    pub const ALL: [Self; 10] = [
        Self::Power,
        Self::ApparentPower,
        Self::Voltage,
        Self::Current,
        Self::PowerFactor,
        Self::Frequency,
        Self::Temperature,
        Self::Humidity,
        Self::Flow,
        Self::Energy,
    ];

    /// The name users see: in profiles, `read` output and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::ApparentPower => "apparent_power",
            Self::Voltage => "voltage",
            Self::Current => "current",
            Self::PowerFactor => "power_factor",
            Self::Frequency => "frequency",
            Self::Temperature => "temperature",
            Self::Humidity => "humidity",
            Self::Flow => "flow",
            Self::Energy => "energy",
        }
    }

    /// The base unit's symbol.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Power => "W",
            Self::ApparentPower => "VA",
            Self::Voltage => "V",
            Self::Current => "A",
            Self::PowerFactor | Self::Humidity => "ratio",
            Self::Frequency => "Hz",
            Self::Temperature => "Cel",
            Self::Flow => "m3/s",
            Self::Energy => "J",
        }
    }
}

/// A device's own energy counter at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnergyCounter {
    /// What the counter shows, J.
    pub total: Joules,
    /// Its step, J: the true energy lies within one step of what it shows.
    pub quantum: Joules,
    /// Where it wraps to 0, J; none if it is not known to wrap.
    pub modulus: Option<Joules>,
}

/// A quantity with its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// Real power.
    Power(Watts),
    /// Apparent power.
    ApparentPower(VoltAmperes),
    /// Voltage.
    Voltage(Volts),
    /// Current.
    Current(Amperes),
    /// Power factor.
    PowerFactor(Ratio),
    /// Frequency.
    Frequency(Hertz),
    /// Temperature.
    Temperature(Celsius),
    /// Relative humidity of the air.
    Humidity(Ratio),
    /// Flow of a heat carrier.
    Flow(CubicMetresPerSecond),
    /// Energy counter.
    Energy(EnergyCounter),
}

impl Measure {
    /// Which quantity this is.
    #[must_use]
    pub const fn quantity(&self) -> Quantity {
        match self {
            Self::Power(_) => Quantity::Power,
            Self::ApparentPower(_) => Quantity::ApparentPower,
            Self::Voltage(_) => Quantity::Voltage,
            Self::Current(_) => Quantity::Current,
            Self::PowerFactor(_) => Quantity::PowerFactor,
            Self::Frequency(_) => Quantity::Frequency,
            Self::Temperature(_) => Quantity::Temperature,
            Self::Humidity(_) => Quantity::Humidity,
            Self::Flow(_) => Quantity::Flow,
            Self::Energy(_) => Quantity::Energy,
        }
    }

    /// The bare value in the quantity's base unit.
    #[must_use]
    pub const fn value(&self) -> f64 {
        match self {
            Self::Power(v) => v.get(),
            Self::ApparentPower(v) => v.get(),
            Self::Voltage(v) => v.get(),
            Self::Current(v) => v.get(),
            Self::PowerFactor(v) => v.get(),
            Self::Frequency(v) => v.get(),
            Self::Temperature(v) => v.get(),
            Self::Humidity(v) => v.get(),
            Self::Flow(v) => v.get(),
            Self::Energy(v) => v.total.get(),
        }
    }

    /// A measure of `quantity` from a bare number in base units; for `Energy` a quantum and modulus of the caller's.
    ///
    /// # Errors
    /// As the unit's constructor.
    pub fn from_base_units(
        quantity: Quantity,
        value: f64,
        quantum: Joules,
        modulus: Option<Joules>,
    ) -> Result<Self, super::UnitError> {
        Ok(match quantity {
            Quantity::Power => Self::Power(Watts::new(value)?),
            Quantity::ApparentPower => Self::ApparentPower(VoltAmperes::new(value)?),
            Quantity::Voltage => Self::Voltage(Volts::new(value)?),
            Quantity::Current => Self::Current(Amperes::new(value)?),
            Quantity::PowerFactor => Self::PowerFactor(Ratio::new(value)?),
            Quantity::Frequency => Self::Frequency(Hertz::new(value)?),
            Quantity::Temperature => Self::Temperature(Celsius::new(value)?),
            Quantity::Humidity => Self::Humidity(Ratio::new(value)?),
            Quantity::Flow => Self::Flow(CubicMetresPerSecond::new(value)?),
            Quantity::Energy => Self::Energy(EnergyCounter { total: Joules::new(value)?, quantum, modulus }),
        })
    }
}

/// How a value came to be. The two never share a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Quality {
    /// A sensor measured it.
    #[default]
    Measured,
    /// The device computed it from a setting or a rating.
    Estimated,
}

impl Quality {
    /// The word users see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Estimated => "estimated",
        }
    }
}

/// One value of one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Where it was measured.
    pub channel: ChannelId,
    /// What was measured.
    pub measure: Measure,
    /// How it came to be.
    pub quality: Quality,
}

impl Reading {
    /// A measured reading.
    #[must_use]
    pub const fn measured(channel: ChannelId, measure: Measure) -> Self {
        Self { channel, measure, quality: Quality::Measured }
    }
}

/// Who a device says it is. Empty text means that it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Identity {
    /// Maker.
    pub vendor: String,
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Firmware version.
    pub firmware: String,
    /// The device profile or quirk set that reads it; empty where the driver has none.
    pub profile: String,
}

/// What a device says of a channel's power over a window of its own. Never a source of energy: windows overlap, and their ends
/// are the device's secret.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerWindow {
    /// Where it was measured.
    pub channel: ChannelId,
    /// Which of the channel's windows: `reporting`, or its length where the device keeps several, such as `5m`.
    pub name: &'static str,
    /// Its length.
    pub length: Duration,
    /// Mean over the window.
    pub average: Option<Watts>,
    /// Least in the window.
    pub minimum: Option<Watts>,
    /// Most in the window.
    pub maximum: Option<Watts>,
}

/// What a BMC says of the machine it sits in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct SystemSummary {
    /// The machine's name for itself; empty if it does not say.
    pub hostname: String,
    /// Model of the processors; empty if it does not say.
    pub processor_model: String,
    /// Processors (sockets).
    pub processors: Option<u32>,
    /// Processor cores.
    pub cores: Option<u32>,
    /// Hardware threads.
    pub threads: Option<u32>,
    /// Memory, bytes.
    pub memory_bytes: Option<u64>,
}

/// Readings of an earlier moment than the poll that brought them: what a device sent by itself in between.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// When they were received.
    pub at: Moment,
    /// The readings; a channel and quantity stands at most once.
    pub readings: Vec<Reading>,
}

/// How far a channel's power may be off: a share of what it shows, and the step in which it shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// By the meter's class: 0.01 for class 1; 0 where no class is known, and what is said is the least that it may be off.
    pub share: Ratio,
    /// The least difference it can show, W; 0 where that is too small to matter.
    pub step: Watts,
}

impl Accuracy {
    /// The largest error of `power`: the class's share of it, and half a step.
    #[must_use]
    pub fn error_of(&self, power: Watts) -> Watts {
        power.scaled(self.share) + self.step.scaled(Ratio::HALF)
    }

    /// The largest error of `power` as a share of it; none of 0.
    #[must_use]
    pub fn share_of(&self, power: Watts) -> Option<Ratio> {
        Ratio::new(self.error_of(power).get() / power.get()).ok()
    }
}

/// What a device, or its profile, says of one of its channels.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelInfo {
    /// Which one.
    pub channel: ChannelId,
    /// What people call it on the device, such as an outlet's label; empty if nobody named it.
    pub name: String,
    /// How far its power may be off, where that is known.
    pub accuracy: Option<Accuracy>,
}

/// What one poll brought: every reading of one meter at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// What came since the last poll, oldest first; empty for devices that only answer.
    pub earlier: Vec<Earlier>,
    /// The readings; a channel and quantity stands at most once.
    pub readings: Vec<Reading>,
    /// The device's own windows of power; those of this poll replace those of the one before.
    pub windows: Vec<PowerWindow>,
    /// Who the device says it is, where this poll asked.
    pub identity: Option<Identity>,
    /// What is to say of its channels, where this poll asked; what was said of others stays.
    pub channels: Vec<ChannelInfo>,
    /// What the machine is, where this poll asked.
    pub system: Option<SystemSummary>,
}
