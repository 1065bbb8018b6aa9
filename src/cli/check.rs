//! `wattribute check`: everything that is wrong with a configuration file, at once.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{ProfilesArgs, load, print};
use crate::app::{self, plan::DriverPlan};
use crate::drivers::profiles::{Library, Profile, Profiles};

/// Arguments of `wattribute check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Configuration file
    pub file: PathBuf,
    /// Where further profiles stand
    #[command(flatten)]
    pub profiles: ProfilesArgs,
    /// Show what would run
    #[arg(long)]
    pub print_plan: bool,
}

/// Checks the file: exit code 0 if it is good, 1 with one line an error if not. Warnings go to standard error.
///
/// # Errors
/// When the built-in device profiles are broken, or standard output cannot be written.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = match load(&args.file) {
        Ok(config) => config,
        Err(errors) => {
            print(&format!("{errors}\n"))?;
            return Ok(ExitCode::FAILURE);
        }
    };
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    let plan = app::plan(&config);
    let profiles = args.profiles.load();
    let mut bad: String = profiles.refused().iter().map(|error| format!("{error}\n")).collect();
    let meters = plan.meters.iter().map(|m| (&m.defined, format!("meter {}", m.settings.id), &m.driver));
    let modules = plan.probe.iter().flat_map(|probe| &probe.modules);
    let modules = modules.map(|m| (&m.defined, format!("module {}", m.name), &m.driver));
    for (defined, who, driver) in meters.chain(modules) {
        if let Some((name, advice)) = unknown(driver, &profiles) {
            bad += &format!("{defined}: {who}: there is no profile {name:?}; {advice}\n");
        }
    }
    if !bad.is_empty() {
        print(&bad)?;
        return Ok(ExitCode::FAILURE);
    }
    if args.print_plan {
        print(&plan.to_string())?;
    } else {
        let (file, meters, hosts) = (args.file.display(), plan.meters.len(), plan.inventory.hosts.len());
        let modules = plan.probe.map_or_else(String::new, |p| format!(", {} probe modules", p.modules.len()));
        print(&format!("{file}: good: {meters} meters, {hosts} hosts{modules}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A profile that a device is to be read by although there is none, and what to do about it.
fn unknown<'d>(driver: &'d DriverPlan, profiles: &Profiles) -> Option<(&'d str, String)> {
    fn of<'d, P: Profile>(name: &'d str, library: &Library<P>) -> Option<(&'d str, String)> {
        library.named(name).is_none().then(|| (name, library.advice(name)))
    }
    match driver {
        DriverPlan::Snmp(settings) => of(settings.profile.as_deref()?, &profiles.snmp),
        DriverPlan::Modbus(settings) => of(&settings.profile, &profiles.modbus),
        DriverPlan::Http(settings) => of(settings.profile.as_deref()?, &profiles.http),
        DriverPlan::Ipmi(_)
        | DriverPlan::IpmiInBand(..)
        | DriverPlan::Redfish(_)
        | DriverPlan::Serial(_)
        | DriverPlan::Command(_)
        | DriverPlan::Sysfs(_)
        | DriverPlan::Prometheus(_) => None,
    }
}
