//! What the event loop has done elsewhere: the store, and tasks whose outcome comes back as an input.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_common::{FailureCause, JobId};
use hearth_storage::Storage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::committing::CommitOrder;
use crate::commit::{self, Staging};
use crate::input::{Input, Planned};
use crate::job_logs::JobLogs;
use crate::metrics::Metrics;
use crate::planner::PlanRequest;
use crate::recovery::{OpenCommit, Settler};
use crate::results::{self, ResultOrder};
use crate::state_dir::result_file;
use crate::store::{AcceptedJob, Store, Write, record};
use crate::tenure::Tenure;
use crate::traces::Traces;

/// When staging that was removed is looked at again, for files of attempts that did not hear of the end at once.
const SECOND_SWEEP: Duration = Duration::from_secs(15);

/// The way to everything that takes time. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub store: Store,
    pub storage: Storage,
    pub inputs: mpsc::Sender<Input>,
    /// Every task that was started here.
    pub tasks: TaskTracker,
    /// The master stops.
    pub stop: CancellationToken,
    /// Where results are stored.
    pub results: PathBuf,
    /// What is told of jobs.
    pub logs: JobLogs,
    pub metrics: Arc<Metrics>,
    /// The right to act.
    pub tenure: Tenure,
    /// Traces of ended jobs.
    pub traces: Traces,
}

impl Services {
    pub(super) fn plan(&self, request: PlanRequest, started_ms: u64, staging: Option<Staging>) {
        let job = request.job;
        let stop = self.stop.clone();
        let planning = super::planning::plan(request, staging.clone());
        let planned = guarded(async move {
            let planned = planning.await?;
            let record = record::plan(job, &planned, started_ms);
            let record = record.map_err(|error| FailureCause::internal(error.to_string()))?;
            Ok(Planned { job: planned, record })
        });
        self.answer(async move {
            let planned = tokio::select! {
                planned = planned => planned.map(Box::new),
                // Planning may take minutes, and nobody will use it.
                () = stop.cancelled() => Err(FailureCause::Cancelled),
            };
            Input::Planned { job, planned, staging }
        });
    }

    /// The storage, for work on a job whose waits show in its status.
    pub(super) fn storage_for(&self, job: JobId) -> Storage {
        self.settler().storage_for(job)
    }

    fn settler(&self) -> Settler {
        Settler::new((&self.store, &self.storage), &self.inputs, (&self.tasks, &self.stop))
    }

    /// Settles a commit behind the event loop's back.
    pub(super) fn settle(&self, open: OpenCommit) {
        let settler = self.settler();
        let settled = settler.start(vec![open]);
        settler.pass_on(settled);
    }

    pub(super) fn commit(&self, order: CommitOrder) {
        let services = self.clone();
        self.tasks.spawn(async move { super::committing::commit_output(&services, order).await });
    }

    pub(crate) fn fetch_result(&self, order: ResultOrder) {
        let services = self.clone();
        self.answer(async move { Input::CommitEnded(super::committing::commit_result(&services, order).await) });
    }

    pub(crate) fn result_file(&self, job: JobId) -> PathBuf {
        result_file(&self.results, job)
    }

    pub(crate) fn record_acceptance(&self, accepted: AcceptedJob) {
        let (store, metrics) = (self.store.clone(), Arc::clone(&self.metrics));
        self.answer(async move {
            let started = Instant::now();
            let outcome = store.accept(&accepted).await;
            metrics.observe_store_write(started.elapsed());
            Input::Stored { job: accepted.id, outcome }
        });
    }

    /// Has changes written as one; their outcome is an input. Gives them back where the store has too much to do.
    pub(crate) fn begin_write(&self, writes: Vec<Write>) -> Result<(), Vec<Write>> {
        let writing = self.store.begin_write(writes)?;
        let metrics = Arc::clone(&self.metrics);
        self.answer(async move {
            let started = Instant::now();
            let outcome = writing.written().await;
            metrics.observe_store_write(started.elapsed());
            Input::Written(outcome)
        });
        Ok(())
    }

    /// Forgets jobs: their stored results and logs, and with `writes` their records.
    pub(crate) fn forget(&self, jobs: Vec<JobId>, writes: Vec<Write>) {
        let (store, logs) = (self.store.clone(), self.logs.clone());
        let files: Vec<PathBuf> = jobs.iter().map(|job| self.result_file(*job)).collect();
        self.tasks.spawn(async move {
            if let Err(error) = store.write(writes).await {
                // The next master, or the one that is active now, still knows them.
                tracing::error!(%error, "could not forget old jobs");
                return;
            }
            logs.forget(jobs).await;
            let _ = tokio::task::spawn_blocking(move || results::remove(&files)).await;
        });
    }

    /// Removes a job's staging, and a while later what a late attempt may have left there.
    pub(crate) fn discard(&self, staging: Staging) {
        let (storage, stop) = (self.storage.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            sweep(&storage, &staging).await;
            let _ = tokio::time::timeout(SECOND_SWEEP, stop.cancelled()).await;
            sweep(&storage, &staging).await;
        });
    }

    /// Runs something whose outcome is an input.
    fn answer(&self, work: impl Future<Output = Input> + Send + 'static) {
        let inputs = self.inputs.clone();
        self.tasks.spawn(async move {
            let input = work.await;
            // The loop has ended only when the master stops, and then nobody needs the answer.
            let _ = inputs.send(input).await;
        });
    }
}

async fn sweep(storage: &Storage, staging: &Staging) {
    let fs = storage.commit_fs(staging.destination());
    if let Err(error) = commit::clean_up(&*fs, staging).await {
        tracing::warn!(%error, "could not remove a staging directory");
    }
}

/// Runs fallible work so that a panic in it is a failure like any other, not an answer that never comes.
pub(super) async fn guarded<T: Send + 'static>(
    work: impl Future<Output = Result<T, FailureCause>> + Send + 'static,
) -> Result<T, FailureCause> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(FailureCause::internal(format!("the master's own work broke off: {error}"))),
    }
}
