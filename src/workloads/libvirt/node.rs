//! What libvirtd says of the node under the domains: replies of its node calls and storage pools, and the capabilities'
//! XML. Pure.

use super::protocol::{STRING_MAX, Uuid};
use super::xdr::{Reader, Writer, XdrError};
use super::xml::{self, XmlError};
use crate::workloads::Space;

/// The most node CPU statistics of one list.
const NODE_STATS_MAX: u32 = 16;
/// The most storage pools of one list, as libvirt limits it.
const POOLS_MAX: u32 = 16_384;
/// Two pools that tell the same size and nearly the same use, as a share of that size, are folders of one file system.
const SAME_USE: u64 = 100;

/// The node under the domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// `x86_64`, `aarch64` ...
    pub architecture: String,
    /// Memory, KiB.
    pub memory_kib: u64,
    /// Active logical CPUs.
    pub cpus: i32,
    /// Nominal clock, MHz; 0 when unknown.
    pub mhz: i32,
    /// Hardware threads of a core.
    pub threads: i32,
}

/// Reads what the node is.
///
/// # Errors
/// If the bytes are not the reply.
pub fn node_info(body: &[u8]) -> Result<NodeInfo, XdrError> {
    let mut r = Reader::new(body);
    // The model: 32 characters, a word each.
    let model: [u8; 128] = r.opaque()?;
    let words = model.iter().skip(3).step_by(4);
    let architecture =
        words.map(|byte| char::from(*byte)).take_while(|c| c.is_ascii_graphic()).collect::<String>();
    let (memory_kib, cpus, mhz) = (r.u64()?, r.i32()?, r.i32()?);
    // NUMA nodes, sockets of each, cores of each.
    r.opaque::<12>()?;
    let threads = r.i32()?;
    r.finish()?;
    Ok(NodeInfo { architecture, memory_kib, cpus, mhz, threads })
}

/// Reads the CPU time that all CPUs of the node spent in user and kernel, nanoseconds; none unless both are told.
///
/// # Errors
/// If the bytes are not the reply.
pub fn node_busy(body: &[u8]) -> Result<Option<u64>, XdrError> {
    let mut r = Reader::new(body);
    let (mut user, mut kernel) = (None, None);
    for _ in 0..r.count(NODE_STATS_MAX, 12)? {
        let field = r.bytes(STRING_MAX)?;
        let nanos = r.u64()?;
        match field {
            b"user" => user = Some(nanos),
            b"kernel" => kernel = Some(nanos),
            _ => {}
        }
    }
    r.i32()?;
    r.finish()?;
    Ok(user.zip(kernel).and_then(|(u, k)| u.checked_add(k)))
}

/// A storage pool as the protocol names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    name: String,
    uuid: Uuid,
}

impl Pool {
    /// Arguments of [`super::protocol::Procedure::PoolInfo`].
    pub fn args(&self) -> Vec<u8> {
        Writer::default().string(&self.name).opaque(&self.uuid.0).done()
    }
}

/// Reads a list of storage pools.
///
/// # Errors
/// If the bytes are not the reply.
pub fn pools(body: &[u8]) -> Result<Vec<Pool>, XdrError> {
    let mut r = Reader::new(body);
    let count = r.count(POOLS_MAX, 20)?;
    let pool = |_| Ok(Pool { name: r.string(STRING_MAX)?, uuid: Uuid(r.opaque()?) });
    let pools = (0..count).map(pool).collect::<Result<_, XdrError>>()?;
    r.u32()?;
    r.finish()?;
    Ok(pools)
}

/// Reads the size of a storage pool and what of it is taken.
///
/// # Errors
/// If the bytes are not the reply.
pub fn pool_info(body: &[u8]) -> Result<Space, XdrError> {
    let mut r = Reader::new(body);
    // Its state, and last what is free: size and use tell that too.
    r.u32()?;
    let space = Space { capacity: r.u64()?, taken: r.u64()? };
    r.u64()?;
    r.finish()?;
    Ok(space)
}

/// All pools together, each file system once; none without pools.
pub fn together(pools: &[Space]) -> Option<Space> {
    let mut different: Vec<Space> = Vec::new();
    for pool in pools {
        let same = |other: &&Space| {
            let apart = pool.taken.abs_diff(other.taken);
            pool.capacity == other.capacity && apart <= pool.capacity / SAME_USE
        };
        if different.iter().find(same).is_none() {
            different.push(*pool);
        }
    }
    let sum = |of: fn(&Space) -> u64| different.iter().map(of).fold(0, u64::saturating_add);
    (!different.is_empty()).then(|| Space { capacity: sum(|p| p.capacity), taken: sum(|p| p.taken) })
}

/// What the capabilities say of the node's processors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Processors {
    /// `x86_64`, `aarch64` ...; empty where untold.
    pub architecture: String,
    /// Their model; empty where untold.
    pub model: String,
}

/// Reads the processors from the capabilities' XML.
///
/// # Errors
/// If `text` is too long, malformed, or something else.
pub fn processors(text: &str) -> Result<Processors, XmlError> {
    let document = xml::document(text)?;
    let root = document.root_element();
    let cpu = xml::child(root, "host").and_then(|host| xml::child(host, "cpu"));
    if root.tag_name().name() != "capabilities" {
        return Err(XmlError::Not("capabilities"));
    }
    let words = |name| xml::words(cpu.and_then(|cpu| xml::child(cpu, name)));
    Ok(Processors { architecture: words("arch"), model: words("model") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace([' ', '\n'], "")).unwrap()
    }

    #[test]
    fn the_node_is_read() {
        // Model: `x86_64` in 32 words. Memory 0x9d68d4 KiB, 2 CPUs, 2596 MHz, 1 NUMA node, 1 socket, 2 cores, 4 threads.
        let model =
            format!("00000078 00000038 00000036 0000005f 00000036 00000034 {}", "00000000".repeat(26));
        let body =
            hex(&format!("{model} 00000000009d68d4 00000002 00000a24 00000001 00000001 00000002 00000004"));
        let info = node_info(&body).unwrap();
        assert_eq!((info.memory_kib, info.cpus, info.mhz), (0x9d_68d4, 2, 2596));
        assert_eq!((info.architecture.as_str(), info.threads), ("x86_64", 4));
        // kernel 3 s, user 5 s, idle 7 s: 8 s busy.
        let stat = |name: &str, seconds: u64| {
            Writer::default().string(name).opaque(&(seconds * 1_000_000_000).to_be_bytes()).done()
        };
        let all = [stat("kernel", 3), stat("user", 5), stat("idle", 7)].concat();
        let body = Writer::default().u32(3).opaque(&all).i32(0).done();
        assert_eq!(node_busy(&body), Ok(Some(8_000_000_000)));
        let body = Writer::default().u32(1).opaque(&stat("user", 5)).i32(0).done();
        assert_eq!(node_busy(&body), Ok(None), "half of it is not the whole");
    }

    #[test]
    fn pools_are_read_and_a_file_system_counts_once() {
        let list = hex(&format!("00000001 00000003 61626300 {} 00000001", "22".repeat(16)));
        let read = pools(&list).unwrap();
        assert_eq!(read, [Pool { name: "abc".into(), uuid: Uuid([0x22; 16]) }]);
        assert_eq!(read[0].args(), hex(&format!("00000003 61626300 {}", "22".repeat(16))));
        assert_eq!(pools(&hex("00000002 00000000")), Err(XdrError::Truncated));
        // Running, 1000 bytes, 400 taken, 600 free.
        let body = hex("00000002 00000000000003e8 0000000000000190 0000000000000258");
        assert_eq!(pool_info(&body), Ok(Space { capacity: 1000, taken: 400 }));
        let space = |capacity, taken| Space { capacity, taken };
        for (pools, sum) in [
            (vec![], None),
            (vec![space(1000, 400), space(1000, 409), space(2000, 5)], Some(space(3000, 405))),
            (vec![space(1000, 400), space(1000, 411)], Some(space(2000, 811))),
            (vec![space(u64::MAX, 0), space(1, 1)], Some(space(u64::MAX, 1))),
        ] {
            assert_eq!(together(&pools), sum, "{pools:?}");
        }
    }

    #[test]
    fn processors_are_read_from_the_capabilities() {
        let text = "<capabilities><host><uuid>1</uuid><cpu><arch>x86_64</arch><model>Broadwell-noTSX</model>\
                    <topology sockets='1' threads='2'/></cpu></host><guest><arch name='i686'/></guest></capabilities>";
        let read = processors(text).unwrap();
        assert_eq!((read.architecture.as_str(), read.model.as_str()), ("x86_64", "Broadwell-noTSX"));
        assert_eq!(processors("<capabilities/>"), Ok(Processors::default()));
        assert_eq!(processors("<domain/>"), Err(XmlError::Not("capabilities")));
    }
}
