//! A job as it was asked for: named inputs, one query, at most one output. Validated once, at the edge.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ByteSize, ColumnSpec, CsvOptions, InputCompression, RejectLimit};

/// One submitted request with one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Name for people; need not be unique.
    pub name: String,
    /// SQL: one SELECT statement over the inputs.
    pub query: String,
    /// Tables by name.
    pub inputs: BTreeMap<String, InputSpec>,
    /// Where the result goes; without it the result is kept for `fetch`, up to [`JobSettings::result_bytes_max`].
    pub output: Option<OutputSpec>,
    /// Knobs with defaults.
    pub settings: JobSettings,
}

/// One named input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Files, directories or globs, as paths or URLs.
    pub paths: Vec<String>,
    /// Format of every file.
    pub format: InputFormat,
    /// How the files are compressed; Parquet compresses inside.
    #[serde(default)]
    pub compression: InputCompression,
    /// Declared columns; inferred where it is left out.
    pub schema: Option<Vec<ColumnSpec>>,
    /// What to do with a record that cannot be read.
    pub on_error: OnError,
}

/// Format of an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InputFormat {
    /// Separated values.
    Csv(CsvOptions),
    /// One JSON object per line.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// What to do with a record that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Stop the job and name the place.
    #[default]
    Fail,
    /// Put it aside; more of them than the limit stop the job. For CSV and JSON lines.
    Reject(RejectLimit),
}

/// Where and how the result is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSpec {
    /// Directory, as a path or URL.
    pub path: String,
    /// File format.
    pub format: OutputFormat,
    /// What to do with an existing directory.
    pub mode: OutputMode,
    /// Columns that become `name=value` directories, outermost first.
    pub partition_by: Vec<String>,
    /// Compression of Parquet pages.
    pub compression: Compression,
    /// A file that grows beyond it is closed and the next one begun.
    pub file_bytes_max: ByteSize,
}

/// Format of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// Apache Parquet.
    #[default]
    Parquet,
    /// CSV with a header.
    Csv,
    /// One JSON object per line.
    Json,
}

/// What to do when the destination exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// It must not exist; checked at submit and again at the commit.
    #[default]
    Error,
    /// The new directory takes its place in one step.
    Overwrite,
    /// The new files join the old ones.
    Append,
}

/// Compression of Parquet pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Zstandard.
    #[default]
    Zstd,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// None.
    None,
}

/// Knobs of a job, each with a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// Size of an input split; chosen from the input's size and the cluster's slots where it is left out.
    pub split_bytes: Option<ByteSize>,
    /// Shuffle partitions of an exchange; chosen from the input's size where it is left out.
    pub shuffle_partitions: Option<u32>,
    /// Neighbouring shuffle partitions are read by one task up to this many bytes.
    pub merge_bytes: ByteSize,
    /// A join side estimated below this is sent whole to every task.
    pub broadcast_bytes_max: ByteSize,
    /// Limit of a result without an output.
    pub result_bytes_max: ByteSize,
    /// The job fails when it is not done so long after it was submitted; the time that it waits for its turn counts. A commit
    /// that has begun decides first.
    pub deadline_seconds: Option<u64>,
    /// Attempts that it runs at once, at most.
    pub slots_max: Option<u32>,
    /// How much it counts beside other jobs.
    pub priority: Priority,
}

/// How much a job counts beside others: it has its turn as if it had been submitted earlier or later, and gets a larger or
/// smaller share of the slots. No job waits for ever because of others' priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Half of the share of a normal one.
    Low,
    /// As most jobs.
    #[default]
    Normal,
    /// Twice the share of a normal one.
    High,
}

impl Priority {
    /// Every priority, lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// Stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            split_bytes: None,
            shuffle_partitions: None,
            merge_bytes: ByteSize::mib(64),
            broadcast_bytes_max: ByteSize::mib(16),
            result_bytes_max: ByteSize::mib(16),
            deadline_seconds: None,
            slots_max: None,
            priority: Priority::Normal,
        }
    }
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted, waiting for its turn.
    Queued,
    /// Its inputs are listed and its query is planned.
    Planning,
    /// Its tasks run, or wait for slots.
    Running,
    /// Its output is being made visible.
    Committing,
    /// Its output is visible, or its result can be fetched.
    Done,
    /// It will not be tried again.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Planning, Self::Running, Self::Committing, Self::Done, Self::Failed, Self::Cancelled];

    /// Nothing will change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// Stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Committing => "committing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a job cannot be taken, whatever the cluster's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// A part that must be there is not.
    #[error("job has no {0}")]
    Missing(&'static str),
    /// A part is larger than its limit.
    #[error("{what} is too large: {found}, at most {max}")]
    TooLarge {
        /// The part.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// A table name SQL could not use without surprises.
    #[error("`{0}` is not a table name; use letters, digits and `_`, and start with a letter or `_`")]
    TableName(String),
    /// Anything else, told in full.
    #[error("{0}")]
    Invalid(String),
}

impl JobSpec {
    /// Longest query, in bytes.
    pub const QUERY_BYTES_MAX: usize = 1 << 20;
    /// Most inputs.
    pub const INPUTS_MAX: usize = 256;
    /// Longest name, in bytes.
    pub const NAME_BYTES_MAX: usize = 1024;
    /// Most shuffle partitions.
    pub const SHUFFLE_PARTITIONS_MAX: u32 = 4096;

    /// Checks what can be checked without looking at any file.
    ///
    /// # Errors
    /// The first thing that is missing, too large or malformed.
    pub fn validate(&self) -> Result<(), JobError> {
        if self.query.trim().is_empty() {
            return Err(JobError::Missing("query"));
        }
        check_size("name", self.name.len(), Self::NAME_BYTES_MAX)?;
        check_size("query", self.query.len(), Self::QUERY_BYTES_MAX)?;
        check_size("number of inputs", self.inputs.len(), Self::INPUTS_MAX)?;
        for (name, input) in &self.inputs {
            check_table_name(name)?;
            input.validate(name)?;
        }
        if let Some(output) = &self.output {
            output.validate()?;
        }
        self.settings.validate()
    }
}

impl InputSpec {
    fn validate(&self, name: &str) -> Result<(), JobError> {
        if self.paths.is_empty() || self.paths.iter().any(|path| path.trim().is_empty()) {
            return Err(JobError::Invalid(format!("input `{name}` has no path")));
        }
        if self.schema.as_ref().is_some_and(Vec::is_empty) {
            return Err(JobError::Invalid(format!("the schema of input `{name}` has no columns")));
        }
        if self.format == InputFormat::Parquet && self.compression != InputCompression::Auto {
            return Err(JobError::Invalid(format!(
                "input `{name}` is Parquet, which is compressed inside; leave its compression out"
            )));
        }
        match (&self.format, self.on_error) {
            (InputFormat::Parquet, OnError::Reject(_)) => Err(JobError::Invalid(format!(
                "input `{name}`: parquet inputs cannot reject records; write on_error = \"fail\", or leave it out"
            ))),
            (InputFormat::Csv(_) | InputFormat::Json, OnError::Reject(limit)) if !limit.is_valid() => {
                Err(JobError::Invalid(format!("max_rejects of input `{name}` is more than 100%")))
            }
            (InputFormat::Csv(options), OnError::Fail | OnError::Reject(_)) => options.validate(name),
            (InputFormat::Json, OnError::Fail | OnError::Reject(_)) | (InputFormat::Parquet, OnError::Fail) => Ok(()),
        }
    }
}

impl OutputSpec {
    /// Size of an output file where none is given.
    pub const FILE_BYTES_MAX: ByteSize = ByteSize::mib(512);

    fn validate(&self) -> Result<(), JobError> {
        if self.path.trim().is_empty() {
            return Err(JobError::Missing("output path"));
        }
        if self.file_bytes_max < ByteSize::mib(1) {
            return Err(JobError::Invalid(
                "output files of less than 1MiB are not useful; raise file_bytes_max".into(),
            ));
        }
        Ok(())
    }
}

impl JobSettings {
    fn validate(&self) -> Result<(), JobError> {
        let max = JobSpec::SHUFFLE_PARTITIONS_MAX;
        match self.shuffle_partitions {
            Some(0) => Err(JobError::Invalid("shuffle_partitions must be at least 1".into())),
            Some(found) if found > max => {
                Err(JobError::TooLarge { what: "shuffle_partitions", found: found.into(), max: max.into() })
            }
            Some(_) | None => Ok(()),
        }?;
        if self.deadline_seconds == Some(0) {
            return Err(JobError::Invalid("deadline_seconds must be at least 1".into()));
        }
        if self.slots_max == Some(0) {
            return Err(JobError::Invalid("slots_max must be at least 1".into()));
        }
        if self.split_bytes.is_some_and(|size| size.0 == 0) {
            return Err(JobError::Invalid("split_bytes must be at least 1".into()));
        }
        Ok(())
    }
}

fn check_size(what: &'static str, found: usize, max: usize) -> Result<(), JobError> {
    let (found, max) = (found as u64, max as u64);
    if found > max { Err(JobError::TooLarge { what, found, max }) } else { Ok(()) }
}

fn check_table_name(name: &str) -> Result<(), JobError> {
    let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let goes_on_well = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if starts_well && goes_on_well { Ok(()) } else { Err(JobError::TableName(name.to_owned())) }
}
