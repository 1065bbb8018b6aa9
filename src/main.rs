//! Arguments and exit code; everything else is in the library.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use wattribute::cli::{Cli, Command, calibrate, check, demo, print, profile, read, serve};
use wattribute::config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = run(Cli::parse());
    outcome.unwrap_or_else(|error| {
        eprintln!("wattribute: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    match command {
        Command::Check(args) => return check::run(&args),
        Command::Schema => print(&format!("{}\n", config::json_schema()))?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "wattribute", &mut script);
            print(&String::from_utf8(script)?)?;
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(&String::from_utf8(page)?)?;
        }
        Command::Serve(args) => return serve::run(&args),
        Command::Profile(args) => return runtime()?.block_on(profile::run(&args)),
        Command::Calibrate(args) => return runtime()?.block_on(calibrate::run(&args)),
        Command::Read(args) => return runtime()?.block_on(read::run(&args)),
        Command::Demo(args) => runtime()?.block_on(demo::run(args))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
