//! A simulated Modbus TCP gateway with energy meters behind it, one unit each: functions 3 and 4, and 43 for who they are.
//!
//! Frames and connections are here, the meters' registers in `meter.rs`. As real gateways do, it answers for a unit that is
//! not there with exception 11.

mod meter;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endpoint::{Counters, Live};
use super::world::Point;
use meter::Meter;

/// The longest frame after its length field: a unit and 253 bytes of a message.
const MAX_LENGTH: usize = 254;
/// The most registers that one answer can hold.
const MAX_REGISTERS: u16 = 125;

/// A gateway that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its connections and requests.
    pub counters: Arc<Counters>,
}

/// Starts a gateway on a free port of 127.0.0.1, with a meter for each of `points`: the first is unit 1. It ends when `stop`
/// is cancelled. The counters' sessions are connections.
///
/// # Errors
/// When no loopback port can be had.
pub async fn start(
    live: Live,
    points: &[Point],
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> std::io::Result<Running> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let counters = Arc::new(Counters::default());
    let units = (1u8..).zip(points).map(|(unit, point)| (unit, Meter::new(*point))).collect();
    let gateway = Arc::new(Gateway { live, units, counters: counters.clone() });
    let (all, until) = (tasks.clone(), stop.clone());
    tasks.spawn(stop.run_until_cancelled_owned(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (gateway, until) = (gateway.clone(), until.clone());
            all.spawn(async move {
                gateway.counters.open();
                // Cut off by `until` it was still held: only a client's own end gives a connection back.
                if until.run_until_cancelled(gateway.converse(stream)).await.is_some() {
                    gateway.counters.close();
                }
            });
        }
    }));
    Ok(Running { address, counters })
}

/// Why a request is refused: the codes of the Modbus application protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exception {
    IllegalFunction,
    IllegalAddress,
    IllegalValue,
    NoAnswerFromUnit,
}

impl Exception {
    const fn code(self) -> u8 {
        match self {
            Self::IllegalFunction => 1,
            Self::IllegalAddress => 2,
            Self::IllegalValue => 3,
            Self::NoAnswerFromUnit => 11,
        }
    }
}

struct Gateway {
    live: Live,
    units: Vec<(u8, Meter)>,
    counters: Arc<Counters>,
}

impl Gateway {
    /// One connection, until the client leaves or sends what is no frame.
    async fn converse(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        while let Ok(Some(frame)) = read_frame(&mut stream).await {
            self.counters.request();
            let answer = self.answer(frame.unit, &frame.message);
            if stream.write_all(&frame.reply(&answer)).await.is_err() {
                return;
            }
        }
    }

    /// The message that answers `message`.
    fn answer(&self, unit: u8, message: &[u8]) -> Vec<u8> {
        let Some((&function, body)) = message.split_first() else { return Vec::new() };
        let meter = self.units.iter().find(|(of, _)| *of == unit).map(|(_, meter)| meter);
        let said = meter.ok_or(Exception::NoAnswerFromUnit).and_then(|meter| match function {
            3 | 4 => self.registers(meter, body),
            43 => identification(meter, body),
            _ => Err(Exception::IllegalFunction),
        });
        match said {
            Ok(body) => [&[function], body.as_slice()].concat(),
            Err(exception) => vec![function | 0x80, exception.code()],
        }
    }

    /// The values of the registers asked for, behind the count of their bytes.
    fn registers(&self, meter: &Meter, body: &[u8]) -> Result<Vec<u8>, Exception> {
        let &[a, b, c, d] = body else { return Err(Exception::IllegalValue) };
        let (first, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        if !(1..=MAX_REGISTERS).contains(&count) {
            return Err(Exception::IllegalValue);
        }
        let end = first.checked_add(count).ok_or(Exception::IllegalAddress)?;
        let all = meter.registers(&self.live.world, self.live.seconds());
        let words: Option<Vec<u16>> = (first..end).map(|register| all.get(&register).copied()).collect();
        let bytes: Vec<u8> =
            words.ok_or(Exception::IllegalAddress)?.into_iter().flat_map(u16::to_be_bytes).collect();
        Ok(counted(&bytes))
    }
}

/// Function 43 with type 14, Read Device Identification: the three basic objects, as a stream or one of them.
fn identification(meter: &Meter, body: &[u8]) -> Result<Vec<u8>, Exception> {
    const TYPE: u8 = 14;
    /// Basic objects only, which can also be asked for one by one.
    const CONFORMITY: u8 = 0x81;
    let &[TYPE, code, object] = body else { return Err(Exception::IllegalFunction) };
    let objects = (0u8..).zip(meter.identity());
    let objects: Vec<(u8, &str)> = match code {
        1..=3 => objects.collect(),
        4 => objects.filter(|(id, _)| *id == object).collect(),
        _ => return Err(Exception::IllegalValue),
    };
    if objects.is_empty() {
        return Err(Exception::IllegalAddress);
    }
    let count = u8::try_from(objects.len()).unwrap_or(u8::MAX);
    // All fit into this one answer: nothing follows.
    let mut said = vec![TYPE, code, CONFORMITY, 0, 0, count];
    for (id, text) in objects {
        said.push(id);
        said.extend(counted(text.as_bytes()));
    }
    Ok(said)
}

/// `bytes` behind their count; they are always few here.
fn counted(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap_or(u8::MAX)], bytes].concat()
}

/// A request of Modbus TCP.
struct Frame {
    transaction: [u8; 2],
    unit: u8,
    message: Vec<u8>,
}

impl Frame {
    /// The frame of an answer to this one.
    fn reply(&self, message: &[u8]) -> Vec<u8> {
        let length = u16::try_from(message.len() + 1).unwrap_or(u16::MAX).to_be_bytes();
        [&self.transaction[..], &[0, 0], &length, &[self.unit], message].concat()
    }
}

/// The next request; none where what comes is no frame of Modbus TCP: then the place of the next one is not known either.
async fn read_frame(stream: &mut TcpStream) -> std::io::Result<Option<Frame>> {
    let mut head = [0u8; 7];
    stream.read_exact(&mut head).await?;
    let [t0, t1, protocol @ .., unit] = head;
    let [0, 0, l0, l1] = protocol else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    if !(2..=MAX_LENGTH).contains(&length) {
        return Ok(None);
    }
    let mut message = vec![0u8; length - 1];
    stream.read_exact(&mut message).await?;
    Ok(Some(Frame { transaction: [t0, t1], unit, message }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;
    use crate::sim::world::World;

    fn gateway() -> Gateway {
        let live = Live::new(Arc::new(World::new(1)), Arc::new(ManualClock::default()));
        let units = vec![(1, Meter::new(Point::UpsIn)), (2, Meter::new(Point::Lighting))];
        Gateway { live, units, counters: Arc::default() }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_code() {
        let gateway = gateway();
        // 3059, manual 3060: total power, two registers.
        assert_eq!(gateway.answer(2, &[3, 0x0b, 0xf3, 0, 2])[..2], [3, 4]);
        for (unit, request, expected) in [
            (3, [3, 0x0b, 0xf3, 0, 2], [0x83, 11]),
            (1, [6, 0x0b, 0xf3, 0, 2], [0x86, 1]),
            (1, [3, 0x00, 0x00, 0, 2], [0x83, 2]),
            (1, [4, 0xff, 0xff, 0, 2], [0x84, 2]),
            (1, [3, 0x0b, 0xf3, 0, 0], [0x83, 3]),
            (1, [3, 0x0b, 0xf3, 0, 126], [0x83, 3]),
        ] {
            assert_eq!(gateway.answer(unit, &request), expected, "{unit} {request:02x?}");
        }
        assert_eq!(gateway.answer(1, &[3, 0x0b]), [0x83, 3]);
        assert_eq!(gateway.answer(1, &[43, 13, 1, 0]), [0xab, 1]);
        assert_eq!(gateway.answer(1, &[43, 14, 4, 9]), [0xab, 2]);
    }

    #[test]
    fn it_says_who_it_is() {
        let said = gateway().answer(1, &[43, 14, 1, 0]);
        assert_eq!(said[..8], [43, 14, 1, 0x81, 0, 0, 3, 0]);
        let text = String::from_utf8_lossy(&said);
        assert!(text.contains("Schneider Electric") && text.contains("iEM3155"), "{text}");
        // One object: its number, its length, its text.
        let one = gateway().answer(1, &[43, 14, 4, 1]);
        assert_eq!(one[7..], *b"\x01\x07iEM3155");
    }
}
