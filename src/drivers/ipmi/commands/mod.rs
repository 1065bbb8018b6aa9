//! What is asked of a BMC and what its replies mean: requests as bytes, replies as types, all pure.

pub mod app;
pub mod dcmi;
pub mod dell;
pub mod fru;
pub mod node_manager;
pub mod record;
pub mod repository;
pub mod sensor;

use super::wire::message::Reply;

/// A completion code. IPMI v2.0 table 5-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u8);

impl Code {
    /// The request is not known.
    pub const INVALID_COMMAND: Self = Self(0xc1);
    /// Someone else reserved the repository since.
    pub const RESERVATION_LOST: Self = Self(0xc5);
    /// More bytes were asked for than fit.
    pub const TOO_MANY_BYTES: Self = Self(0xca);
    /// The sensor or record is not there any more.
    pub const NOT_PRESENT: Self = Self(0xcb);
    /// The user may not.
    pub const PRIVILEGE: Self = Self(0xd4);
    /// Not in the machine's present state: it is off.
    pub const NOT_NOW: Self = Self(0xd5);

    /// What the specification calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0x00 => "completed",
            // Dell's: ipmitool, `ipmi_delloem.c`.
            0x6f => "no licence for it",
            0xc0 => "node busy",
            0xc1 => "invalid command",
            0xc2 => "command invalid for this LUN",
            0xc3 => "time-out while processing",
            0xc4 => "out of space",
            0xc5 => "reservation cancelled",
            0xc6 => "request data truncated",
            0xc7 => "request data length invalid",
            0xc8 => "request data length limit exceeded",
            0xc9 => "parameter out of range",
            0xca => "cannot return that many bytes",
            0xcb => "not present",
            0xcc => "invalid data field",
            0xcd => "illegal for this sensor or record",
            0xce => "response could not be provided",
            0xcf => "duplicated request",
            0xd0 => "repository in update mode",
            0xd1 => "firmware in update mode",
            0xd2 => "BMC initialisation in progress",
            0xd3 => "destination unavailable",
            0xd4 => "insufficient privilege level",
            0xd5 => "not supported in the present state",
            0xd6 => "sub-function disabled",
            0xff => "unspecified error",
            _ => "a code of its own",
        }
    }

    /// Whether the BMC will be able to later, without anybody doing anything.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self.0, 0xc0 | 0xc3 | 0xc4 | 0xc5 | 0xce | 0xd0 | 0xd1 | 0xd2)
    }
}

/// Why a reply gives no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum No {
    /// The BMC completed the command with an error.
    Code(Code),
    /// It completed it well, but the data are not what the command answers.
    Malformed,
    /// It has no value: it says that it is not measuring, or shows 0 W of a machine that is on.
    NotMeasuring,
}

/// The data of a reply that completed well.
///
/// # Errors
/// `Code` if it did not.
pub const fn data(reply: &Reply) -> Result<&[u8], No> {
    match reply.code {
        0 => Ok(reply.data.as_slice()),
        code => Err(No::Code(Code(code))),
    }
}
