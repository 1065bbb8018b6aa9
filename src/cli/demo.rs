//! `wattribute demo`: a simulated data centre, the real exporter and a real Prometheus, on loopback, until Ctrl-C.
//!
//! Only the play is here: what runs in which order, what is waited for, what is printed, and that nothing stays behind.

mod accuracy;
mod building;
mod child;
mod query;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::model::SystemClock;
use crate::sim::{Datacenter, Running};
use accuracy::Accuracy;
use building::Building;
use child::Program;
use query::{Http, Series};

/// Arguments of `wattribute demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// End after the table instead of running until Ctrl-C
    #[arg(long)]
    pub once: bool,
    /// The exporter to run; this program itself if not given
    #[arg(long, value_name = "PROGRAM")]
    pub exporter: Option<PathBuf>,
    /// Folder of Prometheus rule files
    #[arg(long, value_name = "DIR", default_value = "rules")]
    pub rules: PathBuf,
    /// Which simulated data centre: the same number gives the same servers, VMs and loads
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// How long each program may take to be ready, and the rules to have values.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the account is watched before it is compared with the truth, seconds.
const WINDOW_SECONDS: u64 = 30;
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Runs the demo.
///
/// # Errors
/// When a program is missing, ends by itself or does not get ready, when the rules get no values, or when the exporter
/// leaves a session open. Whatever happens, no process and no file is left.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut stage = Stage::default();
    let played = tokio::select! {
        played = stage.play(&args) => played,
        // Running on until a signal is what was asked for, unless a table was.
        _ = interrupt.recv() => interrupted(args.once),
        _ = terminate.recv() => interrupted(args.once),
    };
    let cleared = stage.clear().await;
    played.and(cleared)
}

fn interrupted(once: bool) -> anyhow::Result<()> {
    if once { Err(anyhow::anyhow!("interrupted before the table")) } else { Ok(()) }
}

/// What is running, so that all of it can be ended whenever the play stops.
#[derive(Default)]
struct Stage {
    datacenter: Option<Running>,
    exporter: Option<Program>,
    prometheus: Option<Program>,
    dir: Option<tempfile::TempDir>,
}

impl Stage {
    async fn play(&mut self, args: &DemoArgs) -> anyhow::Result<()> {
        let rules = rules(&args.rules)?;
        let program = match &args.exporter {
            Some(program) => program.clone(),
            None => std::env::current_exe().context("find this program")?,
        };
        let Some(prometheus_program) = child::find("prometheus") else {
            bail!("prometheus is not in PATH; `apt-get install prometheus` installs it");
        };
        let dir =
            self.dir.insert(tempfile::Builder::new().prefix("wattribute-demo-").tempdir()?).path().to_owned();
        let (exporter, prometheus) = (free_port()?, free_port()?);
        let http = Http::new()?;

        println!("simulated data centre: starting");
        let plan = Datacenter { seed: args.seed, exporter, rules };
        let datacenter =
            plan.start(&dir, Arc::new(SystemClock::new())).await.context("start the data centre")?;
        let datacenter = &*self.datacenter.insert(datacenter);
        println!("exporter: starting {}", program.display());
        let running = start_exporter(&program, datacenter, exporter, &dir)?;
        until_ready("the exporter", &http, exporter, self.exporter.insert(running)).await?;
        println!("prometheus: starting, from {}", child::origin(&prometheus_program).await);
        let running = start_prometheus(&prometheus_program, datacenter, prometheus, &dir)?;
        until_ready("Prometheus", &http, prometheus, self.prometheus.insert(running)).await?;

        println!("rules: waiting for values");
        let table = self.until_table(&http, prometheus).await?;
        println!("attribution: watching it for {WINDOW_SECONDS} s");
        tokio::time::sleep(Duration::from_secs(WINDOW_SECONDS)).await;
        let datacenter = self.datacenter.as_ref().context("the data centre runs")?;
        let accuracy = accuracy(&http, prometheus, datacenter).await?;
        // The table of now: averages over the window have settled meanwhile.
        let table = Table::ask(&http, prometheus).await?.unwrap_or(table);
        let (world, seconds) = (datacenter.world(), |unix| datacenter.seconds_at(unix));
        let building = Building::ask(&http, prometheus, world, seconds).await?;
        let building = building.map_or_else(String::new, |b| format!("\n{b}"));
        print!("\n{table}{building}{}", said(accuracy.as_ref()));
        println!("\nexporter    http://{exporter}/\nprometheus  http://{prometheus}/graph");
        if args.once {
            return Ok(());
        }
        println!("running until Ctrl-C");
        let (Some(exporter), Some(prometheus)) = (&mut self.exporter, &mut self.prometheus) else {
            bail!("the programs are gone");
        };
        tokio::select! {
            error = exporter.ended() => Err(error),
            error = prometheus.ended() => Err(error),
        }
    }

    async fn until_table(&mut self, http: &Http, prometheus: SocketAddr) -> anyhow::Result<Table> {
        let filled = async {
            loop {
                for program in [&mut self.exporter, &mut self.prometheus].into_iter().flatten() {
                    program.check()?;
                }
                if let Some(table) = Table::ask(http, prometheus).await? {
                    return Ok(table);
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        match tokio::time::timeout(PATIENCE, filled).await {
            Ok(table) => table,
            Err(_) => {
                let words = self.exporter.as_ref().map(Program::last_words).unwrap_or_default();
                bail!("the rules have no values after {} s\n{words}", PATIENCE.as_secs())
            }
        }
    }

    /// Ends the programs, the exporter first so that it can give its sessions back, then the data centre.
    async fn clear(mut self) -> anyhow::Result<()> {
        for program in [self.exporter.take(), self.prometheus.take()].into_iter().flatten() {
            program.end().await;
        }
        let Some(datacenter) = self.datacenter.take() else { return Ok(()) };
        let stopped = datacenter.stop().await;
        println!("sessions left open: {}", stopped.sessions_left_open());
        if let Some(dir) = self.dir.take() {
            dir.close().context("remove the work folder")?;
        }
        match stopped.left_open.as_slice() {
            [] => Ok(()),
            left => bail!("the exporter left sessions open: {left:?}"),
        }
    }
}

/// The rules folder as an absolute path: Prometheus reads it relative to its own configuration.
fn rules(dir: &Path) -> anyhow::Result<PathBuf> {
    dir.canonicalize().with_context(|| {
        format!("find the rules folder {}; run this in the repository or give --rules DIR", dir.display())
    })
}

/// A port that was free a moment ago. Another program may still take it: then the demo's fails, and says so.
fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn start_exporter(
    program: &Path,
    datacenter: &Running,
    at: SocketAddr,
    dir: &Path,
) -> anyhow::Result<Program> {
    let mut command = Command::new(program);
    command
        .arg("serve")
        .arg(format!("--config.file={}", datacenter.config.display()))
        .arg(format!("--web.listen-address={at}"));
    Program::start("exporter", command, &dir.join("exporter.log"))
}

fn start_prometheus(
    program: &Path,
    datacenter: &Running,
    at: SocketAddr,
    dir: &Path,
) -> anyhow::Result<Program> {
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", datacenter.prometheus.display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
        .arg(format!("--web.listen-address={at}"))
        .arg("--log.level=warn");
    Program::start("prometheus", command, &dir.join("prometheus.log"))
}

async fn until_ready(what: &str, http: &Http, at: SocketAddr, program: &mut Program) -> anyhow::Result<()> {
    let ready = async {
        while !http.ready(at).await {
            program.check()?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, ready).await {
        Ok(ready) => ready,
        Err(_) => bail!("{what} is not ready after {} s\n{}", PATIENCE.as_secs(), program.last_words()),
    }
}

/// The samples of the last window against the truth.
async fn accuracy(
    http: &Http,
    prometheus: SocketAddr,
    datacenter: &Running,
) -> anyhow::Result<Option<Accuracy>> {
    let query = format!("wattribute_workload_energy_joules_total[{WINDOW_SECONDS}s]");
    let series = http.query(prometheus, &query).await?;
    let query = format!("wattribute_host_settled_timestamp_seconds[{WINDOW_SECONDS}s]");
    let settled = http.query(prometheus, &query).await?;
    let name = |uuid: &str| {
        let vm = datacenter.world().vms().iter().find(|vm| vm.uuid == uuid);
        vm.map_or_else(|| uuid.to_owned(), |vm| vm.name.clone())
    };
    Ok(accuracy::compare(
        &series,
        &settled,
        |unix| datacenter.seconds_at(unix),
        |t| datacenter.truth(t),
        name,
    ))
}

fn said(accuracy: Option<&Accuracy>) -> String {
    accuracy.map_or_else(
        || "\nattribution: no VM was counted long enough to be compared\n".to_owned(),
        |a| {
            format!(
                "\nattribution against the simulator's truth: {} VMs over {:.0} s, at most {:.1} s behind\n  \
                 largest error {:.2} % ({}), {:.2} W ({})\n",
                a.vms,
                a.seconds,
                a.delay_seconds,
                a.worst_ratio.1 * 100.0,
                a.worst_ratio.0,
                a.worst_watts.1,
                a.worst_watts.0
            )
        },
    )
}

/// What the rules say now.
struct Table {
    facility_watts: f64,
    it_watts: f64,
    pue: f64,
    tenants: Vec<TenantRow>,
}

struct TenantRow {
    name: String,
    watts: f64,
    grams_per_hour: f64,
}

/// Tenants of the simulated data centre.
const TENANTS: usize = 4;

impl Table {
    /// Asks Prometheus; nothing as long as a rule has no value yet.
    async fn ask(http: &Http, at: SocketAddr) -> anyhow::Result<Option<Self>> {
        let one = async |query: &str| -> anyhow::Result<Option<f64>> {
            Ok(http.query(at, query).await?.first().and_then(Series::value))
        };
        let facility = one("datacenter:facility_power_watts:sum").await?;
        let it = one("datacenter:it_power_watts:sum").await?;
        let pue = one("datacenter:pue:ratio_rate5m").await?;
        let watts = http.query(at, "tenant:power_watts:sum").await?;
        // The recorded `tenant:emissions_location_grams_per_hour:rate5m` needs its five minutes; the demo has not run for
        // as long, so it takes the same factor by the power of now.
        let grams = http
            .query(
                at,
                "tenant:power_watts:sum * on (datacenter) group_left () \
                 datacenter:emission_factor_location_grams_per_kilowatt_hour:max / 1000",
            )
            .await?;
        let of = |series: &Series| {
            let same = |s: &&Series| s.label("project_id") == series.label("project_id");
            Some(TenantRow {
                name: series.label("project_name").to_owned(),
                watts: series.value()?,
                grams_per_hour: grams.iter().find(same)?.value()?,
            })
        };
        let mut tenants: Vec<TenantRow> = watts.iter().filter_map(of).collect();
        tenants.sort_by(|a, b| a.name.cmp(&b.name));
        let (Some(facility_watts), Some(it_watts), Some(pue)) = (facility, it, pue) else { return Ok(None) };
        Ok((tenants.len() >= TENANTS).then_some(Self { facility_watts, it_watts, pue, tenants }))
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "facility {:>10.0} W", self.facility_watts)?;
        writeln!(f, "IT       {:>10.0} W", self.it_watts)?;
        writeln!(f, "PUE      {:>10.3}", self.pue)?;
        writeln!(f, "\n{:<12} {:>9} {:>12}", "tenant", "W", "gCO2e/h")?;
        for row in &self.tenants {
            writeln!(f, "{:<12} {:>9.1} {:>12.1}", row.name, row.watts, row.grams_per_hour)?;
        }
        Ok(())
    }
}
