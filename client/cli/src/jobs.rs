//! `hearth status`, `list` and `cancel`.

use hearth_client::ListJobs;
use hearth_common::{AttemptCounts, ByteSize, InputRecords, JobStatus, LocalityCounts};
use serde_json::{Value, json};

use crate::args::{JobArgs, ListArgs};
use crate::columns::lay_out;
use crate::exit::{CliError, Exit};
use crate::figures::{count, counted, job_time, moment, span};
use crate::inferred::inferred;
use crate::place::MasterPlace;
use crate::terminal::{note, say, say_json};

/// Shows one job. The exit code tells whether it could be shown, not what became of the job.
pub(crate) async fn status(master: &MasterPlace, args: &JobArgs) -> Result<Exit, CliError> {
    let job = master.connect().await?.get(args.job).await?;
    if args.json {
        say_json(&document(&job))?
    } else {
        say(&describe(&job))?
    }
    Ok(Exit::Done)
}

pub(crate) async fn list(master: &MasterPlace, args: &ListArgs) -> Result<Exit, CliError> {
    let client = master.connect().await?;
    let mut jobs = Vec::new();
    let mut page_token = None;
    loop {
        let missing = args.limit.saturating_sub(u32::try_from(jobs.len()).unwrap_or(u32::MAX));
        let page_size = missing.min(ListJobs::PAGE_SIZE_MAX);
        let page = client.list(ListJobs { states: args.state.clone(), page_size, page_token }).await?;
        jobs.extend(page.jobs);
        page_token = page.next_page_token;
        if page_token.is_none() || jobs.len() >= args.limit as usize {
            break;
        }
    }
    if args.json {
        let documents: Vec<_> = jobs.iter().map(document).collect();
        say_json(&json!({ "jobs": documents, "more": page_token.is_some() }))?;
    } else if jobs.is_empty() {
        note("no jobs");
    } else {
        let rows: Vec<_> = jobs.iter().map(row).collect();
        say(&lay_out(["JOB", "NAME", "STATE", "SUBMITTED", "TIME", "ROWS READ", "ROWS WRITTEN"], &rows))?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn cancel(master: &MasterPlace, args: &JobArgs) -> Result<Exit, CliError> {
    let job = master.connect().await?.cancel(args.job).await?;
    if args.json {
        say_json(&document(&job))?
    } else {
        say(&format!("job {} is {}", job.id, job.state))?
    }
    Ok(Exit::Done)
}

/// A job as JSON: its fields, and the failure once more as text.
pub(crate) fn document(job: &JobStatus) -> Value {
    let mut document = json!(job);
    if let Value::Object(fields) = &mut document {
        fields.insert("failure_message".into(), json!(job.failure.as_ref().map(ToString::to_string)));
    }
    document
}

fn row(job: &JobStatus) -> [String; 7] {
    let written = job.output.as_ref().map(|output| count(output.rows)).unwrap_or_default();
    [
        job.id.to_string(),
        shorten(&job.name, 40),
        job.state.to_string(),
        moment(job.submitted_ms),
        span(job_time(job)),
        count(job.metrics.input_rows),
        written,
    ]
}

/// The start of a text, without anything that would break a line.
fn shorten(text: &str, chars_max: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(chars_max).map(clean).collect();
    if text.chars().count() > chars_max {
        short.push('…');
    }
    short
}

fn describe(job: &JobStatus) -> String {
    let mut lines = vec![
        format!("job        {}", job.id),
        format!("name       {}", shorten(&job.name, 200)),
        format!("state      {}", job.state),
    ];
    if let Some(waiting_for) = &job.waiting_for {
        lines.push(format!("waits for  {waiting_for}"));
    }
    if let Some(failure) = &job.failure {
        lines.push(format!("failure    {failure}"));
    }
    lines.push(format!("submitted  {}", moment(job.submitted_ms)));
    lines.push(format!("time       {}", span(job_time(job))));
    let read = ByteSize(job.metrics.input_bytes);
    lines.push(format!("read       {}, {read}", counted(job.metrics.input_rows, "row")));
    if let Some(output) = &job.output {
        let size = ByteSize(output.bytes);
        lines.push(format!("written    {} in {}, {size}", counted(output.rows, "row"), counted(output.files, "file")));
        lines.push(format!("output     {}", output.path));
    }
    lines.extend(job.inferred.iter().map(inferred));
    for status in &job.inputs {
        let InputRecords { input, records, used, rejected } = &status.records;
        let read = counted(*records, "record");
        lines.push(format!("input      {input}: {read} read, {} used, {} rejected", count(*used), count(*rejected)));
        lines.extend(status.first_rejects.iter().map(|reject| format!("             {reject}")));
    }
    if let Some(rejects) = job.output.as_ref().and_then(|output| output.rejects.as_ref()) {
        lines.push(format!("rejects    {rejects}"));
    }
    let AttemptCounts { launched, lost, failed, second, .. } = job.attempts;
    lines.push(format!("attempts   {launched}, {lost} lost, {failed} failed, {second} beside slow ones"));
    let locality = job.locality;
    if locality != LocalityCounts::default() {
        lines.push(format!("locality   {} near their data, {} elsewhere", locality.local, locality.remote));
    }
    for stage in &job.stages {
        let tasks = format!("{}/{} tasks, {} running", stage.tasks_done, stage.tasks, stage.tasks_running);
        lines.push(format!("stage {:<4} {tasks}: {}", stage.id, stage.label));
    }
    lines.join("\n")
}
