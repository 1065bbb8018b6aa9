//! Walks through repositories, with the faults of real ones.

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
