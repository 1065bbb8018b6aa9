//! The driver of this machine's own sensors: on trees written from the kernel's documentation, in the store, on the machine
//! that the tests run on, and with the real binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

#[path = "sysfs/binary.rs"]
mod binary;
#[path = "sysfs/bus.rs"]
mod bus;
#[path = "sysfs/energy.rs"]
mod energy;
#[path = "sysfs/trees.rs"]
mod trees;

#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/page.rs"]
mod page;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/process.rs"]
mod process;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use wattribute::drivers::Driver;
use wattribute::drivers::sysfs::{self, Settings};
use wattribute::model::{Batch, ManualClock, Moment, PollError, Quality};

/// A machine of which only its sysfs exists, and a clock that stands unless it is moved.
pub struct Host {
    root: TempDir,
    driver: Box<dyn Driver>,
    pub clock: Arc<ManualClock>,
}

impl Host {
    /// The machine in `tests/sysfs/NAME.tree`.
    pub fn of(name: &str) -> Self {
        let root = tree(name);
        let clock = Arc::new(ManualClock::at(Moment::from_nanos(1_000_000_000)));
        let settings = Settings { root: root.path().to_owned() };
        let driver = sysfs::open(settings, Arc::clone(&clock) as _).unwrap();
        Self { root, driver, clock }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }

    pub fn set(&self, file: &str, text: &str) {
        fs::write(self.path(file), format!("{text}\n")).unwrap();
    }

    /// Lets seconds pass, then polls.
    pub async fn poll_after(&mut self, seconds: u64) -> Result<Batch, PollError> {
        self.clock.advance(Duration::from_secs(seconds));
        self.driver.poll().await
    }

    pub async fn poll(&mut self) -> Batch {
        self.driver.poll().await.unwrap()
    }
}

/// Puts the files of `tests/sysfs/NAME.tree` into a folder that everyone may read.
pub fn tree(name: &str) -> TempDir {
    let text = fs::read_to_string(process::in_repository(&format!("tests/sysfs/{name}.tree"))).unwrap();
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let make = |path: &str| -> PathBuf {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        if let Some((path, target)) = line.split_once(" -> ") {
            symlink(Path::new(target), make(path)).unwrap();
        } else if let Some((path, value)) = line.split_once(" = ") {
            fs::write(make(path), format!("{value}\n")).unwrap();
        } else {
            panic!("{name}: {line}");
        }
    }
    root
}

/// `channel quantity value`, sorted, `~` before what is only estimated.
pub fn lines(batch: &Batch) -> Vec<String> {
    let mark = |quality| if quality == Quality::Estimated { "~" } else { "" };
    let line = |r: &wattribute::model::Reading| {
        format!("{}{} {} {}", mark(r.quality), r.channel, r.measure.quantity().name(), r.measure.value())
    };
    let mut lines: Vec<_> = batch.readings.iter().map(line).collect();
    lines.sort();
    lines
}
