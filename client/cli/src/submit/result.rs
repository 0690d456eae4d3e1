//! What became of a job: a summary, its result as a table, or one JSON document.

use futures::StreamExt;
use hearth_client::{Client, ResultFormat};
use hearth_common::{AttemptCounts, ByteSize, InputRecords, JobState, JobStatus};
use serde_json::{Value, json};

use crate::exit::{CliError, Exit};
use crate::figures::{count, counted, job_time, span};
use crate::jobs::document;
use crate::terminal::{TableLines, note, say, say_json};

/// Tells the end of a job, and gives its exit code.
pub(crate) async fn tell(client: &Client, job: &JobStatus, json: bool) -> Result<Exit, CliError> {
    let exit = exit_of(job);
    if json {
        tell_json(client, job).await?;
    } else if job.state == JobState::Done {
        tell_done(client, job).await?;
    }
    match (&job.failure, exit) {
        (Some(failure), Exit::Failed) => Err(CliError::failed(format!("job {} failed: {failure}", job.id))),
        (_, Exit::Cancelled) => {
            note(&format!("job {} was cancelled", job.id));
            Ok(exit)
        }
        (_, exit) => Ok(exit),
    }
}

fn exit_of(job: &JobStatus) -> Exit {
    match job.state {
        JobState::Done => Exit::Done,
        JobState::Cancelled => Exit::Cancelled,
        JobState::Failed | JobState::Queued | JobState::Planning | JobState::Running | JobState::Committing => {
            Exit::Failed
        }
    }
}

async fn tell_done(client: &Client, job: &JobStatus) -> Result<(), CliError> {
    if job.has_result {
        let mut chunks = client.fetch_result(job.id, ResultFormat::Table).await?;
        let mut table = TableLines::default();
        while let Some(chunk) = chunks.next().await {
            table.say(&chunk?)?;
        }
        table.end()?;
        note(&summary(job).join("\n"));
        return Ok(());
    }
    say(&summary(job).join("\n"))
}

/// The figures of a job that is done.
pub(crate) fn summary(job: &JobStatus) -> Vec<String> {
    let mut lines = vec![
        format!("done in       {}", span(job_time(job))),
        format!("rows read     {} ({})", count(job.metrics.input_rows), ByteSize(job.metrics.input_bytes)),
    ];
    if let Some(output) = &job.output {
        lines.push(format!("rows written  {}", count(output.rows)));
        lines.push(format!("files         {} ({})", output.files, ByteSize(output.bytes)));
        lines.push(format!("output        {}", output.path));
    }
    lines.extend(records(job));
    let AttemptCounts { launched, lost, failed, second, .. } = job.attempts;
    if lost + failed + second > 0 {
        let launched = counted(launched, "attempt");
        lines.push(format!("work          {launched}, {lost} lost, {failed} failed, {second} beside slow ones"));
    }
    lines
}

/// What became of the records of each input, where some were rejected; the first of them without an output that holds all.
fn records(job: &JobStatus) -> Vec<String> {
    let mut lines = Vec::new();
    for status in job.inputs.iter().filter(|status| status.records.rejected > 0) {
        let InputRecords { input, records, used, rejected } = &status.records;
        let place = job.output.as_ref().and_then(|output| output.rejects.as_deref());
        let see = place.map(|place| format!(" (see {place})")).unwrap_or_default();
        let read = counted(*records, "record");
        lines.push(format!("{input}: {read} read, {} used, {} rejected{see}", count(*used), count(*rejected)));
        if place.is_none() {
            lines.extend(status.first_rejects.iter().map(|reject| format!("  {reject}")));
        }
    }
    lines
}

async fn tell_json(client: &Client, job: &JobStatus) -> Result<(), CliError> {
    let mut document = document(job);
    if job.has_result {
        let rows = fetch_rows(client, job).await?;
        if let Value::Object(fields) = &mut document {
            fields.insert("result".into(), rows);
        }
    }
    say_json(&document)
}

/// The result as a list of objects.
async fn fetch_rows(client: &Client, job: &JobStatus) -> Result<Value, CliError> {
    let mut lines = Vec::new();
    let mut chunks = client.fetch_result(job.id, ResultFormat::Json).await?;
    while let Some(chunk) = chunks.next().await {
        lines.extend_from_slice(&chunk?);
    }
    let rows: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(&lines).into_iter().collect();
    rows.map(|rows| json!(rows)).map_err(|error| CliError::failed(format!("the master's result is not JSON: {error}")))
}
