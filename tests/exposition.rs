//! The page as others read it: golden files, Prometheus' promtool and PyPI's prometheus_client; and the catalog
//! against what is written about it elsewhere in the project.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use wattribute::exposition::catalog::{self, Family, Kind};
use wattribute::exposition::{Encoder, Format, HistogramView, Value};
use wattribute::model::{LabelSet, Microjoules};

/// Compares `actual` with the file `path` in the repository; with `WATTRIBUTE_BLESS=1` rewrites it.
fn golden(path: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("WATTRIBUTE_BLESS").is_some_and(|bless| bless == "1") {
        fs::write(&file, actual).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        expected == actual,
        "{path} is out of date: WATTRIBUTE_BLESS=1 cargo test --test exposition\n{actual}"
    );
}

fn page(format: Format, write: impl Fn(&mut Encoder)) -> String {
    let mut encoder = Encoder::new(format, Vec::new());
    write(&mut encoder);
    String::from_utf8(encoder.finish()).unwrap()
}

/// One page with every kind of family, of label and of value.
fn a_page(e: &mut Encoder) {
    let outlet = |n| LabelSet::new(&[("datacenter", "par-1"), ("meter", "pdu-1"), ("channel", n)]);
    let mut power = e.family(&catalog::METER_POWER_WATTS);
    power.sample(&outlet("outlet/1"), 137.25);
    power.sample(&outlet("outlet/2"), 0.0);
    e.family(&catalog::METER_TEMPERATURE_CELSIUS).sample(&outlet("inlet"), -4.5);
    // No sample, so no trace.
    e.family(&catalog::METER_VOLTAGE_VOLTS);
    e.family(&catalog::METER_UP).sample(&LabelSet::new(&[("meter", "pdu-1")]), true);
    e.family(&catalog::METER_INFO).info(&LabelSet::new(&[
        ("meter", "pdu-1"),
        ("driver", "snmp"),
        ("vendor", "A \"quoted\" maker"),
        ("model", "back\\slash"),
        ("serial", "two\nlines"),
        ("firmware", "ünïcode ☃"),
        ("profile", ""),
    ]));
    let host = LabelSet::new(&[("datacenter", "par-1"), ("host", "node-1")]);
    let mut overhead = e.family(&catalog::HOST_OVERHEAD_ENERGY_JOULES_TOTAL);
    overhead.sample_with(&host, r#"part="hypervisor""#, Microjoules(12_345_678_900_001));
    overhead.sample_with(&host, r#"part="unallocated""#, Microjoules(1_000_000));
    e.family(&catalog::POLL_DURATION_SECONDS).histogram(
        &LabelSet::new(&[("driver", "snmp")]),
        &HistogramView { bounds: &[0.01, 0.1, 1.0], counts: &[5, 3, 0, 1], sum: 12.0625 },
    );
    e.family(&catalog::PROCESS_CPU_SECONDS_TOTAL).single(Duration::from_millis(1_230));
}

#[test]
fn both_formats_are_as_the_golden_files_have_them() {
    golden("tests/exposition/page.txt", &page(Format::Text, a_page));
    golden("tests/exposition/page.openmetrics", &page(Format::OpenMetrics, a_page));
}

/// A sample that a parser should give back.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Values of every kind, and as a parser must read them. Counters and histograms are not negative.
fn values() -> Vec<(Value, f64)> {
    let energy = |micro: u128| format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000).parse().unwrap();
    let floats = [0.0, 0.1, 137.25, 1e-9, 1e21, 123_456_789.123_456_78, f64::MAX, 9_007_199_254_740_993.0];
    let energies = [0, 1, 999_999, 3_600_000_000_000, u128::from(u64::MAX), u128::MAX];
    let mut all: Vec<_> = floats.map(|v| (Value::Float(v), v)).to_vec();
    all.extend(energies.map(|v| (Value::Energy(Microjoules(v)), energy(v))));
    all.push((Value::Count(u64::MAX), 18_446_744_073_709_551_615.0));
    all.push((Value::Seconds(Duration::new(7, 1)), 7.000_000_001));
    all
}

const HOSTILE: [&str; 6] = ["plain", "a\"b", "a\\b", "a\nb", "{a=\"b\",} 1 # {", "☃ \\\" \\n"];

/// Every family of the catalog with several members, and the samples that this makes.
fn every_family(e: &mut Encoder) -> Vec<Sample> {
    let mut made = Vec::new();
    for family in catalog::ALL {
        let mut writer = e.family(family);
        for (i, (value, read)) in values().into_iter().enumerate() {
            let pairs: Vec<_> = family
                .labels
                .iter()
                .map(|l| (l.name, format!("{}{i}", HOSTILE[i % HOSTILE.len()])))
                .collect();
            let borrowed: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let labels = LabelSet::new(&borrowed);
            let map: BTreeMap<_, _> = pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
            let mut add = |suffix: &str, le: Option<&str>, value| {
                let mut labels = map.clone();
                labels.extend(le.map(|le| ("le".to_owned(), le.to_owned())));
                made.push(Sample { name: format!("{}{suffix}", family.name), labels, value });
            };
            match family.kind {
                Kind::Info => {
                    writer.info(&labels);
                    add("", None, 1.0);
                }
                Kind::Histogram => {
                    writer.histogram(
                        &labels,
                        &HistogramView { bounds: &[0.5, 1.0], counts: &[2, 0, 3], sum: read },
                    );
                    add("_bucket", Some("0.5"), 2.0);
                    add("_bucket", Some("1.0"), 2.0);
                    add("_bucket", Some("+Inf"), 5.0);
                    add("_sum", None, read);
                    add("_count", None, 5.0);
                }
                Kind::Counter | Kind::Gauge => {
                    writer.sample(&labels, value);
                    add("", None, read);
                }
            }
            if family.labels.is_empty() {
                break;
            }
        }
    }
    made
}

/// A program of the test environment, or a failure that says how to get it.
fn peer(program: PathBuf) -> Command {
    let found = Command::new(&program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(found.is_ok(), "{} is missing; `make test` installs it", program.display());
    Command::new(program)
}

fn python() -> PathBuf {
    let peers = std::env::var_os("WATTRIBUTE_PEERS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers"), PathBuf::from);
    peers.join("venv/bin/python")
}

/// Runs `command` with `input`; gives its output and complaints, and whether it ended well.
fn run(command: &mut Command, input: &str) -> (String, String, bool) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feed = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = feed.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

#[test]
fn the_parsers_of_prometheus_client_give_back_exactly_what_was_written() {
    for (format, word) in [(Format::Text, "text"), (Format::OpenMetrics, "openmetrics")] {
        let mut encoder = Encoder::new(format, Vec::new());
        let made = every_family(&mut encoder);
        let text = String::from_utf8(encoder.finish()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exposition/parse.py");
        let (output, complaints, good) = run(peer(python()).arg(script).arg(word), &text);
        assert!(good, "{word}: {complaints}");
        let read: Vec<serde_json::Value> = output.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let samples: Vec<_> = read
            .iter()
            .map(|sample| Sample {
                name: sample["name"].as_str().unwrap().to_owned(),
                labels: serde_json::from_value(sample["labels"].clone()).unwrap(),
                value: sample["value"].as_str().unwrap().parse().unwrap(),
            })
            .collect();
        assert_eq!(samples.len(), made.len(), "{word}");
        for (sample, made) in samples.iter().zip(&made) {
            assert_eq!(sample, made, "{word}");
        }
        for sample in &read {
            let family = family_of(sample["name"].as_str().unwrap());
            assert_eq!(sample["help"], family.help, "{word}");
            let (kind, unit) = match format {
                Format::Text => (family.kind.classic(), ""),
                Format::OpenMetrics => (family.kind.openmetrics(), family.unit.name()),
            };
            assert_eq!((&sample["type"], &sample["unit"]), (&kind.into(), &unit.into()), "{}", family.name);
        }
    }
}

fn family_of(sample: &str) -> &'static Family {
    catalog::ALL.iter().find(|family| family.names(sample)).unwrap_or_else(|| panic!("{sample} of no family"))
}

#[test]
fn promtool_has_nothing_to_say_about_any_family() {
    let text = page(Format::Text, |e| {
        every_family(e);
    });
    let (output, complaints, good) = run(peer("promtool".into()).args(["check", "metrics"]), &text);
    assert!(good && output.is_empty() && complaints.is_empty(), "{output}{complaints}");
}

#[test]
fn the_documentation_lists_the_catalog() {
    golden("docs/metrics.md", &catalog::markdown());
}

/// Metric names in `text`: whole words of the prefix's alphabet. A recorded name (`level:metric:operations`) is
/// not a metric of the exporter, whatever its middle part is called.
fn mentions(text: &str) -> Vec<&str> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    text.split(|c| !word(c))
        .map(|mention| mention.trim_end_matches(':'))
        .filter(|mention| mention.starts_with("wattribute_") && !mention.contains(':'))
        .collect()
}

/// Whether the catalog has `mention`; one that ends in `_` (`wattribute_vm_*`) stands for all that begin with it.
fn is_known(mention: &str) -> bool {
    let begins = mention.ends_with('_');
    catalog::ALL.iter().any(|f| f.names(mention) || (begins && f.name.starts_with(mention)))
}

#[test]
fn a_mention_is_told_from_a_recorded_name() {
    let text = "sum(rate(wattribute_host_energy_joules_total{a=\"b\"}[5m])) host:wattribute_host_power_watts:sum \
                \"wattribute_up\" wattribute_vm_* wattribute_build_info: x";
    let found = mentions(text);
    assert_eq!(
        found,
        ["wattribute_host_energy_joules_total", "wattribute_up", "wattribute_vm_", "wattribute_build_info"]
    );
    assert_eq!(found.iter().filter(|m| !is_known(m)).collect::<Vec<_>>(), [&"wattribute_up"]);
}

#[test]
fn every_metric_that_is_written_about_is_in_the_catalog() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = ["rules", "dashboards", "helm", "docs"].map(|folder| root.join(folder)).into();
    let mut unknown = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if let Ok(text) = fs::read_to_string(&entry) {
                let missing = mentions(&text).into_iter().filter(|mention| !is_known(mention));
                unknown.extend(missing.map(|mention| format!("{}: {mention}", entry.display())));
            }
        }
    }
    assert!(unknown.is_empty(), "not in the catalog:\n{}", unknown.join("\n"));
}
