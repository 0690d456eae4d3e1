//! Lines of a job's log as JSON.

use hearth_common::LogLine;
use hearth_proto::convert::LogPage;

use super::time;
use crate::http::described::described;

described! {
    /// Lines of a job's log, oldest first.
    pub(in crate::http) struct LogsJson {
        lines: Vec<LineJson>,
        /// What to pass as `cursor` for what follows.
        next_cursor: u64,
        /// There is more already.
        more: bool,
        /// The job has ended, and these are its last lines.
        complete: bool,
    }
}

described! {
    /// The last lines that a worker told, oldest first.
    pub(in crate::http) struct RecentJson {
        lines: Vec<LineJson>,
    }
}

described! {
    /// Something that master or worker told of a job.
    struct LineJson {
        at: String,
        /// debug, info, warn or error.
        level: &'static str,
        job: String,
        stage: Option<u32>,
        partition: Option<u32>,
        attempt: Option<u32>,
        /// Who told it; null for the master.
        worker: Option<String>,
        message: String,
        fields: Vec<FieldJson>,
    }
}

described! {
    /// A value that belongs to a line.
    struct FieldJson {
        name: String,
        value: String,
    }
}

impl From<LogPage> for LogsJson {
    fn from(LogPage { lines, next_cursor, more, complete }: LogPage) -> Self {
        Self { lines: lines.into_iter().map(LineJson::from).collect(), next_cursor, more, complete }
    }
}

impl From<Vec<LogLine>> for RecentJson {
    fn from(lines: Vec<LogLine>) -> Self {
        Self { lines: lines.into_iter().map(LineJson::from).collect() }
    }
}

impl From<LogLine> for LineJson {
    fn from(line: LogLine) -> Self {
        let subject = line.subject;
        Self {
            at: time(line.at_ms),
            level: line.level.name(),
            job: subject.job.to_string(),
            stage: subject.stage.map(|stage| stage.0),
            partition: subject.partition,
            attempt: subject.attempt,
            worker: line.worker.map(|worker| worker.to_string()),
            message: line.message,
            fields: line.fields.into_iter().map(|field| FieldJson { name: field.name, value: field.value }).collect(),
        }
    }
}
