//! The records of the store and their encoding (JSON, so that a person can read them in an emergency).

use hearth_common::{
    AttemptId, AttemptMetrics, AttemptRecords, JobId, JobSpec, JobStatus, OperatorRun, OutputFile, OutputStatus,
    StageId, TaskId, WorkerId, WorkerStatus,
};
use hearth_scheduler::{Changes, JobFacts, StageFacts, TaskFacts};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::StoreError;
use super::file::{Table, Write};
use crate::commit::CommitIntent;
use crate::planner::{PlanRecord, PlannedJob};

/// A job as it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AcceptedJob {
    /// Its id.
    pub id: JobId,
    /// The idempotency key of its submission.
    pub key: Option<String>,
    /// What was asked for.
    pub spec: JobSpec,
    /// When it was accepted, in milliseconds since 1970.
    pub submitted_ms: u64,
}

impl AcceptedJob {
    /// Hash of a job, by which a repeated submission is told from another job under the same key.
    pub(crate) fn hash_of(spec: &JobSpec) -> u128 {
        xxh3_128(&serde_json::to_vec(spec).unwrap_or_default())
    }
}

/// What a commit made visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Committed {
    /// An output directory.
    Output(OutputStatus),
    /// A result that can be fetched.
    Result,
}

/// What an attempt that counts has told, besides what the scheduler keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportRecord {
    /// Its rows, bytes and times.
    pub metrics: AttemptMetrics,
    /// What became of the records that it read.
    pub records: AttemptRecords,
    /// The output files that it left; empty for a shuffle output.
    pub files: Vec<OutputFile>,
    /// What the operators of its plan did.
    #[serde(default)]
    pub operators: Vec<OperatorRun>,
}

/// A worker as it said hello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerRecord {
    /// Its status; what changes with every heartbeat is not kept up to date.
    pub status: WorkerStatus,
    /// Further names of its host.
    pub names: Vec<String>,
}

/// An idempotency key whose job history has forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyRecord {
    /// The job.
    pub job: JobId,
    /// Hash of its spec.
    pub hash: u128,
    /// When it was submitted, in milliseconds since 1970.
    pub submitted_ms: u64,
}

/// Everything the store knows of a job.
#[derive(Debug, Clone)]
pub(crate) struct StoredJob {
    /// As it was accepted.
    pub accepted: AcceptedJob,
    /// A commit that was begun and not ended.
    pub intent: Option<CommitIntent>,
    /// A commit that is through.
    pub committed: Option<Committed>,
    /// Its final state.
    pub ended: Option<JobStatus>,
    /// The state with which it ends if the commit that was begun gets through.
    pub closing: Option<JobStatus>,
    /// How far it had come, if it was planned.
    pub plan: Option<StoredPlan>,
}

/// A plan, and how far it had come.
#[derive(Debug, Clone)]
pub(crate) struct StoredPlan {
    /// The plan.
    pub record: PlanRecord,
    /// The programs of its stages, by id, as far as they are there.
    pub programs: Vec<Option<Vec<u8>>>,
    /// About the job.
    pub facts: JobFacts,
    /// About its stages.
    pub stages: Vec<(StageId, StageFacts)>,
    /// About its tasks.
    pub tasks: Vec<((StageId, u32), TaskFacts)>,
    /// What attempts told that count.
    pub reports: Vec<(AttemptId, ReportRecord)>,
}

/// Everything in the store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    /// Oldest first.
    pub jobs: Vec<StoredJob>,
    /// Workers that may come back.
    pub workers: Vec<WorkerRecord>,
    /// Idempotency keys of jobs that are not among these.
    pub keys: Vec<(String, KeyRecord)>,
}

/// The key of records about a stage. Numbers have all their digits, so that keys sort as numbers do.
pub(super) fn stage_key(job: JobId, stage: StageId) -> String {
    format!("{job}/{:010}", stage.0)
}

pub(super) fn task_key(TaskId { job, stage, partition }: TaskId) -> String {
    format!("{}/{partition:010}", stage_key(job, stage))
}

pub(super) fn attempt_key(AttemptId { task, attempt }: AttemptId) -> String {
    format!("{}/{attempt:010}", task_key(task))
}

pub(super) fn put(table: Table, key: String, record: &impl Serialize) -> Result<Write, StoreError> {
    let value = serde_json::to_vec(record)
        .map_err(|error| StoreError::Io { action: "encode a record for", message: error.to_string() })?;
    Ok(Write::Put { table, key, value })
}

pub(super) fn remove(table: Table, job: JobId) -> Write {
    Write::Remove { table, key: job.to_string() }
}

/// A plan, before any of its tasks runs.
pub(crate) fn plan(job: JobId, planned: &PlannedJob, started_ms: u64) -> Result<Vec<Write>, StoreError> {
    let mut writes = vec![put(Table::Plans, job.to_string(), &PlanRecord::of(planned, started_ms))?];
    let program = |(id, stage): (u32, &crate::planner::PlannedStage)| Write::Put {
        table: Table::Programs,
        key: stage_key(job, StageId(id)),
        value: stage.program.to_vec(),
    };
    writes.extend((0..).zip(&planned.stages).map(program));
    Ok(writes)
}

/// Facts of the scheduler, before their effects happen.
pub(crate) fn changes(changes: &Changes) -> Result<Vec<Write>, StoreError> {
    let jobs = changes.jobs.iter().map(|(job, facts)| put(Table::JobFacts, job.to_string(), facts));
    let stages =
        changes.stages.iter().map(|(job, stage, facts)| put(Table::StageFacts, stage_key(*job, *stage), facts));
    let tasks = changes.tasks.iter().map(|(task, facts)| put(Table::TaskFacts, task_key(*task), facts));
    let lost = |worker: &WorkerId| Ok(Write::Remove { table: Table::Workers, key: worker.to_string() });
    jobs.chain(stages).chain(tasks).chain(changes.lost_workers.iter().map(lost)).collect()
}

/// What an attempt told, before the report is acknowledged.
pub(crate) fn report(attempt: AttemptId, record: &ReportRecord) -> Result<Write, StoreError> {
    put(Table::Reports, attempt_key(attempt), record)
}

/// How a job ends if its commit gets through, before the commit begins.
pub(crate) fn closing(status: &JobStatus) -> Result<Write, StoreError> {
    put(Table::Closing, status.id.to_string(), status)
}

/// A worker that said hello, before anything is launched on it.
pub(crate) fn worker(record: &WorkerRecord) -> Result<Write, StoreError> {
    put(Table::Workers, record.status.id.to_string(), record)
}

/// The end of a job, before anybody hears of it; what was kept for going on with it goes.
pub(crate) fn end(status: &JobStatus) -> Result<Vec<Write>, StoreError> {
    let mut writes = vec![put(Table::Ended, status.id.to_string(), status)?];
    writes.extend(going_on(status.id));
    Ok(writes)
}

/// Removes what is kept for going on with a job.
pub(crate) fn going_on(job: JobId) -> impl Iterator<Item = Write> {
    Table::OF_ACTIVE.into_iter().map(move |table| Write::RemoveAll { table, key: job.to_string() })
}

/// Removes everything about jobs that history no longer keeps; their keys may be kept for longer.
pub(crate) fn forget(jobs: &[JobId]) -> Vec<Write> {
    jobs.iter().flat_map(|job| Table::OF_JOBS.map(|table| remove(table, *job))).collect()
}

/// Keeps an idempotency key beyond its job.
pub(crate) fn key(key: String, record: &KeyRecord) -> Result<Write, StoreError> {
    put(Table::Keys, key, record)
}

/// Forgets an idempotency key.
pub(crate) fn drop_key(key: String) -> Write {
    Write::Remove { table: Table::Keys, key }
}
