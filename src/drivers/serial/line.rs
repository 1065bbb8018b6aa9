//! How bytes stand on a line: rate, character format, flow control. Pure.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a line begins on our side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A serial port of this machine, such as `/dev/serial/by-id/...`.
    Device(PathBuf),
    /// `HOST:PORT` of a serial device server that passes bytes as they are.
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// Parity bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parity {
    /// None.
    None,
    /// Even number of ones.
    Even,
    /// Odd number of ones.
    Odd,
}

/// Format of a character on the line, written as usual: `8N1`, `7E1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    /// Whether a character has 7 data bits; otherwise 8.
    pub seven_bits: bool,
    /// Parity.
    pub parity: Parity,
    /// Whether two stop bits end it; otherwise one.
    pub two_stop_bits: bool,
}

impl Format {
    /// 8 data bits, no parity, 1 stop bit: nearly everything.
    pub const EIGHT_NONE_ONE: Self = Self { seven_bits: false, parity: Parity::None, two_stop_bits: false };
    /// 7 data bits, even parity, 1 stop bit: IEC 62056-21, old DSMR.
    pub const SEVEN_EVEN_ONE: Self = Self { seven_bits: true, parity: Parity::Even, two_stop_bits: false };
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.seven_bits { 7 } else { 8 };
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        write!(f, "{bits}{parity}{}", if self.two_stop_bits { 2 } else { 1 })
    }
}

/// Why a text is no character format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no character format; write data bits, parity and stop bits, such as 8N1 or 7E1")]
pub struct FormatError;

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let &[bits, parity, stop] = text.as_bytes() else { return Err(FormatError) };
        Ok(Self {
            seven_bits: match bits {
                b'7' => true,
                b'8' => false,
                _ => return Err(FormatError),
            },
            parity: match parity.to_ascii_uppercase() {
                b'N' => Parity::None,
                b'E' => Parity::Even,
                b'O' => Parity::Odd,
                _ => return Err(FormatError),
            },
            two_stop_bits: match stop {
                b'1' => false,
                b'2' => true,
                _ => return Err(FormatError),
            },
        })
    }
}

/// All that both ends of a line must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Line {
    /// Rate, bits per second. A device server has its own.
    pub baud: u32,
    /// Character format.
    pub format: Format,
    /// Whether RTS and CTS hold back who sends too fast.
    pub rts_cts: bool,
}

impl Line {
    /// 8N1 at this rate, without flow control.
    #[must_use]
    pub const fn at(baud: u32) -> Self {
        Self { baud, format: Format::EIGHT_NONE_ONE, rts_cts: false }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.baud, self.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_prints_as_it_is_written() {
        for text in ["8N1", "7E1", "8E1", "8O2", "7N2"] {
            assert_eq!(text.parse::<Format>().unwrap().to_string(), text);
        }
        assert_eq!("7e1".parse(), Ok(Format::SEVEN_EVEN_ONE));
        for text in ["", "8N", "9N1", "8X1", "8N3", "8N1 ", "8\u{e9}1"] {
            assert_eq!(text.parse::<Format>(), Err(FormatError), "{text}");
        }
    }
}
