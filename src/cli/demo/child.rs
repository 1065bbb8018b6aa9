//! Programs that the demo runs beside itself: started with their output in a file, ended by their own pid.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// How much of a failed program's output is shown, lines.
const SHOWN_LINES: usize = 20;

/// A running program.
pub(super) struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command` with its output in `log`, in a process group of its own: Ctrl-C must reach the demo alone, which
    /// then ends its programs in the right order.
    pub fn start(name: &'static str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = std::fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// Fails with the end of its output if it has ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended by itself ({status})\n{}", self.name, self.last_words()),
            None => Ok(()),
        }
    }

    /// Waits until it ends by itself, which is a failure.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow::anyhow!("{} ended by itself ({status})\n{}", self.name, self.last_words()),
            Err(error) => error.into(),
        }
    }

    /// The end of its output.
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(SHOWN_LINES);
        lines.iter().skip(from).map(|l| format!("  {}: {l}\n", self.name)).collect()
    }

    /// SIGTERM, and SIGKILL if it does not follow; says so then.
    pub async fn end(mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            println!("{} does not end: killed", self.name);
            let _ = self.child.kill().await;
        }
    }
}

/// A program in the folders of PATH.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Which Debian package a program came from, or its path where dpkg does not know it.
pub(super) async fn origin(program: &Path) -> String {
    let dpkg = async |args: &[&std::ffi::OsStr]| -> Option<String> {
        let output = Command::new("dpkg-query").args(args).stdin(Stdio::null()).output().await.ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let owner = dpkg(&["-S".as_ref(), program.as_os_str()]).await;
    let package = owner.as_deref().and_then(|o| o.split_once(':')).map(|(package, _)| package.to_owned());
    let version = match &package {
        Some(package) => dpkg(&["-W".as_ref(), "-f=${Version}".as_ref(), package.as_ref()]).await,
        None => None,
    };
    match (package, version) {
        (Some(package), Some(version)) => format!("Debian package {package} {version}"),
        _ => program.display().to_string(),
    }
}
