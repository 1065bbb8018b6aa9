//! Against a real libvirtd with real QEMU guests on a host whose watts come from a static tree of resources.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::books::balance;
use crate::nginx::{Nginx, PASSWORD, USER};
use crate::page::{Page, no_counter_fell};
use crate::peer::{Guest, Libvirtd, nova};
use crate::process::Exporter;

/// Constant power of the host.
const WATTS: f64 = 412.0;
/// Between the two looks at the shares.
const WINDOW: Duration = Duration::from_secs(15);
/// The largest difference between our share and virsh's.
const TOLERANCE: f64 = 0.02;

const UUIDS: [&str; 4] = [
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222",
    "33333333-3333-4333-8333-333333333333",
    "44444444-4444-4444-8444-444444444444",
];
const NAMES: [&str; 4] = ["instance-00000001", "instance-00000002", "instance-00000003", "instance-00000004"];
const RUNNING: [&str; 3] = [NAMES[0], NAMES[1], NAMES[2]];
const OFF: &str = UUIDS[3];

/// Two tenants: busy 10/16 and 4/16 of a CPU, idle, and shut off.
fn libvirtd() -> Libvirtd {
    let libvirtd = Libvirtd::start(|_| {});
    for (n, (busy, project)) in
        [(10, "moonshot"), (4, "atlas"), (0, "moonshot"), (16, "atlas")].into_iter().enumerate()
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
fn tree(dir: &Path) {
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

fn configuration(dir: &Path, bmc: &Nginx, libvirtd: &Libvirtd) -> std::path::PathBuf {
    std::fs::write(dir.join("password"), PASSWORD).unwrap();
    let file = dir.join("wattribute.yaml");
    let text = format!(
        "poll: {{interval: 500ms}}\n\
         meters:\n  - name: bmc\n    redfish: {{url: '{}', username: {USER}, password_file: password, ca_file: '{}'}}\n\
         hosts:\n  - name: node\n    feeds: [bmc/input]\n    idle_power: none\n\
         \x20   hypervisor: {{libvirt: {{socket: '{}', interval: 500ms, timeout: 500ms}}}}\n",
        bmc.url,
        bmc.ca_file().display(),
        libvirtd.socket("libvirt-sock-ro").display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn dynamic(page: &Page, uuid: &str) -> u128 {
    page.sum("wattribute_workload_energy_joules_total", &[("workload", uuid), ("part", "dynamic")])
}

fn joules(page: &Page) -> u128 {
    page.sum("wattribute_host_energy_joules_total", &[])
}

/// A page as soon as something new was settled, and virsh's CPU seconds at that moment.
async fn look(exporter: &mut Exporter, libvirtd: &Libvirtd) -> (Page, [f64; 3], Instant) {
    let before = joules(&exporter.page().await);
    let page = exporter.until("something new", |page| joules(page) > before).await;
    (page, libvirtd.cpu_seconds(RUNNING), Instant::now())
}

fn shares(gained: [f64; 3]) -> [f64; 3] {
    gained.map(|one| one / gained.iter().sum::<f64>())
}

/// The largest difference between shares of dynamic joules and of virsh's CPU seconds.
fn largest_difference(from: &(Page, [f64; 3], Instant), to: &(Page, [f64; 3], Instant)) -> f64 {
    let joules = |i: usize| (dynamic(&to.0, UUIDS[i]) - dynamic(&from.0, UUIDS[i])) as f64;
    let ours = shares(std::array::from_fn(joules));
    let theirs = shares(std::array::from_fn(|i| to.1[i] - from.1[i]));
    println!("shares of joules {ours:.4?}, of virsh's CPU time {theirs:.4?}");
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Claims that the host gained no more than its power by the time, give or take what had not been settled before.
fn gained_no_more_than_it_drew(from: &(Page, [f64; 3], Instant), to: &(Page, [f64; 3], Instant)) {
    let (gained, time) = ((joules(&to.0) - joules(&from.0)) as f64 / 1e6, to.2 - from.2);
    println!("gained {gained:.1} J in {time:?}");
    assert!(gained > 0.0 && gained <= WATTS * (time.as_secs_f64() + 5.0), "{gained} J in {time:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_are_charged_by_the_cpu_time_that_virsh_tells_also_over_a_restart_of_libvirtd() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let bmc = Nginx::serve(dir.path());
    let mut libvirtd = libvirtd();
    let mut exporter = Exporter::start(&configuration(dir.path(), &bmc, &libvirtd)).await;
    exporter
        .until("all guests are charged", |page| UUIDS[..3].iter().all(|uuid| dynamic(page, uuid) > 0))
        .await;

    let first = look(&mut exporter, &libvirtd).await;
    sleep(WINDOW).await;
    let second = look(&mut exporter, &libvirtd).await;
    let difference = largest_difference(&first, &second);
    println!("largest difference {:.2} points", difference * 100.0);
    assert!(difference < TOLERANCE, "{difference}");

    libvirtd.restart();
    exporter
        .until("libvirtd is found again", |page| dynamic(page, UUIDS[0]) > dynamic(&second.0, UUIDS[0]))
        .await;
    sleep(Duration::from_secs(3)).await;
    let third = look(&mut exporter, &libvirtd).await;
    let difference = largest_difference(&first, &third);
    println!("largest difference over the restart {:.2} points", difference * 100.0);
    assert!(difference < TOLERANCE, "{difference}");

    for (from, to) in [(&first, &second), (&second, &third)] {
        no_counter_fell(&from.0, &to.0);
        gained_no_more_than_it_drew(from, to);
    }
    for (page, ..) in [&first, &second, &third] {
        assert_eq!(balance(page), (1, 2));
        assert_eq!(page.sum("wattribute_workload_energy_joules_total", &[("workload", OFF)]), 0);
        let off = page.find("wattribute_vm_state", &[("workload", OFF)]).map(|s| s.label("state"));
        assert_eq!(off, Some("shutoff"));
    }
    let power = third.0.find("wattribute_host_power_watts", &[]).unwrap();
    assert_eq!(power.number(), WATTS);
    let (status, _) = exporter.program.terminate().await;
    assert!(status.success());
    let log = bmc.log_up_to("DELETE").await;
    let count = |method: &str| log.iter().filter(|line| line.contains(method)).count();
    assert_eq!((count("POST"), count("DELETE")), (1, 1), "one session, given back");
}
