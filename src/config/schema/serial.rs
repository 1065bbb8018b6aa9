//! Keys of `serial` in a meter.

use std::borrow::Cow;

use garde::Validate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::config::bounds::{between, some};
use crate::config::field::{Field, List};
use crate::config::leaf::{Label, Power, Span};
use crate::config::problem::{Fault, shown};
use crate::config::types::serial as types;

/// Wattmeters and electricity meters on a serial port.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Serial {
    /// The port, best by its name under /dev/serial/by-id, or `tcp:HOST:PORT` of a serial device server in raw mode.
    #[schemars(required)]
    pub(in crate::config) port: Field<Port>,
    /// What the meter speaks.
    #[schemars(required)]
    pub(in crate::config) protocol: Field<Protocol>,
    /// Rate, bits per second, 50 to 4000000. Default: what is usual for the protocol.
    #[garde(range(min = 50, max = 4_000_000))]
    pub(in crate::config) baud: Field<u32>,
    /// Data bits, parity, stop bits. Default: what is usual for the protocol.
    pub(in crate::config) format: Field<Format>,
    /// Who holds back whom. Default `none`, for `lmg450` `rts_cts`.
    pub(in crate::config) flow_control: Field<FlowControl>,
    /// Sets the wire RTS after opening, since some optical heads and cables take their power from it.
    pub(in crate::config) rts: Field<Level>,
    /// Makes parity by software, for ports and device servers that pass eight bits only. Default false.
    pub(in crate::config) software_parity: Field<bool>,
    /// `lmg450`: the meter's channels, 1 to 8; 0 is the only one of an LMG95. Default 1 to 4.
    #[garde(custom(some))]
    pub(in crate::config) channels: List<u32>,
    /// `lmg450`: what is read of each channel. Default power, voltage and current.
    #[garde(custom(some))]
    pub(in crate::config) quantities: List<Measured>,
    /// `lmg450`: time from one line of values to the next, 50 ms to 60 s. Default 500ms.
    #[garde(custom(between(50, 60_000)))]
    pub(in crate::config) cycle: Field<Span>,
    /// `iec62056`: the meter's number, where several share a line.
    pub(in crate::config) address: Field<Label>,
    /// `iec62056`: stay at the first rate. Default false; true for a device server, which cannot change it.
    pub(in crate::config) keep_baud: Field<bool>,
    /// `sml`: how the sign of power is read. Default `auto`: right for the DZG meters that are known to send it wrong.
    pub(in crate::config) power_sign: Field<types::PowerSign>,
    /// `megatec`: the real power that 100 % of load stand for, such as `900 W`; without it there is no power.
    pub(in crate::config) rated_power: Field<Power>,
}

/// What a meter speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Protocol {
    /// Watts Up? PRO.
    Wattsup,
    /// ZES ZIMMER LMG450 or LMG95.
    Lmg450,
    /// IEC 62056-21 by request, modes A to C: optical heads.
    Iec62056,
    /// IEC 62056-21 mode D: the meter sends by itself.
    #[serde(rename = "iec62056_push")]
    Iec62056Push,
    /// DSMR P1.
    Dsmr,
    /// SML.
    Sml,
    /// UPSes that answer `Q1`.
    Megatec,
    /// Eaton (Powerware) UPSes with XCP.
    #[serde(rename = "eaton_xcp")]
    EatonXcp,
}

/// Who holds back whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum FlowControl {
    /// Nobody.
    None,
    /// The wires RTS and CTS.
    RtsCts,
}

/// Level of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Level {
    /// Positive voltage.
    High,
    /// Negative voltage.
    Low,
}

/// What an LMG450 measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Measured {
    /// Real power.
    Power,
    /// Apparent power.
    ApparentPower,
    /// Voltage, true RMS.
    Voltage,
    /// Current, true RMS.
    Current,
    /// Power factor.
    PowerFactor,
    /// Frequency.
    Frequency,
}

/// Where a line begins: a path, relative to the folder of the file, or a host and port.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) enum Port {
    Path(String),
    Tcp(String),
}

impl TryFrom<String> for Port {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        let Some(address) = text.strip_prefix("tcp:") else {
            let ends_well = !text.is_empty() && !text.contains('\0');
            return if ends_well {
                Ok(Self::Path(text))
            } else {
                Err(Fault::new(
                    "is not a path",
                    "name a port, such as /dev/serial/by-id/..., or tcp:HOST:PORT",
                ))
            };
        };
        let wrong = || {
            let fix = "write tcp:HOST:PORT, an IPv6 address in brackets";
            Fault::new(format!("is `{}`, which is not a host and port", shown(&text)), fix)
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let named = |host: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            !host.is_empty() && host.len() <= 253 && host.chars().all(plain)
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let bare = bare.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        if (!bare && !named(host)) || port.parse::<u16>().map_or(true, |port| port == 0) {
            return Err(wrong());
        }
        Ok(Self::Tcp(address.to_owned()))
    }
}

impl JsonSchema for Port {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "examples": [
            "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0", "tcp:10.0.0.8:2001"
        ]})
    }
}

/// Format of a character.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) struct Format(pub(in crate::config) types::Format);

impl TryFrom<String> for Format {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        let parts = match text.as_bytes() {
            &[bits @ (b'7' | b'8'), parity, stop @ (b'1' | b'2')] => match parity.to_ascii_uppercase() {
                b'N' => Some((bits, types::Parity::None, stop)),
                b'E' => Some((bits, types::Parity::Even, stop)),
                b'O' => Some((bits, types::Parity::Odd, stop)),
                _ => None,
            },
            _ => None,
        };
        let (bits, parity, stop) = parts.ok_or_else(|| {
            let fix = "write data bits (7, 8), parity (N, E, O) and stop bits (1, 2), such as 8N1";
            Fault::new(format!("is `{}`, which is not a character format", shown(&text)), fix)
        })?;
        Ok(Self(types::Format { seven_bits: bits == b'7', parity, two_stop_bits: stop == b'2' }))
    }
}

impl JsonSchema for Format {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Format".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[78][NEOneo][12]$", "examples": ["8N1", "7E1"]})
    }
}
