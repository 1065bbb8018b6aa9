//! This machine's own sensors, as the kernel shows them under `/sys`: RAPL and other powercap zones, hwmon chips that measure
//! power (the ACPI power meter, power supplies, graphics cards), batteries and plugs.
//!
//! Lives here: when to look, and on which thread. What is looked for is in `powercap`, `hwmon` and `supply`, each of
//! which turns files into `sensor::Sensor`s; `machine` reads those. Nothing here adds channels up: they overlap.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};

use super::{Driver, Kind};
use crate::model::{Batch, BoxFuture, ChannelId, Clock, ErrorKind, PollError};

mod attribute;
mod counter;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod hwmon;
mod machine;
mod powercap;
mod sensor;
mod supply;

use machine::Machine;

/// This driver's line in the registry.
pub const KIND: Kind =
    Kind { name: "sysfs", about: "This machine's own sensors: RAPL, hwmon, ACPI, batteries" };

/// Where the kernel shows its devices.
pub const ROOT: &str = "/sys";

/// All that the driver needs to know of one meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the kernel's sysfs stands: [`ROOT`], or elsewhere in a container.
    pub root: PathBuf,
}

/// Builds the driver; reads nothing yet.
///
/// # Errors
/// None so far.
pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Box<dyn Driver>, PollError> {
    Ok(Box::new(Host { machine: Some(Machine::new(settings.root)), reading: None, clock }))
}

/// Channels that stand for this machine where nobody says what feeds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// They add up, and none contains another.
    pub channels: Vec<ChannelId>,
    /// What of the machine they cover, for people.
    pub covers: &'static str,
}

/// The best that the sensors under `root` can say of the whole machine, of what may be read now; none if nothing may. Reads
/// some files of the kernel's, which takes a moment.
#[must_use]
pub fn feed(root: &Path) -> Option<Feed> {
    machine::feed(root)
}

/// The driver. A sensor may sit behind a slow bus, so files are read on a thread that may wait; it takes the machine with
/// it and brings it back.
struct Host {
    /// None while a thread has it.
    machine: Option<Machine>,
    /// A look that is under way: perhaps one whose poll was cut short.
    reading: Option<JoinHandle<Look>>,
    clock: Arc<dyn Clock>,
}

type Look = (Machine, Result<Batch, PollError>);

impl Host {
    async fn look(&mut self) -> Result<Batch, PollError> {
        if let Some(late) = &mut self.reading {
            // What it read is of an earlier time, and counters are told again by the next look: only the machine counts.
            let ended = late.await;
            self.reading = None;
            self.machine = Some(ended.map_err(|_| died())?.0);
        }
        let mut machine = self.machine.take().ok_or_else(died)?;
        let clock = Arc::clone(&self.clock);
        let look = self.reading.insert(spawn_blocking(move || {
            let result = machine.read(clock.as_ref());
            (machine, result)
        }));
        let ended = look.await;
        self.reading = None;
        let (machine, result) = ended.map_err(|_| died())?;
        self.machine = Some(machine);
        result
    }
}

impl Driver for Host {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(self.look())
    }
}

/// The thread that read the files is gone, and the machine with it.
fn died() -> PollError {
    PollError::new(
        ErrorKind::Protocol,
        "reading this machine's sensors broke off",
        "this is a bug: please report it with the log",
    )
}
