//! libvirt's remote protocol: the frame's header, the few procedures we call, their arguments and replies. Pure.
//!
//! Source: `remote_protocol.x` and `virnetprotocol.x` of libvirt; every number here was answered by libvirtd 9.0.0.
//! The statistics reply stands in `stats.rs`, what is said of the node in `node.rs`. Does not live here: sockets, matching of replies, policy.

use super::xdr::{Reader, Writer, XdrError};

/// The longest frame libvirt itself sends or takes, bytes, its length word not counted.
pub const FRAME_MAX: u32 = 32 * 1024 * 1024;
/// The header's length, bytes, its length word not counted.
const HEADER_BYTES: usize = 24;
/// Length word and header.
const FRAME_MIN: u32 = 28;
/// The longest string libvirt sends, bytes.
pub const STRING_MAX: u32 = 4 * 1024 * 1024;
/// The most domains of one list.
pub const DOMAINS_MAX: u32 = 16_384;
/// The most authentication methods of one list.
const AUTH_MAX: u32 = 20;

/// The main program's number.
pub const REMOTE_PROGRAM: u32 = 0x2000_8086;
/// The keepalive program's number: "keep".
pub const KEEPALIVE_PROGRAM: u32 = 0x6b65_6570;
const VERSION: u32 = 1;
/// `CONNECT_OPEN` flag: read-only.
const OPEN_READ_ONLY: u32 = 1;
/// Keepalive procedure: "are you there".
pub const KEEPALIVE_PING: i32 = 1;
const KEEPALIVE_PONG: i32 = 2;
/// All CPUs of the node together.
const ALL_CPUS: i32 = -1;
/// Storage pools that are active.
const POOLS_ACTIVE: u32 = 2;
/// How many CPU times the QEMU driver keeps for a node; it refuses any other number.
const NODE_CPU_TIMES: i32 = 4;

/// What the driver may support.
pub const FEATURE_KEEPALIVE: i32 = 10;

/// Events that make a domain's cached description stale: lifecycle, balloon change, metadata change.
pub const EVENTS: [i32; 3] = [0, 13, 23];

/// A procedure we call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Procedure {
    /// Opens the driver.
    Open,
    /// Closes it.
    Close,
    /// Model, memory, CPUs of the node.
    NodeInfo,
    /// What the node and its hypervisor can do.
    Capabilities,
    /// The description of a domain.
    DomainXml,
    /// The node's name.
    Hostname,
    /// Whether the server knows a feature.
    SupportsFeature,
    /// Ways to authenticate.
    AuthList,
    /// Size of a storage pool.
    PoolInfo,
    /// Free memory of the node.
    NodeFreeMemory,
    /// The library's version.
    LibVersion,
    /// CPU times of the node.
    NodeCpuStats,
    /// Storage pools.
    Pools,
    /// Asks for one kind of event.
    RegisterEvent,
    /// Statistics of many domains.
    AllDomainStats,
}

impl Procedure {
    /// Its number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Open => 1,
            Self::Close => 2,
            Self::NodeInfo => 6,
            Self::Capabilities => 7,
            Self::DomainXml => 14,
            Self::Hostname => 59,
            Self::SupportsFeature => 60,
            Self::AuthList => 66,
            Self::PoolInfo => 87,
            Self::NodeFreeMemory => 102,
            Self::LibVersion => 157,
            Self::NodeCpuStats => 227,
            Self::Pools => 281,
            Self::RegisterEvent => 316,
            Self::AllDomainStats => 344,
        }
    }

    /// What it asks for, in words for messages.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Open => "opening the driver",
            Self::Close => "closing the driver",
            Self::NodeInfo => "node information",
            Self::Capabilities => "its capabilities",
            Self::DomainXml => "a domain's XML",
            Self::Hostname => "the node's name",
            Self::SupportsFeature => "its features",
            Self::AuthList => "its ways to authenticate",
            Self::PoolInfo => "a storage pool's size",
            Self::NodeFreeMemory => "the node's free memory",
            Self::LibVersion => "its version",
            Self::NodeCpuStats => "the node's CPU times",
            Self::Pools => "storage pools",
            Self::RegisterEvent => "domain events",
            Self::AllDomainStats => "domain statistics",
        }
    }
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The answer to a call.
    Reply,
    /// Something the server says unasked: event or keepalive.
    Message,
    /// A kind that no server sends to us: calls, streams, file descriptors.
    Foreign,
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The program.
    pub program: u32,
    /// The program's version.
    pub version: u32,
    /// The procedure's number.
    pub procedure: i32,
    /// Reply, message or other.
    pub kind: Kind,
    /// The serial of the call that a reply answers. libvirtd numbers events 1, so a serial means nothing alone.
    pub serial: u32,
    /// Whether the body is the procedure's result; otherwise it is an error.
    pub ok: bool,
}

/// The length of the rest of a frame from its first word.
///
/// # Errors
/// If it cannot hold a header or is longer than libvirt allows.
pub fn body_length(word: [u8; 4]) -> Result<u64, XdrError> {
    let length = u32::from_be_bytes(word);
    if length < FRAME_MIN {
        return Err(XdrError::Truncated);
    }
    if length - 4 > FRAME_MAX {
        return Err(XdrError::TooLong { length, limit: FRAME_MAX });
    }
    Ok(u64::from(length - 4))
}

/// Splits a frame (without its length word) into header and body.
///
/// # Errors
/// If it is shorter than a header.
pub fn split(frame: &[u8]) -> Result<(Header, &[u8]), XdrError> {
    let (head, body) = frame.split_at_checked(HEADER_BYTES).ok_or(XdrError::Truncated)?;
    let mut r = Reader::new(head);
    let header = Header {
        program: r.u32()?,
        version: r.u32()?,
        procedure: r.i32()?,
        kind: match r.u32()? {
            1 => Kind::Reply,
            2 => Kind::Message,
            _ => Kind::Foreign,
        },
        serial: r.u32()?,
        ok: r.u32()? == 0,
    };
    Ok((header, body))
}

fn frame(program: u32, procedure: i32, kind: u32, serial: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).saturating_add(FRAME_MIN);
    let head = Writer::default().u32(length).u32(program).u32(VERSION).i32(procedure);
    head.u32(kind).u32(serial).u32(0).opaque(body).done()
}

/// A call, ready to be sent.
#[must_use]
pub fn call(procedure: Procedure, serial: u32, body: &[u8]) -> Vec<u8> {
    frame(REMOTE_PROGRAM, procedure.number(), 0, serial, body)
}

/// The answer to a keepalive ping.
#[must_use]
pub fn pong() -> Vec<u8> {
    frame(KEEPALIVE_PROGRAM, KEEPALIVE_PONG, 2, 0, &[])
}

impl Header {
    /// Whether this is a keepalive ping.
    #[must_use]
    pub fn is_ping(&self) -> bool {
        self.program == KEEPALIVE_PROGRAM && self.kind == Kind::Message && self.procedure == KEEPALIVE_PING
    }

    /// Whether the version is the one we speak.
    #[must_use]
    pub const fn is_known_version(&self) -> bool {
        self.version == VERSION
    }
}

/// A domain as the protocol names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The hypervisor's name for it.
    pub name: String,
    /// Its lasting identity.
    pub uuid: Uuid,
    /// Which run of it; -1 while it does not run.
    pub id: i32,
}

/// A domain's UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub [u8; 16]);

impl std::fmt::Display for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl Domain {
    /// The fewest bytes of one on the wire: an empty name, the UUID, the id.
    pub const MIN_BYTES: usize = 24;

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, XdrError> {
        Ok(Self { name: r.string(STRING_MAX)?, uuid: Uuid(r.opaque()?), id: r.i32()? })
    }

    fn write(&self, w: Writer) -> Writer {
        w.string(&self.name).opaque(&self.uuid.0).i32(self.id)
    }
}

/// What the server says when it refuses a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteError {
    /// libvirt's error number (`virErrorNumber`).
    pub code: i32,
    /// Its words.
    pub message: String,
}

/// Reads an error's number and words; the many fields after them repeat these.
///
/// # Errors
/// If the bytes are not an error.
pub fn error(body: &[u8]) -> Result<RemoteError, XdrError> {
    let mut r = Reader::new(body);
    let code = r.i32()?;
    r.i32()?;
    let message = if r.present()? { r.string(STRING_MAX)? } else { String::new() };
    Ok(RemoteError { code, message })
}

/// Arguments of [`Procedure::Open`].
#[must_use]
pub fn open_args(uri: &str) -> Vec<u8> {
    Writer::default().u32(1).string(uri).u32(OPEN_READ_ONLY).done()
}

/// Arguments of [`Procedure::SupportsFeature`].
#[must_use]
pub fn feature_args(feature: i32) -> Vec<u8> {
    Writer::default().i32(feature).done()
}

/// Arguments of [`Procedure::RegisterEvent`], for every domain.
#[must_use]
pub fn event_args(event: i32) -> Vec<u8> {
    Writer::default().i32(event).u32(0).done()
}

/// Arguments of [`Procedure::DomainXml`]: the live description, without secrets.
#[must_use]
pub fn xml_args(domain: &Domain) -> Vec<u8> {
    domain.write(Writer::default()).u32(0).done()
}

/// Arguments of [`Procedure::NodeCpuStats`]: all CPUs, as many times as the QEMU driver keeps.
#[must_use]
pub fn cpu_args() -> Vec<u8> {
    Writer::default().i32(ALL_CPUS).i32(NODE_CPU_TIMES).u32(0).done()
}

/// Arguments of [`Procedure::AllDomainStats`]; no `domains` means all of them.
#[must_use]
pub fn stats_args(domains: &[Domain], groups: u32, flags: u32) -> Vec<u8> {
    let mut w = Writer::default().u32(u32::try_from(domains.len()).unwrap_or(u32::MAX));
    for domain in domains {
        w = domain.write(w);
    }
    w.u32(groups).u32(flags).done()
}

/// Reads the ways to authenticate: 0 none, 1 SASL, 2 polkit.
///
/// # Errors
/// If the bytes are not the reply.
pub fn auth_list(body: &[u8]) -> Result<Vec<i32>, XdrError> {
    let mut r = Reader::new(body);
    let count = r.count(AUTH_MAX, 4)?;
    let list = (0..count).map(|_| r.i32()).collect::<Result<_, _>>()?;
    r.finish()?;
    Ok(list)
}

/// Reads one double word: the library's version, the node's free memory in bytes.
///
/// # Errors
/// If the bytes are not the reply.
pub fn double_word(body: &[u8]) -> Result<u64, XdrError> {
    let mut r = Reader::new(body);
    let value = r.u64()?;
    r.finish().map(|()| value)
}

/// Arguments of [`Procedure::Pools`]: those that are active, all of them.
#[must_use]
pub fn pools_args() -> Vec<u8> {
    Writer::default().u32(1).u32(POOLS_ACTIVE).done()
}

/// Reads a text: a domain's XML, the capabilities, the node's name.
///
/// # Errors
/// If the bytes are not the reply.
pub fn text(body: &[u8]) -> Result<String, XdrError> {
    let mut r = Reader::new(body);
    let text = r.string(STRING_MAX)?;
    r.finish().map(|()| text)
}

/// Reads whom an event is about: each event we ask for begins with the callback's id and the domain.
///
/// # Errors
/// If the bytes do not begin so.
pub fn event(body: &[u8]) -> Result<Uuid, XdrError> {
    let mut r = Reader::new(body);
    r.i32()?;
    Domain::read(&mut r).map(|domain| domain.uuid)
}
