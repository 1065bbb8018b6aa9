//! Programs that print what nobody can use: the next good line is right, and memory stays small.

use std::time::Duration;

use wattribute::drivers::command::Format;
use wattribute::model::ErrorKind;

use crate::{CSV, power, script};

#[tokio::test]
async fn garbage_is_told_and_never_a_reading() {
    let text = r"while :; do printf 'hello \033[31mworld\000\n\377\376,\n'; sleep 0.05; done";
    let mut reader =
        script(text, CSV, vec![power("1", "input")]).with(|s| s.patience = Duration::from_millis(500));
    let error = reader.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol);
    assert!(
        error.cause.starts_with("sh printed ") && error.cause.contains("lines without a reading"),
        "{error}"
    );
    assert!(!error.cause.contains(['\u{1b}', '\0']), "{error:?}");
    assert!(error.fix.contains("`format`, `only_if` and `readings`"), "{error}");
    reader.driver.close().await;
}

#[tokio::test]
async fn a_line_of_ten_megabytes_costs_only_itself() {
    let text =
        "echo 1; sleep 0.1; head -c 10485760 /dev/zero | tr '\\0' 7; echo; sleep 0.2; echo 2; sleep 60";
    let mut reader = script(text, CSV, vec![power("1", "input")]);
    assert_eq!(reader.lines(2).await, ["input power 1", "input power 2"]);
    reader.driver.close().await;
}

#[tokio::test]
async fn a_deep_document_is_no_reading() {
    let text = "head -c 60000 /dev/zero | tr '\\0' '['; echo; sleep 0.1; echo '{\"w\": 3}'; sleep 60";
    let mut reader = script(text, Format::Json, vec![power("w", "input")]);
    assert_eq!(reader.lines(1).await, ["input power 3"]);
    reader.driver.close().await;
}

/// A program that prints as fast as it can, and to standard error, too: it is slowed down, not followed.
#[tokio::test]
async fn a_flood_is_dammed() {
    let text = "yes 'meter is on fire' >&2 & yes 12.5";
    let mut reader = script(text, CSV, vec![power("1", "input")]);
    let (mut samples, began) = (0, std::time::Instant::now());
    for _ in 0..4 {
        samples += reader.poll().await.unwrap().earlier.len();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let most = (began.elapsed().as_secs() + 2) * 2000;
    assert!(samples > 0 && u64::try_from(samples).unwrap() <= most, "{samples} samples, more than {most}");
    reader.driver.close().await;
}

#[tokio::test]
async fn channels_that_a_line_names_are_bounded_and_checked() {
    let text = "printf 'a\\001b,1\\n,2\\n'; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo \"$i,1\"; done; sleep 60";
    let mut reader = script(text, CSV, vec![power("2", "row/{1}")]);
    let batch = reader.poll().await.unwrap();
    let count = crate::said(&batch).len();
    assert!((1..=3001).contains(&count), "{count}");
    assert!(crate::said(&batch).iter().all(|line| !line.contains('\u{1}')));
    reader.driver.close().await;
}
