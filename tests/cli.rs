//! Each command of the real binary: what it prints, and its exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]

#[allow(dead_code, reason = "shared with the Redfish driver's tests")]
#[path = "redfish/nginx.rs"]
mod nginx;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/page.rs"]
mod page;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/process.rs"]
mod process;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use nginx::{Nginx, PASSWORD, USER};
use process::{Exporter, free_address, get, in_repository, wattribute};
use serde_json::Value;

/// Secrets in the environment of every command here: none may be printed.
const SECRETS: [(&str, &str); 4] = [
    ("TEST_BMC", "secret-of-the-bmc"),
    ("TEST_COMMUNITY", "secret-community"),
    ("TEST_AUTH", "secret-authentication"),
    ("TEST_PRIVACY", "secret-privacy"),
];

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `wattribute` to its end.
fn run(arguments: &[&str]) -> Said {
    let output = wattribute(arguments).envs(SECRETS).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    for (_, secret) in SECRETS.into_iter().chain([("", PASSWORD)]) {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{arguments:?} prints {secret}");
    }
    said
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_good_file_is_good_and_its_plan_is_the_golden_one_without_any_secret() {
    let file = in_repository("tests/cli/plan.yaml");
    let said = run(&["check", shown(&file)]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
    assert_eq!(said.out, format!("{}: good: 5 meters, 3 hosts, 2 probe modules\n", file.display()));

    let golden = in_repository("tests/cli/plan.txt");
    let said = run(&["check", "--print-plan", shown(&file)]);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&golden, &said.out).unwrap();
    }
    assert_eq!(said.code, Some(0));
    assert_eq!(said.out, fs::read_to_string(&golden).unwrap_or_default(), "UPDATE_EXPECTED=1 writes it anew");
}

#[test]
fn a_bad_file_is_told_all_its_errors_with_their_places() {
    let file = in_repository("tests/cli/bad.yaml");
    for arguments in [vec!["check", shown(&file)], vec!["serve", "--config.file", shown(&file)]] {
        let said = run(&arguments);
        assert_eq!(said.code, Some(1), "{arguments:?}");
        let text = if arguments[0] == "check" { &said.out } else { &said.err };
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines {
            let place =
                line.strip_prefix(&format!("{}:", file.display())).unwrap_or_else(|| panic!("{line}"));
            let mut parts = place.splitn(3, ':');
            let mut number = || parts.next().unwrap().parse::<u32>().unwrap_or_else(|_| panic!("{line}"));
            assert!(number() > 0 && number() > 0, "{line}");
            assert!(parts.next().unwrap().contains("; "), "no fix: {line}");
        }
        for (line, word) in [(1, "interval"), (4, "communty_file"), (5, "pdu-a"), (6, "http"), (9, "pdu-c")] {
            let place = format!("{}:{line}:", file.display());
            assert!(lines.iter().any(|l| l.starts_with(&place) && l.contains(word)), "{line} {word}: {text}");
        }
    }
    let said = run(&["check", "/no/such/file.yaml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.contains("/no/such/file.yaml"), "{}", said.out);
}

#[test]
fn a_profile_that_there_is_not_is_found_by_check() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.yaml");
    let meter = "{name: pdu, snmp: {address: 10.0.0.1, community_env: TEST_COMMUNITY, profile: apc}}";
    fs::write(&file, format!("meters:\n  - {meter}\nhosts: [{{name: h, feeds: [pdu/input]}}]\n")).unwrap();
    let said = run(&["check", shown(&file)]);
    assert_eq!(said.code, Some(1));
    assert!(said.out.starts_with(&format!("{}:2: ", file.display())), "{}", said.out);
    assert!(
        said.out.contains("there is no profile \"apc\"") && said.out.contains("did you mean apc-"),
        "{}",
        said.out
    );
}

#[test]
fn the_schema_is_one_and_accepts_the_example_but_not_a_misspelt_key() {
    let said = run(&["schema"]);
    assert_eq!(said.code, Some(0));
    let schema: Value = serde_json::from_str(&said.out).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let example = fs::read_to_string(in_repository("deploy/wattribute.yaml")).unwrap();
    let accepts = |text: &str| validator.is_valid(&serde_saphyr::from_str::<Value>(text).unwrap());
    assert!(accepts(&example));
    assert!(!accepts(&example.replace("username:", "user_name:")));
}

/// A configuration for the tree that nginx serves, and for a BMC at a closed port.
fn bmcs(dir: &Path, nginx: &Nginx) -> String {
    fs::write(dir.join("password"), PASSWORD).unwrap();
    let bmc = |name: &str, url: &str| {
        let ca = nginx.ca_file();
        format!(
            "  - name: {name}\n    redfish: {{url: '{url}', username: {USER}, password_file: password, ca_file: '{}'}}\n",
            ca.display()
        )
    };
    let closed = format!("https://{}", free_address());
    let file = dir.join("wattribute.yaml");
    fs::write(&file, format!("meters:\n{}{}", bmc("bmc-1", &nginx.url), bmc("bmc-2", &closed))).unwrap();
    file.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn read_shows_every_reading_of_a_device_as_a_table_or_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let nginx = Nginx::serve(&in_repository("tests/redfish/server"));
    let file = bmcs(dir.path(), &nginx);

    let said = run(&["read", "bmc-1", "--config.file", &file]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let mut lines = said.out.lines();
    let identity = format!(
        "bmc-1 (redfish {}): Example, EX-2U Gen2, S-4711, 2.18.0, read by profile redfish",
        nginx.url
    );
    assert_eq!(lines.next(), Some(identity.as_str()));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["CHANNEL", "QUANTITY", "VALUE", "UNIT", "QUALITY", "AGE"]);
    // The watts as the tree has them.
    for (channel, quantity, value, unit) in [
        ("input", "power", "412.5", "W"),
        ("input", "energy", "35555554800", "J"),
        ("psu/PSU1", "voltage", "230.1", "V"),
        ("psu/PSU2", "power", "207", "W"),
    ] {
        let row = rows.iter().find(|row| row[0] == channel && row[1] == quantity);
        assert_eq!(row.unwrap_or_else(|| panic!("{}", said.out))[2..5], [value, unit, "measured"]);
    }
    assert!(rows[1..].iter().all(|row| row.len() == 7 && row[6] == "s"), "an age in seconds: {}", said.out);

    let said = run(&["read", "bmc-1", "--output", "json", "--config.file", &file]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let read: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&read["meter"], &read["driver"], &read["address"]),
        (&"bmc-1".into(), &"redfish".into(), &nginx.url.as_str().into())
    );
    assert_eq!(read["identity"]["serial"], "S-4711");
    let readings = read["readings"].as_array().unwrap();
    assert_eq!(readings.len() + 1, rows.len());
    let input = &readings[0];
    assert_eq!(
        (&input["channel"], &input["quantity"], &input["unit"]),
        (&"input".into(), &"power".into(), &"W".into())
    );
    assert_eq!((input["value"].as_f64(), input["quality"].as_str()), (Some(412.5), Some("measured")));
    assert!(input["age_seconds"].as_f64().is_some_and(|age| (0.0..60.0).contains(&age)));
    // A session each time, and each time given back.
    let log = nginx.log_up_to("DELETE").await;
    let count = |method: &str| log.iter().filter(|line| line.contains(method)).count();
    assert_eq!((count("POST"), count("DELETE")), (2, 2), "{log:#?}");
}

#[test]
fn read_says_what_is_wrong_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let nginx = Nginx::serve(&in_repository("tests/redfish/server"));
    let file = bmcs(dir.path(), &nginx);
    let said = run(&["read", "bmc-9", "--config.file", &file]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.err.contains("\"bmc-9\"") && said.err.contains("bmc-1, bmc-2"), "{}", said.err);

    let said = run(&["read", "bmc-2", "--config.file", &file]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    for part in ["bmc-2 (redfish https://127.0.0.1:", "wattribute.yaml:4", "refused", "; check the address"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
}

#[test]
fn help_version_manual_and_completions_are_there() {
    let said = run(&["--help"]);
    assert_eq!(said.code, Some(0));
    for word in ["serve", "check", "schema", "read", "demo", "--config.file", "--web.listen-address"] {
        assert!(said.out.contains(word), "{word}: {}", said.out);
    }
    let said = run(&["--version"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), concat!("wattribute ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    let said = run(&["man"]);
    assert!(said.code == Some(0) && said.out.contains(".TH wattribute 1"), "{}", said.out);
    let said = run(&["completions", "bash"]);
    assert!(said.code == Some(0) && said.out.contains("complete -F _wattribute"), "{}", said.out);
    let said = run(&["no-such-command"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let plan = in_repository("tests/cli/plan.yaml");
    let bad = in_repository("tests/cli/bad.yaml");
    for (arguments, code) in [
        (vec!["schema"], 0),
        (vec!["man"], 0),
        (vec!["completions", "bash"], 0),
        (vec!["check", "--print-plan", shown(&plan)], 0),
        (vec!["check", shown(&bad)], 1),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = wattribute(&arguments);
        let command = command.envs(SECRETS).stdout(writer).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(code), ""), "{arguments:?}");
    }
}

#[test]
fn a_port_in_use_is_told_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let plan = in_repository("tests/cli/plan.yaml");
    let said = run(&["serve", "--config.file", shown(&plan), "--web.listen-address", &address]);
    assert_eq!(said.code, Some(1));
    let expected = format!("cannot listen on {address}: Address already in use");
    assert!(said.err.contains(&expected), "{}", said.err);
    assert!(
        said.err.contains("; free the port, or choose another with --web.listen-address"),
        "{}",
        said.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_command_it_serves_and_every_address_and_path_given() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wattribute.yaml");
    fs::write(&file, "hosts: [{name: h, feeds: [{rated: 500 W}]}]\n").unwrap();
    let second = free_address();
    let mut command = wattribute(&["--web.listen-address=127.0.0.1:0", "--web.telemetry-path=/power"]);
    command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address={second}"));
    let mut exporter = Exporter::run(command).await;
    for address in [exporter.address, second] {
        let page = get(address, "/power", "").await;
        assert_eq!(page.status, 200);
        assert!(page.text().contains("wattribute_build_info{"), "{}", page.text());
        assert_eq!(get(address, "/metrics", "").await.status, 404);
    }
    let (status, _) = exporter.program.terminate().await;
    assert!(status.success(), "{}", exporter.program.output());
}
