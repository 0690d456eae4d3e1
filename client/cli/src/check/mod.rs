//! `hearth check`: reads data as a job would, every record and every column of it, and writes nothing.

mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use futures::StreamExt;
use hearth_client::job_file::{absolute_location, read_job};
use hearth_client::{Client, ResultFormat, nearest};
use hearth_common::{FailureCause, InputSpec, JobId, JobSettings, JobSpec, JobState, JobStatus};
use serde_json::Value;
use uuid::Uuid;

use crate::exit::{CliError, Exit};
use crate::place::{MasterPlace, cores};
use crate::submit::{InputChoices, follow_to_the_end, input_of, parse_pair};
use crate::terminal::note;

use report::{Column, Found, Report};

const EXAMPLES: &str = "\
Examples:
  hearth check 'raw/*.csv'
  hearth check raw/ --format csv --schema 'email string, amount decimal(12,2)'
  hearth check raw.csv --on-error reject --max-rejects 0.1%
  hearth check --job job.toml --input actions --set date=2026-01-15
  hearth check --master hearth://node1:7077 /data/raw/actions.csv.gz --json

Prints the columns of each input, its records, the NULLs of each column, and the first record that cannot be read.
Exit codes: 0 all of it can be read, 1 not, 2 usage or job file.";

/// Name of the input that the paths make.
const PATHS_INPUT: &str = "data";

/// What to read.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct CheckArgs {
    /// Files, directories or globs that make one input.
    #[arg(value_name = "PATH", required_unless_present = "job", conflicts_with = "job")]
    path: Vec<String>,

    /// Format of the files: csv, json, parquet. Without it the extension tells.
    #[arg(long, conflicts_with = "job")]
    format: Option<String>,

    /// Columns of the files: 'email string, amount decimal(12,2)'. Without it they are inferred.
    #[arg(long, value_name = "COLUMNS", conflicts_with = "job")]
    schema: Option<String>,

    /// How the files are compressed: auto (by the extension), none, gzip, bzip2, zstd.
    #[arg(long, value_name = "COMPRESSION", conflicts_with = "job")]
    compression: Option<String>,

    /// What a record that cannot be read does: fail stops the job, reject puts it aside (CSV, JSON lines).
    #[arg(long, value_name = "ACTION", conflicts_with = "job")]
    on_error: Option<String>,

    /// Rejects that are allowed, with --on-error reject: a number of records, or a share such as 0.5% [default: 1000].
    #[arg(long, value_name = "LIMIT", requires = "on_error")]
    max_rejects: Option<String>,

    /// Job file (TOML) whose inputs to read; its query and output are left alone.
    #[arg(long, value_name = "JOB.toml")]
    job: Option<PathBuf>,

    /// Only this input of the job file; may be repeated.
    #[arg(long, value_name = "NAME", requires = "job", conflicts_with = "path")]
    input: Vec<String>,

    /// Value of a ${NAME} in the job file; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "job", conflicts_with = "path", value_parser = parse_pair)]
    set: Vec<(String, String)>,

    /// Prints one JSON document on standard output; progress goes to standard error.
    #[arg(long)]
    json: bool,
}

/// Without a master, one in this process reads with every core.
pub(crate) async fn run(master: Option<MasterPlace>, args: CheckArgs) -> Result<Exit, CliError> {
    let inputs = inputs_of(&args)?;
    match master.unwrap_or_else(|| MasterPlace::Local { slots: cores() }) {
        place @ MasterPlace::Remote(_) => check_all(&place.connect().await?, inputs, args.json).await,
        MasterPlace::Local { slots } => run_local(slots, inputs, args.json).await,
    }
}

#[cfg(feature = "cluster")]
async fn run_local(slots: u32, inputs: BTreeMap<String, InputSpec>, json: bool) -> Result<Exit, CliError> {
    let cluster = crate::cluster::local::LocalCluster::start(slots).await?;
    let outcome = match cluster.connect().await {
        Ok(client) => check_all(&client, inputs, json).await,
        Err(error) => Err(error),
    };
    cluster.stop().await;
    outcome
}

#[cfg(not(feature = "cluster"))]
async fn run_local(_slots: u32, _inputs: BTreeMap<String, InputSpec>, _json: bool) -> Result<Exit, CliError> {
    Err(crate::place::no_local_master())
}

fn inputs_of(args: &CheckArgs) -> Result<BTreeMap<String, InputSpec>, CliError> {
    let Some(file) = &args.job else {
        let directory =
            std::env::current_dir().map_err(|error| CliError::usage(format!("find the current directory: {error}")))?;
        let paths = args.path.iter().map(|path| absolute_location(path, &directory)).collect();
        let choices = InputChoices {
            format: args.format.as_deref(),
            schema: args.schema.as_deref(),
            compression: args.compression.as_deref(),
            on_error: args.on_error.as_deref(),
            max_rejects: args.max_rejects.as_deref(),
        };
        let input = input_of(PATHS_INPUT, paths, choices)?;
        return Ok([(PATHS_INPUT.to_owned(), input)].into());
    };
    let mut inputs = read_job(file, &args.set.iter().cloned().collect())?.inputs;
    for name in &args.input {
        if !inputs.contains_key(name) {
            let odd = CliError::usage(format!("{} has no input `{name}`", file.display()));
            return Err(match nearest(name, inputs.keys().map(String::as_str)) {
                Some(near) => odd.hint(format!("did you mean `{near}`?")),
                None => odd,
            });
        }
    }
    if inputs.is_empty() {
        return Err(CliError::usage(format!("{} has no inputs to read", file.display())));
    }
    inputs.retain(|name, _| args.input.is_empty() || args.input.contains(name));
    Ok(inputs)
}

/// Checks one input after the other: one that cannot be read does not hide the next.
async fn check_all(client: &Client, inputs: BTreeMap<String, InputSpec>, json: bool) -> Result<Exit, CliError> {
    let mut reports = Vec::new();
    for (name, input) in inputs {
        let found = match check(client, &name, &input).await? {
            Ok(found) => found,
            Err(exit) => return Ok(exit),
        };
        let report = Report { name, input, found };
        if !json {
            report.tell()?;
        }
        reports.push(report);
    }
    if json {
        report::tell_json(&reports)?;
    }
    match reports.iter().find_map(|report| report.found.problem.as_ref().map(|problem| (&report.name, problem))) {
        Some((name, problem)) => Err(CliError::failed(format!("input `{name}` cannot be read: {problem}"))),
        None => Ok(Exit::Done),
    }
}

/// What an input holds, or the exit code where somebody ended the check.
async fn check(client: &Client, name: &str, input: &InputSpec) -> Result<Result<Found, Exit>, CliError> {
    let table = quoted(name);
    let job = |title: &str, query: String| JobSpec {
        name: format!("check {name}: {title}"),
        query,
        inputs: [(name.to_owned(), input.clone())].into(),
        output: None,
        settings: JobSettings::default(),
    };
    let looked = submit(client, job("columns", format!("SELECT * FROM {table} LIMIT 0"))).await?;
    let looked = client.watch(looked).wait().await?;
    if let Some(problem) = problem_of(&looked) {
        return Ok(Ok(Found { problem: Some(problem), ..Found::default() }));
    }
    let rows = fetch(client, looked.id, ResultFormat::Schema).await?;
    let inferred = looked.inferred.into_iter().next();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut columns: Vec<Column> =
        rows.iter().map(|row| Column { name: text(row, "name"), kind: text(row, "type"), nulls: None }).collect();
    let counts = columns.iter().enumerate();
    let counts = counts.map(|(number, column)| format!(", count({}) AS c{number}", quoted(&column.name)));
    let query = format!("SELECT count(*) AS records{} FROM {table}", counts.collect::<String>());
    let id = submit(client, job("records", query)).await?;
    note(&format!("reading `{name}`: job {id}"));
    let read = match follow_to_the_end(client, id).await? {
        Ok(status) => status,
        Err(exit) => return Ok(Err(exit)),
    };
    let bytes = Some(read.metrics.input_bytes);
    if let Some(problem) = problem_of(&read) {
        return Ok(Ok(Found { columns, inferred, bytes, problem: Some(problem), ..Found::default() }));
    }
    if read.state == JobState::Cancelled {
        return Ok(Err(Exit::Cancelled));
    }
    let counted = fetch(client, id, ResultFormat::Json).await?;
    let count = |key: &str| counted.first().and_then(|row| row[key].as_u64());
    let records = count("records");
    for (number, column) in columns.iter_mut().enumerate() {
        let values = count(&format!("c{number}"));
        column.nulls = records.zip(values).map(|(records, values)| records.saturating_sub(values));
    }
    let rejects = read.inputs.into_iter().find(|status| status.records.input == name);
    Ok(Ok(Found { columns, inferred, bytes, records, rejects, problem: None }))
}

async fn submit(client: &Client, job: JobSpec) -> Result<JobId, CliError> {
    job.validate().map_err(CliError::usage)?;
    Ok(client.submit(job, Some(Uuid::now_v7().to_string())).await?.job)
}

fn problem_of(job: &JobStatus) -> Option<FailureCause> {
    (job.state == JobState::Failed).then(|| job.failure.clone()).flatten()
}

/// The rows of a result that comes as JSON lines.
async fn fetch(client: &Client, job: JobId, format: ResultFormat) -> Result<Vec<Value>, CliError> {
    let mut lines = Vec::new();
    let mut chunks = client.fetch_result(job, format).await?;
    while let Some(chunk) = chunks.next().await {
        lines.extend_from_slice(&chunk?);
    }
    let rows: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(&lines).into_iter().collect();
    rows.map_err(|error| CliError::failed(format!("the master's result is not JSON: {error}")))
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
