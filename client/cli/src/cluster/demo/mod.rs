//! `hearth demo`: data, a master, two workers as processes of their own, the main job, and its result. Ends without leaving a process behind.

mod cluster;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use futures::StreamExt;
use hearth_client::{Client, ResultFormat};
use hearth_common::{
    ByteSize, Compression, CsvOptions, FailureCause, InputCompression, InputFormat, InputSpec, JobSettings, JobSpec,
    JobState, JobStatus, OnError, OutputFormat, OutputMode, OutputSpec,
};

use super::signals::Signals;
use crate::exit::{CliError, Exit};
use crate::figures::{count, counted, job_time, span};
use crate::generate::{DataFormat, GenerateArgs, write_data};
use crate::place::cores;
use crate::terminal::{say, say_bytes};

use cluster::DemoCluster;

const EXAMPLES: &str = "\
Examples:
  hearth demo
  hearth demo --rows 10000000 --keep

Data and output stay in the directory that it names at the end; the processes end with it.";

const QUERY: &str = "SELECT email, action, count(*) AS freq FROM actions GROUP BY email, action";
const TOP_QUERY: &str = "SELECT email, action, freq FROM result ORDER BY freq DESC, email, action LIMIT 10";
const WORKERS: u32 = 2;

/// What to show.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Rows to generate.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,

    /// Directory for data, output and logs [default: a new one in the system's temporary directory].
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,

    /// Keeps master and workers running until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

pub(crate) async fn run(args: &DemoArgs) -> Result<Exit, CliError> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        // Dropping the demo's future kills its processes.
        exit = signals.next() => return Ok(exit),
        shown = show(args) => {
            let cluster = shown?;
            if args.keep {
                say("\nmaster and workers stay until Ctrl-C")?;
                signals.next().await;
            }
            cluster.stop().await;
        }
    }
    Ok(Exit::Done)
}

async fn show(args: &DemoArgs) -> Result<DemoCluster, CliError> {
    let directory = make_directory(args)?;
    let directory = directory.as_path();
    generate(args, directory).await?;
    let cluster = DemoCluster::start(directory, WORKERS).await?;
    tell("master", &format!("hearth://{}", cluster.rpc()))?;
    tell("pages", &format!("http://{}", cluster.http()))?;
    tell("workers", &format!("{WORKERS}, one slot each"))?;
    tell("job", QUERY)?;
    let client = Client::connect(&cluster.rpc().parse().map_err(CliError::failed)?).await?;
    let done = run_job(&client, main_job(directory)).await?;
    let top = run_job(&client, top_job(directory)).await?;
    say("")?;
    let mut table = client.fetch_result(top.id, ResultFormat::Table).await?;
    while let Some(chunk) = table.next().await {
        say_bytes(&chunk?)?;
    }
    say("")?;
    tell_figures(&done)?;
    tell("pages", &format!("http://{}{}", cluster.http(), if args.keep { "" } else { " (with --keep)" }))?;
    Ok(cluster)
}

fn tell(what: &str, text: &str) -> Result<(), CliError> {
    say(&format!("{what:<13} {text}"))
}

fn tell_figures(job: &JobStatus) -> Result<(), CliError> {
    tell("rows read", &format!("{} ({})", count(job.metrics.input_rows), ByteSize(job.metrics.input_bytes)))?;
    if let Some(output) = &job.output {
        tell("rows written", &format!("{} ({})", count(output.rows), ByteSize(output.bytes)))?;
        tell("time", &span(job_time(job)))?;
        tell("output", &format!("{} ({})", output.path, counted(output.files, "file")))?;
    }
    Ok(())
}

/// The directory of this demo, as an absolute path.
fn make_directory(args: &DemoArgs) -> Result<PathBuf, CliError> {
    let failed = |error: std::io::Error| CliError::failed(format!("cannot make a directory for the demo: {error}"));
    let directory = match &args.dir {
        Some(directory) => directory.clone(),
        None => tempfile::Builder::new().prefix("hearth-demo-").tempdir().map_err(failed)?.keep(),
    };
    std::fs::create_dir_all(&directory).map_err(failed)?;
    std::path::absolute(&directory).map_err(failed)
}

async fn generate(args: &DemoArgs, directory: &Path) -> Result<(), CliError> {
    let begun = Instant::now();
    let (rows, directory, format) = (args.rows, directory.join("actions"), DataFormat::Csv);
    let users = (rows / 10).max(1);
    let data =
        GenerateArgs { directory, rows, users, files: 4, seed: 1, format, threads: None, force: true, json: false };
    let written = tokio::task::spawn_blocking(move || write_data(&data, cores(), &|_| {})).await;
    let generated = written.map_err(|error| CliError::failed(format!("cannot generate data: {error}")))??;
    let (size, files) = (ByteSize(generated.bytes), counted(generated.files, "file"));
    tell("data", &format!("{}, {size} in {files}, {}", counted(rows, "row"), span(begun.elapsed())))
}

fn main_job(directory: &Path) -> JobSpec {
    let output = OutputSpec {
        path: text(&directory.join("output")),
        format: OutputFormat::Parquet,
        mode: OutputMode::Overwrite,
        partition_by: Vec::new(),
        compression: Compression::Zstd,
        file_bytes_max: OutputSpec::FILE_BYTES_MAX,
    };
    let format = InputFormat::Csv(CsvOptions::default());
    let inputs = [("actions".to_owned(), input(&directory.join("actions"), format))].into();
    let (name, query, settings) = ("demo".into(), QUERY.into(), JobSettings::default());
    JobSpec { name, query, inputs, output: Some(output), settings }
}

fn top_job(directory: &Path) -> JobSpec {
    let inputs = [("result".to_owned(), input(&directory.join("output"), InputFormat::Parquet))].into();
    let (name, query, settings) = ("demo: most frequent".into(), TOP_QUERY.into(), JobSettings::default());
    JobSpec { name, query, inputs, output: None, settings }
}

fn input(path: &Path, format: InputFormat) -> InputSpec {
    let (paths, compression) = (vec![text(path)], InputCompression::Auto);
    InputSpec { paths, format, compression, schema: None, on_error: OnError::Fail }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

async fn run_job(client: &Client, job: JobSpec) -> Result<JobStatus, CliError> {
    let submitted = client.submit(job, None).await?;
    let job = client.watch(submitted.job).wait().await?;
    if job.state == JobState::Done {
        return Ok(job);
    }
    let why = job.failure.as_ref().map(FailureCause::to_string).unwrap_or_default();
    Err(CliError::failed(format!("the demo's job {}: {why}", job.state)))
}
