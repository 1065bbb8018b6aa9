//! A meter whose every frame the test decides, over a serial line, RTU in TCP, or Modbus TCP. Framing of its own, so that
//! nothing here shares a mistake with the driver.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_serial::{SerialPort, SerialStream};
use wattribute::drivers::modbus::Address;
use wattribute::drivers::serial::line::Line;

/// A decoded request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The MBAP transaction; 0 on RTU.
    pub transaction: u16,
    pub unit: u8,
    pub function: u8,
    pub start: u16,
    pub count: u16,
    /// The function code and what follows it.
    pub pdu: Vec<u8>,
}

/// What to do with a request, in order.
#[derive(Clone, Debug)]
pub enum Act {
    /// Wait, and do nothing else meanwhile: what a meter does that thinks.
    Wait(Duration),
    /// Send these bytes.
    Send(Vec<u8>),
    /// Close the connection.
    HangUp,
}

pub type Behaviour = Box<dyn FnMut(&Request) -> Vec<Act> + Send>;

/// A running meter.
pub struct Fake {
    pub address: Address,
    pub requests: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Tcp,
    Rtu,
}

impl Fake {
    /// On a serial line.
    pub fn on_a_line(behaviour: impl FnMut(&Request) -> Vec<Act> + Send + 'static) -> Self {
        let (far, near) = SerialStream::pair().unwrap();
        let path = near.name().unwrap();
        let (behaviour, requests) = parts(behaviour);
        let count = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            // The near end stays open, so that the line lives when the driver closes it.
            let _near = near;
            let mut far = far;
            serve(&mut far, Framing::Rtu, &behaviour, &count).await;
        });
        Self { address: Address::Rtu(path.into(), Line::at(9600)), requests, task }
    }

    /// Behind a TCP port.
    pub async fn on_tcp(
        framing: Framing,
        behaviour: impl FnMut(&Request) -> Vec<Act> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let (behaviour, requests) = parts(behaviour);
        let count = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                serve(&mut stream, framing, &behaviour, &count).await;
            }
        });
        let address = if framing == Framing::Tcp { Address::Tcp(place) } else { Address::RtuOverTcp(place) };
        Self { address, requests, task }
    }
}

type Parts = (Mutex<Behaviour>, Arc<AtomicU32>);

fn parts(behaviour: impl FnMut(&Request) -> Vec<Act> + Send + 'static) -> Parts {
    let behaviour: Behaviour = Box::new(behaviour);
    (Mutex::new(behaviour), Arc::default())
}

/// Answers one request after the other, as a meter does: what comes meanwhile waits.
async fn serve(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    framing: Framing,
    behaviour: &Mutex<Behaviour>,
    requests: &AtomicU32,
) {
    let mut pending: Vec<u8> = Vec::new();
    let mut buffer = [0; 512];
    loop {
        while let Some(request) = take(&mut pending, framing) {
            requests.fetch_add(1, Ordering::SeqCst);
            let acts = behaviour.lock().unwrap()(&request);
            for act in acts {
                match act {
                    Act::Wait(time) => tokio::time::sleep(time).await,
                    Act::Send(bytes) => {
                        if stream.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                    Act::HangUp => return,
                }
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => pending.extend(&buffer[..count]),
        }
    }
}

/// The next whole request. All that the driver sends have 8 bytes on a line but one, which has 7.
fn take(pending: &mut Vec<u8>, framing: Framing) -> Option<Request> {
    let (transaction, unit, pdu, length) = match framing {
        Framing::Tcp => {
            let size = usize::from(u16::from_be_bytes([*pending.get(4)?, *pending.get(5)?]));
            let frame = pending.get(..6 + size)?;
            (u16::from_be_bytes([frame[0], frame[1]]), frame[6], frame[7..].to_vec(), 6 + size)
        }
        Framing::Rtu => {
            let length = if *pending.get(1)? == 0x2B { 7 } else { 8 };
            let frame = pending.get(..length)?;
            let sum = u16::from_le_bytes([frame[length - 2], frame[length - 1]]);
            assert_eq!(sum, crc(&frame[..length - 2]), "the driver sent a wrong checksum");
            (0, frame[0], frame[1..length - 2].to_vec(), length)
        }
    };
    pending.drain(..length);
    let word = |at: usize| {
        u16::from_be_bytes([pdu.get(at).copied().unwrap_or(0), pdu.get(at + 1).copied().unwrap_or(0)])
    };
    Some(Request { transaction, unit, function: pdu[0], start: word(1), count: word(3), pdu })
}

/// Frames for answers.
impl Request {
    /// `pdu` as an answer to this.
    pub fn frame(&self, framing: Framing, pdu: &[u8]) -> Vec<u8> {
        frame(framing, self.transaction, self.unit, pdu)
    }

    /// The registers asked for, from `registers`; an echo gives back what came.
    pub fn right(&self, registers: impl Fn(u16) -> u16) -> Vec<u8> {
        match self.function {
            3 | 4 => {
                let mut pdu = vec![self.function, (self.count * 2) as u8];
                (self.start..self.start + self.count).for_each(|r| pdu.extend(registers(r).to_be_bytes()));
                pdu
            }
            8 => self.pdu.clone(),
            other => vec![other | 0x80, 1],
        }
    }
}

pub fn frame(framing: Framing, transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    match framing {
        Framing::Tcp => {
            let mut frame = transaction.to_be_bytes().to_vec();
            frame.extend([0, 0]);
            frame.extend(((pdu.len() + 1) as u16).to_be_bytes());
            frame.push(unit);
            frame.extend(pdu);
            frame
        }
        Framing::Rtu => {
            let mut frame = vec![unit];
            frame.extend(pdu);
            frame.extend(crc(&frame).to_le_bytes());
            frame
        }
    }
}

/// Bit by bit, from the highest, of bytes turned round: another way to the same sum as the driver's.
fn crc(bytes: &[u8]) -> u16 {
    let mut sum: u16 = 0xFFFF;
    for byte in bytes {
        sum ^= u16::from(byte.reverse_bits()) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x8005 };
        }
    }
    sum.reverse_bits()
}

/// Registers of which each says which it is and when it was read: thousands the register, and seconds since `begun` below.
pub fn told(begun: Instant) -> impl Fn(u16) -> u16 + Copy {
    move |register| (register % 60) * 1000 + (begun.elapsed().as_secs() % 1000) as u16
}

/// Two blocks of the same length, far apart, and one value of another.
pub const PROFILE: &str = "protocol: modbus\nname: two-blocks\nabout: blocks that look alike\ndefaults: {type: u16}\nchannels:\n\
    - {channel: a, values: [{quantity: power, register: 10}]}\n\
    - {channel: b, values: [{quantity: power, register: 20}]}\n\
    - {channel: c, values: [{quantity: power, register: 30}]}\n";
