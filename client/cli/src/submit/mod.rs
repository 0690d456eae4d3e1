//! `hearth submit`: makes a job of a file or of flags, submits it, follows it, and tells what became of it.

mod follow;
mod input;
mod narrate;
mod result;
mod spec;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hearth_client::Client;
use hearth_common::duration::parse_duration;
use hearth_common::{JobId, JobSpec, JobStatus};
use serde_json::json;
use uuid::Uuid;

use crate::exit::{CliError, Exit};
use crate::place::MasterPlace;
use crate::terminal::{note, say, say_json};

use follow::{Ended, Follow};
pub(crate) use input::{InputChoices, input_of};
pub(crate) use spec::parse_pair;

const EXAMPLES: &str = "\
Examples:
  hearth submit job.toml --set date=2026-01-15
  hearth submit --input actions='raw/*.csv' --sql 'SELECT action, count(*) FROM actions GROUP BY action'
  hearth submit --input t=raw.csv --on-error reject --max-rejects 0.1% --sql 'SELECT * FROM t' --output good
  hearth submit --master 'local[2]' job.toml
  hearth submit job.toml --detach --json

Ctrl-C leaves the job running and says how to cancel it (exit code 130); with --cancel-on-interrupt it cancels the job.";

/// What to submit, and how to follow it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) job: JobFlags,

    /// Prints the job's id and does not wait for its end.
    #[arg(long, conflicts_with_all = ["timeout", "cancel_on_interrupt"])]
    pub(crate) detach: bool,

    /// Prints one JSON document on standard output; progress goes to standard error.
    #[arg(long)]
    pub(crate) json: bool,

    /// Cancels the job when it has not ended after this time, such as 90s or 2h.
    #[arg(long, value_name = "DURATION", value_parser = parse_timeout)]
    pub(crate) timeout: Option<Duration>,

    /// Ctrl-C and SIGTERM cancel the job instead of leaving it running.
    #[arg(long)]
    pub(crate) cancel_on_interrupt: bool,

    /// Submitting the same job again with the same key makes no second job.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// The job itself: a file, or flags.
#[derive(Debug, Args)]
pub(crate) struct JobFlags {
    /// Job file (TOML).
    #[arg(value_name = "JOB.toml", conflicts_with_all = ["input", "sql", "sql_file", "output"])]
    pub(crate) file: Option<PathBuf>,

    /// Value of a ${NAME} in the job file; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = spec::parse_pair)]
    pub(crate) set: Vec<(String, String)>,

    /// Name of the job.
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// An input: file, directory or glob. May be repeated, also with the same name.
    #[arg(long, value_name = "NAME=PATH", value_parser = spec::parse_pair)]
    pub(crate) input: Vec<(String, String)>,

    /// Format of the inputs, or of one: csv, json, parquet. Without it the extension tells.
    #[arg(long, value_name = "[NAME=]FORMAT", requires = "input")]
    pub(crate) format: Vec<String>,

    /// Columns of the only input, or of one: 'email string, amount decimal(12,2)'. Without it they are inferred.
    #[arg(long, value_name = "[NAME=]COLUMNS", requires = "input")]
    pub(crate) schema: Vec<String>,

    /// How the inputs are, or one is, compressed: auto (by the extension), none, gzip, bzip2, zstd.
    #[arg(long, value_name = "[NAME=]COMPRESSION", requires = "input")]
    pub(crate) compression: Vec<String>,

    /// What a record that cannot be read does: fail stops the job, reject puts it aside (CSV, JSON lines).
    #[arg(long, value_name = "[NAME=]ACTION", requires = "input")]
    pub(crate) on_error: Vec<String>,

    /// Rejects that are allowed, with --on-error reject: a number of records, or a share such as 0.5% [default: 1000].
    #[arg(long, value_name = "[NAME=]LIMIT", requires = "on_error")]
    pub(crate) max_rejects: Vec<String>,

    /// The query: one SELECT.
    #[arg(long, value_name = "SELECT", conflicts_with = "sql_file")]
    pub(crate) sql: Option<String>,

    /// File with the query.
    #[arg(long, value_name = "PATH")]
    pub(crate) sql_file: Option<PathBuf>,

    /// Directory for the result. Without it the result is printed as a table.
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<String>,

    /// What to do when the output exists.
    #[arg(long, value_name = "MODE", requires = "output", value_parser = ["error", "overwrite", "append"])]
    pub(crate) mode: Option<String>,

    /// Format of the output.
    #[arg(long, value_name = "FORMAT", requires = "output", value_parser = ["parquet", "csv", "json"])]
    pub(crate) output_format: Option<String>,

    /// Column that becomes directories `COLUMN=value` of the output; may be repeated.
    #[arg(long, value_name = "COLUMN", requires = "output", value_delimiter = ',')]
    pub(crate) partition_by: Vec<String>,
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

pub(crate) async fn run(master: &MasterPlace, args: SubmitArgs) -> Result<Exit, CliError> {
    // The job is read before anybody is asked or anything is started.
    let spec = spec::job_of(&args.job)?;
    match master {
        MasterPlace::Remote(_) => submit(&master.connect().await?, spec, args).await,
        MasterPlace::Local { slots } => run_local(*slots, spec, args).await,
    }
}

#[cfg(feature = "cluster")]
async fn run_local(slots: u32, spec: JobSpec, args: SubmitArgs) -> Result<Exit, CliError> {
    if args.detach {
        return Err(CliError::usage("a local master ends with this command, so --detach cannot leave a job behind"));
    }
    let cluster = crate::cluster::local::LocalCluster::start(slots).await?;
    let outcome = match cluster.connect().await {
        // The job could not go on without this process.
        Ok(client) => submit(&client, spec, SubmitArgs { cancel_on_interrupt: true, ..args }).await,
        Err(error) => Err(error),
    };
    cluster.stop().await;
    outcome
}

#[cfg(not(feature = "cluster"))]
async fn run_local(_slots: u32, _spec: JobSpec, _args: SubmitArgs) -> Result<Exit, CliError> {
    Err(crate::place::no_local_master())
}

/// Follows a job to its end, which an interrupt brings near; or the exit code of who did not wait for that.
pub(crate) async fn follow_to_the_end(client: &Client, job: JobId) -> Result<Result<JobStatus, Exit>, CliError> {
    let follow = Follow { client, job, timeout: None, cancel_on_interrupt: true };
    Ok(match follow.to_the_end().await? {
        Ended::Final(status) => Ok(*status),
        Ended::Left(signal) => Err(Exit::Signal(signal)),
    })
}

/// Submits a job to a master and follows it as the flags say.
async fn submit(client: &Client, spec: JobSpec, args: SubmitArgs) -> Result<Exit, CliError> {
    // A key of our own makes it safe to send the submission again when its answer is lost.
    let key = args.idempotency_key.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let submitted = client.submit(spec, Some(key)).await?;
    let job = submitted.job;
    if args.detach {
        if args.json {
            say_json(&json!({ "id": job, "existed": submitted.existed }))?;
        } else {
            say(&job.to_string())?;
        }
        return Ok(Exit::Done);
    }
    let again = if submitted.existed { " (submitted before, with the same key)" } else { "" };
    note(&format!("job {job}{again}"));
    let follow = Follow { client, job, timeout: args.timeout, cancel_on_interrupt: args.cancel_on_interrupt };
    match follow.to_the_end().await? {
        Ended::Final(status) => result::tell(client, &status, args.json).await,
        Ended::Left(signal) => {
            note(&format!(
                "job {job} goes on; follow it with `hearth status {job}`, stop it with `hearth cancel {job}`"
            ));
            Ok(Exit::Signal(signal))
        }
    }
}
