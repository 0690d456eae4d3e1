//! Following one job: its status now, then whenever it changed, the last one at once. A slow reader skips states, never the end.

use std::sync::Arc;
use std::time::Duration;

use hearth_common::{JobId, JobStatus};
use hearth_proto::wire;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::Status;

use crate::snapshot::Snapshot;

/// Shortest time between two states of a job that has not ended.
const EVERY: Duration = Duration::from_millis(100);

/// Sends a job's states until it ended or nobody listens.
pub(super) async fn send_states(
    job: JobId,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    states: mpsc::Sender<Result<wire::Job, Status>>,
) {
    let mut last: Option<Arc<JobStatus>> = None;
    let mut next_at = Instant::now();
    loop {
        let status = snapshots.borrow_and_update().job(job).cloned();
        let Some(status) = status else {
            let _ = states.send(Err(super::job_service::unknown(job))).await;
            return;
        };
        let is_final = status.state.is_final();
        let is_new = last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &status));
        if is_new && (is_final || next_at <= Instant::now()) {
            if states.send(Ok(wire::Job::from((*status).clone()))).await.is_err() || is_final {
                return;
            }
            next_at = Instant::now() + EVERY;
            last = Some(status);
        } else if is_new {
            tokio::select! {
                () = tokio::time::sleep_until(next_at) => continue,
                changed = snapshots.changed() => if changed.is_err() { return },
            }
            continue;
        }
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() { return },
            () = states.closed() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_common::JobState;

    use super::*;
    use crate::snapshot::tests::snapshot;

    #[tokio::test]
    async fn the_end_comes_at_once_and_states_between_may_be_skipped() {
        let job = JobId::from_u128(1);
        let (sender, receiver) = watch::channel(Arc::new(snapshot(&[(1, JobState::Queued)])));
        let (states, mut received) = mpsc::channel(4);
        let sending = tokio::spawn(send_states(job, receiver, states));
        let state =
            |answer: Option<Result<wire::Job, Status>>| JobStatus::try_from(answer.unwrap().unwrap()).unwrap().state;
        assert_eq!(state(received.recv().await), JobState::Queued);
        let started = Instant::now();
        sender.send_replace(Arc::new(snapshot(&[(1, JobState::Running)])));
        assert_eq!(state(received.recv().await), JobState::Running);
        assert!(started.elapsed() >= EVERY, "states are not sent more often than that");
        sender.send_replace(Arc::new(snapshot(&[(1, JobState::Done)])));
        assert_eq!(state(received.recv().await), JobState::Done);
        assert!(received.recv().await.is_none());
        sending.await.unwrap();
    }

    #[tokio::test]
    async fn an_unknown_job_is_not_found() {
        let (_sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
        let (states, mut received) = mpsc::channel(4);
        send_states(JobId::from_u128(1), receiver, states).await;
        assert_eq!(received.recv().await.unwrap().unwrap_err().code(), tonic::Code::NotFound);
    }
}
