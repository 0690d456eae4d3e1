//! Watches events and effects, knows nothing of the scheduler's inside, and says what must not happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hearth_common::{AttemptId, FailureCause, JobId, OutputLoss, StageId, TaskId, WorkerId};
use hearth_scheduler::{AttemptOutput, CommitOutcome, Effect, Event, FinalOutput, Held, Launch, Winner};

use crate::chains::{SeenLinks, names_bad_record};
use crate::content::{Content, check_commit};
use crate::plan::{JobPlan, Script};
use crate::restarts_seen::SeenRestart;
use crate::silence::SeenSilence;

/// The default of `RetryPolicy::lost_workers_in_a_row_max`.
const LOST_WORKERS_MAX: u32 = 3;

/// What was seen so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Oracle {
    pub(crate) jobs: BTreeMap<JobId, Seen>,
    pub(crate) links: SeenLinks,
    pub(crate) workers: BTreeMap<WorkerId, SeenWorker>,
    /// Attempts that were launched and neither reported, nor cancelled, nor lost.
    pub(crate) open: BTreeMap<AttemptId, WorkerId>,
    launched: BTreeSet<AttemptId>,
    losses_in_a_row: BTreeMap<TaskId, u32>,
    failures: BTreeMap<(TaskId, &'static str), u32>,
    unreadable: BTreeMap<TaskId, BTreeSet<AttemptId>>,
    /// Which worker was told not to reach which, and until when that is believed.
    pub(crate) cuts: BTreeMap<(WorkerId, WorkerId), u64>,
    /// What the scheduler told after the event at hand: workers that do not reach what tasks of a stage read.
    pub(crate) unfit: BTreeMap<JobId, BTreeMap<StageId, BTreeSet<WorkerId>>>,
    /// Readers of a job that got no connection.
    pub(crate) unreached: BTreeMap<JobId, u32>,
    running_jobs_max: usize,
    pub(crate) priority_lead: Duration,
    pub(crate) launched_at: BTreeMap<AttemptId, u64>,
    /// Tasks that failed on a worker and were not made up for by a success there.
    pub(crate) blamed: BTreeMap<(JobId, WorkerId), BTreeSet<TaskId>>,
    /// Until when workers are excluded from everything.
    pub(crate) exclusion_ends: BTreeMap<WorkerId, u64>,
    /// Whom a job should have excluded at the event at hand.
    pub(crate) to_exclude: Option<(JobId, WorkerId)>,
    /// What the scheduler told of exclusions before the event at hand, and after it.
    pub(crate) barred: BTreeMap<JobId, BTreeSet<WorkerId>>,
    pub(crate) barred_by_now: BTreeMap<JobId, BTreeSet<WorkerId>>,
    /// Attempts that were launched beside others,
    pub(crate) seconds: u64,
    /// and one by the event at hand.
    pub(crate) has_new_second: bool,
    /// The time of the event at hand.
    pub(crate) now: u64,
    /// Since when a job runs nothing although slots are free.
    pub(crate) idle_since: BTreeMap<JobId, u64>,
    /// The last restart of the master.
    pub(crate) restart: SeenRestart,
    /// Workers that are not heard of, and who was told.
    pub(crate) silence: SeenSilence,
}

/// A job, as seen from outside.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) ended: Option<Option<FailureCause>>,
    /// When it was submitted, in milliseconds.
    pub(crate) submitted_at: Option<u64>,
    /// When its graph was known, in milliseconds.
    pub(crate) planned_at: Option<u64>,
    pub(crate) is_refused: bool,
    pub(crate) is_planned: bool,
    is_cancelled: bool,
    pub(crate) commits: u32,
    pub(crate) is_committing: bool,
    pub(crate) is_visible: bool,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct SeenWorker {
    pub(crate) slots: usize,
    pub(crate) names: Vec<String>,
    is_draining: bool,
    is_released: bool,
    pub(crate) is_connected: bool,
    /// When it was last heard of, while it is connected.
    pub(crate) heard_at: u64,
    /// Nothing was heard of it for a while since.
    pub(crate) is_silent: bool,
}

impl SeenWorker {
    /// The master starts anew: it comes back, and says again that it drains.
    pub(crate) const fn forget_connection(&mut self) {
        self.is_connected = false;
        self.is_draining = false;
        self.is_released = false;
        self.is_silent = false;
    }

    pub(crate) const fn takes_attempts(&self) -> bool {
        self.is_connected && !self.is_silent && !self.is_draining && self.slots > 0
    }
}

pub(crate) type Check = Result<(), String>;

fn ensure(is_so: bool, problem: impl FnOnce() -> String) -> Check {
    if is_so { Ok(()) } else { Err(problem()) }
}

impl Oracle {
    pub(crate) fn new(running_jobs_max: usize, priority_lead: Duration) -> Self {
        Self { running_jobs_max, priority_lead, ..Self::default() }
    }

    pub(crate) fn on_event(&mut self, event: &Event, plans: &BTreeMap<JobId, JobPlan>) {
        self.note_silence(event);
        match event {
            Event::WorkerConnected { worker, slots, names, held } => {
                self.on_connected(*worker, *slots, held);
                self.on_hello(*worker, held);
                self.workers.entry(*worker).or_default().names.clone_from(names);
            }
            Event::WorkerDisconnected { worker } => {
                self.workers.entry(*worker).or_default().is_connected = false;
            }
            Event::WorkerDraining { worker } => {
                self.on_outputs_lost(|winner| winner.worker == *worker);
                self.workers.entry(*worker).or_default().is_draining = true;
            }
            Event::WorkerGone { worker } => {
                if self.workers.contains_key(worker) {
                    self.silence.note_lost(*worker);
                }
                self.silence.take_withdrawn(*worker);
                self.on_outputs_lost(|winner| winner.worker == *worker);
                self.workers.remove(worker);
                self.links.on_held(*worker, &[]);
                self.open.retain(|_, on| on != worker);
            }
            Event::AttemptFinished { attempt, worker, output, scans } => {
                if self.close(*attempt, *worker) {
                    self.losses_in_a_row.remove(&attempt.task);
                    self.on_worker_did_well(attempt.task.job, *worker);
                    let plan = &plans[&attempt.task.job];
                    self.links.on_report(plan, *attempt, scans);
                    if matches!(output, AttemptOutput::Shuffle { .. }) {
                        self.links.on_output(plan, (*attempt, *worker), scans);
                    }
                }
            }
            Event::AttemptFailed { attempt, worker, cause, scans } => {
                if self.close(*attempt, *worker) {
                    self.links.on_report(&plans[&attempt.task.job], *attempt, scans);
                    self.on_failed(*attempt, cause);
                    self.on_unreached(*attempt, *worker, cause);
                    if *cause == FailureCause::WorkerDrains {
                        self.workers.entry(*worker).or_default().is_draining = true;
                    }
                    self.on_worker_failed(*attempt, *worker, cause);
                }
            }
            Event::CancelRequested { job } => {
                let seen = self.jobs.entry(*job).or_default();
                seen.is_cancelled |= !seen.is_committing;
            }
            Event::CommitEnded { outcome: CommitOutcome::LostResult { attempt, .. }, .. } => {
                self.unreadable.entry(attempt.task).or_default().insert(*attempt);
                self.on_outputs_lost(|winner| winner.attempt.task.job == attempt.task.job);
            }
            Event::JobPlanned { job, .. } => {
                self.jobs.entry(*job).or_default().planned_at = Some(self.now);
            }
            Event::JobSubmitted { job, .. } => {
                self.jobs.entry(*job).or_default().submitted_at = Some(self.now);
            }
            Event::Restored(_)
            | Event::PlanFailed { .. }
            | Event::InputsRefused { .. }
            | Event::CommitEnded { .. }
            | Event::Heartbeat { .. }
            | Event::Tick => {}
        }
    }

    /// The owner's commit worked on that list, or could not.
    pub(crate) fn commit_over(&mut self, job: JobId, is_visible: bool) {
        if let Some(seen) = self.jobs.get_mut(&job) {
            seen.is_committing = false;
            seen.is_visible |= is_visible;
        }
    }

    fn on_connected(&mut self, id: WorkerId, slots: u32, held: &Held) {
        let worker = self.workers.entry(id).or_default();
        worker.slots = slots as usize;
        worker.is_connected = true;
        self.open.retain(|attempt, on| *on != id || held.attempts.contains(attempt));
        self.links.on_held(id, &held.shuffle_outputs);
    }

    fn close(&mut self, attempt: AttemptId, worker: WorkerId) -> bool {
        let is_open = self.open.get(&attempt) == Some(&worker);
        if is_open {
            self.open.remove(&attempt);
        }
        is_open
    }

    fn on_failed(&mut self, attempt: AttemptId, cause: &FailureCause) {
        if !matches!(cause, FailureCause::LostShuffleOutput { .. } | FailureCause::WorkerDrains) {
            self.losses_in_a_row.remove(&attempt.task);
        }
        *self.failures.entry((attempt.task, cause.name())).or_default() += 1;
        if let FailureCause::LostShuffleOutput { stage, partition, attempt: number, loss: OutputLoss::Gone, .. } = cause
        {
            let task = TaskId { job: attempt.task.job, stage: *stage, partition: *partition };
            self.unreadable.entry(task).or_default().insert(AttemptId { task, attempt: *number });
            self.on_outputs_lost(|winner| winner.attempt.task.job == task.job);
        }
    }

    /// Unreadable outputs that were reported of that task.
    pub(crate) fn unreadable_count(&self, task: TaskId) -> usize {
        self.unreadable.get(&task).map_or(0, BTreeSet::len)
    }

    /// The same for all tasks of a job.
    pub(crate) fn unreadable_count_of(&self, job: JobId) -> usize {
        self.unreadable.iter().filter(|(task, _)| task.job == job).map(|(_, attempts)| attempts.len()).sum()
    }

    pub(crate) fn was_launched(&self, attempt: AttemptId) -> bool {
        self.launched.contains(&attempt)
    }

    /// Attempts that were not the first of their task.
    pub(crate) fn attempts_again(&self) -> u64 {
        self.launched.iter().filter(|attempt| attempt.attempt > 0).count() as u64
    }

    pub(crate) fn failure_count(&self, task: TaskId, cause: &'static str) -> u32 {
        self.failures.get(&(task, cause)).copied().unwrap_or_default()
    }

    pub(crate) fn on_effect(&mut self, effect: &Effect, plans: &BTreeMap<JobId, JobPlan>) -> Check {
        match effect {
            Effect::RejectJob { job, .. } => {
                self.jobs.entry(*job).or_default().is_refused = true;
                Ok(())
            }
            Effect::Plan { job } => self.check_turn(*job, plans).and_then(|()| self.on_plan(*job)),
            Effect::Launch(launch) => self.on_launch(launch, plans),
            Effect::CancelAttempt { worker, attempt } => {
                self.check_taken_over(&plans[&attempt.task.job], *attempt, *worker)?;
                if self.open.get(attempt) == Some(worker) {
                    self.open.remove(attempt);
                    self.silence.note_withdrawn(self.workers.get(worker), (*worker, attempt.task));
                }
                Ok(())
            }
            Effect::Commit { job, winners } => self.on_commit(*job, winners, plans),
            Effect::FenceWorker { worker } => {
                self.on_fence(*worker);
                Ok(())
            }
            Effect::TellReader { reader, source, absence } => {
                self.silence.note_told(*reader, *source, *absence);
                Ok(())
            }
            Effect::ReleaseWorker { worker } => self.on_release(*worker),
            Effect::HubChosen { job, hub, cut } => self.check_hub(*job, *hub, *cut),
            Effect::JobChanged { job } => self.ensure_active(*job, "changed"),
            Effect::JobEnded { job, failure } => self.on_ended(*job, failure.as_ref(), plans),
            Effect::DiscardOutput { job } => {
                let seen = self.jobs.entry(*job).or_default().clone();
                ensure(!seen.is_visible, || format!("job {job}: visible output is discarded"))
            }
            Effect::RemoveShuffleOutput { attempt, .. } => {
                self.links.on_removed(*attempt);
                Ok(())
            }
            Effect::RemoveJobShuffle { .. } => Ok(()),
        }
    }

    pub(crate) fn ensure_active(&self, job: JobId, what: &str) -> Check {
        let is_active = self.jobs.get(&job).is_none_or(|seen| seen.ended.is_none());
        ensure(is_active, || format!("job {job}: {what} after its end"))
    }

    fn on_plan(&mut self, job: JobId) -> Check {
        let seen = self.jobs.entry(job).or_default();
        ensure(!seen.is_planned, || format!("job {job}: planned twice"))?;
        seen.is_planned = true;
        let active = self.jobs.values().filter(|seen| seen.is_planned && seen.ended.is_none()).count();
        ensure(active <= self.running_jobs_max, || format!("job {job}: {active} jobs run at once"))
    }

    fn on_launch(&mut self, launch: &Launch, plans: &BTreeMap<JobId, JobPlan>) -> Check {
        let attempt = launch.attempt;
        self.ensure_active(attempt.task.job, "launched")?;
        self.links.check_launch(&plans[&attempt.task.job], launch)?;
        let mut read = launch.inputs.iter().flat_map(|input| input.winners.iter());
        let is_there = |id| self.workers.get(id).is_some_and(|worker| !worker.is_released);
        let lost = read.find(|winner| !is_there(&winner.worker));
        ensure(lost.is_none(), || format!("attempt {attempt}: reads {lost:?}, which is lost with its worker"))?;
        self.check_restored(attempt)?;
        ensure(self.launched.insert(attempt), || format!("attempt {attempt}: launched twice"))?;
        self.check_reach(launch)?;
        self.check_silence(launch)?;
        self.check_losses(attempt)?;
        self.check_exclusion(launch)?;
        self.check_locality(&plans[&attempt.task.job], launch)?;
        self.check_second(launch)?;
        let worker = self.workers.get(&launch.worker);
        let worker = worker.ok_or_else(|| format!("attempt {attempt}: launched on an unknown worker"))?;
        ensure(worker.is_connected && !worker.is_draining, || format!("attempt {attempt}: worker takes none"))?;
        self.open.insert(attempt, launch.worker);
        self.launched_at.insert(attempt, self.now);
        let used = self.open.values().filter(|on| **on == launch.worker).count();
        ensure(used <= worker.slots, || format!("attempt {attempt}: takes slot {used} of {}", worker.slots))
    }

    /// A task that lost three workers in a row gets no fourth one, also where the master changes in between.
    fn check_losses(&self, attempt: AttemptId) -> Check {
        let losses = self.losses_in_a_row.get(&attempt.task).copied().unwrap_or_default();
        ensure(losses < LOST_WORKERS_MAX, || format!("attempt {attempt}: launched after {losses} lost workers"))
    }

    fn on_release(&mut self, worker: WorkerId) -> Check {
        let runs = self.open.iter().find(|(_, on)| **on == worker);
        ensure(runs.is_none(), || format!("worker {worker}: may leave, but {runs:?}"))?;
        let seen = self.workers.get_mut(&worker).filter(|seen| seen.is_draining);
        ensure(seen.is_some(), || format!("worker {worker}: may leave, but does not drain"))?;
        seen.into_iter().for_each(|seen| seen.is_released = true);
        Ok(())
    }

    fn on_fence(&mut self, worker: WorkerId) {
        if self.workers.contains_key(&worker) {
            self.silence.note_lost(worker);
        }
        self.on_outputs_lost(|winner| winner.worker == worker);
        self.workers.remove(&worker);
        self.links.on_held(worker, &[]);
        let lost: Vec<_> = self.open.iter().filter(|(_, on)| **on == worker).map(|(attempt, _)| *attempt).collect();
        for attempt in lost {
            self.open.remove(&attempt);
            *self.losses_in_a_row.entry(attempt.task).or_default() += 1;
        }
        for task in self.silence.take_withdrawn(worker) {
            *self.losses_in_a_row.entry(task).or_default() += 1;
        }
    }

    fn on_commit(&mut self, job: JobId, winners: &[Winner], plans: &BTreeMap<JobId, JobPlan>) -> Check {
        self.ensure_active(job, "committed")?;
        let final_output = plans[&job].graph.final_output();
        let seen = self.jobs.entry(job).or_default();
        ensure(!seen.is_committing, || format!("job {job}: commit while another one runs"))?;
        ensure(!seen.is_visible, || format!("job {job}: commit of a visible output"))?;
        ensure(final_output == FinalOutput::Result || seen.commits == 0, || {
            format!("job {job}: files committed twice")
        })?;
        seen.commits += 1;
        seen.is_committing = true;
        let is_in_order = (0..).zip(winners).all(|(partition, winner)| winner.attempt.task.partition == partition);
        ensure(is_in_order && !winners.is_empty(), || format!("job {job}: winners are not one per task: {winners:?}"))
    }

    /// Checks what the winners left, just before it becomes visible.
    pub(crate) fn check_content(&self, plan: &JobPlan, contents: &[Content]) -> Check {
        check_commit(plan, contents).map_err(|problem| format!("job {}: {problem}", plan.id))
    }

    fn on_ended(&mut self, job: JobId, failure: Option<&FailureCause>, plans: &BTreeMap<JobId, JobPlan>) -> Check {
        self.ensure_active(job, "ended")?;
        let orphan = self.open.keys().find(|attempt| attempt.task.job == job);
        ensure(orphan.is_none(), || format!("job {job}: ended, but {orphan:?} still runs"))?;
        let seen = self.jobs.entry(job).or_default();
        ensure(!seen.is_committing, || format!("job {job}: ended with {failure:?} while its commit runs"))?;
        seen.ended = Some(failure.cloned());
        let seen = seen.clone();
        ensure(seen.is_visible == failure.is_none(), || format!("job {job}: ended with {failure:?}, but {seen:?}"))?;
        let is_justified = match failure {
            None => !matches!(plans[&job].script, Script::BadRecords(_)),
            Some(cause) => self.is_justified(&plans[&job], &seen, cause),
        };
        ensure(is_justified, || format!("job {job} ({:?}): failed without reason: {failure:?}", plans[&job].script))
    }

    fn is_justified(&self, plan: &JobPlan, seen: &Seen, cause: &FailureCause) -> bool {
        let failed = |name: &'static str, at_least: u32| {
            self.failures.iter().any(|((task, of), count)| task.job == plan.id && *of == name && *count >= at_least)
        };
        match cause {
            FailureCause::Task { .. } => {
                names_bad_record(plan, cause)
                    || cause == &FailureCause::task("planted")
                        && matches!(plan.script, Script::PlanFails | Script::TaskError(_) | Script::CommitFails)
            }
            FailureCause::Internal { .. } => failed("internal", 4),
            FailureCause::Storage { .. } => failed("storage", 10),
            FailureCause::OutOfMemory { .. } | FailureCause::DiskFull { .. } => failed("out_of_memory", 4),
            FailureCause::LostShuffleOutput { stage, partition, .. } => {
                let task = TaskId { job: plan.id, stage: *stage, partition: *partition };
                self.unreadable_count(task) >= 10
            }
            FailureCause::Poison { stage, partition, .. } => {
                let task = TaskId { job: plan.id, stage: *stage, partition: *partition };
                self.losses_in_a_row.get(&task).is_some_and(|losses| *losses >= LOST_WORKERS_MAX)
            }
            FailureCause::Cancelled => {
                seen.is_cancelled
                    || matches!(plan.script, Script::Cancel(_) | Script::CancelDuringCommit) && seen.commits > 0
            }
            FailureCause::DeadlinePassed { limit_seconds } => {
                let limit = plan.limits.deadline.filter(|limit| limit.as_secs() == *limit_seconds);
                limit.zip(seen.submitted_at).is_some_and(|(limit, at)| at + limit.as_millis() as u64 <= self.now)
            }
            FailureCause::WorkerLost { .. } | FailureCause::NoWorkers { .. } | FailureCause::WorkerDrains => false,
        }
    }
}
