//! `wattribute calibrate`: watches a host that does nothing for some minutes, and says the idle power to configure.

mod mean;
mod measure;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{ConfigArgs, ProfilesArgs, load, print};
use crate::app::{self, Plan, Shared};
use crate::inventory::{Feed, Host};
use crate::model::{Clock, Ratio, SystemClock};
use mean::Means;
use measure::Bench;

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
    let plan = app::plan(&config);
    match watch(args, &plan).await {
        Ok(said) => {
            print(&said)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            eprintln!("{why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn watch(args: &CalibrateArgs, plan: &Plan) -> Result<String, String> {
    let (n, host) =
        plan.inventory.hosts.iter().enumerate().find(|(_, h)| h.id.as_str() == args.host).ok_or_else(
            || {
                let known: Vec<_> = plan.inventory.hosts.iter().map(|h| h.id.as_str()).collect();
                format!(
                    "{} has no host {:?}; it has: {}",
                    args.config.file.display(),
                    args.host,
                    known.join(", ")
                )
            },
        )?;
    let limit = Ratio::new(args.max_busy / 100.0)
        .map_err(|_| format!("--max-busy is {}; write a percentage, such as 5", args.max_busy))?;
    let feed = measured(host).ok_or_else(|| {
        format!("{} has no measured feed; name a channel of a meter in its `feeds`", host.id)
    })?;
    let profiles = args.profiles.load();
    for error in profiles.refused() {
        eprintln!("{error}");
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let shared = Shared::new(profiles, &clock);
    let source = plan.host_sources.get(n).copied().flatten().and_then(|s| plan.sources.get(s.0));
    if source.is_none() {
        eprintln!("{}: no `hypervisor` says whether it is idle; see to it yourself", host.id);
    }
    let mut bench = Bench::open(host, feed, &plan.meters, source, &shared, &clock)?;
    let watched = bench.watch(args.idle_for, limit, |line| eprintln!("{}: {line}", host.id)).await;
    bench.close().await;
    let (means, workloads) = watched?;
    said(host, &means, workloads)
}

/// The first feed that is measured.
fn measured(host: &Host) -> Option<&[(crate::model::MeterId, crate::model::ChannelId)]> {
    host.feeds.iter().find_map(|feed| match feed {
        Feed::Channels(channels) => Some(channels.as_slice()),
        Feed::Rated(_) => None,
    })
}

/// The result, as lines that can stand in the configuration.
fn said(host: &Host, means: &Means, workloads: Option<usize>) -> Result<String, String> {
    let result = means
        .result()
        .ok_or_else(|| format!("{}: too few readings came; watch it longer with --idle-for", host.id))?;
    if let Some(drift) = result.drift {
        eprintln!(
            "{}: power moved by {drift:+.1} W from the first half to the second; fans or caches settle: try again later",
            host.id
        );
    }
    if let Some(running) = workloads.filter(|n| *n > 0) {
        eprintln!("{}: {running} workloads run on it, what they draw at rest is counted as idle", host.id);
    }
    let busy = result.busy.map_or_else(String::new, |busy| format!(", CPUs {:.1} % busy", busy * 100.0));
    Ok(format!(
        "# {}: {} readings in {:.0} s: mean {:.1} W, standard error {:.1} W{busy}\nidle_power: {:.1} W\n",
        host.id, result.readings, result.seconds, result.power, result.error, result.power,
    ))
}
