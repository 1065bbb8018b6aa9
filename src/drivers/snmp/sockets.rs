//! The few UDP sockets that all SNMP devices share, so that ten thousand of them need eight descriptors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_snmp::UdpTransport;
use tokio::sync::Mutex;

use crate::model::{ErrorKind, PollError};

/// Sockets for each address family. Four spread the receiving over the runtime's threads.
const SOCKETS: usize = 4;

/// Asked of the kernel for each socket: a second of answers from thousands of devices. It may grant less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// A socket as one device has it.
#[derive(Clone)]
pub struct Lease {
    /// The library's socket with its receiving task.
    pub transport: UdpTransport,
    dead: Arc<AtomicBool>,
}

impl Lease {
    /// Says that the socket no longer works; the next lease opens another.
    pub fn give_up(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }
}

/// All of them, opened when first needed.
#[derive(Default)]
pub struct Sockets {
    v4: [Mutex<Option<Lease>>; SOCKETS],
    v6: [Mutex<Option<Lease>>; SOCKETS],
}

impl Sockets {
    /// The socket for the device number `device` at `peer`.
    ///
    /// # Errors
    /// `Unreachable` if the system gives no socket of that family.
    pub async fn lease(&self, device: usize, peer: SocketAddr) -> Result<Lease, PollError> {
        let (family, any) = if peer.is_ipv6() { (&self.v6, "[::]:0") } else { (&self.v4, "0.0.0.0:0") };
        let no_socket = |why: &dyn std::fmt::Display| {
            PollError::new(
                ErrorKind::Unreachable,
                format!("the system gives no UDP socket on {any}: {why}"),
                "check this machine's limits (open files) and whether it has that address family",
            )
        };
        let Some(slot) = family.get(device % SOCKETS) else { return Err(no_socket(&"no slot")) };
        let mut slot = slot.lock().await;
        match &*slot {
            Some(lease) if !lease.dead.load(Ordering::Relaxed) => Ok(lease.clone()),
            Some(_) | None => {
                let builder = UdpTransport::builder().bind(any).recv_buffer_size(RECEIVE_BUFFER_BYTES);
                // Foreign and late datagrams are normal at this scale: no line in the log for each.
                let transport =
                    builder.warn_on_source_mismatch(false).build().await.map_err(|e| no_socket(&e))?;
                let lease = Lease { transport, dead: Arc::default() };
                *slot = Some(lease.clone());
                Ok(lease)
            }
        }
    }
}
