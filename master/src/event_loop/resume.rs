//! Goes on with the jobs of the master before, as its store tells of them.

use std::sync::Arc;

use hearth_common::{AttemptId, JobId, JobStatus};
use hearth_scheduler::{
    Event, JobFacts, JobLimits, Millis, Restored, RestoredJob, RestoredPlan, RestoredWorker, StageFacts, TaskFacts,
};

use super::clients::KeyOwner;
use super::{Owner, wall_ms};
use crate::commit::CommitIntent;
use crate::jobs::{Job, Plan};
use crate::planner::PlannedJob;
use crate::store::AcceptedJob;
use crate::store::record::{KeyRecord, ReportRecord, WorkerRecord};

/// Earliest submission that counts for deadlines and turns, before now. A clock that was wrong must not stop another one.
const AGE_MS_MAX: u64 = 10 * 365 * 86_400_000;

/// What goes on after a restart.
#[derive(Debug, Default)]
pub(crate) struct Resumed {
    /// Oldest submission first.
    pub jobs: Vec<ResumedJob>,
    /// Commits that have no end yet; they are being settled.
    pub commits: Vec<ResumedCommit>,
    /// Workers that may come back.
    pub workers: Vec<WorkerRecord>,
    /// Idempotency keys of jobs that history has forgotten.
    pub keys: Vec<(String, KeyRecord)>,
}

/// A job that goes on.
#[derive(Debug)]
pub(crate) struct ResumedJob {
    /// As it was accepted.
    pub accepted: AcceptedJob,
    /// How far it had come; `None` where it is planned again.
    pub plan: Option<ResumedPlan>,
}

/// A commit that has no end yet.
#[derive(Debug)]
pub(crate) struct ResumedCommit {
    /// Nothing else is committed to its destination meanwhile.
    pub intent: CommitIntent,
    /// Its job as it is shown, and as it was accepted; `None` where it was told ended.
    pub job: Option<(JobStatus, AcceptedJob)>,
}

/// A plan, and how far it had come.
#[derive(Debug)]
pub(crate) struct ResumedPlan {
    pub planned: PlannedJob,
    pub started_ms: u64,
    pub facts: JobFacts,
    pub stages: Vec<(hearth_common::StageId, StageFacts)>,
    pub tasks: Vec<((hearth_common::StageId, u32), TaskFacts)>,
    pub reports: Vec<(AttemptId, ReportRecord)>,
}

impl Resumed {
    /// What the scheduler's clock shows at first, so that the oldest job was submitted after its beginning.
    pub(super) fn clock_start(&self, now_ms: u64) -> Millis {
        Millis(self.jobs.iter().map(|job| age_ms(&job.accepted, now_ms)).max().unwrap_or(0))
    }
}

/// How long ago it was submitted; never, by a clock that was put back.
fn age_ms(accepted: &AcceptedJob, now_ms: u64) -> u64 {
    now_ms.saturating_sub(accepted.submitted_ms).min(AGE_MS_MAX)
}

impl Owner {
    pub(super) fn resume(&mut self, resumed: Resumed) {
        let Resumed { jobs, commits, workers, keys } = resumed;
        for (key, record) in keys {
            self.remember_key(key, record);
        }
        for commit in commits {
            self.resume_commit(commit);
        }
        if jobs.is_empty() && workers.is_empty() {
            return;
        }
        tracing::info!(jobs = jobs.len(), workers = workers.len(), "going on where the master before stopped");
        let mut restored = Restored::default();
        for worker in workers {
            let names = std::iter::once(&worker.status.host).chain(&worker.names).cloned().collect();
            restored.workers.push(RestoredWorker { worker: worker.status.id, names });
            self.workers.restore(worker);
        }
        let ids: Vec<JobId> = jobs.iter().map(|job| job.accepted.id).collect();
        for job in jobs {
            let job = self.resume_job(job);
            restored.jobs.push(job);
        }
        self.feed(Event::Restored(Box::new(restored)));
        // What was counted before is no news.
        ids.into_iter().for_each(|id| self.show(id));
    }

    fn resume_commit(&mut self, ResumedCommit { intent, job }: ResumedCommit) {
        if let Some((status, accepted)) = job {
            self.note_accepted(&accepted);
            self.begin_end(status);
        }
        self.commits.block(&intent.destination, intent.job);
    }

    fn note_accepted(&mut self, accepted: &AcceptedJob) {
        let Some(key) = accepted.key.clone() else { return };
        let hash = AcceptedJob::hash_of(&accepted.spec);
        let owner = KeyOwner { job: accepted.id, hash, submitted_ms: accepted.submitted_ms };
        self.submissions.keys.insert(key.clone(), owner);
        self.history.note_key(accepted.id, Some(key));
    }

    fn resume_job(&mut self, resumed: ResumedJob) -> RestoredJob {
        let ResumedJob { accepted, plan } = resumed;
        let id = accepted.id;
        let limits = JobLimits::of(&accepted.spec.settings);
        let submitted = Millis(self.started_at.0.saturating_sub(age_ms(&accepted, wall_ms())));
        self.note_accepted(&accepted);
        let mut job = Job::new(accepted);
        let plan = plan.map(|plan| {
            let ResumedPlan { planned, started_ms, facts, stages, tasks, reports } = plan;
            let PlannedJob { graph, stages: programs, inferred, inputs, texts } = planned;
            job.started_ms = Some(started_ms);
            job.inferred = inferred;
            let details = Arc::make_mut(&mut job.details);
            (details.inputs, details.plan) = (inputs, texts);
            job.tally.note_plan(programs.iter());
            job.plan = Some(Plan::new(&graph, programs));
            for (attempt, ReportRecord { metrics, records, files, operators }) in reports {
                job.figures.note_finished(attempt, metrics);
                job.operators.note_finished(attempt, &operators);
                job.tally.note_report(attempt);
                job.records.insert(attempt, records);
                job.files.insert(attempt, files);
            }
            RestoredPlan { graph, job: facts, stages, tasks }
        });
        self.jobs.insert(id, job);
        RestoredJob { job: id, limits, submitted, plan }
    }
}
