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
use crate::drivers::serial::line::Line;
use crate::drivers::{Trace, Traced, http, modbus, snmp};
use crate::model::{Clock, ErrorKind, PollError, SystemClock};

/// The longest that a device may take to be learned and read.
const DEADLINE: Duration = Duration::from_secs(60);
/// The longest that one request may wait for its answer, and how often it is sent again.
const REQUEST: Duration = Duration::from_secs(2);
const RETRIES: u32 = 2;

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
    /// Print the JSON Schema of profiles, for editors
    Schema,
    /// Show which profile fits a device or a recording of one, and everything it reads
    Test(TestArgs),
}

/// Arguments of `wattribute profile test`.
#[derive(Debug, Clone, Args)]
#[group(id = "what", required = true, multiple = false, args = ["target", "recording"])]
pub struct TestArgs {
    /// Profile to test: its file, or a name that `profile list` shows; without it, the one that fits (SNMP, JSON)
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
    /// Modbus: the meter's number on its line
    #[arg(long = "modbus.unit", value_name = "NUMBER", default_value_t = 1)]
    pub unit: u8,
    /// Modbus: the target is a gateway that passes on frames of a serial line (RTU over TCP)
    #[arg(long = "modbus.rtu-over-tcp")]
    pub rtu_over_tcp: bool,
    /// Modbus on a serial port: bits per second
    #[arg(long = "serial.baud", value_name = "RATE", default_value_t = 9600)]
    pub baud: u32,
    /// Modbus on a serial port: data bits, parity and stop bits
    #[arg(long = "serial.format", value_name = "FORMAT", default_value = "8N1")]
    pub format: String,
    /// JSON over HTTP: who logs in
    #[arg(long = "http.username", value_name = "NAME")]
    pub username: Option<String>,
    /// JSON over HTTP: file that holds the password
    #[arg(long = "http.password-file", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
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
        ProfileCommand::Schema => {
            print(&format!("{}\n", profiles::json_schema()))?;
            Ok(ExitCode::SUCCESS)
        }
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
    if let Some(named) = args.file.as_deref().and_then(|file| known(&profiles, file)) {
        chosen = Some(named);
    } else if let Some(file) = &args.file {
        // The file under test is the only one of its name, wherever it stands.
        profiles = Profiles::built_in();
        match profiles::read(file).and_then(|text| profiles.add(&file.display().to_string(), &text)) {
            Ok(added) => chosen = Some(added),
            Err(error) if file.exists() => {
                eprintln!("{error}");
                return Ok(ExitCode::FAILURE);
            }
            Err(error) => {
                eprintln!("{error}; name a file, or a profile that `wattribute profile list` shows");
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
            let (what, said) = (what.unwrap_or_default(), error.to_string());
            // What is wrong with the file of a recording begins with its name.
            if said.starts_with(&what) {
                eprintln!("{said}")
            } else {
                eprintln!("{what}: {said}")
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The profile that `file` names, if that is no file.
fn known(profiles: &Profiles, file: &Path) -> Option<Added> {
    let name = file.to_str().filter(|_| !file.exists())?;
    let libraries = [
        (snmp::Profile::PROTOCOL, profiles.snmp.named(name).is_some()),
        (modbus::Profile::PROTOCOL, profiles.modbus.named(name).is_some()),
        (http::Profile::PROTOCOL, profiles.http.named(name).is_some()),
    ];
    let protocol = libraries.into_iter().find_map(|(protocol, has)| has.then_some(protocol))?;
    Some(Added { protocol, name: name.to_owned() })
}

async fn trace(args: &TestArgs, chosen: Option<&Added>, profiles: Profiles) -> Result<Trace, PollError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (protocol, name) = match chosen {
        Some(chosen) => (chosen.protocol, Some(chosen.name.as_str())),
        None if args.target.as_ref().is_some_and(|target| target.contains("://")) => {
            (http::Profile::PROTOCOL, None)
        }
        None if args.target.as_ref().is_some_and(|target| target.starts_with('/')) => {
            let fix = "name one of Modbus before --target: its file, or a name that `wattribute profile list` shows";
            return Err(wrong(
                "a meter at a serial port does not say which profile reads it".to_owned(),
                fix,
            ));
        }
        None => (snmp::Profile::PROTOCOL, None),
    };
    match (protocol, &args.recording, &args.target) {
        (snmp::Profile::PROTOCOL, Some(file), _) => {
            snmp::trace_recording(file, name, &profiles.snmp, clock).await
        }
        (snmp::Profile::PROTOCOL, None, Some(target)) => {
            let shared = Arc::new(snmp::Shared::new(profiles.snmp, clock));
            snmp::trace_agent(agent(args, target, name), shared).await
        }
        (modbus::Profile::PROTOCOL, None, Some(target)) => {
            let profile = profiles.modbus.chosen(name.unwrap_or_default())?;
            modbus::trace(&meter(args, target, profile.name())?, profile, clock).await
        }
        (http::Profile::PROTOCOL, None, Some(target)) => {
            http::trace(device(args, target, name)?, http::Shared::new(profiles.http, clock)).await
        }
        (other, ..) => Err(wrong(
            format!("recordings are of SNMP devices, and this profile is for {other}"),
            "name the device by --target",
        )),
    }
}

fn wrong(cause: String, fix: &str) -> PollError {
    PollError::new(ErrorKind::NoReading, cause, fix)
}

/// A Modbus meter behind `HOST`, `HOST:PORT` or a serial port.
fn meter(args: &TestArgs, target: &str, profile: &str) -> Result<modbus::Settings, PollError> {
    let address = if target.starts_with('/') {
        let format = args.format.parse().map_err(|_| {
            let cause = format!("{:?} is not a format of a serial line", args.format);
            wrong(cause, "write data bits, parity and stop bits, such as 8N1 or 8E1")
        })?;
        modbus::Address::Rtu(target.into(), Line { baud: args.baud, format, rts_cts: false })
    } else if args.rtu_over_tcp {
        modbus::Address::RtuOverTcp(with_port(target, 502))
    } else {
        modbus::Address::Tcp(with_port(target, 502))
    };
    Ok(modbus::Settings {
        address,
        unit: args.unit,
        profile: profile.to_owned(),
        request_timeout: REQUEST,
        retries: RETRIES,
        poll_timeout: DEADLINE,
        pause: Duration::ZERO,
        invert: false,
        ratio: 1.0,
    })
}

/// A JSON device at a URL.
fn device(args: &TestArgs, target: &str, profile: Option<&str>) -> Result<http::Settings, PollError> {
    let password = match &args.password_file {
        None => None,
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                wrong(format!("{} cannot be read: {error}", file.display()), "check --http.password-file")
            })?;
            Some(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
    };
    let url = if target.contains("://") { target.to_owned() } else { format!("http://{target}") };
    Ok(http::Settings {
        url: url.trim_end_matches('/').to_owned(),
        profile: profile.map(str::to_owned),
        user: args.username.clone(),
        password,
        trust: http::Trust::WebPki,
        request_timeout: REQUEST,
    })
}

/// `HOST:PORT` of what was given with or without a port; an IPv6 address in brackets.
fn with_port(target: &str, usual: u16) -> String {
    match target.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{usual}"),
        Err(_) if target.ends_with(']') || !target.contains(':') => format!("{target}:{usual}"),
        Err(_) => target.to_owned(),
    }
}

fn agent(args: &TestArgs, target: &str, profile: Option<&str>) -> snmp::Settings {
    let community = SecretString::from(args.community.clone());
    snmp::Settings {
        address: with_port(target, 161),
        auth: match args.version {
            Version::V1 => snmp::Auth::V1(community),
            Version::V2c => snmp::Auth::V2c(community),
        },
        profile: profile.map(str::to_owned),
        request_timeout: REQUEST,
        retries: RETRIES,
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
    let mut notes = String::new();
    for dropped in &trace.dropped {
        notes += &format!("no reading: {dropped}\n");
    }
    out + &notes
        + &table(["CHANNEL", "NAME", "QUANTITY", "VALUE", "UNIT", "QUALITY", "SOURCE", "RAW"], &rows, &[3])
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
        "dropped": trace.dropped,
    })
}
