//! `wattribute calibrate`: watches a host that does nothing for some minutes, and says the idle power to configure.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{ConfigArgs, ProfilesArgs, load, print};
use crate::app;
use crate::app::calibrate::{Calibrated, Calibration};
use crate::model::{Ratio, SystemClock};

/// Arguments of `wattribute calibrate`.
#[derive(Debug, Clone, Args)]
pub struct CalibrateArgs {
    /// The host's name in the configuration. Nothing should run on it but its services
    pub host: String,
    /// How long to watch it
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub idle_for: Duration,
    /// The most that its CPUs may be busy, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    pub max_busy: f64,
    /// Where the configuration stands
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Where further profiles stand
    #[command(flatten)]
    pub profiles: ProfilesArgs,
}

/// Measures the host: exit code 0 with the line for the configuration, 1 with what is wrong and its fix.
///
/// # Errors
/// When standard output cannot be written.
pub async fn run(args: &CalibrateArgs) -> anyhow::Result<ExitCode> {
    let config = match load(&args.config.file) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let Ok(most_busy) = Ratio::new(args.max_busy / 100.0) else {
        eprintln!("--max-busy is {}; write a percentage, such as 5", args.max_busy);
        return Ok(ExitCode::FAILURE);
    };
    let profiles = args.profiles.load();
    for error in profiles.refused() {
        eprintln!("{error}");
    }
    let plan = app::plan(&config);
    let calibration = Calibration { plan: &plan, host: &args.host, time: args.idle_for, most_busy };
    let clock = Arc::new(SystemClock::new());
    match calibration.run(profiles, clock, |line| eprintln!("{}: {line}", args.host)).await {
        Ok(result) => {
            warn(&args.host, &result);
            print(&lines(&args.host, &result))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            eprintln!("{}: {why}", args.host);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What makes the result less sure than its error says.
fn warn(host: &str, result: &Calibrated) {
    if let Some(drift) = result.drift {
        eprintln!(
            "{host}: power moved by {drift:+.1} W from the first half to the second: fans or caches settle; try again later"
        );
    }
    if let Some(running) = result.running.filter(|n| *n > 0) {
        eprintln!("{host}: {running} workloads run on it; what they draw at rest is counted as idle");
    }
}

/// The result, as lines that can stand in the configuration.
fn lines(host: &str, result: &Calibrated) -> String {
    let Calibrated { power, error, readings, seconds, .. } = result;
    let busy = result.busy.map_or_else(String::new, |busy| format!(", CPUs {:.1} % busy", busy * 100.0));
    format!(
        "# {host}: {readings} readings in {seconds:.0} s: mean {power:.1} W, standard error {error:.1} W{busy}\n\
         idle_power: {power:.1} W\n"
    )
}
