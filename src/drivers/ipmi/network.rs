//! What carries datagrams: UDP, or whatever stands in for it where time and loss are to be steered.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::model::BoxFuture;

/// Asked of the kernel for each socket: a second of answers from thousands of BMCs. It may grant less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// A network to open sockets on.
pub trait Network: Send + Sync {
    /// Opens a socket on a port of its own, of the address family that is asked for.
    ///
    /// # Errors
    /// As the system says.
    fn bind(&self, v6: bool) -> BoxFuture<'_, io::Result<Box<dyn Socket>>>;
}

/// An open socket, sent from by many at once and read by one.
pub trait Socket: Send + Sync {
    /// Sends one datagram without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room now; otherwise as the system says.
    fn try_send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()>;

    /// Waits until there may be room to send.
    fn room(&self) -> BoxFuture<'_, io::Result<()>>;

    /// Receives one datagram; its end is cut off where `into` is too short. Only the last task that asked is woken.
    ///
    /// # Errors
    /// As the system says.
    fn poll_receive(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>>;
}

/// The machine's own.
#[derive(Debug, Clone, Copy)]
pub struct Udp;

impl Network for Udp {
    fn bind(&self, v6: bool) -> BoxFuture<'_, io::Result<Box<dyn Socket>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(if v6 { "[::]:0" } else { "0.0.0.0:0" }).await?;
            // Less than asked for costs retries, not readings.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES);
            Ok(Box::new(socket) as Box<dyn Socket>)
        })
    }
}

impl Socket for UdpSocket {
    fn try_send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.try_send_to(datagram, to).map(drop)
    }

    fn room(&self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(self.writable())
    }

    fn poll_receive(&self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_recv_from(cx, into)
    }
}
