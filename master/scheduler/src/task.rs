//! A task: its state, and what it went through. States change in `transition` only.

use hearth_common::{AttemptId, JobId, StageId, TaskId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::run::{Run, Runs};
use crate::{Millis, Winner};

/// A task within its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskKey {
    pub(crate) stage: StageId,
    pub(crate) partition: u32,
}

impl TaskKey {
    pub(crate) const fn of(task: TaskId) -> Self {
        Self { stage: task.stage, partition: task.partition }
    }

    pub(crate) const fn in_job(self, job: JobId) -> TaskId {
        TaskId { job, stage: self.stage, partition: self.partition }
    }
}

/// Where a task stands.
///
/// It has a winner, or an attempt that may become one, or attempts that run, but never two of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// It has no winner. It runs when its stage is open and a slot is free.
    Waiting,
    /// It is not tried before that time.
    BackingOff { until: Millis },
    /// One attempt was launched, or two, and nothing was heard of their end.
    Running(Runs),
    /// That attempt ended, and wins, or fails the job, once it is proved that it read its links from their true starts.
    Unproved { attempt: u32, worker: WorkerId },
    /// That attempt is its winner.
    Done { attempt: u32, worker: WorkerId },
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    state: TaskState,
    /// Attempts launched so far, and so the number of the next one.
    pub(crate) attempts: u32,
    /// Second attempts among them.
    pub(crate) seconds: u32,
    /// Its last winner, also where the output of that was lost since.
    last_winner: Option<(u32, WorkerId)>,
    pub(crate) history: History,
}

/// What a task went through, as far as it decides about the next try.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct History {
    pub(crate) internal_failures: u32,
    pub(crate) storage_failures: u32,
    pub(crate) exhausted_workers: u32,
    pub(crate) exhausted_waits: u32,
    pub(crate) lost_workers_in_a_row: u32,
    pub(crate) unreadable_outputs: u32,
    /// Workers on which it failed. Bounded, because the number of failures is.
    pub(crate) avoid: Vec<WorkerId>,
}

impl History {
    pub(crate) fn avoid(&mut self, worker: WorkerId) {
        if !self.avoid.contains(&worker) {
            self.avoid.push(worker);
        }
    }
}

impl Task {
    pub(crate) fn new() -> Self {
        Self { state: TaskState::Waiting, attempts: 0, seconds: 0, last_winner: None, history: History::default() }
    }

    pub(crate) const fn state(&self) -> TaskState {
        self.state
    }

    /// Changes the state and gives the old one. For `Stage::replace` alone.
    pub(crate) fn replace(&mut self, next: TaskState) -> TaskState {
        if let TaskState::Done { attempt, worker } = next {
            self.last_winner = Some((attempt, worker));
        }
        std::mem::replace(&mut self.state, next)
    }

    pub(crate) const fn last_winner_there(&self) -> Option<(u32, WorkerId)> {
        self.last_winner
    }

    /// Takes over what it went through, all but its state. For `Stage::restore_task` alone.
    pub(crate) fn restore(&mut self, (attempts, seconds): (u32, u32), won: Option<(u32, WorkerId)>, history: History) {
        self.attempts = attempts;
        self.seconds = seconds;
        self.last_winner = won;
        self.history = history;
    }

    /// It had a winner once: its bytes are counted, and when it runs again others have waited for it before.
    pub(crate) const fn had_winner(&self) -> bool {
        self.last_winner.is_some()
    }

    /// The attempt that won last, also where its output was lost since.
    pub(crate) fn last_winner(&self, task: TaskId) -> Option<Winner> {
        self.last_winner.map(|(attempt, worker)| Winner { attempt: AttemptId { task, attempt }, worker })
    }

    pub(crate) fn is_running(&self, attempt: AttemptId, worker: WorkerId) -> bool {
        self.find_run(attempt, worker).is_some()
    }

    pub(crate) fn find_run(&self, attempt: AttemptId, worker: WorkerId) -> Option<Run> {
        match self.state {
            TaskState::Running(runs) => runs.find(attempt, worker),
            TaskState::Waiting | TaskState::BackingOff { .. } | TaskState::Unproved { .. } | TaskState::Done { .. } => {
                None
            }
        }
    }

    pub(crate) fn is_winner(&self, attempt: AttemptId, worker: WorkerId) -> bool {
        self.state == TaskState::Done { attempt: attempt.attempt, worker }
    }

    pub(crate) fn is_unproved(&self, attempt: AttemptId, worker: WorkerId) -> bool {
        self.state == TaskState::Unproved { attempt: attempt.attempt, worker }
    }

    pub(crate) const fn winner(&self, task: TaskId) -> Option<Winner> {
        match self.state {
            TaskState::Done { attempt, worker } => Some(Winner { attempt: AttemptId { task, attempt }, worker }),
            TaskState::Waiting | TaskState::BackingOff { .. } | TaskState::Running(_) | TaskState::Unproved { .. } => {
                None
            }
        }
    }
}
