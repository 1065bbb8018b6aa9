//! What went wrong, in words for people who stand before the rack.

use super::line::Fault;
use super::transport::Address;
use super::wire::exception::Exception;
use crate::model::{ErrorKind, PollError};

/// Where a meter is, for messages.
#[derive(Debug, Clone)]
pub struct Place {
    /// The line.
    pub address: Address,
    /// The unit.
    pub unit: u8,
}

impl Place {
    /// No answer.
    pub fn fault(&self, fault: Fault) -> PollError {
        match fault {
            Fault::Down(error) => error,
            Fault::NotModbus => PollError::new(
                ErrorKind::Protocol,
                format!("what {} sends is not Modbus TCP", self.address),
                "check the port; a gateway that passes serial frames on needs `rtu_over_tcp` in place of `tcp`",
            ),
            Fault::Flooded => PollError::new(
                ErrorKind::Protocol,
                format!("{} sends without being asked, and without end", self.address),
                "check that it is a line with Modbus; a meter that sends by itself belongs under `serial`",
            ),
            Fault::Silent { noise, others, broken } => self.silent(noise, others, broken),
        }
    }

    fn silent(&self, noise: usize, others: usize, broken: u64) -> PollError {
        let Self { address, unit } = self;
        if noise > 0 {
            let fix = match address {
                Address::Rtu(..) => {
                    "check baud rate and parity against the meter; if they are right, look for a second master on the \
                     line, swapped or loose wires, and the terminating resistors"
                }
                Address::Tcp(_) | Address::RtuOverTcp(_) => {
                    "check baud rate and parity in the gateway, and that it passes frames on as they are; a gateway \
                     that speaks Modbus TCP needs `tcp` in place of `rtu_over_tcp`"
                }
            };
            return PollError::new(
                ErrorKind::Protocol,
                format!(
                    "unit {unit} on {address}: {noise} bytes came that are no frame with a right checksum ({broken} times so \
                     far on this line)"
                ),
                fix,
            );
        }
        if others > 0 {
            return PollError::new(
                ErrorKind::Protocol,
                format!("unit {unit} on {address} gave {others} answers to questions that were not asked"),
                "look for a second master on the line, and for two units with the same number",
            );
        }
        let fix = match address {
            Address::Rtu(..) => {
                "check `unit`, baud rate, parity, and that the wires A and B are not swapped; a wrong one of these is met \
                 with silence"
            }
            Address::Tcp(_) => {
                "check `unit`: meters answer to their own number only, and gateways are silent for units they do not have; \
                 a slow line behind a gateway may need a longer `timeout`"
            }
            Address::RtuOverTcp(_) => {
                "check `unit`, and baud rate and parity in the gateway; a gateway that speaks Modbus TCP needs `tcp` in \
                 place of `rtu_over_tcp`"
            }
        };
        PollError::new(ErrorKind::Timeout, format!("unit {unit} on {address} does not answer"), fix)
    }

    /// The unit, or the gateway before it, answered with an exception where values were wanted.
    pub fn exception(&self, exception: Exception, function: u8, profile: &str) -> PollError {
        let Self { address, unit } = self;
        let (kind, fix) = match exception {
            Exception::ILLEGAL_FUNCTION => (
                ErrorKind::Protocol,
                format!("it does not know function {function}; check that profile {profile} is the right one"),
            ),
            Exception::GATEWAY_PATH => (
                ErrorKind::Unreachable,
                "the gateway has no line for this unit; check `unit`, and the routing in the gateway".to_owned(),
            ),
            Exception::GATEWAY_TARGET => (
                ErrorKind::Timeout,
                "nobody behind the gateway answers to this unit; check `unit`, the wires, and baud rate and parity in the \
                 gateway"
                    .to_owned(),
            ),
            Exception(5) | Exception::BUSY => {
                (ErrorKind::Busy, "nothing to do once; if it stays, poll it less often".to_owned())
            }
            _ => (ErrorKind::Protocol, "look at the meter's display, and restart it".to_owned()),
        };
        PollError::new(kind, format!("unit {unit} on {address} answers with {exception}"), fix)
    }

    /// Every register was refused.
    pub fn no_registers(&self, profile: &str) -> PollError {
        let Self { address, unit } = self;
        PollError::new(
            ErrorKind::Protocol,
            format!(
                "unit {unit} on {address} has none of the registers of profile {profile}: {}",
                Exception::ILLEGAL_ADDRESS
            ),
            "choose the profile of this very model; in a profile of your own check `register`, which counts from 0 where \
             manuals often count from 1, and `function`",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_told_by_name_and_by_what_they_mean() {
        let place = Place { address: Address::Tcp("10.0.0.9:502".into()), unit: 7 };
        let error = place.exception(Exception(0x0B), 3, "own");
        assert_eq!(error.kind, ErrorKind::Timeout);
        assert_eq!(
            error.cause,
            "unit 7 on 10.0.0.9:502 answers with exception 0B (gateway target device failed to respond)"
        );
        assert_eq!(place.exception(Exception(0x0A), 3, "own").kind, ErrorKind::Unreachable);
        assert_eq!(place.exception(Exception(6), 3, "own").kind, ErrorKind::Busy);
        assert!(place.exception(Exception(1), 4, "own").fix.contains("function 4; check that profile own"));
        assert_eq!(place.exception(Exception(200), 4, "own").kind, ErrorKind::Protocol);
    }
}
