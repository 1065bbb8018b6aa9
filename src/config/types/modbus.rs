//! A meter's `modbus` section, checked.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// Energy meters over Modbus TCP and RTU.
#[derive(Debug, Clone)]
pub struct Modbus {
    /// The line it is on.
    pub line: ModbusLine,
    /// Its number there.
    pub unit: u8,
    /// Profile that reads it.
    pub profile: String,
    /// Deadline of one try of a request; at most the poll's.
    pub request_timeout: Duration,
    /// How often a request is sent again.
    pub retries: u32,
    /// Least time between an answer and the next request.
    pub pause: Duration,
    /// Whether its current transformers are turned round.
    pub invert: bool,
    /// Factor of its power, current and energy; above 0.
    pub ratio: f64,
}

/// Where a Modbus meter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModbusLine {
    /// Modbus TCP: `host:port`.
    Tcp(String),
    /// Serial frames over TCP: `host:port`.
    RtuOverTcp(String),
    /// A serial port.
    Rtu(ModbusPort),
}

/// A serial port with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModbusPort {
    /// The device.
    pub path: PathBuf,
    /// Rate, baud.
    pub baud: u32,
    /// Parity.
    pub parity: ModbusParity,
    /// Whether two stop bits end a character; otherwise one.
    pub two_stop_bits: bool,
}

/// Parity bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModbusParity {
    /// None.
    #[default]
    None,
    /// Even number of ones.
    Even,
    /// Odd number of ones.
    Odd,
}
