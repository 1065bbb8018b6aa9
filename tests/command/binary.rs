//! The real exporter with reader programs: fast, dying and missing ones beside each other.

use std::fs;
use std::time::Duration;

use crate::ends::gone;
use crate::process::{Exporter, get};

/// The value of the first sample that begins so.
fn value(page: &str, start: &str) -> Option<f64> {
    page.lines().find(|line| line.starts_with(start))?.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn programs_are_read_counted_and_ended_with_the_exporter() {
    let folder = tempfile::tempdir().unwrap();
    // 50 times a second, 100 W and 200 W in turn: polls once a second would see one of the two.
    let fast = "import os, time\n\
        open('fast.pid', 'w').write(str(os.getpid()))\n\
        n = 0\n\
        while True:\n\
        \x20   n += 1; print(f'{n},L,OK,{100 + n % 2 * 100}', flush=True); time.sleep(0.02)\n";
    fs::write(folder.path().join("fast.py"), fast).unwrap();
    fs::write(folder.path().join("dies.sh"), "echo 'no such port' >&2\nexit 4\n").unwrap();
    let config = r#"
poll: {interval: 500ms}
meters:
  - name: omegawatt
    command:
      run: [python3, fast.py]
      format: csv
      only_if: [{from: 2, is: L}, {from: 3, is: OK}]
      readings: [{from: 4, channel: outlet/1, quantity: power}]
  - name: dies
    command: {run: [sh, dies.sh], format: csv, readings: [{from: 1, channel: input, quantity: power}]}
  - name: missing
    command: {run: [./no-such-reader], format: csv, readings: [{from: 1, channel: input, quantity: power}]}
hosts: [{name: node-1, feeds: [omegawatt/outlet/1]}]
"#;
    let file = folder.path().join("wattribute.yaml");
    fs::write(&file, config).unwrap();
    let mut exporter = Exporter::start(&file).await;
    let address = exporter.address;
    let power = "wattribute_meter_power_watts{";
    let energy = "wattribute_host_energy_joules_total{";
    exporter
        .program
        .until("five seconds of energy", async |_| {
            let page = get(address, "/metrics", "").await.text().to_owned();
            (value(&page, energy)? > 750.0).then_some(())
        })
        .await;
    let page = get(address, "/metrics", "").await.text().to_owned();
    assert!([100.0, 200.0].contains(&value(&page, power).unwrap()), "{page}");
    // 150 W on the mean, over all the time that is measured.
    let unmeasured = value(&page, "wattribute_meter_unmeasured_seconds_total{").unwrap();
    assert_eq!(unmeasured, 0.0);
    let result = |result: &str| {
        value(&page, &format!(r#"wattribute_polls_total{{driver="command",result="{result}"}}"#)).unwrap()
    };
    assert!(result("ok") >= 5.0 && result("unreachable") >= 2.0, "{page}");
    let log = exporter.program.output();
    for words in [
        "dies (command sh, ",
        "sh ended with exit code 4: no such port",
        "missing (command ./no-such-reader, ",
        "there is no program ./no-such-reader",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let pid = fs::read_to_string(folder.path().join("fast.pid")).unwrap();
    let (status, time) = exporter.program.terminate().await;
    assert!(status.success() && time < Duration::from_secs(5), "{status} {time:?}");
    gone(&pid).await;
}
