//! A new scheduler takes over what the one before it left: the facts that were stored, and workers that may come back.
//!
//! Until a worker comes back it counts as disconnected, for a grace in place of its lease. So nothing is decided here: when it says
//! what it holds, `reconcile` compares as after any broken connection, and attempts that still run are taken over; when it does not
//! come in time, it is lost as any other. Its shuffle outputs are read meanwhile: its peers reach them without the master, and a
//! reader that finds nothing there has them made again sooner than the end of the grace would.

use hearth_common::{JobId, StageId, TaskId, WorkerId};

use crate::facts::{JobFacts, KeptState, StageFacts, TaskFacts};
use crate::graph::JobGraph;
use crate::home::host_names;
use crate::job::{Execution, Job, Phase};
use crate::mutation::Mutation;
use crate::run::{Run, Runs};
use crate::stage::Stage;
use crate::task::{TaskKey, TaskState};
use crate::timer::Timer;
use crate::worker::Worker;
use crate::{JobLimits, Millis, Scheduler};

/// What the scheduler before left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// The workers that it knew.
    pub workers: Vec<RestoredWorker>,
    /// The jobs that had not ended, in the order of their submission.
    pub jobs: Vec<RestoredJob>,
}

/// A worker that may come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredWorker {
    /// The worker.
    pub worker: WorkerId,
    /// Names and addresses of its host.
    pub names: Vec<String>,
}

/// A job that had not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredJob {
    /// The job.
    pub job: JobId,
    /// What it may use.
    pub limits: JobLimits,
    /// When it was submitted, on the clock of the new scheduler.
    pub submitted: Millis,
    /// How far it had come; `None` where it was not planned yet: it has its turn, and is planned, again.
    pub plan: Option<RestoredPlan>,
}

/// The last facts about a planned job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredPlan {
    /// Its stages.
    pub graph: JobGraph,
    /// About the job.
    pub job: JobFacts,
    /// About its stages.
    pub stages: Vec<(StageId, StageFacts)>,
    /// About its tasks, by stage and partition.
    pub tasks: Vec<((StageId, u32), TaskFacts)>,
}

impl Scheduler {
    pub(crate) fn on_restored(&mut self, restored: Restored) {
        let grace_ends = self.now.after(self.config.restart_grace);
        for RestoredWorker { worker, names } in restored.workers {
            self.workers.add(worker, Worker::new(0, host_names(&names), grace_ends));
            if !self.has_mutation(Mutation::WaitForRestoredForever) {
                self.timers.set(grace_ends, Timer::Lease(worker));
            }
        }
        for job in restored.jobs {
            self.restore_job(job);
        }
        self.admit_jobs();
    }

    fn restore_job(&mut self, restored: RestoredJob) {
        let RestoredJob { job: id, limits, mut submitted, plan } = restored;
        if self.has_mutation(Mutation::RestartDeadline) {
            submitted = self.now;
        }
        self.enter_job(id, limits, submitted);
        let Some(RestoredPlan { graph, job: facts, stages, tasks }) = plan else { return };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.counts = facts.counts;
        job.locality = facts.locality;
        let mut execution = Execution::new(&graph);
        for (stage, facts) in stages {
            if let Some(stage) = execution.stage_mut(stage) {
                stage.restore(facts, self.config.mutation);
            }
        }
        job.phase = Phase::Executing(Box::new(execution));
        self.queue.remove(&job.turn);
        self.admitted.insert(job.sequence, id);
        self.settle_hosts_of(id);
        let mut lost = Vec::new();
        for ((stage, partition), facts) in tasks {
            lost.extend(self.restore_task(TaskKey { stage, partition }.in_job(id), facts));
        }
        // Facts of one moment do not contain such, but nothing may wait for a worker that nobody waits for.
        lost.into_iter().for_each(|task| self.lose_output(task));
        self.touch(id);
    }

    /// Gives the task if what it left is on a worker that is not known.
    fn restore_task(&mut self, task: TaskId, mut facts: TaskFacts) -> Option<TaskId> {
        let mutation = self.config.mutation;
        if mutation == Some(Mutation::ReuseAttemptNumbers) {
            facts.attempts = 0;
        }
        let now = self.now;
        let execution = self.jobs.get_mut(&task.job)?.execution_mut()?;
        let stage = execution.stage_mut(task.stage)?;
        let runs = |runs: &[(u32, WorkerId)]| {
            let run = |(attempt, worker): &(u32, WorkerId)| Run { attempt: *attempt, worker: *worker, since: now };
            let mut runs = runs.iter().map(run).filter(|run| self.workers.contains(run.worker));
            let first = Runs::One(runs.next()?);
            Some(runs.next().and_then(|second| first.with_second(second)).unwrap_or(first))
        };
        let state = match &facts.state {
            KeptState::Waiting => TaskState::Waiting,
            KeptState::Running(_) if mutation == Some(Mutation::ForgetRestoredRuns) => TaskState::Waiting,
            KeptState::Running(kept) => runs(kept).map_or(TaskState::Waiting, TaskState::Running),
            KeptState::Unproved { claim, worker } => TaskState::Unproved { attempt: claim.attempt, worker: *worker },
            KeptState::Done { .. } if mutation == Some(Mutation::ForgetRestoredWinners) => TaskState::Waiting,
            KeptState::Done { attempt, worker } => TaskState::Done { attempt: *attempt, worker: *worker },
        };
        stage.restore_task(task.partition, facts, mutation);
        if state == TaskState::Waiting {
            execution.list_ready(task.stage);
        } else {
            self.note_workers_of(task, state);
            self.set_task(task, state);
        }
        let output = self.jobs.get(&task.job)?.execution()?.find_output(task)?;
        (!self.workers.contains(output.worker)).then_some(task)
    }

    /// They may hold something of the job.
    fn note_workers_of(&mut self, task: TaskId, state: TaskState) {
        let Some(execution) = self.jobs.get_mut(&task.job).and_then(Job::execution_mut) else { return };
        match state {
            TaskState::Waiting | TaskState::BackingOff { .. } => {}
            TaskState::Running(runs) => execution.workers.extend(runs.iter().map(|run| run.worker)),
            TaskState::Unproved { worker, .. } | TaskState::Done { worker, .. } => {
                execution.workers.insert(worker);
            }
        }
    }
}

impl Stage {
    fn restore(&mut self, facts: StageFacts, mutation: Option<Mutation>) {
        let StageFacts { groups, partition_bytes, durations, has_begun, has_lost_version } = facts;
        if !groups.is_empty() && mutation != Some(Mutation::ForgetRestoredGroups) {
            self.form(groups);
        }
        self.add_bytes(&partition_bytes);
        if mutation != Some(Mutation::ForgetRestoredDurations) {
            self.restore_durations(durations);
        }
        if mutation != Some(Mutation::ForgetRestoredVersions) {
            self.note_version(has_begun, has_lost_version);
        }
    }
}
