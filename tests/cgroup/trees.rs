//! Trees of v2, v1 and hybrid machines: everybody is found once, with what the kernel says of them.

use wattribute::model::ErrorKind;
use wattribute::workloads::{CpuNanos, State};

use super::{Host, ID, POD, find, lines};

const QEMU: &str = r"/machine.slice/machine-qemu\x2d12\x2dinstance\x2d0000002a.scope";
const UUID: &str = "11111111-2222-3333-4444-555555555555";

/// A v2 machine with everybody on it.
fn unified() -> Host {
    let host = Host::bare();
    host.put("cg/cgroup.controllers", "cpuset cpu io memory pids\n");
    host.put("cg/cpu.stat", "usage_usec 99000000\n");
    let v2 = |group: &str, micros| host.v2("cg", group, micros);
    v2("/init.scope", 1_000);
    v2("/system.slice", 9_000_000);
    v2("/system.slice/nginx.service", 5_000_000);
    host.put("cg/system.slice/nginx.service/cpu.max", "150000 100000\n");
    host.put("cg/system.slice/nginx.service/memory.current", "3000000\n");
    host.put("cg/system.slice/nginx.service/memory.stat", "anon 1\nfile 2\ninactive_file 1000000\n");
    v2("/system.slice/boot.mount", 7_000);
    v2(&format!("/system.slice/docker-{ID}.scope"), 2_000_000);
    v2("/user.slice/user-1000.slice/session-1.scope", 1);
    v2("/user.slice/user-1000.slice", 3_000_000);
    v2(QEMU, 4_000_000);
    v2(&format!("{QEMU}/libvirt/emulator"), 1);
    host.put(&format!("cg{QEMU}/libvirt/cgroup.procs"), "4242\n");
    let line = format!(
        "qemu-system-x86_64\0-name\0guest=instance-0000002a\0-m\0size=2097152k\0-smp\04\0-uuid\0{UUID}\0"
    );
    host.put("proc/4242/cmdline", &line);
    let pod = format!(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
        POD.replace('-', "_")
    );
    v2(&pod, 800_000);
    v2(&format!("{pod}/cri-containerd-{}.scope", ID.replace('0', "f")), 700_000);
    v2("/system.slice/slurmstepd.scope/job_4711/step_0", 1);
    v2("/system.slice/slurmstepd.scope/job_4711", 6_000_000);
    host.put("cg/system.slice/slurmstepd.scope/job_4711/cpuset.cpus", "0-1,3\n");
    host.put("cg/system.slice/slurmstepd.scope/job_4711/memory.max", "1073741824\n");
    v2("/build/a", 10_000);
    host
}

#[tokio::test]
async fn everybody_on_a_v2_machine_is_told_once() {
    let mut host = unified();
    let usage = host.sample().await;
    let container = ID.replace('0', "f");
    assert_eq!(
        lines(&usage),
        [
            "cgroup /build/a /build/a 10 0 0".to_owned(),
            "cgroup user-1000.slice user-1000.slice 3000 0 0".to_owned(),
            format!("container {ID} docker/0123456789ab 2000 0 0"),
            format!("container {container} {POD}/f123456789ab 700 0 0"),
            // cores 0, 1 and 3; what the scheduler gave as memory
            "job 4711 4711 6000 3 1073741824".to_owned(),
            "service init.scope init.scope 1 0 0".to_owned(),
            // a quota of 1.5 CPUs; 3 MB in use, of which 1 MB the kernel would drop first
            "service nginx.service nginx.service 5000 2 2000000".to_owned(),
            format!("vm {UUID} instance-0000002a 4000 4 2147483648"),
        ]
    );
    let nginx = find(&usage, "nginx.service");
    assert_eq!(
        (nginx.details.cpu_allocated, nginx.details.resident_memory_bytes),
        (Some(1.5), Some(3_000_000))
    );
    assert_eq!(nginx.state, Some(State::Running));
    assert_eq!(find(&usage, "user-1000.slice").info.user, "1000");
    assert!(find(&usage, &container).info.tags.contains(&("qos".into(), "burstable".into())));
}

#[tokio::test]
async fn the_node_is_what_proc_and_sys_say() {
    let mut host = unified();
    host.put(
        "proc/net/dev",
        "eth0: 1000 10 0 0 0 0 0 0 500 5 0 0 0 0 0 0\nveth1: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n",
    );
    host.put("sys/class/net/eth0/device/vendor", "0x8086\n");
    host.put("sys/class/net/eth0/speed", "25000\n");
    host.put("sys/class/net/eth1/device/vendor", "0x8086\n");
    host.put("sys/class/net/eth1/speed", "-1\n");
    host.put("sys/class/net/veth1/speed", "10000\n");
    host.put("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,2\n");
    let node = host.sample().await.node.unwrap();
    // 160 ticks of 10 ms.
    assert_eq!((node.cpus, node.busy, node.mhz), (4, Some(CpuNanos(1_600_000_000)), Some(2600)));
    assert_eq!((node.memory_bytes, node.free_memory_bytes), (16 << 30, Some(8 << 30)));
    let network = node.network.unwrap();
    assert_eq!(
        (network.received_bytes, network.sent_packets),
        (1000, 5),
        "guests' ends are not the machine's"
    );
    let facts = &node.facts;
    assert_eq!((facts.hostname.as_str(), facts.threads_per_core), ("node-1", 2));
    assert_eq!(facts.link_bits_per_second, Some(25_000_000_000));
    assert_eq!(facts.processor_model, "Example CPU @ 2.60GHz");
    let disk = node.disk.unwrap();
    assert!(disk.capacity > disk.taken && disk.taken > 0, "{disk:?}");
}

#[tokio::test]
async fn a_v1_machine_has_its_controllers_in_folders_of_their_own() {
    let mut host = Host::bare();
    host.v1("", 99);
    host.v1("/system.slice", 9_000_000_000);
    host.v1("/system.slice/nginx.service", 5_000_000_000);
    host.put("cg/cpu,cpuacct/system.slice/nginx.service/cpu.cfs_quota_us", "400000\n");
    host.put("cg/cpu,cpuacct/system.slice/nginx.service/cpu.cfs_period_us", "100000\n");
    host.put("cg/memory/system.slice/nginx.service/memory.usage_in_bytes", "3000000\n");
    host.put(
        "cg/memory/system.slice/nginx.service/memory.stat",
        "inactive_file 5\ntotal_inactive_file 1000000\n",
    );
    host.put("cg/memory/system.slice/nginx.service/memory.limit_in_bytes", "9223372036854771712\n");
    host.v1(&format!("/kubepods/besteffort/pod{POD}/{ID}"), 700_000_000);
    host.v1("/slurm/uid_1000/job_47/step_0", 1);
    host.v1("/slurm/uid_1000/job_47", 6_000_000_000);
    host.put("cg/cpuset/slurm/uid_1000/job_47/cpuset.cpus", "2-3\n");
    host.v1("/machine/qemu-3-web.libvirt-qemu/emulator", 1);
    host.v1("/machine/qemu-3-web.libvirt-qemu", 4_000_000_000);
    // Services that systemd does not count one by one run in their slice.
    host.v1("/user.slice", 2_000_000_000);
    let usage = host.sample().await;
    let services =
        |lines: &[String]| lines.iter().filter(|line| !line.starts_with("vm")).cloned().collect::<Vec<_>>();
    assert_eq!(
        services(&lines(&usage)),
        [
            "cgroup /user.slice /user.slice 2000 0 0".to_owned(),
            format!("container {ID} {POD}/0123456789ab 700 0 0"),
            "job 47 47 6000 2 0".to_owned(),
            "service nginx.service nginx.service 5000 4 2000000".to_owned(),
        ]
    );
    assert_eq!(find(&usage, "47").info.user, "1000");
    // Nobody says which QEMU it is: after three looks its name must do.
    assert_eq!(usage.workloads.len(), 4);
    for _ in 0..2 {
        assert_eq!(host.after(1).await.workloads.len(), 4);
    }
    assert!(lines(&host.after(1).await).contains(&"vm web web 4000 0 0".to_owned()));
}

/// systemd tracks its units in the unified tree; controllers are in v1.
#[tokio::test]
async fn a_hybrid_machine_is_told_by_the_tree_that_has_more_of_it() {
    let mut host = Host::bare();
    host.v1("", 99);
    host.v1("/system.slice", 9_000_000_000);
    host.put("cg/memory/system.slice/nginx.service/memory.usage_in_bytes", "3000000\n");
    host.put("cg/unified/cgroup.controllers", "\n");
    host.v2("cg/unified", "/system.slice/nginx.service", 5_000_000);
    host.v2("cg/unified", "/system.slice/cron.service", 1_000);
    let usage = host.sample().await;
    let want =
        ["service cron.service cron.service 1 0 0", "service nginx.service nginx.service 5000 0 3000000"];
    assert_eq!(lines(&usage), want);
    // Where the unified tree is empty, v1 has the containers.
    let mut host = Host::bare();
    host.put("cg/unified/cgroup.controllers", "\n");
    host.v1("", 99);
    host.v1(&format!("/docker/{ID}"), 2_000_000_000);
    assert_eq!(lines(&host.sample().await), [format!("container {ID} 0123456789ab 2000 0 0")]);
}

#[tokio::test]
async fn filters_and_depth_bound_who_is_told() {
    let ids = |usage: &wattribute::workloads::Usage| {
        let mut ids: Vec<_> = usage.workloads.iter().map(|w| w.info.id.as_str().to_owned()).collect();
        ids.sort();
        ids
    };
    let mut host = unified();
    host.filter.include =
        vec![glob::Pattern::new("*.service").unwrap(), glob::Pattern::new("/build/*").unwrap()];
    assert_eq!(ids(&host.sample().await), ["/build/a", "nginx.service"]);
    let mut host = unified();
    host.filter.depth = 1;
    let all = ["/build", "/kubepods.slice", "/machine.slice", "/system.slice", "/user.slice", "init.scope"];
    // Those groups whose own files are missing here are gone.
    let told = ids(&host.sample().await);
    assert!(
        told.iter().all(|id| all.contains(&id.as_str())) && told.contains(&"/system.slice".to_owned()),
        "{told:?}"
    );
    let mut host = unified();
    host.filter.exclude = vec![glob::Pattern::new("/system.slice").unwrap()];
    host.filter.without_machines = true;
    let told = ids(&host.sample().await);
    assert!(!told.iter().any(|id| id == UUID || id == "nginx.service" || id == "4711"), "{told:?}");
    // A depth that ends at pods tells whole pods.
    let mut host = unified();
    host.filter.depth = 3;
    assert_eq!(find(&host.sample().await, POD).info.kind.name(), "container");
}

#[tokio::test]
async fn nothing_to_count_is_an_error_that_says_where_to_look() {
    let mut host = Host::bare();
    let error = host.try_sample().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading);
    assert!(error.cause.contains("cg") && error.fix.contains("`root`"), "{error}");
    // Mounted later, it is found.
    host.put("cg/cgroup.controllers", "cpu\n");
    host.v2("cg", "/a.service", 1);
    assert_eq!(host.sample().await.workloads.len(), 1);
}

#[tokio::test]
async fn hostile_files_are_no_values() {
    let mut host = Host::bare();
    host.put("cg/cgroup.controllers", "cpu\n");
    host.v2("cg", "/good.service", 5_000);
    for (name, text) in
        [("huge", "9".repeat(1 << 20)), ("negative", "usage_usec -5\n".into()), ("empty", String::new())]
    {
        host.put(&format!("cg/{name}.service/cpu.stat"), &text);
    }
    host.put("cg/good.service/memory.current", "18446744073709551616\n");
    host.put("cg/good.service/cpu.max", "1 0\n");
    std::fs::create_dir(host.path("cg/a\tb")).unwrap();
    host.v2("cg", "/a\tb", 1_000);
    let usage = host.sample().await;
    assert_eq!(usage.workloads.len(), 2, "{:?}", lines(&usage));
    let good = find(&usage, "good.service");
    assert_eq!((good.cpu, good.vcpus, good.memory_bytes), (Some(CpuNanos(5_000_000)), 0, 0));
    assert_eq!(good.details.resident_memory_bytes, None, "what cannot be read is not 0");
}
