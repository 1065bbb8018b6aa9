//! The bytes of Modbus: pure, without sockets and time. What a request asks and which answers fit it is in `pdu`; how both are
//! wrapped on a serial line in `rtu`, on TCP in `tcp`; the names of exceptions in `exception`.

pub mod exception;
pub mod pdu;
pub mod rtu;
pub mod tcp;

/// A unit's answer as it came off the line: not yet known whose question it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The number that TCP gives back with an answer; none on a serial line.
    pub transaction: Option<u16>,
    /// Who answers.
    pub unit: u8,
    /// Function code and what belongs to it.
    pub pdu: Vec<u8>,
}
