//! What clients ask of the event loop: submissions with their idempotency keys, cancellations, drains, looks at tasks.

use std::collections::BTreeMap;

use hearth_common::{JobId, LogLine, WorkerId};
use hearth_proto::convert::control::MasterMessage;
use hearth_scheduler::{Event, JobLimits, RejectReason, StageView, TaskStanding, Winner};
use tokio::sync::oneshot;

use super::{Held, Owner, wall_ms};
use crate::input::{Submission, SubmitError, Submitted, TaskPage, TaskQuery, TaskStatus};
use crate::jobs::Job;
use crate::store::{AcceptedJob, StoreError, record};

type SubmitReply = oneshot::Sender<Result<Submitted, SubmitError>>;

/// Submissions that are being recorded, and the keys of all jobs that are known.
#[derive(Debug, Default)]
pub(super) struct Submissions {
    pub(super) keys: BTreeMap<String, KeyOwner>,
    unstored: BTreeMap<JobId, Unstored>,
    /// Why the scheduler refused the job that it was just given.
    pub(super) refusal: Option<RejectReason>,
}

/// The job of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyOwner {
    pub(super) job: JobId,
    pub(super) hash: u128,
    /// When that was submitted, in milliseconds since 1970.
    pub(super) submitted_ms: u64,
}

#[derive(Debug)]
struct Unstored {
    accepted: AcceptedJob,
    waiting: Vec<(SubmitReply, Submitted)>,
}

/// An answer that is given once the snapshot shows what it is about. The asker may have left: then nobody hears it.
#[derive(Debug)]
pub(crate) enum Reply {
    Submitted(SubmitReply, Submitted),
    Cancelled(oneshot::Sender<()>),
    Drained(oneshot::Sender<bool>),
}

impl Owner {
    pub(super) fn on_find_key(
        &mut self,
        key: &str,
        hash: u128,
        reply: oneshot::Sender<Option<Result<Submitted, SubmitError>>>,
    ) {
        let found = self.submissions.keys.get(key).copied().filter(|owner| !self.submissions.is_unstored(owner.job));
        let answer = found.map(|owner| owner.answer(hash));
        let _ = reply.send(answer);
    }

    pub(super) fn on_submit(&mut self, submission: Submission) {
        let Submission { key, spec, hash, reply } = submission;
        if let Some(owner) = key.as_ref().and_then(|key| self.submissions.keys.get(key)).copied() {
            match (owner.answer(hash), self.submissions.unstored.get_mut(&owner.job)) {
                (Ok(submitted), Some(unstored)) => unstored.waiting.push((reply, submitted)),
                (answer, _) => drop(reply.send(answer)),
            }
            return;
        }
        let known = self.jobs.len() + self.submissions.unstored.len();
        if known >= self.config.queued_jobs_max.saturating_add(self.config.running_jobs_max) {
            let text = format!("the queue is full ({known} jobs wait or run); try again later");
            let _ = reply.send(Err(SubmitError::QueueFull(text)));
            return;
        }
        let (job, submitted_ms) = (JobId::generate(), wall_ms());
        if let Some(key) = &key {
            self.submissions.keys.insert(key.clone(), KeyOwner { job, hash, submitted_ms });
        }
        let accepted = AcceptedJob { id: job, key, spec, submitted_ms };
        let waiting = vec![(reply, Submitted { job, existed: false })];
        self.submissions.unstored.insert(job, Unstored { accepted: accepted.clone(), waiting });
        self.services.record_acceptance(accepted);
    }

    pub(super) fn on_stored(&mut self, job: JobId, outcome: Result<(), StoreError>) {
        let Some(Unstored { accepted, waiting }) = self.submissions.unstored.remove(&job) else { return };
        let key = accepted.key.clone();
        let taken = outcome.map_err(SubmitError::from).and_then(|()| self.take_job(accepted));
        match taken {
            Ok(()) => {
                let replies = waiting.into_iter().map(|(reply, submitted)| Reply::Submitted(reply, submitted));
                self.replies.extend(replies);
            }
            Err(error) => {
                if let Some(key) = key {
                    self.submissions.keys.remove(&key);
                }
                for (reply, _) in waiting {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn take_job(&mut self, accepted: AcceptedJob) -> Result<(), SubmitError> {
        let (job, limits) = (accepted.id, JobLimits::of(&accepted.spec.settings));
        tracing::info!(%job, name = %accepted.spec.name.escape_debug(), "job accepted");
        self.metrics.count_submission();
        self.history.note_key(job, accepted.key.clone());
        let line = LogLine::new(wall_ms(), job, "job accepted").with("name", &accepted.spec.name);
        self.jobs.insert(job, Job::new(accepted));
        self.narrate(line);
        self.publisher.mark_changed(job);
        self.feed(Event::JobSubmitted { job, limits });
        match self.submissions.refusal.take() {
            None => Ok(()),
            Some(reason) => Err(SubmitError::QueueFull(reason.to_string())),
        }
    }

    /// The scheduler did not take a job: as if it had never been submitted.
    pub(crate) fn refuse_job(&mut self, job: JobId, reason: RejectReason) {
        self.jobs.remove(&job);
        self.publisher.forget(&[job]);
        self.history.forget_key(job);
        self.services.forget(vec![job], record::forget(&[job]));
        self.submissions.refusal = Some(reason);
    }

    pub(super) fn on_cancel(&mut self, job: JobId, reply: oneshot::Sender<()>) {
        if self.jobs.contains_key(&job) {
            tracing::info!(%job, "cancellation requested");
            self.narrate_job(job, "cancellation requested");
            self.feed(Event::CancelRequested { job });
        }
        self.hold(Held::Reply(Reply::Cancelled(reply)));
    }

    pub(super) fn on_drain(&mut self, worker: WorkerId, reply: oneshot::Sender<bool>) {
        if self.scheduler.worker(worker).is_none() {
            let _ = reply.send(false);
            return;
        }
        tracing::info!(%worker, "drain requested");
        self.publisher.mark_workers();
        self.feed(Event::WorkerDraining { worker });
        self.tell(worker, MasterMessage::Drain);
        self.replies.push(Reply::Drained(reply));
    }

    pub(super) fn on_list_tasks(&mut self, query: TaskQuery, reply: oneshot::Sender<Option<TaskPage>>) {
        let stage = self.scheduler.job(query.job).and_then(|job| job.stages().nth(query.stage.0 as usize));
        let _ = reply.send(stage.map(|stage| list_tasks(&stage, query)));
    }

    pub(super) fn send_replies(&mut self) {
        for reply in self.replies.drain(..) {
            match reply {
                Reply::Submitted(reply, submitted) => drop(reply.send(Ok(submitted))),
                Reply::Cancelled(reply) => drop(reply.send(())),
                Reply::Drained(reply) => drop(reply.send(true)),
            }
        }
    }
}

impl Submissions {
    fn is_unstored(&self, job: JobId) -> bool {
        self.unstored.contains_key(&job)
    }
}

impl KeyOwner {
    fn answer(self, hash: u128) -> Result<Submitted, SubmitError> {
        if self.hash == hash {
            Ok(Submitted { job: self.job, existed: true })
        } else {
            Err(SubmitError::KeyTaken { job: self.job })
        }
    }
}

fn list_tasks(stage: &StageView<'_>, query: TaskQuery) -> TaskPage {
    let end = query.from.saturating_add(query.size);
    let tasks = (query.from..end).map_while(|partition| stage.task(partition)).map(|task| {
        let (state, winner) = match task.standing() {
            TaskStanding::Waiting => ("waiting", None),
            TaskStanding::BackingOff(_) => ("backing_off", None),
            TaskStanding::Running(on) => ("running", Some(on)),
            TaskStanding::Unproved(on) => ("unproved", Some(on)),
            TaskStanding::Done(on) => ("done", Some(on)),
        };
        TaskStatus {
            partition: task.partition(),
            state,
            attempts: task.attempts(),
            attempt: winner.map(|Winner { attempt, .. }| attempt.attempt),
            worker: winner.map(|Winner { worker, .. }| worker),
        }
    });
    let total = stage.task_count();
    TaskPage { tasks: tasks.collect(), total, next: (total > end as usize).then_some(end) }
}
