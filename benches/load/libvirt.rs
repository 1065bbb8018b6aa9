//! What a read of a domain costs here and in Debian's `prometheus-libvirt-exporter`, the daemon's part included: the same
//! libvirtd with the same domains of its test driver, in one run.

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::exporter::{Exporter, Page, Program, get, weigh};
use crate::peer::{Libvirtd, nova};

/// Between two samples of ours.
const INTERVAL: Duration = Duration::from_secs(1);

/// What came of it. CPU time is the exporter's and libvirtd's together.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    pub domains: u32,
    pub theirs_domains_exported: usize,
    pub theirs_scrapes: u32,
    pub theirs_microseconds_per_domain: f64,
    pub ours_domains_exported: usize,
    pub ours_samples: f64,
    pub ours_microseconds_per_domain: f64,
    pub of_it_exporter: f64,
    pub of_it_libvirtd: f64,
    pub ratio: f64,
}

/// A node of libvirt's test driver with `count` running domains that have Nova's metadata.
fn node(count: u32) -> String {
    let mut xml = "<node><cpu><mhz>2600</mhz><model>x86_64</model><active>64</active><nodes>2</nodes><sockets>1</sockets>\
         <cores>16</cores><threads>2</threads></cpu><memory>268435456</memory>"
        .to_owned();
    for n in 0..count {
        let project = n % 20;
        let metadata =
            nova(&format!("vm-{n}"), &format!("{project:032x}"), &format!("project-{project}"), "buzz");
        write!(
            xml,
            "<domain type='test'><name>instance-{n:08x}</name><uuid>11111111-1111-4111-8111-{n:012x}</uuid>\
             <metadata>{metadata}</metadata><memory unit='MiB'>2048</memory><vcpu>2</vcpu><os><type>hvm</type></os>\
             <devices><disk type='file' device='disk'><source file='/guest/{n}.img'/><target dev='vda'/></disk>\
             <interface type='network'><mac address='fa:16:3e:00:{:02x}:{:02x}'/><source network='default'/>\
             <target dev='tap{n}'/></interface></devices></domain>",
            n >> 8 & 255,
            n & 255
        )
        .unwrap();
    }
    xml + "<network><name>default</name><bridge name='virbr0'/><ip address='192.168.122.1' netmask='255.255.255.0'/>\
           </network></node>"
}

/// Domains that have a series of a family.
fn exported(page: &Page, family: &str) -> usize {
    page.samples(family).count()
}

fn cpu_seconds(pids: [u32; 2]) -> [f64; 2] {
    pids.map(|pid| weigh(pid).cpu_seconds)
}

/// Scrapes the other exporter for `measure`, then runs ours as long.
pub fn compare(count: u32, measure: Duration) -> Comparison {
    let libvirtd = Libvirtd::start(|dir| fs::write(dir.join("node.xml"), node(count)).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let nodes = libvirtd.dir.path().join("node.xml").display().to_string();

    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new("prometheus-libvirt-exporter");
    let uri = format!("test+tcp://127.0.0.1:{}{nodes}", libvirtd.tcp_port);
    command
        .arg(format!("--web.listen-address={listen}"))
        .arg(format!("--libvirt.uri={uri}"))
        .arg("--libvirt.export-nova-metadata");
    let mut program = Program::start(command, dir.path());
    program.until("listening", |_| TcpStream::connect(listen).ok());
    let theirs_domains_exported = exported(&get(listen, "/metrics"), "libvirt_domain_info_virtual_cpus");
    assert!(theirs_domains_exported > 0, "{}", program.output());
    let pids = [program.pid(), libvirtd.pid()];
    let (before, began, mut scrapes) = (cpu_seconds(pids), Instant::now(), 0);
    while began.elapsed() < measure {
        get(listen, "/metrics");
        scrapes += 1;
    }
    let after = cpu_seconds(pids);
    drop(program);
    let theirs: f64 = after.iter().zip(before).map(|(to, from)| to - from).sum();
    let theirs_microseconds_per_domain = theirs / f64::from(scrapes) / theirs_domains_exported as f64 * 1e6;

    let config = dir.path().join("wattribute.yaml");
    let text = format!(
        "poll: {{interval: 1s}}\nhosts:\n  - name: node\n    feeds: [{{rated: 500 W}}]\n    hypervisor:\n      \
         libvirt: {{tcp: '127.0.0.1:{}', uri: 'test://{nodes}', interval: {}s}}\n",
        libvirtd.tcp_port,
        INTERVAL.as_secs()
    );
    fs::write(&config, text).unwrap();
    let mut exporter = Exporter::start(&config, dir.path());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut page = exporter.page();
    while exported(&page, "wattribute_vm_state") < count as usize || page.polls("libvirt").0 < 5.0 {
        assert!(
            Instant::now() < deadline,
            "{} domains\n{}",
            exported(&page, "wattribute_vm_state"),
            exporter.program.output()
        );
        sleep(INTERVAL);
        page = exporter.page();
    }
    let pids = [exporter.program.pid(), libvirtd.pid()];
    let (before, polls) = (cpu_seconds(pids), exporter.page().polls("libvirt"));
    sleep(measure);
    let (after, page) = (cpu_seconds(pids), exporter.page());
    let ours_samples = page.polls("libvirt").0 - polls.0;
    assert_eq!(page.polls("libvirt").1, polls.1, "every sample is good");
    let [of_it_exporter, of_it_libvirtd] =
        [0, 1].map(|i: usize| (after[i] - before[i]) / ours_samples / f64::from(count) * 1e6);
    let ours_microseconds_per_domain = of_it_exporter + of_it_libvirtd;
    Comparison {
        domains: count,
        theirs_domains_exported,
        theirs_scrapes: scrapes,
        theirs_microseconds_per_domain,
        ours_domains_exported: exported(&page, "wattribute_vm_state"),
        ours_samples,
        ours_microseconds_per_domain,
        of_it_exporter,
        of_it_libvirtd,
        ratio: theirs_microseconds_per_domain / ours_microseconds_per_domain,
    }
}
