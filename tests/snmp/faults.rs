//! One agent that misbehaves in every way a network or a bad firmware can. After each fault the next good reading is
//! right, and a wrong datagram never becomes a value. Long, since all faults are played by the same agent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use wattribute::drivers::Driver;
use wattribute::drivers::Profiles;
use wattribute::drivers::snmp::{Settings, Shared};
use wattribute::model::{Clock, ErrorKind, ManualClock, Moment, Quantity};

use super::agent::{Act, Agent, GET, GET_BULK, Request, Tree, Val, answer, reply, well};
use super::peers::{open, settings, shared, v2c};
use super::{lines, value};

const POWER: [u32; 15] = [1, 3, 6, 1, 4, 1, 318, 1, 1, 26, 4, 3, 1, 5, 1];
const UP_TIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];

fn oid(text: &str) -> Vec<u32> {
    text.split('.').map(|arc| arc.parse().unwrap()).collect()
}

fn metered(column: u32, row: u32) -> Vec<u32> {
    oid(&format!("1.3.6.1.4.1.318.1.1.26.9.4.3.1.{column}.{row}"))
}

/// A PDU with its own power and two metered outlets.
fn pdu() -> Tree {
    let mut tree = Tree::from([
        (oid("1.3.6.1.2.1.1.1.0"), Val::Text("a PDU")),
        (oid("1.3.6.1.2.1.1.2.0"), Val::Oid(oid("1.3.6.1.4.1.318.1.3.4.6"))),
        (UP_TIME.to_vec(), Val::Ticks(100_000)),
        (oid("1.3.6.1.4.1.318.1.1.26.4.3.1.2.1"), Val::Int(1)),
        (POWER.to_vec(), Val::Int(1)),
        (oid("1.3.6.1.4.1.318.1.1.26.4.3.1.16.1"), Val::Int(2)),
    ]);
    for outlet in 1..=2 {
        for (column, n) in [(2, 1), (4, outlet), (7, 100 * outlet)] {
            tree.insert(metered(column, u32::try_from(outlet).unwrap()), Val::Int(n));
        }
    }
    tree
}

struct Rig {
    agent: Agent,
    driver: Box<dyn Driver>,
    next: i64,
}

fn brief(address: &str) -> Settings {
    Settings { request_timeout: Duration::from_millis(150), retries: 0, ..settings(address, v2c("public")) }
}

impl Rig {
    async fn new() -> Self {
        let agent = Agent::start(pdu()).await;
        let driver = open(Settings { retries: 9, ..brief(&agent.address) }, &shared());
        let mut rig = Self { agent, driver, next: 1 };
        rig.good("at first").await;
        rig.driver = open(brief(&rig.agent.address), &shared());
        rig.good("at first, without retries").await;
        rig
    }

    /// The next good poll reads what the device shows now, which it never showed before. A busy machine may be slow,
    /// so a time-out is tried again; a wrong value never is.
    async fn good(&mut self, after: &str) {
        self.next += 1;
        self.agent.set(&POWER, self.next);
        self.agent.behave(well);
        for _ in 0..20 {
            match self.driver.poll().await {
                Ok(batch) => {
                    let watts = i32::try_from(10 * self.next).unwrap();
                    assert_eq!(value(&batch, "input", Quantity::Power), Some(f64::from(watts)), "{after}");
                    return;
                }
                Err(error) => assert_eq!(error.kind, ErrorKind::Timeout, "{after}: {error}"),
            }
        }
        panic!("{after}: no good poll");
    }

    async fn bad(&mut self, what: &str, kinds: &[ErrorKind]) {
        match self.driver.poll().await {
            Ok(batch) => panic!("{what} became {batch:?}"),
            Err(error) => assert!(kinds.contains(&error.kind), "{what}: {error}"),
        }
    }
}

/// The right answer to `request`, except that it tells of 9990 W.
fn forged(request: &Request, tree: &Tree) -> Vec<u8> {
    let mut tree = tree.clone();
    tree.insert(POWER.to_vec(), Val::Int(999));
    answer(request, &tree)
}

#[tokio::test]
async fn a_late_reply_never_becomes_a_later_value() {
    let mut rig = Rig::new().await;
    for round in 0..10 {
        rig.agent.behave(|_, _| Act::HoldForNext);
        rig.bad("a reply held back", &[ErrorKind::Timeout]).await;
        // The agent sends the late one first, then the one just asked for.
        rig.good(&format!("late reply, round {round}")).await;
    }
}

#[tokio::test]
async fn a_poll_dropped_half_way_leaves_nothing_behind() {
    let mut rig = Rig::new().await;
    for round in 0..10 {
        let (asked, mut heard) = tokio::sync::mpsc::unbounded_channel();
        rig.agent.behave(move |_, _| {
            let _ = asked.send(());
            Act::HoldForNext
        });
        tokio::select! {
            result = rig.driver.poll() => panic!("{result:?}"),
            _ = heard.recv() => {}
        }
        rig.good(&format!("dropped poll, round {round}")).await;
    }
}

#[tokio::test]
async fn a_duplicate_is_counted_once_and_never_later() {
    let mut rig = Rig::new().await;
    rig.agent.behave(|request, tree| Act::Send(vec![answer(request, tree); 5]));
    rig.driver.poll().await.unwrap();
    rig.good("duplicates").await;
    // Each answer is preceded by the one of the request before.
    let last = Arc::new(Mutex::new(Vec::new()));
    for n in 1000..1010 {
        let last = Arc::clone(&last);
        rig.agent.set(&POWER, n);
        rig.agent.behave(move |request, tree| {
            let right = answer(request, tree);
            let before = std::mem::replace(&mut *last.lock().unwrap(), right.clone());
            Act::Send(vec![before, right])
        });
        let batch = rig.driver.poll().await.unwrap();
        assert_eq!(value(&batch, "input", Quantity::Power), Some(f64::from(i32::try_from(10 * n).unwrap())));
    }
    rig.good("stale duplicates").await;
}

#[tokio::test]
async fn a_truncated_reply_is_no_reading() {
    let mut rig = Rig::new().await;
    let length = Arc::new(Mutex::new(0));
    let cut_at = |cut: usize, length: &Arc<Mutex<usize>>| {
        let length = Arc::clone(length);
        move |request: &Request, tree: &Tree| {
            let mut datagram = forged(request, tree);
            *length.lock().unwrap() = datagram.len();
            datagram.truncate(cut);
            // The right one follows, as it does where a network duplicates: the cut one must not spoil it silently.
            Act::Send(vec![datagram, answer(request, tree)])
        }
    };
    let mut cut = 0;
    loop {
        rig.agent.behave(cut_at(cut, &length));
        match rig.driver.poll().await {
            Ok(batch) => assert_ne!(value(&batch, "input", Quantity::Power), Some(9990.0), "cut at {cut}"),
            Err(error) => assert!(matches!(error.kind, ErrorKind::Protocol | ErrorKind::Timeout), "{error}"),
        }
        rig.good(&format!("cut at {cut}")).await;
        cut += 1;
        if cut >= *length.lock().unwrap() {
            break;
        }
    }
    assert!(cut > 50, "{cut} cuts");
    rig.agent.behave(|request, tree| Act::Send(vec![answer(request, tree)[..30].to_vec()]));
    rig.bad("only a truncated reply", &[ErrorKind::Timeout, ErrorKind::Protocol]).await;
    rig.good("truncated replies").await;
}

#[tokio::test]
async fn garbage_is_no_reading() {
    let mut rig = Rig::new().await;
    let mut seed: u32 = 0x9E37_79B9;
    for round in 0..60 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let start = seed;
        rig.agent.behave(move |request, tree| {
            // Noise, nothing, nesting without end, and the right reply with some bytes changed.
            let mut state = start;
            let mut noise = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            let random: Vec<u8> = (0..1400).map(|_| noise()).collect();
            let mut changed = forged(request, tree);
            for _ in 0..4 {
                let place = usize::from(noise()) % 8;
                changed[place] = noise();
            }
            Act::Send(vec![
                random,
                Vec::new(),
                vec![0x30; 60_000],
                vec![0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF],
                changed,
            ])
        });
        match rig.driver.poll().await {
            // Changed bytes may happen to leave a whole, well-formed reply to this very request.
            Ok(batch) => assert_eq!(value(&batch, "input", Quantity::Power), Some(9990.0)),
            Err(error) => assert!(matches!(error.kind, ErrorKind::Protocol | ErrorKind::Timeout), "{error}"),
        }
        rig.good(&format!("garbage, round {round}")).await;
    }
}

#[tokio::test]
async fn a_reply_from_another_address_is_no_reading() {
    let mut rig = Rig::new().await;
    for _ in 0..5 {
        rig.agent.behave(|request, tree| Act::SendForeign(vec![forged(request, tree)]));
        rig.bad("a foreign reply", &[ErrorKind::Timeout]).await;
        rig.good("a foreign reply").await;
    }
}

#[tokio::test]
async fn a_reply_to_another_request_is_no_reading() {
    let mut rig = Rig::new().await;
    for shift in [-1, 1, 2, 1000, i64::from(i32::MIN)] {
        rig.agent.behave(move |request, tree| {
            Act::Send(vec![forged(&Request { id: request.id + shift, ..request.clone() }, tree)])
        });
        rig.bad("a reply to another request", &[ErrorKind::Timeout]).await;
        rig.good("a reply to another request").await;
    }
}

#[tokio::test]
async fn a_reply_with_other_variables_than_asked_is_refused_whole() {
    let mut rig = Rig::new().await;
    type Change = fn(&mut Vec<(Vec<u32>, Val)>);
    let changes: [(&str, Change); 5] = [
        ("another variable", |rows| rows[1].0 = vec![1, 3, 6, 1, 9, 9]),
        ("one too few", |rows| drop(rows.pop())),
        ("one too many", |rows| rows.push((vec![1, 3, 6, 1, 9, 9], Val::Int(1)))),
        ("one twice", |rows| rows[1] = rows[2].clone()),
        ("none", Vec::clear),
    ];
    for (what, change) in changes {
        rig.agent.behave(move |request, tree| {
            let mut rows: Vec<_> = request.oids.iter().map(|o| (o.clone(), tree[o].clone())).collect();
            change(&mut rows);
            Act::Send(vec![reply(request.id, 0, 0, &rows)])
        });
        rig.bad(what, &[ErrorKind::Protocol]).await;
        rig.good(what).await;
    }
    // In another order is well enough: every value says whose it is.
    rig.agent.set(&POWER, 4321);
    rig.agent.behave(|request, tree| {
        let rows: Vec<_> = request.oids.iter().rev().map(|o| (o.clone(), tree[o].clone())).collect();
        Act::Send(vec![reply(request.id, 0, 0, &rows)])
    });
    let batch = rig.driver.poll().await.unwrap();
    assert_eq!(lines(&batch, Quantity::Power), ["input 43210", "outlet/1 100", "outlet/2 200"]);
}

#[tokio::test]
async fn an_agent_that_finds_requests_too_big_gets_smaller_ones() {
    let mut rig = Rig::new().await;
    let too_big = |limit: usize| {
        move |request: &Request, tree: &Tree| {
            let big = request.oids.len() > limit;
            Act::Send(vec![if big { reply(request.id, 1, 0, &[]) } else { answer(request, tree) }])
        }
    };
    rig.agent.set(&POWER, 77);
    rig.agent.behave(too_big(1));
    let batch = rig.driver.poll().await.unwrap();
    assert_eq!(lines(&batch, Quantity::Power), ["input 770", "outlet/1 100", "outlet/2 200"]);
    rig.agent.behave(too_big(0));
    rig.bad("tooBig for one variable", &[ErrorKind::Protocol]).await;
    rig.good("tooBig").await;
}

#[tokio::test]
async fn an_error_about_one_variable_costs_that_variable_only() {
    let mut rig = Rig::new().await;
    rig.agent.set(&POWER, 55);
    rig.agent.behave(|request, tree| {
        let broken = request.oids.iter().position(|o| *o == metered(7, 1));
        let index = broken.map_or(0, |place| i64::try_from(place + 1).unwrap());
        Act::Send(vec![if index > 0 { reply(request.id, 5, index, &[]) } else { answer(request, tree) }])
    });
    let batch = rig.driver.poll().await.unwrap();
    assert_eq!(lines(&batch, Quantity::Power), ["input 550", "outlet/2 200"]);
    // An error that blames nothing, or a variable that was not asked, is an error of the whole poll.
    for index in [0, 99] {
        rig.agent.behave(move |request, _| Act::Send(vec![reply(request.id, 5, index, &[])]));
        rig.bad("genErr", &[ErrorKind::Protocol]).await;
        rig.good("genErr").await;
    }
}

#[tokio::test]
async fn a_walk_that_never_ends_is_ended() {
    let rig = Rig::new().await;
    // In circles: after the column's second row comes its first again.
    rig.agent.behave(|request, tree| {
        if request.pdu == GET {
            return well(request, tree);
        }
        let row = |n: u32| ([&request.oids[0][..], &[n]].concat(), Val::Int(1));
        Act::Send(vec![reply(request.id, 0, 0, &[row(1), row(2), row(1), row(2)])])
    });
    let mut fresh = open(Settings { retries: 9, ..brief(&rig.agent.address) }, &shared());
    let error = fresh.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol, "{error}");
    // Forward for ever: row after row of the column asked for.
    rig.agent.behave(|request, tree| {
        if request.pdu == GET {
            return well(request, tree);
        }
        let forward = |column: &Vec<u32>, step: u32| {
            let mut next = column.clone();
            if next.len() == POWER.len() {
                *next.last_mut().unwrap() += step;
            } else {
                next.push(step);
            }
            (next, Val::Int(1))
        };
        let steps = 1..=u32::try_from(request.max_repetitions).unwrap();
        let rows: Vec<_> =
            steps.flat_map(|step| request.oids.iter().map(move |oid| forward(oid, step))).collect();
        Act::Send(vec![reply(request.id, 0, 0, &rows)])
    });
    let error = fresh.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol, "{error}");
    assert!(error.cause.contains("more than 5000 rows"), "{error}");
    rig.agent.behave(well);
    assert_eq!(lines(&fresh.poll().await.unwrap(), Quantity::Power).len(), 3);
}

#[tokio::test]
async fn an_agent_deaf_to_getbulk_is_walked_step_by_step() {
    let agent = Agent::start(pdu()).await;
    agent.behave(|request, tree| if request.pdu == GET_BULK { Act::Silence } else { well(request, tree) });
    let mut driver = open(brief(&agent.address), &shared());
    assert_eq!(
        lines(&driver.poll().await.unwrap(), Quantity::Power),
        ["input 10", "outlet/1 100", "outlet/2 200"]
    );
}

/// Counts requests by kind.
fn counted(agent: &Agent) -> Arc<Mutex<Vec<(u8, usize)>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    agent.behave(move |request, tree| {
        log.lock().unwrap().push((request.pdu, request.oids.len()));
        well(request, tree)
    });
    seen
}

#[tokio::test]
async fn an_agent_that_answers_getbulk_wrongly_is_walked_step_by_step_from_then_on() {
    type Wrong = fn(&Request, &Tree) -> Vec<u8>;
    let wrong: [(&str, Wrong); 4] = [
        ("nothing", |request, _| reply(request.id, 0, 0, &[])),
        ("genErr", |request, _| reply(request.id, 5, 0, &[])),
        ("tooBig", |request, _| reply(request.id, 1, 0, &[])),
        ("the same again", |request, _| {
            let rows: Vec<_> = request.oids.iter().map(|oid| (oid.clone(), Val::Int(1))).collect();
            reply(request.id, 0, 0, &rows)
        }),
    ];
    for (what, wrong) in wrong {
        let (clock, shared) = clocked();
        let agent = Agent::start(pdu()).await;
        agent.behave(move |request, tree| {
            if request.pdu == GET_BULK { Act::Send(vec![wrong(request, tree)]) } else { well(request, tree) }
        });
        let mut driver = open(Settings { retries: 9, ..brief(&agent.address) }, &shared);
        let batch = driver.poll().await.unwrap();
        assert_eq!(lines(&batch, Quantity::Power), ["input 10", "outlet/1 100", "outlet/2 200"], "{what}");
        // Learned for good: it is walked again without GETBULK.
        let seen = counted(&agent);
        clock.advance(Duration::from_secs(601));
        for _ in 0..5 {
            driver.poll().await.unwrap();
        }
        let seen = seen.lock().unwrap();
        assert!(seen.iter().any(|(pdu, _)| *pdu != GET), "{what}: not walked");
        assert!(seen.iter().all(|(pdu, _)| *pdu != GET_BULK), "{what}: {seen:?}");
    }
}

#[tokio::test]
async fn an_agent_that_drops_big_requests_gets_smaller_ones_from_then_on() {
    let agent = Agent::start(pdu()).await;
    let dropped = Arc::new(Mutex::new(0));
    let count = Arc::clone(&dropped);
    agent.behave(move |request, tree| {
        if request.oids.len() > 3 {
            *count.lock().unwrap() += 1;
            return Act::Silence;
        }
        well(request, tree)
    });
    let mut driver = open(brief(&agent.address), &shared());
    let batch = driver.poll().await.unwrap();
    assert_eq!(lines(&batch, Quantity::Power), ["input 10", "outlet/1 100", "outlet/2 200"]);
    let before = *dropped.lock().unwrap();
    // 20, 10, 5 variables went unanswered, each at most twice (GETBULK and GETNEXT).
    assert!(before <= 6, "{before} big requests");
    driver.poll().await.unwrap();
    assert_eq!(*dropped.lock().unwrap(), before, "big requests again");
}

#[tokio::test]
async fn what_is_too_big_once_is_not_asked_again() {
    let agent = Agent::start(pdu()).await;
    let refused = Arc::new(Mutex::new(0));
    let count = Arc::clone(&refused);
    agent.behave(move |request, tree| {
        if request.oids.len() > 3 {
            *count.lock().unwrap() += 1;
            return Act::Send(vec![reply(request.id, 1, 0, &[])]);
        }
        well(request, tree)
    });
    let mut driver = open(Settings { retries: 9, ..brief(&agent.address) }, &shared());
    driver.poll().await.unwrap();
    let before = *refused.lock().unwrap();
    driver.poll().await.unwrap();
    assert_eq!(*refused.lock().unwrap(), before, "too big again");
}

#[tokio::test]
async fn lost_datagrams_do_not_make_requests_smaller() {
    let agent = Agent::start(pdu()).await;
    let mut driver = open(brief(&agent.address), &shared());
    driver.poll().await.unwrap();
    for _ in 0..3 {
        agent.behave(|_, _| Act::Silence);
        assert_eq!(driver.poll().await.unwrap_err().kind, ErrorKind::Timeout);
    }
    let seen = counted(&agent);
    driver.poll().await.unwrap();
    // sysUpTime and the values, in one.
    assert_eq!(seen.lock().unwrap().len(), 1, "{seen:?}");
}

#[tokio::test]
async fn a_device_of_many_columns_is_learned_in_few_requests() {
    let mut tree = pdu();
    for outlet in 1..=24u32 {
        for (column, n) in [(2, 1), (4, outlet), (6, 10), (7, 100), (11, 5)] {
            tree.insert(metered(column, outlet), Val::Int(n.into()));
        }
    }
    let agent = Agent::start(tree).await;
    let seen = counted(&agent);
    let mut driver = open(Settings { retries: 9, ..brief(&agent.address) }, &shared());
    assert_eq!(lines(&driver.poll().await.unwrap(), Quantity::Power).len(), 25);
    let seen = seen.lock().unwrap();
    eprintln!("{} requests for 24 outlets of 5 columns and 25 other columns", seen.len());
    assert!(seen.len() < 30, "{seen:?}");
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_long_discovery_goes_on_where_it_stopped() {
    let mut rig = Rig::new().await;
    rig.agent.behave(|_, _| Act::Silence);
    rig.bad("silence", &[ErrorKind::Timeout]).await;
    rig.good("silence").await;
    // The agent answers two requests in each poll and then falls silent: each poll learns a little more.
    let mut fresh = open(brief(&rig.agent.address), &shared());
    let mut polls = 0;
    loop {
        let mut left = 2;
        rig.agent.behave(move |request, tree| {
            left -= 1;
            if left >= 0 { well(request, tree) } else { Act::Silence }
        });
        polls += 1;
        match fresh.poll().await {
            Ok(batch) => break assert_eq!(lines(&batch, Quantity::Power).len(), 3),
            Err(error) => assert_eq!(error.kind, ErrorKind::Timeout),
        }
        assert!(polls < 60, "discovery starts over again and again");
    }
    assert!(polls > 3, "{polls}");
}

fn clocked() -> (Arc<ManualClock>, Arc<Shared>) {
    let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(1)));
    let shared = Shared::new(Profiles::built_in().snmp, Arc::clone(&clock) as Arc<dyn Clock>);
    (clock, Arc::new(shared))
}

#[tokio::test]
async fn after_a_restart_rows_are_learned_anew_before_a_value_counts() {
    let (_, shared) = clocked();
    let agent = Agent::start(pdu()).await;
    let mut driver = open(brief(&agent.address), &shared);
    let before = driver.poll().await.unwrap();
    assert_eq!(lines(&before, Quantity::Power), ["input 10", "outlet/1 100", "outlet/2 200"]);
    assert!(before.identity.is_some());
    assert_eq!(driver.poll().await.unwrap().identity, None);
    // The agent restarts and numbers its rows the other way round: row 1 is outlet 2 now.
    agent.tree.lock().unwrap().insert(UP_TIME.to_vec(), Val::Ticks(10));
    agent.set(&metered(4, 1), 2);
    agent.set(&metered(4, 2), 1);
    let after = driver.poll().await.unwrap();
    assert_eq!(lines(&after, Quantity::Power), ["input 10", "outlet/1 200", "outlet/2 100"]);
    assert!(after.identity.is_some());
}

#[tokio::test]
async fn a_vanished_row_leaves_no_sample_and_a_new_one_is_found() {
    let (clock, shared) = clocked();
    let agent = Agent::start(pdu()).await;
    let mut driver = open(brief(&agent.address), &shared);
    driver.poll().await.unwrap();
    // Gone within the first minute: its value is missing, nothing is walked again yet.
    agent.tree.lock().unwrap().remove(&metered(7, 2));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    agent.behave(move |request, tree| {
        log.lock().unwrap().push(request.pdu);
        well(request, tree)
    });
    assert_eq!(lines(&driver.poll().await.unwrap(), Quantity::Power), ["input 10", "outlet/1 100"]);
    assert_eq!(*asked.lock().unwrap(), [GET]);
    // Later it is taken as a sign that rows moved: the device is learned anew within the same poll.
    clock.advance(Duration::from_secs(61));
    assert_eq!(lines(&driver.poll().await.unwrap(), Quantity::Power), ["input 10", "outlet/1 100"]);
    assert!(asked.lock().unwrap().contains(&GET_BULK));
    // A new outlet is found after ten minutes, one request more in each poll, with readings all the while.
    agent.set(&metered(7, 2), 222);
    clock.advance(Duration::from_secs(601));
    let mut found = None;
    for poll in 0..30 {
        let walks = asked.lock().unwrap().len();
        let lines = lines(&driver.poll().await.unwrap(), Quantity::Power);
        assert!(asked.lock().unwrap().len() - walks < 9, "one poll walked it all");
        assert!(lines.len() >= 2);
        if lines.contains(&"outlet/2 222".to_owned()) {
            found = Some(poll);
            break;
        }
    }
    assert!(found.is_some_and(|polls| polls > 1), "{found:?}");
}

/// Thousands of polls through every fault, in a process of its own, since memory is a process's.
#[test]
fn memory_does_not_grow_over_faults() {
    let this = std::env::current_exe().unwrap();
    let run = std::process::Command::new(this)
        .args(["--ignored", "--exact", "--nocapture", "faults::thousands_of_faulty_polls"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("KiB over"), "{said}");
    eprintln!("{}", said.lines().find(|line| line.contains("KiB over")).unwrap());
}

#[tokio::test]
#[ignore = "run by memory_does_not_grow_over_faults, in a process of its own"]
async fn thousands_of_faulty_polls() {
    let mut rig = Rig::new().await;
    let settings = Settings { request_timeout: Duration::from_millis(5), ..brief(&rig.agent.address) };
    let mut silent = open(settings, &shared());
    let mut last = Vec::new();
    let mut settled = 0;
    for round in 0..3000 {
        if round == 1000 {
            settled = resident_kib();
        }
        let before = std::mem::take(&mut last);
        rig.agent.set(&POWER, 100 + round);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        rig.agent.behave(move |request, tree| {
            let right = answer(request, tree);
            keep.lock().unwrap().clone_from(&right);
            let other = forged(&Request { id: request.id - 1, ..request.clone() }, tree);
            Act::Send(vec![
                before.clone(),
                vec![0x30; 1400],
                right[..right.len() / 2].to_vec(),
                other,
                right.clone(),
                right,
            ])
        });
        if let Ok(batch) = rig.driver.poll().await {
            let watts = f64::from(i32::try_from(10 * (100 + round)).unwrap());
            assert_eq!(value(&batch, "input", Quantity::Power), Some(watts));
        }
        last.clone_from(&kept.lock().unwrap());
        if round % 10 == 0 {
            rig.agent.behave(|_, _| Act::HoldForNext);
            assert!(silent.poll().await.is_err());
        }
    }
    let grown = resident_kib().saturating_sub(settled);
    println!("{grown} KiB over 2000 faulty polls");
    assert!(grown < 4096, "{grown} KiB");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
