//! The reply to [`super::protocol::Procedure::AllDomainStats`]: typed parameters, of which two are kept. Pure.

use super::protocol::{DOMAINS_MAX, Domain, STRING_MAX};
use super::xdr::{Reader, XdrError};
use crate::workloads::{CpuNanos, State};

/// The group of states. libvirtd knows them itself: asking never waits for a guest's QEMU.
pub const STATE: u32 = 1;
/// State and CPU time. In libvirtd 9 the latter asks QEMU too, so that one stopped QEMU stops the answer for all.
pub const STATE_AND_CPU: u32 = 1 | 2;
/// Leave out what a domain busy with a job cannot tell, rather than wait for the job's end.
pub const NOWAIT: u32 = 1 << 29;

/// The most parameters of one domain.
const PARAMS_MAX: u32 = 262_144;

/// What the statistics say of one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who it is.
    pub domain: Domain,
    /// Its state; none if untold or not of those we know.
    pub state: Option<State>,
    /// Its CPU time, as told: whether it counts is for the state to say.
    pub cpu: Option<CpuNanos>,
}

/// A value of a typed parameter, as far as we use it.
enum Value {
    Int(i32),
    Unsigned(u64),
    Other,
}

/// Reads the statistics of all domains of a reply. Parameters that we do not use are checked and skipped.
///
/// # Errors
/// If the bytes are not the reply.
pub fn records(body: &[u8]) -> Result<Vec<Record>, XdrError> {
    let mut r = Reader::new(body);
    let count = r.count(DOMAINS_MAX, Domain::MIN_BYTES + 4)?;
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        records.push(record(&mut r)?);
    }
    r.finish()?;
    Ok(records)
}

fn record(r: &mut Reader<'_>) -> Result<Record, XdrError> {
    let mut record = Record { domain: Domain::read(r)?, state: None, cpu: None };
    // The shortest parameter: an empty name, a type and one word.
    for _ in 0..r.count(PARAMS_MAX, 12)? {
        let field = r.bytes(STRING_MAX)?;
        match (field, value(r)?) {
            (b"state.state", Value::Int(number)) => record.state = state(number),
            (b"cpu.time", Value::Unsigned(nanos)) => record.cpu = Some(CpuNanos(nanos)),
            _ => {}
        }
    }
    Ok(record)
}

fn value(r: &mut Reader<'_>) -> Result<Value, XdrError> {
    Ok(match r.u32()? {
        1 => Value::Int(r.i32()?),
        // Unsigned and boolean.
        2 | 6 => {
            r.u32()?;
            Value::Other
        }
        // Signed and floating double words.
        3 | 5 => {
            r.u64()?;
            Value::Other
        }
        4 => Value::Unsigned(r.u64()?),
        7 => {
            r.bytes(STRING_MAX)?;
            Value::Other
        }
        other => return Err(XdrError::Discriminant(other)),
    })
}

fn state(number: i32) -> Option<State> {
    State::ALL.get(usize::try_from(number).ok()?).copied()
}
