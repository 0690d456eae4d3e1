//! What every Hearth process shares: ids, job descriptions, failure causes, sizes and backoff.
//!
//! This crate does no I/O, knows no Arrow, no DataFusion and no wire format, and depends on no other workspace crate.

mod backoff;
mod cause;
mod chain;
mod compression;
mod csv_options;
mod details;
pub mod duration;
mod epoch;
mod id;
mod job;
mod log_line;
mod operators;
mod printable;
mod rejects;
mod size;
mod status;
mod task;
mod template;
mod value_type;

pub use backoff::Backoff;
pub use cause::{FailureCause, OutputLoss, Place};
pub use chain::{LinkEnd, LinkScan, LinkSpan, RecordStart};
pub use compression::{FileCompression, InputCompression};
pub use csv_options::{CsvOptions, Encoding, ExtraColumns, MissingColumns};
pub use details::{
    Asked, AttemptDetails, AttemptOutcome, FailedAttempt, InputDetails, JobDetails, OutputEntry, PlanTexts, Spread,
    StageSpread, StateChange,
};
pub use epoch::{Epoch, EpochError, NewestEpoch, Outdated};
pub use id::{AttemptId, ClaimId, ClusterId, IdError, JobId, StageId, TaskId, WorkerId, stage_and_partition};
pub use job::{
    Compression, InputFormat, InputSpec, JobError, JobSettings, JobSpec, JobState, OnError, OutputFormat, OutputMode,
    OutputSpec, Priority,
};
pub use log_line::{LogField, LogLevel, LogLine, LogSubject};
pub use operators::{OPERATOR_NAME_BYTES_MAX, OPERATORS_MAX, OperatorRun, OperatorTotal, OperatorWork, StageOperators};
pub use printable::{printable, printable_json, printable_lines};
pub use rejects::{AttemptRecords, FoundReject, InputRecords, Reject, RejectLimit, RejectLimitError, RejectsFile};
pub use size::{ByteSize, ByteSizeError};
pub use status::{
    AttemptCounts, InferredColumn, InferredInput, InputStatus, JobStatus, LocalityCounts, OutputStatus, StageStatus,
    WorkerState, WorkerStatus,
};
pub use task::{
    Absence, AttemptMetrics, InputSplit, LeafInput, LeafKey, OutputFile, ShuffleInput, ShuffleSource, SplitLink,
    TaskInputs,
};
pub use template::{TemplateError, fill_template};
pub use value_type::{ColumnSpec, ValueType, ValueTypeError};

/// Number of the wire protocol. Master and worker must have the same one; it grows with every incompatible change.
pub const PROTOCOL: u32 = 3;

/// Version of the engine. Stage plans are encoded by it, so master and worker must have the same one.
pub const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");
