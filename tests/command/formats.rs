//! Programs that print well: what each line becomes.

use wattribute::drivers::command::{Format, Mode, Rule};
use wattribute::model::{Measure, Quantity};

use crate::{CSV, Reader, condition, power, said, script, settings};

#[tokio::test]
async fn a_wattmeters_reader_prints_csv() {
    let lines =
        "#timestamp,mark,status,1,2\n1.00,L,OK,101.5,98\n1.02,S,OK,1,2\n1.04,L,ERR,0,0\n1.06,L,OK,102.5,99\n";
    let rules = vec![power("4", "outlet/1"), power("5", "outlet/2")];
    let mut reader = script(&format!("printf '{lines}'; sleep 60"), CSV, rules)
        .with(|s| s.only_if = vec![condition("2", "L"), condition("3", "OK")]);
    // What came at once before anything was known has no times of its own: the last of it counts.
    assert_eq!(reader.lines(2).await, ["outlet/1 power 102.5", "outlet/2 power 99"]);
    reader.driver.close().await;
}

#[tokio::test]
async fn vmstat_is_read_by_columns_of_white_space() {
    // The load in percent stands for watts: what counts is a program that others wrote, and that goes on for ever.
    let folder = tempfile::tempdir().unwrap();
    let mut settings =
        settings(folder.path(), &["vmstat", "-n", "1"], Format::Csv { separator: ' ' }, vec![]);
    settings.rules =
        vec![power("15", "idle"), Rule { quantity: Quantity::ApparentPower, ..power("13", "user") }];
    let mut reader = Reader::of(folder, settings);
    let lines = reader.lines(4).await;
    assert!(lines[0].starts_with("idle power ") && lines[1].starts_with("user apparent_power "), "{lines:?}");
    reader.driver.close().await;
}

#[tokio::test]
async fn awk_prints_pairs_and_python_json() {
    let awk = r#"BEGIN { while (1) { printf "power=%.1f volt=230.5 state=on\n", 100.5; fflush(); system("sleep 0.05") } }"#;
    let folder = tempfile::tempdir().unwrap();
    let rules = vec![power("power", "input"), Rule { quantity: Quantity::Voltage, ..power("volt", "input") }];
    let mut pairs =
        Reader::of(folder, settings(std::path::Path::new("/"), &["awk", awk], Format::KeyValue, rules))
            .with(|s| s.only_if = vec![condition("state", "on")]);
    assert_eq!(pairs.lines(4).await[..2], ["input power 100.5", "input voltage 230.5"]);

    let python = "import json, time\n\
        while True:\n\
        \x20   print(json.dumps([{'id': n, 'em': {'kw': n / 4, 'kwh': 12.5}} for n in (1, 2)]), flush=True)\n\
        \x20   time.sleep(0.05)\n";
    let folder = tempfile::tempdir().unwrap();
    let kilowatts = Rule { scale: 1000.0, ..power("/em/kw", "outlet/{id}") };
    let counter = Rule {
        quantity: Quantity::Energy,
        scale: 3.6e6,
        step: Some(0.01),
        wraps_at: Some(1000.0),
        ..power("/em/kwh", "outlet/{id}")
    };
    let run = ["python3", "-c", python];
    let settings = settings(folder.path(), &run, Format::Json, vec![kilowatts, counter]);
    let mut json = Reader::of(folder, settings);
    let batch = json.poll().await.unwrap();
    let lines =
        ["outlet/1 power 250", "outlet/1 energy 45000000", "outlet/2 power 500", "outlet/2 energy 45000000"];
    assert_eq!(said(&batch)[..4], lines);
    let Measure::Energy(counter) = batch.readings[1].measure else { panic!("{batch:?}") };
    assert_eq!((counter.quantum.get(), counter.modulus.unwrap().get()), (36_000.0, 3.6e9));
    pairs.driver.close().await;
    json.driver.close().await;
}

#[tokio::test]
async fn a_program_that_is_run_for_each_poll_tells_all_its_lines_at_once() {
    let lines = "ID,Name,Type,Reading,Units,Event\n45,Pwr Consumption,Current,126.00,W,'OK'\n46,Fan,Fan,N/A,RPM,'OK'\n47,PSU 1,Current,66.00,W,'OK'\n";
    let mut reader =
        script(&format!("echo run >> runs; printf \"{lines}\""), CSV, vec![power("4", "sensor/{2}")])
            .with(|s| (s.mode, s.only_if) = (Mode::Once, vec![condition("5", "W")]));
    for _ in 0..2 {
        let batch = reader.poll().await.unwrap();
        assert!(batch.earlier.is_empty());
        assert_eq!(said(&batch), ["sensor/Pwr Consumption power 126", "sensor/PSU 1 power 66"]);
    }
    assert_eq!(reader.file("runs").await, "run\nrun");
}

#[tokio::test]
async fn a_document_of_many_lines_is_one_with_once() {
    let document = r#"{\n  "psu": {\n    "power1": {"power1_input": 91.25}\n  }\n}\n"#;
    let mut reader = script(
        &format!("printf '{document}'"),
        Format::Json,
        vec![power("psu/power1/power1_input", "input")],
    )
    .with(|s| s.mode = Mode::Once);
    assert_eq!(said(&reader.poll().await.unwrap()), ["input power 91.25"]);
}

#[tokio::test]
async fn the_environment_holds_only_what_was_named_and_numbers_have_points() {
    // Cargo's own variables stand for secrets: they are in ours.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && std::env::var_os("CARGO_PKG_NAME").is_some());
    let mut reader = script(
        "env > seen.part; pwd >> seen.part; mv seen.part seen; echo 1; sleep 60",
        CSV,
        vec![power("1", "x")],
    )
    .with(|s| {
        let name = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        s.environment =
            vec![name("CARGO_PKG_NAME", None), name("TZ", Some("UTC")), name("NOT_THERE_AT_ALL", None)];
    });
    reader.lines(1).await;
    let seen = reader.file("seen").await;
    let lines: Vec<&str> = seen.lines().collect();
    for line in ["CARGO_PKG_NAME=wattribute", "TZ=UTC", "LC_ALL=C"] {
        assert!(lines.contains(&line), "{line}: {seen}");
    }
    assert!(lines.iter().any(|line| line.starts_with("PATH=")), "{seen}");
    for name in ["CARGO_MANIFEST_DIR", "HOME=", "USER=", "NOT_THERE"] {
        assert!(!seen.contains(name), "{name}: {seen}");
    }
    let folder = reader.folder.path().canonicalize().unwrap();
    assert!(lines.contains(&folder.to_str().unwrap()), "it runs in its folder: {seen}");
    reader.driver.close().await;
}

#[test]
fn the_examples_of_the_page_are_good_configurations() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/drivers/command.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wattribute.yaml");
    std::fs::write(&file, rest.split_once("```").unwrap().0).unwrap();
    let config = wattribute::config::load(&file, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    let plan = wattribute::app::plan(&config);
    let drivers: Vec<_> =
        plan.meters.iter().map(|meter| (meter.settings.driver, &*meter.settings.address)).collect();
    let reader = "/opt/omegawatt/wattmetre-read";
    assert_eq!(drivers, [("command", reader), ("command", "nvidia-smi"), ("command", "ipmi-sensors")]);
}
