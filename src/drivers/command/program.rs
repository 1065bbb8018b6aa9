//! The program as a process: started without a shell and with an environment of its own, ended together with all that it
//! started.
//!
//! It leads a process group. Signals go to that group, and only while the program itself has not been waited for: until
//! then nobody else can have its number.

use std::fmt;
use std::io::ErrorKind as Io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::Settings;
use super::lines::{Line, Lines, shown};
use crate::model::{ErrorKind, PollError};

/// Where programs are looked for if nobody says.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long a program that has closed its output may take to end, and then how long after it was asked to.
const GRACE: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A running program. Dropping it kills it and all that it started.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    last_words: Arc<Mutex<String>>,
    listening: Option<JoinHandle<()>>,
    asked: bool,
}

/// How a program ended. Shown as what it did: `ended with exit code 1: no such device`.
#[derive(Debug, Clone, Default)]
pub(super) struct End {
    status: Option<ExitStatus>,
    last_words: String,
}

impl End {
    /// Whether it ended by itself and says that all went well.
    pub(super) fn good(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status.map(|status| (status.code(), status.signal())) {
            Some((Some(code), _)) => write!(f, "ended with exit code {code}")?,
            Some((None, Some(signal))) => write!(f, "was ended by signal {signal}")?,
            Some((None, None)) | None => f.write_str("ended")?,
        }
        if self.last_words.is_empty() { Ok(()) } else { write!(f, ": {}", self.last_words) }
    }
}

/// What messages call it: its file, without arguments, which may hold secrets.
pub(super) fn name(settings: &Settings) -> String {
    let file = settings.run.first().map(Path::new).and_then(Path::file_name);
    file.map_or_else(String::new, |name| shown(&name.to_string_lossy()))
}

impl Program {
    /// Starts it.
    pub(super) fn start(settings: &Settings) -> Result<Self, PollError> {
        let mut command = command(settings)?;
        let mut child = command.spawn().map_err(|error| cannot_start(settings, &error))?;
        let last_words = Arc::new(Mutex::new(String::new()));
        let listening =
            child.stderr.take().map(|stderr| tokio::spawn(listen(stderr, Arc::clone(&last_words))));
        Ok(Self { child, last_words, listening, asked: false })
    }

    /// What it prints; none if somebody has it already.
    pub(super) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Asks it, and all that it started, to end now.
    pub(super) fn ask_to_end(&mut self) {
        self.asked = true;
        self.signal(Signal::TERM);
    }

    /// Sees it to its end: by itself if it is about to, else by request, else by force. May be dropped and called again.
    pub(super) async fn end(&mut self) -> End {
        if !self.asked && !self.ends_within(GRACE).await {
            self.ask_to_end();
        }
        self.ends_within(PATIENCE).await;
        // Also what it started and left behind.
        self.signal(Signal::KILL);
        let status = self.child.wait().await.ok();
        if let Some(listening) = &mut self.listening {
            // What it wrote at last may still be on its way.
            let _ = tokio::time::timeout(GRACE, listening).await;
        }
        let last_words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        End { status, last_words }
    }

    /// Whether it ends within `time`. It is not waited for: its number must stay its own.
    async fn ends_within(&self, time: Duration) -> bool {
        let ended = || {
            self.pid().is_none_or(|pid| {
                let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                waitid(WaitId::Pid(pid), look).is_ok_and(|status| status.is_some())
            })
        };
        let wait = async {
            while !ended() {
                sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(time, wait).await.is_ok()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // A group that is gone needs no signal.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Its number; none once it was waited for, when the number may be another's.
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()?).ok()?)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

fn command(settings: &Settings) -> Result<Command, PollError> {
    let (file, arguments) = settings.run.split_first().ok_or_else(|| {
        PollError::new(ErrorKind::Unreachable, "no program is named", "name it under `run`")
    })?;
    let folder = std::path::absolute(&settings.folder).unwrap_or_else(|_| PathBuf::from("/"));
    let mut command = if file.contains('/') { Command::new(folder.join(file)) } else { Command::new(file) };
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| USUAL_PATH.into()))
        // A decimal comma would make two columns of one number.
        .env("LC_ALL", "C")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for (name, value) in &settings.environment {
        match (value, std::env::var_os(name)) {
            (Some(value), _) => command.env(name, value),
            (None, Some(value)) => command.env(name, value),
            (None, None) => &mut command,
        };
    }
    Ok(command)
}

fn cannot_start(settings: &Settings, error: &std::io::Error) -> PollError {
    let file = settings.run.first().map(String::as_str).unwrap_or_default();
    let (file, folder) = (shown(file), settings.folder.display());
    let (cause, fix) = match error.kind() {
        Io::NotFound if file.contains('/') => (
            format!("there is no program {file}, or not the interpreter that its first line names"),
            format!("install it, or correct `run`: a relative path starts from {folder}"),
        ),
        Io::NotFound => (
            format!("there is no program {file} in PATH"),
            "install it, or write its whole path under `run`".to_owned(),
        ),
        Io::PermissionDenied => (
            format!("{file} may not be started"),
            format!(
                "make it executable (chmod +x), and let this program's user enter its folder and {folder}"
            ),
        ),
        _other => (format!("{file} cannot be started: {error}"), "start it by hand to see why".to_owned()),
    };
    PollError::new(ErrorKind::Unreachable, cause, fix)
}

/// Keeps the last line of standard error, and lets the program never wait for us to read the others.
async fn listen(mut stderr: ChildStderr, last_words: Arc<Mutex<String>>) {
    let (mut lines, mut buffer) = (Lines::default(), [0; 1024]);
    let keep = |line: Line<'_>| {
        if let Line::Text(text) = line
            && !text.trim().is_empty()
        {
            *last_words.lock().unwrap_or_else(PoisonError::into_inner) = shown(text);
        }
    };
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        lines.push(buffer.get(..count).unwrap_or_default(), keep);
    }
    lines.finish(keep);
}
