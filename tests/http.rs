//! The server as bytes on a socket: what it answers, and what it does to clients that are slow, large or rude.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wattribute::exposition::catalog;
use wattribute::exposition::{Format, PageCache};
use wattribute::http::{DeviceStatus, Limits, MetricsPath, Pages, Status, router, serve};

/// Longer than anything here may take.
const SOON: Duration = Duration::from_secs(20);

/// Pages over one number, or over a large body whose life can be watched.
#[derive(Default)]
struct Fake {
    cache: PageCache,
    ready: AtomicBool,
    panics: AtomicBool,
    large: Mutex<Option<Bytes>>,
}

impl Pages for Fake {
    fn metrics(&self, format: Format, gzip: bool) -> Bytes {
        assert!(!self.panics.load(Ordering::SeqCst), "on purpose");
        if let Some(body) = self.large.lock().unwrap().take() {
            return body;
        }
        self.cache.get(1, format, gzip, |e| e.family(&catalog::PROCESS_OPEN_FDS).single(7_u64))
    }

    fn status(&self) -> Status {
        Status {
            version: "0.1.0".into(),
            revision: "abc".into(),
            uptime_seconds: 5.0,
            devices: vec![DeviceStatus {
                name: "pdu-<1>".into(),
                driver: "snmp".into(),
                address: "10.0.0.9:161".into(),
                enabled: true,
                up: false,
                age_seconds: Some(61.0),
                error: Some("no answer within 2 s; check the community".into()),
            }],
            hypervisors: vec![],
        }
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }
}

struct Server {
    address: SocketAddr,
    pages: Arc<Fake>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (pages, stop) = (Arc::new(Fake::default()), CancellationToken::new());
    let routes = router(pages.clone(), MetricsPath::default());
    let task = tokio::spawn(serve(listener, routes, limits, stop.clone()));
    Server { address, pages, stop, task }
}

/// A response, taken apart by hand.
#[derive(Debug)]
struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Takes the first response off `bytes`.
fn take(bytes: &mut Vec<u8>, has_body: bool) -> Response {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head") + 4;
    let head = String::from_utf8(bytes.drain(..end).collect()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut response = Response { status, head, body: Vec::new() };
    if has_body {
        let length: usize = response.header("content-length").map_or(0, |l| l.parse().unwrap());
        response.body = bytes.drain(..length).collect();
    }
    response
}

impl Server {
    /// Sends `bytes` and reads until the server closes.
    async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may refuse before it has read all.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the server closes");
        answer
    }

    async fn ask(&self, request: &str, headers: &str) -> Response {
        let bytes = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        let mut answer = self.raw(bytes.as_bytes()).await;
        let response = take(&mut answer, !request.starts_with("HEAD"));
        assert!(answer.is_empty(), "nothing follows");
        response
    }

    async fn is_well(&self) -> bool {
        self.ask("GET /-/healthy", "").await.status == 200
    }
}

fn gunzip(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    plain
}

#[tokio::test]
async fn the_page_comes_in_the_format_and_coding_asked_for() {
    let server = start(Limits::default()).await;
    let classic = server.ask("GET /metrics", "").await;
    assert_eq!(classic.status, 200);
    assert_eq!(classic.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(classic.header("content-encoding"), None);
    assert_eq!(classic.header("vary"), Some("Accept, Accept-Encoding"));
    assert!(classic.text().ends_with("process_open_fds 7\n"));

    let accept =
        "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n";
    let plain = server.ask("GET /metrics", accept).await;
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
    assert_eq!(plain.header("content-type"), Some(openmetrics));
    assert!(plain.text().ends_with("# EOF\n"));

    let zipped = server.ask("GET /metrics", &format!("{accept}Accept-Encoding: gzip\r\n")).await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(zipped.header("content-type"), Some(openmetrics));
    assert_eq!(gunzip(&zipped.body), plain.body);
}

#[tokio::test]
async fn head_says_the_length_and_sends_no_body() {
    let server = start(Limits::default()).await;
    let get = server.ask("GET /metrics", "").await;
    let head = server.ask("HEAD /metrics", "").await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length").unwrap(), get.body.len().to_string());
    assert_eq!(head.header("content-type"), get.header("content-type"));
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_apart() {
    let server = start(Limits::default()).await;
    for (request, status) in [
        ("GET /nothing", 404),
        ("GET /metrics/", 404),
        ("GET /-/", 404),
        ("POST /metrics", 405),
        ("DELETE /", 405),
        ("GET /-/reload", 405),
        ("POST /-/reload", 403),
        ("PUT /-/reload", 403),
        ("GET /-/healthy", 200),
        ("GET /metrics?name[]=x", 200),
    ] {
        assert_eq!(server.ask(request, "").await.status, status, "{request}");
    }
    assert_eq!(server.ask("POST /metrics", "").await.header("allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn ready_waits_for_the_first_settled_energy() {
    let server = start(Limits::default()).await;
    assert_eq!(server.ask("GET /-/ready", "").await.status, 503);
    server.pages.ready.store(true, Ordering::SeqCst);
    assert_eq!(server.ask("GET /-/ready", "").await.status, 200);
}

#[tokio::test]
async fn the_page_for_people_names_devices_and_lets_nothing_run() {
    let server = start(Limits::default()).await;
    let page = server.ask("GET /", "").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    for part in
        ["pdu-&lt;1&gt;", "10.0.0.9:161", "61 s ago", "check the community", "href=\"/metrics\"", "abc"]
    {
        assert!(page.text().contains(part), "{part}");
    }
    assert_eq!(
        server.ask("GET /style.css", "").await.header("content-type"),
        Some("text/css; charset=utf-8")
    );
}

#[tokio::test]
async fn a_page_that_panics_is_one_failed_request() {
    let server = start(Limits::default()).await;
    server.pages.panics.store(true, Ordering::SeqCst);
    assert_eq!(server.ask("GET /metrics", "").await.status, 500);
    server.pages.panics.store(false, Ordering::SeqCst);
    assert_eq!(server.ask("GET /metrics", "").await.status, 200);
}

#[tokio::test]
async fn garbage_is_refused_and_the_next_client_is_served() {
    let server = start(Limits::default()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut answer = server.raw(garbage).await;
        assert!(answer.is_empty() || take(&mut answer, true).status == 400, "{garbage:?}");
        assert!(server.is_well().await);
    }
}

#[tokio::test]
async fn large_heads_and_bodies_are_refused() {
    let server = start(Limits::default()).await;
    let many: String = (0..100).map(|i| format!("X-{i}: y\r\n")).collect();
    assert_eq!(server.ask("GET /metrics", &many).await.status, 431);
    let long = format!("GET /metrics HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(64 * 1024));
    let mut answer = server.raw(long.as_bytes()).await;
    // The reset that follows unread bytes may overtake the answer.
    assert!(answer.is_empty() || take(&mut answer, true).status == 431);
    assert!(server.is_well().await);
    let body = "Content-Length: 100000000000\r\n";
    assert_eq!(server.ask("POST /-/reload", body).await.status, 413);
    assert!(server.is_well().await);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start(Limits::default()).await;
    let requests = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut answer = server.raw(requests.as_bytes()).await;
    let statuses: Vec<_> = (0..3).map(|_| take(&mut answer, true).status).collect();
    assert_eq!(statuses, [200, 404, 200]);
    assert!(answer.is_empty());
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_closed() {
    let server = start(Limits { head: Duration::from_millis(200), ..Limits::default() }).await;
    for beginning in ["", "GET /metrics HT", "GET /metrics HTTP/1.1\r\nHost: x\r\n"] {
        let _ = server.raw(beginning.as_bytes()).await;
    }
    assert!(server.is_well().await);
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_hold_a_page() {
    /// Larger than the sockets' buffers.
    struct Page(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Page {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let server = start(Limits { write: Duration::from_millis(300), ..Limits::default() }).await;
    let memory = Arc::new(vec![b'x'; 64 << 20]);
    let watch: Weak<_> = Arc::downgrade(&memory);
    *server.pages.large.lock().unwrap() = Some(Bytes::from_owner(Page(memory)));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let freed = async {
        while watch.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, freed).await.expect("the page is let go");
    assert!(server.is_well().await);
    drop(stream);
}

#[tokio::test]
async fn more_clients_than_allowed_wait_for_their_turn() {
    let server = start(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let waiting = timeout(Duration::from_millis(200), server.is_well()).await;
    assert!(waiting.is_err(), "the only slot is taken");
    drop(first);
    assert!(timeout(SOON, server.is_well()).await.unwrap());
}

#[tokio::test]
async fn a_server_that_stops_lets_idle_clients_go_and_ends() {
    let server = start(Limits::default()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    server.stop.cancel();
    timeout(SOON, server.task).await.expect("serve ends").unwrap();
    let mut rest = Vec::new();
    timeout(SOON, idle.read_to_end(&mut rest)).await.expect("the client is let go").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_client_that_hangs_does_not_keep_a_stopped_server_alive() {
    let server = start(Limits { shutdown: Duration::from_millis(100), ..Limits::default() }).await;
    *server.pages.large.lock().unwrap() = Some(Bytes::from(vec![0; 64 << 20]));
    let mut hanging = TcpStream::connect(server.address).await.unwrap();
    hanging.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    hanging.read_exact(&mut answer).await.unwrap();
    server.stop.cancel();
    timeout(SOON, server.task).await.expect("serve ends").unwrap();
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts Prometheus on a free port to scrape `target` often; gives its address.
fn prometheus(folder: &std::path::Path, target: SocketAddr) -> (Running, SocketAddr) {
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
         scrape_configs: [{{job_name: wattribute, static_configs: [{{targets: ['{target}']}}]}}]\n"
    );
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).unwrap();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={own}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus is missing; `make test` installs it");
    (Running(child), own)
}

/// The first value of an instant query, once there is one.
async fn query(prometheus: SocketAddr, expression: &str) -> String {
    let request =
        format!("GET /api/v1/query?query={expression} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let ask = async || {
        let mut stream = TcpStream::connect(prometheus).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        let body = take(&mut answer, true).body;
        let json: serde_json::Value = serde_json::from_slice(&body).ok()?;
        Some(json["data"]["result"][0]["value"][1].as_str()?.to_owned())
    };
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_real_prometheus_takes_the_page() {
    let server = start(Limits::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let (_running, address) = prometheus(folder.path(), server.address);
    let value = timeout(SOON * 3, query(address, "process_open_fds")).await.expect("a sample");
    assert_eq!(value, "7");
    assert_eq!(timeout(SOON, query(address, "up")).await.expect("a target"), "1");
}
