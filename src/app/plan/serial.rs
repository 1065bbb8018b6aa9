//! `serial`: from configuration to settings.

use crate::config;
use crate::config::serial as written;
use crate::drivers::serial::line::{Address, Format, Line, Parity};
use crate::drivers::serial::{Asking, Measuring, PowerSign, Protocol, Settings};

/// Settings of the driver, and its address for people.
pub(super) fn settings(of: &config::Serial, poll: &config::Poll) -> (Settings, String) {
    let address = match &of.port {
        written::Port::Device(path) => Address::Device(path.clone()),
        written::Port::Tcp(address) => Address::Tcp(address.clone()),
    };
    let shown = address.to_string();
    let line = Line { baud: of.baud, format: format(of.format), rts_cts: of.rts_cts };
    let settings = Settings {
        address,
        line,
        software_parity: of.software_parity,
        rts: of.rts,
        protocol: protocol(&of.protocol),
        timeout: poll.timeout,
    };
    (settings, shown)
}

const fn format(of: written::Format) -> Format {
    let parity = match of.parity {
        written::Parity::None => Parity::None,
        written::Parity::Even => Parity::Even,
        written::Parity::Odd => Parity::Odd,
    };
    Format { seven_bits: of.seven_bits, parity, two_stop_bits: of.two_stop_bits }
}

fn protocol(of: &written::Protocol) -> Protocol {
    match of {
        written::Protocol::WattsUp => Protocol::WattsUp,
        written::Protocol::Lmg450 { channels, quantities, cycle } => Protocol::Lmg450(Measuring {
            channels: channels.clone(),
            quantities: quantities.clone(),
            cycle: *cycle,
        }),
        written::Protocol::Iec62056 { address, keep_baud } => {
            Protocol::Iec62056(Asking { address: address.clone(), keep_baud: *keep_baud })
        }
        written::Protocol::Iec62056Push => Protocol::Iec62056Push,
        written::Protocol::Dsmr => Protocol::Dsmr,
        written::Protocol::Sml(sign) => Protocol::Sml(match sign {
            written::PowerSign::Auto => PowerSign::Auto,
            written::PowerSign::Signed => PowerSign::Signed,
            written::PowerSign::Unsigned => PowerSign::Unsigned,
        }),
        written::Protocol::Megatec { rated_power } => Protocol::Megatec(*rated_power),
        written::Protocol::EatonXcp => Protocol::EatonXcp,
    }
}
