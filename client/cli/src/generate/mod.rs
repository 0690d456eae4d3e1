//! `hearth generate`: user-action data of any size, streamed to disk; the same seed gives the same rows, however many files and threads.

mod row;
mod write;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use hearth_common::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::exit::{CliError, Exit};
use crate::figures::{counted, span};
use crate::place::cores;
use crate::terminal::{is_watched, say, say_json};

pub(crate) use write::{Generated, write_data};

const EXAMPLES: &str = "\
Examples:
  hearth generate data/actions --rows 1000000
  hearth generate data/large --rows 40000000 --users 20000000 --files 8

A row is `email,timestamp,action`, about 48 bytes; there are six actions, so there are up to 6 groups per user.";

/// What to generate.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenerateArgs {
    /// Directory for the files; made if it is not there.
    #[arg(value_name = "DIRECTORY")]
    pub(crate) directory: PathBuf,

    /// Rows in all files together.
    #[arg(long, default_value_t = 40_000_000)]
    pub(crate) rows: u64,

    /// Distinct users.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub(crate) users: u64,

    /// Files.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) files: u32,

    /// The same seed gives the same rows.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Format of the files.
    #[arg(long, value_enum, default_value_t = DataFormat::Csv)]
    pub(crate) format: DataFormat,

    /// Files written at once; a core each by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: Option<u32>,

    /// Replaces earlier generated files in the directory.
    #[arg(long)]
    pub(crate) force: bool,

    /// Prints one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Format of generated files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataFormat {
    /// With a header.
    Csv,
    /// One JSON object per line.
    Json,
}

impl DataFormat {
    /// Extension of a file.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

pub(crate) fn run(args: &GenerateArgs) -> Result<Exit, CliError> {
    let begun = Instant::now();
    let bar = progress_bar(args.rows);
    let generated = write_data(args, args.threads.unwrap_or_else(cores), &|rows| bar.inc(rows));
    bar.finish_and_clear();
    let Generated { files, bytes } = generated?;
    let elapsed = begun.elapsed();
    if args.json {
        let (directory, ms) = (args.directory.display().to_string(), elapsed.as_millis());
        say_json(
            &json!({ "directory": directory, "files": files, "rows": args.rows, "bytes": bytes, "elapsed_ms": ms }),
        )?;
    } else {
        let (rows, files, place) = (counted(args.rows, "row"), counted(files, "file"), args.directory.display());
        say(&format!("{rows}, {} in {files} in {place}, {}", ByteSize(bytes), span(elapsed)))?;
    }
    Ok(Exit::Done)
}

fn progress_bar(rows: u64) -> ProgressBar {
    if !is_watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(rows);
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} generate [{bar:24}] {human_pos}/{human_len} rows  {eta} left")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
