//! The sensor data repository: how to walk it. IPMI v2.0 section 33.

use super::{No, data};
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::{Reply, Request};

const STORAGE: u8 = 0x0a;

/// Get SDR Repository Info.
#[must_use]
pub fn get_info() -> Request {
    Request::new(STORAGE, 0x20, [])
}

/// Reserve SDR Repository.
#[must_use]
pub fn reserve() -> Request {
    Request::new(STORAGE, 0x22, [])
}

/// Get SDR: `count` bytes of `record` from `offset`.
#[must_use]
pub fn get_record(reservation: u16, record: u16, offset: u8, count: u8) -> Request {
    let ([r0, r1], [i0, i1]) = (reservation.to_le_bytes(), record.to_le_bytes());
    Request::new(STORAGE, 0x23, [r0, r1, i0, i1, offset, count])
}

/// What tells one state of the repository from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Records; wrong on some BMCs, but a change of it is a change.
    pub records: u16,
    /// When last added to and erased from, in the BMC's time.
    pub changed: [u32; 2],
}

impl Info {
    /// Reads the reply.
    ///
    /// # Errors
    /// As [`data`]; `Malformed` if it is too short.
    pub fn parse(reply: &Reply) -> Result<Self, No> {
        let mut bytes = Bytes(data(reply)?);
        let mut read = || {
            let (_version, records, _free) = (bytes.u8()?, bytes.u16()?, bytes.u16()?);
            Some(Self { records, changed: [bytes.u32()?, bytes.u32()?] })
        };
        read().ok_or(No::Malformed)
    }
}

/// The reservation that a reply grants.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short.
pub fn reservation(reply: &Reply) -> Result<u16, No> {
    Bytes(data(reply)?).u16().ok_or(No::Malformed)
}

/// Part of a record, and which record comes next.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short.
pub fn part(reply: &Reply) -> Result<(u16, &[u8]), No> {
    let mut bytes = Bytes(data(reply)?);
    let next = bytes.u16().ok_or(No::Malformed)?;
    Ok((next, bytes.rest()))
}

/// The head of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Type: 01h full sensor, 02h compact sensor, and others.
    pub kind: u8,
    /// How many bytes follow, as the record says.
    pub len: u8,
}

impl Head {
    /// Bytes of a head.
    pub const LEN: u8 = 5;

    /// Reads it.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [_id_low, _id_high, _version, kind, len] = Bytes(bytes).array()?;
        Some(Self { kind, len })
    }
}
