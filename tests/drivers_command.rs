//! The driver of reader programs, with real programs: shell, awk, Python and vmstat, good ones and bad ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

#[path = "command/ends.rs"]
mod ends;
#[path = "command/energy.rs"]
mod energy;
#[path = "command/formats.rs"]
mod formats;
#[path = "command/hostile.rs"]
mod hostile;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wattribute::drivers::Driver;
use wattribute::drivers::command::{self, Condition, Format, Mode, Rule, Settings};
use wattribute::model::{Batch, Clock, PollError, Quality, Quantity, SystemClock};

/// The longest that anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const CSV: Format = Format::Csv { separator: ',' };

/// Settings of a program in `folder`.
pub fn settings(folder: &Path, run: &[&str], format: Format, rules: Vec<Rule>) -> Settings {
    Settings {
        run: run.iter().map(|&one| one.to_owned()).collect(),
        folder: folder.to_owned(),
        mode: Mode::Stream,
        format,
        only_if: Vec::new(),
        rules,
        environment: Vec::new(),
        patience: Duration::from_secs(10),
    }
}

/// A shell script as a reader.
pub fn script(text: &str, format: Format, rules: Vec<Rule>) -> Reader {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &["sh", "-c", text], format, rules);
    Reader::of(folder, settings)
}

pub fn power(from: &str, channel: &str) -> Rule {
    Rule {
        from: from.into(),
        channel: channel.into(),
        quantity: Quantity::Power,
        scale: 1.0,
        quality: Quality::Measured,
        step: None,
        wraps_at: None,
    }
}

pub fn condition(from: &str, is: &str) -> Condition {
    Condition { from: from.into(), is: is.into() }
}

/// A driver with its folder.
pub struct Reader {
    pub folder: TempDir,
    pub settings: Settings,
    pub driver: Box<dyn Driver>,
    pub clock: Arc<dyn Clock>,
}

impl Reader {
    pub fn of(folder: TempDir, settings: Settings) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let driver = command::open(settings.clone(), Arc::clone(&clock)).unwrap();
        Self { folder, settings, driver, clock }
    }

    /// The same with other settings.
    pub fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.settings;
        change(&mut settings);
        Self::of(self.folder, settings)
    }

    pub async fn poll(&mut self) -> Result<Batch, PollError> {
        tokio::time::timeout(PATIENCE, self.driver.poll()).await.unwrap()
    }

    /// Polls until `count` lines of readings came; gives those, `channel quantity value`, in order of receipt.
    pub async fn lines(&mut self, count: usize) -> Vec<String> {
        let began = Instant::now();
        let mut all = Vec::new();
        while all.len() < count {
            assert!(began.elapsed() < PATIENCE, "{all:?}");
            all.extend(said(&self.poll().await.unwrap()));
        }
        all
    }

    /// What a program wrote into a file of its folder, as soon as there is a line.
    pub async fn file(&self, name: &str) -> String {
        let began = Instant::now();
        loop {
            match fs::read_to_string(self.folder.path().join(name)) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => assert!(began.elapsed() < PATIENCE, "{name} is not written"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Every reading of a batch, oldest first.
pub fn said(batch: &Batch) -> Vec<String> {
    let all = batch.earlier.iter().flat_map(|one| &one.readings).chain(&batch.readings);
    all.map(|r| format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value())).collect()
}
