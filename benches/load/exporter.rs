//! The exporter as a process: started on a free port, asked for its page, weighed, ended by its own process id.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// CPU time and memory of a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weight {
    /// Its own, user and system, s.
    pub cpu_seconds: f64,
    /// That of its children that have ended, s.
    pub children_seconds: f64,
    /// Resident, and its fair share of what is shared with others, bytes.
    pub rss_bytes: u64,
    pub pss_bytes: u64,
}

/// Weighs a process of this machine.
pub fn weigh(pid: u32) -> Weight {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let stat = read("stat");
    // Behind the name, which may hold blanks, the third field is the first.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<f64>().unwrap() / 100.0;
    let kilobytes = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    };
    let rollup = read("smaps_rollup");
    Weight {
        cpu_seconds: ticks(14) + ticks(15),
        children_seconds: ticks(16) + ticks(17),
        rss_bytes: kilobytes(&rollup, "Rss:"),
        pss_bytes: kilobytes(&rollup, "Pss:"),
    }
}

/// CPU time of this process's threads called `name`, s.
pub fn thread_seconds(name: &str) -> f64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of = |path: PathBuf| {
        let comm = fs::read_to_string(path.join("comm")).ok()?;
        let stat = fs::read_to_string(path.join("schedstat")).ok()?;
        // The kernel keeps 15 bytes of a name.
        name.starts_with(comm.trim_end())
            .then_some(stat.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
    };
    tasks.flatten().filter_map(|task| of(task.path())).sum()
}

/// A program with its output in a file of `dir`. Dropping it kills it.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    pub fn start(mut command: Command, dir: &Path) -> Self {
        let name = Path::new(command.get_program()).file_name().unwrap().to_owned();
        let log = dir.join(name).with_extension("log");
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|e| {
            panic!("{} is missing ({e}); `make test` installs it", command.get_program().display())
        });
        Self { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Waits until `look` gives something.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended by itself ({ended:?}): {}", self.output());
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}\n{}", self.output());
            sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM, and waits for the end; gives how long that took.
    pub fn terminate(mut self) -> Duration {
        let began = Instant::now();
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "does not end: {}", self.output());
            sleep(Duration::from_millis(10));
        }
        began.elapsed()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exporter under load.
pub struct Exporter {
    pub program: Program,
    address: Option<SocketAddr>,
}

impl Exporter {
    /// Starts one with `config`, and waits for nothing: its start is what is measured.
    pub fn start(config: &Path, dir: &Path) -> Self {
        Self::start_with(config, &[], dir)
    }

    /// The same, with further arguments.
    pub fn start_with(config: &Path, arguments: &[&str], dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wattribute"));
        command
            .args(["serve", "--web.listen-address", "127.0.0.1:0", "--config.file"])
            .arg(config)
            .args(arguments);
        Self { program: Program::start(command, dir), address: None }
    }

    fn address(&mut self) -> SocketAddr {
        *self.address.get_or_insert_with(|| {
            self.program.until("listening", |program| {
                let log = program.output();
                let line = log.lines().find(|line| line.contains("listening"))?;
                let (_, from) = line.split_once("127.0.0.1:")?;
                let port: String = from.chars().take_while(char::is_ascii_digit).collect();
                Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
            })
        })
    }

    /// The metrics page.
    pub fn page(&mut self) -> Page {
        let address = self.address();
        get(address, "/metrics")
    }

    pub fn weigh(&self) -> Weight {
        weigh(self.program.pid())
    }
}

/// Asks `address` for `path`; a body that is not good ends the run.
pub fn get(address: SocketAddr, path: &str) -> Page {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: load\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{path}: {head}");
    Page(body.to_owned())
}

/// A metrics page.
pub struct Page(pub String);

impl Page {
    /// Labels and values of a family.
    pub fn samples<'a>(&'a self, family: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let lines = self.0.lines().filter_map(move |line| line.strip_prefix(family)?.strip_prefix('{'));
        lines.filter_map(|line| {
            let (labels, value) = line.rsplit_once("} ")?;
            Some((labels, value.parse().ok()?))
        })
    }

    /// Polls of a driver: good ones, and others.
    pub fn polls(&self, driver: &str) -> (f64, f64) {
        let of = |labels: &str| labels.contains(&format!("driver=\"{driver}\""));
        let polls = || self.samples("wattribute_polls_total").filter(|(labels, _)| of(labels));
        let is_ok = |labels: &str| labels.contains("result=\"ok\"");
        let sum = |ok: bool| polls().filter(|(labels, _)| is_ok(labels) == ok).map(|(_, n)| n).sum();
        (sum(true), sum(false))
    }
}

/// A label's value.
pub fn label<'a>(labels: &'a str, name: &str) -> &'a str {
    let (_, rest) = labels.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{labels}: no {name}"));
    rest.split_once('"').unwrap().0
}
