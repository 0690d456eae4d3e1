//! The sole owner of the scheduler: takes inputs one by one, hands events in, carries effects out, publishes snapshots.
//!
//! It never waits for anything but its inputs and its clock: whatever takes time runs in a task of its own and comes back as
//! an input. Deadlines are delivered after the inputs that wait, so that a busy master does not take its own delay for the
//! death of its workers.

mod clients;
mod ending;
mod gate;
mod journal;
mod narrate;
mod noting;
mod publish;
mod resume;
mod worker_links;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hearth_common::JobId;
use hearth_scheduler::{Effect, Event, Millis, Scheduler};
use tokio::sync::{mpsc, watch};

use crate::config::{MasterConfig, OnStop};
use crate::effects::{CommitTurns, Services};
use crate::input::Input;
use crate::jobs::Job;
use crate::load::kept::KeptHours;
use crate::metrics::Metrics;
use crate::snapshot::Snapshot;
use crate::workers::WorkerRegistry;
use clients::{Reply, Submissions};
use ending::History;
pub(crate) use ending::KeptJob;
pub(crate) use journal::Held;
use journal::Journal;
pub(crate) use narrate::Told;
use noting::Loads;
use publish::Publisher;
pub(crate) use publish::Unfinished;
pub(crate) use resume::{Resumed, ResumedCommit, ResumedJob, ResumedPlan};

/// Inputs taken in before the next look at clock and snapshot.
const BATCH_MAX: usize = 256;
/// Longest sleep without a deadline.
const IDLE: Duration = Duration::from_secs(60);
/// A deadline that is later than this is delivered even while inputs keep coming.
const LATE_MS_MAX: u64 = 1000;

/// What a loop starts with.
#[derive(Debug)]
pub(crate) struct Start {
    pub config: Arc<MasterConfig>,
    pub services: Services,
    pub metrics: Arc<Metrics>,
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    /// Jobs that ended before, oldest first.
    pub history: Vec<KeptJob>,
    /// What goes on.
    pub resumed: Resumed,
    /// What charts showed.
    pub charts: KeptHours,
}

/// The scheduler and everything that belongs to it.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) config: Arc<MasterConfig>,
    pub(crate) services: Services,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) workers: WorkerRegistry,
    pub(crate) commits: CommitTurns,
    scheduler: Scheduler,
    submissions: Submissions,
    history: History,
    journal: Journal,
    publisher: Publisher,
    loads: Loads,
    /// Events that an effect or an input brought about, not handed in yet.
    pending: VecDeque<Event>,
    replies: Vec<Reply>,
    /// The job of the failed attempt that is being handed in.
    failing: Option<JobId>,
    started: Instant,
    /// What the scheduler's clock showed then: jobs of the master before were submitted earlier than that.
    started_at: Millis,
}

impl Owner {
    pub(crate) fn new(start: Start) -> Self {
        let Start { config, services, metrics, snapshot, history, resumed, charts } = start;
        let mut owner = Self {
            scheduler: Scheduler::new(config.scheduler()),
            submissions: Submissions::default(),
            history: History::new(config.jobs_kept_max),
            journal: Journal::default(),
            publisher: Publisher::new(snapshot),
            loads: Loads::resumed(charts, wall_ms()),
            config,
            services,
            metrics,
            jobs: BTreeMap::new(),
            workers: WorkerRegistry::default(),
            commits: CommitTurns::default(),
            pending: VecDeque::new(),
            replies: Vec::new(),
            failing: None,
            started: Instant::now(),
            started_at: resumed.clock_start(wall_ms()),
        };
        for kept in history {
            owner.remember(kept);
        }
        owner.resume(resumed);
        owner.publish();
        owner
    }

    /// Runs until the services are told to stop, and gives the jobs that this interrupts.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) -> Vec<Unfinished> {
        let stop = self.services.stop.clone();
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let wake = tokio::time::Instant::from_std(self.next_wake());
            tokio::select! {
                () = stop.cancelled() => break,
                _ = inputs.recv_many(&mut batch, BATCH_MAX) => {}
                () = tokio::time::sleep_until(wake) => {}
            }
            // Held up for long, it may have been fenced: then nobody is to hear of it again.
            if let Err(error) = self.services.tenure.confirm().await {
                tracing::error!(%error, "this master does not go on");
                stop.cancel();
            }
            // Work that the stop itself ended answers as if somebody had cancelled it: that is nobody's wish.
            if stop.is_cancelled() {
                break;
            }
            for input in batch.drain(..) {
                self.take_in(input);
            }
            self.tick_if_due(inputs.is_empty());
            self.save();
            if self.publisher.next_due().is_some_and(|due| due <= Instant::now()) || !self.replies.is_empty() {
                self.publish();
            }
            self.send_replies();
        }
        match self.config.on_stop {
            OnStop::Fail if !self.services.tenure.lost().is_cancelled() => self.unfinished(),
            OnStop::Keep | OnStop::Fail => Vec::new(),
        }
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::FindKey { key, hash, reply } => self.on_find_key(&key, hash, reply),
            Input::Submit(submission) => self.on_submit(*submission),
            Input::Written(outcome) => self.on_written(outcome),
            Input::Stored { job, outcome } => self.on_stored(job, outcome),
            Input::Cancel { job, reply } => self.on_cancel(job, reply),
            Input::Drain { worker, reply } => self.on_drain(worker, reply),
            Input::ListTasks { query, reply } => self.on_list_tasks(query, reply),
            Input::Planned { job, planned, staging } => self.on_planned(job, planned, staging),
            Input::WaitsForHdfs { job, because } => self.on_waits_for_hdfs(job, because),
            Input::CommitEnded(end) => self.on_commit_ended(end),
            Input::CommitSettled(outcome) => self.on_commit_settled(outcome),
            Input::WorkerConnected { hello, link } => self.on_worker_connected(*hello, link),
            Input::WorkerSaid { worker, connection, message } => self.on_worker_said((worker, connection), *message),
            Input::WorkerDisconnected { worker, connection } => self.on_worker_disconnected(worker, connection),
            Input::LaunchRefused { worker, attempt, cause } => {
                self.feed(Event::AttemptFailed { attempt, worker, cause, scans: Vec::new() });
            }
        }
    }

    /// Hands an event in and carries its effects out, and so on with the events that they bring about.
    pub(crate) fn feed(&mut self, event: Event) {
        self.feed_later(event);
        self.flush();
    }

    /// Hands in the events that wait.
    fn flush(&mut self) {
        let mut effects: Vec<Effect> = Vec::new();
        while let Some(event) = self.pending.pop_front() {
            self.metrics.count_event();
            let may_lose_workers = narrate::may_lose_workers(&event);
            self.scheduler.handle(self.now(), event, &mut effects);
            if may_lose_workers {
                self.publisher.mark_heartbeat();
                self.narrate_lost_workers();
            }
            for effect in effects.drain(..) {
                self.carry_out(effect);
            }
        }
    }

    /// Has an event handed in after the one that is being handled.
    pub(crate) fn feed_later(&mut self, event: Event) {
        self.pending.push_back(event);
    }

    fn tick_if_due(&mut self, has_nothing_waiting: bool) {
        let Some(deadline) = self.scheduler.next_deadline() else { return };
        let late_ms = self.now().0.checked_sub(deadline.0);
        if late_ms.is_some_and(|late_ms| has_nothing_waiting || late_ms > LATE_MS_MAX) {
            self.feed(Event::Tick);
        }
    }

    fn now(&self) -> Millis {
        self.started_at.after(self.started.elapsed())
    }

    fn next_wake(&self) -> Instant {
        let idle = Instant::now() + IDLE;
        let deadline = self
            .scheduler
            .next_deadline()
            .map(|deadline| self.started + Duration::from_millis(deadline.0.saturating_sub(self.started_at.0)));
        [deadline, self.publisher.next_due()].into_iter().flatten().fold(idle, Instant::min)
    }
}

/// Milliseconds since 1970, for people. Nothing is decided by it.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
