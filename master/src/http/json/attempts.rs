//! Attempts as JSON: pages of them, how those of a stage compare, and when they ran where.

use std::collections::BTreeMap;

use hearth_common::{AttemptDetails, JobId, Spread, StageSpread, WorkerId};

use super::jobs::MetricsJson;
use super::time;
use crate::http::described::described;

described! {
    /// A page of attempts.
    pub(in crate::http) struct AttemptsJson {
        pub(in crate::http) attempts: Vec<AttemptJson>,
        /// Attempts that fit the request.
        pub(in crate::http) total: usize,
        /// What to pass as `from` for the next page; null on the last one.
        pub(in crate::http) next: Option<usize>,
        /// Attempts of the job that are not known any more.
        pub(in crate::http) left_out: u64,
    }
}

described! {
    /// An attempt.
    pub(in crate::http) struct AttemptJson {
        job: String,
        job_name: String,
        stage: u32,
        /// The task.
        partition: u32,
        /// Its number, from 0.
        attempt: u32,
        worker: String,
        host: Option<String>,
        /// running, done, repeated, failed, cancelled or lost.
        outcome: &'static str,
        /// It was launched beside a slow attempt of its task.
        is_second: bool,
        launched_at: String,
        ended_at: Option<String>,
        duration_ms: u64,
        failure: Option<AttemptFailureJson>,
        metrics: MetricsJson,
    }
}

described! {
    /// Why an attempt failed.
    struct AttemptFailureJson {
        cause: String,
        /// The beginning of the text.
        message: String,
    }
}

impl AttemptJson {
    pub(in crate::http) fn new(
        (job, job_name): (JobId, &str),
        attempt: &AttemptDetails,
        hosts: &BTreeMap<WorkerId, String>,
        now_ms: u64,
    ) -> Self {
        let failure = attempt.failure.clone();
        Self {
            job: job.to_string(),
            job_name: job_name.to_owned(),
            stage: attempt.stage.0,
            partition: attempt.partition,
            attempt: attempt.attempt,
            worker: attempt.worker.to_string(),
            host: hosts.get(&attempt.worker).cloned(),
            outcome: attempt.outcome.name(),
            is_second: attempt.second,
            launched_at: time(attempt.launched_ms),
            ended_at: attempt.ended_ms.map(time),
            duration_ms: attempt.duration_ms(now_ms),
            failure: failure.map(|(cause, message)| AttemptFailureJson { cause, message }),
            metrics: attempt.metrics.into(),
        }
    }
}

described! {
    /// How the attempts of each stage compare.
    pub(in crate::http) struct SpreadsJson {
        stages: Vec<StageSpreadJson>,
    }
}

described! {
    /// How the attempts of a stage that ended well compare.
    struct StageSpreadJson {
        stage: u32,
        /// Attempts that are compared.
        attempts: u64,
        started_at: String,
        /// Null while one runs.
        ended_at: Option<String>,
        duration_ms: SpreadJson,
        read_bytes: SpreadJson,
        read_rows: SpreadJson,
        spilled_bytes: SpreadJson,
    }
}

described! {
    /// Percentiles.
    struct SpreadJson {
        min: u64,
        p25: u64,
        median: u64,
        p75: u64,
        p95: u64,
        max: u64,
    }
}

impl SpreadsJson {
    pub(in crate::http) fn new(stages: &[StageSpread]) -> Self {
        let stage = |stage: &StageSpread| StageSpreadJson {
            stage: stage.stage.0,
            attempts: stage.attempts,
            started_at: time(stage.started_ms),
            ended_at: stage.ended_ms.map(time),
            duration_ms: stage.duration_ms.into(),
            read_bytes: stage.read_bytes.into(),
            read_rows: stage.read_rows.into(),
            spilled_bytes: stage.spilled_bytes.into(),
        };
        Self { stages: stages.iter().map(stage).collect() }
    }
}

impl From<Spread> for SpreadJson {
    fn from(spread: Spread) -> Self {
        let Spread { min, p25, median, p75, p95, max } = spread;
        Self { min, p25, median, p75, p95, max }
    }
}

described! {
    /// When attempts ran, by worker.
    pub(in crate::http) struct TimelineJson {
        /// When the first attempt was launched; everything else counts from there.
        pub(in crate::http) from_at: String,
        /// Time from there to the end of the last attempt, or to now.
        pub(in crate::http) length_ms: u64,
        pub(in crate::http) lanes: Vec<LaneJson>,
        /// Attempts that are not shown: there are too many.
        pub(in crate::http) left_out: u64,
    }
}

described! {
    /// The attempts on one worker.
    pub(in crate::http) struct LaneJson {
        pub(in crate::http) worker: String,
        pub(in crate::http) host: Option<String>,
        pub(in crate::http) bars: Vec<BarJson>,
    }
}

described! {
    /// An attempt on a timeline.
    pub(in crate::http) struct BarJson {
        stage: u32,
        partition: u32,
        attempt: u32,
        outcome: &'static str,
        is_second: bool,
        start_ms: u64,
        /// Where it ended; null while it runs.
        end_ms: Option<u64>,
    }
}

impl BarJson {
    pub(in crate::http) fn new(attempt: &AttemptDetails, from_ms: u64) -> Self {
        Self {
            stage: attempt.stage.0,
            partition: attempt.partition,
            attempt: attempt.attempt,
            outcome: attempt.outcome.name(),
            is_second: attempt.second,
            start_ms: attempt.launched_ms.saturating_sub(from_ms),
            end_ms: attempt.ended_ms.map(|end| end.saturating_sub(from_ms)),
        }
    }
}
