//! The simulated data centre asked by programs that nobody here wrote: `virsh`, net-snmp's tools, `mbpoll` and `curl`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wattribute::model::SystemClock;
use wattribute::sim::endpoint::Live;
use wattribute::sim::world::{Point, Side, World};
use wattribute::sim::{Datacenter, Running, libvirt};

async fn start(dir: &Path) -> Running {
    let exporter = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let plan = Datacenter { seed: 4, exporter, rules: dir.join("rules") };
    plan.start(dir, Arc::new(SystemClock::new())).await.expect("the data centre starts")
}

/// Runs a Debian program and gives its output; a missing program fails with what to install.
async fn run(package: &str, program: &str, args: &[&str]) -> String {
    let (ok, out, err) = try_run(package, program, args).await;
    assert!(ok, "{program} {args:?} failed: {out}{err}");
    out
}

async fn try_run(package: &str, program: &str, args: &[&str]) -> (bool, String, String) {
    let output =
        Command::new(program).args(args).stdin(Stdio::null()).env("LC_ALL", "C").kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await;
    let output = output.unwrap_or_else(|_| panic!("{program} {args:?} hangs"));
    let output = output.unwrap_or_else(|e| {
        panic!(
            "cannot run {program} ({e}): it is in the Debian package {package}, which `make test` installs"
        )
    });
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

async fn virsh(sim: &Running, host: usize, args: &[&str]) -> String {
    let uri = format!("qemu+unix:///system?socket={}", sim.hypervisor(host).unwrap().display());
    run("libvirt-clients", "virsh", &[&["-c", uri.as_str()], args].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn virsh_lists_the_domains_with_their_owners_and_moving_cpu_time() {
    let dir = tempfile::tempdir().unwrap();
    let sim = start(dir.path()).await;

    let list = virsh(&sim, 1, &["list", "--all"]).await;
    let known: Vec<_> = sim.world().vms().iter().filter(|v| sim.world().knows(1, v, 1.0)).collect();
    for vm in &known {
        let state = if vm.name == "archive" { "shut off" } else { "running" };
        assert!(list.lines().any(|l| l.contains(&vm.domain) && l.contains(state)), "{} in {list}", vm.domain);
    }
    assert_eq!(list.lines().filter(|l| l.contains("instance-")).count(), known.len(), "{list}");

    let web = known[0];
    let xml = virsh(&sim, 1, &["dumpxml", &web.domain]).await;
    let tenant = sim.world().tenant_of(web).unwrap();
    for part in [&format!("uuid=\"{}\">{}<", tenant.project_id, tenant.name), &web.uuid, "<nova:flavor name="]
    {
        assert!(xml.contains(part), "{part} in {xml}");
    }
    assert!(roxmltree::Document::parse(&xml).is_ok(), "{xml}");
    assert_eq!(virsh(&sim, 1, &["domname", &web.uuid]).await.trim(), web.domain);

    // Nanoseconds, between the truth before the call and after it.
    let mut last = 0;
    for _ in 0..2 {
        let before = web.run(1, sim.seconds()).unwrap();
        let stats = virsh(&sim, 1, &["domstats", "--state", "--cpu-total", &web.domain]).await;
        let after = web.run(1, sim.seconds()).unwrap();
        let cpu =
            stats.lines().find_map(|l| l.trim().strip_prefix("cpu.time=")).unwrap().parse::<u64>().unwrap();
        let seconds = cpu as f64 / 1e9;
        assert!(
            before.cpu_seconds - 1e-8 <= seconds && seconds <= after.cpu_seconds,
            "{seconds} {before:?} {after:?}"
        );
        assert!(stats.contains("state.state=1") && cpu > last, "{stats}");
        last = cpu;
    }
    let everything = virsh(&sim, 1, &["domstats"]).await;
    assert_eq!(everything.matches("Domain: ").count(), known.len());
    assert!(everything.contains("balloon.current=") && everything.contains("vcpu.current="), "{everything}");

    let stopped = sim.stop().await;
    assert_eq!((stopped.left_open, stopped.opened), (vec![], 6), "virsh closes what it opens");
}

#[tokio::test(flavor = "multi_thread")]
async fn virsh_reads_the_node_and_sees_a_domain_start() {
    let dir = tempfile::tempdir().unwrap();
    let sim = start(dir.path()).await;
    let info = virsh(&sim, 0, &["nodeinfo"]).await;
    let field = |name: &str| info.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_owned());
    assert_eq!(field("CPU(s):").as_deref(), Some("32"), "{info}");
    assert_eq!(field("Memory size:").as_deref(), Some("268435456 KiB"), "{info}");
    let cpu = virsh(&sim, 0, &["nodecpustats"]).await;
    assert!(["user:", "system:", "idle:", "iowait:"].iter().all(|f| cpu.contains(f)), "{cpu}");
    assert_eq!(virsh(&sim, 0, &["hostname"]).await.trim(), "compute-1");
    assert!(virsh(&sim, 0, &["freecell"]).await.contains("KiB"));

    // `batch` starts in its fifth second and runs for forty.
    let event = virsh(&sim, 2, &["event", "--event", "lifecycle", "--timeout", "50"]).await;
    assert!(event.contains("Started") || event.contains("Stopped"), "{event}");
    assert_eq!(sim.stop().await.left_open, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn virsh_comes_over_tcp_as_well() {
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let live = Live::new(Arc::new(World::new(1)), Arc::new(SystemClock::new()));
    let (address, counters) = libvirt::start_tcp(live, 0, stop.clone(), &tasks).await.unwrap();
    let uri = format!("qemu+tcp://{address}/system");
    let list = run("libvirt-clients", "virsh", &["-c", &uri, "list", "--all", "--name"]).await;
    assert!(list.lines().filter(|l| l.starts_with("instance-")).count() >= 4, "{list}");
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    assert_eq!((counters.opened(), counters.held()), (1, 0));
}

/// `OID = value` lines of net-snmp's `-Oqn` output as pairs.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(o, v)| (o.trim_start_matches('.'), v.trim_matches('"')))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn snmpwalk_reads_the_apc_pdu_over_v2c_and_its_outlets_are_true() {
    let dir = tempfile::tempdir().unwrap();
    let sim = start(dir.path()).await;
    let [apc, ..] = sim.agents();
    let address = apc.to_string();
    for program in ["snmpwalk", "snmpbulkwalk"] {
        let t0 = sim.seconds();
        let all =
            run("snmp", program, &["-v2c", "-c", "simulated-community", "-Oqn", &address, "1.3.6.1"]).await;
        let t1 = sim.seconds();
        let rows = pairs(&all);
        assert!(rows.len() > 200, "{program}: {} rows", rows.len());
        let value =
            |oid: &str| rows.iter().find(|(o, _)| *o == oid).unwrap_or_else(|| panic!("{oid} in {all}")).1;
        assert_eq!(value("1.3.6.1.2.1.1.2.0"), ".1.3.6.1.4.1.318.1.3.4.6");
        let outlets = "1.3.6.1.4.1.318.1.1.26.9.4.3.1";
        assert_eq!(value(&format!("{outlets}.3.3")), "compute-3");
        for (i, host) in sim.world().hosts().iter().enumerate() {
            let watts: f64 = value(&format!("{outlets}.7.{}", host.outlet)).parse().unwrap();
            let true_watts = |t| host.share(Side::A) * sim.world().host_watts(i, t);
            let drift = (true_watts(t1) - true_watts(t0)).abs() + 5.0;
            assert!((watts - true_watts(t0)).abs() < drift, "{}: {watts} W", host.name);
        }
        assert_eq!(value(&format!("{outlets}.7.20")), "0", "a spare outlet draws a true zero");
        let device: f64 = value("1.3.6.1.4.1.318.1.1.26.4.3.1.5.1").parse().unwrap();
        assert!((device * 10.0 - sim.world().pdu_watts(Side::A, t1)).abs() < 60.0, "{device} x 10 W");
    }
    let (ok, ..) =
        try_run("snmp", "snmpget", &["-v2c", "-c", "wrong", "-r0", "-t1", &address, "1.3.6.1.2.1.1.2.0"])
            .await;
    assert!(!ok, "a wrong community is not answered");
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snmpget_reads_the_eaton_pdu_over_v3_and_only_with_both_passwords() {
    let dir = tempfile::tempdir().unwrap();
    let sim = start(dir.path()).await;
    let [_, eaton, utility] = sim.agents();
    let address = eaton.to_string();
    let v3 = |auth: &'static str| {
        [
            "-v3",
            "-l",
            "authPriv",
            "-u",
            "monitor",
            "-a",
            "SHA",
            "-A",
            auth,
            "-x",
            "AES",
            "-X",
            "simulated-privacy",
            "-Oqn",
        ]
    };
    let outlet = "1.3.6.1.4.1.534.6.6.7.6.5.1.3.0.5";
    let got = run(
        "snmp",
        "snmpget",
        &[&v3("simulated-auth")[..], &[&address, "1.3.6.1.2.1.1.2.0", outlet]].concat(),
    )
    .await;
    let rows = pairs(&got);
    assert_eq!(rows[0].1, ".1.3.6.1.4.1.534.6.6.7");
    let host = &sim.world().hosts()[4];
    let true_watts = host.share(Side::B) * sim.world().host_watts(4, sim.seconds());
    assert!((rows[1].1.parse::<f64>().unwrap() - true_watts).abs() < 10.0, "{got} {true_watts}");
    let walk =
        run("snmp", "snmpbulkwalk", &[&v3("simulated-auth")[..], &[&address, "1.3.6.1.4.1.534"]].concat())
            .await;
    assert_eq!(
        pairs(&walk).iter().filter(|(o, _)| o.starts_with("1.3.6.1.4.1.534.6.6.7.6.5.1.3.0.")).count(),
        24
    );

    let wrong = [&v3("wrong-password")[..], &["-r0", "-t1", &address, outlet]].concat();
    assert!(!try_run("snmp", "snmpget", &wrong).await.0, "a wrong password is refused");
    let plain = ["-v3", "-l", "noAuthNoPriv", "-u", "monitor", "-r0", "-t1", &address, outlet];
    assert!(!try_run("snmp", "snmpget", &plain).await.0, "no password is refused");

    let input = "1.3.6.1.4.1.534.6.6.7.3.5.1.4.0.1";
    let main = utility.to_string();
    let got = run("snmp", "snmpget", &["-v2c", "-c", "simulated-community", "-Oqv", &main, input]).await;
    let true_watts = sim.world().building(Point::Utility, sim.seconds()).watts;
    assert!((got.trim().parse::<f64>().unwrap() - true_watts).abs() < 40.0, "{got} {true_watts}");
    sim.stop().await;
}

/// What `mbpoll` reads of `unit` from register `number` (as manuals count) on, by the rest of its arguments: one value a line.
async fn mbpoll(sim: &Running, unit: &str, number: &str, rest: &[&str]) -> (bool, String) {
    let port = sim.building().port().to_string();
    let args =
        [&["-m", "tcp", "-p", &port, "-a", unit, "-r", number, "-1", "-q"], rest, &["127.0.0.1"]].concat();
    let (ok, out, err) = try_run("mbpoll", "mbpoll", &args).await;
    (ok, out + &err)
}

/// The values in `mbpoll`'s `[3060]: 	1.52` lines.
fn values(said: &str) -> Vec<f64> {
    said.lines().filter_map(|l| l.strip_prefix('[')?.split_once("]:")?.1.trim().parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mbpoll_reads_every_meter_of_the_building_behind_one_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let sim = start(dir.path()).await;
    for (unit, point) in (1..).zip(Point::METERED) {
        let unit = f64::from(unit).to_string();
        for table in ["-t4:float", "-t3:float"] {
            let before = sim.world().building(point, sim.seconds());
            let (ok, said) = mbpoll(&sim, &unit, "3060", &[table, "-B"]).await;
            let after = sim.world().building(point, sim.seconds());
            assert!(ok, "{said}");
            let drift = (after.watts - before.watts).abs() + 1.0;
            assert!((values(&said)[0] * 1000.0 - after.watts).abs() < drift, "{point:?}: {said} {after:?}");
        }
        // The lower half of 64 bits; what was counted before the start is far below 2^31 Wh.
        let (ok, said) = mbpoll(&sim, &unit, "3204", &["-t4:int", "-B", "-c2"]).await;
        let counted = values(&said);
        assert!(ok && counted[0] == 0.0, "{said}");
        let since = sim.world().building(point, sim.seconds()).joules / 3600.0;
        assert!((counted[1] - 41_302_768.0 - since).abs() <= 1.0, "{point:?}: {said} {since}");
    }
    let (ok, volts) = mbpoll(&sim, "1", "3028", &["-t4:float", "-B", "-c3"]).await;
    assert!(ok && values(&volts).iter().all(|v| (229.0..231.0).contains(v)), "{volts}");
    let (_, hertz) = mbpoll(&sim, "1", "3110", &["-t4:float", "-B"]).await;
    assert!((values(&hertz)[0] - 50.01).abs() < 0.001, "{hertz}");

    let (ok, said) = mbpoll(&sim, "1", "1", &["-t4"]).await;
    assert!(!ok && said.contains("Illegal data address"), "{said}");
    let (ok, said) = mbpoll(&sim, "9", "3060", &["-t4:float"]).await;
    assert!(!ok && said.contains("Target device failed to respond"), "{said}");
    let counters = sim.counters("building").unwrap();
    assert!(counters.opened() >= 16 && counters.requests() >= 16, "{counters:?}");
    assert_eq!(sim.stop().await.left_open, vec![], "mbpoll closes what it opens");
}

async fn curl(sim: &Running, args: &[&str]) -> String {
    let ca = sim.ca.to_str().unwrap();
    run("curl", "curl", &[&["-sS", "--max-time", "10", "--cacert", ca], args].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_logs_in_reads_power_and_logs_out() {
    let dir = tempfile::tempdir().unwrap();
    let sim = start(dir.path()).await;
    for (index, host) in sim.world().hosts().iter().enumerate() {
        let base = format!("https://{}/redfish/v1", sim.bmc(index).unwrap());
        let sessions = format!("{base}/SessionService/Sessions");
        let login = r#"{"UserName":"monitor","Password":"simulated-bmc"}"#;
        let reply = curl(&sim, &["-D", "-", "-d", login, &sessions]).await;
        let header = |name: &str| {
            reply
                .lines()
                .find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)))
                .unwrap()
                .1
                .trim()
                .to_owned()
        };
        assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
        let token = format!("X-Auth-Token: {}", header("x-auth-token"));
        let get = async |path: &str| -> serde_json::Value {
            serde_json::from_str(&curl(&sim, &["-H", &token, &format!("{base}{path}")]).await).expect("JSON")
        };

        let chassis = get("/Chassis/1").await;
        let watts = if chassis.get("Power").is_some() {
            get("/Chassis/1/Power").await["PowerControl"][0]["PowerConsumedWatts"].as_f64()
        } else {
            let bay = get("/Chassis/1/PowerSubsystem/PowerSupplies/Bay2/Metrics").await;
            assert!(bay["InputPowerWatts"]["Reading"].as_f64().is_some_and(|w| w > 30.0), "{bay}");
            get("/Chassis/1/EnvironmentMetrics").await["PowerWatts"]["Reading"].as_f64()
        };
        let true_watts = sim.world().host_watts(index, sim.seconds());
        assert!((watts.unwrap() - true_watts).abs() < 10.0, "{}: {watts:?} {true_watts}", host.name);

        let counters = sim.counters(&format!("bmc-{}", host.name)).unwrap();
        assert_eq!(counters.held(), 1);
        let session = format!("https://{}{}", sim.bmc(index).unwrap(), header("location"));
        curl(&sim, &["-X", "DELETE", "-H", &token, &session]).await;
        assert_eq!((counters.held(), counters.opened()), (0, 1));
        let after =
            curl(&sim, &["-o", "/dev/null", "-w", "%{http_code}", "-H", &token, &format!("{base}/Chassis")])
                .await;
        assert_eq!(after, "401", "a closed session opens nothing");
    }
    assert_eq!(sim.stop().await.sessions_left_open(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_refuses_wrong_passwords_and_too_many_sessions_and_a_leak_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let sim = start(dir.path()).await;
    let url = format!("https://{}/redfish/v1/SessionService/Sessions", sim.bmc(0).unwrap());
    let code =
        async |body: &str| curl(&sim, &["-o", "/dev/null", "-w", "%{http_code}", "-d", body, &url]).await;
    assert_eq!(code(r#"{"UserName":"monitor","Password":"wrong"}"#).await, "401");
    let good = r#"{"UserName":"monitor","Password":"simulated-bmc"}"#;
    for _ in 0..8 {
        assert_eq!(code(good).await, "201");
    }
    assert_eq!(code(good).await, "503");
    let basic =
        curl(&sim, &["-o", "/dev/null", "-w", "%{http_code}", "-u", "monitor:simulated-bmc", &url]).await;
    assert_eq!(basic, "200", "Basic needs no session");
    let stopped = sim.stop().await;
    assert_eq!(stopped.left_open, vec![("bmc-compute-1".to_owned(), 8)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_silent_bmc_accepts_and_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sim = start(dir.path()).await;
    let url = format!("https://{}/redfish/v1/", sim.silent_bmc());
    let (ok, out, err) = try_run("curl", "curl", &["-sSk", "--max-time", "1", &url]).await;
    assert!(!ok && out.is_empty() && err.contains("(28)"), "{err}");
    sim.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_files_are_well_formed_and_its_secrets_closed() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let sim = start(dir.path()).await;
    for entry in std::fs::read_dir(dir.path().join("secrets")).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let config: serde_json::Value =
        serde_saphyr::from_str(&std::fs::read_to_string(&sim.config).unwrap()).expect("YAML");
    assert_eq!(config["meters"].as_array().unwrap().len(), 16);
    assert_eq!(config["hosts"].as_array().unwrap().len(), 8);
    assert_eq!(config["tenants"].as_array().unwrap().len(), 4);
    assert_eq!(config["hosts"][0]["feeds"][0][1], "pdu-b/outlet/1");
    let facility = &config["datacenters"][0]["facility"];
    assert_eq!(
        (&facility["ups_in"][0], &facility["cooling"][0]),
        (&"ups-in/input".into(), &"cooling/input".into())
    );
    let prometheus = sim.prometheus.to_str().unwrap();
    run("prometheus", "promtool", &["check", "config", "--syntax-only", prometheus]).await;
    sim.stop().await;
}
