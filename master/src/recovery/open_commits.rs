//! Commits that were begun and have no end yet: the master before died in them, or their storage went away. Each is carried through
//! or taken back, for as long as that takes. Until then its job has no end, if it had none before, and nothing else is committed to
//! its destination: what readers see must not hang on when a master starts the next time.

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_common::{Backoff, FailureCause, InputRecords, InputStatus, JobId, JobStatus};
use hearth_storage::{CommitFs, Storage, Waits};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{discard, done, failed};
use crate::commit::{self, CommitError, CommitIntent, Staging};
use crate::input::Input;
use crate::store::{Committed, Store, StoreError, StoredJob};

/// Between two tries, beside what the storage itself waits for.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(30) };

/// A commit without an end.
#[derive(Debug, Clone)]
pub(crate) struct OpenCommit {
    /// As it was recorded, or with a claim that is newer.
    pub intent: CommitIntent,
    /// What is to become of it.
    pub aim: Aim,
}

/// What is to become of a commit.
#[derive(Debug, Clone)]
pub(crate) enum Aim {
    /// Its job has not ended: the output becomes visible, and the job done.
    Publish(Box<StoredJob>),
    /// Its job was told failed: nothing of it may stay visible.
    TakeBack,
    /// Its job was told done: only traces are left.
    CleanUp,
}

/// A commit that has an end now.
#[derive(Debug)]
pub(crate) struct SettledCommit {
    /// The job.
    pub job: JobId,
    /// How the job ended with it, which is recorded already. `None` where that was told before.
    pub ended: Option<Box<JobStatus>>,
}

/// The storage may fail, and is tried again; without the store a master cannot go on.
type Outcome<T> = Result<Result<T, CommitError>, StoreError>;

/// Settles commits. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Settler {
    pub(super) store: Store,
    pub(super) storage: Storage,
    inputs: mpsc::Sender<Input>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Settler {
    pub(crate) fn new(
        (store, storage): (&Store, &Storage),
        inputs: &mpsc::Sender<Input>,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Self {
        Self {
            store: store.clone(),
            storage: storage.clone(),
            inputs: inputs.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        }
    }

    /// Starts to settle commits: those to one destination in this order, others beside them. The receiver gets each that has an end.
    pub(crate) fn start(&self, commits: Vec<OpenCommit>) -> mpsc::Receiver<Result<SettledCommit, StoreError>> {
        let (settled, receiver) = mpsc::channel(commits.len().max(1));
        let mut by_destination: BTreeMap<String, Vec<OpenCommit>> = BTreeMap::new();
        for commit in commits {
            by_destination.entry(commit.intent.destination.clone()).or_default().push(commit);
        }
        for commits in by_destination.into_values() {
            let (settler, settled) = (self.clone(), settled.clone());
            self.tasks.spawn(async move {
                for commit in commits {
                    let Some(outcome) = settler.settle(commit).await else { return };
                    let is_broken = outcome.is_err();
                    if settled.send(outcome).await.is_err() || is_broken {
                        return;
                    }
                }
            });
        }
        receiver
    }

    /// Passes on to the event loop what [`Settler::start`] still brings.
    pub(crate) fn pass_on(&self, mut settled: mpsc::Receiver<Result<SettledCommit, StoreError>>) {
        let (inputs, stop) = (self.inputs.clone(), self.stop.clone());
        let passing = async move {
            while let Some(outcome) = settled.recv().await {
                if inputs.send(Input::CommitSettled(outcome)).await.is_err() {
                    break;
                }
            }
        };
        self.tasks.spawn(async move { stop.run_until_cancelled(passing).await });
    }

    /// The storage, for work on a job whose waits show in its status.
    pub(crate) fn storage_for(&self, job: JobId) -> Storage {
        let waits = Waits::default();
        let (mut reader, inputs, stop) = (waits.reader(), self.inputs.clone(), self.stop.clone());
        let telling = async move {
            while let Some(because) = reader.next().await {
                if inputs.send(Input::WaitsForHdfs { job, because }).await.is_err() {
                    break;
                }
            }
        };
        self.tasks.spawn(async move { stop.run_until_cancelled(telling).await });
        self.storage.telling(waits)
    }

    /// Tries until the commit has an end. `None`: the master stops first.
    async fn settle(&self, OpenCommit { intent, aim }: OpenCommit) -> Option<Result<SettledCommit, StoreError>> {
        let job = intent.job;
        // The master before may live on, if this state is a copy of its own, and a request of ours may still be under way: neither
        // must find anything any more where it left it.
        let intent = if matches!(aim, Aim::CleanUp) { intent } else { intent.claimed() };
        let storage = self.storage_for(job);
        let mut failures = 0;
        loop {
            let error = match self.try_once(&storage, &intent, &aim).await {
                Ok(Ok(ended)) => return Some(Ok(SettledCommit { job, ended })),
                Ok(Err(error)) => error,
                Err(error) => return Some(Err(error)),
            };
            failures += 1;
            tracing::error!(%job, %error, failures, "a commit that was begun has no end yet, and is tried again");
            self.stop.run_until_cancelled(tokio::time::sleep(BACKOFF.delay_after(failures))).await?;
        }
    }

    async fn try_once(&self, storage: &Storage, intent: &CommitIntent, aim: &Aim) -> Outcome<Option<Box<JobStatus>>> {
        // What is no path cannot have been written to.
        let staging = intent.staging().ok();
        let settled = match (aim, &staging) {
            (Aim::Publish(job), Some(staging)) => {
                self.publish(&*storage.commit_fs(staging.destination()), (job, intent)).await?
            }
            (Aim::Publish(job), None) => {
                Ok(Some(Box::new(failed(job, FailureCause::internal("the recorded output is not a path")))))
            }
            (Aim::TakeBack | Aim::CleanUp, Some(staging)) => {
                let fs = storage.commit_fs(staging.destination());
                self.remove(&*fs, (staging, intent), matches!(aim, Aim::TakeBack)).await?.map(|()| None)
            }
            (Aim::TakeBack | Aim::CleanUp, None) => self.store.withdraw_intent(intent.job).await.map(|()| Ok(None))?,
        };
        if let (Ok(Some(status)), Aim::Publish(job)) = (&settled, aim) {
            tracing::info!(job = %status.id, state = status.state.name(), "settled a commit of the master before");
            self.store.record_end(status).await?;
            discard(&self.storage, &job.accepted).await;
        }
        Ok(settled)
    }

    /// Carries a commit out. Where it cannot be, it is taken back, and the job failed.
    async fn publish(
        &self,
        fs: &dyn CommitFs,
        (job, intent): (&StoredJob, &CommitIntent),
    ) -> Outcome<Option<Box<JobStatus>>> {
        self.store.record_intent(intent).await?;
        let error = match commit::roll_forward(fs, intent).await {
            Ok(()) => {
                let committed = Committed::Output(intent.output());
                self.store.record_committed(intent.job, &committed).await?;
                return Ok(Ok(Some(Box::new(published(job, committed, intent)))));
            }
            Err(error) if error.may_pass() => return Ok(Err(error)),
            Err(error) => error,
        };
        tracing::error!(job = %intent.job, %error, "could not carry a commit through");
        if let Err(error) = commit::roll_back(fs, intent).await {
            return Ok(Err(error));
        }
        self.store.withdraw_intent(intent.job).await?;
        Ok(Ok(Some(Box::new(failed(job, error.into_cause())))))
    }

    /// Removes what is left of a commit, with what is visible of it or without.
    async fn remove(
        &self,
        fs: &dyn CommitFs,
        (staging, intent): (&Staging, &CommitIntent),
        takes_back: bool,
    ) -> Outcome<()> {
        if takes_back {
            self.store.record_intent(intent).await?;
            if let Err(error) = commit::roll_back(fs, intent).await {
                return Ok(Err(error));
            }
        }
        match commit::clean_up(fs, staging).await {
            Ok(()) => self.store.withdraw_intent(intent.job).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}

fn published(job: &StoredJob, committed: Committed, intent: &CommitIntent) -> JobStatus {
    let mut status = done(job, committed);
    if status.inputs.is_empty() {
        let of_input = |records: &InputRecords| InputStatus { records: records.clone(), first_rejects: Vec::new() };
        status.inputs = intent.inputs.iter().map(of_input).collect();
    }
    status
}
