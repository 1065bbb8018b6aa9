//! A page in a file, as programs write it for node_exporter's textfile collector: each writing is one reading, and a file that
//! nobody writes any more is none.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use wattribute::model::{Batch, ErrorKind, PollError, Quality, Quantity};

use super::peers::Peer;
use super::{Series, Settings, Source, lines, metric, of, open, page, settings};

fn series() -> Vec<Series> {
    let power = of(metric("host_power_watts", &[]), Quantity::Power, "input");
    vec![Series { quality: Quality::Estimated, ..power }]
}

fn file(path: &Path) -> Settings {
    settings(Source::File(path.to_owned()), series())
}

/// Writes as the documentation asks: to another name, and then renamed. The kernel dates files by its ticks, which two
/// writings of a test may share.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    age(&new, 0);
    fs::rename(new, path).unwrap();
}

fn age(path: &Path, seconds: u64) {
    let at = SystemTime::now() - Duration::from_secs(seconds);
    File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

fn said(result: Result<Batch, PollError>) -> (ErrorKind, String) {
    let error = result.unwrap_err();
    (error.kind, error.to_string())
}

#[tokio::test]
async fn each_writing_is_one_reading_however_often_the_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("host.prom");
    let mut driver = open(file(&path));
    let (kind, error) = said(driver.poll().await);
    assert_eq!(kind, ErrorKind::Unreachable);
    assert!(error.contains("host.prom is not there") && error.contains("; check the path"), "{error}");

    write(&path, "# HELP host_power_watts Power.\nhost_power_watts 231.5\nother 1\n");
    let first = driver.poll().await.unwrap();
    assert_eq!(lines(&first), ["input power 231.5"]);
    assert_eq!(first.readings[0].quality, Quality::Estimated);
    assert_eq!(driver.poll().await.unwrap(), Batch::default(), "nothing new");
    write(&path, "host_power_watts 231.5\n");
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 231.5"], "the same value again is new");
    // Nobody writes it any more.
    age(&path, 61);
    let (kind, error) = said(driver.poll().await);
    assert_eq!(kind, ErrorKind::NoReading);
    assert!(error.contains("the newest samples are 61 s old"), "{error}");
    write(&path, "host_power_watts 7\n");
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 7"]);
    fs::remove_file(&path).unwrap();
    assert_eq!(said(driver.poll().await).0, ErrorKind::Unreachable);
}

#[tokio::test]
async fn a_time_stamp_counts_before_the_files_own_in_either_format() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("host.prom");
    let mut driver = open(file(&path));
    let ago = |seconds: f64| {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64() - seconds
    };
    write(&path, &format!("host_power_watts 1 {:.0}\n", ago(90.0) * 1000.0));
    assert_eq!(said(driver.poll().await).0, ErrorKind::NoReading);
    write(&path, &format!("host_power_watts 2 {:.0}\n", ago(5.0) * 1000.0));
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 2"]);
    write(&path, &format!("host_power_watts 3 {:.3}\n# EOF\n", ago(2.0)));
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 3"]);
    // OpenMetrics without its end mark has seconds where the text format has milliseconds: that is of 1970.
    write(&path, &format!("host_power_watts 4 {:.3}\n", ago(1.0)));
    assert_eq!(said(driver.poll().await).0, ErrorKind::NoReading);
}

#[tokio::test]
async fn what_is_half_written_or_no_page_never_becomes_a_reading_and_the_next_one_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("host.prom");
    let mut driver = open(file(&path));
    let garbage: [(&[u8], ErrorKind); 5] = [
        (b"", ErrorKind::Protocol),
        (b"host_power_watts 23", ErrorKind::Protocol),
        (b"\0\xff\xfe garbage", ErrorKind::Protocol),
        (b"host_power_watts NaN\n", ErrorKind::NoReading),
        (b"host_power_watts -5\n", ErrorKind::NoReading),
    ];
    for (bytes, kind) in garbage {
        fs::write(&path, bytes).unwrap();
        assert_eq!(said(driver.poll().await).0, kind, "{bytes:?}");
    }
    write(&path, "host_power_watts 230\nhost_power_watts 23");
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 230"], "the cut line is none");
    // A pipe without a writer holds up nothing.
    fs::remove_file(&path).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    assert_eq!(said(driver.poll().await).0, ErrorKind::Protocol);
    fs::remove_file(&path).unwrap();
    write(&path, "host_power_watts 231\n");
    assert_eq!(lines(&driver.poll().await.unwrap()), ["input power 231"]);
}

#[tokio::test]
async fn a_file_that_is_rewritten_all_the_time_gives_whole_values_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("host.prom");
    write(&path, "host_power_watts 111111\n");
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (stop, path) = (stop.clone(), path.clone());
        std::thread::spawn(move || {
            // In place, as one should not.
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for text in ["host_power_watts 111111\n", "host_power_watts 222222\n"] {
                    fs::write(&path, text).unwrap();
                }
            }
        })
    };
    let mut driver = open(file(&path));
    let mut good = 0;
    for _ in 0..500 {
        if let Ok(batch) = driver.poll().await {
            for line in lines(&batch) {
                assert!(["input power 111111", "input power 222222"].contains(&line.as_str()), "{line}");
                good += 1;
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    println!("{good} of 500");
}

/// The same file, read by the real collector it was written for.
#[tokio::test]
async fn node_exporters_textfile_collector_shows_the_same() {
    let text = "# TYPE host_power_watts gauge\nhost_power_watts 231.5\n";
    let node = Peer::node_exporter(text);
    let theirs = open(page(&format!("http://{}/metrics", node.address), series())).poll().await.unwrap();
    let ours = open(file(&node.dir.path().join("own.prom"))).poll().await.unwrap();
    assert_eq!(lines(&ours), lines(&theirs));
    assert_eq!(lines(&ours), ["input power 231.5"]);
}
