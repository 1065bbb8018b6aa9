//! One machine: what was found on it, and what its sensors say now.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::attribute::{self, Trouble};
use super::counter::Counter;
use super::sensor::{Found, Sensor, Source};
use super::{Feed, hwmon, powercap, supply};
use crate::model::{
    Batch, ChannelId, Clock, Earlier, ErrorKind, Identity, Measure, Moment, PollError, Quality, Reading,
    Watts,
};

/// From one look for new sensors to the next.
const RENEWAL: Duration = Duration::from_secs(300);
/// The most sensors of one machine: 256 cores, each with a counter, and all else.
const MAX_SENSORS: usize = 1024;
/// From the first look at the counters to the second, in the first poll.
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// From the end of a poll to when what it brought is surely in the store.
const STORED: Duration = Duration::from_millis(1);

/// What to do about files that only root may read.
const LET_READ: &str = "give the service the right to: AmbientCapabilities=CAP_DAC_READ_SEARCH in its systemd unit, \
                        or a rule of systemd-tmpfiles for its group (docs/drivers/sysfs.md)";

/// This machine.
#[derive(Debug)]
pub(super) struct Machine {
    root: PathBuf,
    found: Found,
    found_at: Option<Moment>,
    counters: HashMap<ChannelId, Counter>,
    last_end: Option<Moment>,
    /// Whether somebody was told of files that may not be read.
    told: bool,
}

/// What came of one sensor after the other.
#[derive(Debug, Default)]
struct Reads {
    readings: Vec<Reading>,
    /// Mean powers since the last poll, which held from its end on.
    since: Vec<Reading>,
    denied: Vec<PathBuf>,
    gone: bool,
}

impl Machine {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            found: Found::default(),
            found_at: None,
            counters: HashMap::new(),
            last_end: None,
            told: false,
        }
    }

    /// Reads every sensor once.
    pub(super) fn read(&mut self, clock: &dyn Clock) -> Result<Batch, PollError> {
        let now = clock.now();
        let renew = self.found_at.is_none_or(|at| now.since(at) >= RENEWAL);
        if renew {
            self.found = find(&self.root);
            self.found_at = Some(now);
        }
        let mut reads = self.all(clock);
        if self.last_end.is_none() && !self.counters.is_empty() {
            // Who asks once wants watts: counters tell them only from the second look on.
            std::thread::sleep(FIRST_LOOK);
            reads = self.all(clock);
        }
        if reads.gone {
            // Something was unplugged, or a driver unloaded: the next poll looks again.
            self.found_at = None;
        }
        let began = self.last_end.replace(clock.now()).map(|end| end + STORED);
        self.batch(reads, began, renew)
    }

    /// One look at every sensor.
    fn all(&mut self, clock: &dyn Clock) -> Reads {
        let mut reads = Reads::default();
        let sensors = std::mem::take(&mut self.found.sensors);
        for sensor in &sensors {
            match self.sensor(sensor, clock, &mut reads) {
                Ok(()) | Err(Trouble::NoValue) => {}
                Err(Trouble::Denied) => reads.denied.extend(file(sensor)),
                Err(Trouble::Gone) => reads.gone = true,
            }
        }
        self.found.sensors = sensors;
        reads
    }

    fn batch(&mut self, reads: Reads, began: Option<Moment>, renew: bool) -> Result<Batch, PollError> {
        let Reads { readings, since, denied, gone: _ } = reads;
        if readings.is_empty() {
            return Err(nothing(&self.root, self.found.sensors.len(), &denied));
        }
        if let Some(first) = denied.first()
            && !std::mem::replace(&mut self.told, true)
        {
            let (count, first) = (denied.len(), first.display());
            tracing::warn!("{count} sensors may be read by root only, such as {first}; {LET_READ}");
        }
        // The mean of a time held all of that time: said of its beginning and its end, the area below is the energy.
        let earlier = began.filter(|_| !since.is_empty()).map(|at| Earlier { at, readings: since });
        Ok(Batch {
            earlier: earlier.into_iter().collect(),
            readings,
            identity: renew.then(|| identity(&self.root)),
            channels: if renew { self.found.infos.clone() } else { Vec::new() },
            ..Batch::default()
        })
    }

    fn sensor(&mut self, sensor: &Sensor, clock: &dyn Clock, into: &mut Reads) -> Result<(), Trouble> {
        if let Some(condition) = &sensor.condition
            && !condition.holds()?
        {
            return Ok(());
        }
        let mut add = |measure, quality| {
            into.readings.push(Reading { channel: sensor.channel.clone(), measure, quality });
        };
        match &sensor.source {
            Source::Value(value) => add(value.measure()?, value.quality),
            Source::Product { amperes, volts } => {
                let watts = amperes.read()? * volts.read()?;
                add(Measure::Power(Watts::new(watts).map_err(|_| Trouble::NoValue)?), Quality::Measured);
            }
            Source::Counter { file, range } => {
                let raw = attribute::count(file)?;
                let at = clock.now();
                let counter = self
                    .counters
                    .entry(sensor.channel.clone())
                    .or_insert_with(|| Counter::new(raw, *range, at));
                let went_on = counter.power().is_some();
                counter.advance(raw, at);
                if let Some(power) = counter.power() {
                    let power = Reading::measured(sensor.channel.clone(), Measure::Power(power));
                    if went_on {
                        into.since.push(power.clone());
                    }
                    into.readings.push(power);
                }
                let energy = counter.shown().ok_or(Trouble::NoValue)?;
                into.readings.push(Reading::measured(sensor.channel.clone(), Measure::Energy(energy)));
            }
        }
        Ok(())
    }
}

/// Looks for every sensor that there is.
fn find(root: &Path) -> Found {
    let mut found = Found::default();
    powercap::find(root, &mut found);
    hwmon::find(root, &mut found);
    supply::find(root, &mut found);
    found.sensors.truncate(MAX_SENSORS);
    found
}

/// A file of a sensor, for messages.
fn file(sensor: &Sensor) -> Option<PathBuf> {
    match &sensor.source {
        Source::Value(value) | Source::Product { amperes: value, volts: _ } => value.files.first().cloned(),
        Source::Counter { file, range: _ } => Some(file.clone()),
    }
}

/// Why there is no reading at all.
fn nothing(root: &Path, sensors: usize, denied: &[PathBuf]) -> PollError {
    let there = root.is_dir();
    let root = root.display();
    if !there {
        let cause = format!("there is no folder {root}");
        return PollError::new(
            ErrorKind::NoReading,
            cause,
            "name the place where sysfs is mounted as `root`",
        );
    }
    if let Some(first) = denied.first() {
        let cause = format!("this machine's sensors may be read by root only, such as {}", first.display());
        return PollError::new(ErrorKind::Auth, cause, LET_READ);
    }
    let (cause, fix) = if sensors == 0 {
        (
            format!("this machine shows no power sensor under {root} (powercap, hwmon, power_supply)"),
            "virtual machines have none: meter the machine below; in a container mount the host's /sys and name \
             the place as `root`",
        )
    } else {
        (
            format!("none of the {sensors} power sensors under {root} has a value now"),
            "look at the kernel's log for their drivers",
        )
    };
    PollError::new(ErrorKind::NoReading, cause, fix)
}

/// Who made the machine, by its firmware (DMI); the serial number only where we may read it.
fn identity(root: &Path) -> Identity {
    let dmi = |name: &str| attribute::name(&root.join("class/dmi/id").join(name));
    Identity {
        vendor: dmi("sys_vendor"),
        model: dmi("product_name"),
        serial: dmi("product_serial"),
        firmware: dmi("bios_version"),
        profile: String::new(),
    }
}

/// See [`super::feed`].
pub(super) fn feed(root: &Path) -> Option<Feed> {
    let found = find(root);
    let readable = |sensor: &&Sensor| match &sensor.source {
        Source::Value(value) => value.quantity == crate::model::Quantity::Power && value.read().is_ok(),
        Source::Counter { file, range: _ } => attribute::count(file).is_ok(),
        Source::Product { .. } => false,
    };
    let channels = |wanted: fn(&str) -> bool| -> Vec<ChannelId> {
        let of = found.sensors.iter().filter(|sensor| wanted(sensor.channel.as_str()));
        of.filter(readable).map(|sensor| sensor.channel.clone()).collect()
    };
    let meters = channels(hwmon::is_acpi_meter);
    // Machines with several have one for each part.
    if meters.len() == 1 {
        return Some(Feed { channels: meters, covers: "the whole machine, by its ACPI power meter" });
    }
    let platform = channels(|channel| channel == "psys" || channel.starts_with("psys/"));
    if !platform.is_empty() {
        return Some(Feed {
            channels: platform,
            covers: "the platform, as far as its maker wired RAPL's psys",
        });
    }
    let parts = channels(is_package_or_memory);
    (!parts.is_empty()).then_some(Feed {
        channels: parts,
        covers: "processors and, where it is counted, memory: a third to two thirds of the machine",
    })
}

/// `package/0`, `package/0/die/1`, and the memory beside it; not what packages contain.
fn is_package_or_memory(channel: &str) -> bool {
    let Some(rest) = channel.strip_prefix("package/") else { return false };
    let parts: Vec<&str> = rest.split('/').collect();
    matches!(parts.as_slice(), [_] | [_, "dram"] | [_, "die", _] | [_, "die", _, "dram"])
}
