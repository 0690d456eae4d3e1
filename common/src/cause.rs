//! Why something failed. It crosses process boundaries as this type, never as text: the scheduler decides by it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{StageId, WorkerId};

/// Where in the input a record was that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// The file, as a path or URL.
    pub file: String,
    /// Physical line of the record's start, from 1.
    pub line: Option<u64>,
    /// Byte offset of the record's start, from 0.
    pub byte: Option<u64>,
    /// Name of the column.
    pub column: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(byte) = self.byte {
            write!(f, ", byte {byte}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column `{column}`")?;
        }
        Ok(())
    }
}

/// How a shuffle output was lost to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputLoss {
    /// It is not there, is damaged, or did not come to its end: nobody can read it.
    #[default]
    Gone,
    /// The reader got no connection to the worker that holds it, or no answer in time. Other readers may.
    Unreached,
}

/// The cause of a failed attempt or job. Each variant answers what the scheduler should do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FailureCause {
    /// The query or its data is wrong: every worker would fail alike. Fails the job at once.
    #[error("{message}{}", at(place.as_ref()))]
    Task {
        /// What is wrong.
        message: String,
        /// Where in the input, when it is known.
        place: Option<Place>,
    },
    /// A shuffle output could not be read. Its producer runs again, or somebody else reads it; the reader is not blamed.
    #[error(
        "lost the shuffle output of stage {stage}, partition {partition}, attempt {attempt} on worker {worker}: {message}"
    )]
    LostShuffleOutput {
        /// Stage that produced it.
        stage: StageId,
        /// Task of that stage.
        partition: u32,
        /// Attempt that left the output.
        attempt: u32,
        /// Worker that holds, or held, the file.
        worker: WorkerId,
        /// Whether others may read it.
        #[serde(default)]
        loss: OutputLoss,
        /// What the reader met.
        message: String,
    },
    /// The worker's memory limit was reached and spilling did not help. Tried on other workers, not counted at first.
    #[error("ran out of memory: {message}")]
    OutOfMemory {
        /// The operator and the sizes.
        message: String,
    },
    /// The worker's work directory is full. Tried on other workers, not counted at first.
    #[error("disk is full in {directory}: {message}")]
    DiskFull {
        /// The directory.
        directory: String,
        /// Sizes, as far as they are known.
        message: String,
    },
    /// Input or output storage is in trouble that may pass. Tried again with backoff.
    #[error("storage is in trouble: {message}")]
    Storage {
        /// What the storage said.
        message: String,
    },
    /// A fault of ours: a panic, or an answer that should not exist. Tried again a few times, then fails the job.
    #[error("internal error: {message}")]
    Internal {
        /// What happened.
        message: String,
    },
    /// The worker's lease ended. Not counted, unless the same task keeps losing its workers.
    #[error("lost worker {worker}")]
    WorkerLost {
        /// The worker.
        worker: WorkerId,
    },
    /// The same task lost every worker it ran on. Fails the job.
    #[error("stage {stage}, task {partition} lost {workers} workers in a row{}", reading(input))]
    Poison {
        /// The stage.
        stage: StageId,
        /// The task.
        partition: u32,
        /// How many workers it took down.
        workers: u32,
        /// The input splits it read, for people.
        input: String,
    },
    /// No worker joined, or none stayed, for as long as the job may wait.
    #[error("waited {waited_seconds} s for a worker; start one with `hearth worker --master ADDRESS`")]
    NoWorkers {
        /// How long the job waited, in seconds.
        waited_seconds: u64,
    },
    /// The job was not done in the time that it was given.
    #[error("not done within {limit_seconds} s, its deadline")]
    DeadlinePassed {
        /// The time it was given, from its submission, in seconds.
        limit_seconds: u64,
    },
    /// Somebody cancelled it, or the master no longer wants it.
    #[error("cancelled")]
    Cancelled,
    /// The attempt was launched as its worker began to drain, and was not begun. Runs elsewhere, not counted.
    #[error("the worker drains and takes no more attempts")]
    WorkerDrains,
}

fn at(place: Option<&Place>) -> String {
    place.map(|place| format!(" (at {place})")).unwrap_or_default()
}

fn reading(input: &str) -> String {
    if input.is_empty() { String::new() } else { format!(" while reading {input}") }
}

impl FailureCause {
    /// Shorthand for a [`FailureCause::Task`] without a place.
    pub fn task(message: impl Into<String>) -> Self {
        Self::Task { message: message.into(), place: None }
    }

    /// Shorthand for a [`FailureCause::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal { message: message.into() }
    }

    /// Stable name of the variant, for metrics and the API.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Task { .. } => "task",
            Self::LostShuffleOutput { .. } => "lost_shuffle_output",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::DiskFull { .. } => "disk_full",
            Self::Storage { .. } => "storage",
            Self::Internal { .. } => "internal",
            Self::WorkerLost { .. } => "worker_lost",
            Self::Poison { .. } => "poison",
            Self::NoWorkers { .. } => "no_workers",
            Self::DeadlinePassed { .. } => "deadline_passed",
            Self::Cancelled => "cancelled",
            Self::WorkerDrains => "worker_drains",
        }
    }

    /// The attempt was not run, as its worker leaves: it is counted as lost, not as failed.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        match self {
            Self::WorkerLost { .. } | Self::WorkerDrains => true,
            Self::Task { .. }
            | Self::LostShuffleOutput { .. }
            | Self::OutOfMemory { .. }
            | Self::DiskFull { .. }
            | Self::Storage { .. }
            | Self::Internal { .. }
            | Self::Poison { .. }
            | Self::NoWorkers { .. }
            | Self::DeadlinePassed { .. }
            | Self::Cancelled => false,
        }
    }
}
