//! What a start finds, and what a write that fails leaves.

use std::fs;

use super::*;
use crate::inventory::Inventory;
use crate::model::{
    Batch, ChannelId, DatacenterId, ManualClock, Measure, MeterId, Microjoules, Reading, Watts,
};
use crate::store::{Channel, MeterSettings};

struct Run {
    store: Arc<Store>,
    clock: Arc<ManualClock>,
    keeper: Keeper,
}

fn storage(dir: &tempfile::TempDir) -> Storage {
    Storage { path: dir.path().to_owned(), interval: Duration::from_secs(10) }
}

/// A start at `second`, with one meter.
fn start(dir: &tempfile::TempDir, second: u64) -> Run {
    let settings = MeterSettings {
        id: MeterId::new("m").unwrap(),
        datacenter: DatacenterId::new("dc1").unwrap(),
        driver: "snmp",
        address: String::new(),
        accuracy: None,
        stale_after: Duration::from_secs(30),
        max_gap: Duration::from_secs(30),
    };
    let store = Arc::new(Store::new(vec![settings]));
    let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(second)));
    let ledger = Ledger::new(&Inventory::default(), &[], &store, clock.now());
    let opened = open(&storage(dir)).unwrap();
    let clock_of = Arc::clone(&clock) as Arc<dyn Clock>;
    let switches = Arc::new(Mutex::new(opened.switches()));
    let keeper =
        opened.resume_store(&store, &clock_of).resume_ledger(&Arc::new(Mutex::new(ledger)), switches);
    Run { store, clock, keeper }
}

impl Run {
    /// `seconds` at 100 W.
    fn draw(&self, seconds: u64) -> Option<Microjoules> {
        let power = Measure::Power(Watts::new(100.0).unwrap());
        let readings = vec![Reading::measured(ChannelId::new("input").unwrap(), power)];
        let batch = Batch { readings, ..Batch::default() };
        let meter = self.store.find(&MeterId::new("m").unwrap()).unwrap();
        self.store.apply(meter, &batch, self.clock.now());
        self.clock.advance(Duration::from_secs(seconds));
        self.store.apply(meter, &batch, self.clock.now());
        let mut energy = None;
        self.store.each(|m| energy = m.channels().first().and_then(Channel::integrated));
        energy
    }
}

fn joules(joules: u128) -> Option<Microjoules> {
    Some(Microjoules(joules * 1_000_000))
}

#[test]
fn a_start_goes_on_from_the_last_write() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(&dir, 1000);
    assert_eq!(first.draw(10), joules(1000));
    first.keeper.write();
    // Not written any more.
    assert_eq!(first.draw(5), joules(1500));
    drop(first);
    let second = start(&dir, 2000);
    assert_eq!(second.draw(1), joules(1100));
    assert_eq!(second.keeper.health().kept(), Moment::ZERO + Duration::from_secs(1010));
}

#[test]
fn damage_at_any_byte_falls_back_to_the_checkpoint_before_and_never_to_other_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(&dir, 1000);
    first.draw(10);
    first.keeper.write();
    first.draw(10);
    first.keeper.write();
    drop(first);
    let [latest, previous] =
        ["", ".previous"].map(|suffix| dir.path().join(format!("wattribute.checkpoint{suffix}")));
    let (whole, before) = (fs::read(&latest).unwrap(), fs::read(&previous).unwrap());
    let bent = (0..whole.len()).map(|n| {
        let mut bent = whole.clone();
        bent[n] ^= 0x10;
        bent
    });
    let cut = (0..whole.len()).map(|n| whole[..n].to_vec());
    for (n, damaged) in bent.chain(cut).enumerate() {
        fs::write(&latest, &damaged).unwrap();
        fs::write(&previous, &before).unwrap();
        let run = start(&dir, 2000);
        assert_eq!(run.keeper.health().refused(), 1, "damage {n}");
        assert_eq!(run.draw(1), joules(1100), "damage {n}");
    }
    // With both damaged it begins anew, and both are still there.
    for file in [&latest, &previous] {
        fs::write(file, b"damaged").unwrap();
    }
    let run = start(&dir, 2000);
    assert_eq!((run.keeper.health().refused(), run.draw(1)), (2, joules(100)));
    assert!(dir.path().join("wattribute.checkpoint.refused-8").exists());
}

#[test]
fn a_book_that_does_not_add_up_is_refused_with_the_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut frame = Frame::default();
    frame.sections.insert("meters", vec![1, 0, 7]);
    assert_eq!(Contents::read(&frame.encode()).unwrap_err(), "its section meters cannot be read");
    frame.sections.insert("meters", vec![9, 0]);
    fs::write(dir.path().join("wattribute.checkpoint"), frame.encode()).unwrap();
    assert_eq!(start(&dir, 0).keeper.health().refused(), 1);
}

#[test]
fn switches_are_kept_and_sections_that_nobody_knows_are_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = start(&dir, 1000);
    first.keeper.rest.insert("of a later version", vec![1, 2]);
    let off = Switches::load(br#"{"meters":["m"]}"#).unwrap();
    *first.keeper.switches.lock().unwrap() = off.clone();
    first.keeper.write();
    drop(first);
    start(&dir, 1100).keeper.write();
    let opened = open(&storage(&dir)).unwrap();
    assert_eq!(opened.switches(), off);
    let rest = &opened.found.good.unwrap().0.rest;
    assert_eq!(rest.bytes("of a later version"), Some(&[1, 2][..]));
    assert_eq!(rest.bytes("meters"), None);
}

#[test]
fn a_disk_that_fails_is_counted_and_leaves_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(&dir, 1000);
    first.draw(10);
    first.keeper.write();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("wattribute.checkpoint.new")).unwrap();
    for _ in 0..3 {
        first.clock.advance(Duration::from_secs(10));
        first.keeper.write();
    }
    assert_eq!(first.keeper.health().writes(), [("ok", 1), ("failed", 3)]);
    assert_eq!(first.keeper.health().kept(), Moment::ZERO + Duration::from_secs(1010));
    drop(first);
    assert_eq!(start(&dir, 2000).draw(1), joules(1100));
}

#[test]
fn a_ledger_that_died_leaves_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let run = start(&dir, 1000);
    let ledger = Arc::clone(&run.keeper.ledger);
    let died = std::thread::spawn(move || {
        let _held = ledger.lock().unwrap();
        panic!("in the middle of an interval");
    });
    assert!(died.join().is_err());
    run.keeper.write();
    assert!(!dir.path().join("wattribute.checkpoint").exists());
}

#[tokio::test(start_paused = true)]
async fn it_writes_every_interval_and_once_more_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let run = start(&dir, 1000);
    let (keeper, shutdown) = (Arc::new(run.keeper), CancellationToken::new());
    let task = tokio::spawn(Arc::clone(&keeper).run(shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(35)).await;
    shutdown.cancel();
    task.await.unwrap();
    // Each second of the first ten, then at 20 and 30.
    assert_eq!(keeper.health().writes()[0], ("ok", 12));
    Arc::clone(&keeper).last().await;
    assert_eq!(keeper.health().writes()[0], ("ok", 13));
}
