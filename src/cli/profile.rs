//! `wattribute profile`: which profiles there are, and what one reads of a device or a recording.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::timeout;

use super::table::table;
use super::{Output, ProfilesArgs, print};
use crate::app;
use crate::drivers::profiles::{self, Added, Profile as _, Profiles};
use crate::drivers::{Trace, Traced, snmp};
use crate::model::{Clock, PollError, SystemClock};

/// The longest that a device may take to be learned and read.
const DEADLINE: Duration = Duration::from_secs(60);

/// Arguments of `wattribute profile`.
#[derive(Debug, Clone, Args)]
pub struct ProfileArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ProfileCommand,
}

/// What can be done with profiles.
#[derive(Debug, Clone, Subcommand)]
pub enum ProfileCommand {
    /// List every profile: those in the binary and those of --profiles.dir
    List(ProfilesArgs),
    /// Show which profile fits a device or a recording of one, and everything it reads
    Test(TestArgs),
}

/// Arguments of `wattribute profile test`.
#[derive(Debug, Clone, Args)]
#[group(id = "what", required = true, multiple = false, args = ["target", "recording"])]
pub struct TestArgs {
    /// Profile to test; without it, the one that fits (SNMP)
    pub file: Option<PathBuf>,
    /// Device to read: HOST or HOST:PORT; for a JSON profile its URL; for a Modbus profile also a serial port
    #[arg(long, value_name = "ADDRESS")]
    pub target: Option<String>,
    /// Recording to read in place of a device: a .snmprec file (SNMP)
    #[arg(long, value_name = "FILE")]
    pub recording: Option<PathBuf>,
    /// Where further profiles stand
    #[command(flatten)]
    pub profiles: ProfilesArgs,
    /// How to show the readings
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// SNMP version of the target; for version 3 configure the device and use `wattribute read`
    #[arg(long = "snmp.version", value_name = "VERSION", value_enum, default_value_t = Version::V2c)]
    pub version: Version,
    /// SNMP community of the target
    #[arg(long = "snmp.community", value_name = "TEXT", default_value = "public")]
    pub community: String,
}

/// SNMP versions that need no more than a community.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Version {
    /// Version 1.
    #[value(name = "1")]
    V1,
    /// Version 2c.
    #[value(name = "2c")]
    V2c,
}

/// Lists profiles, or tests one: exit code 0 with what it reads, 1 with the error and its fix.
///
/// # Errors
/// When standard output cannot be written.
pub async fn run(args: &ProfileArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        ProfileCommand::List(args) => list(args),
        ProfileCommand::Test(args) => test(args).await,
    }
}

fn list(args: &ProfilesArgs) -> anyhow::Result<ExitCode> {
    let profiles = args.load();
    let row = |protocol: &str, name: &str, about: &str| [protocol, name, about].map(str::to_owned);
    let mut rows: Vec<_> = profiles.http.iter().map(|p| row("http", p.name(), &p.about)).collect();
    rows.extend(profiles.modbus.iter().map(|p| row("modbus", p.name(), &p.about)));
    rows.extend(profiles.snmp.iter().map(|p| row("snmp", p.name(), &p.about)));
    rows.sort();
    print(&table(["PROTOCOL", "NAME", "READS"], &rows, &[]))?;
    Ok(refused(&profiles))
}

/// Says what is wrong with the operator's files; a failure if anything is.
fn refused(profiles: &Profiles) -> ExitCode {
    for error in profiles.refused() {
        eprintln!("{error}");
    }
    if profiles.refused().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let (mut profiles, mut chosen) = (args.profiles.load(), None);
    refused(&profiles);
    if let Some(file) = &args.file {
        // The file under test is the only one of its name, wherever it stands.
        profiles = Profiles::built_in();
        match profiles::read(file).and_then(|text| profiles.add(&file.display().to_string(), &text)) {
            Ok(added) => chosen = Some(added),
            Err(error) => {
                eprintln!("{error}");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    let traced = timeout(DEADLINE, trace(args, chosen.as_ref(), profiles)).await;
    match traced.unwrap_or_else(|_| Err(app::deadline_error(DEADLINE))) {
        Ok(trace) => {
            match args.output {
                Output::Table => print(&as_table(&trace))?,
                Output::Json => print(&format!("{:#}\n", as_json(&trace)))?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let what = args.target.clone().or_else(|| Some(args.recording.as_ref()?.display().to_string()));
            eprintln!("{}: {error}", what.unwrap_or_default());
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn trace(args: &TestArgs, chosen: Option<&Added>, profiles: Profiles) -> Result<Trace, PollError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (protocol, name) =
        chosen.map_or((snmp::Profile::PROTOCOL, None), |c| (c.protocol, Some(c.name.as_str())));
    match (protocol, &args.recording, &args.target) {
        (snmp::Profile::PROTOCOL, Some(file), _) => recording(file, name, &profiles, clock).await,
        (snmp::Profile::PROTOCOL, None, Some(target)) => {
            let shared = Arc::new(snmp::Shared::new(profiles.snmp, clock));
            snmp::trace_agent(agent(args, target, name), shared).await
        }
        (other, Some(_), _) => {
            Err(wrong(&format!("recordings are of SNMP devices; this profile is for {other}")))
        }
        (other, None, _) => Err(wrong(&format!("profiles for {other} cannot be tested yet"))),
    }
}

fn wrong(cause: &str) -> PollError {
    PollError::new(crate::model::ErrorKind::NoReading, cause, "use --target")
}

async fn recording(
    file: &Path,
    name: Option<&str>,
    profiles: &Profiles,
    clock: Arc<dyn Clock>,
) -> Result<Trace, PollError> {
    snmp::trace_recording(file, name, &profiles.snmp, clock).await
}

fn agent(args: &TestArgs, target: &str, profile: Option<&str>) -> snmp::Settings {
    let community = SecretString::from(args.community.clone());
    let has_port =
        target.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let host = if target.contains(':') && !has_port && !target.starts_with('[') {
        format!("[{target}]")
    } else {
        target.to_owned()
    };
    snmp::Settings {
        address: if has_port { host } else { format!("{host}:161") },
        auth: match args.version {
            Version::V1 => snmp::Auth::V1(community),
            Version::V2c => snmp::Auth::V2c(community),
        },
        profile: profile.map(str::to_owned),
        request_timeout: Duration::from_secs(2),
        retries: 2,
        max_oids: 48,
    }
}

/// What people call a channel on the device.
fn name_of<'t>(trace: &'t Trace, traced: &Traced) -> &'t str {
    trace.channels.iter().find(|info| info.channel == traced.reading.channel).map_or("", |info| &info.name)
}

fn as_table(trace: &Trace) -> String {
    let mut out = String::new();
    if let Some(who) = &trace.identity {
        let parts =
            [&who.vendor, &who.model, &who.serial, &who.firmware].into_iter().filter(|p| !p.is_empty());
        let parts: Vec<&str> = parts.map(String::as_str).collect();
        out += &format!("profile {}: {}\n", who.profile, parts.join(", "));
    }
    let row = |traced: &Traced| {
        let quantity = traced.reading.measure.quantity();
        [
            traced.reading.channel.to_string(),
            name_of(trace, traced).to_owned(),
            quantity.name().to_owned(),
            traced.reading.measure.value().to_string(),
            quantity.unit().to_owned(),
            traced.reading.quality.name().to_owned(),
            traced.source.clone(),
            traced.raw.clone(),
        ]
    };
    let rows: Vec<_> = trace.readings.iter().map(row).collect();
    out + &table(["CHANNEL", "NAME", "QUANTITY", "VALUE", "UNIT", "QUALITY", "SOURCE", "RAW"], &rows, &[3])
}

fn as_json(trace: &Trace) -> serde_json::Value {
    let reading = |traced: &Traced| {
        json!({
            "channel": traced.reading.channel.as_str(),
            "name": name_of(trace, traced),
            "quantity": traced.reading.measure.quantity().name(),
            "value": traced.reading.measure.value(),
            "unit": traced.reading.measure.quantity().unit(),
            "quality": traced.reading.quality.name(),
            "source": traced.source,
            "raw": traced.raw,
        })
    };
    let identity = trace.identity.as_ref();
    json!({
        "profile": identity.map(|who| &who.profile),
        "identity": identity.map(|who| json!({
            "vendor": who.vendor, "model": who.model, "serial": who.serial, "firmware": who.firmware,
        })),
        "readings": trace.readings.iter().map(reading).collect::<Vec<_>>(),
    })
}
