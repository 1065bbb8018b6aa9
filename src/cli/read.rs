//! `wattribute read`: polls one meter once and shows what it said.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::timeout;

use super::table::table;
use super::{ConfigArgs, Output, ProfilesArgs, load, print};
use crate::app::{self, Shared, plan::MeterPlan};
use crate::model::{Batch, Clock, Moment, PollError, Reading, SystemClock};

/// The first poll of a device also finds out what it is: it gets this long at least.
const FIRST_POLL: Duration = Duration::from_secs(30);

/// Arguments of `wattribute read`.
#[derive(Debug, Clone, Args)]
pub struct ReadArgs {
    /// The meter's name in the configuration
    pub device: String,
    /// Where the configuration stands
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Where further profiles stand
    #[command(flatten)]
    pub profiles: ProfilesArgs,
    /// How to show the readings
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// Polls the meter: exit code 0 with its readings, 1 with the error and its fix.
///
/// # Errors
/// When the built-in device profiles are broken, or standard output cannot be written.
pub async fn run(args: &ReadArgs) -> anyhow::Result<ExitCode> {
    let config = match load(&args.config.file) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let plan = app::plan(&config);
    let Some(meter) = plan.meters.iter().find(|m| m.settings.id.as_str() == args.device) else {
        let known: Vec<_> = plan.meters.iter().map(|m| m.settings.id.as_str()).collect();
        let (file, known) = (args.config.file.display(), known.join(", "));
        eprintln!("{file} has no meter {:?}; it has: {known}", args.device);
        return Ok(ExitCode::FAILURE);
    };
    let profiles = args.profiles.load();
    for error in profiles.refused() {
        eprintln!("{error}");
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let shared = Shared::new(profiles, &clock);
    match poll(meter, &shared, clock.as_ref()).await {
        Ok((batch, at)) => {
            let age = clock.now().since(at);
            match args.output {
                Output::Table => print(&as_table(meter, &batch, age))?,
                Output::Json => print(&format!("{:#}\n", as_json(meter, &batch, age)))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let settings = &meter.settings;
            let (driver, address) = (settings.driver, &settings.address);
            eprintln!("{} ({driver} {address}, {}): {error}", settings.id, meter.defined);
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn poll(meter: &MeterPlan, shared: &Shared, clock: &dyn Clock) -> Result<(Batch, Moment), PollError> {
    let mut driver = app::open(&meter.driver, shared)?;
    let deadline = meter.timing.deadline.max(FIRST_POLL);
    let result =
        timeout(deadline, driver.poll()).await.unwrap_or_else(|_| Err(app::deadline_error(deadline)));
    let at = clock.now();
    // What was opened is given back whatever happened, if the device takes it in time.
    if timeout(meter.timing.deadline, driver.close()).await.is_err() {
        eprintln!("{}: did not take its session back in time", meter.settings.id);
    }
    Ok((result?, at))
}

fn as_table(meter: &MeterPlan, batch: &Batch, age: Duration) -> String {
    let mut out = String::new();
    if let Some(who) = &batch.identity {
        let parts: Vec<_> = [&who.vendor, &who.model, &who.serial, &who.firmware]
            .into_iter()
            .filter(|p| !p.is_empty())
            .map(String::as_str)
            .collect();
        out += &format!(
            "{} ({} {}): {}",
            meter.settings.id,
            meter.settings.driver,
            meter.settings.address,
            parts.join(", ")
        );
        if !who.profile.is_empty() {
            out += &format!(", read by profile {}", who.profile);
        }
        out.push('\n');
    }
    let row = |r: &Reading| {
        let quantity = r.measure.quantity();
        [
            r.channel.to_string(),
            quantity.name().to_owned(),
            r.measure.value().to_string(),
            quantity.unit().to_owned(),
            r.quality.name().to_owned(),
            format!("{:.1} s", age.as_secs_f64()),
        ]
    };
    let rows: Vec<_> = batch.readings.iter().map(row).collect();
    out + &table(["CHANNEL", "QUANTITY", "VALUE", "UNIT", "QUALITY", "AGE"], &rows, &[2, 5])
}

fn as_json(meter: &MeterPlan, batch: &Batch, age: Duration) -> serde_json::Value {
    let readings: Vec<_> = batch
        .readings
        .iter()
        .map(|r| {
            json!({
                "channel": r.channel.as_str(),
                "quantity": r.measure.quantity().name(),
                "value": r.measure.value(),
                "unit": r.measure.quantity().unit(),
                "quality": r.quality.name(),
                "age_seconds": age.as_secs_f64(),
            })
        })
        .collect();
    let identity = batch.identity.as_ref().map(|who| {
        json!({
            "vendor": who.vendor, "model": who.model, "serial": who.serial,
            "firmware": who.firmware, "profile": who.profile,
        })
    });
    json!({
        "meter": meter.settings.id.as_str(),
        "driver": meter.settings.driver,
        "address": meter.settings.address,
        "identity": identity,
        "readings": readings,
    })
}
