//! The reply to [`super::protocol::Procedure::AllDomainStats`]: typed parameters, read in one pass, of which few are kept.
//! Pure.

use super::protocol::{DOMAINS_MAX, Domain, STRING_MAX};
use super::xdr::{Reader, XdrError};
use crate::workloads::{CpuNanos, DiskIo, Space, State, Traffic};

/// The group of states. libvirtd knows them itself: asking never waits for a guest's QEMU.
pub const STATE: u32 = 1;
/// State and CPU time. In libvirtd 9 the latter asks QEMU too, so that one stopped QEMU stops the answer for all.
pub const STATE_AND_CPU: u32 = 1 | 2;
/// Counters of the processor, of domains whose XML enables them; libvirtd reads them from the kernel.
pub const PERF: u32 = 64;
/// Memory (asks QEMU), network links, and disks (asks QEMU and the files' storage).
pub const DETAILS: u32 = 4 | 16 | 32;
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
    /// What else was told.
    pub told: Told,
}

/// What the groups beside the state say; each none where it was not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// Its CPU time, as told: whether it counts is for the state to say.
    pub cpu: Option<CpuNanos>,
    /// CPU cycles of this run.
    pub cycles: Option<u64>,
    /// Its memory.
    pub memory: Memory,
    /// All its links, as the guest sees them.
    pub network: Option<Traffic>,
    /// All its disks.
    pub disk: Option<Space>,
    /// What its disks did.
    pub io: Option<DiskIo>,
}

/// Memory as QEMU and the guest's balloon driver tell it, KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// What QEMU really takes of the host.
    pub resident: Option<u64>,
    /// What the guest can use in all.
    pub available: Option<u64>,
    /// What it could hand out without swapping.
    pub usable: Option<u64>,
    /// What it has never touched.
    pub unused: Option<u64>,
    /// When the guest last told this, Unix time, seconds; 0 if never.
    pub last_update: Option<u64>,
}

/// A value of a typed parameter, as far as we use it.
#[derive(Clone, Copy)]
enum Value {
    Int(i32),
    Word(u32),
    Long(i64),
    Unsigned(u64),
    Other,
}

impl Value {
    /// A count. Older servers write counts of disks as signed.
    fn count(self) -> Option<u64> {
        match self {
            Self::Unsigned(count) => Some(count),
            Self::Long(count) => u64::try_from(count).ok(),
            Self::Int(_) | Self::Word(_) | Self::Other => None,
        }
    }
}

/// Sums over the links and disks of one domain, each with whether anything was told of it.
#[derive(Default)]
struct Sums {
    network: Traffic,
    links: bool,
    io: DiskIo,
    requests: bool,
    capacity: u64,
    sizes: bool,
    allocation: Option<u64>,
    physical: Option<u64>,
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
    let domain = Domain::read(r)?;
    let (mut state, mut told, mut sums) = (None, Told::default(), Sums::default());
    // The shortest parameter: an empty name, a type and one word.
    for _ in 0..r.count(PARAMS_MAX, 12)? {
        let field = r.bytes(STRING_MAX)?;
        let value = value(r)?;
        let (group, rest) = split(field);
        match (group, rest, value) {
            (b"state", b"state", Value::Int(number)) => state = self::state(number),
            (b"cpu", b"time", Value::Unsigned(nanos)) => told.cpu = Some(CpuNanos(nanos)),
            (b"perf", b"cpu_cycles", Value::Unsigned(cycles)) => told.cycles = Some(cycles),
            (b"balloon", field, value) => told.memory.take(field, value),
            // That there are none is told too.
            (b"net", b"count", Value::Word(0)) => sums.links = true,
            (b"net", field, value) => sums.link(split(field).1, value),
            (b"block", b"count", Value::Word(0)) => (sums.requests, sums.sizes) = (true, true),
            (b"block", field, value) => sums.block(split(field).1, value),
            _ => {}
        }
    }
    told.network = sums.links.then_some(sums.network);
    told.io = sums.requests.then_some(sums.io);
    told.disk = sums.space(domain.id >= 0);
    Ok(Record { domain, state, told })
}

/// `net.0.rx.bytes` is `net` and `0.rx.bytes`.
fn split(field: &[u8]) -> (&[u8], &[u8]) {
    let at = field.iter().position(|byte| *byte == b'.').unwrap_or(field.len());
    let (head, rest) = field.split_at_checked(at).unwrap_or((field, &[]));
    (head, rest.get(1..).unwrap_or(&[]))
}

impl Memory {
    fn take(&mut self, field: &[u8], value: Value) {
        let place = match field {
            b"rss" => &mut self.resident,
            b"available" => &mut self.available,
            b"usable" => &mut self.usable,
            b"unused" => &mut self.unused,
            b"last-update" => &mut self.last_update,
            _ => return,
        };
        *place = value.count();
    }
}

impl Sums {
    fn link(&mut self, field: &[u8], value: Value) {
        let place = match field {
            b"rx.bytes" => &mut self.network.received_bytes,
            b"tx.bytes" => &mut self.network.sent_bytes,
            b"rx.pkts" => &mut self.network.received_packets,
            b"tx.pkts" => &mut self.network.sent_packets,
            _ => return,
        };
        if let Some(count) = value.count() {
            *place = place.saturating_add(count);
            self.links = true;
        }
    }

    fn block(&mut self, field: &[u8], value: Value) {
        let Some(count) = value.count() else { return };
        let (place, seen) = match field {
            b"rd.bytes" => (&mut self.io.read_bytes, &mut self.requests),
            b"wr.bytes" => (&mut self.io.written_bytes, &mut self.requests),
            b"rd.reqs" => (&mut self.io.reads, &mut self.requests),
            b"wr.reqs" => (&mut self.io.writes, &mut self.requests),
            b"capacity" => (&mut self.capacity, &mut self.sizes),
            b"allocation" => return add(&mut self.allocation, count),
            b"physical" => return add(&mut self.physical, count),
            _ => return,
        };
        *place = place.saturating_add(count);
        *seen = true;
    }

    /// What its disks can hold, and what they take of the storage they are on. QEMU tells that of a guest that runs as
    /// `physical`, and as `allocation` how far the guest has written; libvirtd of one that does not run as `allocation`,
    /// and as `physical` the files' size.
    fn space(&self, runs: bool) -> Option<Space> {
        let (first, second) =
            if runs { (self.physical, self.allocation) } else { (self.allocation, self.physical) };
        let taken = first.or(second).unwrap_or(0);
        self.sizes.then_some(Space { capacity: self.capacity, taken })
    }
}

fn add(sum: &mut Option<u64>, count: u64) {
    *sum = Some(sum.unwrap_or(0).saturating_add(count));
}

fn value(r: &mut Reader<'_>) -> Result<Value, XdrError> {
    Ok(match r.u32()? {
        1 => Value::Int(r.i32()?),
        2 => Value::Word(r.u32()?),
        3 => Value::Long(i64::from_be_bytes(r.opaque()?)),
        4 => Value::Unsigned(r.u64()?),
        // A floating double word.
        5 => {
            r.u64()?;
            Value::Other
        }
        // Boolean.
        6 => {
            r.u32()?;
            Value::Other
        }
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
