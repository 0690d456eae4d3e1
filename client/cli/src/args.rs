//! The command line: commands, options and their help. Its shape is a contract.

use clap::{Args, Parser, Subcommand};
use hearth_common::{JobId, JobState};

use crate::check::CheckArgs;
use crate::generate::GenerateArgs;
use crate::logs::LogsArgs;
use crate::place::MasterPlace;
use crate::submit::SubmitArgs;

#[cfg(feature = "fs")]
use crate::fs::FsArgs;

#[cfg(feature = "cluster")]
use crate::cluster::{demo::DemoArgs, master::MasterArgs, worker::WorkerArgs};

const AFTER_HELP: &str = "\
Examples:
  hearth demo
  hearth master --state-dir /var/lib/hearth
  hearth worker --master hearth://node1:7077 --slots 4 --memory 4GiB
  hearth submit job.toml --set date=2026-01-15
  hearth check 'raw/*.csv'
  hearth fs put actions.csv hdfs://nn:9000/raw/

Exit codes: 0 done, 1 job failed, 2 usage or job file, 3 cancelled, 4 master not reached";

/// Runs SQL over files on one or many machines.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, after_help = AFTER_HELP, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The master: hearth://HOST:7077, spark://HOST:7077, several that share a state directory with commas between them
    /// (hearth://node1:7077,node2:7077), or `local[N]` for one inside this process
    /// [default: hearth://127.0.0.1:7077; of check: `local[*]`].
    #[arg(long, global = true, env = "HEARTH_MASTER", value_name = "URL")]
    pub(crate) master: Option<MasterPlace>,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows everything on one machine: data, a master, two workers, a job and its result.
    #[cfg(feature = "cluster")]
    Demo(DemoArgs),
    /// Runs a master.
    #[cfg(feature = "cluster")]
    Master(MasterArgs),
    /// Runs a worker.
    #[cfg(feature = "cluster")]
    Worker(WorkerArgs),
    /// Submits a job and follows it to its end.
    Submit(Box<SubmitArgs>),
    /// Reads data as a job would, and tells what it holds or where it is wrong. Writes nothing.
    Check(CheckArgs),
    /// Shows one job.
    Status(JobArgs),
    /// Lists jobs, newest first.
    List(ListArgs),
    /// Cancels a job.
    Cancel(JobArgs),
    /// Shows what master and workers told of a job.
    Logs(LogsArgs),
    /// Lists the workers.
    Workers(WorkersArgs),
    /// Lists, reads, writes, renames and removes files, in HDFS or here.
    #[cfg(feature = "fs")]
    Fs(FsArgs),
    /// Makes user-action data to try things with.
    Generate(GenerateArgs),
}

/// One job.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hearth status 019b2c3d-0000-7000-8000-000000000001 --json")]
pub(crate) struct JobArgs {
    /// Id of the job, as submit printed it.
    #[arg(value_name = "JOB")]
    pub(crate) job: JobId,

    /// Prints one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which jobs.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hearth list --state running --state queued")]
pub(crate) struct ListArgs {
    /// Only jobs in this state; may be repeated.
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    pub(crate) state: Vec<JobState>,

    /// Most jobs to list.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,

    /// Prints one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to list workers.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hearth workers --master hearth://node1:7077")]
pub(crate) struct WorkersArgs {
    /// Prints one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_state(text: &str) -> Result<JobState, String> {
    let names = || JobState::ALL.into_iter().map(JobState::name);
    JobState::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
        match hearth_client::nearest(text, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("use {}", names().collect::<Vec<_>>().join(", ")),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("hearth {}", command.get_name())) || help.contains("hearth status"),
                "{command}"
            );
        }
    }
}
