//! One line of a job's log: what master or a worker did or met, for people, with values as fields.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AttemptId, JobId, StageId, WorkerId};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What happened, as it should.
    Info,
    /// Something went wrong, and is dealt with.
    Warn,
    /// Something went wrong for good.
    Error,
}

impl LogLevel {
    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What a line is about: a job, or a stage, a task or an attempt of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSubject {
    /// The job.
    pub job: JobId,
    /// Its stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageId>,
    /// Task of that stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Attempt at that task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

impl LogSubject {
    /// A stage.
    #[must_use]
    pub const fn stage(job: JobId, stage: StageId) -> Self {
        Self { job, stage: Some(stage), partition: None, attempt: None }
    }
}

impl From<JobId> for LogSubject {
    fn from(job: JobId) -> Self {
        Self { job, stage: None, partition: None, attempt: None }
    }
}

impl From<AttemptId> for LogSubject {
    fn from(AttemptId { task, attempt }: AttemptId) -> Self {
        Self { job: task.job, stage: Some(task.stage), partition: Some(task.partition), attempt: Some(attempt) }
    }
}

/// A value of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogField {
    /// What it is.
    pub name: String,
    /// The value, as text. It may come from data: escape it before it is shown.
    pub value: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, in milliseconds since 1970, on the clock of whoever wrote it.
    pub at_ms: u64,
    /// How much it matters.
    pub level: LogLevel,
    /// What it is about.
    #[serde(flatten)]
    pub subject: LogSubject,
    /// The worker that wrote it; the master without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// Counts the lines of its writer, so that one that is told twice is kept once.
    pub number: u64,
    /// What happened: the same text for the same thing.
    pub message: String,
    /// The values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<LogField>,
}

impl LogLine {
    /// Longest message, in bytes; longer ones are cut.
    pub const MESSAGE_BYTES_MAX: usize = 512;
    /// Most fields; more are left out.
    pub const FIELDS_MAX: usize = 16;
    /// Longest name of a field, in bytes.
    pub const NAME_BYTES_MAX: usize = 64;
    /// Longest value, in bytes; longer ones are cut.
    pub const VALUE_BYTES_MAX: usize = 2048;

    /// A line without fields.
    #[must_use]
    pub fn new(at_ms: u64, subject: impl Into<LogSubject>, message: &str) -> Self {
        let message = cut(message.to_owned(), Self::MESSAGE_BYTES_MAX);
        let (level, subject) = (LogLevel::Info, subject.into());
        Self { at_ms, level, subject, worker: None, number: 0, message, fields: Vec::new() }
    }

    /// The same at another level.
    #[must_use]
    pub fn at(mut self, level: LogLevel) -> Self {
        self.level = level;
        self
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        if self.fields.len() < Self::FIELDS_MAX {
            let value = cut(value.to_string(), Self::VALUE_BYTES_MAX);
            self.fields.push(LogField { name: name.to_owned(), value });
        }
        self
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|field| field.name.len() + field.value.len() + 48).sum();
        self.message.len() + fields + 160
    }
}

/// The start of a text, where it is too long.
fn cut(mut text: String, bytes_max: usize) -> String {
    const MARK: char = '…';
    if text.len() > bytes_max {
        let end = (0..=bytes_max - MARK.len_utf8()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push(MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_line_is_too_long() {
        let long = "ü".repeat(5000);
        let mut line = LogLine::new(1, JobId::from_u128(1), &long);
        for _ in 0..20 {
            line = line.with("value", &long);
        }
        assert!(line.message.len() <= LogLine::MESSAGE_BYTES_MAX && line.message.ends_with('…'));
        assert_eq!(line.fields.len(), LogLine::FIELDS_MAX);
        assert!(line.fields.iter().all(|field| field.value.len() <= LogLine::VALUE_BYTES_MAX));
    }
}
