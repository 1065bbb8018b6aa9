//! A simulated data centre, an exporter with its doors, and requests of every kind.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use wattribute::model::SystemClock;
use wattribute::sim::{Datacenter, Running};

use crate::page::Page;
use crate::process::{Exporter, PATIENCE, Program, Response, free_address, in_repository, wattribute};

/// The operator, and whom they let scrape.
pub const ADMIN: (&str, &str) = ("admin", "right-admin-word");
pub const SCRAPER: (&str, &str) = ("prometheus", "right-scrape-word");

/// A data centre whose configuration may be changed: `include` names `extra.yaml`, which is empty of devices at first.
pub struct Room {
    pub sim: Running,
    pub dir: TempDir,
    pub config: PathBuf,
    base: String,
    _alone: MutexGuard<'static, ()>,
}

/// One room at a time: each has sixteen devices with deadlines.
static ROOMS: Mutex<()> = Mutex::const_new(());

impl Room {
    pub async fn open() -> Self {
        let alone = ROOMS.lock().await;
        let dir = tempfile::tempdir().unwrap();
        let plan = Datacenter { seed: 7, exporter: free_address(), rules: in_repository("rules") };
        let sim = plan.start(dir.path(), Arc::new(SystemClock::new())).await.expect("the data centre starts");
        // Slower than usual, so that a busy machine makes no device late.
        let base = fs::read_to_string(&sim.config).unwrap();
        let base = base.replace("interval: 1s, timeout: 900ms", "interval: 2s, timeout: 2s");
        let base = base.replace("interval: 1s", "interval: 3s");
        let config = dir.path().join("changing.yaml");
        let room = Self { sim, dir, config, base, _alone: alone };
        room.write(&room.base, "tenants: []\n");
        room
    }

    fn write(&self, base: &str, extra: &str) {
        fs::write(self.dir.path().join("extra.yaml"), extra).unwrap();
        fs::write(&self.config, format!("include: [extra.yaml]\n{base}")).unwrap();
    }

    /// Writes the configuration anew with this in the included file, and `change` made to the rest.
    pub fn change(&self, extra: &str, change: impl FnOnce(String) -> String) {
        self.write(&change(self.base.clone()), extra);
    }

    /// Sessions and connections that all devices have seen.
    pub fn opened(&self) -> u64 {
        let bmcs = (0..8).map(|host| format!("bmc-{}", self.sim.world().hosts()[host].name));
        bmcs.map(|name| self.sim.counters(&name).unwrap_or_else(|| panic!("{name}")).opened()).sum()
    }
}

/// The users' file, with the least cost that bcrypt has: test builds are slow.
pub fn users() -> String {
    let hash = |word| bcrypt::hash(word, 4).unwrap();
    let line = |(name, word)| format!("  {name}: {}\n", hash(word));
    format!("basic_auth_users:\n{}{}", line(ADMIN), line(SCRAPER))
}

/// An exporter that lets its operator do everything.
pub async fn open_to_its_operator(room: &Room) -> Exporter {
    let web = room.dir.path().join("web.yml");
    fs::write(&web, users()).unwrap();
    let web = format!("--web.config.file={}", web.display());
    let state = format!("--storage.path={}", room.dir.path().join("state").display());
    // Counters are shown as they are on disk: so that tests see them move.
    let often = "--storage.checkpoint-interval=1s";
    start(&room.config, &["--web.enable-lifecycle", "--web.enable-admin-api", &web, &state, often]).await
}

/// Starts an exporter and waits until it listens; it may ask for a password from then on.
pub async fn start(config: &Path, arguments: &[&str]) -> Exporter {
    let mut command = wattribute(&["serve", "--web.listen-address=127.0.0.1:0"]);
    command.arg("--config.file").arg(config).args(arguments);
    let mut program = Program::start(command);
    let address = program.until("listening", async |p| listening(&p.output())).await;
    Exporter { program, address }
}

fn listening(log: &str) -> Option<SocketAddr> {
    let line = log.split_inclusive('\n').find(|line| line.contains("listening") && line.ends_with('\n'))?;
    let (_, from) = line.split_once("127.0.0.1:")?;
    let port: String = from.chars().take_while(char::is_ascii_digit).collect();
    Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
}

pub fn authorization((name, word): (&str, &str)) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{word}"));
    format!("Authorization: Basic {text}\r\n")
}

/// Asks once over a connection of its own; `fields` are whole header lines.
pub async fn ask(address: SocketAddr, request: &str, fields: &str, body: &str) -> Response {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let text = format!("{request} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{length}{fields}\r\n{body}");
    let answer = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head") + 4;
        let body = bytes.split_off(end);
        let head = String::from_utf8(bytes).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head, body }
    };
    timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("{request} is not answered"))
}

/// The page as its scraper sees it.
pub async fn scrape(address: SocketAddr) -> Page {
    let answer = ask(address, "GET /metrics", &authorization(SCRAPER), "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Page::parse(answer.text())
}

/// Waits until the page is such that `good` holds; gives it.
pub async fn until(exporter: &mut Exporter, what: &str, mut good: impl FnMut(&Page) -> bool) -> Page {
    let address = exporter.address;
    let look = async |_: &Program| {
        let page = scrape(address).await;
        good(&page).then_some(page)
    };
    exporter.program.until(what, look).await
}

/// Switches something, as the operator.
pub async fn switch(address: SocketAddr, what: &str, on: bool) -> Response {
    let body = format!("{{\"enabled\": {on}}}");
    ask(address, &format!("PUT /api/v1/{what}/enabled"), &authorization(ADMIN), &body).await
}

pub fn json(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

/// The value of the one sample with these labels, if it is there.
pub fn value(page: &Page, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    page.find(name, labels).map(crate::page::Sample::number)
}

/// Whether all is read, and something was settled for every host.
pub fn settled(page: &Page) -> bool {
    let up = page.of("wattribute_meter_up").filter(|s| s.value == "1").count();
    let hosts = page.of("wattribute_host_energy_joules_total").filter(|s| s.microjoules() > 0);
    up >= 15 && hosts.count() >= 8
}
