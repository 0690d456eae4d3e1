//! The binary `hearth`: reads the command line, runs one command, and turns what became of it into an exit code.

mod args;
mod check;
mod columns;
mod exit;
mod figures;
#[cfg(feature = "fs")]
mod fs;
mod generate;
mod inferred;
mod jobs;
mod log;
mod logs;
mod place;
mod submit;
mod terminal;
mod workers;

#[cfg(feature = "cluster")]
mod cluster;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use exit::{CliError, Exit};

#[cfg(feature = "cluster")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start(&cli);
    run(cli).unwrap_or_else(|error| error.report()).into()
}

fn run(cli: Cli) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::start)?;
    let outcome = runtime.block_on(dispatch(cli));
    // Nothing that is left may hold up the exit.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(cli: Cli) -> Result<Exit, CliError> {
    let master = match &cli.master {
        Some(master) => master.clone(),
        None => place::DEFAULT_MASTER.parse().map_err(CliError::usage)?,
    };
    match cli.command {
        Command::Check(args) => check::run(cli.master, args).await,
        Command::Submit(args) => submit::run(&master, *args).await,
        Command::Status(args) => jobs::status(&master, &args).await,
        Command::List(args) => jobs::list(&master, &args).await,
        Command::Cancel(args) => jobs::cancel(&master, &args).await,
        Command::Logs(args) => logs::run(&master, &args).await,
        Command::Workers(args) => workers::run(&master, &args).await,
        Command::Generate(args) => generate::run(&args),
        #[cfg(feature = "fs")]
        Command::Fs(args) => fs::run(args).await,
        #[cfg(feature = "cluster")]
        Command::Demo(args) => cluster::demo::run(&args).await,
        #[cfg(feature = "cluster")]
        Command::Master(args) => cluster::master::run(args).await,
        #[cfg(feature = "cluster")]
        Command::Worker(args) => cluster::worker::run((&master, cli.master.is_some()), args).await,
    }
}
