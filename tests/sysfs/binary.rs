//! The real binary without a configuration, and as a user who may not read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::process::{Exporter, Program, wattribute};
use crate::tree;

const USUAL: &str = "/etc/wattribute/wattribute.yaml";

/// Whether this machine has a configuration of its own, which these tests would run by.
fn configured() -> bool {
    let is = Path::new(USUAL).exists();
    if is {
        eprintln!("{USUAL} is there: nothing to show here");
    }
    is
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn without_a_configuration_this_machine_is_metered_and_the_log_says_how_to_write_one() {
    if configured() {
        return;
    }
    let exporter = Exporter::run(wattribute(&["serve", "--web.listen-address", "127.0.0.1:0"])).await;
    let log = exporter.program.output();
    for words in [USUAL, "config=built-in", "meters=1", "docs/configuration.md", "wattribute schema"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let page = crate::process::get(exporter.address, "/metrics", "").await;
    let up = page.text().lines().find(|line| line.starts_with("wattribute_meter_up{")).unwrap().to_owned();
    assert!(up.contains(r#"meter="host""#) && up.contains(r#"driver="sysfs""#), "{up}");
}

/// Moves the counters of a machine as if it drew 200 W in all, 60 W of them in its first package, until dropped.
struct Load(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Load {
    fn on(root: &Path) -> Self {
        let (running, rapl) =
            (Arc::new(AtomicBool::new(true)), root.join("devices/virtual/powercap/intel-rapl"));
        let (go_on, began) = (Arc::clone(&running), Instant::now());
        let write = move |zone: &str, watts: u128| {
            let energy = began.elapsed().as_micros() * watts + 5_000_000;
            // The kernel's files are never half written.
            fs::write(rapl.join("next"), format!("{energy}\n")).unwrap();
            fs::rename(rapl.join("next"), rapl.join(zone).join("energy_uj")).unwrap();
        };
        let thread = std::thread::spawn(move || {
            while go_on.load(Ordering::Relaxed) {
                write("intel-rapl:2", 200);
                write("intel-rapl:1", 60);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self(running, Some(thread))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
        let _ = self.1.take().map(std::thread::JoinHandle::join);
    }
}

/// With the sysfs of another machine in place of ours, seen by the exporter alone.
#[tokio::test]
async fn without_a_configuration_the_host_is_fed_by_its_platform() {
    if configured() {
        return;
    }
    let root = tree("intel_2_sockets");
    let load = Load::on(root.path());
    let mut command = Command::new("unshare");
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-c", r#"mount --bind "$0" /sys && exec "$@""#]).arg(root.path());
    command.arg(env!("CARGO_BIN_EXE_wattribute")).args(["serve", "--web.listen-address", "127.0.0.1:0"]);
    let allowed = Command::new("unshare")
        .args(if is_root() { &["--mount", "true"][..] } else { &["--map-root-user", "--mount", "true"] })
        .status()
        .unwrap_or_else(|e| panic!("unshare is missing ({e}); `make test` installs it (util-linux)"));
    if !allowed.success() {
        eprintln!("mount namespaces are not allowed here: the built-in host is not shown");
        return;
    }
    let mut exporter = Exporter::run(command).await;
    let near = |value: f64, watts: f64| (value / watts - 1.0).abs() < 0.15;
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let value = |page: &str, start: &str, label: &str| {
        let line = page.lines().find(|line| line.starts_with(start) && line.contains(label))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let address = exporter.address;
    let page = exporter
        .program
        .until("the host's power", async |_| {
            let page = crate::process::get(address, "/metrics", "").await.text().to_owned();
            let host = value(&page, "wattribute_host_power_watts{", &format!(r#"host="{}""#, name.trim()))?;
            let energy = value(&page, "wattribute_host_energy_joules_total{", "measured")?;
            (near(host, 200.0) && energy > 200.0).then_some(page)
        })
        .await;
    let of = |channel: &str| {
        let label = format!(r#"channel="{channel}""#);
        value(&page, "wattribute_meter_power_watts{", &label).unwrap_or_else(|| panic!("{channel}: {page}"))
    };
    assert!(near(of("psys"), 200.0) && near(of("package/1"), 60.0), "{page}");
    assert_eq!(of("package/0"), 0.0);
    let log = exporter.program.output();
    assert!(log.contains("is fed by psys"), "{log}");
    assert!(page.contains(r#"vendor="Example Systems",model="Twin 2U""#), "{page}");
    drop(load);
    let (status, time) = exporter.program.terminate().await;
    assert!(status.success() && time < Duration::from_secs(5), "{status} {time:?}");
}

#[test]
fn a_configuration_that_is_named_must_be_there_and_read_needs_one() {
    let said = |arguments: &[&str]| {
        let output = wattribute(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let text = said(&["serve", "--config.file=/no/such/file.yaml", "--web.listen-address=127.0.0.1:0"]);
    assert!(text.contains("/no/such/file.yaml: the file cannot be read"), "{text}");
    if !configured() {
        let text = said(&["read", "host"]);
        assert!(text.contains(USUAL), "{text}");
    }
}

/// Since Linux 5.10 only root may read RAPL's counters.
#[test]
fn a_user_who_may_not_read_the_counters_is_told_what_to_do() {
    let root = tree("intel_2_sockets");
    for zone in [
        "intel-rapl:0",
        "intel-rapl:0/intel-rapl:0:0",
        "intel-rapl:1",
        "intel-rapl:1/intel-rapl:1:0",
        "intel-rapl:2",
    ] {
        let file = root.path().join("devices/virtual/powercap/intel-rapl").join(zone).join("energy_uj");
        fs::set_permissions(file, fs::Permissions::from_mode(if is_root() { 0o400 } else { 0o000 })).unwrap();
    }
    let file = root.path().join("wattribute.yaml");
    fs::write(&file, "meters: [{name: here, sysfs: {root: .}}]\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    // Where everyone may start it.
    let program = root.path().join("wattribute");
    fs::copy(env!("CARGO_BIN_EXE_wattribute"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(if is_root() { "setpriv".as_ref() } else { program.as_os_str() });
    if is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    }
    let output = command.args(["read", "here", "--config.file"]).arg(&file).output();
    let output =
        output.unwrap_or_else(|e| panic!("setpriv is missing ({e}); `make test` installs it (util-linux)"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in ["may be read by root only", "energy_uj", "CAP_DAC_READ_SEARCH", "docs/drivers/sysfs.md"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// A meter beside others: as a service would run it.
#[tokio::test]
async fn a_configured_meter_shows_its_readings() {
    let root = tree("acpi_meter");
    let file = root.path().join("wattribute.yaml");
    let text = "meters: [{name: here, interval: 200ms, sysfs: {root: .}}]\n\
                hosts: [{name: node-1, feeds: ['here/power_meter@ACPI000D:00/power1']}]\n";
    fs::write(&file, text).unwrap();
    let mut exporter = Exporter::start(&file).await;
    let address = exporter.address;
    let lines = [
        r#"wattribute_host_power_watts{datacenter="default",component="compute",host="node-1"} 231.5"#,
        r#"channel="dps1600@1-0058/in"} 226"#,
    ];
    let program: &mut Program = &mut exporter.program;
    program
        .until("the readings", async |_| {
            let page = crate::process::get(address, "/metrics", "").await.text().to_owned();
            lines.iter().all(|line| page.contains(line)).then_some(())
        })
        .await;
}

#[test]
fn one_read_shows_watts_though_counters_need_two_looks() {
    let root = tree("intel_2_sockets");
    let _load = Load::on(root.path());
    let file = root.path().join("wattribute.yaml");
    fs::write(&file, "meters: [{name: here, sysfs: {root: .}}]\n").unwrap();
    let mut command = wattribute(&["read", "here", "--output", "json", "--config.file"]);
    let output = command.arg(&file).stdin(Stdio::null()).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let readings = said["readings"].as_array().unwrap();
    let power = |channel: &str| {
        let is = |r: &&serde_json::Value| r["channel"] == channel && r["quantity"] == "power";
        readings.iter().find(is).unwrap_or_else(|| panic!("{said:#}"))["value"].as_f64().unwrap()
    };
    assert!((power("psys") / 200.0 - 1.0).abs() < 0.15, "{said:#}");
    assert!((power("package/1") / 60.0 - 1.0).abs() < 0.15, "{said:#}");
    assert_eq!(said["identity"]["vendor"], "Example Systems");
}
