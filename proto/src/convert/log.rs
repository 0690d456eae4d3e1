//! Lines of a job's log, and what is asked of it.

use std::time::Duration;

use hearth_common::{JobId, LogField, LogLevel, LogLine, LogSubject, StageId, WorkerId};

use super::error::{ConvertError, parsed, required, unknown_value};
use super::job::wire_enum;
use crate::wire;

wire_enum!(LogLevel, log_level_of, { Info, Warn, Error });

impl TryFrom<wire::LogLine> for LogLine {
    type Error = ConvertError;

    fn try_from(message: wire::LogLine) -> Result<Self, ConvertError> {
        let wire::LogLine { at_ms, level, job_id, stage, partition, attempt, worker_id, number, message, fields } =
            message;
        if (stage.is_none() && partition.is_some()) || (partition.is_none() && attempt.is_some()) {
            return Err(ConvertError::new("LogLine.partition", "it is of no stage"));
        }
        check("LogLine.message", message.len(), Self::MESSAGE_BYTES_MAX)?;
        check("LogLine.fields", fields.len(), Self::FIELDS_MAX)?;
        let subject =
            LogSubject { job: parsed("LogLine.job_id", &job_id)?, stage: stage.map(StageId), partition, attempt };
        Ok(Self {
            at_ms,
            level: log_level_of("LogLine.level", level)?,
            subject,
            worker: worker_of("LogLine.worker_id", &worker_id)?,
            number,
            message,
            fields: fields.into_iter().map(LogField::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<LogLine> for wire::LogLine {
    fn from(line: LogLine) -> Self {
        let LogSubject { job, stage, partition, attempt } = line.subject;
        Self {
            at_ms: line.at_ms,
            level: wire::LogLevel::from(line.level).into(),
            job_id: job.to_string(),
            stage: stage.map(|stage| stage.0),
            partition,
            attempt,
            worker_id: line.worker.map(|worker| worker.to_string()).unwrap_or_default(),
            number: line.number,
            message: line.message,
            fields: line.fields.into_iter().map(|LogField { name, value }| wire::LogField { name, value }).collect(),
        }
    }
}

impl TryFrom<wire::LogField> for LogField {
    type Error = ConvertError;

    fn try_from(wire::LogField { name, value }: wire::LogField) -> Result<Self, ConvertError> {
        check("LogField.name", name.len(), LogLine::NAME_BYTES_MAX)?;
        check("LogField.value", value.len(), LogLine::VALUE_BYTES_MAX)?;
        Ok(Self { name, value })
    }
}

/// Which lines of a job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLog {
    /// The job.
    pub job: JobId,
    /// Where to go on: from the answer before, or 0.
    pub cursor: u64,
    /// Most lines in the answer; 1 to [`ReadLog::PAGE_SIZE_MAX`].
    pub page_size: u32,
    /// Only lines about this task.
    pub task: Option<(StageId, u32)>,
    /// Only lines that this worker wrote.
    pub worker: Option<WorkerId>,
    /// How long to wait for a line where there is none; at most [`ReadLog::WAIT_MAX`].
    pub wait: Duration,
}

impl ReadLog {
    /// Page size where none is given, and the largest.
    pub const PAGE_SIZE_MAX: u32 = 1000;
    /// Longest wait.
    pub const WAIT_MAX: Duration = Duration::from_secs(20);

    /// The first lines of a job.
    #[must_use]
    pub const fn of(job: JobId) -> Self {
        Self { job, cursor: 0, page_size: Self::PAGE_SIZE_MAX, task: None, worker: None, wait: Duration::ZERO }
    }
}

impl TryFrom<wire::ReadLogRequest> for ReadLog {
    type Error = ConvertError;

    fn try_from(message: wire::ReadLogRequest) -> Result<Self, ConvertError> {
        let wire::ReadLogRequest { job_id, cursor, page_size, stage, partition, worker_id, wait_ms } = message;
        let page_size = if page_size == 0 { Self::PAGE_SIZE_MAX } else { page_size.min(Self::PAGE_SIZE_MAX) };
        let task = match (stage, partition) {
            (None, None) => None,
            (Some(stage), partition) => Some((StageId(stage), required("ReadLogRequest.partition", partition)?)),
            (None, Some(_)) => return Err(ConvertError::new("ReadLogRequest.stage", "it is missing")),
        };
        Ok(Self {
            job: parsed("ReadLogRequest.job_id", &job_id)?,
            cursor,
            page_size,
            task,
            worker: worker_of("ReadLogRequest.worker_id", &worker_id)?,
            wait: Duration::from_millis(wait_ms).min(Self::WAIT_MAX),
        })
    }
}

impl From<ReadLog> for wire::ReadLogRequest {
    fn from(read: ReadLog) -> Self {
        Self {
            job_id: read.job.to_string(),
            cursor: read.cursor,
            page_size: read.page_size,
            stage: read.task.map(|(stage, _)| stage.0),
            partition: read.task.map(|(_, partition)| partition),
            worker_id: read.worker.map(|worker| worker.to_string()).unwrap_or_default(),
            wait_ms: u64::try_from(read.wait.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A page of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPage {
    /// The lines, in the order in which the master heard of them.
    pub lines: Vec<LogLine>,
    /// Where to go on.
    pub next_cursor: u64,
    /// There are more lines by now.
    pub more: bool,
    /// The job has ended, and there are no more lines.
    pub complete: bool,
}

impl TryFrom<wire::ReadLogResponse> for LogPage {
    type Error = ConvertError;

    fn try_from(message: wire::ReadLogResponse) -> Result<Self, ConvertError> {
        let wire::ReadLogResponse { lines, next_cursor, more, complete } = message;
        check("ReadLogResponse.lines", lines.len(), ReadLog::PAGE_SIZE_MAX as usize)?;
        let lines = lines.into_iter().map(LogLine::try_from).collect::<Result<_, _>>()?;
        Ok(Self { lines, next_cursor, more, complete })
    }
}

impl From<LogPage> for wire::ReadLogResponse {
    fn from(page: LogPage) -> Self {
        let LogPage { lines, next_cursor, more, complete } = page;
        Self { lines: lines.into_iter().map(Into::into).collect(), next_cursor, more, complete }
    }
}

fn worker_of(field: &'static str, text: &str) -> Result<Option<WorkerId>, ConvertError> {
    if text.is_empty() { Ok(None) } else { parsed(field, text).map(Some) }
}

fn check(field: &'static str, found: usize, max: usize) -> Result<(), ConvertError> {
    if found > max { Err(ConvertError::new(field, format!("is too long: {found}, at most {max}"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_requests_round_trip() {
        let subject =
            LogSubject { stage: Some(StageId(3)), partition: Some(7), attempt: Some(1), ..JobId::from_u128(1).into() };
        let line =
            LogLine { worker: Some(WorkerId::from_u128(2)), number: 9, ..LogLine::new(5, subject, "split read") };
        let line = line.with("file", "a\u{1b}b").at(LogLevel::Warn);
        let page = LogPage { lines: vec![line], next_cursor: 88, more: true, complete: false };
        assert_eq!(LogPage::try_from(wire::ReadLogResponse::from(page.clone())), Ok(page));
        let read = ReadLog {
            task: Some((StageId(1), 2)),
            cursor: 5,
            wait: Duration::from_secs(3),
            ..ReadLog::of(JobId::from_u128(4))
        };
        assert_eq!(ReadLog::try_from(wire::ReadLogRequest::from(read.clone())), Ok(read));
    }

    #[test]
    fn what_is_too_long_or_of_nothing_is_refused() {
        let good = wire::LogLine::from(LogLine::new(5, JobId::from_u128(1), "m"));
        let refused = |change: &dyn Fn(&mut wire::LogLine)| {
            let mut line = good.clone();
            change(&mut line);
            LogLine::try_from(line).unwrap_err().field
        };
        assert_eq!(refused(&|line| line.message = "x".repeat(513)), "LogLine.message");
        assert_eq!(refused(&|line| line.partition = Some(1)), "LogLine.partition");
        assert_eq!(refused(&|line| line.level = 9), "LogLine.level");
        let field = wire::LogField { name: "n".to_owned(), value: "x".repeat(2049) };
        assert_eq!(refused(&|line| line.fields.push(field.clone())), "LogField.value");
    }
}
