//! Every fault in one table, with tokio's clock paused: what this poll says, that the next one reads the right watts, and that
//! the BMC was left with no session. Both cipher suites, over a network in memory, with a BMC that was written apart from
//! the driver. Long since it is a table: a fault a row.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;
use wattribute::drivers::Driver;
use wattribute::drivers::ipmi::{self, Readings, Settings, Shared, Suite};
use wattribute::model::{ErrorKind, PollError, Quantity, SystemClock};

use super::peers::settings;
use super::value;
use super::virtual_bmcs::{Air, Bmc, Delivery, Dice, Drawn, after, pass};

pub const ADDRESS: &str = "10.0.0.1:623";
/// From one poll to the next.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// A BMC and a driver that reads DCMI, with watts that never repeat.
pub struct Rig {
    pub air: Air,
    pub shared: Arc<Shared>,
    pub driver: Box<dyn Driver>,
    watts: u16,
}

impl Rig {
    pub fn new(change: impl FnOnce(Settings) -> Settings) -> Self {
        let air = Air::new();
        air.put(ADDRESS, Bmc::new());
        let clock = Arc::<SystemClock>::clone(&air.clock);
        let random = Arc::new(Drawn(Mutex::new(Dice(4711))));
        let shared = Arc::new(Shared::over(Arc::new(air.clone()), clock).draw_from(random));
        let settings = Settings {
            readings: Readings::Dcmi,
            request_timeout: Duration::from_millis(250),
            ..settings(ADDRESS, "admin", "password")
        };
        let driver = ipmi::open(change(settings), Arc::clone(&shared)).unwrap();
        Self { air, shared, driver, watts: 100 }
    }

    pub fn bmc<T>(&self, change: impl FnOnce(&mut Bmc) -> T) -> T {
        self.air.bmc(ADDRESS, change)
    }

    pub fn fate(&self, fate: impl FnMut(&[u8]) -> Vec<Delivery> + Send + 'static) {
        self.air.fate(ADDRESS, fate);
    }

    /// Other watts, then a poll. A reading that comes is the right one, whatever happened before.
    pub async fn poll(&mut self) -> Result<(), PollError> {
        self.watts += 1;
        let watts = self.watts;
        self.bmc(|bmc| bmc.watts = watts);
        let batch = self.driver.poll().await?;
        assert_eq!(value(&batch, "input", Quantity::Power), Some(f64::from(watts)), "a wrong reading");
        Ok(())
    }

    /// Closes, waits until the BMC has dropped what it was not told of, and gives sessions opened, closed and lost.
    pub async fn end(self) -> (usize, usize, usize) {
        let Self { air, mut driver, .. } = self;
        driver.close().await;
        drop(driver);
        sleep(Duration::from_secs(140)).await;
        let now = air.now();
        air.bmc(ADDRESS, |bmc| {
            bmc.drop_silent(now);
            let lost = bmc.dropped + bmc.forgotten;
            assert_eq!(bmc.opened, bmc.closed + lost, "a session leaked");
            assert_eq!(bmc.live(), 0);
            assert!(bmc.most <= 2, "{} places of the table were ours at once", bmc.most);
            (bmc.opened, bmc.closed, lost)
        })
    }
}

/// Whether a datagram is of a session.
fn sealed(datagram: &[u8]) -> bool {
    datagram[4..6] == [6, 0xc0]
}

/// Changes the first reply of this kind; the others pass.
fn once(
    kind: u8,
    mut change: impl FnMut(&[u8]) -> Vec<Delivery> + Send + 'static,
) -> impl FnMut(&[u8]) -> Vec<Delivery> + Send {
    let mut due = true;
    move |reply| {
        if reply[4] == 6 && reply[5] == kind && std::mem::take(&mut due) {
            change(reply)
        } else {
            pass(reply)
        }
    }
}

/// Every bit of `reply` flipped, from byte `from` on, eight a millisecond.
fn flips(reply: &[u8], from: usize) -> Vec<Delivery> {
    let bits = (from * 8..reply.len() * 8).map(|bit| {
        let mut flipped = reply.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        after(u64::try_from(bit / 8 - from).unwrap(), &flipped)
    });
    bits.collect()
}

fn flipped(reply: &[u8], at: usize) -> Vec<Delivery> {
    let mut flipped = reply.to_vec();
    flipped[at] ^= 1;
    pass(&flipped)
}

/// What a poll comes to.
enum Want {
    Right,
    Fails(ErrorKind, &'static str),
}
use Want::{Fails, Right};

impl Want {
    fn check(&self, result: Result<(), PollError>, row: &str, which: &str) {
        match (self, result) {
            (Right, Ok(())) => {}
            (Fails(kind, says), Err(error)) => {
                assert_eq!(error.kind, *kind, "{row}, {which}: {error}");
                assert!(error.cause.contains(says), "{row}, {which}: {error}");
            }
            (Right, Err(error)) => panic!("{row}, {which}: {error}"),
            (Fails(kind, _), Ok(())) => panic!("{row}, {which}: a reading instead of {kind:?}"),
        }
    }
}

/// Whether a session is up when the fault comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Up,
    Start,
}
use When::{Start, Up};

/// A fault; this poll; the next poll, after the fault; sessions opened, closed, lost with the BMC.
type Row = (When, &'static str, fn(&Rig), Want, Want, (usize, usize, usize));

const SILENT: Want = Fails(ErrorKind::Timeout, "went silent");

fn replies() -> Vec<Row> {
    vec![
        (Up, "late by a try", |rig| rig.fate(|r| vec![after(300, r)]), Right, Right, (1, 1, 0)),
        (
            Up,
            "late by a poll",
            |rig| rig.fate(|r| if sealed(r) { vec![after(9_500, r)] } else { pass(r) }),
            SILENT,
            Right,
            (3, 3, 0),
        ),
        (
            Up,
            "each five times, the last long after",
            |rig| rig.fate(|r| [0, 0, 1, 5, 9_990].map(|late| after(late, r)).into()),
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Up,
            "reordered: the first try's reply behind the second's",
            |rig| {
                let mut late = true;
                rig.fate(move |r| {
                    late = !late;
                    vec![after(if late { 0 } else { 255 }, r)]
                });
            },
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Up,
            "cut at every byte, then whole",
            |rig| {
                rig.fate(|r| (0..=r.len()).map(|cut| after(u64::try_from(cut).unwrap(), &r[..cut])).collect())
            },
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Up,
            "cut at every byte, never whole",
            |rig| {
                rig.fate(|r| {
                    let cuts = if sealed(r) { 0..r.len() } else { r.len()..r.len() + 1 };
                    cuts.map(|cut| after(u64::try_from(cut).unwrap(), &r[..cut])).collect()
                });
            },
            SILENT,
            Right,
            (3, 3, 0),
        ),
        // The RMCP header in front is not authenticated; nothing is read from it but that it is one.
        (
            Up,
            "every bit flipped, and never the right one",
            |rig| rig.fate(|r| if sealed(r) { flips(r, 4) } else { pass(r) }),
            SILENT,
            Right,
            (3, 3, 0),
        ),
        (
            Up,
            "every bit flipped, then the right one",
            |rig| {
                rig.fate(|r| {
                    let mut all = flips(r, 0);
                    all.push(after(200, r));
                    all
                });
            },
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Up,
            "replayed: all that was ever said comes again before and behind",
            |rig| {
                let mut all: Vec<Vec<u8>> = Vec::new();
                rig.fate(move |r| {
                    all.push(r.to_vec());
                    let before = all.iter().map(|old| after(0, old));
                    before.chain([after(1, r)]).chain(all.iter().map(|old| after(2, old))).collect()
                });
            },
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Up,
            "from another address",
            |rig| rig.fate(|r| vec![Delivery { foreign: true, ..after(0, r) }]),
            Fails(ErrorKind::Timeout, "no answer"),
            Right,
            (2, 2, 0),
        ),
        (
            Up,
            "sealed for another session",
            |rig| rig.bmc(|bmc| bmc.knobs.other_session = true),
            SILENT,
            Right,
            (3, 3, 0),
        ),
        (
            Up,
            "a payload of no bytes, well sealed",
            |rig| rig.bmc(|bmc| bmc.knobs.no_payload = true),
            SILENT,
            Right,
            (3, 3, 0),
        ),
        (
            Up,
            "datagrams of no bytes, and of no payload",
            |rig| {
                rig.fate(|r| {
                    let mut bare = r.to_vec();
                    (bare[14], bare[15]) = (0, 0);
                    [&[], &r[..4], &r[..16], &bare, r].map(|bytes| after(0, bytes)).into()
                });
            },
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Up,
            "completed without data",
            |rig| rig.bmc(|bmc| bmc.knobs.empty = true),
            Fails(ErrorKind::NoReading, "empty"),
            Right,
            (1, 1, 0),
        ),
        (Up, "lost once, and once more", |rig| rig.air.lose(ADDRESS, 2), Right, Right, (1, 1, 0)),
    ]
}

fn bmcs() -> Vec<Row> {
    vec![
        (
            Up,
            "restarted in between",
            |rig| {
                let now = rig.air.now();
                rig.bmc(|bmc| bmc.restart(now));
            },
            Right,
            Right,
            (2, 1, 1),
        ),
        (
            Up,
            "restarting, for five seconds",
            |rig| {
                let until = rig.air.now() + Duration::from_secs(5);
                rig.bmc(|bmc| bmc.restart(until));
            },
            Fails(ErrorKind::Timeout, "no answer"),
            Right,
            (2, 1, 1),
        ),
        (
            Up,
            "dropped the session without a word",
            |rig| {
                let later = rig.air.now() + Duration::from_secs(60);
                rig.bmc(|bmc| bmc.drop_silent(later));
            },
            Right,
            Right,
            (2, 1, 1),
        ),
        (Up, "three times busy", |rig| rig.bmc(|bmc| bmc.knobs.busy = 3), Right, Right, (1, 1, 0)),
        (
            Up,
            "busy for longer",
            |rig| rig.bmc(|bmc| bmc.knobs.busy = 4),
            Fails(ErrorKind::Busy, "node busy"),
            Right,
            (1, 1, 0),
        ),
        // The next poll comes after a long pause: the session is not held for it.
        (
            Up,
            "insufficient privilege",
            |rig| rig.bmc(|bmc| bmc.knobs.dcmi = 0xd4),
            Fails(ErrorKind::Auth, "insufficient privilege"),
            Right,
            (2, 2, 0),
        ),
        (
            Up,
            "never answers Close Session",
            |rig| {
                let now = rig.air.now();
                rig.bmc(|bmc| {
                    bmc.knobs.mute_close = true;
                    bmc.restart(now);
                });
            },
            Right,
            Right,
            (2, 1, 1),
        ),
        (
            Start,
            "four places that others hold",
            |rig| rig.bmc(|bmc| bmc.knobs.others = 4),
            Fails(ErrorKind::Busy, "no free session"),
            Right,
            (1, 1, 0),
        ),
        (
            Start,
            "three places that others hold",
            |rig| rig.bmc(|bmc| bmc.knobs.others = 3),
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Start,
            "another password",
            |rig| rig.bmc(|bmc| bmc.password = b"other".to_vec()),
            Fails(ErrorKind::Auth, "not made with our password"),
            Fails(ErrorKind::Busy, "may still hold"),
            (0, 0, 0),
        ),
    ]
}

fn setup() -> Vec<Row> {
    vec![
        (
            Start,
            "the open response is lost",
            |rig| rig.fate(once(0x11, |_| Vec::new())),
            Right,
            Right,
            (1, 1, 0),
        ),
        (Start, "RAKP 2 is lost", |rig| rig.fate(once(0x13, |_| Vec::new())), Right, Right, (1, 1, 0)),
        (Start, "RAKP 4 is lost", |rig| rig.fate(once(0x15, |_| Vec::new())), Right, Right, (2, 2, 0)),
        (
            Start,
            "the open response has a wrong tag",
            |rig| rig.fate(once(0x11, |r| flipped(r, 16))),
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Start,
            "RAKP 2 has a wrong tag",
            |rig| rig.fate(once(0x13, |r| flipped(r, 16))),
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Start,
            "RAKP 4 has a wrong tag",
            |rig| rig.fate(once(0x15, |r| flipped(r, 16))),
            Right,
            Right,
            (2, 2, 0),
        ),
        (
            Start,
            "the open response is for another session",
            |rig| rig.fate(once(0x11, |r| flipped(r, 20))),
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Start,
            "RAKP 2 is for another session",
            |rig| rig.fate(once(0x13, |r| flipped(r, 20))),
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Start,
            "RAKP 4 is for another session",
            |rig| rig.fate(once(0x15, |r| flipped(r, 20))),
            Right,
            Right,
            (2, 2, 0),
        ),
        (
            Start,
            "RAKP 2 has a flipped bit",
            |rig| rig.fate(once(0x13, |r| flipped(r, 60))),
            Right,
            Right,
            (1, 1, 0),
        ),
        // Seen from here this is a wrong key: it is not tried again at once.
        (
            Start,
            "RAKP 4 has a flipped bit",
            |rig| rig.fate(once(0x15, |r| flipped(r, 30))),
            Fails(ErrorKind::Auth, "K_G"),
            Right,
            (2, 2, 0),
        ),
        (
            Start,
            "the whole setup late, each message twice",
            |rig| rig.fate(|r| vec![after(100, r), after(120, r)]),
            Right,
            Right,
            (1, 1, 0),
        ),
        (
            Start,
            "the whole setup from another address",
            |rig| rig.fate(|r| vec![Delivery { foreign: true, ..after(0, r) }]),
            Fails(ErrorKind::Timeout, "no answer"),
            Right,
            (1, 1, 0),
        ),
        // Two handshakes dangle in the BMC's table then: no third is begun.
        (
            Start,
            "RAKP 2 is always lost",
            |rig| rig.fate(|r| if r[5] == 0x13 { Vec::new() } else { pass(r) }),
            Fails(ErrorKind::Timeout, "went silent when user"),
            Fails(ErrorKind::Busy, "may still hold"),
            (0, 0, 0),
        ),
    ]
}

async fn run(rows: Vec<Row>) {
    for (when, name, fault, this, next, sessions) in rows {
        for suite in [Suite::Sha1, Suite::Sha256] {
            let row = format!("{name}, suite {}", suite.id());
            let mut rig = Rig::new(|settings| Settings { suites: vec![suite], ..settings });
            if when == Up {
                Right.check(rig.poll().await, &row, "before");
                sleep(INTERVAL).await;
            }
            fault(&rig);
            this.check(rig.poll().await, &row, "this poll");
            rig.fate(pass);
            rig.bmc(|bmc| {
                bmc.knobs = super::virtual_bmcs::bmc::Knobs { down: bmc.knobs.down, ..Default::default() };
                bmc.password = b"password".to_vec();
            });
            sleep(INTERVAL).await;
            next.check(rig.poll().await, &row, "the next poll");
            // Whatever it was, it is over by then.
            sleep(Duration::from_secs(70)).await;
            Right.check(rig.poll().await, &row, "long after");
            let counted = rig.end().await;
            let (more, idle) = match next {
                // The session of the last poll.
                Fails(..) => (1, 0),
                // Dropped after a minute of silence, and another one for the last poll.
                Right => (1, 1),
            };
            let (opened, closed, lost) = sessions;
            let wanted = (opened + more, closed + more - idle, lost + idle);
            assert_eq!(counted, wanted, "{row}: opened, closed, lost");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_reply_that_is_not_the_reply_becomes_a_reading() {
    run(replies()).await;
}

#[tokio::test(start_paused = true)]
async fn a_bmc_that_restarts_is_busy_or_full_is_read_again() {
    run(bmcs()).await;
}

#[tokio::test(start_paused = true)]
async fn a_setup_that_goes_wrong_leaves_nothing_behind() {
    run(setup()).await;
}
