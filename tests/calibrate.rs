//! `wattribute calibrate`: simulated hosts whose draw is known, and a reader program that is always right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use wattribute::model::SystemClock;
use wattribute::sim::Datacenter;
use wattribute::sim::world::Role;

/// The longest that anything on this machine may take.
const PATIENCE: Duration = Duration::from_secs(120);

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn calibrate(config: &Path, arguments: &[&str]) -> Said {
    let config = config.to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wattribute"));
    command.args(["calibrate", "--config.file", config]).args(arguments);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The power in the line to paste, W.
fn idle_power(said: &Said) -> f64 {
    let line = said.out.lines().last().unwrap_or_else(|| panic!("{}", said.err));
    let watts = line.strip_prefix("idle_power: ").and_then(|rest| rest.strip_suffix(" W"));
    watts.and_then(|w| w.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_measured_against_its_true_power_and_a_busy_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let exporter = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let plan = Datacenter { seed: 11, exporter, rules: dir.path().join("rules") };
    let sim = plan.start(dir.path(), Arc::new(SystemClock::new())).await.expect("the data centre starts");
    let world = sim.world();
    let (n, host) =
        world.hosts().iter().enumerate().find(|(_, h)| h.role == Role::Compute).expect("a compute host");

    let refused = calibrate(&sim.config, &[&host.name, "--idle-for", "60s", "--max-busy", "0.1"]).await;
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{}", refused.err);
    let last = refused.err.lines().last().unwrap();
    assert!(last.contains("% busy, more than 0.1 %; move its VMs away"), "{last}");

    let from = sim.seconds();
    let measured = calibrate(&sim.config, &[&host.name, "--idle-for", "6s", "--max-busy", "100"]).await;
    let until = sim.seconds();
    assert_eq!(measured.code, Some(0), "{}", measured.err);
    // What it drew meanwhile: the run is shorter than that, by its start and its end.
    let truth = (world.host_joules(n, until) - world.host_joules(n, from)) / (until - from);
    let watts = idle_power(&measured);
    assert!((watts - truth).abs() < 0.05 * truth, "{watts} W, in truth {truth} W");
    assert!(measured.err.contains("workloads run on it"), "{}", measured.err);
    assert!(measured.out.contains(" readings in ") && measured.out.contains("% busy"), "{}", measured.out);
    let stopped = sim.stop().await;
    assert_eq!(stopped.sessions_left_open(), 0, "{stopped:?}");
}

fn reader(folder: &Path, lines: &str) -> std::path::PathBuf {
    fs::write(folder.join("meter.sh"), lines).unwrap();
    let config = r#"
poll: {interval: 500ms}
meters:
  - name: plug
    command:
      run: [sh, meter.sh]
      mode: once
      format: csv
      readings: [{from: 1, channel: input, quantity: power}, {from: 2, channel: gpu/1, quantity: power}]
hosts:
  - {name: plain, feeds: [plug/input]}
  - {name: absent, feeds: [plug/outlet/2, {rated: 9 W}]}
  - {name: none, feeds: [{rated: 500 W}]}
"#;
    let file = folder.join("wattribute.yaml");
    fs::write(&file, config).unwrap();
    file
}

#[tokio::test]
async fn the_answer_is_a_line_to_paste() {
    let folder = tempfile::tempdir().unwrap();
    let file = reader(folder.path(), "echo 118.4,20\n");
    let said = calibrate(&file, &["plain", "--idle-for", "3s"]).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.ends_with("standard error 0.0 W\nidle_power: 118.4 W\n"), "{}", said.out);
    assert!(said.out.starts_with("# plain: "), "{}", said.out);
    assert!(said.err.contains("no `hypervisor` says whether it is idle"), "{}", said.err);
}

#[tokio::test]
async fn a_gpu_that_is_metered_by_itself_is_not_idle_power() {
    let folder = tempfile::tempdir().unwrap();
    let file = reader(folder.path(), "echo 118.4,20\n");
    let text = fs::read_to_string(&file).unwrap();
    let gpus = "feeds: [plug/input], gpus: [{channel: plug/gpu/1, pci: '3b:00.0'}]";
    fs::write(&file, text.replace("feeds: [plug/input]", gpus)).unwrap();
    let said = calibrate(&file, &["plain", "--idle-for", "2s"]).await;
    assert!((idle_power(&said) - 98.4).abs() < 1e-9, "{}", said.out);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = reader(folder.path(), "echo 118.4,20\n");
    for (host, wanted) in [
        ("plane", "there is no host \"plane\"; there are: plain, absent, none"),
        ("none", "none: it has no measured feed; name a channel of a meter in its `feeds`"),
        ("absent", "shows no power at a channel of the feed; `wattribute read` lists them"),
    ] {
        let said = calibrate(&file, &[host, "--idle-for", "2s"]).await;
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{host}");
        assert!(said.err.contains(wanted), "{host}: {}", said.err);
    }
    fs::write(folder.path().join("meter.sh"), "exit 4\n").unwrap();
    let said = calibrate(&file, &["plain", "--idle-for", "2s"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("plug: "), "{}", said.err);
}
