//! Programs that end, hang, are missing, or leave others behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};
use wattribute::drivers::command::Mode;
use wattribute::model::ErrorKind;

use crate::{CSV, PATIENCE, Reader, power, said, script};

/// Waits until a process is gone; a zombie that nobody waits for counts as gone.
async fn gone(pid: &str) {
    let id = Pid::from_raw(pid.parse().unwrap()).unwrap();
    let began = Instant::now();
    let zombie = || fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    while test_kill_process(id).is_ok() && !zombie() {
        assert!(began.elapsed() < PATIENCE, "{pid} lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_program_that_dies_is_told_with_its_last_words_and_started_anew() {
    let text = "echo start >> starts; echo 100; sleep 0.1; echo 'cannot open /dev/ttyUSB0' >&2; exit 3";
    let mut reader = script(text, CSV, vec![power("1", "input")]);
    assert_eq!(reader.lines(1).await, ["input power 100"]);
    let error = loop {
        if let Err(error) = reader.poll().await {
            break error;
        }
    };
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert_eq!(error.cause, "sh ended with exit code 3: cannot open /dev/ttyUSB0");
    assert!(error.fix.contains("started anew"), "{error}");
    assert_eq!(reader.lines(1).await, ["input power 100"], "the next poll starts it");
    assert_eq!(reader.file("starts").await, "start\nstart");
    reader.driver.close().await;
}

#[tokio::test]
async fn a_program_that_is_killed_says_by_which_signal() {
    let mut reader = script("kill -9 $$", CSV, vec![power("1", "input")]);
    assert_eq!(reader.poll().await.unwrap_err().cause, "sh was ended by signal 9");
}

#[tokio::test]
async fn a_program_that_fails_in_one_poll_tells_no_reading() {
    let mut reader = script("echo 100; echo no meter >&2; exit 1", CSV, vec![power("1", "input")])
        .with(|s| s.mode = Mode::Once);
    let error = reader.poll().await.unwrap_err();
    assert_eq!(error.cause, "sh ended with exit code 1: no meter");
}

#[tokio::test]
async fn a_missing_program_and_one_that_may_not_be_started_are_told_apart() {
    let mut reader =
        script("", CSV, vec![power("1", "input")]).with(|s| s.run = vec!["no-such-reader".into()]);
    let error = reader.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert_eq!(error.cause, "there is no program no-such-reader in PATH");
    assert!(error.fix.contains("install it"), "{error}");

    let mut reader = reader.with(|s| s.run = vec!["./reader".into()]);
    let error = reader.poll().await.unwrap_err();
    assert!(error.cause.starts_with("there is no program ./reader"), "{error}");
    let folder = reader.folder.path().to_owned();
    assert!(error.fix.contains(folder.to_str().unwrap()), "{error}");

    fs::write(folder.join("reader"), "#!/bin/sh\necho 12\nsleep 60\n").unwrap();
    fs::set_permissions(folder.join("reader"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = reader.poll().await.unwrap_err();
    assert_eq!(error.cause, "./reader may not be started");
    assert!(error.fix.contains("chmod +x"), "{error}");

    // The same driver, once it is repaired.
    fs::set_permissions(folder.join("reader"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(reader.lines(1).await, ["input power 12"]);
    reader.driver.close().await;
}

#[tokio::test]
async fn a_program_that_hangs_is_told_and_after_three_polls_started_anew() {
    let text = "echo start >> starts; [ $(wc -l < starts) -ge 2 ] && echo 7; sleep 600";
    let mut reader =
        script(text, CSV, vec![power("1", "input")]).with(|s| s.patience = Duration::from_millis(300));
    for _ in 0..3 {
        let error = reader.poll().await.unwrap_err();
        assert_eq!(
            (error.kind, error.cause.as_str()),
            (ErrorKind::Timeout, "sh has printed nothing for 300ms")
        );
        assert!(error.fix.contains("unbuffered"), "{error}");
    }
    let mut reader_says = Err(());
    for _ in 0..20 {
        if let Ok(batch) = reader.poll().await {
            reader_says = Ok(said(&batch));
            break;
        }
    }
    assert_eq!(reader_says.unwrap(), ["input power 7"]);
    reader.driver.close().await;

    let mut once = script("sleep 600", CSV, vec![power("1", "input")])
        .with(|s| (s.mode, s.patience) = (Mode::Once, Duration::from_millis(200)));
    let error = once.poll().await.unwrap_err();
    assert_eq!((error.kind, error.cause.as_str()), (ErrorKind::Timeout, "sh has not ended within 200ms"));
}

#[tokio::test]
async fn close_ends_the_program_and_all_that_it_started() {
    // One that ignores requests, and a child of it that holds the output.
    let text = "trap '' TERM; echo $$ > parent; (trap '' TERM; echo 1; sh -c 'echo $$' > child; while :; do sleep 0.1; done) & wait";
    let mut reader = script(text, CSV, vec![power("1", "input")]);
    reader.lines(1).await;
    let (parent, child) = (reader.file("parent").await, reader.file("child").await);
    let began = Instant::now();
    reader.driver.close().await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    gone(&parent).await;
    gone(&child).await;
}

#[tokio::test]
async fn a_driver_that_is_dropped_leaves_nothing_behind() {
    let text = "echo $$ > parent; sleep 600 & echo $! > child; echo 1; wait";
    let mut reader = script(text, CSV, vec![power("1", "input")]);
    reader.lines(1).await;
    let (parent, child) = (reader.file("parent").await, reader.file("child").await);
    let Reader { driver, folder, .. } = reader;
    drop(driver);
    gone(&parent).await;
    gone(&child).await;
    drop(folder);
}

#[tokio::test]
async fn a_program_that_forks_away_is_read_as_long_as_somebody_prints() {
    let text = "(while :; do echo 5; sleep 0.05; done) & echo $! > child; exit 0";
    let mut reader = script(text, CSV, vec![power("1", "input")]);
    assert_eq!(reader.lines(5).await, ["input power 5"; 5]);
    let child = reader.file("child").await;
    reader.driver.close().await;
    gone(&child).await;
}

#[tokio::test]
async fn a_poll_that_is_cut_short_costs_nothing_of_the_next() {
    let text = "sleep 0.5; n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done";
    let mut reader = script(text, CSV, vec![power("1", "input")]);
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::from_millis(50), reader.driver.poll()).await.is_err());
    }
    let lines = reader.lines(5).await;
    assert_eq!(
        lines[..3],
        ["input power 1", "input power 2", "input power 3"],
        "the same program, from its first line"
    );
    reader.driver.close().await;
}
