//! What VMs cost: a sample of a hypervisor with 1,000 of them over libvirt's protocol on a unix socket, the tick that
//! settles it, and the memory that each VM keeps. Run: `cargo bench --bench workloads`.
//!
//! CPU time is the kernel's count for the exporter's thread (`/proc/thread-self/schedstat`): the server's is not in it. A
//! plain program, since it measures CPU and memory, not time.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

#[allow(dead_code)]
#[path = "../tests/libvirt/fake.rs"]
mod fake;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fake::{Call, KEEPALIVE, STATS, XML, answer, string};
use wattribute::attribution::Ledger;
use wattribute::inventory::{Feed, Host, Inventory};
use wattribute::model::{
    Batch, ChannelId, Clock, DatacenterId, HostId, Measure, MeterId, Moment, Reading, SystemClock, Watts,
};
use wattribute::store::{MeterSettings, Store};
use wattribute::workloads::libvirt::{self, Address, Settings};
use wattribute::workloads::{Source, SourceIndex, SourceSettings, UsageLog};

const VMS: u32 = 1000;
/// The argument that makes this program the hypervisors.
const SERVE: &str = "serve-hypervisors";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, socket] = &arguments[..]
        && role == SERVE
    {
        return serve(Path::new(socket));
    }
    let is_bench = arguments.iter().any(|arg| arg == "--bench");
    let (hosts, runs) = if is_bench { (10, 50) } else { (1, 1) };
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("libvirt-sock-ro");
    let _hypervisors = Hypervisors::start(&socket);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut exporter = Exporter::new(hosts, clock.now());
    let open = || {
        let settings = Settings {
            address: Address::Unix(socket.clone()),
            uri: "qemu:///system".into(),
            call_timeout: Duration::from_secs(20),
        };
        libvirt::open(settings, Arc::clone(&clock)).unwrap()
    };
    let mut sources: Vec<_> = (0..hosts).map(|_| open()).collect();
    let before = resident_bytes();
    for _ in 0..3 {
        exporter.tick(&runtime, &mut sources, &clock);
    }
    let after = resident_bytes();
    let vms = hosts * VMS as usize;
    let counted: usize = exporter.ledger.hosts().iter().map(|h| h.workloads().count()).sum();
    assert_eq!(counted, vms, "every VM has its account");

    println!("{hosts} hypervisors of {VMS} VMs each over libvirt's protocol, {runs} runs");
    println!("{:<46} {:>10} {:>12}  aim", "", "a tick", "a VM");
    let (mut sampling, mut settling) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..runs {
        let (sampled, settled) = exporter.tick(&runtime, &mut sources, &clock);
        sampling += sampled;
        settling += settled;
    }
    let each = |title: &str, cpu: Duration, aim: &str| {
        let a_run = cpu / runs / u32::try_from(hosts).unwrap();
        println!(
            "{title:<46} {:>7.2} ms {:>9.2} µs  {aim}",
            a_run.as_secs_f64() * 1e3,
            a_run.as_secs_f64() * 1e6 / f64::from(VMS)
        );
    };
    each("sample of one hypervisor, CPU", sampling, "50 µs a VM, libvirtd's included");
    each("settling it, CPU", settling, "5 ms a tick");
    let kept = after.saturating_sub(before) as f64 / vms as f64;
    println!("{:<46} {:>10} {:>9.0} B   2 kB", "memory kept: source, sample, account", "", kept);
}

/// Meters, samples and accounts of some hosts.
struct Exporter {
    store: Store,
    usage: UsageLog,
    ledger: Ledger,
    hosts: usize,
}

impl Exporter {
    fn new(hosts: usize, now: Moment) -> Self {
        let datacenter = || DatacenterId::new("dc1").unwrap();
        let name = |n: usize| format!("host-{n}");
        let patience = Duration::from_secs(30);
        let meters = (0..hosts).map(|n| MeterSettings {
            id: MeterId::new(&name(n)).unwrap(),
            datacenter: datacenter(),
            driver: "snmp",
            address: String::new(),
            accuracy: None,
            stale_after: patience,
            max_gap: patience,
        });
        let store = Store::new(meters.collect());
        let host = |n: usize| Host {
            feeds: vec![Feed::Channels(vec![(MeterId::new(&name(n)).unwrap(), input())])],
            ..Host::new(HostId::new(&name(n)).unwrap(), datacenter())
        };
        let inventory = Inventory { hosts: (0..hosts).map(host).collect(), ..Inventory::default() };
        let source = |n: usize| SourceSettings {
            host: HostId::new(&name(n)).unwrap(),
            datacenter: datacenter(),
            driver: "libvirt",
            address: String::new(),
            stale_after: patience,
        };
        let sources: Vec<_> = (0..hosts).map(|n| Some(SourceIndex(n))).collect();
        Self {
            ledger: Ledger::new(&inventory, &sources, &store, now),
            usage: UsageLog::new((0..hosts).map(source).collect()),
            store,
            hosts,
        }
    }

    /// Reads every meter, samples every hypervisor, settles; CPU time of the last two.
    fn tick(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        sources: &mut [Box<dyn Source>],
        clock: &Arc<dyn Clock>,
    ) -> (Duration, Duration) {
        self.read_meters(clock.now());
        let begun = cpu();
        for (n, source) in sources.iter_mut().enumerate() {
            let usage = runtime.block_on(source.sample()).unwrap();
            assert_eq!(usage.workloads.len(), VMS as usize);
            self.usage.push(SourceIndex(n), usage);
        }
        let sampled = cpu();
        self.read_meters(clock.now());
        let read = cpu();
        self.ledger.settle(&self.store, &self.usage, clock.now());
        (sampled.saturating_sub(begun), cpu().saturating_sub(read))
    }

    fn read_meters(&self, now: Moment) {
        for n in 0..self.hosts {
            let power = Measure::Power(Watts::new(400.0).unwrap());
            let batch = Batch { readings: vec![Reading::measured(input(), power)], ..Batch::default() };
            let meter = self.store.find(&MeterId::new(&format!("host-{n}")).unwrap()).unwrap();
            self.store.apply(meter, &batch, now);
        }
    }
}

fn input() -> ChannelId {
    ChannelId::new("input").unwrap()
}

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// Memory that this process holds.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// The hypervisors, in a process of their own, so that what they hold is not counted. Each connection is to another.
struct Hypervisors(Child);

impl Hypervisors {
    fn start(socket: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program).arg(SERVE).arg(socket).spawn().unwrap();
        let started = Instant::now();
        while UnixStream::connect(socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "the hypervisors do not start");
            std::thread::yield_now();
        }
        Self(child)
    }
}

impl Drop for Hypervisors {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    for (host, stream) in (0..).zip(listener.incoming()) {
        std::thread::spawn(move || Server::new(host).serve(stream.unwrap()));
    }
}

/// A hypervisor with [`VMS`] running domains as Nova makes them. Its answers about all of them are made once.
struct Server {
    host: u32,
    begun: Instant,
    all_with_cpu: Vec<u8>,
    all_with_state: Vec<u8>,
}

impl Server {
    fn new(host: u32) -> Self {
        let all: Vec<u32> = (1..=VMS).collect();
        Self {
            host,
            begun: Instant::now(),
            all_with_cpu: records(host, &all, true),
            all_with_state: records(host, &all, false),
        }
    }

    fn serve(mut self, mut stream: UnixStream) {
        let mut word = [0; 4];
        while stream.read_exact(&mut word).is_ok() {
            let mut rest = vec![0; u32::from_be_bytes(word) as usize - 4];
            stream.read_exact(&mut rest).unwrap();
            let at = |i: usize| u32::from_be_bytes(rest[i..i + 4].try_into().unwrap());
            if at(0) == KEEPALIVE {
                continue;
            }
            let call = Call { procedure: at(8), serial: at(16), body: rest[24..].to_vec() };
            let reply = self.reply(&call);
            if stream.write_all(&reply).is_err() {
                return;
            }
        }
    }

    fn reply(&mut self, call: &Call) -> Vec<u8> {
        match call.procedure {
            STATS => {
                let (named, groups) = named(&call.body);
                let with_cpu = groups & 2 != 0;
                let body = match (named.is_empty(), with_cpu) {
                    (true, true) => self.all_with_cpu.clone(),
                    (true, false) => self.all_with_state.clone(),
                    (false, _) => records(self.host, &named, with_cpu),
                };
                call.reply(&self.aged(body, with_cpu))
            }
            XML => {
                // A name, the UUID, the id: its last word is the domain's number.
                let end = call.body.len() - 4;
                let n = u32::from_be_bytes(call.body[end - 4..end].try_into().unwrap());
                call.reply(&string(&description(self.host, n)))
            }
            _ => answer(call, &[], nanos(self.begun)),
        }
    }

    /// Time goes on: the same CPU time for all, written over what stands behind each `cpu.time`.
    fn aged(&self, mut body: Vec<u8>, with_cpu: bool) -> Vec<u8> {
        if with_cpu {
            let mark = string("cpu.time");
            let now = nanos(self.begun).to_be_bytes();
            let mut from = 0;
            while let Some(found) = body[from..].windows(mark.len()).position(|w| w == mark) {
                let value = from + found + mark.len() + 4;
                body[value..value + 8].copy_from_slice(&now);
                from = value + 8;
            }
        }
        body
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos() / 100).unwrap()
}

/// The domains that a statistics call names, by number, and the groups it asks for.
fn named(body: &[u8]) -> (Vec<u32>, u32) {
    let word = |i: usize| u32::from_be_bytes(body[i..i + 4].try_into().unwrap());
    let mut at = 4;
    let list = (0..word(0))
        .map(|_| {
            at += 4 + (word(at) as usize).next_multiple_of(4) + 16 + 4;
            word(at - 4)
        })
        .collect();
    (list, word(at))
}

fn identity(host: u32, n: u32) -> Vec<u8> {
    let uuid = u128::from(host) << 64 | 0x1111_4111_8111_0000_0000_0000 << 32 | u128::from(n);
    [&string(&format!("instance-{n:08x}"))[..], &uuid.to_be_bytes(), &n.to_be_bytes()].concat()
}

/// What libvirtd tells of each domain of the groups state, CPU time, memory, network and disks.
fn records(host: u32, domains: &[u32], with_cpu: bool) -> Vec<u8> {
    const CPU: [&str; 3] = ["cpu.time", "cpu.user", "cpu.system"];
    const REST: [&str; 20] = [
        "balloon.current",
        "balloon.maximum",
        "balloon.rss",
        "net.count",
        "net.0.rx.bytes",
        "net.0.rx.pkts",
        "net.0.tx.bytes",
        "net.0.tx.pkts",
        "block.count",
        "block.0.rd.reqs",
        "block.0.rd.bytes",
        "block.0.rd.times",
        "block.0.wr.reqs",
        "block.0.wr.bytes",
        "block.0.wr.times",
        "block.0.fl.reqs",
        "block.0.fl.times",
        "block.0.allocation",
        "block.0.capacity",
        "block.0.physical",
    ];
    let mut out = u32::try_from(domains.len()).unwrap().to_be_bytes().to_vec();
    for n in domains {
        out.extend(identity(host, *n));
        let named: &[&str] = if with_cpu { &CPU } else { &REST };
        out.extend((u32::try_from(named.len()).unwrap() + 2).to_be_bytes());
        for state in ["state.state", "state.reason"] {
            out.extend([&string(state)[..], &[0, 0, 0, 1], &[0, 0, 0, 1]].concat());
        }
        for name in named {
            out.extend([&string(name)[..], &[0, 0, 0, 4], &4_194_304_u64.to_be_bytes()].concat());
        }
    }
    out
}

/// A description as Nova writes it, cut to what is of use.
fn description(host: u32, n: u32) -> String {
    format!(
        "<domain type='kvm' id='{n}'><name>instance-{n:08x}</name><metadata><nova:instance \
         xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'><nova:name>server-{host}-{n}</nova:name>\
         <nova:flavor name='SCS-2V-4'><nova:memory>4096</nova:memory><nova:vcpus>2</nova:vcpus></nova:flavor>\
         <nova:owner><nova:user uuid='7a1c'>operator</nova:user><nova:project uuid='{:032x}'>project-{}</nova:project></nova:owner>\
         <nova:ports><nova:port uuid='1'><nova:ip type='fixed' address='10.{host}.{}.{}' ipVersion='4'/></nova:port></nova:ports>\
         </nova:instance></metadata><memory unit='KiB'>4194304</memory><currentMemory unit='KiB'>4194304</currentMemory>\
         <vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os></domain>",
        n % 50,
        n % 50,
        n / 250,
        n % 250
    )
}
