//! The control stream between master and worker, as our types. What a message may hold is checked here and nowhere else.
//!
//! Protocol number and engine version are only carried: the master compares them, because it must be able to say what differs.

use std::time::Duration;

use bytes::Bytes;
use hearth_common::{
    Absence, AttemptId, AttemptMetrics, AttemptRecords, Epoch, FailureCause, JobId, LinkScan, LogLine, OperatorRun,
    OutputFile, TaskInputs, WorkerId,
};

use super::ConvertError;

mod from_master;
mod from_worker;
mod inputs;
mod links;
mod operators;
mod records;
#[cfg(test)]
mod tests;

pub(super) use from_worker::check_address;

/// Largest message of the control stream, in bytes. A launch carries a whole stage program and all its shuffle sources.
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Most links in one report. A link is half an input split or more, so an attempt reads few of them from each leaf.
pub const SCANS_MAX: usize = 1 << 16;

/// Most names of a worker's host, besides the one for people.
pub const NAMES_MAX: usize = 8;

/// Longest text about what an attempt waits for, in bytes.
pub const WAITING_BYTES_MAX: usize = 4096;

/// Most log lines in one message.
pub const LOG_LINES_MAX: usize = 512;

/// Most slots of a worker.
pub const SLOTS_MAX: u32 = 4096;

/// What a worker tells its master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerMessage {
    /// Who it is and what it has; first on every connection.
    Hello(Hello),
    /// That it lives, and how far its attempts are.
    Heartbeat(Heartbeat),
    /// How an attempt ended. Repeated on every new connection until it is acknowledged.
    Report(Report),
    /// It takes no more attempts and leaves when the running ones are done.
    Draining,
    /// It leaves now, with everything it holds.
    Goodbye,
    /// What it has to tell of jobs; at most [`LOG_LINES_MAX`]. Repeated until they are kept.
    LogLines(Vec<LogLine>),
}

/// The first message of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its [`hearth_common::PROTOCOL`].
    pub protocol: u32,
    /// Its [`hearth_common::ENGINE_VERSION`].
    pub engine_version: String,
    /// This life of the worker process.
    pub worker: WorkerId,
    /// Host it runs on, for people.
    pub host: String,
    /// `host:port` that other workers and the master reach.
    pub shuffle_address: String,
    /// Room for attempts; 1 to [`SLOTS_MAX`].
    pub slots: u32,
    /// Memory limit of its attempts together, in bytes.
    pub memory_bytes_max: u64,
    /// Attempts that run, or whose report is not acknowledged yet.
    pub attempts: Vec<AttemptId>,
    /// Attempts whose shuffle output is on its disk.
    pub shuffle_outputs: Vec<AttemptId>,
    /// Shared secret; empty until authentication exists.
    pub token: String,
    /// Further names and addresses of the host, to compare with those of hosts that hold data; at most [`NAMES_MAX`].
    pub names: Vec<String>,
    /// The newest that it was welcomed in; `None` before the first.
    pub epoch: Option<Epoch>,
}

/// That the worker lives, and how far its attempts are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// Attempts that run.
    pub progress: Vec<AttemptProgress>,
    /// Memory its attempts have reserved, in bytes.
    pub memory_bytes_used: u64,
    /// Free space in its work directory, in bytes.
    pub disk_bytes_free: u64,
}

/// How far a running attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptProgress {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its figures so far.
    pub metrics: AttemptMetrics,
    /// What it waits for outside the cluster, for people; at most [`WAITING_BYTES_MAX`].
    pub waiting_for: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its figures.
    pub metrics: AttemptMetrics,
    /// What it left behind, or why it failed.
    pub outcome: ReportOutcome,
    /// What it found out about its links, whether it finished or failed; at most [`SCANS_MAX`].
    pub scans: Vec<LinkScan>,
    /// What became of the records that it read; empty where it failed.
    pub records: AttemptRecords,
    /// What the operators of its plan did, parents before their children; empty where it failed, and at most
    /// [`hearth_common::OPERATORS_MAX`].
    pub operators: Vec<OperatorRun>,
}

/// What an attempt left behind, or why it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOutcome {
    /// A shuffle output on the worker's disk.
    Shuffle {
        /// Bytes of each shuffle partition, from 0.
        partition_bytes: Vec<u64>,
    },
    /// Output files in the job's staging directory.
    Output {
        /// The files; none where the task had no rows.
        files: Vec<OutputFile>,
    },
    /// Nothing.
    Failed(FailureCause),
}

/// What the master tells a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterMessage {
    /// The answer to hello: the worker belongs to the cluster.
    Welcome {
        /// How often the worker sends a heartbeat.
        heartbeat_interval: Duration,
        /// How long the master believes in a silent worker.
        lease: Duration,
        /// The master's.
        epoch: Epoch,
    },
    /// The answer to hello: it does not.
    Refused {
        /// What does not fit and what to do, for people.
        reason: String,
        /// Trying again may help (`false`: another version, or a wrong token).
        retry: bool,
    },
    /// Start an attempt.
    Launch(LaunchOrder),
    /// Stop an attempt; no report is needed.
    Cancel(AttemptId),
    /// The report of this attempt has arrived; it need not be repeated.
    Ack(AttemptId),
    /// Delete shuffle outputs.
    RemoveShuffle {
        /// The job that they belong to.
        job: JobId,
        /// Only this attempt's; `None` for all of the job.
        attempt: Option<AttemptId>,
    },
    /// The lease ended: discard everything and come back under a new worker id.
    Fenced,
    /// To a draining worker: nothing that it holds is needed any more.
    MayLeave,
    /// Somebody wants the worker drained; it answers [`WorkerMessage::Draining`].
    Drain,
    /// Another worker, from which its attempts may read, is silent or lost.
    SourceAbsent {
        /// That worker.
        source: WorkerId,
        /// How far it is gone.
        absence: Absence,
    },
    /// The master has its log lines up to this number.
    LogLinesKept {
        /// The number.
        through: u64,
    },
}

/// An attempt to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchOrder {
    /// The attempt.
    pub attempt: AttemptId,
    /// The stage's program, as the engine encodes it. Check [`LaunchOrder::program_xxh3`] before decoding it.
    pub program: Bytes,
    /// XXH3-64 of the program.
    pub program_xxh3: u64,
    /// What the attempt reads.
    pub inputs: TaskInputs,
}

fn check_length(field: &'static str, found: usize, max: usize) -> Result<(), ConvertError> {
    if found > max { Err(ConvertError::new(field, format!("is too long: {found}, at most {max}"))) } else { Ok(()) }
}
