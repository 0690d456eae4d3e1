//! What a master does about the jobs of the one before it: commits that were begun are carried through, jobs that ran are
//! ended with a cause that says so. It runs before anything is listened to.

use std::time::Duration;

use hearth_common::{
    AttemptCounts, AttemptMetrics, FailureCause, InputRecords, InputStatus, JobState, JobStatus, LocalityCounts,
};
use hearth_storage::Storage;

use crate::commit::{self, CommitError, CommitIntent, Staging};
use crate::event_loop::{KeptJob, wall_ms};
use crate::store::{AcceptedJob, Committed, Store, StoreError, StoredJob};

/// How long the start waits for the staging of one job to be removed.
const DISCARD_PATIENCE: Duration = Duration::from_millis(500);

/// Settles every job in the store, oldest first, and gives all of them as history.
pub(crate) async fn recover(
    store: &Store,
    storage: &Storage,
    jobs: Vec<StoredJob>,
) -> Result<Vec<KeptJob>, StoreError> {
    let mut history = Vec::with_capacity(jobs.len());
    for job in jobs {
        let status = settle(store, storage, &job).await?;
        let StoredJob { accepted, .. } = job;
        history.push(KeptJob { hash: AcceptedJob::hash_of(&accepted.spec), key: accepted.key, status });
    }
    history.sort_by_key(|kept| kept.status.finished_ms);
    Ok(history)
}

async fn settle(store: &Store, storage: &Storage, job: &StoredJob) -> Result<JobStatus, StoreError> {
    let StoredJob { accepted, intent, committed, ended } = job;
    let status = match (ended, committed, intent) {
        (Some(status), _, None) => return Ok(status.clone()),
        (Some(status), _, Some(intent)) => {
            settle_leftover(store, storage, (status, intent)).await?;
            return Ok(status.clone());
        }
        (None, Some(committed), _) => done(accepted, committed.clone()),
        (None, None, Some(intent)) => match carry_through(store, storage, (accepted, intent)).await? {
            Carried::Settled(status) => status,
            Carried::Later(status) => return Ok(status),
        },
        (None, None, None) => {
            failed(accepted, FailureCause::internal("the master restarted while the job ran; submit it again"))
        }
    };
    tracing::info!(job = %status.id, state = status.state.name(), "settled a job of the master before");
    store.record_end(&status).await?;
    discard(storage, accepted).await;
    Ok(status)
}

/// Whether a commit could be settled now.
enum Carried {
    /// It could: the status is final.
    Settled(JobStatus),
    /// The storage does not answer: shown as failed, and tried again at the next start.
    Later(JobStatus),
}

async fn carry_through(
    store: &Store,
    storage: &Storage,
    (accepted, intent): (&AcceptedJob, &CommitIntent),
) -> Result<Carried, StoreError> {
    let Some(fs) = intent.staging().ok().map(|staging| storage.commit_fs(staging.destination())) else {
        return Ok(Carried::Settled(failed(accepted, FailureCause::internal("the recorded output is not a path"))));
    };
    let error = match commit::roll_forward(&*fs, intent).await {
        Ok(()) => {
            let committed = Committed::Output(intent.output());
            store.record_committed(accepted.id, &committed).await?;
            let of_input = |records: &InputRecords| InputStatus { records: records.clone(), first_rejects: Vec::new() };
            let inputs = intent.inputs.iter().map(of_input).collect();
            return Ok(Carried::Settled(JobStatus { inputs, ..done(accepted, committed) }));
        }
        Err(error) => error,
    };
    tracing::error!(job = %accepted.id, %error, "could not carry a commit through");
    if error.may_pass() || commit::roll_back(&*fs, intent).await.is_err() {
        let text = format!("{error}; its commit is tried again when the master starts again");
        return Ok(Carried::Later(failed(accepted, FailureCause::Storage { message: text })));
    }
    store.withdraw_intent(accepted.id).await?;
    Ok(Carried::Settled(failed(accepted, error.into_cause())))
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
        Ok(staging) => commit::clean_up(&*storage.commit_fs(staging.destination()), &staging).await,
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        tracing::warn!(job = %accepted.id, %error, "could not remove a staging directory");
    }
}

fn done(accepted: &AcceptedJob, committed: Committed) -> JobStatus {
    let (output, has_result) = match committed {
        Committed::Output(output) => (Some(output), false),
        Committed::Result => (None, true),
    };
    JobStatus { state: JobState::Done, output, has_result, ..ended(accepted) }
}

fn failed(accepted: &AcceptedJob, cause: FailureCause) -> JobStatus {
    JobStatus { state: JobState::Failed, failure: Some(cause), ..ended(accepted) }
}

fn ended(accepted: &AcceptedJob) -> JobStatus {
    JobStatus {
        id: accepted.id,
        name: accepted.spec.name.clone(),
        state: JobState::Failed,
        waiting_for: None,
        submitted_ms: accepted.submitted_ms,
        started_ms: None,
        finished_ms: Some(wall_ms()),
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

/// Ends a job that a stop interrupts, as the next start would, so that nothing of it stays behind.
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
