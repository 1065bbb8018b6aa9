//! Several meters on one line or behind one gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use wattribute::drivers::modbus::Address;
use wattribute::model::{ErrorKind, Quantity};

use super::fake::{Act, Fake, Framing, PROFILE, Request, told};
use super::peers::{Way, serve};
use super::{open, settings, shared, value};

#[tokio::test]
async fn meters_on_one_line_share_it_and_a_dead_one_holds_them_up_by_its_time_outs_only() {
    let peer = serve(Way::Rtu, &[(1, "eastron-sdm630"), (2, "janitza-umg"), (3, "abb-b-series")]);
    let shared = shared(&[]);
    let meter = |unit: u8, profile: &str| {
        let mut terms = settings(peer.address.clone(), profile);
        (terms.unit, terms.request_timeout, terms.retries) = (unit, Duration::from_millis(300), 1);
        open(&terms, &shared)
    };
    let all = [(1, "eastron-sdm630", 853.25), (2, "janitza-umg", 865.75), (3, "abb-b-series", 865.75)];
    let mut meters: Vec<_> = all.map(|(unit, profile, watts)| (meter(unit, profile), watts)).into();
    let mut dead = meter(9, "eastron-sdm630");
    for _ in 0..3 {
        let begun = Instant::now();
        let polls = meters.iter_mut().map(|(meter, watts)| async move {
            let batch = meter.poll().await.unwrap();
            assert_eq!(value(&batch, "input", Quantity::Power), Some(*watts));
        });
        let (error, _) = tokio::join!(dead.poll(), futures_util::future::join_all(polls));
        let error = error.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
        // Time-outs of 300 ms, twice; the rest is 40 requests at 9600 baud, of which a pty knows nothing.
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn one_connection_serves_all_meters_behind_a_gateway() {
    let begun = Instant::now();
    let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (now, peak) = (Arc::clone(&inside), Arc::clone(&most));
    // The fake takes one connection at a time: a second one would never be answered.
    let fake = Fake::on_tcp(Framing::Tcp, move |request| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        now.fetch_sub(1, Ordering::SeqCst);
        let unit = u16::from(request.unit);
        let answer = request.right(|register| told(begun)(register) / 1000 * 1000 + unit);
        vec![Act::Wait(Duration::from_millis(5)), Act::Send(request.frame(Framing::Tcp, &answer))]
    })
    .await;
    let shared = shared(&[PROFILE]);
    let polls = (1..=8u8).map(|unit| {
        let mut terms = settings(fake.address.clone(), "two-blocks");
        terms.unit = unit;
        let mut meter = open(&terms, &shared);
        async move {
            for _ in 0..5 {
                let batch = meter.poll().await.unwrap();
                assert_eq!(value(&batch, "b", Quantity::Power), Some(20_000.0 + f64::from(unit)));
            }
        }
    });
    futures_util::future::join_all(polls).await;
    assert_eq!(fake.requests.load(Ordering::SeqCst), 8 * 5 * 3);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_pause_of_a_slow_gateway_is_kept() {
    let begun = Instant::now();
    let last = Arc::new(std::sync::Mutex::new(None::<Instant>));
    let its = Arc::clone(&last);
    let fake = Fake::on_tcp(Framing::Tcp, move |request: &Request| {
        let before = its.lock().unwrap().replace(Instant::now());
        if let Some(before) = before {
            assert!(
                before.elapsed() >= Duration::from_millis(40),
                "asked again after {:?}",
                before.elapsed()
            );
        }
        vec![Act::Send(request.frame(Framing::Tcp, &request.right(told(begun))))]
    })
    .await;
    let mut terms = settings(fake.address.clone(), "two-blocks");
    terms.pause = Duration::from_millis(40);
    let mut meter = open(&terms, &shared(&[PROFILE]));
    for _ in 0..3 {
        meter.poll().await.unwrap();
    }
}

#[tokio::test]
async fn an_adapter_that_is_unplugged_is_told_and_comes_back() {
    let begun = Instant::now();
    let right =
        move |request: &Request| vec![Act::Send(request.frame(Framing::Rtu, &request.right(told(begun))))];
    let fake = Fake::on_a_line(right);
    let dir = tempfile::tempdir().unwrap();
    let name = dir.path().join("adapter");
    let Address::Rtu(path, line) = fake.address.clone() else { panic!("no line") };
    std::os::unix::fs::symlink(path, &name).unwrap();
    let mut terms = settings(Address::Rtu(name.clone(), line), "two-blocks");
    (terms.request_timeout, terms.retries) = (Duration::from_millis(200), 0);
    let mut meter = open(&terms, &shared(&[PROFILE]));
    assert_eq!(meter.poll().await.unwrap().readings.len(), 3);

    std::fs::remove_file(&name).unwrap();
    drop(fake);
    let deadline = Instant::now() + Duration::from_secs(10);
    let error = loop {
        let error = meter.poll().await.unwrap_err();
        if error.kind == ErrorKind::Unreachable && error.cause.contains("there is no device") {
            break error;
        }
        assert!(Instant::now() < deadline, "{error}");
    };
    assert!(error.fix.contains("plug the adapter in"), "{error}");

    let fake = Fake::on_a_line(right);
    let Address::Rtu(path, _) = fake.address.clone() else { panic!("no line") };
    std::os::unix::fs::symlink(path, &name).unwrap();
    let batch = meter.poll().await.unwrap();
    assert_eq!(value(&batch, "c", Quantity::Power).unwrap() as u64 / 1000, 30);
}
