//! The sensors that a BMC has, learned record by record, so that a poll cut short by its deadline loses nothing. What
//! was learned holds until the repository's own time stamps change.

use std::collections::BTreeSet;

use super::commands::node_manager;
use super::commands::record::{FULL, OEM, Sensor, UNIT_AT};
use super::commands::repository::{self as sdr, Head, Info};
use super::commands::sensor::Unit;
use super::commands::{Code, No};
use super::errors::Trouble;
use super::link::Ask;
use super::wire::bridge::Via;

/// Most records of a repository; some BMCs never end the list.
const MAX_RECORDS: usize = 2_000;
/// Most sensors that are kept of one BMC.
const MAX_SENSORS: usize = 256;
/// Bytes asked for at once: at first, and after the BMC could not.
const CHUNKS: [u8; 3] = [22, 16, 8];
/// How often a walk may lose its reservation or be told to wait.
const MAX_SETBACKS: u32 = 20;

/// What is known of one BMC's sensors.
#[derive(Debug, Default)]
pub struct Repository {
    /// The state that `sensors` were learned from; none before the first walk is done.
    known: Option<Known>,
    walk: Option<Walk>,
}

#[derive(Debug)]
struct Known {
    /// None where the BMC does not say.
    info: Option<Info>,
    sensors: Vec<Sensor>,
    node_manager: Option<Via>,
}

#[derive(Debug)]
struct Walk {
    info: Option<Info>,
    /// None before it is asked for, and after it was lost.
    reservation: Option<u16>,
    next: u16,
    seen: BTreeSet<u16>,
    found: Vec<Sensor>,
    node_manager: Option<Via>,
    /// Place in [`CHUNKS`].
    chunk: usize,
    setbacks: u32,
}

/// What came of reading a record.
enum Outcome {
    /// The record is done; the next one.
    Next(u16),
    /// The reservation is gone, or the BMC wants to be asked later.
    Again,
    /// There are no more.
    End,
}

impl Repository {
    /// The sensors, as last learned.
    #[must_use]
    pub fn sensors(&self) -> &[Sensor] {
        self.known.as_ref().map_or(&[], |known| &known.sensors)
    }

    /// Where Intel Node Manager is, if a record says so.
    #[must_use]
    pub fn node_manager(&self) -> Option<Via> {
        self.known.as_ref().and_then(|known| known.node_manager)
    }

    /// Whether it was learned to its end, at least once.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// Whether there is still something to learn.
    #[must_use]
    pub const fn is_learning(&self) -> bool {
        self.walk.is_some()
    }

    /// Asks whether the repository has changed, and starts a walk if so.
    ///
    /// # Errors
    /// Only if the session fails: a BMC without this command is walked once.
    pub async fn check(&mut self, bmc: &mut dyn Ask) -> Result<(), Trouble> {
        let reply = bmc.ask(sdr::get_info()).await?;
        let info = Info::parse(&reply).ok();
        let (of_known, of_walk) =
            (self.known.as_ref().map(|known| known.info), self.walk.as_ref().map(|walk| walk.info));
        if of_walk.or(of_known) != Some(info) {
            self.walk = Some(Walk {
                info,
                reservation: None,
                next: 0,
                seen: BTreeSet::new(),
                found: Vec::new(),
                node_manager: None,
                chunk: 0,
                setbacks: 0,
            });
        }
        Ok(())
    }

    /// Learns one record.
    ///
    /// # Errors
    /// If the session fails; the walk goes on where it stood.
    pub async fn step(&mut self, bmc: &mut dyn Ask) -> Result<(), Trouble> {
        let Some(walk) = &mut self.walk else { return Ok(()) };
        match walk.record(bmc).await? {
            Outcome::Next(next) if walk.goes_on(next) => {}
            Outcome::Again if walk.setbacks < MAX_SETBACKS => {
                walk.setbacks += 1;
                walk.reservation = None;
            }
            Outcome::Next(_) | Outcome::Again | Outcome::End => {
                if let Some(walk) = self.walk.take() {
                    let Walk { info, found: sensors, node_manager, .. } = walk;
                    self.known = Some(Known { info, sensors, node_manager });
                }
            }
        }
        Ok(())
    }
}

impl Walk {
    /// Moves on to `next`; false at the end, or if the list leads back to where it was.
    fn goes_on(&mut self, next: u16) -> bool {
        self.seen.insert(self.next);
        self.next = next;
        next != 0xffff && self.seen.len() < MAX_RECORDS && !self.seen.contains(&next)
    }

    async fn record(&mut self, bmc: &mut dyn Ask) -> Result<Outcome, Trouble> {
        let reservation = match self.reservation {
            Some(reservation) => reservation,
            None => {
                // A BMC without reservations takes 0.
                let reply = bmc.ask(sdr::reserve()).await?;
                *self.reservation.insert(sdr::reservation(&reply).unwrap_or(0))
            }
        };
        let reply = bmc.ask(sdr::get_record(reservation, self.next, 0, Head::LEN)).await?;
        let (next, head) = match sdr::part(&reply) {
            Ok((next, head)) => (next, Head::parse(head)),
            Err(No::Code(code)) if code.passes() => return Ok(Outcome::Again),
            // Without this record nobody knows the next.
            Err(_) => return Ok(Outcome::End),
        };
        let wanted = head.filter(|head| head.kind == FULL || head.kind == OEM);
        let Some(head) = wanted else { return Ok(Outcome::Next(next)) };
        let Some(body) = self.body(bmc, reservation, head).await? else { return Ok(Outcome::Again) };
        if head.kind == OEM {
            self.node_manager = self.node_manager.or(node_manager::location(&body));
        } else if let Some(sensor) = Sensor::parse(&body).filter(|_| self.found.len() < MAX_SENSORS) {
            self.found.push(sensor);
        }
        Ok(Outcome::Next(next))
    }

    /// What follows the head: as much as the BMC really has. `None` if the reservation is gone.
    async fn body(
        &mut self,
        bmc: &mut dyn Ask,
        reservation: u16,
        Head { kind, len }: Head,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let len = if kind == OEM { len.min(node_manager::LOCATION_LEN) } else { len };
        let mut body: Vec<u8> = Vec::new();
        while body.len() < usize::from(len) {
            let left = usize::from(len) - body.len();
            let count =
                CHUNKS.get(self.chunk).copied().unwrap_or(8).min(u8::try_from(left).unwrap_or(u8::MAX));
            let Ok(offset) = u8::try_from(body.len() + usize::from(Head::LEN)) else { break };
            let reply = bmc.ask(sdr::get_record(reservation, self.next, offset, count)).await?;
            match sdr::part(&reply) {
                // More than asked for is from somewhere else in the record: nothing of it can be trusted.
                Ok((_, part)) if part.len() > usize::from(count) => return Ok(Some(Vec::new())),
                Ok((_, [])) => break,
                Ok((_, part)) => body.extend_from_slice(part),
                Err(No::Code(Code::RESERVATION_LOST)) => return Ok(None),
                Err(No::Code(Code::TOO_MANY_BYTES | Code(0xff | 0xc8))) if self.chunk + 1 < CHUNKS.len() => {
                    self.chunk += 1;
                }
                // The record is shorter than it says.
                Err(_) => break,
            }
            let unwanted = |unit: &u8| Unit::from_code(*unit).is_none();
            if kind == FULL && body.get(UNIT_AT).is_some_and(unwanted) {
                break;
            }
        }
        Ok(Some(body))
    }
}

#[cfg(test)]
mod tests;
