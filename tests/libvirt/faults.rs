//! Against a server that misbehaves: what it does wrong never becomes a value, the next good sample is right, and
//! memory does not grow.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wattribute::model::ErrorKind;
use wattribute::workloads::{CpuNanos, State, Usage};

use super::fake::{Call, Fake, KEEPALIVE, PROGRAM, STATS, XML, answer, domain, frame, stats, string};
use super::{find, source};

/// Short, so that silence does not take long to notice; long enough for a busy machine.
const CALL: Duration = Duration::from_millis(400);
const VMS: [u8; 3] = [1, 2, 3];

fn good(cpu: u64) -> impl FnMut(&Call) -> Vec<u8> + Send + 'static {
    move |call| answer(call, &VMS, cpu)
}

/// Good but for states and CPU times, which `bad` answers; it is given the good answer.
fn but(
    cpu: u64,
    mut bad: impl FnMut(&Call, Vec<u8>) -> Vec<u8> + Send + 'static,
) -> impl FnMut(&Call) -> Vec<u8> + Send {
    move |call| {
        let right = answer(call, &VMS, cpu);
        if call.procedure == STATS && !call.wants_details() { bad(call, right) } else { right }
    }
}

fn cpus(usage: &Usage) -> Vec<Option<u64>> {
    ["vm-001", "vm-002", "vm-003"].map(|name| find(usage, name).cpu.map(|cpu| cpu.0)).to_vec()
}

/// A good sample, a fault, a good sample.
async fn fault(bad: impl FnMut(&Call) -> Vec<u8> + Send + 'static) -> Result<Usage, ErrorKind> {
    let fake = Fake::start(good(100));
    let mut source = source(fake.address(), CALL);
    assert_eq!(cpus(&source.sample().await.unwrap()), [Some(100); 3]);
    fake.now(bad);
    let began = Instant::now();
    let result = source.sample().await.map_err(|e| e.kind);
    assert!(began.elapsed() < 3 * CALL + Duration::from_millis(300), "{:?}", began.elapsed());
    for cpu in [300, 400] {
        fake.now(good(cpu));
        assert_eq!(cpus(&source.sample().await.unwrap()), [Some(cpu); 3]);
    }
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_server_gives_all_there_is() {
    let fake = Fake::start(good(100));
    let mut source = source(fake.address(), CALL);
    let usage = source.sample().await.unwrap();
    let vm = find(&usage, "vm-002");
    assert_eq!((vm.run, vm.state, vm.cpu), (2, Some(State::Running), Some(CpuNanos(100))));
    assert_eq!((vm.vcpus, vm.memory_bytes), (2, 64 << 20));
    assert_eq!(vm.info.id.as_str(), "00000000-0000-0000-0000-000000000002");
    let node = usage.node.unwrap();
    assert_eq!((node.cpus, node.mhz, node.memory_bytes), (4, Some(2000), 1 << 30));
    assert_eq!((node.free_memory_bytes, node.busy), (Some(1 << 29), Some(CpuNanos(200))));
    source.sample().await.unwrap();
    source.close().await;
    let calls = fake.calls.lock().unwrap();
    assert_eq!(calls.iter().filter(|c| c.procedure == XML).count(), 3, "descriptions are read once");
    assert_eq!(calls.last().unwrap().procedure, 2, "and we say good-bye");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_answer_ends_the_connection_and_the_next_sample_is_right() {
    type Bad = Box<dyn FnMut(&Call, Vec<u8>) -> Vec<u8> + Send>;
    let cases: Vec<(&str, ErrorKind, Bad)> = vec![
        ("garbage", ErrorKind::Protocol, Box::new(|_, _| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        ("length beyond all limits", ErrorKind::Protocol, Box::new(|_, _| vec![0xff; 28])),
        ("length of nothing", ErrorKind::Protocol, Box::new(|_, _| vec![0; 28])),
        ("body cut, length right", ErrorKind::Protocol, Box::new(|call, right| call.reply(&right[28..60]))),
        (
            "body too long",
            ErrorKind::Protocol,
            Box::new(|call, right| call.reply(&[&right[28..], &[0; 4]].concat())),
        ),
        (
            "another procedure",
            ErrorKind::Protocol,
            Box::new(|call, right| frame(PROGRAM, 273, 1, call.serial, 0, &right[28..])),
        ),
        (
            "another program",
            ErrorKind::Protocol,
            Box::new(|call, right| frame(0x2000_8087, STATS, 1, call.serial, 0, &right[28..])),
        ),
        (
            "a call instead of a reply",
            ErrorKind::Protocol,
            Box::new(|call, right| frame(PROGRAM, STATS, 0, call.serial, 0, &right[28..])),
        ),
        ("an error", ErrorKind::Protocol, Box::new(|call, _| call.error(38, "system error"))),
        ("access denied", ErrorKind::Auth, Box::new(|call, _| call.error(88, "access denied"))),
        (
            "an error that cannot be read",
            ErrorKind::Protocol,
            Box::new(|call, _| frame(PROGRAM, STATS, 1, call.serial, 1, &[9])),
        ),
        (
            "16 thousand domains in no bytes",
            ErrorKind::Protocol,
            Box::new(|call, _| call.reply(&[0, 0, 0x40, 0])),
        ),
    ];
    for (what, kind, mut bad) in cases {
        let result = fault(but(200, move |call, right| bad(call, right))).await;
        assert_eq!(result.err(), Some(kind), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_inside_a_frame_is_opened_again_at_once() {
    let mut cut = false;
    let result =
        fault(but(200, move |_, right| if std::mem::replace(&mut cut, true) { right } else { vec![0] }))
            .await;
    assert_eq!(cpus(&result.unwrap()), [Some(200); 3]);
    // Cut again and again it is an error.
    assert_eq!(fault(but(200, |_, _| vec![0])).await, Err(ErrorKind::Unreachable));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_timeout_and_not_zero() {
    assert_eq!(fault(|_| vec![]).await, Err(ErrorKind::Timeout));
    assert_eq!(fault(but(200, |_, _| vec![])).await, Err(ErrorKind::Timeout));
    // A frame of 32 MiB is announced and never comes.
    assert_eq!(fault(but(200, |_, _| vec![2, 0, 0, 0, 0])).await, Err(ErrorKind::Timeout));
    // The answer to somebody else's call.
    let foreign = |call: &Call, right: Vec<u8>| {
        let other = Call { serial: call.serial.wrapping_add(1000), ..call.clone() };
        other.reply(&right[28..])
    };
    assert_eq!(fault(but(200, foreign)).await, Err(ErrorKind::Timeout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_answer_is_taken_once_and_never_for_a_later_call() {
    // Each statistics call is answered by the last one's answer again, then by its own, twice.
    let mut last = Vec::new();
    let usage = fault(but(200, move |_, right| {
        let bytes = [&last[..], &right, &right].concat();
        last = right;
        bytes
    }))
    .await;
    assert_eq!(cpus(&usage.unwrap()), [Some(200); 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_is_never_a_value() {
    let fake = Fake::start(good(100));
    let mut source = source(fake.address(), CALL);
    source.sample().await.unwrap();

    // The answer for all is held back until the next sample has begun; domains asked alone answer at once.
    let held = Arc::new(Mutex::new(Vec::new()));
    let hold = Arc::clone(&held);
    fake.now(but(111, move |call, right| {
        if call.wants_cpu() && call.domains().is_empty() {
            hold.lock().unwrap().extend(right);
            return vec![];
        }
        let Call { procedure, serial, .. } = *call;
        answer(&Call { procedure, serial, body: call.body.clone() }, &VMS, 200)
    }));
    assert_eq!(cpus(&source.sample().await.unwrap()), [Some(200); 3]);
    fake.now(but(300, move |_, right| {
        let late = std::mem::take(&mut *held.lock().unwrap());
        [late, right].concat()
    }));
    for sender in fake.senders.lock().unwrap().iter() {
        let _ = sender.send(frame(PROGRAM, STATS, 1, 7, 0, &stats(&VMS, 111, true)));
    }
    for _ in 0..3 {
        assert_eq!(cpus(&source.sample().await.unwrap()), [Some(300); 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_domain_is_unknown_is_asked_once_and_comes_back_with_its_answer() {
    // Domain 2 hangs every call for CPU time that reaches it, as a server without any way round it would.
    let open_alone = Arc::new(AtomicUsize::new(0));
    let held = Arc::new(Mutex::new(Vec::new()));
    let (count, hold) = (Arc::clone(&open_alone), Arc::clone(&held));
    let fake = Fake::start(but(100, move |call, right| {
        let named = call.domains();
        if call.wants_cpu() && (named.is_empty() || named.contains(&2)) {
            if named == [2] {
                count.fetch_add(1, Ordering::SeqCst);
            }
            hold.lock().unwrap().push(right);
            return vec![];
        }
        right
    }));
    let mut source = source(fake.address(), CALL);
    for round in 0..20 {
        let began = Instant::now();
        let usage = source.sample().await.unwrap();
        assert_eq!(cpus(&usage), [Some(100), None, Some(100)], "round {round}");
        assert_eq!(find(&usage, "vm-002").state, Some(State::Running));
        assert_eq!(find(&usage, "vm-002").vcpus, 2);
        assert!(round == 0 || began.elapsed() < CALL, "only the first round waits");
    }
    assert_eq!(open_alone.load(Ordering::SeqCst), 1, "a hung domain has one open call, no more");
    assert_eq!(held.lock().unwrap().len(), 2, "and there was one for all");

    // It wakes up: the open calls are answered at last, on their old connections.
    fake.now(good(300));
    let late = std::mem::take(&mut *held.lock().unwrap());
    for sender in fake.senders.lock().unwrap().iter() {
        for answer in &late {
            let _ = sender.send(answer.clone());
        }
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while cpus(&source.sample().await.unwrap()) != [Some(300); 3] {
        assert!(Instant::now() < deadline, "it did not come back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_every_domain_hangs_calls_stay_few_and_states_are_known() {
    let many: Vec<u8> = (1..=60).collect();
    let fake = Fake::start(move |call: &Call| {
        let hangs = call.procedure == STATS && call.wants_cpu();
        if hangs { vec![] } else { answer(call, &many, 100) }
    });
    let mut source = source(fake.address(), CALL);
    for _ in 0..10 {
        let began = Instant::now();
        let usage = source.sample().await.unwrap();
        assert!(began.elapsed() < 3 * CALL + Duration::from_millis(300), "{:?}", began.elapsed());
        assert_eq!(usage.workloads.len(), 60);
        assert!(usage.workloads.iter().all(|w| w.cpu.is_none() && w.state == Some(State::Running)));
    }
    let open = fake.calls.lock().unwrap().iter().filter(|c| c.procedure == STATS && c.wants_cpu()).count();
    assert!(open <= 12, "{open} calls hang at the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_dropped_half_way_does_not_spoil_the_next() {
    let fake = Fake::start(but(100, |_, _| vec![]));
    let mut source = source(fake.address(), Duration::from_secs(30));
    assert!(tokio::time::timeout(CALL, source.sample()).await.is_err());
    fake.now(good(300));
    for _ in 0..2 {
        assert_eq!(cpus(&source.sample().await.unwrap()), [Some(300); 3]);
    }
    // The first, one for the next sample, and one for what is asked for at a slower pace.
    assert_eq!(fake.connections.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered_while_nobody_asks() {
    let fake = Fake::start(good(100));
    let mut source = source(fake.address(), CALL);
    source.sample().await.unwrap();
    for pings in 1..=5 {
        fake.senders.lock().unwrap()[0].send(frame(KEEPALIVE, 1, 2, 0, 0, &[])).unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while fake.pongs.load(Ordering::SeqCst) < pings {
            assert!(Instant::now() < deadline, "no pong");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(cpus(&source.sample().await.unwrap()), [Some(100); 3]);
}

fn event(procedure: u32, n: u8) -> Vec<u8> {
    frame(PROGRAM, procedure, 2, 1, 0, &[&[0, 0, 0, 1][..], &domain(n), &[0; 8]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_makes_one_description_stale_and_a_foreign_one_none() {
    let fake = Fake::start(good(100));
    let mut source = source(fake.address(), CALL);
    source.sample().await.unwrap();
    let described = |fake: &Fake| fake.calls.lock().unwrap().iter().filter(|c| c.procedure == XML).count();
    assert_eq!(described(&fake), 3);
    // Metadata of domain 2 changed, and something about a domain 77 that is not here; they come before the answer.
    fake.now(but(100, |_, right| [event(379, 2), event(318, 77), right].concat()));
    source.sample().await.unwrap();
    assert_eq!(described(&fake), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_ways_in_say_what_to_do() {
    for (list, word) in [([0, 0, 0, 1, 0, 0, 0, 2], "polkit"), ([0, 0, 0, 1, 0, 0, 0, 1], "SASL")] {
        let fake = Fake::start(
            move |call| if call.procedure == 66 { call.reply(&list) } else { answer(call, &VMS, 1) },
        );
        let error = source(fake.address(), CALL).sample().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Auth);
        assert!(error.to_string().contains(word) && error.fix.contains("libvirt-sock-ro"), "{error}");
    }
    let fake = Fake::start(|call| match call.procedure {
        1 => call.error(5, "no connection driver available for nosuch:///system"),
        _ => answer(call, &VMS, 1),
    });
    let error = source(fake.address(), CALL).sample().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "libvirtd refused opening the driver: no connection driver available for nosuch:///system (error 5); \
         check `uri` and libvirtd's log"
    );
    let nobody = wattribute::workloads::libvirt::Address::Unix("/nonexistent/libvirt-sock-ro".into());
    let error = source(nobody, CALL).sample().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.cause.contains("/nonexistent/libvirt-sock-ro"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_servers_that_refuse_what_is_optional_are_read_all_the_same() {
    let fake = Fake::start(|call| match call.procedure {
        6 | 60 | 102 | 157 | 227 | 316 => call.error(3, "this function is not supported"),
        XML => call.error(42, "no domain with matching uuid"),
        _ => answer(call, &VMS, 100),
    });
    let usage = source(fake.address(), CALL).sample().await.unwrap();
    assert_eq!(usage.node, None);
    assert_eq!(cpus(&usage), [Some(100); 3]);
    let vm = find(&usage, "vm-001");
    assert_eq!((vm.vcpus, vm.memory_bytes, vm.info.name.as_str()), (0, 0, "vm-001"));
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_and_faults_without_end_do_not_make_memory_grow() {
    let fake = Fake::start(good(100));
    let mut source = source(fake.address(), Duration::from_secs(5));
    source.sample().await.unwrap();
    let mut round = 0_u64;
    let mut run = async |rounds: u64| {
        for _ in 0..rounds {
            round += 1;
            let n = round;
            fake.now(but(n, move |call, right| {
                // A thousand events of domains that are not here, an answer nobody waits for; sometimes worse.
                let mut flood = Vec::new();
                for i in 0..250 {
                    flood.extend(event(318, i));
                    flood.extend(frame(PROGRAM, 318, 2, 1, 0, &[0xff; 40]));
                    flood.extend(frame(KEEPALIVE, 1, 2, 0, 0, &[]));
                    flood.extend(frame(
                        PROGRAM,
                        STATS,
                        1,
                        call.serial.wrapping_add(i.into()).wrapping_add(9),
                        0,
                        &right[28..],
                    ));
                }
                match n % 4 {
                    0 => flood.extend(call.reply(&string("no statistics"))),
                    1 => flood.extend([0xff; 64]),
                    _ => flood.extend(&right),
                }
                flood
            }));
            let result = source.sample().await;
            assert_eq!(result.is_ok(), n % 4 > 1, "{result:?}");
            if let Ok(usage) = result {
                assert_eq!(cpus(&usage), [Some(n); 3]);
            }
            fake.calls.lock().unwrap().clear();
            fake.senders.lock().unwrap().retain(|s| !s.is_closed());
        }
    };
    run(100).await;
    let before = resident();
    run(400).await;
    let grown = resident().saturating_sub(before);
    println!("grown by {} KiB in 400 samples with 1000 unasked messages each", grown / 1024);
    assert!(grown < 8 << 20, "grown by {grown} bytes");
}
