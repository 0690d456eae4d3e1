//! Pages of a job's log, for clients and for the web: with or without waiting for a line to come.

use std::time::Duration;

use hearth_common::{JobId, JobStatus};
use hearth_proto::convert::{LogPage, ReadLog};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::event_loop::wall_ms;
use crate::input::LoopHandle;
use crate::job_logs::LogError;

/// How long after the end of a job its workers may still tell of it.
const LATE: Duration = Duration::from_millis(1500);

/// How long a line waits for others to be read with it.
const GATHER: Duration = Duration::from_millis(50);

/// Reads a page, after waiting for a line where there is none and the job goes on. `None`: no such job.
pub(crate) async fn read_log(handle: &LoopHandle, mut read: ReadLog) -> Result<Option<LogPage>, LogError> {
    let deadline = Instant::now() + read.wait;
    loop {
        let mut appended = handle.logs.watch();
        let snapshot = handle.snapshot();
        let Some(status) = snapshot.job(read.job) else { return Ok(None) };
        let is_over = is_over(status);
        let page = handle.logs.read(read.clone()).await?;
        let complete = is_over && !page.more;
        if !page.lines.is_empty() || complete || (!page.more && Instant::now() >= deadline) {
            let (lines, next_cursor, more) = (page.lines, page.next_cursor, page.more);
            return Ok(Some(LogPage { lines, next_cursor, more, complete }));
        }
        read.cursor = page.next_cursor;
        if !page.more {
            // Lines of other jobs wake it too, and the end of the job none: a short wait does for both.
            let wake = deadline.min(Instant::now() + LATE);
            let _ = timeout_at(wake, appended.changed()).await;
            sleep_until(deadline.min(Instant::now() + GATHER)).await;
        }
    }
}

fn is_over(status: &JobStatus) -> bool {
    let late_ms = u64::try_from(LATE.as_millis()).unwrap_or(u64::MAX);
    status.finished_ms.is_some_and(|finished| wall_ms() >= finished.saturating_add(late_ms))
}

/// What is said of a job that is not known.
pub(crate) fn unknown(job: JobId) -> String {
    format!("no job {job}; it may be too old to be remembered, see `hearth list`")
}
