//! Jobs and workers as seen from outside: what the API, the command line and the pages show.

use serde::{Deserialize, Serialize};

use crate::{AttemptMetrics, FailureCause, InputRecords, JobDetails, JobId, JobState, Reject, StageId, WorkerId};

/// A job as seen from outside. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The job.
    pub id: JobId,
    /// Its name, as submitted.
    pub name: String,
    /// Where it is in its life.
    pub state: JobState,
    /// Why it waits, for people; `None` when it does not.
    pub waiting_for: Option<String>,
    /// When it was accepted.
    pub submitted_ms: u64,
    /// When its planning began.
    pub started_ms: Option<u64>,
    /// When it reached a final state.
    pub finished_ms: Option<u64>,
    /// Why it failed.
    pub failure: Option<FailureCause>,
    /// Its stages, by id; empty before it is planned, and in listings.
    pub stages: Vec<StageStatus>,
    /// Sums over the winning attempts.
    pub metrics: AttemptMetrics,
    /// The output, once it is committed.
    pub output: Option<OutputStatus>,
    /// Its result can be fetched.
    pub has_result: bool,
    /// What became of its attempts.
    pub attempts: AttemptCounts,
    /// Its SQL.
    pub query: String,
    /// What became of the records of its inputs, by name; empty until its tasks are done.
    #[serde(default)]
    pub inputs: Vec<InputStatus>,
    /// What was inferred about inputs without a declared schema; empty until the job is planned, and after a restart.
    #[serde(default)]
    pub inferred: Vec<InferredInput>,
    /// Where attempts were launched whose tasks prefer some hosts; all zero where none does.
    #[serde(default)]
    pub locality: LocalityCounts,
    /// What pages tell besides, of an ended job; not sent to clients, and not kept of old jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<JobDetails>>,
}

/// The columns of an input as samples of its files tell them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferredInput {
    /// Name of the input.
    pub input: String,
    /// Records that were looked at.
    pub records: u64,
    /// Its columns.
    pub columns: Vec<InferredColumn>,
}

/// An inferred column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferredColumn {
    /// Its name.
    pub name: String,
    /// Its type, as a job file names it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Records in which it was NULL; `None` where they were not counted.
    pub nulls: Option<u64>,
}

/// What became of the records of one input, added up over the winning attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputStatus {
    /// Its figures. An input that the query reads twice counts twice.
    #[serde(flatten)]
    pub records: InputRecords,
    /// The first of its rejects.
    pub first_rejects: Vec<Reject>,
}

/// A stage as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageStatus {
    /// The stage.
    pub id: StageId,
    /// One line for people: what it reads and does.
    pub label: String,
    /// Number of tasks; 0 before it is known.
    pub tasks: u32,
    /// Tasks with a winner.
    pub tasks_done: u32,
    /// Tasks that run.
    pub tasks_running: u32,
    /// Sums over the winning attempts, and what running ones have told so far.
    pub metrics: AttemptMetrics,
    /// The stages it reads.
    pub inputs: Vec<StageId>,
}

/// A committed output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputStatus {
    /// The directory.
    pub path: String,
    /// Number of files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their size, in bytes.
    pub bytes: u64,
    /// The file with the rejects; `None` without any.
    #[serde(default)]
    pub rejects: Option<String>,
}

/// What became of a job's attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttemptCounts {
    /// All that were launched.
    pub launched: u64,
    /// Of those, lost with their worker, not begun because their worker drains, or finished and lost later.
    pub lost: u64,
    /// Of those, failed.
    pub failed: u64,
    /// Of those, launched beside a slow attempt of the same task.
    #[serde(default)]
    pub second: u64,
    /// Of the second ones, first to end.
    #[serde(default)]
    pub second_won: u64,
}

/// Where the attempts of a job were launched whose tasks prefer some hosts, because these hold what they read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LocalityCounts {
    /// On one of these hosts.
    pub local: u64,
    /// Elsewhere.
    pub remote: u64,
}

/// State of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// Takes attempts.
    Alive,
    /// Its connection broke, or nothing was heard of it for half of its lease; it has a short time to come back.
    Disconnected,
    /// Takes no more attempts and leaves when it is idle.
    Draining,
    /// Its lease ended.
    Lost,
    /// It said goodbye: somebody drained or stopped it.
    Left,
}

impl WorkerState {
    /// Stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Disconnected => "disconnected",
            Self::Draining => "draining",
            Self::Lost => "lost",
            Self::Left => "left",
        }
    }
}

/// A worker as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The worker.
    pub id: WorkerId,
    /// Host it runs on.
    pub host: String,
    /// `host:port` of its shuffle service.
    pub shuffle_address: String,
    /// Its state.
    pub state: WorkerState,
    /// Room for attempts.
    pub slots: u32,
    /// Attempts that run.
    pub slots_used: u32,
    /// Memory limit of its attempts together, in bytes.
    pub memory_bytes_max: u64,
    /// Memory its attempts have reserved, in bytes.
    pub memory_bytes_used: u64,
    /// Free space in its work directory, in bytes.
    pub disk_bytes_free: u64,
    /// Its engine version.
    pub version: String,
    /// When it registered, in milliseconds since 1970.
    pub registered_ms: u64,
    /// Time left of its lease, in milliseconds.
    pub lease_ms: u64,
    /// Why and how much longer it gets no attempts, because attempts of several jobs failed on it.
    #[serde(default)]
    pub excluded: Option<String>,
}
