//! Read-only views for snapshots. They show; they decide nothing and change nothing.

use std::fmt;
use std::ops::Range;

use hearth_common::{AttemptCounts, AttemptId, JobId, JobState, LocalityCounts, StageId, WorkerId, WorkerState};

use crate::job::{Job, Progress};
use crate::run::{Run, Runs};
use crate::stage::Stage;
use crate::task::{Task, TaskKey, TaskState};
use crate::worker::Worker;
use crate::{Cut, Exclusion, KnownStart, Millis, Scheduler, Winner};

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Jobs before it.
    Turn,
    /// A worker; none takes attempts.
    Workers,
    /// A free slot.
    Slots,
    /// The time of its next try, after a failure.
    Retry,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Turn => "jobs before it",
            Self::Workers => "workers",
            Self::Slots => "free slots",
            Self::Retry => "the next try after a failure",
        })
    }
}

/// A job that has not ended.
#[derive(Debug, Clone, Copy)]
pub struct JobView<'a> {
    id: JobId,
    job: &'a Job,
    has_workers: bool,
}

/// A stage of a planned job.
#[derive(Debug, Clone, Copy)]
pub struct StageView<'a> {
    job: JobId,
    stage: &'a Stage,
}

/// A task of a stage.
#[derive(Debug, Clone, Copy)]
pub struct TaskView<'a> {
    job: JobId,
    stage: &'a Stage,
    partition: u32,
    task: &'a Task,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStanding {
    /// It has no winner and does not run.
    Waiting,
    /// It failed, and is not tried before that time.
    BackingOff(Millis),
    /// That attempt runs there; it may have a second one beside it, see [`TaskView::runs`].
    Running(Winner),
    /// That attempt ended there, and counts once it is proved that it read its links from their true starts.
    Unproved(Winner),
    /// That attempt won there.
    Done(Winner),
}

/// A worker that is not lost.
#[derive(Debug, Clone, Copy)]
pub struct WorkerView<'a> {
    id: WorkerId,
    worker: &'a Worker,
}

impl Scheduler {
    /// The jobs that have not ended, by id.
    pub fn jobs(&self) -> impl Iterator<Item = JobView<'_>> {
        self.jobs.iter().map(|(id, job)| self.view_job(*id, job))
    }

    /// A job, unless it has ended.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobView<'_>> {
        self.jobs.get(&id).map(|job| self.view_job(id, job))
    }

    /// The workers that are not lost, by id.
    pub fn workers(&self) -> impl Iterator<Item = WorkerView<'_>> {
        self.workers.iter().map(|(id, worker)| WorkerView { id, worker })
    }

    /// A worker, unless it is lost.
    #[must_use]
    pub fn worker(&self, id: WorkerId) -> Option<WorkerView<'_>> {
        self.workers.get(id).map(|worker| WorkerView { id, worker })
    }

    /// The workers that are believed not to reach others, and until when.
    pub fn cuts(&self) -> impl Iterator<Item = (Cut, Millis)> {
        self.cuts.iter().map(|(cut, until)| (*cut, *until))
    }

    /// The workers that get no tasks of a stage, because they do not reach what these read, or would leave what their readers do
    /// not reach.
    #[must_use]
    pub fn unfit_workers(&self, job: JobId, stage: StageId) -> Vec<WorkerId> {
        let found = self.jobs.get(&job).and_then(Job::execution).and_then(|execution| execution.stage(stage));
        found.map_or_else(Vec::new, |stage| self.unfit(job, stage, &self.barred(job)))
    }

    fn view_job<'a>(&self, id: JobId, job: &'a Job) -> JobView<'a> {
        JobView { id, job, has_workers: self.workers.usable() > 0 }
    }
}

impl<'a> JobView<'a> {
    /// The job.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.id
    }

    /// Where it is in its life; never a final state.
    #[must_use]
    pub fn state(&self) -> JobState {
        self.job.state()
    }

    /// What became of its attempts.
    #[must_use]
    pub const fn attempts(&self) -> AttemptCounts {
        self.job.counts
    }

    /// Where its attempts were launched, of those tasks that prefer some host.
    #[must_use]
    pub const fn locality(&self) -> LocalityCounts {
        self.job.locality
    }

    /// Attempts that run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.job.slots_held()
    }

    /// What keeps it from going on; `None` where something of it runs or has its turn. That attempts are unproved never
    /// keeps it: what they wait for runs, or waits for one of these as well.
    #[must_use]
    pub fn waiting_for(&self) -> Option<Waiting> {
        if self.job.state() == JobState::Queued {
            return Some(Waiting::Turn);
        }
        let execution = self.job.execution().filter(|execution| execution.progress == Progress::Running)?;
        if execution.has_ready_tasks() && !self.has_workers {
            return Some(Waiting::Workers);
        }
        match (execution.running.is_empty(), execution.has_ready_tasks(), execution.backing_off.is_empty()) {
            (true, true, _) => Some(Waiting::Slots),
            (true, false, false) => Some(Waiting::Retry),
            (true, false, true) | (false, _, _) => None,
        }
    }

    /// Workers that get no more of its attempts, as long as others take them, for a while.
    pub fn excluded(&self) -> impl Iterator<Item = (WorkerId, &'a Exclusion)> + use<'a> {
        self.job.execution().into_iter().flat_map(|execution| execution.exclusions.iter())
    }

    /// Its stages, by id; none before it is planned.
    pub fn stages(&self) -> impl Iterator<Item = StageView<'a>> + use<'a> {
        let job = self.id;
        let stages = self.job.execution().map_or(&[][..], |execution| execution.stages());
        stages.iter().map(move |stage| StageView { job, stage })
    }
}

impl<'a> StageView<'a> {
    /// The stage.
    #[must_use]
    pub const fn id(&self) -> StageId {
        self.stage.id
    }

    /// Number of its tasks; 0 before its shuffle partitions are merged.
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.stage.tasks().len()
    }

    /// Tasks with a winner, also where its output was lost after the last of its readers.
    #[must_use]
    pub fn done(&self) -> u32 {
        let all = u32::try_from(self.stage.tasks().len()).unwrap_or(u32::MAX);
        if self.stage.is_wanted { self.stage.done() } else { all }
    }

    /// Tasks that run.
    #[must_use]
    pub const fn running(&self) -> u32 {
        self.stage.running()
    }

    /// Tasks whose attempt ended, and waits for the proof that it read its links from their true starts.
    #[must_use]
    pub const fn unproved(&self) -> u32 {
        self.stage.unproved()
    }

    /// The stages it reads.
    pub fn inputs(&self) -> impl Iterator<Item = StageId> + use<'a> {
        self.stage.inputs.iter().map(|input| input.stage)
    }

    /// Its tasks, by partition. Visits them all: for a page about one stage, not for every snapshot.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'a>> + use<'a> {
        let (job, stage) = (self.job, self.stage);
        (0..).zip(stage.tasks()).map(move |(partition, task)| TaskView { job, stage, partition, task })
    }

    /// One of its tasks.
    #[must_use]
    pub fn task(&self, partition: u32) -> Option<TaskView<'a>> {
        let (job, stage) = (self.job, self.stage);
        stage.task(partition).map(|task| TaskView { job, stage, partition, task })
    }
}

impl TaskView<'_> {
    /// Its partition.
    #[must_use]
    pub const fn partition(&self) -> u32 {
        self.partition
    }

    /// Attempts launched so far.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.task.attempts
    }

    /// The shuffle partitions it reads, where its stage merges them.
    #[must_use]
    pub fn merged(&self) -> Option<Range<u32>> {
        self.stage.group(self.partition)
    }

    /// Where the first record starts in each of its links, as far as that is known.
    pub fn known_starts(&self) -> impl Iterator<Item = KnownStart> {
        let chains = &self.stage.chains;
        let start = |link: &u32| Some(KnownStart { link: *link, start: chains.get(*link)?.known.start? });
        chains.links_of(self.partition).iter().filter_map(start)
    }

    /// The attempt that won last. Its output may have been lost since: then whoever needed it has read it, or it is made again.
    #[must_use]
    pub fn last_winner(&self) -> Option<Winner> {
        self.task.last_winner(TaskKey { stage: self.stage.id, partition: self.partition }.in_job(self.job))
    }

    /// The attempts of it that run: none, one, or two where the first is slow.
    pub fn runs(&self) -> impl Iterator<Item = Winner> {
        let task = TaskKey { stage: self.stage.id, partition: self.partition }.in_job(self.job);
        let runs = if let TaskState::Running(runs) = self.task.state() { Some(runs) } else { None };
        let on = move |run: Run| Winner { attempt: AttemptId { task, attempt: run.attempt }, worker: run.worker };
        runs.into_iter().flat_map(Runs::iter).map(on)
    }

    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> TaskStanding {
        let task = TaskKey { stage: self.stage.id, partition: self.partition }.in_job(self.job);
        let on = |attempt, worker| Winner { attempt: AttemptId { task, attempt }, worker };
        match self.task.state() {
            TaskState::Waiting => match self.last_winner().filter(|_| !self.stage.is_wanted) {
                Some(winner) => TaskStanding::Done(winner),
                None => TaskStanding::Waiting,
            },
            TaskState::BackingOff { until } => TaskStanding::BackingOff(until),
            TaskState::Running(Runs::One(run) | Runs::Two { first: run, .. }) => {
                TaskStanding::Running(on(run.attempt, run.worker))
            }
            TaskState::Unproved { attempt, worker } => TaskStanding::Unproved(on(attempt, worker)),
            TaskState::Done { attempt, worker } => TaskStanding::Done(on(attempt, worker)),
        }
    }
}

impl<'a> WorkerView<'a> {
    /// The worker.
    #[must_use]
    pub const fn id(&self) -> WorkerId {
        self.id
    }

    /// Its state; never lost.
    #[must_use]
    pub const fn state(&self) -> WorkerState {
        self.worker.state()
    }

    /// Room for attempts.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.worker.slots
    }

    /// Attempts that hold a slot.
    #[must_use]
    pub fn used(&self) -> usize {
        self.worker.running.len()
    }

    /// Why and until when it gets no attempts at all, because several jobs have excluded it.
    #[must_use]
    pub const fn exclusion(&self) -> Option<&'a Exclusion> {
        self.worker.reputation.exclusion.as_ref()
    }

    /// When its lease ends, unless it is heard of before.
    #[must_use]
    pub const fn lease_end(&self) -> Millis {
        self.worker.lease_end
    }

    /// Attempts that run on it.
    pub fn running(&self) -> impl Iterator<Item = AttemptId> + use<'a> {
        self.worker.running.iter().copied()
    }
}
