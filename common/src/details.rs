//! What pages tell of a job beyond its status: its states with their times, what it reads, its plan, and its attempts.
//!
//! Everything here is bounded by whoever fills it in, and is shown to people: nothing is decided by it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AttemptMetrics, InputSpec, JobSettings, JobState, OutputSpec, StageId, StageOperators, WorkerId};

/// The details of a job. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JobDetails {
    /// The states it went through, in order.
    pub states: Vec<StateChange>,
    /// What was asked for; `None` for jobs of an older master.
    pub asked: Option<Asked>,
    /// What its inputs are, by name; empty before it is planned.
    pub inputs: Vec<InputDetails>,
    /// How it is carried out; empty before it is planned.
    pub plan: PlanTexts,
    /// How the attempts of its stages compare; of an ended job.
    pub stages: Vec<StageSpread>,
    /// What the operators of its stages did; of an ended job.
    pub operators: Vec<StageOperators>,
    /// Its attempts, of an ended job: all of a small one, of a large one those that failed, then the slowest.
    pub attempts: Vec<AttemptDetails>,
    /// Attempts that are not in [`Self::attempts`].
    pub attempts_left_out: u64,
    /// The files of its output, of a job that is done; the first ones of many.
    pub output_files: Vec<OutputEntry>,
    /// The attempt whose failure ended it.
    pub failed_in: Option<FailedAttempt>,
    /// Hosts of the workers that are named here.
    pub hosts: BTreeMap<WorkerId, String>,
}

/// A state of a job, and since when it has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// The state.
    pub state: JobState,
    /// Since when.
    pub since_ms: u64,
}

/// What was asked for, but for name and SQL, which the status has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Tables by name.
    pub inputs: BTreeMap<String, InputSpec>,
    /// Where the result goes.
    pub output: Option<OutputSpec>,
    /// Knobs.
    pub settings: JobSettings,
}

/// An input as it was found when the job was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputDetails {
    /// Its name.
    pub input: String,
    /// Its files, without the empty ones.
    pub files: u64,
    /// Its input splits.
    pub splits: u64,
    /// Size of its files, in bytes.
    pub bytes: u64,
}

/// How a job is carried out, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanTexts {
    /// The logical plan.
    pub logical: String,
    /// The physical plan, before it is cut into stages.
    pub physical: String,
    /// The part of it that each stage runs, by stage.
    pub stages: Vec<String>,
}

/// An output file at the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputEntry {
    /// Path below the output directory.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// The attempt whose failure ended a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Its stage.
    pub stage: StageId,
    /// Its task.
    pub partition: u32,
    /// Its number.
    pub attempt: u32,
    /// The worker it ran on.
    pub worker: WorkerId,
    /// The input splits it read, for people; empty where it read only shuffle outputs.
    pub reads: String,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It runs.
    Running,
    /// It ended well, and no other attempt of its task was needed since.
    Done,
    /// It ended well, but its task ran again: its output was lost, or it had read from a wrong start.
    Repeated,
    /// It failed.
    Failed,
    /// It was stopped: another attempt of its task was first, or its job ended.
    Cancelled,
    /// It was lost with its worker, or its worker drained and did not begin it.
    Lost,
}

impl AttemptOutcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [Self::Running, Self::Done, Self::Repeated, Self::Failed, Self::Cancelled, Self::Lost];

    /// Stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Repeated => "repeated",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

/// An attempt as pages show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptDetails {
    /// Its stage.
    pub stage: StageId,
    /// Its task.
    pub partition: u32,
    /// Its number.
    pub attempt: u32,
    /// The worker it ran on.
    pub worker: WorkerId,
    /// It was launched beside a slow attempt of its task.
    pub second: bool,
    /// When it was launched.
    pub launched_ms: u64,
    /// When the master heard of its end.
    pub ended_ms: Option<u64>,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// Why it failed: the name of the cause, and the beginning of its text.
    pub failure: Option<(String, String)>,
    /// What it told of its work.
    pub metrics: AttemptMetrics,
}

impl AttemptDetails {
    /// From its launch to its end, or to `now_ms`, in milliseconds.
    #[must_use]
    pub fn duration_ms(&self, now_ms: u64) -> u64 {
        self.ended_ms.unwrap_or(now_ms).saturating_sub(self.launched_ms)
    }

    /// Bytes it read: of input splits and of shuffle outputs.
    #[must_use]
    pub const fn read_bytes(&self) -> u64 {
        let AttemptMetrics { input_bytes, shuffle_local_bytes, shuffle_remote_bytes, .. } = self.metrics;
        input_bytes.saturating_add(shuffle_local_bytes).saturating_add(shuffle_remote_bytes)
    }

    /// Rows it read: of input splits and of shuffle outputs.
    #[must_use]
    pub const fn read_rows(&self) -> u64 {
        self.metrics.input_rows.saturating_add(self.metrics.shuffle_read_rows)
    }
}

/// How the attempts of a stage that ended well compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSpread {
    /// The stage.
    pub stage: StageId,
    /// Attempts that are compared.
    pub attempts: u64,
    /// When its first attempt was launched.
    pub started_ms: u64,
    /// When its last attempt ended; `None` while one runs.
    pub ended_ms: Option<u64>,
    /// Durations, in milliseconds.
    pub duration_ms: Spread,
    /// Bytes read.
    pub read_bytes: Spread,
    /// Rows read.
    pub read_rows: Spread,
    /// Bytes spilled.
    pub spilled_bytes: Spread,
}

/// Percentiles of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest.
    pub min: u64,
    /// A quarter is at most that.
    pub p25: u64,
    /// Half is at most that.
    pub median: u64,
    /// Three quarters are at most that.
    pub p75: u64,
    /// All but one in twenty are at most that.
    pub p95: u64,
    /// The largest.
    pub max: u64,
}

impl Spread {
    /// The percentiles of some values, by nearest rank; all zero without any.
    #[must_use]
    pub fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
            values.get(rank).copied().unwrap_or_default()
        };
        Self { min: at(0), p25: at(25), median: at(50), p75: at(75), p95: at(95), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(Spread::of(Vec::new()), Spread::default());
        let one = Spread::of(vec![7]);
        assert_eq!((one.min, one.median, one.p95, one.max), (7, 7, 7, 7));
        let hundred = Spread::of((1..=100).rev().collect());
        let expected = Spread { min: 1, p25: 25, median: 50, p75: 75, p95: 95, max: 100 };
        assert_eq!(hundred, expected);
        assert_eq!(Spread::of(vec![1, 2]).median, 1);
    }
}
