//! A line that is open: a serial port of this machine, alone, or a connection to a serial device server. What went wrong is told
//! here in the words of people who stand before the rack; which bytes mean what is the protocols' matter.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_serial::{ClearBuffer, DataBits, FlowControl, SerialPort, SerialStream, StopBits};

use super::line::{Address, Line, Parity};
use super::trouble;
use crate::model::{ErrorKind, PollError};

/// A device server that does not take the connection by then is not there.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// An open line. Closed when dropped.
#[derive(Debug)]
pub(in crate::drivers) struct Port {
    address: Address,
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    Serial(SerialStream),
    Tcp(TcpStream),
}

impl Port {
    /// Opens `address` for us alone.
    ///
    /// # Errors
    /// `Unreachable` if it is not there or may not be opened, `Busy` if another program has it.
    pub(in crate::drivers) async fn open(address: &Address, line: Line) -> Result<Self, PollError> {
        let stream = match address {
            Address::Device(path) => {
                let of = path.clone();
                // Adapters are asked over USB, which may take its time.
                let opened = tokio::task::spawn_blocking(move || open_device(&of, line)).await;
                Stream::Serial(opened.unwrap_or_else(|_| Err(trouble::strange(path, "opening it failed")))?)
            }
            Address::Tcp(to) => {
                let connected = timeout(CONNECT_DEADLINE, TcpStream::connect(to.as_str())).await;
                let stream = connected
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                    .map_err(|error| trouble::server(address, &error))?;
                // What we send is short and waits for nothing.
                let _ = stream.set_nodelay(true);
                Stream::Tcp(stream)
            }
        };
        Ok(Self { address: address.clone(), stream })
    }

    /// Changes rate and format: meters that are met at 300 baud go on faster. Nothing on a device server, whose own settings count.
    ///
    /// # Errors
    /// `Unreachable` if the adapter cannot, or is gone.
    pub(in crate::drivers) fn set(&mut self, line: Line) -> Result<(), PollError> {
        match (&mut self.stream, &self.address) {
            (Stream::Serial(port), Address::Device(path)) => {
                configure(port, line).map_err(|error| trouble::settings(path, line, &error))?;
                confirm(port, path, line)
            }
            (Stream::Serial(_) | Stream::Tcp(_), Address::Device(_) | Address::Tcp(_)) => Ok(()),
        }
    }

    /// Sets the wire RTS: some heads and cables take their power from it. Nothing where there is no such wire.
    pub(in crate::drivers) fn set_rts(&mut self, on: bool) {
        if let Stream::Serial(port) = &mut self.stream {
            let _ = port.write_request_to_send(on);
        }
    }

    /// Throws away what has arrived but was not read, so that an answer that is late answers nothing any more. Never waits.
    ///
    /// # Errors
    /// If the line is gone: [`Port::gone`] says it in words.
    pub(in crate::drivers) fn drain(&mut self) -> io::Result<()> {
        let mut scrap = [0; 1024];
        // As much as any buffer on the way holds; whoever sends faster than this is read never ends.
        for _ in 0..64 {
            let got = match &mut self.stream {
                Stream::Serial(port) => port.try_read(&mut scrap),
                Stream::Tcp(stream) => stream.try_read(&mut scrap),
            };
            match got {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Why reading or writing failed, for people. The port is of no use any more: drop it, and open it at the next poll.
    pub(in crate::drivers) fn gone(&self, error: &io::Error) -> PollError {
        trouble::gone(&self.address, error)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Closing waits until all is sent; a device that holds us back by CTS would let us wait for half a minute.
        if let Stream::Serial(port) = &mut self.stream {
            let _ = port.clear(ClearBuffer::All);
        }
    }
}

impl AsyncRead for Port {
    /// A line that hangs up is an error (`UnexpectedEof`), never an empty read.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.get_mut().stream {
            Stream::Serial(port) => Pin::new(port).poll_read(cx, buf),
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        match polled {
            Poll::Ready(Ok(())) if buf.filled().len() == before && buf.remaining() > 0 => {
                Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Port {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Serial(port) => Pin::new(port).poll_write(cx, bytes),
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Does not wait until all is on the wire: the library would block the thread for that.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Serial(_) => Poll::Ready(Ok(())),
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

fn open_device(path: &Path, line: Line) -> Result<SerialStream, PollError> {
    trouble::before(path)?;
    let builder = tokio_serial::new(path.to_string_lossy(), line.baud)
        .data_bits(data_bits(line))
        .parity(parity(line))
        .stop_bits(stop_bits(line))
        .flow_control(flow_control(line));
    // The library takes the port for itself by TIOCEXCL, and by flock, which also keeps root out.
    let port = SerialStream::open(&builder).map_err(|error| trouble::opening(path, line, &error))?;
    confirm(&port, path, line)?;
    // What came before the rate was set is garbage.
    let _ = port.clear(ClearBuffer::Input);
    Ok(port)
}

fn configure(port: &mut SerialStream, line: Line) -> tokio_serial::Result<()> {
    port.set_baud_rate(line.baud)?;
    port.set_data_bits(data_bits(line))?;
    port.set_parity(parity(line))?;
    port.set_stop_bits(stop_bits(line))?;
    port.set_flow_control(flow_control(line))
}

/// Kernels take any rate and set the nearest that the adapter has: that is found out by asking.
fn confirm(port: &SerialStream, path: &Path, line: Line) -> Result<(), PollError> {
    match port.baud_rate() {
        // A receiver of 10 bits bears 3 %, both ends together.
        Ok(set) if set.abs_diff(line.baud) > line.baud / 33 => Err(PollError::new(
            ErrorKind::Unreachable,
            format!("{} cannot do {} baud: it offers {set}", path.display(), line.baud),
            "set the meter to a rate that the adapter has, and `baud` with it; or use another adapter",
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}

const fn data_bits(line: Line) -> DataBits {
    if line.format.seven_bits { DataBits::Seven } else { DataBits::Eight }
}

const fn parity(line: Line) -> tokio_serial::Parity {
    match line.format.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    }
}

const fn stop_bits(line: Line) -> StopBits {
    if line.format.two_stop_bits { StopBits::Two } else { StopBits::One }
}

const fn flow_control(line: Line) -> FlowControl {
    if line.rts_cts { FlowControl::Hardware } else { FlowControl::None }
}

#[cfg(test)]
#[path = "port_tests.rs"]
mod tests;
