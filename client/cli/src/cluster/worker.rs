//! `hearth worker`: one worker until a signal drains it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use hearth_common::{ByteSize, WorkerId};
use hearth_worker::{ExitReason, RunningWorker, StartError, WorkerConfig};

use super::config::{dump, load};
use super::memory::default_memory;
use super::signals::Signals;
use crate::exit::{CliError, Exit};
use crate::log::LogFormat;
use crate::place::{MasterPlace, cores};
use crate::terminal::{say, say_json};

const EXAMPLES: &str = "\
Examples:
  hearth worker --master hearth://node1:7077 --slots 4 --memory 4GiB --work-dir /var/lib/hearth-worker
  hearth worker --master hearth://node1:7077 --bind 0.0.0.0:7078 --advertise node2
  hearth worker --master hearth://node1:7077,node2:7077
  hearth worker drain 019b2c3d-0000-7000-8000-000000000002

When the master has taken it, one line `hearth worker ready id=ID shuffle=ADDRESS [http=ADDRESS]` is written to standard output.
SIGTERM, Ctrl-C and `drain` let running attempts end and take no more; the worker leaves when nobody needs its shuffle outputs.
A second signal ends it at once.";

/// How to run a worker.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct WorkerArgs {
    /// Something else than running one.
    #[command(subcommand)]
    action: Option<WorkerAction>,

    /// Attempts at once [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    slots: Option<u32>,

    /// Memory of all attempts together, such as 4GiB [default: 60 percent of what there is].
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,

    /// Directory for shuffle outputs and spilled data [default: hearth-worker in the system's temporary directory].
    #[arg(long, value_name = "DIRECTORY")]
    work_dir: Option<PathBuf>,

    /// Where other workers fetch shuffle outputs [default: 127.0.0.1:0]; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<SocketAddr>,

    /// Where /metrics, /healthz and /readyz are [default: nowhere]; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,

    /// Host under which others reach it, when it is another than that of --bind.
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,

    /// Configuration file (TOML), for these and for the limits; flags override it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Prints the configuration and ends.
    #[arg(long)]
    dump_config: bool,

    /// Format of the log on standard error; RUST_LOG chooses what is logged.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// What can be done with a worker that runs.
#[derive(Debug, Subcommand)]
enum WorkerAction {
    /// Lets a worker finish what it runs, and leave once nobody needs what it holds.
    Drain(DrainArgs),
}

/// Which worker is to leave.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hearth worker drain 019b2c3d-0000-7000-8000-000000000002")]
struct DrainArgs {
    /// Id of the worker, as `hearth workers` lists it.
    #[arg(value_name = "WORKER")]
    worker: WorkerId,

    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

/// A wrong setting is the caller's mistake, everything else the machine's.
pub(super) fn not_started(error: StartError) -> CliError {
    match error {
        StartError::Config(problem) => CliError::usage(problem),
        StartError::WorkDir { .. } | StartError::Listen { .. } | StartError::Runtime(_) => CliError::failed(error),
    }
}

pub(crate) async fn run((master, is_given): (&MasterPlace, bool), args: WorkerArgs) -> Result<Exit, CliError> {
    if let Some(WorkerAction::Drain(args)) = &args.action {
        return drain(master, args).await;
    }
    let config = config_of(is_given.then_some(master), &args)?;
    if args.dump_config {
        dump(&config)?;
        return Ok(Exit::Done);
    }
    let mut signals = Signals::listen()?;
    let worker = RunningWorker::start(config).await.map_err(not_started)?;
    tokio::select! {
        _ = signals.next() => {}
        ended = serve(&worker) => return ended,
    }
    tracing::info!("draining; another signal ends the process at once");
    worker.drain();
    tokio::select! {
        exit = signals.next() => Ok(exit),
        _ = worker.wait() => Ok(Exit::Done),
    }
}

async fn drain(master: &MasterPlace, args: &DrainArgs) -> Result<Exit, CliError> {
    let worker = master.connect().await?.drain(args.worker).await?;
    if args.json {
        say_json(&worker)?;
    } else {
        let (id, host, state) = (worker.id, &worker.host, worker.state.name());
        say(&format!("worker {id} on {host} is {state}, with {}/{} slots in use", worker.slots_used, worker.slots))?;
    }
    Ok(Exit::Done)
}

/// Tells when the master has taken the worker, then waits for an end that nobody here asked for.
async fn serve(worker: &RunningWorker) -> Result<Exit, CliError> {
    let told = async {
        if let Some(id) = worker.registered().await {
            let http = worker.http_address().map(|address| format!(" http={address}")).unwrap_or_default();
            say(&format!("hearth worker ready id={id} shuffle={}{http}", worker.shuffle_address()))?;
        }
        Ok::<_, CliError>(())
    };
    let (told, reason) = tokio::join!(told, worker.wait());
    told?;
    match reason {
        ExitReason::Stopped | ExitReason::Drained => Ok(Exit::Done),
        ExitReason::Refused(reason) => Err(CliError::failed(format!("the master refused this worker: {reason}"))),
        ExitReason::Failed(reason) => Err(CliError::failed(format!("the worker cannot go on: {reason}"))),
    }
}

fn config_of(master: Option<&MasterPlace>, args: &WorkerArgs) -> Result<WorkerConfig, CliError> {
    let mut config: WorkerConfig = match &args.config {
        Some(file) => load(Some(file))?,
        None => WorkerConfig { slots: cores(), memory: default_memory(), ..WorkerConfig::default() },
    };
    if let Some(master) = master {
        config.master = master.remote()?.addresses().join(",");
    }
    config.slots = args.slots.unwrap_or(config.slots);
    config.memory = args.memory.unwrap_or(config.memory);
    config.bind = args.bind.unwrap_or(config.bind);
    config.http = args.http.or(config.http);
    config.work_dir = args.work_dir.clone().unwrap_or(config.work_dir);
    config.advertise = args.advertise.clone().or(config.advertise);
    Ok(config)
}
