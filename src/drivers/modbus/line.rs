//! A line with one or more units: one question at a time, and no answer for another question than its own.
//!
//! On TCP the transaction's number tells. On a serial line nothing does, so a question that was given up is remembered
//! ([`Owed`]), and before one whose answer would look the same is put, the line is proven to be clear: by an answer that can be
//! told from all others. See `owed` for why that is proof.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{sleep, timeout};

use super::owed::{Owed, Question};
use super::pace::{Pace, Terms};
use super::transport::{Address, Stream};
use super::wire::pdu::{Answer, Request};
use super::wire::{Frame, rtu, tcp};
use crate::model::{Clock, Moment, PollError};

/// Bytes that are thrown away before a question; whoever sends more without being asked never ends.
const MAX_DRAINED: usize = 64 * 1024;
/// After bytes that are no frame, and then nothing for so long, no more of it comes.
const QUIET: Duration = Duration::from_millis(100);
/// The same where a network is in between, which may cut a frame in two.
const QUIET_NETWORK: Duration = Duration::from_millis(500);
/// How long to look for what has already arrived.
const LOOK: Duration = Duration::from_millis(2);
/// So many registers are asked for, at most, to tell an answer from all others.
const MAX_PROBE: u16 = 8;

/// Why there is no answer.
#[derive(Debug)]
pub enum Fault {
    /// The line itself cannot be used.
    Down(PollError),
    /// Nobody answered in time. `noise` bytes came that were no frame, and `others` frames that answered nothing.
    Silent {
        /// Bytes that were no frame.
        noise: usize,
        /// Frames that answered nothing that was asked.
        others: usize,
        /// How often bytes that were no frame have come on this line in place of an answer.
        broken: u64,
    },
    /// What came is not Modbus TCP.
    NotModbus,
    /// Somebody sends without end.
    Flooded,
}

/// What listening came to.
enum Heard {
    Answer(Answer),
    Nothing,
}

/// A line, open or not.
pub struct Line {
    address: Address,
    clock: Arc<dyn Clock>,
    stream: Option<Box<dyn Stream>>,
    inbox: rtu::Inbox,
    bytes: Vec<u8>,
    owed: Owed,
    paces: HashMap<u8, Pace>,
    number: u16,
    last: Moment,
    /// A frame is half sent: only a poll that was cut off leaves it so.
    sending: bool,
    others: usize,
    broken: u64,
    /// What takes longer was not waited for: nobody knows when it came.
    longest: Duration,
}

impl Line {
    /// A line that is not open yet.
    pub fn new(address: Address, clock: Arc<dyn Clock>) -> Self {
        Self {
            address,
            clock,
            stream: None,
            inbox: rtu::Inbox::default(),
            bytes: Vec::new(),
            owed: Owed::default(),
            paces: HashMap::new(),
            number: 0,
            last: Moment::ZERO,
            sending: false,
            others: 0,
            broken: 0,
            longest: Duration::ZERO,
        }
    }

    /// Puts `request` to `unit`.
    ///
    /// # Errors
    /// If there is no answer within the terms.
    pub async fn ask(&mut self, unit: u8, request: Request, terms: &Terms) -> Result<Answer, Fault> {
        self.ready(terms).await?;
        let start = self.clock.now();
        self.longest = terms.poll_timeout;
        self.owed.forget(start);
        (self.others, _) = (0, self.inbox.take_noise());
        let pace = self.paces.get(&unit).copied().unwrap_or_default();
        let patience = pace.patience(terms);
        let budget = terms.budget().max(patience);
        if self.owed.could_be_confused(unit, &request)
            && !self.clear_line(unit, &request, start, patience, terms).await?
        {
            return Err(self.silent(unit));
        }
        let mut mine = Vec::new();
        for _ in 0..=terms.retries {
            let left = budget.saturating_sub(self.clock.now().since(start));
            if left.is_zero() {
                break;
            }
            match self.put(unit, request, terms).await {
                Ok(number) => mine.push(number),
                // A device that hung up while nobody asked takes the question on a new connection.
                Err(Fault::Down(_)) if mine.is_empty() => {
                    self.ready(terms).await?;
                    mine.push(self.put(unit, request, terms).await?);
                }
                Err(fault) => return Err(fault),
            }
            match self.listen(unit, &request, &mine, start, patience.min(left)).await {
                Ok(Heard::Answer(answer)) => return Ok(answer),
                Ok(Heard::Nothing) => {}
                Err(Fault::Down(_)) if mine.len() == 1 && terms.retries > 0 => {
                    self.ready(terms).await?;
                    continue;
                }
                Err(fault) => return Err(fault),
            }
            if self.address.has_numbers() {
                continue;
            }
            let left = budget.saturating_sub(self.clock.now().since(start));
            if left.is_zero() {
                break;
            }
            // Lost, or late? Whoever answers something else now has lost it.
            match self.probe(unit, &request, &mine, start, patience.min(left), terms).await? {
                Probed::Answer(answer) => return Ok(answer),
                Probed::Clear => {}
                Probed::Silent => break,
            }
        }
        Err(self.silent(unit))
    }

    fn silent(&mut self, unit: u8) -> Fault {
        self.paces.entry(unit).or_default().silent();
        if self.address.has_numbers() && self.others == 0 {
            // A connection that has died shows no other sign; a new one costs little.
            self.stream = None;
        }
        self.inbox.clear();
        let noise = self.inbox.take_noise();
        self.broken += u64::from(noise > 0);
        Fault::Silent { noise, others: self.others, broken: self.broken }
    }

    /// Opens the line where it is not, and throws away what came without being asked for.
    async fn ready(&mut self, terms: &Terms) -> Result<(), Fault> {
        if self.sending && self.address.has_numbers() {
            self.stream = None;
        }
        self.sending = false;
        if self.stream.is_some() {
            match self.drain().await {
                Ok(()) => {}
                Err(Fault::Down(_) | Fault::NotModbus) => self.stream = None,
                Err(fault @ (Fault::Silent { .. } | Fault::Flooded)) => {
                    self.stream = None;
                    return Err(fault);
                }
            }
        }
        if self.stream.is_none() {
            self.bytes.clear();
            self.inbox.clear();
            self.stream = Some(self.address.open(terms.budget()).await.map_err(Fault::Down)?);
        }
        Ok(())
    }

    /// Reads what lies there, without waiting. A late answer among it ends what it answers.
    async fn drain(&mut self) -> Result<(), Fault> {
        let mut drained = 0;
        // The runtime learns of what has arrived only while it waits.
        let look = if self.owed.is_empty() { Duration::ZERO } else { LOOK };
        while let Some(count) = self.receive(look).await? {
            drained += count;
            if drained > MAX_DRAINED {
                return Err(Fault::Flooded);
            }
            while let Some(frame) = self.next_frame()? {
                if let Some((question, _)) = self.owed.settle(&frame) {
                    self.paces.entry(question.unit).or_default().answered_too_late();
                }
            }
        }
        self.inbox.clear();
        Ok(())
    }

    /// Makes sure that nothing owed by `unit` can be taken for an answer to `request`: whether that worked.
    async fn clear_line(
        &mut self,
        unit: u8,
        request: &Request,
        start: Moment,
        patience: Duration,
        terms: &Terms,
    ) -> Result<bool, Fault> {
        match self.probe(unit, request, &[], start, patience, terms).await? {
            Probed::Clear => Ok(!self.owed.could_be_confused(unit, request)),
            Probed::Silent | Probed::Answer(_) => Ok(false),
        }
    }

    /// Asks what can be told from all that is owed. `mine` are the questions whose answer counts all the same.
    async fn probe(
        &mut self,
        unit: u8,
        request: &Request,
        mine: &[Option<u16>],
        start: Moment,
        wait: Duration,
        terms: &Terms,
    ) -> Result<Probed, Fault> {
        self.number = self.number.wrapping_add(1);
        let pace = self.paces.get(&unit).copied().unwrap_or_default();
        let echo = Request::Echo(self.number);
        let few = few_registers(request);
        // An adapter that hears itself gives our bytes back even where there is no unit.
        let probe = if self.inbox.hears_itself() {
            let Some(probe) = self.owed.distinct(unit, few) else { return Ok(Probed::Silent) };
            probe
        } else if pace.echoes() {
            echo
        } else {
            self.owed.distinct(unit, few).unwrap_or(echo)
        };
        self.put(unit, probe, terms).await?;
        let begun = self.clock.now();
        loop {
            let left = wait.saturating_sub(self.clock.now().since(begun));
            let Some((question, answer)) = self.next_answer(left).await? else {
                if matches!(probe, Request::Echo(_)) == pace.echoes() {
                    self.paces.entry(unit).or_default().saw_echo(!pace.echoes());
                }
                return Ok(Probed::Silent);
            };
            if question.unit != unit {
                continue;
            }
            // An exception may be that of the probe just as well; the question is put again.
            if matches!((&probe, &answer), (Request::Read { .. }, Answer::Exception(_))) {
                return Ok(Probed::Clear);
            }
            if !mine.is_empty() && question.request == *request && question.sent >= start {
                return Ok(Probed::Answer(answer));
            }
            if question.request == probe {
                return Ok(Probed::Clear);
            }
        }
    }

    /// Sends a question, after the silence that must stand before it.
    async fn put(&mut self, unit: u8, request: Request, terms: &Terms) -> Result<Option<u16>, Fault> {
        let silence = self.address.silence().max(terms.pause);
        let since = self.clock.now().since(self.last);
        if since < silence {
            sleep(silence.saturating_sub(since)).await;
        }
        let pdu = request.encode();
        let transaction = self.address.has_numbers().then(|| {
            self.number = self.number.wrapping_add(1);
            self.number
        });
        let frame = match transaction {
            Some(number) => tcp::encode(number, unit, &pdu),
            None => rtu::encode(unit, &pdu),
        };
        self.inbox.sent(&frame);
        self.owed.add(Question { unit, request, transaction, sent: self.clock.now() });
        self.sending = true;
        let written = match &mut self.stream {
            Some(stream) => match timeout(terms.budget(), stream.write_all(&frame)).await {
                Ok(written) => written,
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        self.sending = false;
        self.last = self.clock.now();
        written.map_err(|error| self.down(&error))?;
        Ok(transaction)
    }

    /// Waits for the answer to one of `mine`.
    async fn listen(
        &mut self,
        unit: u8,
        request: &Request,
        mine: &[Option<u16>],
        start: Moment,
        wait: Duration,
    ) -> Result<Heard, Fault> {
        let begun = self.clock.now();
        loop {
            let left = wait.saturating_sub(self.clock.now().since(begun));
            let Some((question, answer)) = self.next_answer(left).await? else { return Ok(Heard::Nothing) };
            let ours = question.unit == unit && question.request == *request && question.sent >= start;
            if ours && mine.contains(&question.transaction) {
                return Ok(Heard::Answer(answer));
            }
        }
    }

    /// The next answer to anything that was asked; none if nothing came within `wait`, or noise and then silence.
    async fn next_answer(&mut self, wait: Duration) -> Result<Option<(Question, Answer)>, Fault> {
        let begun = self.clock.now();
        loop {
            while let Some(frame) = self.next_frame()? {
                let Some((question, answer)) = self.owed.settle(&frame) else {
                    self.others += 1;
                    continue;
                };
                let pace = self.paces.entry(question.unit).or_default();
                let took = self.clock.now().since(question.sent);
                if took <= self.longest {
                    pace.answered(took)
                } else {
                    pace.answered_too_late()
                }
                if matches!(question.request, Request::Echo(_)) {
                    pace.saw_echo(true);
                }
                return Ok(Some((question, answer)));
            }
            let left = wait.saturating_sub(self.clock.now().since(begun));
            if left.is_zero() {
                return Ok(None);
            }
            // A broken frame is followed by nothing: there is no use in waiting for the rest of it.
            let noisy = !self.address.has_numbers() && !self.inbox.is_empty();
            let quiet = if noisy { left.min(self.quiet()) } else { left };
            if self.receive(quiet).await?.is_none() && noisy {
                self.inbox.clear();
                return Ok(None);
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, Fault> {
        if !self.address.has_numbers() {
            return Ok(self.inbox.next_frame());
        }
        tcp::next_frame(&mut self.bytes).map_err(|_| {
            self.stream = None;
            Fault::NotModbus
        })
    }

    /// Reads once: how many bytes came within `wait`, if any.
    async fn receive(&mut self, wait: Duration) -> Result<Option<usize>, Fault> {
        let mut buffer = [0; 512];
        let read = match &mut self.stream {
            Some(stream) => read_within(stream.as_mut(), &mut buffer, wait).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        let count = match read {
            Ok(Some(0)) => return Err(self.down(&io::ErrorKind::UnexpectedEof.into())),
            Ok(Some(count)) => count,
            Ok(None) => return Ok(None),
            Err(error) => return Err(self.down(&error)),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        if self.address.has_numbers() {
            self.bytes.extend(bytes);
        } else {
            self.inbox.push(bytes);
        }
        self.last = self.clock.now();
        Ok(Some(count))
    }

    fn quiet(&self) -> Duration {
        match &self.address {
            Address::Rtu(..) => QUIET + self.address.silence(),
            Address::Tcp(_) | Address::RtuOverTcp(_) => QUIET_NETWORK,
        }
    }

    fn down(&mut self, error: &io::Error) -> Fault {
        self.stream = None;
        Fault::Down(self.address.gone(error))
    }
}

/// What came of a probe.
enum Probed {
    /// The answer to the question before it, late.
    Answer(Answer),
    /// Nothing that was asked before it will be answered any more.
    Clear,
    /// Nobody answered.
    Silent,
}

/// Questions for a few registers, each of another length, from where `request` begins.
fn few_registers(request: &Request) -> impl Iterator<Item = Request> + use<> {
    let place = match request {
        Request::Read { table, start, count } => Some((*table, *start, *count)),
        Request::Echo(_) | Request::Identify { .. } => None,
    };
    place.into_iter().flat_map(|(table, start, own)| {
        (1..=MAX_PROBE).filter(move |count| *count != own).map(move |count| Request::Read {
            table,
            start,
            count,
        })
    })
}

/// Reads what is there; without any, waits for `wait`. A wait of zero only looks.
async fn read_within(
    stream: &mut dyn Stream,
    buffer: &mut [u8],
    wait: Duration,
) -> io::Result<Option<usize>> {
    let read = poll_fn(|cx| {
        let mut into = ReadBuf::new(buffer);
        Pin::new(&mut *stream).poll_read(cx, &mut into).map(|read| read.map(|()| into.filled().len()))
    });
    match timeout(wait, read).await {
        Ok(read) => read.map(Some),
        Err(_) => Ok(None),
    }
}

/// What a stream must be.
pub trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}
