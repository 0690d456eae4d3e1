//! What the master decides about a job, told as lines of its log. Nothing here decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hearth_common::{
    AttemptId, FailureCause, JobId, JobState, JobStatus, LogLevel, LogLine, LogSubject, StageId, TaskId, WorkerId,
};
use hearth_scheduler::{Cut, Event, TaskStanding};

use super::{Owner, wall_ms};

/// What was told of a job so far, so that every change is told once.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Stages of which an attempt was launched, and whether their end was told.
    stages: BTreeMap<StageId, StageTold>,
    /// Attempts that run, and where.
    running: BTreeMap<AttemptId, WorkerId>,
    /// Tasks whose attempt waits for its proof.
    unproved: BTreeSet<TaskId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StageTold {
    Started,
    Finished,
}

impl Owner {
    /// Adds a line to a job's log.
    pub(crate) fn narrate(&mut self, line: LogLine) {
        if self.services.logs.append(vec![line]).is_err() {
            self.metrics.count_log_lines_dropped(1);
        }
    }

    pub(crate) fn narrate_job(&mut self, job: JobId, message: &str) {
        self.narrate(LogLine::new(wall_ms(), job, message));
    }

    /// The plan of a job is there.
    pub(crate) fn narrate_plan(&mut self, id: JobId) {
        let Some(plan) = self.jobs.get(&id).and_then(|job| job.plan.as_ref()) else { return };
        let planned = LogLine::new(wall_ms(), id, "job planned").with("stages", plan.stages.len());
        let stages: Vec<_> = (0..).map(StageId).zip(plan.stages.iter().map(|stage| stage.label.clone())).collect();
        self.narrate(planned);
        for (stage, label) in stages {
            self.narrate(LogLine::new(wall_ms(), LogSubject::stage(id, stage), "stage planned").with("does", label));
        }
    }

    pub(crate) fn narrate_launch(&mut self, attempt: AttemptId, worker: WorkerId) {
        let task = attempt.task;
        let tasks = self.stage_counts(task.job, task.stage).map_or(0, |(_, tasks)| tasks);
        let host = self.workers.host(worker).unwrap_or_default().to_owned();
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        if job.told.stages.is_empty() {
            let waited = Duration::from_millis(wall_ms().saturating_sub(job.submitted_ms));
            self.metrics.observe_first_launch(waited);
        }
        let of_task = AttemptId { task, attempt: 0 }..=AttemptId { task, attempt: u32::MAX };
        let is_second = job.told.running.range(of_task).next().is_some();
        let was_unproved = job.told.unproved.remove(&task);
        job.told.running.insert(attempt, worker);
        let stage = match job.told.stages.insert(task.stage, StageTold::Started) {
            None => Some("stage started"),
            Some(StageTold::Finished) => Some("stage runs again: outputs of it were lost"),
            Some(StageTold::Started) => None,
        };
        if let Some(message) = stage {
            // The stages before may have ended by the same event.
            self.narrate_stage_ends(task.job);
            let subject = LogSubject::stage(task.job, task.stage);
            self.narrate(LogLine::new(wall_ms(), subject, message).with("tasks", tasks));
        }
        let line = LogLine::new(wall_ms(), attempt, "attempt launched").with("on", worker).with("host", host);
        let line =
            if is_second { line.with("because", "the other attempt is far slower than its stage") } else { line };
        let line =
            if was_unproved { line.with("because", "the attempt before started from a wrong guess") } else { line };
        self.narrate(line);
    }

    /// The scheduler has no more use for an attempt.
    pub(crate) fn narrate_cancel(&mut self, attempt: AttemptId) {
        if let Some(job) = self.jobs.get_mut(&attempt.task.job) {
            job.told.running.remove(&attempt);
        }
    }

    /// An attempt finished, and the scheduler knows.
    pub(crate) fn narrate_finish(&mut self, attempt: AttemptId) {
        let task = attempt.task;
        let standing = self.standing(attempt);
        let counts = self.stage_counts(task.job, task.stage);
        let Some(job) = self.jobs.get_mut(&task.job) else { return };
        job.told.running.remove(&attempt);
        let is_unproved = matches!(standing, Some(TaskStanding::Unproved(on)) if on.attempt == attempt);
        if is_unproved && job.told.unproved.insert(task) {
            self.narrate(LogLine::new(wall_ms(), attempt, "attempt waits for the proof of where its links start"));
        }
        self.narrate_stage_end((task.job, task.stage), counts);
    }

    /// Tells the ends of stages that were not told yet.
    pub(crate) fn narrate_stage_ends(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let running = job.told.stages.iter().filter(|(_, told)| **told == StageTold::Started);
        let running: Vec<StageId> = running.map(|(stage, _)| *stage).collect();
        for stage in running {
            self.narrate_stage_end((id, stage), self.stage_counts(id, stage));
        }
    }

    fn narrate_stage_end(&mut self, (id, stage): (JobId, StageId), counts: Option<(u32, u32)>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some((_, tasks)) = counts.filter(|(done, tasks)| done == tasks) else { return };
        if job.told.stages.insert(stage, StageTold::Finished) == Some(StageTold::Finished) {
            return;
        }
        let line = LogLine::new(wall_ms(), LogSubject::stage(id, stage), "stage finished");
        self.narrate(line.with("tasks", tasks));
    }

    /// An attempt failed, and the scheduler has decided what follows.
    pub(crate) fn narrate_failure(&mut self, attempt: AttemptId, worker: WorkerId, cause: &FailureCause) {
        let follows = match self.standing(attempt) {
            Some(TaskStanding::BackingOff(until)) => {
                format!("tried again in {} ms", until.0.saturating_sub(self.now().0))
            }
            Some(TaskStanding::Waiting) => "tried again on the next free slot".to_owned(),
            Some(TaskStanding::Running(on)) if on.attempt != attempt => "tried again already".to_owned(),
            Some(TaskStanding::Unproved(_)) => "waits for the proof of where its links start".to_owned(),
            Some(TaskStanding::Running(_) | TaskStanding::Done(_)) => "the task is done without it".to_owned(),
            // The end of the job has told why.
            None => return,
        };
        if let Some(job) = self.jobs.get_mut(&attempt.task.job) {
            job.told.running.remove(&attempt);
        }
        let line = LogLine::new(wall_ms(), attempt, "failure of an attempt was taken in").at(LogLevel::Warn);
        self.narrate(line.with("on", worker).with("cause", cause.name()).with("text", cause).with("then", follows));
    }

    /// Workers do not reach each other, and a job goes on with one that reads all that it leaves from now on.
    pub(crate) fn narrate_hub(&mut self, job: JobId, hub: WorkerId, cut: Cut) {
        let host = |worker| self.workers.host(worker).unwrap_or_default().to_owned();
        let (hub_host, reader_host, source_host) = (host(hub), host(cut.reader), host(cut.source));
        let Cut { reader, source } = cut;
        tracing::warn!(%job, %hub, hub_host, %reader, reader_host, %source, source_host, "workers do not reach each other");
        let message = "workers do not reach each other; outputs are left where one worker reads them all";
        let line = LogLine::new(wall_ms(), job, message).at(LogLevel::Warn).with("hub", hub).with("host", hub_host);
        let line = line.with("reader", reader).with("reader_host", reader_host);
        self.narrate(line.with("does_not_reach", source).with("its_host", source_host));
    }

    /// After an event by which workers may be lost: tells the jobs that had attempts there.
    pub(super) fn narrate_lost_workers(&mut self) {
        let scheduler = &self.scheduler;
        let lost: Vec<WorkerId> = self.workers.ids().filter(|worker| scheduler.worker(*worker).is_none()).collect();
        for worker in lost {
            let host = self.workers.host(worker).unwrap_or_default().to_owned();
            let mut lines = Vec::new();
            for (id, job) in &mut self.jobs {
                let before = job.told.running.len();
                job.told.running.retain(|_, on| *on != worker);
                let attempts = before - job.told.running.len();
                if attempts > 0 {
                    let line = LogLine::new(wall_ms(), *id, "worker is gone; its attempts run again elsewhere");
                    lines.push(
                        line.with("worker", worker).with("host", &host).with("attempts", attempts).at(LogLevel::Warn),
                    );
                }
            }
            lines.into_iter().for_each(|line| self.narrate(line));
        }
    }

    /// The job is over.
    pub(crate) fn narrate_end(&mut self, status: &JobStatus) {
        let (message, level) = match status.state {
            JobState::Done => ("job done", LogLevel::Info),
            JobState::Cancelled => ("job cancelled", LogLevel::Warn),
            JobState::Failed | JobState::Queued | JobState::Planning | JobState::Running | JobState::Committing => {
                ("job failed", LogLevel::Error)
            }
        };
        let line = LogLine::new(wall_ms(), status.id, message).at(level);
        let line = line.with("attempts", status.attempts.launched);
        self.narrate(match (&status.failure, &status.output) {
            (Some(cause), _) => line.with("cause", cause.name()).with("text", cause),
            (None, Some(output)) => {
                line.with("output", &output.path).with("files", output.files).with("rows", output.rows)
            }
            (None, None) => line,
        });
    }

    /// Tasks of a stage that are done, and all of them.
    fn stage_counts(&self, job: JobId, stage: StageId) -> Option<(u32, u32)> {
        let stage = self.scheduler.job(job)?.stages().nth(stage.0 as usize)?;
        Some((stage.done(), u32::try_from(stage.task_count()).unwrap_or(u32::MAX)))
    }
}

/// By this event workers may be lost.
pub(super) const fn may_lose_workers(event: &Event) -> bool {
    matches!(event, Event::Tick | Event::WorkerGone { .. } | Event::WorkerDisconnected { .. })
}
