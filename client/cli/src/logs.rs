//! `hearth logs`: what master and workers told of a job, once or until the job ends.

use std::str::FromStr;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local};
use clap::Args;
use hearth_client::{Client, ClientError, LogPage, ReadLog};
use hearth_common::{JobId, LogLine, LogSubject, StageId, WorkerId, printable, stage_and_partition};

use crate::exit::{CliError, Exit};
use crate::place::MasterPlace;
use crate::terminal::{note, say, say_json_text};

const EXAMPLES: &str = "\
Examples:
  hearth logs 019b2c3d-0000-7000-8000-000000000001
  hearth logs 019b2c3d-0000-7000-8000-000000000001 --follow --task 0.3
  hearth logs 019b2c3d-0000-7000-8000-000000000001 --json --worker 019b2c3d-0000-7000-8000-000000000002

Lines come in the order of their times; with --follow, in that in which the master hears of them.
A line tells when, how much it matters, STAGE.PARTITION#ATTEMPT, what happened, and its values. Characters that a terminal would obey
are escaped. With --json every line is a JSON document of its own, with the values as they are.";

/// How long a master may be away while its log is followed.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// Time between two tries to reach it.
const TRY_EVERY: Duration = Duration::from_millis(500);
/// How long the master waits for a line before it answers that there is none.
const WAIT: Duration = Duration::from_secs(10);

/// Which lines, and how.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogsArgs {
    /// Id of the job, as submit printed it.
    #[arg(value_name = "JOB")]
    job: JobId,

    /// Only lines about one task.
    #[arg(long, value_name = "STAGE.PARTITION")]
    task: Option<TaskArg>,

    /// Only lines that one worker wrote.
    #[arg(long, value_name = "WORKER")]
    worker: Option<WorkerId>,

    /// Goes on until the job has ended.
    #[arg(long, short)]
    follow: bool,

    /// Prints one JSON document per line.
    #[arg(long)]
    json: bool,
}

/// A task of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TaskArg(StageId, u32);

impl FromStr for TaskArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let task = stage_and_partition(text).map(|(stage, partition)| Self(stage, partition));
        task.ok_or_else(|| "write STAGE.PARTITION, such as 0.3".to_owned())
    }
}

pub(crate) async fn run(master: &MasterPlace, args: &LogsArgs) -> Result<Exit, CliError> {
    let client = master.connect().await?;
    let mut read = ReadLog {
        task: args.task.map(|TaskArg(stage, partition)| (stage, partition)),
        worker: args.worker,
        wait: if args.follow { WAIT } else { Duration::ZERO },
        ..ReadLog::of(args.job)
    };
    let (mut count, mut kept) = (0, Vec::new());
    loop {
        let page = next_page(&client, &read, args.follow).await?;
        count += page.lines.len();
        if args.follow {
            print(&page.lines, args.json)?;
        } else {
            kept.extend(page.lines);
        }
        read.cursor = page.next_cursor;
        if page.complete || (!args.follow && !page.more) {
            break;
        }
    }
    // Lines of workers come to the master a little after its own. A log is bounded, and so is what is sorted.
    kept.sort_by_key(|line| line.at_ms);
    print(&kept, args.json)?;
    if count == 0 {
        note("no lines");
    }
    Ok(Exit::Done)
}

fn print(lines: &[LogLine], json: bool) -> Result<(), CliError> {
    lines.iter().try_for_each(|line| if json { say_json_text(&as_json(line)?) } else { say(&as_text(line)) })
}

/// The next page. Who follows sits out a restart of the master.
async fn next_page(client: &Client, read: &ReadLog, follow: bool) -> Result<LogPage, ClientError> {
    let mut away_since = None;
    loop {
        let error = match client.read_log(read.clone()).await {
            Ok(page) => return Ok(page),
            Err(error) => error,
        };
        let since = *away_since.get_or_insert_with(|| {
            if follow && error.is_unreachable() {
                note(&format!("{error}; trying again"));
            }
            Instant::now()
        });
        if !follow || !error.is_unreachable() || since.elapsed() > AWAY_MAX {
            return Err(error);
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
}

fn as_json(line: &LogLine) -> Result<String, CliError> {
    serde_json::to_string(line).map_err(|error| CliError::failed(format!("cannot write JSON: {error}")))
}

/// One line for people, and never more than one.
fn as_text(line: &LogLine) -> String {
    let time = i64::try_from(line.at_ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    let time = time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%.3f");
    let level = line.level.name().to_uppercase();
    let mut text = format!("{time} {level:<5} {:<8} {}", subject_text(&line.subject), printable(&line.message));
    for field in &line.fields {
        text.push_str(&format!("  {}={}", printable(&field.name), printable(&field.value)));
    }
    if let Some(worker) = line.worker {
        text.push_str(&format!("  worker={worker}"));
    }
    text
}

fn subject_text(LogSubject { stage, partition, attempt, .. }: &LogSubject) -> String {
    match (stage, partition, attempt) {
        (Some(stage), Some(partition), Some(attempt)) => format!("{stage}.{partition}#{attempt}"),
        (Some(stage), Some(partition), None) => format!("{stage}.{partition}"),
        (Some(stage), None, _) => format!("stage {stage}"),
        (None, _, _) => "job".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hearth_common::LogLevel;

    use super::*;

    #[test]
    fn a_line_stays_one_line_and_moves_no_cursor() {
        let subject =
            LogSubject { stage: Some(StageId(1)), partition: Some(2), attempt: Some(0), ..JobId::from_u128(1).into() };
        let line = LogLine::new(1_700_000_000_000, subject, "attempt failed").at(LogLevel::Error);
        let text = as_text(&line.with("place", "a\u{1b}[31m\n\u{202e}.csv"));
        assert!(text.ends_with(r"ERROR 1.2#0    attempt failed  place=a\u{1b}[31m\n\u{202e}.csv"), "{text}");
    }

    #[test]
    fn tasks_are_a_stage_and_a_partition() {
        assert_eq!("0.3".parse(), Ok(TaskArg(StageId(0), 3)));
        for text in ["", "3", "a.b", "1.2.3", "-1.0"] {
            assert!(text.parse::<TaskArg>().is_err(), "{text}");
        }
    }
}
