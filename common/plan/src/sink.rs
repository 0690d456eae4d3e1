//! A stage's program: its plan, and what becomes of the rows it gives.

use std::sync::Arc;

use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use hearth_common::OutputSpec;

/// What every task of a stage runs.
#[derive(Debug, Clone)]
pub struct StageProgram {
    /// The plan. Task `p` runs partition `p` of it.
    pub plan: Arc<dyn ExecutionPlan>,
    /// What becomes of its rows.
    pub sink: Sink,
}

/// What becomes of the rows of a task.
#[derive(Debug, Clone)]
pub enum Sink {
    /// They are written to a shuffle output for a later stage.
    Shuffle(ShuffleSink),
    /// They are written to output files in staging.
    Output(OutputSink),
    /// They are the job's result, kept as a shuffle output of one partition until the master fetches it.
    Result(ResultSink),
}

/// Rows for a later stage.
#[derive(Debug, Clone)]
pub struct ShuffleSink {
    /// Rows with equal values go to the same partition. Empty: all rows go to partition 0, and `partitions` is 1.
    pub hash_exprs: Vec<Arc<dyn PhysicalExpr>>,
    /// Number of shuffle partitions; at least 1.
    pub partitions: u32,
}

/// Rows for output files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSink {
    /// URL of the job's `attempts/` directory in staging.
    pub attempts_url: String,
    /// How the output is written. Its `partition_by` columns exist in the plan's schema.
    pub spec: OutputSpec,
}

/// Rows that are the job's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultSink {
    /// A larger result fails the job.
    pub bytes_max: u64,
}
