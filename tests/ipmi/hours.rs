//! Sessions over hours, with tokio's clock paused: kept alive, given up, refused, opened by the thousand.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use wattribute::drivers::ipmi::{self, KeepSession, Readings, Settings, Shared, Suite};
use wattribute::model::{Clock, ErrorKind, Measure, OpenSessions, Quantity};
use wattribute::poller::Timing;
use wattribute::poller::schedule::Schedule;

use super::faults::{ADDRESS, INTERVAL, Rig};
use super::peers::settings;
use super::value;
use super::virtual_bmcs::{Air, Bmc, Dice, after, pass};

#[tokio::test(start_paused = true)]
async fn an_hour_of_random_faults_brings_no_wrong_reading_and_leaks_nothing() {
    for (seed, suite) in (1..=12).map(|n| (n * 7919, if n % 2 == 0 { Suite::Sha1 } else { Suite::Sha256 })) {
        let mut rig = Rig::new(|settings| Settings { suites: vec![suite], ..settings });
        let mut dice = Dice(seed);
        let (mut good, mut polls) = (0, 0);
        for _ in 0..360 {
            let (fault, mut replies) = (dice.below(14), Dice(dice.below(u64::MAX) | 1));
            match fault {
                // A bad day: every reply is lost, late, doubled, cut or flipped by chance.
                0..4 => rig.fate(move |reply| {
                    let at = usize::try_from(replies.below(reply.len() as u64)).unwrap();
                    let mut flipped = reply.to_vec();
                    // An answer to Open Session is not authenticated: a refusal is believed.
                    flipped[at] ^= if reply[5] == 0x11 { 0 } else { 1 << replies.below(8) };
                    match replies.below(8) {
                        0 => Vec::new(),
                        1 => vec![after(replies.below(12_000), reply)],
                        2 => vec![after(0, reply), after(replies.below(12_000), reply)],
                        3 => vec![after(0, &reply[..at])],
                        4 => vec![after(0, &flipped), after(replies.below(12_000), reply)],
                        _ => pass(reply),
                    }
                }),
                4 => rig.fate(|_| Vec::new()),
                5 => rig.air.lose(ADDRESS, usize::try_from(dice.below(6)).unwrap()),
                6 => {
                    let until = rig.air.now() + Duration::from_secs(dice.below(90));
                    rig.bmc(|bmc| bmc.restart(until));
                }
                7 => rig.bmc(|bmc| bmc.knobs.busy = u32::try_from(dice.below(6)).unwrap()),
                8 => rig.bmc(|bmc| bmc.knobs.others = usize::try_from(dice.below(5)).unwrap()),
                _ => {
                    rig.fate(pass);
                    rig.bmc(|bmc| bmc.knobs.others = 0);
                }
            }
            polls += 1;
            // Some polls are cut short.
            let deadline = if dice.below(5) == 0 { dice.below(600) } else { 5_000 };
            good += usize::from(
                timeout(Duration::from_millis(deadline), rig.poll()).await.is_ok_and(|result| result.is_ok()),
            );
            sleep(INTERVAL).await;
        }
        println!("seed {seed}: {good} of {polls} polls");
        assert!(good > 60, "seed {seed}: only {good} of {polls}");
        rig.fate(pass);
        rig.bmc(|bmc| (bmc.knobs.others, bmc.knobs.busy) = (0, 0));
        sleep(Duration::from_secs(130)).await;
        assert_eq!(rig.poll().await, Ok(()), "seed {seed}, after all");
        let (opened, ..) = rig.end().await;
        assert!(opened < 200, "seed {seed}: {opened} sessions for {polls} polls");
    }
}

/// One reply in ten: a request is asked three times, so one in a thousand is given up.
#[tokio::test(start_paused = true)]
async fn a_network_that_loses_a_tenth_costs_hardly_a_reading() {
    let mut rig = Rig::new(|settings| settings);
    let mut dice = Dice(99);
    rig.fate(move |reply| if dice.below(10) == 0 { Vec::new() } else { pass(reply) });
    let mut failed = 0;
    for _ in 0..3600 {
        failed += usize::from(rig.poll().await.is_err());
        sleep(Duration::from_secs(1)).await;
    }
    println!("{failed} of 3,600 polls failed");
    assert!(failed < 36, "{failed}");
    rig.fate(pass);
    sleep(Duration::from_secs(130)).await;
    let (opened, ..) = rig.end().await;
    assert!(opened < 20, "{opened}");
}

#[tokio::test(start_paused = true)]
async fn a_poll_dropped_at_any_moment_leaves_its_late_reply_unread() {
    for suite in [Suite::Sha1, Suite::Sha256] {
        let mut rig = Rig::new(|settings| Settings { suites: vec![suite], ..settings });
        assert_eq!(rig.poll().await, Ok(()));
        for cut in 0..70 {
            // A reply takes 60 ms, and comes when the next poll has begun.
            rig.fate(|reply| vec![after(58, reply)]);
            let cut = timeout(Duration::from_millis(cut % 60), rig.poll()).await;
            assert!(cut.is_err(), "{cut:?}");
            rig.fate(|reply| vec![after(100, reply)]);
            assert_eq!(rig.poll().await, Ok(()));
        }
        assert_eq!(rig.end().await, (1, 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_setup_that_takes_longer_than_a_poll_may_take_comes_to_its_end() {
    let mut rig = Rig::new(|settings| settings);
    rig.fate(|reply| vec![after(200, reply)]);
    let mut polls = 0;
    while !timeout(Duration::from_millis(500), rig.poll()).await.is_ok_and(|result| result.is_ok()) {
        polls += 1;
        assert!(polls < 10);
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(rig.end().await, (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_driver_dropped_in_the_setup_leaves_nothing() {
    // Greeting, suites, open, RAKP 1 and 3, at 2 ms each.
    for at in 0..14 {
        let mut rig = Rig::new(|settings| settings);
        let _ = timeout(Duration::from_millis(at), rig.poll()).await;
        // The driver's death, as its task's panic would bring it about.
        let (opened, closed, lost) = rig.end().await;
        assert_eq!((opened, lost), (closed, 0), "dropped after {at} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn each_status_that_refuses_a_setup_is_an_error_and_the_next_setup_is_right() {
    for suite in [Suite::Sha1, Suite::Sha256] {
        for status in (0x01..=0x13).chain([0x7f, 0xff]) {
            for (rakp2, rakp4) in [(Some(status), None), (None, Some(status))] {
                let mut rig = Rig::new(|settings| Settings { suites: vec![suite], ..settings });
                rig.bmc(|bmc| (bmc.knobs.rakp2, bmc.knobs.rakp4) = (rakp2, rakp4));
                let error = rig.poll().await.unwrap_err();
                let auth = matches!(status, 0x09 | 0x0a | 0x0d | 0x0f);
                assert_eq!(error.kind == ErrorKind::Auth, auth, "{status:02x}h: {error}");
                assert_ne!(error.kind, ErrorKind::Timeout, "{status:02x}h: {error}");
                rig.bmc(|bmc| (bmc.knobs.rakp2, bmc.knobs.rakp4) = (None, None));
                assert_eq!(rig.poll().await, Ok(()), "after {status:02x}h");
                assert_eq!(rig.end().await, (1, 1, 0), "{status:02x}h");
            }
        }
    }
}

/// The record says 255 bytes, has them, and gives 32 at a time: nine reads. Raw 25 in steps of 4 W is 100 W.
#[tokio::test(start_paused = true)]
async fn a_record_of_255_bytes_is_read_to_its_end() {
    for suite in [Suite::Sha1, Suite::Sha256] {
        let mut rig =
            Rig::new(|settings| Settings { suites: vec![suite], readings: Readings::Sensors, ..settings });
        rig.bmc(|bmc| bmc.watts = 100);
        for _ in 0..3 {
            let batch = rig.driver.poll().await.unwrap();
            assert_eq!(value(&batch, "sensor/sys-power", Quantity::Power), Some(100.0));
            assert_eq!(value(&batch, "input", Quantity::Power), Some(100.0));
        }
        assert_eq!(rig.end().await, (1, 1, 0));
    }
}

/// Polls every `interval` for a virtual hour; sessions opened, closed, lost, and sealed requests.
async fn hour(keep_session: KeepSession, interval: Duration) -> ((usize, usize, usize), usize) {
    let mut rig = Rig::new(|settings| Settings { keep_session, ..settings });
    let end = rig.air.now() + Duration::from_secs(3600);
    while rig.air.now() < end {
        assert_eq!(rig.poll().await, Ok(()));
        sleep(interval).await;
    }
    let requests = rig.bmc(|bmc| bmc.requests);
    (rig.end().await, requests)
}

#[tokio::test(start_paused = true)]
async fn a_session_is_kept_by_polls_or_by_a_small_request_or_not_at_all() {
    let (sessions, _) = hour(KeepSession::ByPolls, Duration::from_secs(45)).await;
    assert_eq!(sessions, (1, 1, 0));
    // Twelve polls, and 7 requests in each 300 s between them; two more at the first poll.
    let (sessions, requests) = hour(KeepSession::ByKeepAlive, Duration::from_secs(300)).await;
    assert_eq!(sessions, (1, 1, 0));
    assert!((12 + 12 * 7..=12 + 12 * 7 + 3).contains(&requests), "{requests}");
    let (sessions, _) = hour(KeepSession::No, Duration::from_secs(300)).await;
    assert_eq!((sessions.0, sessions.1, sessions.2), (sessions.0, sessions.0, 0));
    assert!((12..=13).contains(&sessions.0));
    // Left to polls that are too rare, the BMC drops it each time: that is what the other two are for.
    let (sessions, _) = hour(KeepSession::ByPolls, Duration::from_secs(70)).await;
    assert!(sessions.0 > 50 && sessions.2 > 50, "{sessions:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_kept_alive_for_nothing_is_opened_anew() {
    let mut rig = Rig::new(|settings| Settings { keep_session: KeepSession::ByKeepAlive, ..settings });
    assert_eq!(rig.poll().await, Ok(()));
    sleep(Duration::from_secs(100)).await;
    let now = rig.air.now();
    rig.bmc(|bmc| bmc.restart(now));
    sleep(Duration::from_secs(100)).await;
    assert_eq!(rig.poll().await, Ok(()));
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(rig.poll().await, Ok(()));
    assert_eq!(rig.end().await, (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn two_drivers_of_one_bmc_never_hold_two_sessions() {
    let mut rig = Rig::new(|settings| settings);
    let second = Settings { readings: Readings::Dcmi, ..settings(ADDRESS, "admin", "password") };
    let mut second = ipmi::open(second, Arc::clone(&rig.shared)).unwrap();
    for _ in 0..5 {
        assert_eq!(rig.poll().await, Ok(()));
        let error = second.poll().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy, "{error}");
        assert!(error.cause.contains("already holds a session"), "{error}");
        sleep(INTERVAL).await;
    }
    rig.driver.close().await;
    assert!(second.poll().await.is_ok(), "the place is free");
    second.close().await;
    assert_eq!(rig.end().await, (2, 2, 0));
}

/// A wrong password, polled as the poller would: 10 s apart while all is well.
#[tokio::test(start_paused = true)]
async fn a_refused_password_is_not_tried_often() {
    let mut rig = Rig::new(|settings| settings);
    rig.bmc(|bmc| bmc.password = b"changed".to_vec());
    let timing = Timing { interval: INTERVAL, deadline: Duration::from_secs(5) };
    let mut schedule = Schedule::new("bmc", timing, rig.air.now());
    let end = rig.air.now() + Duration::from_secs(24 * 3600);
    let mut polls = 0;
    while schedule.next() < end {
        sleep(schedule.next().since(rig.air.now())).await;
        let outcome = rig.poll().await.map_err(|error| error.kind);
        assert_eq!(outcome, Err(ErrorKind::Auth));
        schedule.after(outcome, rig.air.now());
        polls += 1;
    }
    // 5, 10, 20 and 40 minutes, then an hour or more each.
    assert!((20..=29).contains(&polls), "{polls} in a day");
    // A handshake that went wrong is tried once more, since one garbled datagram looks the same.
    assert_eq!(rig.bmc(|bmc| bmc.asked), 2 * polls);
    assert_eq!(rig.end().await, (0, 0, 0));
}

/// Ten thousand BMCs behind a switch that comes back.
#[tokio::test(start_paused = true)]
async fn ten_thousand_sessions_are_not_opened_at_once_and_all_are_given_back() {
    const BMCS: usize = 10_000;
    let air = Air::new();
    let sessions = OpenSessions::default();
    let clock: Arc<dyn Clock> = Arc::<wattribute::model::SystemClock>::clone(&air.clock);
    let shared = Arc::new(Shared::over(Arc::new(air.clone()), clock).count_in(sessions.clone()));
    let begun = air.now();
    let mut tasks = Vec::new();
    for n in 0..BMCS {
        let address = format!("10.1.{}.{}:623", n / 250, n % 250);
        let watts = u16::try_from(n).unwrap() + 1;
        air.put(&address, Bmc::new());
        air.bmc(&address, |bmc| bmc.watts = watts);
        let settings = Settings { readings: Readings::Dcmi, ..settings(&address, "admin", "password") };
        let mut driver = ipmi::open(settings, Arc::clone(&shared)).unwrap();
        tasks.push(tokio::spawn(async move {
            let batch = driver.poll().await.unwrap();
            let Measure::Power(power) = batch.readings[0].measure else { panic!("{batch:?}") };
            assert_eq!(power.get(), f64::from(watts));
            driver
        }));
    }
    let mut drivers = Vec::new();
    for task in tasks {
        drivers.push(task.await.unwrap());
    }
    let took = air.now().since(begun);
    // 512 at once, each at least 250 ms: 20 rounds.
    assert!(took >= Duration::from_millis(4_750), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(sessions.count(), 10_000);
    for driver in &mut drivers {
        driver.close().await;
    }
    assert_eq!(sessions.count(), 0);
    assert!(air.all(|bmc| bmc.opened == 1 && bmc.closed == 1 && bmc.most == 1));
}

#[tokio::test(start_paused = true)]
async fn sessions_that_are_held_are_counted_until_the_bmc_has_let_go() {
    let sessions = OpenSessions::default();
    let air = Air::new();
    air.put(ADDRESS, Bmc::new());
    let clock: Arc<dyn Clock> = Arc::<wattribute::model::SystemClock>::clone(&air.clock);
    let shared = Arc::new(Shared::over(Arc::new(air.clone()), clock).count_in(sessions.clone()));
    let settings = Settings { readings: Readings::Dcmi, ..settings(ADDRESS, "admin", "password") };
    let mut driver = ipmi::open(settings, shared).unwrap();
    assert_eq!(sessions.count(), 0);
    air.bmc(ADDRESS, |bmc| bmc.watts = 7);
    driver.poll().await.unwrap();
    assert_eq!(sessions.count(), 1);
    // Gone without a word: who knows what it holds, until it must have dropped it.
    air.fate(ADDRESS, |_| Vec::new());
    drop(driver);
    sleep(Duration::from_secs(50)).await;
    assert_eq!(sessions.count(), 1);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(sessions.count(), 0);
}
