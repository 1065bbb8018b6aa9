//! Groups that come, go, and come again: counters restart with each, and nobody is confused.

use std::fs;
use std::time::{Duration, Instant};

use super::{Host, find};

fn machine() -> Host {
    let host = Host::bare();
    host.put("cg/cgroup.controllers", "cpu\n");
    host.v2("cg", "/a.service", 5_000_000);
    host.v2("cg", "/b.service", 1_000_000);
    host
}

#[tokio::test]
async fn a_group_that_stays_is_one_run_also_over_a_restart_of_the_exporter() {
    let mut host = machine();
    let first = find(&host.sample().await, "a.service").run;
    host.v2("cg", "/a.service", 6_000_000);
    assert_eq!(find(&host.after(1).await, "a.service").run, first);
    host.restart();
    assert_eq!(find(&host.sample().await, "a.service").run, first);
    assert!(first > 0);
}

#[tokio::test]
async fn a_group_made_again_is_another_run() {
    let mut host = machine();
    let first = find(&host.sample().await, "a.service").run;
    // Another folder holds the number, so that the new one is not given it again.
    fs::rename(host.path("cg/a.service"), host.path("old")).unwrap();
    let gone = host.after(1).await;
    assert_eq!(gone.workloads.len(), 1, "gone is simply gone");
    host.v2("cg", "/a.service", 7_000_000);
    assert_ne!(
        find(&host.after(1).await, "a.service").run,
        first,
        "though its counter is higher than before"
    );
}

#[tokio::test]
async fn a_counter_that_falls_is_another_run() {
    let mut host = machine();
    let first = find(&host.sample().await, "a.service").run;
    host.v2("cg", "/a.service", 10);
    let second = find(&host.after(1).await, "a.service").run;
    assert_ne!(second, first);
    host.v2("cg", "/a.service", 20);
    assert_eq!(find(&host.after(1).await, "a.service").run, second);
}

#[tokio::test]
async fn who_a_group_is_is_told_by_the_same_words_each_time() {
    let mut host = machine();
    let (first, second) = (host.sample().await, host.after(1).await);
    let info = |usage: &wattribute::workloads::Usage| std::sync::Arc::as_ptr(&find(usage, "a.service").info);
    assert_eq!(info(&first), info(&second));
    assert!(second.at > first.at);
}

#[tokio::test]
async fn groups_that_come_and_go_while_they_are_read_break_nothing() {
    let mut host = machine();
    let root = host.path("cg");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ended = std::sync::Arc::clone(&stop);
    let churn = std::thread::spawn(move || {
        let mut n = 0u64;
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            let group = root.join(format!("churn-{}.service", n % 50));
            let _ = fs::remove_dir_all(&group);
            let _ = fs::create_dir(&group);
            let _ = fs::write(group.join("cpu.stat"), format!("usage_usec {n}\n"));
            n += 1;
        }
        n
    });
    for _ in 0..200 {
        let usage = host.after(1).await;
        find(&usage, "a.service");
        let ids: std::collections::HashSet<_> = usage.workloads.iter().map(|w| w.info.id.clone()).collect();
        assert_eq!(ids.len(), usage.workloads.len(), "an id stands once");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(churn.join().unwrap() > 50);
}

#[tokio::test]
async fn a_thousand_groups_are_read_in_a_moment() {
    let mut host = machine();
    for n in 0..1_000 {
        host.v2("cg", &format!("/system.slice/s{n}.service"), n);
        host.put(&format!("cg/system.slice/s{n}.service/memory.current"), "4096\n");
        host.put(&format!("cg/system.slice/s{n}.service/memory.stat"), "anon 4096\ninactive_file 0\n");
    }
    assert_eq!(host.sample().await.workloads.len(), 1_002);
    let began = Instant::now();
    for _ in 0..10 {
        host.after(1).await;
    }
    let each = began.elapsed() / 10;
    eprintln!("1,002 groups: {each:?} a sample");
    assert!(each < Duration::from_secs(2), "{each:?}");
}
