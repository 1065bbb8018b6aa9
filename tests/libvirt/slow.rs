//! What is asked for at a slower pace, against a server that misbehaves: whatever happens there, CPU times come on time.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wattribute::model::{Clock, ManualClock, Moment};
use wattribute::workloads::{Details, DiskIo, Source, Space, Traffic, Usage};

use super::fake::{Call, Fake, STATS, XML, answer, string};
use super::{find, source_by};

const CALL: Duration = Duration::from_millis(400);
/// More than lies between two errands.
const PACE: Duration = Duration::from_secs(15);
const VMS: [u8; 3] = [1, 2, 3];

/// A server, a source that reads it, and the clock that the source goes by.
struct Rig {
    fake: Fake,
    source: Box<dyn Source>,
    clock: Arc<ManualClock>,
}

impl Rig {
    fn new(script: impl FnMut(&Call) -> Vec<u8> + Send + 'static) -> Self {
        let fake = Fake::start(script);
        let clock = Arc::new(ManualClock::at(Moment::from_nanos(1)));
        let source = source_by(fake.address(), "qemu:///system", CALL, Arc::clone(&clock) as Arc<dyn Clock>);
        Self { fake, source, clock }
    }

    /// A sample; its CPU times are there, in less than a call's time.
    async fn sample(&mut self) -> Usage {
        let began = Instant::now();
        let usage = self.source.sample().await.unwrap();
        assert!(began.elapsed() < CALL, "{:?}", began.elapsed());
        assert!(usage.workloads.iter().all(|w| w.cpu.is_some()), "{usage:?}");
        usage
    }

    /// Samples until one is as it should be.
    async fn until(&mut self, what: &str, is: impl Fn(&Usage) -> bool) -> Usage {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let usage = self.sample().await;
            if is(&usage) {
                return usage;
            }
            assert!(Instant::now() < deadline, "not {what}: {usage:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn asked(&self, procedure: u32) -> usize {
        self.fake.calls.lock().unwrap().iter().filter(|c| c.procedure == procedure).count()
    }
}

/// Good but for memory, network and disks, which `bad` answers; it is given the good answer.
fn but(
    mut bad: impl FnMut(&Call, Vec<u8>) -> Vec<u8> + Send + 'static,
) -> impl FnMut(&Call) -> Vec<u8> + Send {
    move |call| {
        let right = answer(call, &VMS, 100);
        if call.procedure == STATS && call.wants_details() { bad(call, right) } else { right }
    }
}

fn details(usage: &Usage, name: &str) -> Details {
    find(usage, name).details.clone()
}

fn known(usage: &Usage) -> [bool; 3] {
    ["vm-001", "vm-002", "vm-003"].map(|name| details(usage, name).io.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_server_gives_all_there_is_and_is_asked_at_a_slower_pace() {
    let mut rig = Rig::new(|call| answer(call, &VMS, 100));
    let usage = rig.until("known", |usage| known(usage) == [true; 3]).await;
    let wanted = Details {
        // Three VMs of two vCPUs share four CPUs.
        cpu_allocated: Some(1.333),
        resident_memory_bytes: Some(10_002 * 1024),
        used_memory_bytes: None,
        network: Some(Traffic {
            received_bytes: 1_002,
            received_packets: 2_002,
            sent_bytes: 3_002,
            sent_packets: 4_002,
        }),
        disk: Some(Space { capacity: 30_002, taken: 40_002 }),
        io: Some(DiskIo { reads: 5_002, read_bytes: 6_002, writes: 7_002, written_bytes: 8_002 }),
    };
    assert_eq!(details(&usage, "vm-002"), wanted);
    let node = usage.node.unwrap();
    assert_eq!(node.disk, Some(Space { capacity: 1000, taken: 400 }));
    assert_eq!(
        (node.facts.hostname.as_str(), node.facts.architecture.as_str()),
        ("node-1.example", "x86_64")
    );
    assert_eq!((node.facts.processor_model.as_str(), node.facts.threads_per_core), ("Opteron_G5", 1));
    assert!(node.facts.addresses.is_empty(), "a socket on this machine has no address");

    let all = |rig: &Rig| (rig.asked(STATS), rig.asked(281), rig.asked(59));
    for _ in 0..3 {
        rig.sample().await;
    }
    assert_eq!(all(&rig), (5, 1, 1));
    rig.clock.advance(PACE);
    let after = rig.until("asked again", |_| true).await;
    let facts = Arc::clone(&after.node.unwrap().facts);
    assert_eq!(all(&rig), (7, 1, 1), "pools and facts change less often");
    rig.clock.advance(Duration::from_secs(3700));
    let deadline = Instant::now() + Duration::from_secs(20);
    while all(&rig).1 < 2 || all(&rig).2 < 2 {
        assert!(Instant::now() < deadline, "not asked again");
        rig.sample().await;
    }
    assert!(
        Arc::ptr_eq(&rig.sample().await.node.unwrap().facts, &facts),
        "what has not changed stays in its place"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_delays_no_cpu_time_and_hides_no_other_guest() {
    let held = Arc::new(Mutex::new(Vec::new()));
    let hold = Arc::clone(&held);
    let mut rig = Rig::new(but(move |call, right| {
        let named = call.domains();
        if named.is_empty() || named.contains(&2) {
            hold.lock().unwrap().push(right);
            return vec![];
        }
        right
    }));
    rig.until("known of two", |usage| known(usage) == [true, false, true]).await;
    for _ in 0..5 {
        rig.clock.advance(PACE);
        rig.until("known of two", |usage| known(usage) == [true, false, true]).await;
    }
    assert_eq!(held.lock().unwrap().len(), 2, "one call for all hangs, and one for it alone");

    // Its storage is back: the open calls are answered at last, on their old connections.
    rig.fake.now(|call| answer(call, &VMS, 100));
    let late = std::mem::take(&mut *held.lock().unwrap());
    for sender in rig.fake.senders.lock().unwrap().iter() {
        for answer in &late {
            let _ = sender.send(answer.clone());
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while known(&rig.sample().await) != [true; 3] {
        assert!(Instant::now() < deadline, "it did not come back");
        rig.clock.advance(PACE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_unknown_and_the_next_answer_is_right() {
    type Bad = fn(&Call, Vec<u8>) -> Vec<u8>;
    let cases: [(&str, Bad); 6] = [
        ("garbage", |_, _| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("body cut", |call, right| call.reply(&right[28..60])),
        ("an error", |call, _| call.error(38, "system error")),
        ("the connection ends", |_, _| vec![0]),
        ("domains in no bytes", |call, _| call.reply(&[0, 0, 0x40, 0])),
        ("a text instead", |call, _| call.reply(&string("no statistics"))),
    ];
    let mut rig = Rig::new(|call| answer(call, &VMS, 100));
    for (what, bad) in cases {
        rig.until("known", |usage| known(usage) == [true; 3]).await;
        rig.fake.now(but(bad));
        rig.clock.advance(PACE);
        rig.until(what, |usage| known(usage) == [false; 3]).await;
        rig.fake.now(|call| answer(call, &VMS, 100));
        rig.clock.advance(PACE);
    }
    rig.until("known", |usage| known(usage) == [true; 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_that_hang_or_are_refused_leave_the_domains_known() {
    for procedure in [281, 87, 59, 7] {
        let silent = move |call: &Call| {
            if call.procedure == procedure { vec![] } else { answer(call, &VMS, 100) }
        };
        let mut rig = Rig::new(silent);
        let usage = rig.until("known", |usage| known(usage) == [true; 3]).await;
        let node = usage.node.unwrap();
        assert_eq!(node.disk.is_some(), !matches!(procedure, 281 | 87), "{procedure}");
        assert_eq!(node.facts.hostname.is_empty(), matches!(procedure, 59 | 7), "{procedure}");

        let refuses = move |call: &Call| {
            if call.procedure == procedure { call.error(3, "not supported") } else { answer(call, &VMS, 100) }
        };
        let mut rig = Rig::new(refuses);
        let node = rig.until("known", |usage| known(usage) == [true; 3]).await.node.unwrap();
        assert_eq!(node.disk.is_some(), !matches!(procedure, 281 | 87), "{procedure}");
        assert_eq!(node.facts.architecture, if procedure == 7 { "" } else { "x86_64" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cycles_are_asked_for_only_where_a_domain_counts_them() {
    const PERF: &str = "<domain><vcpu>2</vcpu><perf><event name='cpu_cycles' enabled='yes'/></perf></domain>";
    let cycles = |call: &Call| {
        let mut body = [&[0, 0, 0, 1][..], &super::fake::domain(1), &[0, 0, 0, 3]].concat();
        body.extend([&string("state.state")[..], &[0, 0, 0, 1], &[0, 0, 0, 1]].concat());
        for (name, value) in [("cpu.time", 100_u64), ("perf.cpu_cycles", 777)] {
            body.extend([&string(name)[..], &[0, 0, 0, 4], &value.to_be_bytes()].concat());
        }
        call.reply(&body)
    };
    let mut rig = Rig::new(move |call| match call.procedure {
        XML => call.reply(&string(PERF)),
        STATS if call.groups() & 64 != 0 => cycles(call),
        _ => answer(call, &[1], 100),
    });
    assert_eq!(find(&rig.sample().await, "vm-001").cycles, None);
    assert_eq!(find(&rig.sample().await, "vm-001").cycles, Some(777));
    let mut rig = Rig::new(|call| answer(call, &[1], 100));
    rig.sample().await;
    rig.sample().await;
    let calls = rig.fake.calls.lock().unwrap();
    assert!(calls.iter().all(|call| call.procedure != STATS || call.groups() & 64 == 0));
    assert!(rig.fake.connections.load(Ordering::SeqCst) <= 2);
}
