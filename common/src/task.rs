//! What one attempt reads and what it leaves behind, as master and worker agree on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{FileCompression, RecordStart, StageId, WorkerId};

/// Which leaf of a stage's plan, and which partition of that leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafKey {
    /// Number of the leaf in its stage's plan.
    pub leaf: u32,
    /// Partition of the leaf, as its parent operator asks for it.
    pub partition: u32,
}

/// Everything an attempt reads. A leaf partition that is missing here is empty.
pub type TaskInputs = BTreeMap<LeafKey, LeafInput>;

/// What one leaf partition reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeafInput {
    /// Pieces of input files.
    Splits(Vec<InputSplit>),
    /// Shuffle partitions of an earlier stage.
    Shuffle(ShuffleInput),
}

/// A byte range of one input file. The records that start in it belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSplit {
    /// URL of the file.
    pub url: String,
    /// Size of the whole file when the job was planned, in bytes.
    pub file_bytes: u64,
    /// Modification time of the file when the job was planned, in milliseconds since 1970. A changed file fails the attempt.
    pub modified_ms: i64,
    /// How the file is compressed; if it is, the split is the whole file.
    pub compression: FileCompression,
    /// First byte.
    pub start: u64,
    /// Byte after the last one.
    pub end: u64,
    /// Its place in a chain, where its first byte need not be a record's; `None` for a format or a file that needs no chain.
    pub link: Option<SplitLink>,
}

/// The place of an input split in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitLink {
    /// Number of the link in its stage.
    pub number: u32,
    /// Where its first record starts, once that is known; its reader has to guess without it.
    pub known: Option<RecordStart>,
}

/// A range of shuffle partitions, from every task that produced them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShuffleInput {
    /// The stage that produced them.
    pub stage: StageId,
    /// First shuffle partition.
    pub first: u32,
    /// Shuffle partition after the last one.
    pub end: u32,
    /// The winning attempts of that stage, in the order of their partitions.
    pub sources: Vec<ShuffleSource>,
}

/// Where the shuffle output of one winning attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShuffleSource {
    /// Task of the producing stage.
    pub partition: u32,
    /// Its winning attempt.
    pub attempt: u32,
    /// The worker that holds the file.
    pub worker: WorkerId,
    /// `host:port` of that worker's shuffle service.
    pub address: String,
}

/// How far a worker that others read from is gone, as its master knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absence {
    /// The master has heard nothing of it for a while. Who hears nothing of it either gives up soon.
    Silent,
    /// It is lost: nobody waits for it any more.
    Lost,
}

/// One output file that an attempt left in staging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Name below the job's `attempts/` directory; a single path component.
    pub staged: String,
    /// Directory below the output, such as `date=2026-01-15`; empty without `partition_by`.
    pub directory: String,
    /// Extension without the dot, such as `parquet`.
    pub extension: String,
    /// Rows in the file.
    pub rows: u64,
    /// Size of the file, in bytes.
    pub bytes: u64,
}

/// Figures of one attempt, or of many added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttemptMetrics {
    /// Records read from input splits.
    pub input_rows: u64,
    /// Bytes of input splits.
    pub input_bytes: u64,
    /// Rows read from shuffle outputs.
    pub shuffle_read_rows: u64,
    /// Bytes read from shuffle outputs on the same worker.
    pub shuffle_local_bytes: u64,
    /// Bytes read from shuffle outputs on other workers.
    pub shuffle_remote_bytes: u64,
    /// Rows written, to a shuffle output or to output files.
    pub output_rows: u64,
    /// Bytes written.
    pub output_bytes: u64,
    /// Bytes spilled to the work directory.
    pub spilled_bytes: u64,
    /// Wall time, in milliseconds.
    pub elapsed_ms: u64,
}

impl AttemptMetrics {
    /// Adds the figures of another attempt.
    pub fn add(&mut self, other: &Self) {
        self.input_rows += other.input_rows;
        self.input_bytes += other.input_bytes;
        self.shuffle_read_rows += other.shuffle_read_rows;
        self.shuffle_local_bytes += other.shuffle_local_bytes;
        self.shuffle_remote_bytes += other.shuffle_remote_bytes;
        self.output_rows += other.output_rows;
        self.output_bytes += other.output_bytes;
        self.spilled_bytes += other.spilled_bytes;
        self.elapsed_ms += other.elapsed_ms;
    }
}
