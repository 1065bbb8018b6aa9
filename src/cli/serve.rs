//! `wattribute serve`: the exporter.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CONFIG_FILE, LogArgs, ProfilesArgs, begin_log, builtin};
use crate::app::keep::Storage;
use crate::app::{self, Loaded, Setup};
use crate::exposition::VERSION;
use crate::http::{Access, MetricsPath};
use crate::model::SystemClock;

/// Arguments of `wattribute serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Configuration file; without it /etc/wattribute/wattribute.yaml, and where that is missing, this machine's own sensors
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Where further profiles stand
    #[command(flatten)]
    pub profiles: ProfilesArgs,
    /// Address to serve on; may be given several times
    #[arg(long = "web.listen-address", value_name = "[HOST]:PORT", default_value = ":9797")]
    pub listen: Vec<String>,
    /// Path of the metrics page
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
    pub metrics_path: String,
    /// Users, TLS and headers of the server itself, as Prometheus's exporter-toolkit defines that file
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config: Option<PathBuf>,
    /// Let POST and PUT of /-/reload read the configuration anew, as SIGHUP always does
    #[arg(long = "web.enable-lifecycle")]
    pub lifecycle: bool,
    /// Let users of --web.config.file switch devices, hosts and data centres off and on at /api/v1
    #[arg(long = "web.enable-admin-api")]
    pub admin: bool,
    /// Where counters are kept over restarts
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Where the log goes
    #[command(flatten)]
    pub log: LogArgs,
}

/// Where counters are kept over restarts.
#[derive(Debug, Clone, Args)]
pub struct StorageArgs {
    /// Folder in which counters are kept over restarts; without it $STATE_DIRECTORY, which systemd sets, and where that is
    /// missing, counters begin at 0 with each start
    #[arg(long = "storage.path", value_name = "DIR")]
    pub path: Option<PathBuf>,
    /// How often they are written: the most that a crash may lose, 1s to 5m
    #[arg(long = "storage.checkpoint-interval", value_name = "TIME", default_value = "10s", value_parser = interval)]
    pub interval: Duration,
}

impl StorageArgs {
    /// Where and how often; none if nobody said where.
    fn storage(&self) -> Option<Storage> {
        let given = || {
            // Several are separated by colons.
            let all = std::env::var_os("STATE_DIRECTORY")?;
            std::env::split_paths(&all).next().filter(|path| !path.as_os_str().is_empty())
        };
        let path = self.path.clone().or_else(given)?;
        Some(Storage { path, interval: self.interval })
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(300));
    if (least..=most).contains(&time) { Ok(time) } else { Err("must be 1s to 5m".to_owned()) }
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When an address cannot be listened on, another exporter keeps its counters in the same folder, or the ledger died. A wrong configuration is printed whole and ends with code 1.
pub fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    begin_log(&args.log);
    // A device's state is small and lives long among what does not: huge pages are never full of it. Not every kernel has
    // them to be switched off.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // Somebody may ask for a reload before there is anything to reload: that must not end the process.
    let early = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _hangups = {
        let _within = early.enter();
        signal(SignalKind::hangup())?
    };
    let loaded = match load(args) {
        Ok(loaded) => loaded,
        Err(wrong) => {
            eprintln!("{wrong}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let workers = app::workers(&loaded.plan);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let outcome = runtime.block_on(serve(args, loaded));
    // A thread that waits for a sensor behind a dead bus must not hold the end up.
    runtime.shutdown_background();
    outcome
}

/// Reads all that the arguments name: the configuration, the profiles, and the server's own rules.
fn load(args: &ServeArgs) -> Result<Loaded, String> {
    let file = config_file(args);
    let config = if is_built_in(args) {
        builtin::this_machine(file).map_err(|why| format!("the name of this machine (hostname): {why}"))
    } else {
        super::load(file).map_err(|errors| errors.to_string())
    };
    let web = args.web_config.as_deref().map(app::web_rules).transpose();
    let (config, web) = match (config, web) {
        (Ok(config), Ok(web)) => (config, web.unwrap_or_default()),
        (Err(wrong), Ok(_)) | (Ok(_), Err(wrong)) => return Err(wrong),
        (Err(one), Err(other)) => return Err(format!("{one}\n{other}")),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let profiles = args.profiles.load();
    // One broken profile is no reason to leave a data centre unread: its meters say so, all others go on.
    for error in profiles.refused() {
        tracing::error!("profile left out: {error}");
    }
    // The plan is all that runs; the text of ten thousand meters need not stay.
    Ok(Loaded { plan: app::plan(&config), profiles, web })
}

/// The same for who runs already: what a start passes over with a message is no reason to stop what works.
fn load_again(args: &ServeArgs, had_file: bool) -> Result<Loaded, String> {
    if had_file && is_built_in(args) {
        let file = config_file(args).display();
        return Err(format!("{file} is gone; put it back, or restart to read this machine's own sensors"));
    }
    let loaded = load(args)?;
    let wrong: Vec<_> = loaded.profiles.refused().iter().map(ToString::to_string).collect();
    if wrong.is_empty() { Ok(loaded) } else { Err(wrong.join("\n")) }
}

fn config_file(args: &ServeArgs) -> &Path {
    args.config_file.as_deref().unwrap_or(Path::new(CONFIG_FILE))
}

/// A file that is named must be there; one that cannot be looked for is not known to be missing.
fn is_built_in(args: &ServeArgs) -> bool {
    args.config_file.is_none() && config_file(args).try_exists().is_ok_and(|exists| !exists)
}

async fn serve(args: &ServeArgs, loaded: Loaded) -> anyhow::Result<ExitCode> {
    let metrics_path = MetricsPath::new(&args.metrics_path)
        .with_context(|| format!("--web.telemetry-path={}", args.metrics_path))?;
    let storage = args.storage.storage();
    if storage.is_none() {
        tracing::warn!(
            "counters begin at 0 with each start: give a folder to keep them in with --storage.path"
        );
    }
    let opened = storage.map(|storage| app::keep::open(&storage)).transpose()?;
    let switches = opened.as_ref().map(app::keep::Opened::switches).unwrap_or_default();
    let mut listeners = Vec::new();
    for address in &args.listen {
        listeners.push(listen(address).await?);
    }
    let shutdown = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let hangup = signal(SignalKind::hangup())?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    let plan = &loaded.plan;
    let source =
        if is_built_in(args) { "built-in".to_owned() } else { config_file(args).display().to_string() };
    tracing::info!(
        version = VERSION,
        config = source,
        meters = plan.meters.len(),
        hosts = plan.inventory.hosts.len(),
        hypervisors = plan.sources.len(),
        "wattribute starts"
    );
    if args.admin && loaded.web.users.is_empty() {
        tracing::warn!(
            "--web.enable-admin-api is of no use without users: name some under `basic_auth_users` in the file of --web.config.file"
        );
    }
    let (again, had_file) = (args.clone(), !is_built_in(args));
    let setup = Setup {
        loaded,
        load: Box::new(move || load_again(&again, had_file)),
        switches: Arc::new(Mutex::new(switches)),
        storage: opened,
        listeners,
        metrics_path,
        access: Access { lifecycle: args.lifecycle, admin: args.admin },
        hangup: Some(hangup),
        clock: Arc::new(SystemClock::new()),
    };
    app::run(setup, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// Listens on `[HOST]:PORT`; without a host on all addresses, IPv6 and IPv4, or IPv4 alone where there is no IPv6.
async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let listener = match address.strip_prefix(':') {
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Ok(listener) => Ok(listener),
            Err(_) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
        },
        None => TcpListener::bind(address).await,
    };
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => bail!(
            "cannot listen on {address}: {error}; free the port, or choose another with --web.listen-address"
        ),
    };
    let local: SocketAddr = listener.local_addr()?;
    tracing::info!(address = %local, "listening");
    Ok(listener)
}
