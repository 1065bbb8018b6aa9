//! The exporter as a process: started, asked over HTTP, and ended by its own process id.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::page::Page;

/// The longest that anything on this machine may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A program with its output in a file. Dropping it kills it.
pub struct Program {
    child: Child,
    dir: TempDir,
}

impl Program {
    pub fn start(mut command: Command) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name| File::create(dir.path().join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        let child = command.spawn().unwrap_or_else(|e| {
            panic!("{} is missing ({e}); `make test` installs it", command.get_program().display())
        });
        Self { child, dir }
    }

    /// All that it wrote, standard output first.
    pub fn output(&self) -> String {
        let read = |name| fs::read(self.dir.path().join(name)).unwrap();
        String::from_utf8([read("out"), read("err")].concat()).unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn check(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "ended by itself ({ended:?}): {}", self.output());
    }

    /// Waits until `look` gives something.
    pub async fn until<T>(&mut self, what: &str, mut look: impl AsyncFnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self).await {
                return found;
            }
            self.check();
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}\n{}", self.output());
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Sends SIGTERM and waits for the end; gives how it ended and how long that took.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "does not end: {}", self.output());
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running exporter.
pub struct Exporter {
    pub program: Program,
    pub address: SocketAddr,
}

/// The exporter's command line.
pub fn wattribute(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wattribute"));
    command.args(arguments);
    command
}

impl Exporter {
    /// Starts one on a free port and waits until it is ready.
    pub async fn start(config: &Path) -> Self {
        Self::start_with(config, "127.0.0.1:0", &[]).await
    }

    /// The same at `listen`, with further arguments.
    pub async fn start_with(config: &Path, listen: &str, arguments: &[&str]) -> Self {
        let mut command = wattribute(&["serve", "--web.listen-address", listen]);
        command.arg("--config.file").arg(config).args(arguments);
        Self::run(command).await
    }

    /// The same with this command, which must listen on 127.0.0.1.
    pub async fn run(command: Command) -> Self {
        let mut program = Program::start(command);
        let address = program.until("listening", async |p| address(&p.output())).await;
        program
            .until("ready", async |_| (get(address, "/-/ready", "").await.status == 200).then_some(()))
            .await;
        Self { program, address }
    }

    /// The metrics page in the classic format.
    pub async fn page(&self) -> Page {
        Page::parse(get(self.address, "/metrics", "").await.text())
    }

    /// Waits until the metrics page is such that `good` holds; gives that page.
    pub async fn until(&mut self, what: &str, mut good: impl FnMut(&Page) -> bool) -> Page {
        let address = self.address;
        self.program
            .until(what, async |_| {
                let page = Page::parse(get(address, "/metrics", "").await.text());
                good(&page).then_some(page)
            })
            .await
    }
}

/// The address in the log line `listening`.
fn address(log: &str) -> Option<SocketAddr> {
    // A line that is still being written has no end yet.
    let line = log.split_inclusive('\n').find(|line| line.contains("listening") && line.ends_with('\n'))?;
    let (_, from) = line.split_once("127.0.0.1:")?;
    let port: String = from.chars().take_while(char::is_ascii_digit).collect();
    Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
}

pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Asks once over a connection of its own; `fields` are whole header lines.
pub async fn get(address: SocketAddr, path: &str, fields: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{fields}\r\n");
    let answer = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.ok()?;
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let body = bytes.split_off(end);
        let head = String::from_utf8(bytes).unwrap();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let body = if head.to_ascii_lowercase().contains("chunked") { whole(&body) } else { body };
        Some(Response { status, head, body })
    };
    let answer = timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("{path} is not answered"));
    // Not listening yet: a server that cannot be reached is not ready.
    answer.unwrap_or_else(|| Response { status: 0, head: String::new(), body: Vec::new() })
}

/// A body put together from its chunks.
fn whole(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&chunks[end + 2..end + 2 + size]);
        chunks = &chunks[end + 4 + size..];
    }
    body
}

/// A port that was free a moment ago.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A file in the repository.
pub fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
