//! The real binary over restarts: killed at random moments under load, beside another one, and on disks that fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests wait for conditions with deadlines of their own")]

#[path = "checkpoint/crashes.rs"]
mod crashes;
#[path = "checkpoint/disk.rs"]
mod disk;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/page.rs"]
mod page;
#[allow(dead_code, reason = "shared with the tests of the whole exporter")]
#[path = "exporter/process.rs"]
mod process;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use page::Page;
use process::{Exporter, free_address, in_repository, wattribute};
use tempfile::TempDir;
use wattribute::model::SystemClock;
use wattribute::sim::{Datacenter, Running};

/// A simulated data centre, and a folder for the counters.
struct Site {
    sim: Running,
    storage: PathBuf,
    _dir: TempDir,
}

async fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let plan = Datacenter { seed: 7, exporter: free_address(), rules: in_repository("rules") };
    let sim = plan.start(dir.path(), Arc::new(SystemClock::new())).await.expect("the data centre starts");
    Site { sim, storage: dir.path().join("state"), _dir: dir }
}

impl Site {
    /// An exporter that keeps its counters each second.
    async fn exporter(&self) -> Exporter {
        Exporter::start_with(&self.sim.config, "127.0.0.1:0", &self.arguments(&self.storage)).await
    }

    fn arguments<'a>(&self, storage: &'a Path) -> [&'a str; 4] {
        ["--storage.path", storage.to_str().unwrap(), "--storage.checkpoint-interval", "1s"]
    }

    /// One that is expected to say why it does not start.
    fn refused(&self) -> String {
        let mut command = wattribute(&["serve", "--web.listen-address", "127.0.0.1:0"]);
        command.arg("--config.file").arg(&self.sim.config).args(self.arguments(&self.storage));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.storage.join(format!("wattribute.checkpoint{suffix}"))
    }
}

/// Whether every host has been settled.
fn settled(page: &Page) -> bool {
    let drew = page.of("wattribute_host_energy_joules_total").filter(|s| s.microjoules() > 0);
    drew.map(|s| s.label("host")).collect::<std::collections::BTreeSet<_>>().len() == HOSTS
}

fn number(page: &Page, name: &str) -> f64 {
    page.find(name, &[]).unwrap_or_else(|| panic!("{name} is not there")).number()
}

/// Kills without warning, and waits for the end: what dropping it does.
fn kill(exporter: Exporter) {
    drop(exporter);
}

/// Hosts of the simulation.
const HOSTS: usize = 8;

/// Long enough for several checkpoints.
const A_WHILE: Duration = Duration::from_secs(5);
