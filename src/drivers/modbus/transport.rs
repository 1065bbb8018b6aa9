//! Where a line is and how it is opened.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

pub use super::line::Bytes as Stream;
use crate::drivers::serial::line as serial;
use crate::drivers::serial::port::Port;
use crate::model::{ErrorKind, PollError};

/// A character on a serial line has at most 11 bits, and between frames stand 3.5 characters.
const SILENCE_BITS: u64 = 39;
/// Above 19200 baud the silence is fixed.
const LEAST_SILENCE: Duration = Duration::from_micros(1750);

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// Modbus TCP: `host:port`.
    Tcp(String),
    /// Frames of a serial line over a TCP connection: `host:port`.
    RtuOverTcp(String),
    /// A serial port of this machine.
    Rtu(std::path::PathBuf, serial::Line),
}

impl Address {
    /// Whether answers bear the number of their question.
    #[must_use]
    pub const fn has_numbers(&self) -> bool {
        match self {
            Self::Tcp(_) => true,
            Self::RtuOverTcp(_) | Self::Rtu(..) => false,
        }
    }

    /// The silence that must stand between two frames.
    #[must_use]
    pub fn silence(&self) -> Duration {
        match self {
            Self::Tcp(_) | Self::RtuOverTcp(_) => Duration::ZERO,
            Self::Rtu(_, line) => {
                let micros = SILENCE_BITS.saturating_mul(1_000_000).checked_div(u64::from(line.baud));
                Duration::from_micros(micros.unwrap_or_default()).max(LEAST_SILENCE)
            }
        }
    }

    /// Opens it, within `wait`.
    ///
    /// # Errors
    /// `Unreachable` or `Busy`, with what to do.
    pub async fn open(&self, wait: Duration) -> Result<Box<dyn Stream>, PollError> {
        let opened = match self {
            Self::Tcp(to) => {
                let connected = timeout(wait, TcpStream::connect(to.as_str())).await;
                let stream = connected
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                    .map_err(|error| refused(to, &error))?;
                // Questions are short and wait for nothing.
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Self::RtuOverTcp(to) => {
                let address = serial::Address::Tcp(to.clone());
                timeout(wait, Port::open(&address, serial::Line::at(9600))).await
            }
            Self::Rtu(path, line) => {
                timeout(wait, Port::open(&serial::Address::Device(path.clone()), *line)).await
            }
        };
        let late = || {
            PollError::new(
                ErrorKind::Unreachable,
                format!("{self} does not open within {wait:?}"),
                "check host, port and firewall; a serial adapter that hangs comes back when it is plugged in again",
            )
        };
        Ok(Box::new(opened.map_err(|_| late())??))
    }

    /// Why a line that was open is of no use any more.
    #[must_use]
    pub fn gone(&self, error: &io::Error) -> PollError {
        let how = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it was closed from the other end".to_owned(),
            _ => error.to_string(),
        };
        let fix = match self {
            Self::Tcp(_) | Self::RtuOverTcp(_) => {
                "check the device; many take one to four clients and throw out the others. It is connected anew at the \
                 next poll"
            }
            Self::Rtu(..) => {
                "check that the adapter is plugged in, and look into the kernel's log (`dmesg`); the port is opened anew \
                 at the next poll"
            }
        };
        PollError::new(ErrorKind::Unreachable, format!("{self} went away while it was read: {how}"), fix)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(to) => f.write_str(to),
            Self::RtuOverTcp(to) => write!(f, "{to} (RTU over TCP)"),
            Self::Rtu(path, line) => write!(f, "{} ({line})", path.display()),
        }
    }
}

fn refused(to: &str, error: &io::Error) -> PollError {
    let fix = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "check the port (502 is usual) and that Modbus TCP is switched on in the device; many take one to four \
             clients only"
        }
        _ => "check the address, the route and the firewall of this machine",
    };
    PollError::new(ErrorKind::Unreachable, format!("no connection to {to}: {error}"), fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silence_between_frames_is_that_of_the_standard() {
        let at = |baud| Address::Rtu("/dev/ttyUSB0".into(), serial::Line::at(baud)).silence();
        // 3.5 characters of 11 bits: 38.5 bits, 4.01 ms at 9600 baud.
        assert_eq!(at(9600), Duration::from_micros(4062));
        assert_eq!(at(115_200), LEAST_SILENCE);
        assert_eq!(at(0), LEAST_SILENCE);
    }
}
