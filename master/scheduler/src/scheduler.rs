//! The state machine's outside: events come in, effects go out. It only dispatches; the decisions are in its neighbours.

use std::collections::{BTreeMap, BTreeSet};

use hearth_common::{JobId, WorkerId};

use crate::config::SchedulerConfig;
use crate::facts::Unsaved;
use crate::job::{Demand, Job, Turn};
use crate::lease::Room;
use crate::mutation::Mutation;
use crate::reach::Cuts;
use crate::reports::Report;
use crate::timer::{Timer, Timers};
use crate::worker::Workers;
use crate::{Effect, Event, Millis};

/// Decides which attempt runs where. The same events give the same effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    pub(crate) config: SchedulerConfig,
    pub(crate) now: Millis,
    /// Jobs that have not ended.
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) sequence: u64,
    /// Jobs that wait for their turn, in its order.
    pub(crate) queue: BTreeMap<Turn, JobId>,
    /// Jobs that had their turn, oldest first.
    pub(crate) admitted: BTreeMap<u64, JobId>,
    pub(crate) workers: Workers,
    pub(crate) had_workers: bool,
    /// Which worker cannot read from which.
    pub(crate) cuts: Cuts,
    /// Workers that are silent.
    pub(crate) silent: BTreeSet<WorkerId>,
    /// Workers that drain, and were not told to leave.
    pub(crate) draining: BTreeSet<WorkerId>,
    /// Jobs that want a slot, neediest first.
    pub(crate) demand: BTreeSet<Demand>,
    /// Second attempts that run.
    pub(crate) seconds: u64,
    /// Jobs in which stragglers are to be looked for at the end of the event at hand.
    pub(crate) due_watches: BTreeSet<JobId>,
    pub(crate) timers: Timers,
    /// Jobs changed by the event at hand, not settled yet.
    pub(crate) unsettled: BTreeSet<JobId>,
    /// Jobs changed by the event at hand.
    pub(crate) changed: BTreeSet<JobId>,
    /// Of what the owner has to store new facts.
    pub(crate) unsaved: Unsaved,
    pub(crate) effects: Vec<Effect>,
}

impl Scheduler {
    /// A scheduler without jobs and workers.
    #[must_use]
    pub fn new(config: SchedulerConfig) -> Self {
        Self {
            now: Millis::default(),
            jobs: BTreeMap::new(),
            sequence: 0,
            queue: BTreeMap::new(),
            admitted: BTreeMap::new(),
            workers: Workers::new(&config),
            had_workers: false,
            cuts: Cuts::new(),
            silent: BTreeSet::new(),
            draining: BTreeSet::new(),
            demand: BTreeSet::new(),
            seconds: 0,
            due_watches: BTreeSet::new(),
            timers: Timers::default(),
            unsettled: BTreeSet::new(),
            changed: BTreeSet::new(),
            unsaved: Unsaved::default(),
            effects: Vec::new(),
            config,
        }
    }

    /// Takes in what happened, and appends what should be done to `effects`, in order.
    ///
    /// `now` may not go back; where it does, it counts as standing still.
    pub fn handle(&mut self, now: Millis, event: Event, effects: &mut Vec<Effect>) {
        self.now = self.now.max(now);
        std::mem::swap(&mut self.effects, effects);
        self.apply(event);
        self.settle();
        if self.has_mutation(Mutation::LaunchSecondsFirst) {
            self.dispatch_seconds();
        }
        self.dispatch();
        self.dispatch_seconds();
        self.settle_drains();
        self.announce_changes();
        std::mem::swap(&mut self.effects, effects);
    }

    /// When `Event::Tick` is due. Deadlines have consequences at a tick only: deliver the events that wait before it, so
    /// that a busy master does not take its own delay for the death of its workers.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        self.timers.next()
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Restored(restored) => self.on_restored(*restored),
            Event::JobSubmitted { job, limits } => self.on_job_submitted(job, limits),
            Event::JobPlanned { job, graph } => self.on_job_planned(job, &graph),
            Event::PlanFailed { job, cause } => self.on_plan_failed(job, cause),
            Event::InputsRefused { job, cause } => self.on_inputs_refused(job, cause),
            Event::CancelRequested { job } => self.on_cancel_requested(job),
            Event::WorkerConnected { worker, slots, names, held } => {
                self.on_worker_connected(worker, Room { slots, names: &names }, &held);
            }
            Event::Heartbeat { worker } => self.on_heartbeat(worker),
            Event::WorkerDisconnected { worker } => self.on_worker_disconnected(worker),
            Event::WorkerDraining { worker } => self.on_worker_draining(worker),
            Event::WorkerGone { worker } => self.on_worker_gone(worker),
            Event::AttemptFinished { attempt, worker, output, scans } => {
                self.on_attempt_finished(Report { attempt, worker, scans }, output);
            }
            Event::AttemptFailed { attempt, worker, cause, scans } => {
                self.on_attempt_failed(Report { attempt, worker, scans }, cause);
            }
            Event::CommitEnded { job, outcome } => self.on_commit_ended(job, outcome),
            Event::Tick => self.on_tick(),
        }
    }

    fn on_tick(&mut self) {
        while let Some((at, timer)) = self.timers.pop_due(self.now) {
            match timer {
                Timer::Lease(worker) => self.on_lease_ended(worker),
                Timer::Silence(worker) => self.on_silence_began(worker),
                Timer::Exclusion(worker) => self.on_exclusion_ended(worker),
                Timer::JobExclusion(job, worker) => self.on_job_exclusion_ended(job, worker),
                Timer::Cut(cut) => self.on_cut_ended(cut),
                Timer::Drain(worker) => self.on_drain_wait_ended(worker),
                Timer::Backoff(task) => self.on_backoff_ended(task, at),
                Timer::Deadline(job) => self.on_deadline(job),
                Timer::NoWorkers(job) => self.on_no_workers(job),
                Timer::Stragglers(job) => self.on_watch_ended(job),
                Timer::Locality(job, stage) => self.on_locality_wait_ended(job, stage),
            }
        }
    }

    fn announce_changes(&mut self) {
        while let Some(job) = self.changed.pop_first() {
            if self.jobs.contains_key(&job) {
                self.effects.push(Effect::JobChanged { job });
            }
        }
    }

    /// Notes that the job changed by the event at hand.
    pub(crate) fn touch(&mut self, job: JobId) {
        self.changed.insert(job);
        self.unsaved.jobs.insert(job);
        self.unsettled.insert(job);
    }

    pub(crate) fn has_mutation(&self, mutation: Mutation) -> bool {
        self.config.mutation == Some(mutation)
    }
}
