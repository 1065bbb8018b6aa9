//! What the exporter holds over time.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::datacenter::{settled, simulation};
use crate::process::{Exporter, get};

/// How long it is watched, and how often it is scraped.
const WATCHED: Duration = Duration::from_secs(20);
const SCRAPE: Duration = Duration::from_millis(250);
/// Growth that tells of a leak; the start-up has been waited for.
const MOST_BYTES: u64 = 16 << 20;

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_open_files_stay_as_they_are_under_polls_and_scrapes() {
    let dir = tempfile::tempdir().unwrap();
    let sim = simulation(dir.path()).await;
    let mut exporter = Exporter::start(&sim.config).await;
    exporter.until("all settled", settled).await;
    let (pid, began) = (exporter.program.id(), Instant::now());
    let mut base = None;
    let (mut most, mut files) = (0, Vec::new());
    while began.elapsed() < WATCHED {
        let packed = get(exporter.address, "/metrics", "Accept-Encoding: gzip\r\n").await;
        assert_eq!(packed.status, 200);
        exporter.page().await;
        if began.elapsed() > WATCHED / 4 {
            let now = resident_bytes(pid);
            base.get_or_insert(now);
            most = most.max(now);
            files.push(open_files(pid));
        }
        sleep(SCRAPE).await;
    }
    let base = base.unwrap();
    println!(
        "resident {} kB at first, {} kB at most; open files {:?} to {:?}",
        base >> 10,
        most >> 10,
        files.iter().min(),
        files.iter().max()
    );
    assert!(most - base < MOST_BYTES, "from {base} to {most} bytes");
    // A connection of the moment may be open or not; ones that pile up would show from the first half to the second.
    let (first, second) = files.split_at(files.len() / 2);
    assert!(second.iter().max() <= first.iter().max().map(|n| n + 4).as_ref(), "{files:?}");
}
