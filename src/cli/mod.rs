//! Commands, one file each: arguments in, library calls, text and exit code out.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Config, Errors};
use crate::drivers::Profiles;

mod builtin;
pub mod calibrate;
pub mod check;
pub mod demo;
pub mod profile;
pub mod read;
pub mod serve;
mod table;

/// Whose watts? Meters a private cloud and splits every host's joules over its VMs, projects and applications.
#[derive(Debug, Parser)]
#[command(name = "wattribute", version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; without any: serve
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Arguments of `serve`
    #[command(flatten)]
    pub serve: serve::ServeArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Poll, attribute and serve /metrics (what happens without a command, too)
    Serve(serve::ServeArgs),
    /// Say everything that is wrong with a configuration file, as file:line:column: what is wrong; what to do
    Check(check::CheckArgs),
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
    /// Poll one meter once and show every reading, or the error with its fix
    Read(read::ReadArgs),
    /// Watch an idle host for some minutes and say its idle power, for the configuration
    Calibrate(calibrate::CalibrateArgs),
    /// List device profiles, or try one on a device or a recording
    Profile(profile::ProfileArgs),
    /// Show a simulated data centre through the real exporter and a real Prometheus
    Demo(demo::DemoArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Where the log goes: always standard error.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Only log messages of this severity or above
    #[arg(long = "log.level", value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub level: LogLevel,
    /// Output format of log messages
    #[arg(long = "log.format", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Logfmt)]
    pub format: LogFormat,
}

/// Severities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Everything of ours.
    Debug,
    /// What happens.
    Info,
    /// What should be looked at.
    Warn,
    /// What went wrong.
    Error,
}

/// Forms of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `key=value`.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Begins to log.
pub fn begin_log(args: &LogArgs) {
    use tracing_subscriber::prelude::*;
    let level = match args.level {
        LogLevel::Debug => "wattribute=debug,warn",
        LogLevel::Info => "wattribute=info,error",
        LogLevel::Warn => "wattribute=warn,error",
        LogLevel::Error => "error",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    let registry = tracing_subscriber::registry().with(filter);
    match args.format {
        LogFormat::Logfmt => {
            registry.with(tracing_logfmt::builder().layer().with_writer(std::io::stderr)).init()
        }
        LogFormat::Json => registry
            .with(tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr))
            .init(),
    }
}

/// Where the configuration stands unless somebody says otherwise.
pub const CONFIG_FILE: &str = "/etc/wattribute/wattribute.yaml";

/// Where the configuration stands.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Configuration file
    #[arg(long = "config.file", value_name = "FILE", default_value = CONFIG_FILE)]
    pub file: PathBuf,
}

/// Where an operator's device profiles stand.
#[derive(Debug, Clone, Args)]
pub struct ProfilesArgs {
    /// Folder of device profiles (*.yaml), which add to those in the binary and replace those of the same name
    #[arg(long = "profiles.dir", value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl ProfilesArgs {
    /// Every profile there is; what is wrong with files of the folder is in [`Profiles::refused`].
    #[must_use]
    pub fn load(&self) -> Profiles {
        Profiles::load(self.dir.as_deref())
    }
}

/// How readings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Loads a configuration with this process's environment.
///
/// # Errors
/// As [`config::load`].
pub fn load(file: &std::path::Path) -> Result<Config, Errors> {
    config::load(file, &|name| std::env::var(name).ok())
}

/// Writes `text` to standard output. A reader that has gone, as in `wattribute schema | head`, has had enough.
///
/// # Errors
/// When it cannot be written otherwise.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
