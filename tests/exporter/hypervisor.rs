//! Against a real libvirtd with real QEMU guests on a host whose watts come from a static tree of resources.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::books::balance;
use crate::nginx::{Nginx, PASSWORD, USER};
use crate::page::{Page, no_counter_fell};
use crate::peer::{Guest, Libvirtd, nova};
use crate::process::{Exporter, PATIENCE};

/// Constant power of the host.
pub const WATTS: f64 = 412.0;
/// Between the two looks at the shares.
pub const WINDOW: Duration = Duration::from_secs(15);
/// The largest difference between our share and virsh's.
const TOLERANCE: f64 = 0.02;

pub const UUIDS: [&str; 4] = [
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
    "33333333-3333-4333-8333-333333333333",
    "44444444-4444-4444-8444-444444444444",
];
pub const NAMES: [&str; 4] =
    ["instance-00000001", "instance-00000002", "instance-00000003", "instance-00000004"];
const RUNNING: [&str; 3] = [NAMES[0], NAMES[1], NAMES[2]];
pub const OFF: &str = UUIDS[3];

/// Two tenants; three guests that run, `busy` sixteenths of a CPU, and one that is shut off.
pub fn libvirtd(busy: [u8; 3]) -> Libvirtd {
    let libvirtd = Libvirtd::start(|_| {});
    let [first, second, third] = busy;
    for (n, (busy, project)) in
        [(first, "moonshot"), (second, "atlas"), (third, "moonshot"), (16, "atlas")].into_iter().enumerate()
    {
        let metadata = nova(&format!("vm-{}", n + 1), &format!("id-of-{project}"), project, "buzz");
        libvirtd.define(&Guest { name: NAMES[n], uuid: UUIDS[n], busy, metadata });
        if UUIDS[n] != OFF {
            libvirtd.virsh(&["start", NAMES[n]]);
        }
    }
    libvirtd
}

/// A BMC that says `WATTS` and nothing else.
pub fn tree(dir: &Path) {
    let link = |path: &str| json!({ "@odata.id": format!("/redfish/v1/{path}") });
    let resources: [(&str, Value); 4] = [
        ("", json!({ "Chassis": link("Chassis") })),
        ("Chassis", json!({ "Members": [link("Chassis/1")] })),
        ("Chassis/1", json!({ "Power": link("Chassis/1/Power") })),
        ("Chassis/1/Power", json!({ "PowerControl": [{ "PowerConsumedWatts": WATTS }] })),
    ];
    for (path, body) in resources {
        let folder = dir.join("redfish/v1").join(path);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("index.json"), body.to_string()).unwrap();
    }
}

pub fn configuration(dir: &Path, bmc: &Nginx, libvirtd: &Libvirtd) -> std::path::PathBuf {
    std::fs::write(dir.join("password"), PASSWORD).unwrap();
    let file = dir.join("wattribute.yaml");
    let text = format!(
        "poll: {{interval: 500ms}}\n\
         meters:\n  - name: bmc\n    redfish: {{url: '{}', username: {USER}, password_file: password, ca_file: '{}'}}\n\
         hosts:\n  - name: node\n    feeds: [bmc/input]\n    idle_power: none\n\
         \x20   hypervisor: {{libvirt: {{socket: '{}', interval: 2s}}}}\n",
        bmc.url,
        bmc.ca_file().display(),
        libvirtd.socket("libvirt-sock-ro").display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

pub fn dynamic(page: &Page, uuid: &str) -> u128 {
    page.sum("wattribute_workload_energy_joules_total", &[("workload", uuid), ("part", "dynamic")])
}

/// A page, and what virsh told of the very moment up to which it is settled.
pub struct Look {
    pub page: Page,
    pub settled: f64,
    cpu: [f64; 3],
}

pub fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Asks virsh again and again until the exporter has settled up to a moment between two answers.
pub async fn look(exporter: &Exporter, libvirtd: &Libvirtd) -> Look {
    let deadline = Instant::now() + PATIENCE;
    let mut told: Vec<(f64, [f64; 3])> = Vec::new();
    loop {
        let before = unix_seconds();
        let cpu = libvirtd.cpu_seconds(RUNNING);
        told.push((f64::midpoint(before, unix_seconds()), cpu));
        let page = exporter.page().await;
        let settled = page.find("wattribute_host_settled_timestamp_seconds", &[]).unwrap().number();
        let after = told.partition_point(|(at, _)| *at <= settled);
        if let [(from, first), (to, second)] = told[after.saturating_sub(1)..(after + 1).min(told.len())] {
            let part = (settled - from) / (to - from);
            let cpu = std::array::from_fn(|i| first[i] + (second[i] - first[i]) * part);
            return Look { page, settled, cpu };
        }
        assert!(Instant::now() < deadline, "nothing is settled any more: {settled} {told:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// CPU seconds of a guest as the exporter has them.
fn cpu_seconds(page: &Page, uuid: &str) -> f64 {
    page.find("wattribute_vm_cpu_seconds_total", &[("workload", uuid)]).unwrap().number()
}

fn shares(gained: [f64; 3]) -> [f64; 3] {
    gained.map(|one| one / gained.iter().sum::<f64>())
}

/// Claims that shares of CPU time and of dynamic joules agree with virsh's. They are not one and the same: each interval's
/// joules are shared on their own, whatever else the machine does in it.
pub fn agree_with_virsh(from: &Look, to: &Look) {
    let joules = |i: usize| (dynamic(&to.page, UUIDS[i]) - dynamic(&from.page, UUIDS[i])) as f64;
    let seconds = |i: usize| cpu_seconds(&to.page, UUIDS[i]) - cpu_seconds(&from.page, UUIDS[i]);
    let theirs = shares(std::array::from_fn(|i| to.cpu[i] - from.cpu[i]));
    for (what, ours) in
        [("joules", shares([0, 1, 2].map(joules))), ("CPU time", shares([0, 1, 2].map(seconds)))]
    {
        let largest = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{what}: {ours:.4?}, virsh: {theirs:.4?}: largest difference {:.2} points", largest * 100.0);
        assert!(largest < TOLERANCE, "{what}: {ours:?} {theirs:?}");
    }
}

/// Claims that the host gained its power by the time that was settled, no more and no less.
pub fn gained_what_it_drew(from: &Look, to: &Look) {
    let joules = |look: &Look| look.page.sum("wattribute_host_energy_joules_total", &[]) as f64 / 1e6;
    let (gained, drawn) = (joules(to) - joules(from), WATTS * (to.settled - from.settled));
    println!("gained {gained:.1} J of {drawn:.1} J");
    // Times are shown in milliseconds.
    assert!((gained - drawn).abs() < WATTS * 0.005, "{gained} J, not {drawn} J");
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_charged_by_the_cpu_time_that_virsh_tells_also_over_a_restart_of_libvirtd() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let bmc = Nginx::serve(dir.path());
    let mut libvirtd = libvirtd([10, 4, 0]);
    let mut exporter = Exporter::start(&configuration(dir.path(), &bmc, &libvirtd)).await;
    exporter
        .until("all guests are charged", |page| UUIDS[..3].iter().all(|uuid| dynamic(page, uuid) > 0))
        .await;

    let first = look(&exporter, &libvirtd).await;
    sleep(WINDOW).await;
    let second = look(&exporter, &libvirtd).await;
    agree_with_virsh(&first, &second);

    libvirtd.restart();
    exporter
        .until("libvirtd is found again", |page| dynamic(page, UUIDS[0]) > dynamic(&second.page, UUIDS[0]))
        .await;
    sleep(Duration::from_secs(3)).await;
    let third = look(&exporter, &libvirtd).await;
    agree_with_virsh(&first, &third);

    for (from, to) in [(&first, &second), (&second, &third)] {
        no_counter_fell(&from.page, &to.page);
        gained_what_it_drew(from, to);
    }
    for Look { page, .. } in [&first, &second, &third] {
        assert_eq!(balance(page), (1, 2));
        assert_eq!(page.sum("wattribute_workload_energy_joules_total", &[("workload", OFF)]), 0);
        let off = page.find("wattribute_vm_state", &[("workload", OFF)]).map(|s| s.label("state"));
        assert_eq!(off, Some("shutoff"));
    }
    let power = third.page.find("wattribute_host_power_watts", &[]).unwrap();
    assert_eq!(power.number(), WATTS);
    let (status, _) = exporter.program.terminate().await;
    assert!(status.success());
    let log = bmc.log_up_to("DELETE").await;
    let count = |method: &str| log.iter().filter(|line| line.contains(method)).count();
    assert_eq!((count("POST"), count("DELETE")), (1, 1), "one session, given back");
}
