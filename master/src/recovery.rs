//! What a master does about the jobs of the one before it: commits that were begun are carried through, and all others go on.
//! It runs before anything is listened to, and waits for no storage longer than a few seconds.

mod open_commits;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hearth_common::{
    AttemptCounts, AttemptMetrics, ENGINE_VERSION, FailureCause, JobId, JobState, JobStatus, LocalityCounts,
    StateChange,
};
use hearth_storage::Storage;
use tokio::time::{Instant, timeout_at};

use crate::commit::{self, CommitIntent, Staging};
use crate::event_loop::{KeptJob, Resumed, ResumedCommit, ResumedJob, ResumedPlan, wall_ms};
use crate::store::record::{self, StoredPlan};
use crate::store::{AcceptedJob, Committed, Store, StoreError, Stored, StoredJob};

pub(crate) use open_commits::{Aim, OpenCommit, SettledCommit, Settler};

/// How long the start waits for the staging of one job to be removed.
const DISCARD_PATIENCE: Duration = Duration::from_millis(500);

/// How long the start waits for the end of commits that were begun; the others have it later.
const COMMITS_PATIENCE: Duration = Duration::from_secs(3);

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
    /// It had ended.
    Ended(Box<JobStatus>),
    /// It ended now.
    Settled(Box<JobStatus>),
    GoesOn(Option<Box<ResumedPlan>>),
    /// Its commit is carried through.
    Commits(CommitIntent),
    /// It was told ended, but its commit left something behind.
    Leaves(Box<JobStatus>, CommitIntent),
}

/// Settles every job in the store, oldest first. Commits whose storage does not answer at once have their end later.
pub(crate) async fn recover(settler: &Settler, stored: Stored) -> Result<Recovered, StoreError> {
    let Stored { jobs, workers, keys } = stored;
    let (mut history, mut settled) = (Vec::with_capacity(jobs.len()), Vec::new());
    let mut resumed = Resumed { workers, keys, ..Resumed::default() };
    let mut open = Vec::new();
    for mut job in jobs {
        let plan = job.plan.take();
        match settle(settler, &job, plan).await? {
            Fate::Ended(status) => history.push(kept(&job.accepted, *status)),
            Fate::Settled(status) => {
                settled.push(Arc::new((*status).clone()));
                history.push(kept(&job.accepted, *status));
            }
            Fate::GoesOn(plan) => {
                resumed.jobs.push(ResumedJob { accepted: job.accepted, plan: plan.map(|plan| *plan) });
            }
            Fate::Commits(intent) => open.push((OpenCommit { intent, aim: Aim::Publish(Box::new(job.clone())) }, job)),
            Fate::Leaves(status, intent) => {
                let aim = if status.state == JobState::Done { Aim::CleanUp } else { Aim::TakeBack };
                history.push(kept(&job.accepted, *status));
                open.push((OpenCommit { intent, aim }, job));
            }
        }
    }
    let (ended, commits) = settle_at_once(settler, open).await?;
    for (accepted, status) in ended {
        settled.push(Arc::new(status.clone()));
        history.push(kept(&accepted, status));
    }
    resumed.commits = commits;
    history.sort_by_key(|kept| kept.status.finished_ms);
    Ok(Recovered { history, settled, resumed })
}

/// Settles commits. Gives the jobs that ended with them, and the commits that have no end after a short while: they are settled
/// behind the start's back.
async fn settle_at_once(
    settler: &Settler,
    open: Vec<(OpenCommit, StoredJob)>,
) -> Result<(Vec<(AcceptedJob, JobStatus)>, Vec<ResumedCommit>), StoreError> {
    let mut jobs = Vec::new();
    let mut settled = settler.start(open.iter().map(|(commit, _)| commit.clone()).collect());
    let mut open: BTreeMap<JobId, _> =
        open.into_iter().map(|(commit, job)| (commit.intent.job, (commit, job))).collect();
    let deadline = Instant::now() + COMMITS_PATIENCE;
    while !open.is_empty() {
        let Ok(outcome) = timeout_at(deadline, settled.recv()).await else { break };
        let Some(SettledCommit { job, ended }) = outcome.transpose()? else { break };
        if let (Some((_, job)), Some(status)) = (open.remove(&job), ended) {
            jobs.push((job.accepted, *status));
        }
    }
    settler.pass_on(settled);
    let resumed = |(OpenCommit { intent, aim }, job): (OpenCommit, StoredJob)| {
        tracing::warn!(job = %intent.job, destination = intent.destination, "a commit of the master before is settled later");
        let job = matches!(aim, Aim::Publish(_)).then(|| (committing(&job), job.accepted));
        ResumedCommit { intent, job }
    };
    Ok((jobs, open.into_values().map(resumed).collect()))
}

fn kept(accepted: &AcceptedJob, status: JobStatus) -> KeptJob {
    KeptJob { hash: AcceptedJob::hash_of(&accepted.spec), key: accepted.key.clone(), status }
}

async fn settle(settler: &Settler, job: &StoredJob, plan: Option<StoredPlan>) -> Result<Fate, StoreError> {
    let store = &settler.store;
    let StoredJob { accepted, intent, committed, ended, .. } = job;
    let status = match (ended, committed, intent) {
        (Some(status), _, None) => return Ok(Fate::Ended(Box::new(status.clone()))),
        (Some(status), _, Some(intent)) => return Ok(Fate::Leaves(Box::new(status.clone()), intent.clone())),
        (None, Some(committed), _) => done(job, committed.clone()),
        (None, None, Some(intent)) => return Ok(Fate::Commits(intent.clone())),
        (None, None, None) => match go_on(store, accepted, plan).await? {
            Ok(plan) => return Ok(Fate::GoesOn(plan.map(Box::new))),
            Err(cause) => failed(job, cause),
        },
    };
    tracing::info!(job = %status.id, state = status.state.name(), "settled a job of the master before");
    store.record_end(&status).await?;
    discard(&settler.storage, accepted).await;
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

/// While its commit has no end.
fn committing(job: &StoredJob) -> JobStatus {
    JobStatus { finished_ms: None, output: None, has_result: false, ..ended(job, JobState::Committing) }
}

/// As the master before would have told it, if its commit had begun.
fn ended(job: &StoredJob, state: JobState) -> JobStatus {
    let since_ms = wall_ms();
    let finished_ms = Some(since_ms);
    if let Some(closing) = &job.closing {
        let mut status = JobStatus { state, finished_ms, ..closing.clone() };
        if let Some(details) = &mut status.details {
            if details.states.last().is_none_or(|last| last.state != state) {
                details.states.push(StateChange { state, since_ms });
            }
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
