//! `modbus`: from configuration to settings.

use crate::config::{self, ModbusLine, ModbusParity};
use crate::drivers::modbus::{Address, Settings};
use crate::drivers::serial::line::{Format, Line, Parity};

/// Settings of the driver, and its address for people.
pub(super) fn settings(of: &config::Modbus, poll: &config::Poll) -> (Settings, String) {
    let address = address(&of.line);
    let shown = format!("{address}, unit {}", of.unit);
    let settings = Settings {
        address,
        unit: of.unit,
        profile: of.profile.clone(),
        request_timeout: of.request_timeout,
        retries: of.retries,
        poll_timeout: poll.timeout,
        pause: of.pause,
        invert: of.invert,
        ratio: of.ratio,
    };
    (settings, shown)
}

fn address(line: &ModbusLine) -> Address {
    match line {
        ModbusLine::Tcp(to) => Address::Tcp(to.clone()),
        ModbusLine::RtuOverTcp(to) => Address::RtuOverTcp(to.clone()),
        ModbusLine::Rtu(port) => {
            let parity = match port.parity {
                ModbusParity::None => Parity::None,
                ModbusParity::Even => Parity::Even,
                ModbusParity::Odd => Parity::Odd,
            };
            let format = Format { seven_bits: false, parity, two_stop_bits: port.two_stop_bits };
            Address::Rtu(port.path.clone(), Line { baud: port.baud, format, rts_cts: false })
        }
    }
}
