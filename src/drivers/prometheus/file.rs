//! A page in a file, as programs write it for node_exporter's textfile collector: read whole within limits, on a thread that may
//! wait for a slow disk. What it says is as old as the file, unless it says its own time.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::OFlags;
use tokio::task::{JoinHandle, spawn_blocking};

use super::text::Format;
use crate::model::{ErrorKind, PollError};

/// The largest file.
const MAX_BYTES: u64 = 8 << 20;

/// A file that is read again and again.
pub(super) struct TextFile {
    path: PathBuf,
    /// A read that is under way: perhaps one whose poll was cut short.
    reading: Option<JoinHandle<Result<Content, PollError>>>,
}

/// What a file held.
pub(super) struct Content {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// When it was last written, seconds since the epoch.
    pub(super) written: f64,
}

impl Content {
    /// Only OpenMetrics has an end mark.
    pub(super) fn format(&self) -> Format {
        let marked = self.bytes.trim_ascii_end().ends_with(b"\n# EOF");
        if marked { Format::OpenMetrics } else { Format::Text }
    }
}

impl TextFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, reading: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it.
    ///
    /// # Errors
    /// `Unreachable` where it cannot be read, `Protocol` where it is no file, too large, or written meanwhile.
    pub(super) async fn read(&mut self) -> Result<Content, PollError> {
        if let Some(late) = &mut self.reading {
            // What it read may be old by now. One thread waits for the disk, not one a poll.
            let _ = late.await;
            self.reading = None;
        }
        let path = self.path.clone();
        let read = self.reading.insert(spawn_blocking(move || content(&path)));
        let ended = read.await;
        self.reading = None;
        ended.map_err(|_| {
            PollError::new(
                ErrorKind::Protocol,
                "reading the file broke off",
                "this is a bug: please report it with the log",
            )
        })?
    }
}

fn content(path: &Path) -> Result<Content, PollError> {
    // A pipe without a writer would keep the thread for ever.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(|error| unreadable(path, &error))?;
    let before = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !before.is_file() {
        return Err(wrong(path, "is no file", "name the file that holds the page"));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > MAX_BYTES) {
        return Err(wrong(path, "is larger than 8 MiB", "let only the series that are read be in it"));
    }
    let after = file.metadata().map_err(|error| unreadable(path, &error))?;
    let written = |of: &std::fs::Metadata| of.modified().ok().map(|at| (at, of.len()));
    let (Some((at, _)), true) = (written(&after), written(&before) == written(&after)) else {
        let fix = "let its program write another file and rename that to this name";
        return Err(wrong(path, "is written while it is read", fix));
    };
    let written = at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    Ok(Content { bytes, written })
}

fn wrong(path: &Path, what: &str, fix: &str) -> PollError {
    PollError::new(ErrorKind::Protocol, format!("{} {what}", path.display()), fix)
}

fn unreadable(path: &Path, error: &io::Error) -> PollError {
    let (what, fix) = match error.kind() {
        io::ErrorKind::NotFound => {
            ("is not there", "check the path, and that the program that writes it runs")
        }
        io::ErrorKind::PermissionDenied => {
            ("may not be read by our user", "let its program write it so that our user may read it")
        }
        _other => ("cannot be read", "look after the file and its disk"),
    };
    let cause = format!("{} {what}: {error}", path.display());
    PollError::new(ErrorKind::Unreachable, cause, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Result<Content, PollError> {
        content(path)
    }

    #[test]
    fn a_file_is_of_the_time_it_was_written_and_its_end_mark_tells_the_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.prom");
        std::fs::write(&path, "p 1\n").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_250)).unwrap();
        let text = read(&path).unwrap();
        assert_eq!((text.written, text.format()), (1_700_000_000.25, Format::Text));
        std::fs::write(&path, "p 1\n# EOF\n").unwrap();
        assert_eq!(read(&path).unwrap().format(), Format::OpenMetrics);
    }

    #[test]
    fn what_is_no_readable_file_of_bearable_size_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let said = |path: &Path| {
            let error = read(path).map(|_| ()).unwrap_err();
            format!("{}: {error}", error.kind.label()).replace(&dir.path().display().to_string(), "")
        };
        let missing = said(&dir.path().join("x"));
        assert!(missing.starts_with("unreachable: /x is not there: "), "{missing}");
        let folder = said(dir.path());
        assert!(folder.starts_with("protocol:  is no file;"), "{folder}");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert!(said(&pipe).starts_with("protocol: /pipe is no file;"));
        let large = dir.path().join("large");
        std::fs::File::create(&large).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(said(&large).starts_with("protocol: /large is larger than 8 MiB;"));
    }
}
