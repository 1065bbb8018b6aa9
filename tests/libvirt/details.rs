//! Memory, network, disks and the node against what virsh says of the same, on a real libvirtd with real QEMU guests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wattribute::workloads::libvirt::Address;
use wattribute::workloads::{Details, Source, Usage};

use super::page::{Page, no_counter_fell};
use super::peer::{Libvirtd, boot_sector};
use super::process::Exporter;
use super::{find, source, source_of};

const CALL: Duration = Duration::from_secs(3);
const NAME: &str = "instance-00000001";
const UUID: &str = "11111111-1111-4111-8111-111111111111";
/// Nova's, without an owner: whose it is, a rule must say.
const METADATA: &str = "<nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'><nova:ports>\
    <nova:port uuid='p'><nova:ip type='fixed' address='10.0.0.7' ipVersion='4'/></nova:port></nova:ports></nova:instance>";

/// A tap device, which needs /dev/net/tun, with a name that no other run has.
fn link(libvirtd: &Libvirtd) -> String {
    if std::fs::File::options().read(true).write(true).open("/dev/net/tun").is_err() {
        println!("/dev/net/tun cannot be opened: the guest has no link, so its traffic is 0");
        return String::new();
    }
    let tap = format!("wattr{}", libvirtd.tcp_port);
    format!("<interface type='ethernet'><mac address='52:54:00:00:00:01'/><target dev='{tap}'/></interface>")
}

/// A guest with two disks, of which the second is sparse, and a link.
fn define(libvirtd: &Libvirtd) {
    let (dir, link) = (libvirtd.dir.path(), link(libvirtd));
    for (name, size) in [("boot.raw", None), ("data.raw", Some(8 << 20))] {
        let file = dir.join(name);
        std::fs::write(&file, boot_sector(4)).unwrap();
        if let Some(size) = size {
            std::fs::File::options().write(true).open(&file).unwrap().set_len(size).unwrap();
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&file, mode).unwrap();
    }
    let disk = |file: &str, target: &str| {
        format!(
            "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>\
             <target dev='{target}' bus='ide'/></disk>",
            dir.join(file).display()
        )
    };
    let xml = format!(
        "<domain type='qemu'><name>{NAME}</name><uuid>{UUID}</uuid><metadata>{METADATA}</metadata>
         <memory unit='MiB'>24</memory><vcpu current='1'>2</vcpu>
         <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
         <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{}{}{link}
         <controller type='usb' model='none'/>
         <memballoon model='virtio'><stats period='10'/></memballoon></devices></domain>",
        disk("boot.raw", "hda"),
        disk("data.raw", "hdb"),
    );
    let file = dir.join("guest.xml");
    std::fs::write(&file, xml).unwrap();
    libvirtd.virsh(&["define", &file.display().to_string()]);
}

/// `key=value` or `key: value` lines of virsh.
fn told(text: &str, between: char) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line.split_once(between)?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// The number of `key` in bytes, without its unit.
fn number(told: &BTreeMap<String, String>, key: &str) -> Option<u64> {
    told.get(key)?.split_whitespace().next()?.parse().ok()
}

/// The sum of `GROUP.N.FIELD` over all N.
fn sum(told: &BTreeMap<String, String>, group: &str, field: &str) -> u64 {
    (0..9).filter_map(|n| number(told, &format!("{group}.{n}.{field}"))).sum()
}

async fn sampled(source: &mut Box<dyn Source>, is: impl Fn(&Usage) -> bool) -> Usage {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let usage = source.sample().await.unwrap();
        if is(&usage) {
            return usage;
        }
        assert!(Instant::now() < deadline, "{usage:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the guest has booted: its disks are read no more.
async fn at_rest(libvirtd: &Libvirtd) -> BTreeMap<String, String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let look = || told(&libvirtd.virsh(&["domstats", "--block", "--interface", "--balloon", NAME]), '=');
    let mut before = look();
    loop {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let now = look();
        let read = |told| sum(told, "block", "rd.bytes");
        if read(&now) > 0 && read(&now) == read(&before) {
            return now;
        }
        assert!(Instant::now() < deadline, "{now:?}");
        before = now;
    }
}

fn agree(details: &Details, virsh: &BTreeMap<String, String>) {
    let io = details.io.unwrap();
    assert_eq!(io.read_bytes, sum(virsh, "block", "rd.bytes"));
    assert_eq!(io.written_bytes, sum(virsh, "block", "wr.bytes"));
    assert_eq!((io.reads, io.writes), (sum(virsh, "block", "rd.reqs"), sum(virsh, "block", "wr.reqs")));
    let disk = details.disk.unwrap();
    assert_eq!(
        (disk.capacity, disk.taken),
        (sum(virsh, "block", "capacity"), sum(virsh, "block", "physical"))
    );
    let network = details.network.unwrap();
    assert_eq!(network.sent_bytes, sum(virsh, "net", "tx.bytes"));
    assert_eq!(network.sent_packets, sum(virsh, "net", "tx.pkts"));
    // Whoever else is on the link may speak between two looks.
    assert!(network.received_bytes >= sum(virsh, "net", "rx.bytes"));
    let resident = number(virsh, "balloon.rss").unwrap() * 1024;
    let apart = details.resident_memory_bytes.unwrap().abs_diff(resident);
    assert!(apart < resident / 4, "{details:?} {virsh:?}");
    // No driver in this guest tells, though its XML asks for it.
    assert_eq!(details.used_memory_bytes, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_network_and_disks_are_what_virsh_tells() {
    let libvirtd = Libvirtd::start(|_| {});
    define(&libvirtd);
    let mut shut_off = source(Address::Unix(libvirtd.socket("libvirt-sock-ro")), CALL);
    let off = sampled(&mut shut_off, |usage| find(usage, NAME).details.disk.is_some()).await;
    let virsh = told(&libvirtd.virsh(&["domstats", "--block", NAME]), '=');
    let Details { disk, io, network, resident_memory_bytes, cpu_allocated, .. } = &find(&off, NAME).details;
    let disk = disk.unwrap();
    assert_eq!(
        (disk.capacity, disk.taken),
        (sum(&virsh, "block", "capacity"), sum(&virsh, "block", "allocation"))
    );
    assert_eq!((io, network, resident_memory_bytes, *cpu_allocated), (&None, &None, &None, Some(0.0)));

    libvirtd.virsh(&["start", NAME]);
    let virsh = at_rest(&libvirtd).await;
    let mut source = source(Address::Unix(libvirtd.socket("libvirt-sock-ro")), CALL);
    let usage = sampled(&mut source, |usage| find(usage, NAME).details.io.is_some()).await;
    let vm = find(&usage, NAME);
    agree(&vm.details, &virsh);
    let info = told(&libvirtd.virsh(&["dominfo", NAME]), ':');
    assert_eq!(u64::from(vm.vcpus), number(&info, "CPU(s)").unwrap());
    assert_eq!(vm.memory_bytes, number(&info, "Used memory").unwrap() * 1024);
    assert_eq!((vm.info.architecture.as_str(), vm.details.cpu_allocated), ("x86_64", Some(1.0)));
    println!("{:?}", vm.details);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_is_what_virsh_tells() {
    let libvirtd = Libvirtd::start(|_| {});
    let target = libvirtd.dir.path().join("pool");
    std::fs::create_dir(&target).unwrap();
    let target = target.display().to_string();
    libvirtd.virsh(&["pool-create-as", "images", "dir", "--target", &target]);
    let address = Address::Tcp(format!("127.0.0.1:{}", libvirtd.tcp_port));
    let mut source = source(address, CALL);
    let known = |usage: &Usage| {
        let node = usage.node.as_ref().unwrap();
        node.disk.is_some() && !node.facts.hostname.is_empty()
    };
    let node = sampled(&mut source, known).await.node.unwrap();

    let info = told(&libvirtd.virsh(&["nodeinfo"]), ':');
    assert_eq!(u64::from(node.cpus), number(&info, "CPU(s)").unwrap());
    assert_eq!(node.mhz.map(u64::from), number(&info, "CPU frequency").filter(|mhz| *mhz > 0));
    assert_eq!(node.memory_bytes, number(&info, "Memory size").unwrap() * 1024);
    assert_eq!(u64::from(node.facts.threads_per_core), number(&info, "Thread(s) per core").unwrap());
    assert_eq!(node.facts.architecture, info["CPU model"]);
    assert_eq!(node.facts.hostname, libvirtd.virsh(&["hostname"]).trim());
    assert_eq!(node.facts.addresses, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let capabilities = libvirtd.virsh(&["capabilities"]);
    if let Some((_, rest)) = capabilities.split_once("<model>") {
        assert_eq!(node.facts.processor_model, rest.split_once('<').unwrap().0);
    }
    let free = number(&told(&libvirtd.virsh(&["freecell"]), ':'), "Total").unwrap() * 1024;
    assert!(node.free_memory_bytes.unwrap().abs_diff(free) < node.memory_bytes / 10);
    let pool = told(&libvirtd.virsh(&["pool-info", "--bytes", "images"]), ':');
    let disk = node.disk.unwrap();
    assert_eq!(
        (disk.capacity, disk.taken),
        (number(&pool, "Capacity").unwrap(), number(&pool, "Allocation").unwrap())
    );
    println!("{node:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_libvirt_makes_of_xml_gives_tenants_limits_and_devices() {
    let domain = |n: u8, name: &str, inside: &str| {
        format!(
            "<domain type='test'><name>{name}</name><uuid>00000000-0000-4000-8000-0000000000{n:02}</uuid>{inside}\
             <memory>65536</memory><vcpu>4</vcpu><os><type arch='x86_64'>hvm</type></os></domain>"
        )
    };
    let tune = "<cputune><shares>2048</shares><period>100000</period><quota>25000</quota></cputune>";
    let one = "<metadata><one:vm xmlns:one='http://opennebula.org/xmlns/libvirt/1.0'><one:uname>buzz</one:uname>\
               <one:gname>moonshot</one:gname></one:vm></metadata>";
    let kubevirt = "<metadata><kubevirt xmlns='http://kubevirt.io'><uid>1</uid></kubevirt></metadata>";
    let own = "<metadata><app:x xmlns:app='urn:app'><app:tenant>blue</app:tenant></app:x></metadata>";
    let node = format!(
        "<node><cpu><mhz>2600</mhz><model>x86_64</model><active>64</active><nodes>2</nodes><sockets>1</sockets>\
         <cores>16</cores><threads>2</threads></cpu><memory>268435456</memory>{}{}{}{}</node>",
        domain(1, "one-7", &format!("{one}{tune}")),
        domain(2, "atlas_web", kubevirt),
        domain(3, "i-2-15-VM", ""),
        domain(4, "plain", own),
    );
    let libvirtd = Libvirtd::start(|_| {});
    let file = libvirtd.dir.path().join("node.xml");
    std::fs::write(&file, node).unwrap();
    let uri = format!("test://{}", file.display());
    let mut source = source_of(Address::Unix(libvirtd.socket("libvirt-sock-ro")), &uri, CALL);
    let usage = source.sample().await.unwrap();
    let of = |name: &str| {
        let vm = find(&usage, name);
        (vm.info.project_id.as_ref().map(|id| id.as_str().to_owned()), vm.details.cpu_allocated)
    };
    assert_eq!(of("one-7"), (Some("moonshot".into()), Some(1.0)));
    assert_eq!(of("atlas_web"), (Some("atlas".into()), Some(4.0)));
    assert_eq!(of("i-2-15-VM"), (Some("account-2".into()), Some(4.0)));
    assert_eq!(of("plain"), (None, Some(4.0)));
    assert_eq!(find(&usage, "plain").info.tags, [("tenant".to_owned(), "blue".to_owned())]);
    assert_eq!(find(&usage, "one-7").info.user, "buzz");
}

/// What stands on the page of the one VM that there is.
fn of_vm(page: &Page, name: &str) -> Option<f64> {
    page.find(&format!("wattribute_vm_{name}"), &[("workload", UUID)]).map(|sample| sample.number())
}

/// An exporter of this hypervisor, whose VMs are whose their names say.
async fn exporter(libvirtd: &Libvirtd) -> Exporter {
    let file = libvirtd.dir.path().join("wattribute.yaml");
    let text = format!(
        "hosts:\n  - name: node\n    feeds: [{{rated: 100 W}}]\n\
         \x20   hypervisor: {{libvirt: {{socket: '{}', interval: 500ms}}}}\n\
         tenants:\n  - pattern: '(?<project>[a-z]+)-[0-9a-f]+'\n",
        libvirtd.socket("libvirt-sock-ro").display()
    );
    std::fs::write(&file, text).unwrap();
    Exporter::start(&file).await
}

/// Claims that the page says of the guest what virsh says.
fn page_agrees(page: &Page, virsh: &BTreeMap<String, String>) {
    let whole = |name: &str| of_vm(page, name).unwrap() as u64;
    for (name, group, field) in [
        ("disk_read_bytes_total", "block", "rd.bytes"),
        ("disk_written_bytes_total", "block", "wr.bytes"),
        ("disk_reads_total", "block", "rd.reqs"),
        ("disk_writes_total", "block", "wr.reqs"),
        ("disk_capacity_bytes", "block", "capacity"),
        ("disk_allocated_bytes", "block", "physical"),
        ("network_transmit_bytes_total", "net", "tx.bytes"),
        ("network_transmit_packets_total", "net", "tx.pkts"),
    ] {
        assert_eq!(whole(name), sum(virsh, group, field), "{name}");
    }
    assert!(whole("network_receive_bytes_total") >= sum(virsh, "net", "rx.bytes"));
    assert!(whole("network_receive_packets_total") >= sum(virsh, "net", "rx.pkts"));
    assert_eq!((whole("vcpus"), whole("memory_bytes"), whole("cpu_allocated_cpus")), (1, 24 << 20, 1));
    assert!(whole("resident_memory_bytes") > 1 << 20 && of_vm(page, "used_memory_bytes").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_each_parameter_and_no_counter_falls_when_a_guest_starts_anew() {
    let libvirtd = Libvirtd::start(|_| {});
    define(&libvirtd);
    libvirtd.virsh(&["start", NAME]);
    let virsh = at_rest(&libvirtd).await;
    let mut exporter = exporter(&libvirtd).await;
    let first = exporter.until("disks", |page| of_vm(page, "disk_reads_total").is_some()).await;
    page_agrees(&first, &virsh);

    let info = told(&libvirtd.virsh(&["nodeinfo"]), ':');
    let megahertz = number(&info, "CPU frequency").filter(|mhz| *mhz > 0);
    assert_eq!(of_vm(&first, "cpu_hertz").map(|hertz| hertz as u64 / 1_000_000), megahertz);
    let address = first.of("wattribute_vm_address_info").next().unwrap();
    assert_eq!((address.label("address"), address.label("project_id")), ("10.0.0.7", "instance"));
    assert_eq!(first.of("wattribute_workload_info").next().unwrap().label("architecture"), "x86_64");
    let node = first.of("wattribute_node_info").next().unwrap();
    assert_eq!(node.label("hostname"), libvirtd.virsh(&["hostname"]).trim());
    let threads = first.find("wattribute_node_threads_per_core", &[]).unwrap().number();
    assert_eq!(threads as u64, number(&info, "Thread(s) per core").unwrap());

    libvirtd.virsh(&["destroy", NAME]);
    libvirtd.virsh(&["start", NAME]);
    let before = of_vm(&first, "disk_reads_total").unwrap();
    let mut last = first;
    exporter
        .until("counted on", |page| {
            no_counter_fell(&last, page);
            last = page.clone();
            of_vm(page, "disk_reads_total").unwrap() > before
        })
        .await;
}
