//! Against the simulated data centre: the page as others read it, the books, and what is left behind.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use tokio::time::sleep;
use wattribute::model::SystemClock;
use wattribute::sim::{Datacenter, Running};

use crate::books::balance;
use crate::page::{Page, no_counter_fell};
use crate::process::{Exporter, free_address, get, in_repository};

const OPENMETRICS: &str = "Accept: application/openmetrics-text; version=1.0.0\r\n";

/// A simulated data centre.
pub async fn simulation(dir: &Path) -> Running {
    simulation_for(dir, free_address(), in_repository("rules")).await
}

/// One whose Prometheus is to find the exporter at `exporter` and to evaluate `rules`.
pub async fn simulation_for(dir: &Path, exporter: SocketAddr, rules: PathBuf) -> Running {
    let plan = Datacenter { seed: 7, exporter, rules };
    plan.start(dir, Arc::new(SystemClock::new())).await.expect("the data centre starts")
}

/// Whether everything has been read and something was settled for every host.
pub fn settled(page: &Page) -> bool {
    let up = page.of("wattribute_meter_up").filter(|s| s.value == "1").count();
    let hosts = page.of("wattribute_host_energy_joules_total").filter(|s| s.microjoules() > 0);
    let tenants = page.of("wattribute_tenant_energy_joules_total").count();
    (up, hosts.count(), tenants) == (15, 8, 4)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_balance_to_the_microjoule_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let sim = simulation(dir.path()).await;
    let mut exporter = Exporter::start(&sim.config).await;
    let mut last = exporter.until("all settled", settled).await;

    for _ in 0..12 {
        sleep(Duration::from_millis(500)).await;
        let seconds = sim.seconds();
        let page = exporter.page().await;
        assert_eq!(balance(&page), (8, 4));
        no_counter_fell(&last, &page);
        everything_is_there(&page, &sim, seconds);
        last = page;
    }
    assert!(last.sum("wattribute_host_energy_joules_total", &[]) > 1_000_000_000, "more than a kilojoule");

    let (status, took) = exporter.program.terminate().await;
    assert!(status.success(), "{status}: {}", exporter.program.output());
    assert!(took < Duration::from_secs(10), "took {took:?}");
    let stopped = sim.stop().await;
    assert!(stopped.opened >= 14, "8 BMCs and 6 hypervisors: {stopped:?}");
    assert_eq!(stopped.left_open, vec![], "{stopped:?}");
}

/// Claims that all but the silent BMC are up, and that every VM is shown where it is.
fn everything_is_there(page: &Page, sim: &Running, seconds: f64) {
    for meter in page.of("wattribute_meter_up") {
        let expected = if meter.label("meter") == "bmc-silent" { "0" } else { "1" };
        assert_eq!(meter.value, expected, "{meter:?}");
    }
    assert_eq!(page.of("wattribute_meter_up").count(), 16);
    let hypervisors: Vec<_> = page.of("wattribute_hypervisor_up").map(|s| s.value.as_str()).collect();
    assert_eq!(hypervisors, ["1"; 6]);
    let world = sim.world();
    let mut shown = 0;
    for (index, host) in world.hosts().iter().enumerate() {
        // A sample is up to some seconds old when it is settled: only what stayed can be asked for.
        let stayed = |t: f64| move |vm: &&wattribute::sim::world::Vm| world.knows(index, vm, t);
        let ago = |s: f64| stayed((seconds - s).max(0.0));
        for vm in world.vms().iter().filter(ago(5.0)).filter(ago(2.5)).filter(ago(0.0)) {
            if host.role != wattribute::sim::world::Role::Compute {
                continue;
            }
            let labels = [("host", host.name.as_str()), ("workload", vm.uuid.as_str())];
            let info = page.find("wattribute_workload_info", &labels);
            let info = info.unwrap_or_else(|| panic!("no {} on {}", vm.name, host.name));
            let tenant = world.tenant_of(vm).unwrap();
            assert_eq!((info.label("name"), info.label("project_name")), (vm.name.as_str(), tenant.name));
            shown += 1;
        }
    }
    assert!(shown + 4 >= world.vms().len(), "{shown} of {} VMs", world.vms().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_running_exporter_is_read_by_programs_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let sim = simulation(dir.path()).await;
    let mut exporter = Exporter::start(&sim.config).await;
    exporter.until("all settled", settled).await;

    let classic = get(exporter.address, "/metrics", "").await;
    let open = get(exporter.address, "/metrics", OPENMETRICS).await;
    assert!(classic.head.contains("text/plain; version=0.0.4"), "{}", classic.head);
    assert!(open.head.contains("application/openmetrics-text; version=1.0.0"), "{}", open.head);
    assert!(open.text().ends_with("# EOF\n"));

    let (said, good) = pipe(Command::new("promtool").args(["check", "metrics"]), &classic.body);
    assert!(good && said.is_empty(), "promtool: {said}");
    let peers =
        std::env::var_os("WATTRIBUTE_PEERS").map_or_else(|| in_repository("target/peers"), Into::into);
    let python = peers.join("venv/bin/python");
    for (word, page) in [("text", &classic), ("openmetrics", &open)] {
        let (said, good) =
            pipe(Command::new(&python).arg(in_repository("tests/exposition/parse.py")).arg(word), &page.body);
        assert!(good, "{word}: {said}");
        let samples = page.text().lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(said.lines().count(), samples, "{word}");
        assert!(samples > 300, "{word}: {samples} samples");
    }
    gzip_is_the_same(&exporter, "").await;
    gzip_is_the_same(&exporter, OPENMETRICS).await;
}

/// Claims that within one snapshot the compressed page is the plain one.
async fn gzip_is_the_same(exporter: &Exporter, fields: &str) {
    for _ in 0..20 {
        let plain = get(exporter.address, "/metrics", fields).await;
        let packed = get(exporter.address, "/metrics", &format!("{fields}Accept-Encoding: gzip\r\n")).await;
        let again = get(exporter.address, "/metrics", fields).await;
        // Else a tick came between.
        if plain.body == again.body {
            assert!(packed.head.to_ascii_lowercase().contains("content-encoding: gzip"), "{}", packed.head);
            assert!(packed.body.len() * 4 < plain.body.len());
            let mut unpacked = Vec::new();
            GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == plain.body, "gzip differs");
            return;
        }
    }
    panic!("each of 20 times a tick came between");
}

/// Feeds `input` to a program; gives all that it says, and whether it ended well.
fn pipe(command: &mut Command, input: &[u8]) -> (String, bool) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| {
        panic!("{} is missing ({e}); `make test` installs it", command.get_program().display())
    });
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.success())
}
