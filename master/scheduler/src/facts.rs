//! What must outlive the scheduler's process: facts about jobs, stages and tasks, each small and whole, by what they are about.
//!
//! The owner takes them after events ([`Scheduler::take_changes`]), stores them, and carries the effects of those events out only
//! once they are stored: so the outside never knows more than the store. `restore` makes a scheduler of them again. Left out is
//! what a new one may find out anew: since when attempts run, whom jobs exclude, who reaches whom, and waits after failures.

use std::collections::BTreeSet;
use std::ops::Range;

use hearth_common::{AttemptCounts, JobId, LinkEnd, LocalityCounts, RecordStart, StageId, TaskId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::Scheduler;
use crate::claim::Claim;
use crate::durations::Durations;
use crate::stage::Stage;
use crate::task::{History, TaskKey, TaskState};

/// Facts that changed since they were last taken. Each replaces the one before it about the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Facts about planned jobs.
    pub jobs: Vec<(JobId, JobFacts)>,
    /// Facts about their stages.
    pub stages: Vec<(JobId, StageId, StageFacts)>,
    /// Facts about their tasks. There are none about a task that was never launched.
    pub tasks: Vec<(TaskId, TaskFacts)>,
    /// Workers that are lost, or have left: nothing is expected of them any more.
    pub lost_workers: Vec<WorkerId>,
}

/// What is kept of a planned job besides its stages.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JobFacts {
    pub(crate) counts: AttemptCounts,
    pub(crate) locality: LocalityCounts,
}

/// What is kept of a stage besides its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StageFacts {
    /// Shuffle partitions of each task, once they are merged.
    pub(crate) groups: Vec<Range<u32>>,
    /// Sums by which a later stage merges.
    pub(crate) partition_bytes: Vec<u64>,
    /// Without them, an attempt that never ends would not be slower than any.
    pub(crate) durations: Durations,
    pub(crate) has_begun: bool,
    pub(crate) has_lost_version: bool,
}

/// What is kept of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFacts {
    pub(crate) attempts: u32,
    pub(crate) seconds: u32,
    pub(crate) state: KeptState,
    pub(crate) last_winner: Option<(u32, WorkerId)>,
    pub(crate) history: History,
    /// Of each of its links.
    pub(crate) links: Vec<LinkKnowledge>,
}

/// Where a task stands. A wait after a failure is over when the scheduler starts anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeptState {
    Waiting,
    Running(Vec<(u32, WorkerId)>),
    Unproved { claim: Claim, worker: WorkerId },
    Done { attempt: u32, worker: WorkerId },
}

/// What is known of a link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct LinkKnowledge {
    /// Where its first record starts, as the link before it told.
    pub(crate) start: Option<RecordStart>,
    /// Where the first record of the next link starts; only where its own start is known.
    pub(crate) end: Option<RecordStart>,
    /// The first attempt of its task that was told the start; so were all later ones.
    pub(crate) told_since: Option<u32>,
    /// What was reported while the end is not known; a few, the last ones.
    pub(crate) spans: Vec<(u64, LinkEnd)>,
}

/// Of what the facts changed since they were last taken. Stages know which of their tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Unsaved {
    pub(crate) jobs: BTreeSet<JobId>,
    pub(crate) lost_workers: BTreeSet<WorkerId>,
}

impl Scheduler {
    /// Whether some facts changed since they were last taken.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !(self.unsaved.jobs.is_empty() && self.unsaved.lost_workers.is_empty())
    }

    /// Takes the facts that changed. Those about jobs that have ended are of no use any more, and not among them.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes { lost_workers: Vec::new(), ..Changes::default() };
        changes.lost_workers.extend(std::mem::take(&mut self.unsaved.lost_workers));
        for id in std::mem::take(&mut self.unsaved.jobs) {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let facts = JobFacts { counts: job.counts, locality: job.locality };
            let Some(execution) = job.execution_mut() else { continue };
            changes.jobs.push((id, facts));
            for stage in execution.stages_mut() {
                let (is_unsaved, tasks) = stage.take_unsaved();
                if is_unsaved {
                    changes.stages.push((id, stage.id, stage.facts()));
                }
                let key = |partition| TaskKey { stage: stage.id, partition }.in_job(id);
                let facts = |partition| Some((key(partition), stage.task_facts(partition)?));
                changes.tasks.extend(tasks.into_iter().filter_map(facts));
            }
        }
        changes
    }
}

impl Stage {
    fn facts(&self) -> StageFacts {
        StageFacts {
            groups: self.groups().to_vec(),
            partition_bytes: self.partition_bytes().to_vec(),
            durations: self.durations().clone(),
            has_begun: self.has_begun,
            has_lost_version: self.has_lost_version,
        }
    }

    fn task_facts(&self, partition: u32) -> Option<TaskFacts> {
        let task = self.task(partition)?;
        let state = match task.state() {
            TaskState::Waiting | TaskState::BackingOff { .. } => KeptState::Waiting,
            TaskState::Running(runs) => KeptState::Running(runs.iter().map(|run| (run.attempt, run.worker)).collect()),
            TaskState::Unproved { worker, .. } => {
                KeptState::Unproved { claim: self.claims.get(partition)?.clone(), worker }
            }
            TaskState::Done { attempt, worker } => KeptState::Done { attempt, worker },
        };
        let links = self.chains.links_of(partition).iter();
        Some(TaskFacts {
            attempts: task.attempts,
            seconds: task.seconds,
            state,
            last_winner: task.last_winner_there(),
            history: task.history.clone(),
            links: links.filter_map(|link| Some(self.chains.get(*link)?.known.clone())).collect(),
        })
    }
}
