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
mod tests {
    use super::*;
    use crate::drivers::ipmi::session::Fault;
    use crate::drivers::ipmi::wire::message::{Reply, Request};
    use crate::model::BoxFuture;

    /// A repository that answers from its records, with the faults of real ones.
    #[derive(Default)]
    struct Bmc {
        records: Vec<Vec<u8>>,
        /// Their types; what is missing is a full record.
        kinds: Vec<u8>,
        /// How many there are, as it says.
        counts: Option<u8>,
        /// There is always one more.
        endless: bool,
        changed: u32,
        most: u8,
        lose_reservation_at: Vec<usize>,
        next_of_last: u16,
        says_more: u8,
        asked: usize,
    }

    fn record(number: u8, unit: u8, name: &str) -> Vec<u8> {
        let mut body = vec![0x20, 0, number, 7, 1, 0x7f, 0x68, 0x0b, 1, 0, 0, 0, 0, 0, 0];
        body.extend([0, unit, 0, 0, 4, 0, 0, 0, 0, 0]);
        body.extend([0; 17]);
        body.push(0xc0 | u8::try_from(name.len()).unwrap());
        body.extend(name.as_bytes());
        body
    }

    impl Bmc {
        fn answer(&mut self, request: &Request) -> (u8, Vec<u8>) {
            self.asked += 1;
            match (request.command, request.data.as_slice()) {
                (0x20, []) => {
                    let count = self.counts.unwrap_or(u8::try_from(self.records.len()).unwrap());
                    let mut data = vec![0x51, count, 0, 0, 0];
                    data.extend(self.changed.to_le_bytes());
                    data.extend([0; 4]);
                    (0, data)
                }
                (0x22, []) => (0, vec![7, 0]),
                (0x23, [_, _, low, high, _, _]) if self.endless => {
                    let next = u16::from_le_bytes([*low, *high]) + 1;
                    (0, [next.to_le_bytes().as_slice(), &[*low, *high, 0x51, 2, 0]].concat())
                }
                (0x23, [_, _, id, 0, offset, count]) => {
                    if self.lose_reservation_at.contains(&self.asked) {
                        return (0xc5, Vec::new());
                    }
                    if *count > self.most {
                        return (0xca, Vec::new());
                    }
                    let index = usize::from(*id);
                    let Some(body) = self.records.get(index) else { return (0xcb, Vec::new()) };
                    let len = u8::try_from(body.len()).unwrap() + self.says_more;
                    let kind = self.kinds.get(index).copied().unwrap_or(FULL);
                    let mut whole = vec![*id, 0, 0x51, kind, len];
                    whole.extend(body);
                    let next =
                        if index + 1 < self.records.len() { u16::from(*id) + 1 } else { self.next_of_last };
                    let from = usize::from(*offset).min(whole.len());
                    let to = (from + usize::from(*count)).min(whole.len());
                    let mut data = next.to_le_bytes().to_vec();
                    data.extend(&whole[from..to]);
                    (0, data)
                }
                other => panic!("{other:?}"),
            }
        }
    }

    impl Ask for Bmc {
        fn ask(&mut self, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
            let (code, data) = self.answer(&request);
            let reply = Reply { net_fn: request.net_fn | 1, seq: 0, command: request.command, code, data };
            Box::pin(std::future::ready(Ok(reply)))
        }
    }

    fn bmc() -> Bmc {
        let records = vec![
            record(1, 6, "System Power"),
            record(2, 18, "FAN 1"),
            record(3, 1, "Inlet Temp"),
            record(4, 4, "12V"),
        ];
        Bmc { records, most: 255, next_of_last: 0xffff, ..Bmc::default() }
    }

    async fn learn(repository: &mut Repository, bmc: &mut Bmc) -> Vec<String> {
        repository.check(bmc).await.unwrap();
        for _ in 0..10_000 {
            if !repository.is_learning() {
                break;
            }
            repository.step(bmc).await.unwrap();
        }
        assert!(!repository.is_learning(), "it never ends");
        repository.sensors().iter().map(|s| s.name.clone()).collect()
    }

    #[tokio::test]
    async fn compact_event_only_and_makers_records_are_walked_past() {
        // Compact, for three sensors at once; event-only; a maker's own that is not Node Manager's; nothing at all.
        let others = [(2, vec![0x20; 27]), (3, vec![0x20; 12]), (0xc0, vec![0xa2, 2, 0, 1]), (0xff, vec![])];
        for at in 0..=4 {
            let mut bmc = bmc();
            for (kind, body) in others.clone() {
                let position = at.min(bmc.records.len());
                bmc.kinds.resize(bmc.records.len(), FULL);
                bmc.records.insert(position, body);
                bmc.kinds.insert(position, kind);
            }
            let mut repository = Repository::default();
            assert_eq!(learn(&mut repository, &mut bmc).await, ALL, "at {at}");
            assert_eq!(repository.node_manager(), None);
        }
    }

    #[tokio::test]
    async fn a_record_says_where_node_manager_is() {
        let mut bmc = bmc();
        bmc.kinds = vec![FULL, OEM, OEM];
        bmc.records.insert(1, vec![0xa2, 2, 0, 0x0d, 1, 0x30, 0x10, 0, 0]);
        bmc.records.insert(2, vec![0x57, 1, 0, 0x0d, 1, 0x2c, 0x60, 1, 2, 3, 4]);
        let mut repository = Repository::default();
        assert_eq!(learn(&mut repository, &mut bmc).await, ALL);
        assert_eq!(repository.node_manager(), Some(node_manager::USUAL));
    }

    #[tokio::test]
    async fn a_wrong_count_of_records_does_not_matter() {
        for count in [0, 1, 200] {
            let mut bmc = Bmc { counts: Some(count), ..bmc() };
            assert_eq!(learn(&mut Repository::default(), &mut bmc).await, ALL, "counts {count}");
        }
    }

    #[tokio::test]
    async fn a_list_without_end_ends() {
        let endless = Bmc { endless: true, ..bmc() };
        let mut bmc = endless;
        learn(&mut Repository::default(), &mut bmc).await;
        assert!(bmc.asked < 4 * MAX_RECORDS, "{} requests", bmc.asked);
    }

    const ALL: [&str; 3] = ["System Power", "Inlet Temp", "12V"];

    #[tokio::test]
    async fn sensors_in_wanted_units_are_learned_once_and_again_when_changed() {
        let (mut repository, mut bmc) = (Repository::default(), bmc());
        assert_eq!(learn(&mut repository, &mut bmc).await, ALL);
        let asked = bmc.asked;
        assert_eq!(learn(&mut repository, &mut bmc).await, ALL);
        assert_eq!(bmc.asked, asked + 1, "only its time stamp is asked for");
        bmc.changed = 5;
        bmc.records.push(record(9, 6, "PS1 Power"));
        assert_eq!(learn(&mut repository, &mut bmc).await, [ALL.as_slice(), &["PS1 Power"]].concat());
    }

    #[tokio::test]
    async fn a_lost_reservation_is_taken_anew_wherever_it_is_lost() {
        for at in 3..20 {
            let mut bmc = Bmc { lose_reservation_at: vec![at, at + 3, at + 4], ..bmc() };
            assert_eq!(learn(&mut Repository::default(), &mut bmc).await, ALL, "lost at {at}");
        }
    }

    #[tokio::test]
    async fn a_reservation_that_is_always_lost_ends_the_walk() {
        let mut bmc = Bmc { lose_reservation_at: (0..10_000).collect(), ..bmc() };
        assert!(learn(&mut Repository::default(), &mut bmc).await.is_empty());
    }

    #[tokio::test]
    async fn a_bmc_with_small_replies_is_asked_for_less() {
        for most in [21, 16, 9, 8] {
            let mut bmc = Bmc { most, ..bmc() };
            assert_eq!(learn(&mut Repository::default(), &mut bmc).await, ALL, "{most} bytes");
        }
    }

    #[tokio::test]
    async fn a_record_that_claims_to_be_longer_is_read_as_far_as_it_is() {
        for says_more in [1, 30, 180] {
            let mut bmc = Bmc { says_more, ..bmc() };
            assert_eq!(learn(&mut Repository::default(), &mut bmc).await, ALL, "{says_more} more");
        }
    }

    #[tokio::test]
    async fn a_list_that_leads_back_to_its_start_ends() {
        for next_of_last in [0, 1, 3] {
            let mut bmc = Bmc { next_of_last, ..bmc() };
            assert_eq!(learn(&mut Repository::default(), &mut bmc).await, ALL);
        }
    }
}
