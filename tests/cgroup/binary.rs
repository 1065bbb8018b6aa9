//! The real binary: joules of services by their control groups, with and without a configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::page::{Page, no_counter_fell};
use crate::process::{Exporter, in_repository, wattribute};

use super::{Host, ID};

/// Moves the counter of one service as if it used one CPU, and that of another as if it used half of one, until dropped.
struct Load(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Load {
    fn on(root: PathBuf) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let (go_on, began) = (Arc::clone(&running), Instant::now());
        let write = move |group: &str, micros: u128| {
            // The kernel's files are never half written.
            fs::write(root.join("next"), format!("usage_usec {micros}\n")).unwrap();
            fs::rename(root.join("next"), root.join(group).join("cpu.stat")).unwrap();
        };
        let thread = std::thread::spawn(move || {
            while go_on.load(Ordering::Relaxed) {
                let used = began.elapsed().as_micros();
                write("system.slice/nginx.service", used);
                write("system.slice/cron.service", used / 2);
                std::thread::sleep(Duration::from_millis(2));
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

fn machine() -> Host {
    let host = Host::bare();
    host.put("cg/cgroup.controllers", "cpu memory\n");
    host.v2("cg", "/system.slice/nginx.service", 0);
    host.v2("cg", "/system.slice/cron.service", 0);
    host.v2("cg", &format!("/system.slice/docker-{ID}.scope"), 0);
    host
}

#[tokio::test]
async fn services_are_charged_by_their_cpu_time_and_no_joule_is_lost() {
    let host = machine();
    let file = host.path("wattribute.yaml");
    let text = "tenants: [{project_id: shop, name: Shop, domains: ['nginx*']}]\n\
                hosts:\n  - name: node-1\n    feeds: [{rated: 100 W}]\n    idle_power: none\n    hypervisor:\n      cgroups: \
                {root: cg, proc: proc, sys: sys, disk: ., interval: 200ms}\n";
    fs::write(&file, text).unwrap();
    let load = Load::on(host.path("cg"));
    let mut exporter = Exporter::start(&file).await;
    let energy = |page: &Page, id: &str| {
        page.sum("wattribute_workload_energy_joules_total", &[("kind", "service"), ("workload", id)])
    };
    let first = exporter.until("a joule", |page| energy(page, "cron.service") > 10_000_000).await;
    let page = exporter.until("ten more", |page| energy(page, "cron.service") > 60_000_000).await;
    no_counter_fell(&first, &page);
    let (nginx, cron) = (energy(&page, "nginx.service") as f64, energy(&page, "cron.service") as f64);
    assert!((nginx / cron - 2.0).abs() < 0.1, "{nginx} {cron}");
    let all = page.sum("wattribute_workload_energy_joules_total", &[("host", "node-1")])
        + page.sum("wattribute_host_overhead_energy_joules_total", &[("host", "node-1")]);
    assert_eq!(all, page.sum("wattribute_host_energy_joules_total", &[("host", "node-1")]));
    let shop = page.find("wattribute_workload_info", &[("workload", "nginx.service")]).unwrap();
    assert_eq!((shop.label("project_id"), shop.label("project_name")), ("shop", "Shop"));
    let container = page.find("wattribute_workload_info", &[("workload", ID)]).unwrap();
    assert_eq!((container.label("kind"), container.label("name")), ("container", "docker/0123456789ab"));
    drop(load);
}

/// With the files of another machine in place of ours, seen by the exporter alone.
#[tokio::test]
async fn without_a_configuration_services_are_told_by_their_units() {
    if Path::new("/etc/wattribute/wattribute.yaml").exists() {
        eprintln!("this machine has a configuration of its own: nothing to show here");
        return;
    }
    let host = machine();
    let tree = fs::read_to_string(in_repository("tests/sysfs/acpi_meter.tree")).unwrap();
    for line in tree.lines().filter(|line| !line.starts_with('#')) {
        if let Some((path, value)) = line.split_once(" = ") {
            host.put(&format!("sys/{path}"), &format!("{value}\n"));
        } else if let Some((path, target)) = line.split_once(" -> ") {
            let path = host.path(&format!("sys/{path}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        }
    }
    fs::create_dir_all(host.path("sys/fs")).unwrap();
    fs::rename(host.path("cg"), host.path("sys/fs/cgroup")).unwrap();
    let load = Load::on(host.path("sys/fs/cgroup"));
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "sh", "-c", r#"mount --bind "$0" /sys && exec "$@""#]).arg(host.path("sys"));
    let allowed = Command::new("unshare").args(["--mount", "true"]).status();
    if !allowed
        .unwrap_or_else(|e| panic!("unshare is missing ({e}); `make test` installs it (util-linux)"))
        .success()
    {
        eprintln!("mount namespaces are not allowed here: the built-in host is not shown");
        return;
    }
    command.arg(env!("CARGO_BIN_EXE_wattribute")).args(["serve", "--web.listen-address", "127.0.0.1:0"]);
    let mut exporter = Exporter::run(command).await;
    let dynamic = [("workload", "nginx.service"), ("kind", "service"), ("part", "dynamic")];
    let page = exporter
        .until("joules of a service", |page| {
            page.sum("wattribute_workload_energy_joules_total", &dynamic) > 0
        })
        .await;
    assert!(page.find("wattribute_hypervisor_up", &[]).is_some_and(|up| up.number() == 1.0));
    drop(load);
}

#[test]
fn the_plan_says_who_tells_what_runs() {
    let host = machine();
    let file = host.path("wattribute.yaml");
    let text = "hosts:\n\
                - {name: a, feeds: [{rated: 1 W}], hypervisor: {cgroups: {root: cg, interval: 5s}}}\n\
                - {name: b, feeds: [{rated: 1 W}], hypervisor: {processes: {by: unit, interval: 5s}}}\n\
                - {name: c, feeds: [{rated: 1 W}], hypervisor: {libvirt: {socket: /run/x}, cgroups: {root: cg}}}\n";
    fs::write(&file, text).unwrap();
    let output = wattribute(&["check", "--print-plan"]).arg(&file).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    let cg = host.path("cg");
    for line in [
        format!("workloads: cgroup groups at {}, every 5s", cg.display()),
        "workloads: process groups at /proc, every 5s".to_owned(),
        format!("workloads: libvirt qemu:///system at /run/x and {}, every", cg.display()),
    ] {
        assert!(said.contains(&line), "{line}\n{said}");
    }
}
