//! Running a commit off the event loop: record, move, publish, record again, and only then remove what is left.

use std::time::Duration;

use hearth_common::{FailureCause, LogLine};
use hearth_plan::WinnerRejects;
use hearth_scheduler::CommitOutcome;
use hearth_storage::CommitFs;

use super::services::{Services, guarded};
use crate::commit::{self, CommitError, CommitIntent};
use crate::event_loop::wall_ms;
use crate::input::{CommitEnd, Input};
use crate::job_logs::JobLogs;
use crate::recovery::{Aim, OpenCommit};
use crate::results::{ResultError, ResultOrder, fetch_and_store};
use crate::store::{Committed, Store};

/// How long the end of a job may wait for its staging to be removed.
const CLEAN_UP_PATIENCE: Duration = Duration::from_millis(200);

/// How a commit of files ended.
#[derive(Debug)]
enum End {
    /// Visible, and recorded as such; staging may go.
    Done,
    /// Visible, but the store does not know: the intent stays, and with it what a replay needs.
    Unrecorded,
    /// Nothing is visible.
    Failed(FailureCause),
    /// It failed, and the destination could not be brought back yet: staging holds what is missing there.
    Stuck(FailureCause, Option<Box<CommitIntent>>),
}

/// What is to be committed.
#[derive(Debug, Clone)]
pub(crate) struct CommitOrder {
    pub intent: CommitIntent,
    /// The rejects of the winners; they are not part of the intent yet.
    pub rejects: Vec<WinnerRejects>,
}

pub(super) async fn commit_output(services: &Services, order: CommitOrder) {
    let CommitOrder { intent, rejects } = order;
    let mut intent = intent.claimed();
    let job = intent.job;
    let Ok(staging) = intent.staging() else { return };
    let storage = services.storage_for(job);
    let fs = storage.commit_fs(staging.destination());
    let (store, logs) = (services.store.clone(), services.logs.clone());
    let ended = guarded({
        let fs = storage.commit_fs(staging.destination());
        async move {
            if let Err(cause) = commit::add_rejects(&storage, &mut intent, rejects).await {
                return Ok((End::Failed(cause), intent.output()));
            }
            Ok((run(&*fs, (&store, &logs), &intent).await, intent.output()))
        }
    })
    .await
    // The intent is in the store, or nothing has happened yet: the next start settles it.
    .map_or_else(|cause| (End::Stuck(cause, None), None), |(end, output)| (end, Some(output)));
    let (end, output) = ended;
    let committed = output.map(Committed::Output);
    let is_done = matches!(end, End::Done);
    let (outcome, committed, keeps_staging, open) = match end {
        End::Done | End::Unrecorded => (CommitOutcome::Done, committed, true, None),
        End::Failed(cause) => (CommitOutcome::Failed { cause }, None, false, None),
        End::Stuck(cause, intent) => {
            let open = intent.map(|intent| Box::new(OpenCommit { intent: *intent, aim: Aim::TakeBack }));
            (CommitOutcome::Failed { cause }, None, true, open)
        }
    };
    if is_done {
        let cleaning = services.tasks.spawn(async move {
            if let Err(error) = commit::clean_up(&*fs, &staging).await {
                tracing::warn!(%job, %error, "output is visible, but its staging could not be removed");
            }
        });
        // Usually there is nothing left when the job is told done; a large old output is removed behind its back.
        let _ = tokio::time::timeout(CLEAN_UP_PATIENCE, cleaning).await;
    }
    let answer = CommitEnd { job, outcome, committed, keeps_staging, open };
    let _ = services.inputs.send(Input::CommitEnded(answer)).await;
}

/// Adds a step to the job's log.
fn narrate(logs: &JobLogs, intent: &CommitIntent, step: &str) {
    let line = LogLine::new(wall_ms(), intent.job, step).with("output", &intent.destination);
    if logs.append(vec![line]).is_err() {
        tracing::debug!(job = %intent.job, step, "no room in the job's log");
    }
}

async fn run(fs: &dyn CommitFs, (store, logs): (&Store, &JobLogs), intent: &CommitIntent) -> End {
    if let Err(error) = commit::begin(fs, intent).await {
        return End::Failed(error.into_cause());
    }
    if let Err(error) = store.record_intent(intent).await {
        return End::Failed(FailureCause::internal(format!("could not record the commit: {error}")));
    }
    narrate(logs, intent, "commit recorded; files are moved into place");
    if let Err(error) = commit::roll_forward(fs, intent).await {
        narrate(logs, intent, "commit failed, and is taken back");
        return give_up(fs, store, intent, error).await;
    }
    narrate(logs, intent, "output published");
    match store.record_committed(intent.job, &Committed::Output(intent.output())).await {
        Ok(()) => End::Done,
        Err(error) => {
            tracing::error!(job = %intent.job, %error, "output is visible, but could not be recorded");
            End::Unrecorded
        }
    }
}

/// What failed may have become visible with nobody hearing of it: it is claimed anew before anybody looks.
async fn give_up(fs: &dyn CommitFs, store: &Store, intent: &CommitIntent, error: CommitError) -> End {
    let (job, intent) = (intent.job, intent.clone().claimed());
    let stuck = |error: CommitError, intent| End::Stuck(error.into_cause(), Some(Box::new(intent)));
    if let Err(record) = store.record_intent(&intent).await {
        tracing::error!(%job, error = %record, "commit failed, and the store does not take that it is taken back");
        return stuck(error, intent);
    }
    if let Err(rollback) = commit::roll_back(fs, &intent).await {
        tracing::error!(%job, error = %rollback, "commit failed, and is taken back as soon as its storage lets it");
        return stuck(error, intent);
    }
    match store.withdraw_intent(job).await {
        Ok(()) => {
            discard(fs, &intent).await;
            End::Failed(error.into_cause())
        }
        Err(record) => {
            tracing::error!(%job, error = %record, "commit failed and could not be withdrawn from the store");
            stuck(error, intent)
        }
    }
}

/// The job's end removes what it knows of: the staging as it was before it was claimed.
async fn discard(fs: &dyn CommitFs, intent: &CommitIntent) {
    let removed = match intent.staging() {
        Ok(staging) => commit::clean_up(fs, &staging).await,
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        tracing::warn!(job = %intent.job, %error, "could not remove a staging directory");
    }
}

pub(super) async fn commit_result(services: &Services, order: ResultOrder) -> CommitEnd {
    let (job, attempt, worker) = (order.attempt.task.job, order.attempt, order.worker);
    let (store, tenure) = (services.store.clone(), services.tenure.clone());
    let stored = guarded(async move {
        match fetch_and_store(order, tenure).await {
            Ok(()) => {}
            Err(ResultError::Failed(cause)) => return Err(cause),
            Err(lost @ ResultError::Lost { .. }) => {
                tracing::warn!(%job, error = %lost, "result was lost and is made again");
                return Ok(CommitOutcome::LostResult { attempt, worker });
            }
        }
        let recorded = store.record_committed(job, &Committed::Result).await;
        recorded.map_err(|error| FailureCause::internal(format!("could not record the result: {error}")))?;
        Ok(CommitOutcome::Done)
    });
    let outcome = stored.await.unwrap_or_else(|cause| CommitOutcome::Failed { cause });
    let committed = (outcome == CommitOutcome::Done).then_some(Committed::Result);
    CommitEnd { job, outcome, committed, keeps_staging: false, open: None }
}
