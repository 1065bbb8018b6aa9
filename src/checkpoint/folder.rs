//! The folder of the checkpoint: who may write there, what stands there, and how it gets there whole.
//!
//! `wattribute.checkpoint` is the latest, `wattribute.checkpoint.previous` the one before. Each is written beside them first
//! (`.new`) and renamed, so that a crash at any moment leaves a whole one. A file that cannot be used is set aside as
//! `.refused-N`. `wattribute.lock` is held while an exporter runs, and names its process.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::frame::MAX_BYTES;

/// The latest checkpoint's name.
pub const FILE: &str = "wattribute.checkpoint";
/// The lock's name.
pub const LOCK: &str = "wattribute.lock";
/// The most files that are set aside; the last place is used again and again.
const MAX_REFUSED: u32 = 9;

/// Why a folder cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another exporter writes there.
    #[error(
        "{} is in use by another exporter{}: two would overwrite each other's counters; stop it, or give this one a folder of \
         its own with --storage.path", .path.display(), holder(*.pid)
    )]
    Held {
        /// The folder.
        path: PathBuf,
        /// The process that holds it, where its lock says.
        pid: Option<u32>,
    },
    /// It is not there and cannot be made.
    #[error(
        "{} cannot be made a folder for the checkpoint: {cause}; give another one with --storage.path, or make it: \
         install -d -m 0700 -o USER {}", .path.display(), .path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// A file that could not be used, and where it was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub cause: String,
    /// Where it is now; none if it could not be moved.
    pub aside: Option<PathBuf>,
}

/// What stood in the folder.
#[derive(Debug)]
pub struct Found<T> {
    /// What could be used, and whether it is the previous one.
    pub good: Option<(T, PathBuf)>,
    /// What could not.
    pub refused: Vec<Refused>,
}

/// A folder for the checkpoint, held against other exporters.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: Option<File>,
    /// Device and inode of the latest file, as far as it is what was read or written here.
    ours: Option<(u64, u64)>,
}

impl Folder {
    /// Opens the folder, which is made if it is not there (mode 0700), and holds it against other exporters.
    ///
    /// # Errors
    /// `Held` if another exporter does, `Folder` if it cannot be made. One that cannot be written to is none: it may be
    /// later, and meanwhile the data centre must be read; [`Self::write`] says so.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |cause| OpenError::Folder { path: path.to_owned(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let mut folder = Self { path: path.to_owned(), lock: None, ours: None };
        match folder.hold() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let pid = fs::read_to_string(path.join(LOCK)).ok().and_then(|text| text.trim().parse().ok());
                return Err(OpenError::Held { path: path.to_owned(), pid });
            }
            // Somebody else's lock: whether they hold it cannot be known.
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied && path.join(LOCK).exists() => {
                return Err(failed(cause));
            }
            Err(error) => {
                tracing::error!("{}: cannot be held against other exporters: {error}", path.display())
            }
        }
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock, unless it is held already. A folder that went away and came back has another lock.
    fn hold(&mut self) -> io::Result<()> {
        let path = self.path.join(LOCK);
        if let Some(lock) = &self.lock {
            let (held, there) = (lock.metadata()?, fs::metadata(&path).ok());
            if there.is_some_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
                return Ok(());
            }
            self.lock = None;
        }
        let mut lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            Errno::WOULDBLOCK => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("{} is held by another exporter", path.display()),
            ),
            other => other.into(),
        })?;
        // Who holds it is good to know, and no more: a full disk need not keep it.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        self.lock = Some(lock);
        Ok(())
    }

    /// Reads the latest checkpoint that `read` can use: what it cannot is set aside, and the previous one tried.
    pub fn find<T>(&mut self, read: impl Fn(&[u8]) -> Result<T, String>) -> Found<T> {
        let mut found = Found { good: None, refused: Vec::new() };
        for path in [self.path.join(FILE), self.named(".previous")] {
            let outcome = match contents(&path) {
                Ok(None) => continue,
                Ok(Some(bytes)) => read(&bytes),
                Err(error) => Err(format!("it cannot be read: {error}")),
            };
            match outcome {
                Ok(good) => {
                    self.ours = (path == self.path.join(FILE)).then(|| identity(&path)).flatten();
                    found.good = Some((good, path));
                    break;
                }
                Err(cause) => {
                    let aside = self.set_aside(&path);
                    found.refused.push(Refused { path, cause, aside });
                }
            }
        }
        found
    }

    /// What another exporter may be using stays where it is.
    fn set_aside(&self, path: &Path) -> Option<PathBuf> {
        self.lock.as_ref()?;
        let place = |n| self.named(&format!(".refused-{n}"));
        let free =
            (1..MAX_REFUSED).map(place).find(|place| !place.exists()).unwrap_or_else(|| place(MAX_REFUSED));
        fs::rename(path, &free).ok().map(|()| free)
    }

    /// Writes a checkpoint. The one before becomes the previous one; if anything fails both stay as they are. Blocks.
    ///
    /// # Errors
    /// What the system says, with the file it says it of.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (file, new, previous) = (self.path.join(FILE), self.named(".new"), self.named(".previous"));
        let of = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
        };
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {MAX_BYTES} bytes")));
        }
        self.hold().map_err(of(&self.path))?;
        self.spare_foreign(&[&file, &previous])?;
        let mut out = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(of(&new))?;
        if let Err(error) = out.write_all(bytes).and_then(|()| out.sync_all()) {
            // What is half written must not keep a full disk full.
            let _ = out.set_len(0);
            return Err(of(&new)(error));
        }
        drop(out);
        keep_previous(&file, &previous, &self.named(".old")).map_err(of(&previous))?;
        fs::rename(&new, &file).map_err(of(&file))?;
        self.ours = identity(&file);
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(of(&self.path))
    }

    /// A disk that was not there at the start may bring a checkpoint that nobody has read: it is not written over.
    fn spare_foreign(&mut self, files: &[&Path]) -> io::Result<()> {
        let Some(there) = identity(&self.path.join(FILE)).filter(|there| Some(*there) != self.ours) else {
            return Ok(());
        };
        for file in files.iter().filter(|file| file.exists()) {
            let aside = self.set_aside(file).ok_or_else(|| {
                io::Error::other(format!(
                    "{} was not read at the start, and cannot be set aside",
                    file.display()
                ))
            })?;
            tracing::error!(
                "{} was not read at the start and is not written over: it is {} now; its counters are not in ours",
                file.display(),
                aside.display()
            );
        }
        self.ours = Some(there);
        Ok(())
    }

    fn named(&self, suffix: &str) -> PathBuf {
        self.path.join(format!("{FILE}{suffix}"))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Gives the latest file its second name, so that it is never without its first.
fn keep_previous(file: &Path, previous: &Path, beside: &Path) -> io::Result<()> {
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match fs::hard_link(file, beside) {
        Ok(()) => fs::rename(beside, previous),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Not every file system has second names.
        Err(_) => fs::rename(file, previous),
    }
}

/// A file's content; none if there is no such file.
fn contents(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {MAX_BYTES} bytes")));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
