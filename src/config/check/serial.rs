//! `serial` of a meter: what is usual for its protocol fills in what is not said, and keys of other protocols are refused.

use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::field::Field;
use crate::config::leaf::{Label, Power, Span};
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::schema::serial::{
    BaudChange, FlowControl, Format, Level, Measured, ParityBy, Port, Protocol,
};
use crate::config::types::Serial;
use crate::config::types::serial as types;
use crate::model::Quantity;

const DEFAULT_CYCLE: Duration = Duration::from_millis(500);
const DEFAULT_CHANNELS: [u8; 4] = [1, 2, 3, 4];
const DEFAULT_QUANTITIES: [Quantity; 3] = [Quantity::Power, Quantity::Voltage, Quantity::Current];
const MAX_CHANNEL: u32 = 8;
/// IEC 62056-21 allows a meter's number so many characters.
const MAX_ADDRESS: usize = 32;

const fn eight_or_seven(seven_bits: bool) -> types::Format {
    let parity = if seven_bits { types::Parity::Even } else { types::Parity::None };
    types::Format { seven_bits, parity, two_stop_bits: false }
}

/// Rate and format that most meters of this kind have.
const fn usual(protocol: Protocol) -> (u32, types::Format) {
    match protocol {
        Protocol::Wattsup | Protocol::Dsmr => (115_200, eight_or_seven(false)),
        Protocol::Lmg450 => (57_600, eight_or_seven(false)),
        Protocol::Iec62056 => (300, eight_or_seven(true)),
        Protocol::Iec62056Push => (2400, eight_or_seven(true)),
        Protocol::Sml => (9600, eight_or_seven(false)),
        Protocol::Megatec => (2400, eight_or_seven(false)),
        Protocol::EatonXcp => (19_200, eight_or_seven(false)),
    }
}

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn serial(
        &mut self,
        raw: &schema::Serial,
        at: Mark,
        folder: &Path,
        timeout: Duration,
    ) -> Option<Serial> {
        let port = self.need(
            &raw.port,
            at,
            "port",
            "name the serial port, best by /dev/serial/by-id/..., or tcp:HOST:PORT of a device server",
        );
        let protocol = self.need(
            &raw.protocol,
            at,
            "protocol",
            "write wattsup, lmg450, iec62056, iec62056_push, dsmr, sml, megatec or eaton_xcp",
        );
        let over_tcp = matches!(port, Some(Port::Tcp(_)));
        if over_tcp {
            let foreign = [
                ("baud", raw.baud.is_absent()),
                ("flow_control", raw.flow_control.is_absent()),
                ("rts", raw.rts.is_absent()),
            ];
            self.refuse(
                &foreign,
                at,
                "ports of this machine only",
                "set it on the device server, and remove it",
            );
        }
        let protocol = *protocol?;
        self.foreign_keys(raw, at, protocol);
        let (baud, format) = usual(protocol);
        let spoken = self.spoken(raw, protocol, over_tcp, timeout)?;
        let port = match port? {
            Port::Path(path) => types::Port::Device(folder.join(path)),
            Port::Tcp(address) => types::Port::Tcp(address.clone()),
        };
        self.lines.push(match &port {
            types::Port::Device(path) => (path.display().to_string(), false, at),
            types::Port::Tcp(server) => (server.to_ascii_lowercase(), false, at),
        });
        let default_flow = if protocol == Protocol::Lmg450 { FlowControl::RtsCts } else { FlowControl::None };
        Some(Serial {
            port,
            baud: raw.baud.get().copied().unwrap_or(baud),
            format: raw.format.get().map_or(format, |Format(format)| *format),
            rts_cts: raw.flow_control.get().copied().unwrap_or(default_flow) == FlowControl::RtsCts,
            rts: raw.rts.get().map(|level| *level == Level::High),
            software_parity: raw.parity_by.get() == Some(&ParityBy::Software),
            protocol: spoken,
        })
    }

    /// Checks that a line with a meter of [`schema::Serial`] has no other meter: only Modbus has room for several.
    pub(super) fn one_meter_a_line(&self) {
        for (number, (line, modbus, at)) in self.lines.iter().enumerate() {
            let before = self.lines.iter().take(number);
            if let Some((.., first)) = before
                .into_iter()
                .find(|(known, known_modbus, _)| known == line && !(*modbus && *known_modbus))
            {
                let place = self.problems.borrow().describe(*first, *at);
                let what = format!("the line {line} is read by another meter, {place}");
                let fix = "keep one of the two, or correct the port: only Modbus meters share a line";
                self.error(*at, what, fix);
            }
        }
    }

    fn foreign_keys(&self, raw: &schema::Serial, at: Mark, protocol: Protocol) {
        let others = [
            (Protocol::Lmg450, "lmg450", "channels", raw.channels.is_absent()),
            (Protocol::Lmg450, "lmg450", "quantities", raw.quantities.is_absent()),
            (Protocol::Lmg450, "lmg450", "cycle", raw.cycle.is_absent()),
            (Protocol::Iec62056, "iec62056", "address", raw.address.is_absent()),
            (Protocol::Iec62056, "iec62056", "baud_change", raw.baud_change.is_absent()),
            (Protocol::Sml, "sml", "power_sign", raw.power_sign.is_absent()),
            (Protocol::Megatec, "megatec", "rated_power", raw.rated_power.is_absent()),
        ];
        for (of, name, key, absent) in others {
            if of != protocol {
                self.refuse(&[(key, absent)], at, &format!("the protocol {name} only"), "remove it");
            }
        }
    }

    fn spoken(
        &self,
        raw: &schema::Serial,
        protocol: Protocol,
        over_tcp: bool,
        timeout: Duration,
    ) -> Option<types::Protocol> {
        Some(match protocol {
            Protocol::Wattsup => types::Protocol::WattsUp,
            Protocol::Lmg450 => types::Protocol::Lmg450 {
                channels: self.channels_of_lmg(raw)?,
                quantities: quantities(raw),
                cycle: self.cycle(&raw.cycle, timeout),
            },
            Protocol::Iec62056 => types::Protocol::Iec62056 {
                address: self.address_of_meter(raw)?,
                keep_baud: raw.baud_change.get().map_or(over_tcp, |change| *change == BaudChange::Keep),
            },
            Protocol::Iec62056Push => types::Protocol::Iec62056Push,
            Protocol::Dsmr => types::Protocol::Dsmr,
            Protocol::Sml => types::Protocol::Sml(raw.power_sign.get().copied().unwrap_or_default()),
            Protocol::Megatec => {
                types::Protocol::Megatec { rated_power: raw.rated_power.get().map(|Power(watts)| *watts) }
            }
            Protocol::EatonXcp => types::Protocol::EatonXcp,
        })
    }

    fn cycle(&self, field: &Field<Span>, timeout: Duration) -> Duration {
        let Some((cycle, at)) = self.span(field) else { return DEFAULT_CYCLE };
        self.at_most(("cycle", cycle, at), ("the poll's `timeout`", timeout));
        cycle
    }

    /// The channels, each once; none, with an error, if one cannot be.
    fn channels_of_lmg(&self, raw: &schema::Serial) -> Option<Vec<u8>> {
        if raw.channels.is_absent() {
            return Some(DEFAULT_CHANNELS.to_vec());
        }
        let mut channels = Vec::new();
        for (number, at) in raw.channels.items() {
            match u8::try_from(*number).ok().filter(|_| *number <= MAX_CHANNEL) {
                Some(number) if channels.contains(&number) => {
                    self.error(at, format!("channel {number} stands twice in `channels`"), "name each once");
                }
                Some(number) => channels.push(number),
                None => {
                    let fix = "an LMG450 has channels 1 to 4; 0 is the only one of an LMG95";
                    self.error(at, format!("an entry of `channels` is {number}"), fix);
                }
            }
        }
        Some(channels)
    }

    fn address_of_meter(&self, raw: &schema::Serial) -> Option<String> {
        let (Label(address), at) = match (raw.address.located(), raw.address.is_absent()) {
            (Some(located), _) => located,
            (None, true) => return Some(String::new()),
            (None, false) => return None,
        };
        if address.len() > MAX_ADDRESS || !address.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ') {
            let fix = "write the number that is printed on the meter: up to 32 letters and figures";
            self.error(at, "`address` is not the number of a meter", fix);
            return None;
        }
        Some(address.clone())
    }
}

fn quantities(raw: &schema::Serial) -> Vec<Quantity> {
    if raw.quantities.is_absent() {
        return DEFAULT_QUANTITIES.to_vec();
    }
    let mut wanted: Vec<Quantity> = Vec::new();
    for (quantity, _) in raw.quantities.items() {
        let quantity = match quantity {
            Measured::Power => Quantity::Power,
            Measured::ApparentPower => Quantity::ApparentPower,
            Measured::Voltage => Quantity::Voltage,
            Measured::Current => Quantity::Current,
            Measured::PowerFactor => Quantity::PowerFactor,
            Measured::Frequency => Quantity::Frequency,
        };
        if !wanted.contains(&quantity) {
            wanted.push(quantity);
        }
    }
    wanted
}
