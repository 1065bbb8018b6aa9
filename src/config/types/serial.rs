//! A meter's `serial` section, checked.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{Quantity, Watts};

/// Wattmeters and electricity meters on a serial port.
#[derive(Debug, Clone, PartialEq)]
pub struct Serial {
    /// Where the line begins.
    pub port: Port,
    /// Rate, bits per second; that of the greeting where the meter changes it.
    pub baud: u32,
    /// Character format.
    pub format: Format,
    /// Whether RTS and CTS hold back who sends too fast.
    pub rts_cts: bool,
    /// What RTS is set to after opening; left alone if none.
    pub rts: Option<bool>,
    /// Whether parity is made and taken off here.
    pub software_parity: bool,
    /// What the meter speaks.
    pub protocol: Protocol,
}

/// Where a line begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// A serial port of this machine.
    Device(PathBuf),
    /// `HOST:PORT` of a serial device server.
    Tcp(String),
}

/// Parity bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// None.
    None,
    /// Even number of ones.
    Even,
    /// Odd number of ones.
    Odd,
}

/// Format of a character, such as `8N1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// 7 data bits in place of 8.
    pub seven_bits: bool,
    /// Parity.
    pub parity: Parity,
    /// 2 stop bits in place of 1.
    pub two_stop_bits: bool,
}

/// What a meter speaks, with what is to be known of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    /// Watts Up? PRO.
    WattsUp,
    /// ZES ZIMMER LMG450 or LMG95.
    Lmg450 {
        /// Its channels; 0 is the only one of an LMG95.
        channels: Vec<u8>,
        /// What is read of each.
        quantities: Vec<Quantity>,
        /// Time from one line of values to the next.
        cycle: Duration,
    },
    /// IEC 62056-21, modes A to C.
    Iec62056 {
        /// The meter's number; empty for the only one on the line.
        address: String,
        /// Whether to stay at the first rate.
        keep_baud: bool,
    },
    /// IEC 62056-21, mode D.
    Iec62056Push,
    /// DSMR P1.
    Dsmr,
    /// SML.
    Sml(PowerSign),
    /// UPSes that answer `Q1`.
    Megatec {
        /// The real power that 100 % of load stand for.
        rated_power: Option<Watts>,
    },
    /// Eaton UPSes with XCP.
    EatonXcp,
}

/// How the sign of an SML meter's power is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PowerSign {
    /// As the meter says, but for those that are known to say it wrong.
    #[default]
    Auto,
    /// As the meter says.
    Signed,
    /// Never negative in one or two bytes.
    Unsigned,
}
