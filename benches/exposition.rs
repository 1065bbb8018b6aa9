//! What a scrape of 100,000 series with 5 labels costs: rendering alone, the whole request in process, and over
//! loopback. `cargo bench --bench exposition`; without `--bench` (as `cargo test --benches` has it) each runs once.
//!
//! CPU time is the kernel's count for the threads concerned (`/proc/.../schedstat`), so that neighbours on the
//! machine do not count and a loopback client can be told from the server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![expect(clippy::disallowed_methods, reason = "a bench is about wall time")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use bytes::Bytes;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio_util::sync::CancellationToken;
use wattribute::exposition::{Encoder, Format, PageCache, catalog};
use wattribute::http::{Limits, MetricsPath, Pages, Status, router, serve};
use wattribute::model::LabelSet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERIES: u32 = 100_000;
/// Names of the threads whose CPU time is the exporter's.
const THREADS: &str = "exporter";

/// Workloads, their labels rendered beforehand as the ledger does.
struct Fleet {
    series: Vec<(LabelSet, f64)>,
}

impl Fleet {
    /// Workloads and tenants named by people, values as meters report them: a page of about 13 MB.
    fn of_names() -> Self {
        Self::new(|i| (format!("app-{i:06}"), format!("team-{:03}", i % 400), f64::from(i % 97_713) / 100.0))
    }

    /// VMs and projects of an OpenStack with their random ids, values with all the digits of a quotient: what
    /// compresses worst.
    fn of_uuids() -> Self {
        Self::new(|i| {
            let mut state = u64::from(i) + 1;
            let (high, low) = (random(&mut state), random(&mut state));
            let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
            let (d, e) = (low >> 48, low & 0xffff_ffff_ffff);
            let uuid = format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}");
            let mut state = u64::from(i % 400) << 32;
            let project = format!("{:016x}{:016x}", random(&mut state), random(&mut state));
            (uuid, project, f64::from(i % 977) * 1.37 / 3.0 + 0.25)
        })
    }

    fn new(member: impl Fn(u32) -> (String, String, f64)) -> Self {
        let one = |i: u32| {
            let (workload, project, watts) = member(i);
            let labels = LabelSet::new(&[
                ("datacenter", "par-1"),
                ("host", &format!("node-{:04}", i / 20)),
                ("kind", "vm"),
                ("workload", &workload),
                ("project_id", &project),
            ]);
            (labels, watts)
        };
        Self { series: (0..SERIES).map(one).collect() }
    }

    fn render(&self, page: &mut Encoder) {
        let mut family = page.family(&catalog::WORKLOAD_POWER_WATTS);
        for (labels, watts) in &self.series {
            family.sample(labels, *watts);
        }
    }
}

struct Exporter {
    fleet: Fleet,
    cache: PageCache,
    generation: AtomicU64,
}

/// A number like chance, the same in each run (splitmix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Exporter {
    /// As the ledger does at each tick: from here on the page is another.
    fn tick(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pages for Exporter {
    fn metrics(&self, format: Format, gzip: bool) -> Bytes {
        let generation = self.generation.load(Ordering::Relaxed);
        self.cache.get(generation, format, gzip, |page| self.fleet.render(page))
    }

    fn status(&self) -> Status {
        Status {
            version: String::new(),
            revision: String::new(),
            uptime_seconds: 0.0,
            devices: vec![],
            hypervisors: vec![],
        }
    }

    fn ready(&self) -> bool {
        true
    }
}

/// CPU time so far of all threads of this process whose name begins with `name`.
fn cpu_of(name: &str) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
        let task = task.ok()?.path();
        if !fs::read_to_string(task.join("comm")).ok()?.starts_with(name) {
            return None;
        }
        fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(tasks.sum())
}

/// Runs `once` some times after a few to warm up; prints CPU a run of the threads called `threads`, and wall time.
fn measure(title: &str, aim: &str, threads: &str, runs: u32, mut once: impl FnMut() -> usize) {
    for _ in 0..runs / 10 {
        once();
    }
    let (mut walls, mut bytes) = (Vec::new(), 0);
    let before = cpu_of(threads);
    for _ in 0..runs {
        let start = Instant::now();
        bytes = once();
        walls.push(start.elapsed());
    }
    let cpu = (cpu_of(threads).saturating_sub(before)) / runs;
    walls.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (least, median) = (ms(walls[0]), ms(walls[walls.len() / 2]));
    println!("{title:<44} {:>8.2} {least:>9.2} {median:>9.2} {bytes:>11}  {aim}", ms(cpu));
}

fn in_process(runs: u32, exporter: &Arc<Exporter>, runtime: &tokio::runtime::Runtime) {
    let service = TowerToHyperService::new(router(exporter.clone(), MetricsPath::default()));
    let ask = |gzip: bool| {
        let request =
            Request::get("/metrics").header("accept-encoding", if gzip { "gzip" } else { "identity" });
        let (service, request) = (service.clone(), request.body(Body::empty()).unwrap());
        let answer = runtime.spawn(async move {
            let response = service.call(request).await.unwrap();
            to_bytes(response.into_body(), usize::MAX).await.unwrap().len()
        });
        runtime.block_on(answer).unwrap()
    };
    let fresh = |gzip| {
        exporter.tick();
        ask(gzip)
    };
    measure("request in process, plain", "CPU 12 ms", THREADS, runs, || fresh(false));
    measure("request in process, gzip", "CPU 15 ms", THREADS, runs, || fresh(true));
    measure("request in process, gzip, same snapshot", "CPU 1 ms", THREADS, runs * 10, || ask(true));
}

/// One scrape by a client that reads and throws away.
fn scrape(stream: &mut TcpStream, gzip: bool, buffer: &mut [u8]) -> usize {
    let coding = if gzip { "gzip" } else { "identity" };
    let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut filled = 0;
    let (end, length) = loop {
        filled += stream.read(&mut buffer[filled..]).unwrap();
        let Some(end) = buffer[..filled].windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
        break (end + 4, length.parse::<usize>().unwrap());
    };
    let mut missing = length - (filled - end);
    while missing > 0 {
        missing -= stream.read(buffer).unwrap();
    }
    length
}

fn over_loopback(runs: u32, exporter: &Arc<Exporter>, runtime: &tokio::runtime::Runtime) {
    let stop = CancellationToken::new();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let routes = router(exporter.clone(), MetricsPath::default());
    let server = runtime.spawn(serve(listener, routes, Limits::default(), stop.clone()));
    let mut stream = TcpStream::connect(address).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut fresh = |gzip| {
        exporter.tick();
        scrape(&mut stream, gzip, &mut buffer)
    };
    measure("request over loopback, plain", "CPU 12 ms", THREADS, runs, || fresh(false));
    measure("request over loopback, gzip", "CPU 15 ms", THREADS, runs, || fresh(true));
    let mut again = || scrape(&mut stream, true, &mut buffer);
    measure("request over loopback, gzip, same snapshot", "CPU 1 ms", THREADS, runs * 10, &mut again);
    let mut again = || scrape(&mut stream, false, &mut buffer);
    measure("request over loopback, plain, same snapshot", "", THREADS, runs, &mut again);
    stop.cancel();
    runtime.block_on(server).unwrap();
}

fn rendering(runs: u32, exporter: &Arc<Exporter>) {
    // The bench's own thread bears the name of the binary, cut to 15 bytes by the kernel.
    let this = "exposition";
    for (format, title) in
        [(Format::Text, "rendering, text 0.0.4"), (Format::OpenMetrics, "rendering, OpenMetrics")]
    {
        let mut buffer = Vec::new();
        measure(title, "6 ms", this, runs, || {
            let mut encoder = Encoder::new(format, std::mem::take(&mut buffer));
            exporter.fleet.render(&mut encoder);
            buffer = encoder.finish();
            buffer.len()
        });
    }
    measure("rendering and gzip", "", this, runs, || {
        exporter.tick();
        exporter.metrics(Format::Text, true).len()
    });
}

fn main() {
    let runs = if std::env::args().any(|arg| arg == "--bench") { 50 } else { 1 };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().thread_name(THREADS).enable_all().build().unwrap();
    println!("{SERIES} series with 5 labels, {runs} runs; milliseconds");
    for (title, fleet) in [("names", Fleet::of_names()), ("UUIDs", Fleet::of_uuids())] {
        println!("\n{title:<44} {:>8} {:>9} {:>9} {:>11}  aim", "CPU", "least", "median", "bytes");
        let exporter = Arc::new(Exporter { fleet, cache: PageCache::new(), generation: AtomicU64::new(0) });
        rendering(runs, &exporter);
        in_process(runs, &exporter, &runtime);
        over_loopback(runs, &exporter, &runtime);
    }
}
