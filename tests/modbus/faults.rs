//! Meters that misbehave frame by frame: never a wrong value, right ones again with the next good answer, and words that help.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use wattribute::drivers::modbus::Address;
use wattribute::model::{ErrorKind, PollError, Quantity};

use super::fake::{Act, Fake, Framing, PROFILE, Request, frame, told};
use super::{open, settings, shared, value};

/// What a meter does to one question in place of answering it, if anything.
type Trick = fn(Framing, &Request, &[u8]) -> Vec<Act>;

fn send(bytes: Vec<u8>) -> Vec<Act> {
    vec![Act::Send(bytes)]
}

/// Each with its name.
const TRICKS: [(&str, Trick); 13] = [
    ("silence", |_, _, _| Vec::new()),
    ("twice", |framing, request, right| {
        let frame = request.frame(framing, right);
        send([frame.clone(), frame].concat())
    }),
    ("cut", |framing, request, right| {
        let frame = request.frame(framing, right);
        send(frame[..frame.len() - 2].to_vec())
    }),
    ("garbage", |_, _, _| send((0..200u8).map(|n| n.wrapping_mul(37)).collect())),
    ("another unit", |framing, request, _| {
        send(frame(framing, request.transaction, 9, &[request.function, 2, 0x27, 0x0F]))
    }),
    ("another function", |framing, request, _| {
        send(frame(framing, request.transaction, request.unit, &[4, 2, 0x27, 0x0F]))
    }),
    ("another count", |framing, request, _| {
        send(frame(framing, request.transaction, request.unit, &[request.function, 4, 0x27, 0x0F, 0, 0]))
    }),
    ("a count that lies", |framing, request, _| {
        send(frame(framing, request.transaction, request.unit, &[request.function, 200, 0x27, 0x0F]))
    }),
    ("a bent bit", |framing, request, right| {
        let mut frame = request.frame(framing, right);
        match framing {
            Framing::Tcp => frame[1] ^= 0x10,
            Framing::Rtu => frame[4] ^= 0x10,
        }
        send(frame)
    }),
    ("in single bytes", |framing, request, right| {
        let frame = request.frame(framing, right);
        frame
            .into_iter()
            .flat_map(|byte| [Act::Send(vec![byte]), Act::Wait(Duration::from_millis(1))])
            .collect()
    }),
    ("busy", |framing, request, _| send(request.frame(framing, &[request.function | 0x80, 6]))),
    ("hang up", |_, _, _| vec![Act::HangUp]),
    ("half, then hang up", |framing, request, right| {
        let frame = request.frame(framing, right);
        vec![Act::Send(frame[..4].to_vec()), Act::HangUp]
    }),
];

#[tokio::test]
async fn after_every_trick_the_next_value_is_right() {
    let begun = Instant::now();
    for framing in [Framing::Tcp, Framing::Rtu] {
        for (name, trick) in TRICKS {
            let mut number = 0;
            let fake = Fake::on_tcp(framing, move |request| {
                number += 1;
                let right = request.right(told(begun));
                // The second question of the first two polls.
                if number == 2 || number == 6 {
                    trick(framing, request, &right)
                } else {
                    send(request.frame(framing, &right))
                }
            })
            .await;
            let mut terms = settings(fake.address.clone(), "two-blocks");
            (terms.request_timeout, terms.retries) = (Duration::from_millis(150), 1);
            let mut meter = open(&terms, &shared(&[PROFILE]));
            let mut good = 0;
            for _ in 0..6 {
                let Ok(batch) = meter.poll().await else { continue };
                good += 1;
                for (channel, register) in [("a", 10), ("b", 20), ("c", 30)] {
                    let read = value(&batch, channel, Quantity::Power)
                        .unwrap_or_else(|| panic!("{name}: no {channel}"));
                    assert_eq!(read as u64 / 1000, register, "{name}: {channel} is {read}");
                }
            }
            assert!(good >= 3, "{name}: {good} of 6 polls");
        }
    }
}

/// The error of a meter that does `how` to every question, by a profile of one value.
async fn error(
    framing: Framing,
    profile: &str,
    how: impl FnMut(&Request) -> Vec<Act> + Send + 'static,
) -> PollError {
    let fake = Fake::on_tcp(framing, how).await;
    let mut terms = settings(fake.address.clone(), "own");
    (terms.request_timeout, terms.retries) = (Duration::from_millis(100), 1);
    terms.unit = 7;
    let mut meter = open(&terms, &shared(&[profile]));
    meter.poll().await.unwrap_err()
}

const ONE: &str = "protocol: modbus\nname: own\nabout: one value\nchannels: [{channel: input, values: [{quantity: voltage, register: 10, type: f32}]}]\n";

#[tokio::test]
async fn every_failure_says_what_to_do() {
    let silent = error(Framing::Rtu, ONE, |_| Vec::new()).await;
    assert_eq!(silent.kind, ErrorKind::Timeout);
    assert!(silent.cause.starts_with("unit 7 on ") && silent.cause.ends_with("does not answer"), "{silent}");
    assert!(silent.fix.contains("`unit`") && silent.fix.contains("baud rate"), "{silent}");

    let noise = error(Framing::Rtu, ONE, |_| send(vec![0x7E, 0x81, 0x55, 0x00, 0xFE])).await;
    assert_eq!(noise.kind, ErrorKind::Protocol);
    assert!(
        noise.cause.contains("bytes came that are no frame with a right checksum (1 times so far"),
        "{noise}"
    );
    assert!(noise.fix.contains("baud rate and parity"), "{noise}");

    let page = error(Framing::Tcp, ONE, |_| send(b"HTTP/1.1 400 Bad Request\r\n".to_vec())).await;
    assert_eq!(page.kind, ErrorKind::Protocol);
    assert!(page.cause.ends_with("is not Modbus TCP") && page.fix.contains("`rtu_over_tcp`"), "{page}");

    for (code, kind, says) in [
        (1, ErrorKind::Protocol, "exception 01 (illegal function)"),
        (2, ErrorKind::Protocol, "has none of the registers of profile own"),
        (6, ErrorKind::Busy, "exception 06 (server device busy)"),
        (0x0A, ErrorKind::Unreachable, "exception 0A (gateway path unavailable)"),
        (0x0B, ErrorKind::Timeout, "exception 0B (gateway target device failed to respond)"),
    ] {
        let how =
            move |request: &Request| send(request.frame(Framing::Tcp, &[request.function | 0x80, code]));
        let refused = error(Framing::Tcp, ONE, how).await;
        assert_eq!(refused.kind, kind, "{refused}");
        assert!(refused.cause.contains(says), "{refused}");
    }
}

#[tokio::test]
async fn a_profile_with_a_wrong_type_is_told_by_its_register() {
    // The integer 2305 where a float is expected, and a float with its words swapped.
    for words in [[0u16, 2305], [0x8000, 0x4366]] {
        let wrong = error(Framing::Tcp, ONE, move |request: &Request| {
            send(
                request.frame(Framing::Tcp, &request.right(|register| words[usize::from(register - 10) % 2])),
            )
        })
        .await;
        assert_eq!(wrong.kind, ErrorKind::Protocol, "{wrong}");
        assert!(wrong.cause.starts_with("voltage of input: register holding 10 (f32) has "), "{wrong}");
        assert!(wrong.fix.contains("`type`, `word_order` and `register`"), "{wrong}");
    }
    let nan =
        error(Framing::Tcp, ONE, |request| send(request.frame(Framing::Tcp, &request.right(|_| 0x7FC0))))
            .await;
    assert_eq!(nan.kind, ErrorKind::NoReading);
    assert!(nan.cause.contains("holding 10 (f32) has 7FC0 7FC0 = NaN, which means no value"), "{nan}");
}

#[tokio::test]
async fn a_port_that_refuses_says_which_and_what_is_usual() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut meter = open(&settings(Address::Tcp(place.clone()), "two-blocks"), &shared(&[PROFILE]));
    let refused = meter.poll().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unreachable);
    assert!(refused.cause.contains(&place) && refused.fix.contains("502 is usual"), "{refused}");
    let missing =
        Address::Rtu("/dev/serial/by-id/none".into(), wattribute::drivers::serial::line::Line::at(9600));
    let missing = open(&settings(missing, "two-blocks"), &shared(&[PROFILE])).poll().await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::Unreachable);
    assert!(missing.cause.contains("there is no device /dev/serial/by-id/none"), "{missing}");
    let Err(unknown) =
        wattribute::drivers::modbus::open(&settings(Address::Tcp(place), "none"), &shared(&[]))
    else {
        panic!("a profile that is not there")
    };
    assert!(unknown.cause.contains("there is no profile \"none\" for modbus"), "{unknown}");
}

#[tokio::test]
async fn a_stranger_who_sends_without_end_ends_the_poll_and_takes_no_memory() {
    let fake = Fake::on_tcp(Framing::Rtu, |_| (0..400).map(|_| Act::Send(vec![0x55; 4096])).collect()).await;
    let mut terms = settings(fake.address.clone(), "two-blocks");
    (terms.request_timeout, terms.retries) = (Duration::from_millis(200), 0);
    let mut meter = open(&terms, &shared(&[PROFILE]));
    for _ in 0..3 {
        let error = meter.poll().await.unwrap_err();
        assert!(
            matches!(error.kind, ErrorKind::Protocol | ErrorKind::Unreachable | ErrorKind::Timeout),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_block_with_a_hole_is_read_around_it_from_then_on() {
    let begun = Instant::now();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    // Registers 10, 11 and 13: a request that touches 12 is refused.
    let profile = "protocol: modbus\nname: own\nabout: a hole\nlimits: {max_gap: 4}\ndefaults: {type: u16}\nchannels:\n\
        - {channel: a, values: [{quantity: power, register: 10}, {quantity: voltage, register: 11}, {quantity: current, register: 13}]}\n\
        - {channel: b, values: [{quantity: power, register: 20}]}\n";
    let fake = Fake::on_tcp(Framing::Tcp, move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        let touched = request.start..request.start + request.count;
        let hole = touched.contains(&12) || touched.contains(&20);
        let pdu = if hole { vec![request.function | 0x80, 2] } else { request.right(told(begun)) };
        send(request.frame(Framing::Tcp, &pdu))
    })
    .await;
    let mut meter = open(&settings(fake.address.clone(), "own"), &shared(&[profile]));
    let batch = meter.poll().await.unwrap();
    assert_eq!(batch.readings.len(), 3);
    let first = asked.swap(0, Ordering::SeqCst);
    meter.poll().await.unwrap();
    assert_eq!((first, asked.load(Ordering::SeqCst)), (4, 2), "10-13, 10-11, 13, 20; then 10-11 and 13");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_nobody_asked_costs_no_poll() {
    let begun = Instant::now();
    let script: VecDeque<bool> = [false, false, true].into();
    let mut script = script;
    let fake = Fake::on_tcp(Framing::Tcp, move |request| {
        let mut acts = send(request.frame(Framing::Tcp, &request.right(told(begun))));
        // Hangs up behind the last answer of each poll.
        let last = script.pop_front().unwrap();
        script.push_back(last);
        if last {
            acts.push(Act::HangUp);
        }
        acts
    })
    .await;
    let mut meter = open(&settings(fake.address.clone(), "two-blocks"), &shared(&[PROFILE]));
    for _ in 0..4 {
        assert_eq!(meter.poll().await.unwrap().readings.len(), 3);
    }
}
