//! `wattribute check`: everything that is wrong with a configuration file, at once.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::load;
use crate::app::{self, plan::DriverPlan};
use crate::drivers::snmp::Profiles;

/// Arguments of `wattribute check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Configuration file
    pub file: PathBuf,
    /// Show what would run
    #[arg(long)]
    pub print_plan: bool,
}

/// Checks the file: exit code 0 if it is good, 1 with one line an error if not. Warnings go to standard error.
///
/// # Errors
/// When the built-in device profiles are broken.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = match load(&args.file) {
        Ok(config) => config,
        Err(errors) => {
            println!("{errors}");
            return Ok(ExitCode::FAILURE);
        }
    };
    for warning in &config.warnings {
        eprintln!("warning: {warning}");
    }
    let plan = app::plan(&config);
    let profiles = Profiles::load(None)?;
    let mut good = true;
    for meter in &plan.meters {
        if let DriverPlan::Snmp(snmp) = &meter.driver
            && let Some(name) = &snmp.profile
            && profiles.named(name).is_none()
        {
            println!(
                "{}: meter {}: there is no SNMP profile {name:?}; leave `profile` out, or name one of: {}",
                args.file.display(),
                meter.settings.id,
                profiles.names(),
            );
            good = false;
        }
    }
    if !good {
        return Ok(ExitCode::FAILURE);
    }
    if args.print_plan {
        print!("{plan}");
    } else {
        println!(
            "{}: good: {} meters, {} hosts",
            args.file.display(),
            plan.meters.len(),
            plan.inventory.hosts.len()
        );
    }
    Ok(ExitCode::SUCCESS)
}
