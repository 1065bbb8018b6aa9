//! The rule of late answers: no value is ever that of another question, and right values come as soon as one can be right.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wattribute::drivers::Driver;
use wattribute::drivers::modbus::Settings;
use wattribute::model::{Batch, ErrorKind, Quantity};

use super::fake::{Act, Fake, Framing, PROFILE, Request, told};
use super::{open, settings, shared, value};

const LATE: Duration = Duration::from_millis(1500);

/// A meter that answers everything late: right, and never out of turn.
fn late(framing: Framing, begun: Instant, by: Duration) -> impl FnMut(&Request) -> Vec<Act> + Send {
    move |request| {
        // Read when it is asked, said later.
        let answer = request.frame(framing, &request.right(told(begun)));
        vec![Act::Wait(by), Act::Send(answer)]
    }
}

/// Every value is of its own register, and no older than `age`.
fn is_right(batch: &Batch, begun: Instant, age: Duration) {
    for (channel, register) in [("a", 10), ("b", 20), ("c", 30)] {
        let read = value(batch, channel, Quantity::Power).unwrap() as u64;
        assert_eq!(read / 1000, register, "{channel} has the value of another register: {read}");
        let now = begun.elapsed().as_secs();
        let seconds = now.saturating_sub(read % 1000);
        assert!(seconds <= age.as_secs() + 1, "{channel} is {seconds} s old");
    }
}

/// Polls as the poller does, under its deadline.
async fn poll(meter: &mut Box<dyn Driver>, settings: &Settings) -> Option<Batch> {
    match tokio::time::timeout(settings.poll_timeout, meter.poll()).await {
        Ok(Ok(batch)) => Some(batch),
        Ok(Err(error)) => {
            assert!(
                matches!(error.kind, ErrorKind::Timeout | ErrorKind::Protocol | ErrorKind::Unreachable),
                "{error}"
            );
            None
        }
        Err(_) => None,
    }
}

/// How many of `polls` gave values, which were all right, and how many failed before the first.
async fn polls(
    fake: &Fake,
    request_timeout: Duration,
    retries: u32,
    begun: Instant,
    polls: u32,
) -> (u32, u32) {
    let mut terms = settings(fake.address.clone(), "two-blocks");
    (terms.request_timeout, terms.retries, terms.poll_timeout) =
        (request_timeout, retries, Duration::from_secs(8));
    let mut meter = open(&terms, &shared(&[PROFILE]));
    let (mut good, mut first) = (0, 0);
    for _ in 0..polls {
        match poll(&mut meter, &terms).await {
            Some(batch) => {
                is_right(&batch, begun, terms.poll_timeout);
                good += 1;
            }
            None if good == 0 => first += 1,
            None => {}
        }
    }
    (good, first)
}

#[tokio::test]
async fn a_meter_that_is_always_late_is_read_right_with_a_time_out_above_it() {
    let begun = Instant::now();
    let fake = Fake::on_a_line(late(Framing::Rtu, begun, LATE));
    assert_eq!(polls(&fake, Duration::from_secs(2), 0, begun, 3).await, (3, 0));
    assert_eq!(fake.requests.load(Ordering::SeqCst), 9, "nothing is asked twice");
}

#[tokio::test]
async fn a_meter_that_is_always_late_is_read_right_with_a_time_out_below_it() {
    let begun = Instant::now();
    let fake = Fake::on_a_line(late(Framing::Rtu, begun, LATE));
    // With two retries, three times 600 ms: the first answer comes in that time.
    assert_eq!(polls(&fake, Duration::from_millis(600), 2, begun, 3).await, (3, 0));
    let fake = Fake::on_a_line(late(Framing::Rtu, begun, LATE));
    // 300 ms and nothing more: the meter is met as one that is late, then waited for.
    let (good, first) = polls(&fake, Duration::from_millis(300), 0, begun, 10).await;
    assert!(first <= 8 && good >= 2, "{good} good, {first} failed before the first");
}

#[tokio::test]
async fn the_same_over_tcp_with_numbers_and_without() {
    let begun = Instant::now();
    for framing in [Framing::Tcp, Framing::Rtu] {
        let fake = Fake::on_tcp(framing, late(framing, begun, LATE)).await;
        let (good, first) = polls(&fake, Duration::from_millis(600), 2, begun, 3).await;
        assert_eq!((good, first), (3, 0));
    }
}

/// Once late, then prompt: the late answer must not become that of the next question, which looks the same.
async fn once_late(echo: Option<&'static [u8]>) {
    let begun = Instant::now();
    let mut number = 0;
    let fake = Fake::on_a_line(move |request| {
        number += 1;
        let wait = if number == 2 { LATE } else { Duration::ZERO };
        match (request.function, echo) {
            (8, Some([])) => Vec::new(),
            (8, Some(pdu)) => vec![Act::Send(request.frame(Framing::Rtu, pdu))],
            _ => vec![Act::Wait(wait), Act::Send(request.frame(Framing::Rtu, &request.right(told(begun))))],
        }
    });
    // A poll gives up after 400 ms; the meter is away for 1.5 s once.
    let (good, first) = polls(&fake, Duration::from_millis(200), 1, begun, 20).await;
    assert!(first <= 10 && good >= 10, "{good} good polls of 20, {first} failed before the first");
}

#[tokio::test]
async fn one_late_answer_is_not_the_next_questions() {
    once_late(None).await;
}

#[tokio::test]
async fn nor_where_the_meter_knows_no_echo() {
    once_late(Some(&[0x88, 1])).await;
}

#[tokio::test]
async fn nor_where_the_meter_is_silent_to_an_echo() {
    once_late(Some(&[])).await;
}

#[tokio::test]
async fn a_poll_that_is_cut_off_anywhere_leaves_nothing_behind() {
    let begun = Instant::now();
    for framing in [Framing::Tcp, Framing::Rtu] {
        let fake = Fake::on_tcp(framing, late(framing, begun, Duration::from_millis(60))).await;
        let terms = settings(fake.address.clone(), "two-blocks");
        let mut meter = open(&terms, &shared(&[PROFILE]));
        for cut in 0..30 {
            // Anywhere between the first question and the last answer.
            let _ = tokio::time::timeout(Duration::from_millis(cut * 7), meter.poll()).await;
            if cut % 5 == 4 {
                is_right(&meter.poll().await.unwrap(), begun, Duration::from_secs(1));
            }
        }
    }
}
