//! Jobs, their stages and tasks as JSON.

use hearth_common::{
    AttemptCounts, AttemptMetrics, FailureCause, InputStatus, JobStatus, LocalityCounts, OutputStatus, Place,
    StageStatus,
};

use super::details::DetailsJson;
use super::time;
use crate::event_loop::wall_ms;
use crate::http::described::described;
use crate::input::TaskPage;
use crate::snapshot::JobAccount;

described! {
    /// A page of jobs, newest first.
    pub(in crate::http) struct JobsJson {
        pub(in crate::http) jobs: Vec<JobJson>,
        /// What to pass as `page_token` for the next page; null on the last one.
        pub(in crate::http) next_page_token: Option<String>,
    }
}

described! {
    /// A job.
    pub(in crate::http) struct JobJson {
        pub(in crate::http) id: String,
        name: String,
        /// queued, planning, running, committing, done, failed or cancelled.
        state: &'static str,
        /// What keeps it from going on, for people.
        waiting_for: Option<String>,
        submitted_at: String,
        started_at: Option<String>,
        finished_at: Option<String>,
        /// From its start to its end, or to now.
        duration_ms: Option<u64>,
        /// About how long it will still run; null where nobody can tell.
        time_left_ms: Option<u64>,
        progress: ProgressJson,
        failure: Option<FailureJson>,
        metrics: MetricsJson,
        output: Option<OutputJson>,
        /// Its rows can be fetched with `hearth fetch`.
        has_result: bool,
        attempts: CountsJson,
        locality: LocalityJson,
        /// Its SQL; left out in events.
        #[serde(skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// What became of the records of its inputs; empty until its tasks are done.
        inputs: Vec<InputJson>,
        /// Left out in lists.
        #[serde(skip_serializing_if = "Option::is_none")]
        stages: Option<Vec<StageJson>>,
        /// Left out in lists, and null for jobs that ended long ago.
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<DetailsJson>,
    }
}

described! {
    /// The tasks of all stages whose number is known.
    struct ProgressJson {
        stages: u64,
        stages_done: u64,
        tasks: u64,
        tasks_done: u64,
        tasks_running: u64,
    }
}

described! {
    /// A failure: its typed cause, and the text for people.
    struct FailureJson {
        /// task, lost_shuffle_output, out_of_memory, disk_full, storage, internal, worker_lost, poison, no_workers,
        /// deadline_passed or cancelled.
        cause: &'static str,
        message: String,
        /// Where in the input, when it is known.
        place: Option<PlaceJson>,
    }
}

described! {
    /// Where in the input a record is.
    pub(super) struct PlaceJson {
        file: String,
        /// Physical line, from 1.
        line: Option<u64>,
        /// Byte offset of the record, from 0.
        byte: Option<u64>,
        column: Option<String>,
    }
}

described! {
    /// Figures of attempts, added up.
    pub(super) struct MetricsJson {
        input_rows: u64,
        input_bytes: u64,
        shuffle_read_rows: u64,
        /// From the worker's own disk.
        shuffle_local_bytes: u64,
        /// From other workers.
        shuffle_remote_bytes: u64,
        output_rows: u64,
        output_bytes: u64,
        spilled_bytes: u64,
        /// Wall time of the attempts, added up.
        elapsed_ms: u64,
    }
}

described! {
    /// A committed output.
    struct OutputJson {
        path: String,
        files: u64,
        rows: u64,
        bytes: u64,
        /// The file with the rejects.
        rejects: Option<String>,
    }
}

described! {
    /// What became of the attempts of a job.
    struct CountsJson {
        launched: u64,
        lost: u64,
        failed: u64,
        /// Launched beside a slow attempt of the same task.
        second: u64,
        second_won: u64,
    }
}

described! {
    /// Where attempts were launched whose tasks prefer some hosts.
    struct LocalityJson {
        local: u64,
        remote: u64,
    }
}

described! {
    /// What became of the records of an input: `records = used + rejected`.
    struct InputJson {
        input: String,
        records: u64,
        used: u64,
        rejected: u64,
        first_rejects: Vec<RejectJson>,
    }
}

described! {
    /// A record that could not be read.
    struct RejectJson {
        place: PlaceJson,
        reason: String,
    }
}

described! {
    /// A stage.
    struct StageJson {
        id: u32,
        label: String,
        /// 0 before it is known.
        tasks: u32,
        tasks_done: u32,
        tasks_running: u32,
        metrics: MetricsJson,
        /// The stages it reads.
        inputs: Vec<u32>,
    }
}

described! {
    /// Some tasks of a stage.
    pub(in crate::http) struct TasksJson {
        tasks: Vec<TaskJson>,
        /// Number of tasks of the stage; 0 before it is known.
        total: usize,
        /// First partition of the next page; null on the last one.
        next: Option<u32>,
    }
}

described! {
    /// A task.
    struct TaskJson {
        partition: u32,
        /// waiting, backing_off, running, unproved or done.
        state: &'static str,
        /// Attempts launched so far.
        attempts: u32,
        /// The attempt that runs or won.
        attempt: Option<u32>,
        /// The worker it is on.
        worker: Option<String>,
    }
}

/// How much of a job is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Detail {
    /// As in lists.
    Listed,
    /// As in events about lists: without what does not change.
    Event,
    /// Everything.
    Full,
    /// As in events about this job.
    FullEvent,
}

impl JobJson {
    pub(in crate::http) fn new(account: &JobAccount, detail: Detail) -> Self {
        let job = &account.status;
        let now_ms = wall_ms();
        let until = job.finished_ms.unwrap_or(now_ms);
        let is_full = matches!(detail, Detail::Full | Detail::FullEvent);
        let is_event = matches!(detail, Detail::Event | Detail::FullEvent);
        let progress = ProgressJson::of(&job.stages);
        Self {
            id: job.id.to_string(),
            name: job.name.clone(),
            state: job.state.name(),
            waiting_for: job.waiting_for.clone(),
            submitted_at: time(job.submitted_ms),
            started_at: job.started_ms.map(time),
            finished_at: job.finished_ms.map(time),
            duration_ms: job.started_ms.map(|started| until.saturating_sub(started)),
            time_left_ms: time_left(job, &progress, now_ms),
            progress,
            failure: job.failure.as_ref().map(FailureJson::new),
            metrics: job.metrics.into(),
            output: job.output.as_ref().map(OutputJson::new),
            has_result: job.has_result,
            attempts: job.attempts.into(),
            locality: job.locality.into(),
            query: (!is_event).then(|| job.query.clone()),
            inputs: job.inputs.iter().map(InputJson::new).collect(),
            stages: is_full.then(|| job.stages.iter().map(StageJson::new).collect()),
            details: if is_full { account.details().map(DetailsJson::new) } else { None },
        }
    }
}

/// From the share of tasks that are done. Only where that share tells something: not before a twentieth is done, and not
/// before the number of tasks of every stage is known.
fn time_left(job: &JobStatus, progress: &ProgressJson, now_ms: u64) -> Option<u64> {
    let started = job.started_ms.filter(|_| job.finished_ms.is_none())?;
    let is_known = job.stages.iter().all(|stage| stage.tasks > 0);
    if !is_known || progress.tasks_done == 0 || progress.tasks_done * 20 < progress.tasks {
        return None;
    }
    let elapsed = now_ms.saturating_sub(started);
    Some(elapsed.saturating_mul(progress.tasks - progress.tasks_done) / progress.tasks_done)
}

impl ProgressJson {
    fn of(stages: &[StageStatus]) -> Self {
        let sum = |value: fn(&StageStatus) -> u32| stages.iter().map(|stage| u64::from(value(stage))).sum();
        let is_done = |stage: &&StageStatus| stage.tasks > 0 && stage.tasks == stage.tasks_done;
        Self {
            stages: stages.len() as u64,
            stages_done: stages.iter().filter(is_done).count() as u64,
            tasks: sum(|stage| stage.tasks),
            tasks_done: sum(|stage| stage.tasks_done),
            tasks_running: sum(|stage| stage.tasks_running),
        }
    }
}

impl FailureJson {
    fn new(cause: &FailureCause) -> Self {
        let place = if let FailureCause::Task { place, .. } = cause { place.as_ref() } else { None };
        Self { cause: cause.name(), message: cause.to_string(), place: place.map(PlaceJson::new) }
    }
}

impl PlaceJson {
    fn new(place: &Place) -> Self {
        let Place { file, line, byte, column } = place.clone();
        Self { file, line, byte, column }
    }
}

impl From<AttemptMetrics> for MetricsJson {
    fn from(metrics: AttemptMetrics) -> Self {
        let AttemptMetrics {
            input_rows,
            input_bytes,
            shuffle_read_rows,
            shuffle_local_bytes,
            shuffle_remote_bytes,
            output_rows,
            output_bytes,
            spilled_bytes,
            elapsed_ms,
        } = metrics;
        Self {
            input_rows,
            input_bytes,
            shuffle_read_rows,
            shuffle_local_bytes,
            shuffle_remote_bytes,
            output_rows,
            output_bytes,
            spilled_bytes,
            elapsed_ms,
        }
    }
}

impl OutputJson {
    fn new(output: &OutputStatus) -> Self {
        let OutputStatus { path, files, rows, bytes, rejects } = output.clone();
        Self { path, files, rows, bytes, rejects }
    }
}

impl From<AttemptCounts> for CountsJson {
    fn from(counts: AttemptCounts) -> Self {
        let AttemptCounts { launched, lost, failed, second, second_won } = counts;
        Self { launched, lost, failed, second, second_won }
    }
}

impl From<LocalityCounts> for LocalityJson {
    fn from(counts: LocalityCounts) -> Self {
        let LocalityCounts { local, remote } = counts;
        Self { local, remote }
    }
}

impl InputJson {
    fn new(status: &InputStatus) -> Self {
        let InputStatus { records, first_rejects } = status;
        let reject = |reject: &hearth_common::Reject| RejectJson {
            place: PlaceJson::new(&reject.place),
            reason: reject.reason.clone(),
        };
        Self {
            input: records.input.clone(),
            records: records.records,
            used: records.used,
            rejected: records.rejected,
            first_rejects: first_rejects.iter().map(reject).collect(),
        }
    }
}

impl StageJson {
    fn new(stage: &StageStatus) -> Self {
        Self {
            id: stage.id.0,
            label: stage.label.clone(),
            tasks: stage.tasks,
            tasks_done: stage.tasks_done,
            tasks_running: stage.tasks_running,
            metrics: stage.metrics.into(),
            inputs: stage.inputs.iter().map(|input| input.0).collect(),
        }
    }
}

impl From<TaskPage> for TasksJson {
    fn from(page: TaskPage) -> Self {
        let tasks = page.tasks.into_iter().map(|task| TaskJson {
            partition: task.partition,
            state: task.state,
            attempts: task.attempts,
            attempt: task.attempt,
            worker: task.worker.map(|worker| worker.to_string()),
        });
        Self { tasks: tasks.collect(), total: page.total, next: page.next }
    }
}
