//! A stage of a running job: its tasks, what is ready among them, and what their winners left. Counts only what changes.

mod check;
mod kept;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use hearth_common::{JobId, StageId};

use crate::chain::Chains;
use crate::claim::{Claims, Decided};
use crate::durations::Durations;
use crate::graph::{InputKind, StageInput, StageSpec, TaskLayout};
use crate::home::Homes;
use crate::mutation::Mutation;
use crate::run::Runs;
use crate::task::{Task, TaskKey, TaskState};
use crate::{Millis, ShuffleInputs, Winner};

/// Which waiting task of a stage runs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// It had a winner, and later stages wait for it again.
    Again,
    /// Others wait for it for the first time, as for all of its stage.
    First,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) id: StageId,
    pub(crate) inputs: Vec<StageInput>,
    /// Stages that read this one.
    pub(crate) consumers: Vec<StageId>,
    pub(crate) is_determinate: bool,
    pub(crate) shuffle_partitions: u32,
    /// By partition. Empty until a merged stage is formed.
    tasks: Vec<Task>,
    /// Shuffle partitions of each task, where they are merged.
    groups: Vec<Range<u32>>,
    layout: TaskLayout,
    done: u32,
    running: u32,
    unproved: u32,
    /// Waiting tasks that run anywhere, and prefer no host.
    ready: BTreeSet<(Urgency, u32)>,
    /// Waiting tasks that avoid some worker.
    picky: BTreeSet<(Urgency, u32)>,
    /// The other waiting tasks: those that prefer some host.
    pub(crate) homes: Homes,
    /// Tasks with one attempt that runs, by the time of its launch.
    lone_runs: BTreeSet<(Millis, u32)>,
    /// How long its finished attempts took.
    durations: Durations,
    /// Sums over the first winner of each task, by shuffle partition; only while a merged stage needs them.
    partition_bytes: Vec<u64>,
    winners: Option<Arc<[Winner]>>,
    /// Its output, or what is missing of it, is needed to end the job.
    pub(crate) is_wanted: bool,
    /// It is wanted, and everything it reads is there.
    pub(crate) is_open: bool,
    /// How it stands in the job's list of stages with ready tasks.
    pub(crate) listed: Option<Urgency>,
    /// An attempt was launched since it was last invalidated. Changed by `note_version` alone.
    pub(crate) has_begun: bool,
    /// It is indeterminate, and an output that was read is lost: before it runs again, what was computed from it must go.
    pub(crate) has_lost_version: bool,
    /// What is known about the links that its tasks read.
    pub(crate) chains: Chains,
    /// What its unproved tasks wait for. Entered before the state, and gone with it.
    pub(crate) claims: Claims,
    /// Its facts changed since they were last taken,
    is_unsaved: bool,
    /// and those about these of its tasks.
    unsaved: BTreeSet<u32>,
}

impl Stage {
    pub(crate) fn new(id: StageId, spec: &StageSpec, consumers: Vec<StageId>) -> Self {
        let tasks = match spec.tasks {
            TaskLayout::Fixed { tasks } => tasks,
            TaskLayout::Merged { .. } => 0,
        };
        let mut stage = Self {
            id,
            inputs: spec.inputs.clone(),
            consumers,
            is_determinate: spec.determinate,
            shuffle_partitions: spec.shuffle_partitions,
            tasks: Vec::new(),
            groups: Vec::new(),
            layout: spec.tasks,
            done: 0,
            running: 0,
            unproved: 0,
            ready: BTreeSet::new(),
            picky: BTreeSet::new(),
            homes: Homes::new(&spec.homes),
            lone_runs: BTreeSet::new(),
            durations: Durations::default(),
            partition_bytes: Vec::new(),
            winners: None,
            is_wanted: false,
            is_open: false,
            listed: None,
            has_begun: false,
            has_lost_version: false,
            chains: Chains::new(&spec.links),
            claims: Claims::default(),
            is_unsaved: false,
            unsaved: BTreeSet::new(),
        };
        stage.add_tasks(tasks);
        stage
    }

    /// Makes room for the sums by which a later stage merges.
    pub(crate) fn count_bytes(&mut self) {
        self.partition_bytes = vec![0; self.shuffle_partitions as usize];
    }

    pub(crate) fn partition_bytes(&self) -> &[u64] {
        &self.partition_bytes
    }

    pub(crate) fn add_bytes(&mut self, partition_bytes: &[u64]) {
        self.is_unsaved |= !self.partition_bytes.is_empty();
        for (sum, bytes) in self.partition_bytes.iter_mut().zip(partition_bytes) {
            *sum = sum.saturating_add(*bytes);
        }
    }

    /// Shuffle partitions that still have to be grouped.
    pub(crate) const fn unformed_partitions(&self) -> Option<u32> {
        match self.layout {
            TaskLayout::Merged { partitions } if self.groups.is_empty() => Some(partitions),
            TaskLayout::Merged { .. } | TaskLayout::Fixed { .. } => None,
        }
    }

    /// Makes one task per group. The groups stay for the life of the job.
    pub(crate) fn form(&mut self, groups: Vec<Range<u32>>) {
        let tasks = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        self.groups = groups;
        self.is_unsaved = true;
        self.add_tasks(tasks);
    }

    fn add_tasks(&mut self, tasks: u32) {
        self.tasks = (0..tasks).map(|_| Task::new()).collect();
        for partition in 0..tasks {
            self.list_waiting(Urgency::First, partition);
        }
    }

    pub(crate) fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub(crate) fn task(&self, partition: u32) -> Option<&Task> {
        self.tasks.get(partition as usize)
    }

    /// The task, to enter something into its history or count an attempt. Its state changes through `replace` alone.
    ///
    /// A waiting task must be left as it is: its place among the ready ones depends on its history.
    pub(crate) fn task_mut(&mut self, partition: u32) -> Option<&mut Task> {
        self.tasks.get_mut(partition as usize)
    }

    pub(crate) fn groups(&self) -> &[Range<u32>] {
        &self.groups
    }

    pub(crate) fn group(&self, partition: u32) -> Option<Range<u32>> {
        self.groups.get(partition as usize).cloned()
    }

    pub(crate) const fn done(&self) -> u32 {
        self.done
    }

    pub(crate) const fn running(&self) -> u32 {
        self.running
    }

    /// Tasks with one attempt that runs, those first whose attempt runs longest.
    pub(crate) fn lone_runs(&self) -> impl Iterator<Item = (Millis, u32)> {
        self.lone_runs.iter().copied()
    }

    pub(crate) const fn unproved(&self) -> u32 {
        self.unproved
    }

    pub(crate) fn waiting(&self) -> usize {
        self.ready.len() + self.picky.len() + self.homes.waiting().len()
    }

    pub(crate) const fn durations(&self) -> &Durations {
        &self.durations
    }

    pub(crate) fn note_duration(&mut self, ms: u64) {
        self.durations.enter(ms);
        self.is_unsaved = true;
    }

    /// Every task has a winner.
    pub(crate) fn is_complete(&self) -> bool {
        !self.tasks.is_empty() && self.done as usize == self.tasks.len()
    }

    /// Tasks without a winner; 1 for a stage that is not formed yet.
    pub(crate) fn missing(&self) -> usize {
        if self.tasks.is_empty() { 1 } else { self.tasks.len() - self.done as usize }
    }

    /// The urgency of its first waiting task.
    pub(crate) fn urgency(&self) -> Option<Urgency> {
        let first = |waiting: &BTreeSet<(Urgency, u32)>| waiting.first().map(|(urgency, _)| *urgency);
        [&self.ready, &self.picky, self.homes.waiting()].into_iter().filter_map(first).min()
    }

    /// The waiting task that runs next, if it does not matter where.
    pub(crate) fn next_ready(&self, mutation: Option<Mutation>) -> Option<(Urgency, u32)> {
        self.ready.first().copied().into_iter().chain(self.homes.first_anywhere(mutation)).min()
    }

    /// Waiting tasks that avoid some worker, in their order.
    pub(crate) fn picky(&self) -> impl Iterator<Item = u32> {
        self.picky.iter().map(|(_, partition)| *partition)
    }

    /// Changes the state of a task, and the counters with it. For `Scheduler::set_task` alone, which keeps the indexes
    /// beyond the stage. Gives the old state.
    pub(crate) fn replace(&mut self, partition: u32, next: TaskState) -> Option<TaskState> {
        let task = self.tasks.get_mut(partition as usize)?;
        let urgency_before = if task.had_winner() { Urgency::Again } else { Urgency::First };
        let before = task.replace(next);
        self.unsaved.insert(partition);
        let urgency = if task.had_winner() { Urgency::Again } else { Urgency::First };
        match before {
            TaskState::Waiting => self.unlist_waiting(urgency_before, partition),
            TaskState::BackingOff { .. } => {}
            TaskState::Running(runs) => {
                self.running -= 1;
                if let Runs::One(run) = runs {
                    self.lone_runs.remove(&(run.since, partition));
                }
            }
            TaskState::Unproved { .. } => {
                self.unproved -= 1;
                self.claims.forget(partition);
            }
            TaskState::Done { .. } => {
                self.done -= 1;
                self.winners = None;
            }
        }
        match next {
            TaskState::Waiting => self.list_waiting(urgency, partition),
            TaskState::BackingOff { .. } => {}
            TaskState::Running(runs) => {
                self.running += 1;
                if let Runs::One(run) = runs {
                    self.lone_runs.insert((run.since, partition));
                }
            }
            TaskState::Unproved { .. } => self.unproved += 1,
            TaskState::Done { .. } => self.done += 1,
        }
        Some(before)
    }

    fn list_waiting(&mut self, urgency: Urgency, partition: u32) {
        match self.is_picky(partition) {
            true => drop(self.picky.insert((urgency, partition))),
            false if self.homes.has(partition) => self.homes.enter(urgency, partition),
            false => drop(self.ready.insert((urgency, partition))),
        }
    }

    fn unlist_waiting(&mut self, urgency: Urgency, partition: u32) {
        match self.is_picky(partition) {
            true => drop(self.picky.remove(&(urgency, partition))),
            false if self.homes.has(partition) => self.homes.leave(urgency, partition),
            false => drop(self.ready.remove(&(urgency, partition))),
        }
    }

    fn is_picky(&self, partition: u32) -> bool {
        self.task(partition).is_some_and(|task| !task.history.avoid.is_empty())
    }

    /// Tells what the start of a link, which has just become known, decides. The claim is taken; the state is left.
    pub(crate) fn decide_claim(&mut self, link: u32) -> Option<Decided> {
        self.claims.decide(link, self.chains.get(link)?)
    }

    /// A report counted twice.
    pub(crate) const fn count_finish_twice(&mut self) {
        self.done += 1;
    }

    /// The winners so far, by partition. Shared until one of them changes.
    pub(crate) fn winners(&mut self, job: JobId) -> Arc<[Winner]> {
        if let Some(winners) = &self.winners {
            return Arc::clone(winners);
        }
        let stage = self.id;
        let winners: Arc<[Winner]> = (0..)
            .zip(&self.tasks)
            .filter_map(|(partition, task)| task.winner(TaskKey { stage, partition }.in_job(job)))
            .collect();
        if winners.len() == self.tasks.len() {
            self.winners = Some(Arc::clone(&winners));
        }
        winners
    }

    pub(crate) fn shuffle_inputs(&mut self, job: JobId) -> ShuffleInputs {
        ShuffleInputs { stage: self.id, winners: self.winners(job) }
    }

    /// The stages it reads by shuffle partition, whose bytes count.
    pub(crate) fn partitioned_inputs(&self) -> impl Iterator<Item = StageId> {
        self.inputs.iter().filter(|input| input.kind == InputKind::Partitioned).map(|input| input.stage)
    }
}
