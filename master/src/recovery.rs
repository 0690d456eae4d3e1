//! What a master does about the jobs of the one before it: commits that were begun are carried through, and all others go on.
//! It runs before anything is listened to.

use std::sync::Arc;
use std::time::Duration;

use hearth_common::{
    AttemptCounts, AttemptMetrics, ENGINE_VERSION, FailureCause, InputRecords, InputStatus, JobState, JobStatus,
    LocalityCounts, StateChange,
};
use hearth_storage::Storage;

use crate::commit::{self, CommitError, CommitIntent, Staging};
use crate::event_loop::{KeptJob, Resumed, ResumedJob, ResumedPlan, wall_ms};
use crate::store::record::{self, StoredPlan};
use crate::store::{AcceptedJob, Committed, Store, StoreError, Stored, StoredJob};

/// How long the start waits for the staging of one job to be removed.
const DISCARD_PATIENCE: Duration = Duration::from_millis(500);

/// What a master starts with.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Jobs that have ended, in that order.
    pub history: Vec<KeptJob>,
    /// Those of them that this start ended: nobody has told their traces yet.
    pub settled: Vec<Arc<JobStatus>>,
    /// Everything else.
    pub resumed: Resumed,
}

/// What becomes of a job.
enum Fate {
    /// It had ended, or its end is left to the next start.
    Ended(Box<JobStatus>),
    /// It ended now.
    Settled(Box<JobStatus>),
    GoesOn(Option<Box<ResumedPlan>>),
}

/// Settles every job in the store, oldest first.
pub(crate) async fn recover(store: &Store, storage: &Storage, stored: Stored) -> Result<Recovered, StoreError> {
    let Stored { jobs, workers, keys } = stored;
    let (mut history, mut settled) = (Vec::with_capacity(jobs.len()), Vec::new());
    let mut resumed = Resumed { workers, keys, jobs: Vec::new() };
    for mut job in jobs {
        let plan = job.plan.take();
        let status = match settle(store, storage, &job, plan).await? {
            Fate::GoesOn(plan) => {
                resumed.jobs.push(ResumedJob { accepted: job.accepted, plan: plan.map(|plan| *plan) });
                continue;
            }
            Fate::Settled(status) => {
                settled.push(Arc::new((*status).clone()));
                status
            }
            Fate::Ended(status) => status,
        };
        let StoredJob { accepted, .. } = job;
        let hash = AcceptedJob::hash_of(&accepted.spec);
        history.push(KeptJob { hash, key: accepted.key, status: *status });
    }
    history.sort_by_key(|kept| kept.status.finished_ms);
    Ok(Recovered { history, settled, resumed })
}

async fn settle(
    store: &Store,
    storage: &Storage,
    job: &StoredJob,
    plan: Option<StoredPlan>,
) -> Result<Fate, StoreError> {
    let StoredJob { accepted, intent, committed, ended, .. } = job;
    let status = match (ended, committed, intent) {
        (Some(status), _, None) => return Ok(Fate::Ended(Box::new(status.clone()))),
        (Some(status), _, Some(intent)) => {
            settle_leftover(store, storage, (status, intent)).await?;
            return Ok(Fate::Ended(Box::new(status.clone())));
        }
        (None, Some(committed), _) => done(job, committed.clone()),
        (None, None, Some(intent)) => match carry_through(store, storage, (job, intent)).await? {
            Carried::Settled(status) => *status,
            Carried::Later(status) => return Ok(Fate::Ended(status)),
        },
        (None, None, None) => match go_on(store, accepted, plan).await? {
            Ok(plan) => return Ok(Fate::GoesOn(plan.map(Box::new))),
            Err(cause) => failed(job, cause),
        },
    };
    tracing::info!(job = %status.id, state = status.state.name(), "settled a job of the master before");
    store.record_end(&status).await?;
    discard(storage, accepted).await;
    Ok(Fate::Settled(Box::new(status)))
}

/// What there is to go on with. A plan of another version is of no use: where nothing came of it yet, there is a new one.
async fn go_on(
    store: &Store,
    accepted: &AcceptedJob,
    plan: Option<StoredPlan>,
) -> Result<Result<Option<ResumedPlan>, FailureCause>, StoreError> {
    let Some(StoredPlan { record, programs, facts, stages, tasks, reports }) = plan else { return Ok(Ok(None)) };
    let version = record.engine_version.clone();
    if version != ENGINE_VERSION && tasks.is_empty() {
        store.write(record::going_on(accepted.id).collect()).await?;
        return Ok(Ok(None));
    }
    if version != ENGINE_VERSION {
        return Ok(Err(FailureCause::internal(format!(
            "the job ran under hearth {version}, and hearth {ENGINE_VERSION} cannot go on with that; submit it again (jobs \
             should have ended before the master is upgraded)"
        ))));
    }
    let started_ms = record.started_ms;
    match record.into_plan(programs) {
        Ok(planned) => Ok(Ok(Some(ResumedPlan { planned, started_ms, facts, stages, tasks, reports }))),
        Err(problem) => Err(StoreError::Damaged { what: "plans", key: accepted.id.to_string(), problem }),
    }
}

/// Whether a commit could be settled now.
enum Carried {
    /// It could: the status is final.
    Settled(Box<JobStatus>),
    /// The storage does not answer: shown as failed, and tried again at the next start.
    Later(Box<JobStatus>),
}

async fn carry_through(
    store: &Store,
    storage: &Storage,
    (job, intent): (&StoredJob, &CommitIntent),
) -> Result<Carried, StoreError> {
    let id = job.accepted.id;
    let settled = |status| Ok(Carried::Settled(Box::new(status)));
    let Some(fs) = intent.staging().ok().map(|staging| storage.commit_fs(staging.destination())) else {
        return settled(failed(job, FailureCause::internal("the recorded output is not a path")));
    };
    // The master before may live on, if this state is a copy of its own: it must find nothing any more where it left it.
    let intent = &intent.clone().claimed();
    store.record_intent(intent).await?;
    let error = match commit::roll_forward(&*fs, intent).await {
        Ok(()) => {
            let committed = Committed::Output(intent.output());
            store.record_committed(id, &committed).await?;
            let mut status = done(job, committed);
            if status.inputs.is_empty() {
                let of_input =
                    |records: &InputRecords| InputStatus { records: records.clone(), first_rejects: Vec::new() };
                status.inputs = intent.inputs.iter().map(of_input).collect();
            }
            return settled(status);
        }
        Err(error) => error,
    };
    tracing::error!(job = %id, %error, "could not carry a commit through");
    if error.may_pass() || commit::roll_back(&*fs, intent).await.is_err() {
        let text = format!("{error}; its commit is tried again when the master starts again");
        return Ok(Carried::Later(Box::new(failed(job, FailureCause::Storage { message: text }))));
    }
    store.withdraw_intent(id).await?;
    settled(failed(job, error.into_cause()))
}

/// A commit whose job was told its outcome, but whose traces could not be removed then.
async fn settle_leftover(
    store: &Store,
    storage: &Storage,
    (status, intent): (&JobStatus, &CommitIntent),
) -> Result<(), StoreError> {
    let Ok(staging) = intent.staging() else { return store.withdraw_intent(intent.job).await };
    let fs = storage.commit_fs(staging.destination());
    let settled: Result<(), CommitError> = async {
        if status.state != JobState::Done {
            commit::roll_back(&*fs, intent).await?;
        }
        commit::clean_up(&*fs, &staging).await
    }
    .await;
    match settled {
        Ok(()) => store.withdraw_intent(intent.job).await,
        Err(error) => {
            tracing::error!(job = %intent.job, %error, "could not remove the traces of a commit; tried again at the next start");
            Ok(())
        }
    }
}

/// Removes the staging of a job that is settled. A storage that does not answer is waited for behind the start's back.
async fn discard(storage: &Storage, accepted: &AcceptedJob) {
    let (storage, accepted) = (storage.clone(), accepted.clone());
    let discarding = tokio::spawn(async move { discard_now(&storage, &accepted).await });
    let _ = tokio::time::timeout(DISCARD_PATIENCE, discarding).await;
}

async fn discard_now(storage: &Storage, accepted: &AcceptedJob) {
    let Some(output) = &accepted.spec.output else { return };
    let removed = match Staging::of(accepted.id, &output.path) {
        Ok(staging) => commit::fence(&*storage.commit_fs(staging.destination()), &staging).await,
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        tracing::warn!(job = %accepted.id, %error, "could not remove a staging directory");
    }
}

fn done(job: &StoredJob, committed: Committed) -> JobStatus {
    let (output, has_result) = match committed {
        Committed::Output(output) => (Some(output), false),
        Committed::Result => (None, true),
    };
    JobStatus { output, has_result, ..ended(job, JobState::Done) }
}

fn failed(job: &StoredJob, cause: FailureCause) -> JobStatus {
    JobStatus { failure: Some(cause), ..ended(job, JobState::Failed) }
}

/// As the master before would have told it, if its commit had begun.
fn ended(job: &StoredJob, state: JobState) -> JobStatus {
    let since_ms = wall_ms();
    let finished_ms = Some(since_ms);
    if let Some(closing) = &job.closing {
        let mut status = JobStatus { state, finished_ms, ..closing.clone() };
        if let Some(details) = &mut status.details {
            details.states.push(StateChange { state, since_ms });
            // The attempts were known to the master before alone.
            details.attempts_left_out = status.attempts.launched;
            if state != JobState::Done {
                details.output_files.clear();
            }
        }
        return status;
    }
    let accepted = &job.accepted;
    JobStatus {
        id: accepted.id,
        name: accepted.spec.name.clone(),
        state,
        waiting_for: None,
        submitted_ms: accepted.submitted_ms,
        started_ms: None,
        finished_ms,
        failure: None,
        stages: Vec::new(),
        metrics: AttemptMetrics::default(),
        output: None,
        has_result: false,
        attempts: AttemptCounts::default(),
        query: accepted.spec.query.clone(),
        inputs: Vec::new(),
        inferred: Vec::new(),
        locality: LocalityCounts::default(),
        details: None,
    }
}

/// Ends a job that a stop interrupts, where no other master is to go on with it, so that nothing of it stays behind.
pub(crate) async fn end_interrupted(
    (store, storage): (&Store, &Storage),
    status: &JobStatus,
    staging: Option<Staging>,
) {
    let cause = FailureCause::internal("the master was stopped while the job ran; submit it again");
    let status = JobStatus {
        state: JobState::Failed,
        waiting_for: None,
        finished_ms: Some(wall_ms()),
        failure: Some(cause),
        ..status.clone()
    };
    if let Err(error) = store.record_end(&status).await {
        tracing::error!(job = %status.id, %error, "could not record the end of a job");
    }
    if let Some(staging) = staging
        && let Err(error) = commit::clean_up(&*storage.commit_fs(staging.destination()), &staging).await
    {
        tracing::warn!(job = %status.id, %error, "could not remove a staging directory");
    }
}

#[cfg(test)]
mod tests;
